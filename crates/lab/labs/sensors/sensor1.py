import socket

s = socket.socket()                     # TCP
s.bind(('10.0.0.11', 13401))            # source port
s.connect(('10.0.0.80', 80))            # destination port
s.send('19,8 °C'.encode())
answer = s.recv(1024)
print(answer.decode())
s.close()
