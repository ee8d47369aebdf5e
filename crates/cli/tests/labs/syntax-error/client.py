import socket

s = socket.socket()
s.connect(("server", 7007)
s.send("hej".encode())
