import socket

with socket.socket() as connection:
    connection.connect(("server", 7007))
    connection.sendall("hej\n".encode())
    print("got", connection.recv(1024).decode().strip())
