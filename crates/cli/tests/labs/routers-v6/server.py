import socket, threading

udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::", 7))


def echo():
    while True:
        data, peer = udp.recvfrom(65536)
        udp.sendto(data, peer)


threading.Thread(target=echo, daemon=True).start()
with socket.create_server(("::", 7007), family=socket.AF_INET6) as listener:
    while True:
        connection, peer = listener.accept()
        with connection:
            octets = 0
            while data := connection.recv(65536):
                octets += len(data)
            connection.sendall(f"{octets} octets from {peer[0]}".encode())
