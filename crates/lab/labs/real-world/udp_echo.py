import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)    # UDP
s.settimeout(5)                                         # a datagram may get lost
s.sendto('Hej över UDP!'.encode(), ('relay', 9007))
answer, sender = s.recvfrom(1024)
print(answer.decode(), 'från port', sender[1])
s.close()
