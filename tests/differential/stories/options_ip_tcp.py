"""Options of IP and TCP."""
from story import *

TCP_LEVEL, IP = socket.IPPROTO_TCP, socket.IPPROTO_IP
s, u = tcp(), udp()
for name in (
    "TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2 TCP_DEFER_ACCEPT "
    "TCP_WINDOW_CLAMP TCP_USER_TIMEOUT"
).split():
    number = getattr(socket, name)
    show(name, lambda: s.getsockopt(TCP_LEVEL, number))
    for value in (1, 0, 5, -1, 40_000):
        show(f"{name} = {value}", lambda: (s.setsockopt(TCP_LEVEL, number, value), s.getsockopt(TCP_LEVEL, number))[1])
for name, number in (("IP_TOS", 1), ("IP_TTL", 2), ("IP_MULTICAST_TTL", 33), ("IP_MULTICAST_LOOP", 34), ("IP_MTU_DISCOVER", 10),
                     ("IP_RECVERR", 11), ("IP_PKTINFO", 8), ("IP_RECVTTL", 12), ("IP_RECVTOS", 13), ("IP_FREEBIND", 15),
                     ("IP_TRANSPARENT", 19), ("IP_BIND_ADDRESS_NO_PORT", 24)):
    show(name, lambda: u.getsockopt(IP, number))
    for value in (1, 0, 64, 255, 256, -1):
        show(f"{name} = {value}", lambda: (u.setsockopt(IP, number, value), u.getsockopt(IP, number))[1])
show("one octet", u.getsockopt(IP, socket.IP_TTL, 1))
show("four octets", u.getsockopt(IP, socket.IP_TTL, 4))
show("set by one octet", lambda: (u.setsockopt(IP, socket.IP_TTL, b"\x07"), u.getsockopt(IP, socket.IP_TTL))[1])
show("TCP option of a datagram socket", lambda: u.getsockopt(TCP_LEVEL, socket.TCP_NODELAY))
show("set", lambda: u.setsockopt(TCP_LEVEL, socket.TCP_NODELAY, 1))
show("unknown", lambda: s.getsockopt(TCP_LEVEL, 200))
show("unknown to set", lambda: s.setsockopt(TCP_LEVEL, 200, 1))
show("unknown of IP", lambda: s.getsockopt(IP, 60))
show("unknown of IP to set", lambda: s.setsockopt(IP, 60, 1))
show("TTL on a stream", lambda: (s.setsockopt(IP, socket.IP_TTL, 5), s.getsockopt(IP, socket.IP_TTL))[1])
show("IPv6 level on IPv4", lambda: s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
c = pair()
show("MSS of a connection", c.getsockopt(TCP_LEVEL, socket.TCP_MAXSEG))
show("cork", lambda: (c.setsockopt(TCP_LEVEL, socket.TCP_CORK, 1), c.send(b"held"), settle(0.05), there("events(conn)"))[3])
show("uncork", lambda: (c.setsockopt(TCP_LEVEL, socket.TCP_CORK, 0), settle(), there("conn.recv(10)"))[2])
l = listener(5010)
l.setsockopt(TCP_LEVEL, socket.TCP_NODELAY, 1)
l.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
l.setsockopt(IP, socket.IP_TTL, 33)
d = socket.create_connection((HERE, 5010))
a, _ = l.accept()
show("inherited", [a.getsockopt(*o) for o in ((TCP_LEVEL, socket.TCP_NODELAY), (SOL, socket.SO_KEEPALIVE), (IP, socket.IP_TTL), (SOL, REUSEADDR))])
