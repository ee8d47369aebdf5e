import socket

with socket.create_connection(("server", 7007)) as s:
    s.sendall(b"i go on")
    print(s.recv(100))
