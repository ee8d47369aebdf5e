import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)    # UDP
s.bind(('10.0.0.12', 13402))                            # source port
s.sendto('21,5 °C'.encode(), ('10.0.0.80', 80))         # destination port
answer, sender = s.recvfrom(1024)
print(answer.decode())
s.close()
