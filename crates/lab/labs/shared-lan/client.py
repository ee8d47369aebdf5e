import socket

# Your own server. A classmate's is called server.NAME, as the list of the room says.
HOST = "server"

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((HOST, 7777))
s.sendall("Ada".encode())
print(s.recv(1000).decode())
s.close()
