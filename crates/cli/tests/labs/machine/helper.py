import socket


def refused():
    socket.socket().connect(("127.0.0.1", 1))
