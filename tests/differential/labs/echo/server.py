import socket

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 7007))
s.listen()
print("listening on", s.getsockname())
while True:
    connection, (host, port) = s.accept()
    print("connection from", host)
    with connection:
        while data := connection.recv(1024):
            print("got", data)
            connection.sendall(data)
    print("closed")
