import socket
import time

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"first", ("server", 7007))
time.sleep(0.1)
tcp = socket.create_connection(("server", 7007))
time.sleep(0.2)
for word in (b"to poll", b"to epoll", b"to selectors"):
    tcp.sendall(word)
    time.sleep(0.1)
tcp.close()
