import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect(("server", 80))
s.sendall("Hej från ett annat nätverk!\n".encode())
print("my address:", s.getsockname())
print("answer:", s.recv(100).decode().strip())
s.close()
print("done")
