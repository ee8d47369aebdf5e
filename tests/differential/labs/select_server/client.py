import ready

clients = [ready.connect(("server", 7000)) for _ in range(4)]
for number, client in enumerate(clients):
    client.sendall(b"client %d" % number)
for client in reversed(clients):
    print(client.recv(100))
for client in clients:
    client.close()
