import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("", 50000))
s.connect(("web", 80))
print("I say I am", s.getsockname())
print("web says", s.recv(100).decode().strip())
s.close()
