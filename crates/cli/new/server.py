import socket

with socket.socket() as listener:
    listener.bind(("", 7007))
    listener.listen()
    while True:
        connection, address = listener.accept()
        with connection:
            print("connected by", address)
            while data := connection.recv(1024):
                connection.sendall(data)
