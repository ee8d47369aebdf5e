import socket

address = socket.gethostbyname("www.example.se")
print("www.example.se is", address)

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((address, 80))
s.sendall(b"GET / HTTP/1.1\r\nHost: www.example.se\r\nConnection: close\r\n\r\n")

answer = b""
while data := s.recv(1000):
    answer += data
print(answer.decode())
s.close()
