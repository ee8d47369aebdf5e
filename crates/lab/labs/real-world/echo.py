import socket

s = socket.socket()                     # TCP
s.connect(('relay', 9007))
s.sendall('Hej från labbet!'.encode())
answer = s.recv(1024)
print(answer.decode())
s.close()
