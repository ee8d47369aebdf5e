import socket

server = socket.socket()                # TCP
server.bind(('10.0.0.80', 80))
server.listen()
print('Lyssnar på port 80')

while True:
    client, address = server.accept()   # one more socket for each client
    print('Ny klient', address)
    text = client.recv(1024).decode()
    print(f'{address[1]}: {text}')
    client.send(f'Tack för {text}'.encode())
    client.close()
