import socket

s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", 7013))
while True:
    question, (host, port) = s.recvfrom(100)
    if question == b"ready?":
        s.sendto(b"yes", (host, port))
        continue
    print("asked", question, "by", host)
    s.sendto(question.upper() + b"!", (host, port))
