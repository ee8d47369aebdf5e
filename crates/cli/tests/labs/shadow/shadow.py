import socket

print("socket" in dir(socket), socket.__file__.endswith("shadow/socket.py") or socket.__file__.endswith("alone/socket.py"))
