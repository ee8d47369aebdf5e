import socket

s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(0.1)
while True:
    try:
        s.sendto(b"ready?", ("server", 7013))
        s.recv(100)
        break
    except TimeoutError:
        pass
s.settimeout(5)
for question in (b"what time", b"", b"x" * 2000):
    s.sendto(question, ("server", 7013))
    answer, address = s.recvfrom(4000)
    print(len(answer), answer[:20], address)
