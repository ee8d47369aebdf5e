import socket

s = socket.socket()                     # TCP
s.bind(('10.0.0.13', 13403))            # source port
s.connect(('10.0.0.80', 80))            # destination port
s.send('20,4 °C'.encode())
answer = s.recv(1024)
print(answer.decode())
s.close()
