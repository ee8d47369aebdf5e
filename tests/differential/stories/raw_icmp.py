"""ping by hand: raw and ping sockets."""
from story import *


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(ident, number, payload):
    head = struct.pack("!BBHHH", 8, 0, 0, ident, number)
    return struct.pack("!BBHHH", 8, 0, checksum(head + payload), ident, number) + payload


s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(1)
show("sent", s.sendto(echo(77, 1, b"payload!"), (THERE, 0)))
data, who = s.recvfrom(200)
show("answer", (who, len(data), data[20:22], data[24:], data[0], data[8], data[9]))
show("name", s.getsockname())
show("no protocol", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 0))
s.connect((THERE, 0))
show("connected", (s.getpeername(), s.send(echo(77, 2, b"again..."))))
show("answer", s.recv(200)[24:])
u = udp()
u.sendto(b"nobody is there", (THERE, 5999))
data = s.recv(200)
show("port unreachable", (data[20:22], data[28:29], len(data)))
t = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
show("TTL", (t.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 9), t.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)))
show("readiness", events(t))
show("no route", lambda: t.sendto(echo(1, 1, b""), ("192.0.2.1", 0)))
