import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("", 80))
s.listen()

while True:
    conn, address = s.accept()
    print("from", address, conn.recv(100).decode().strip())
    conn.sendall("Välkommen!\n".encode())
    conn.close()
