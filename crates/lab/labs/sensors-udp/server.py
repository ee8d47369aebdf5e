import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)   # UDP
server.bind(('10.0.0.80', 80))
print('Väntar på port 80')

while True:
    data, sender = server.recvfrom(1024)                    # one socket for all senders
    text = data.decode()
    print(f'{sender}: {text}')
    server.sendto(f'Tack för {text}'.encode(), sender)
