import ready
import socket

s = ready.connect(("server", 7000))
print(s.recv(100))
s = socket.socket()


def connect():
    s.connect(("server", 7001))


connect()
