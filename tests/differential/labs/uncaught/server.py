import socket

s = socket.socket()
s.bind(("", 7000))
s.listen()
connection, address = s.accept()
connection.send("hello")
