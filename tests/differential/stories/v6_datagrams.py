"""Datagrams over IPv6."""
from story import *

F = socket.AF_INET6
there("u = udp(5000, '::', socket.AF_INET6); u.settimeout(2)")
u = udp(6000, HERE6, F)
u.settimeout(0.5)
show("sent", u.sendto(b"hello", (THERE6, 5000)))
show("there", there("u.recvfrom(100)"))
show("large", (u.sendto(b"x" * 5000, (THERE6, 5000)), there("len(u.recv(9000))")))
show("longest", lambda: u.sendto(bytes(65527), (THERE6, 5000)))
show("too long", lambda: u.sendto(bytes(65528), (THERE6, 5000)))
v = udp()
show("from IPv4", (v.sendto(b"four", (THERE, 5000)), there("u.recvfrom(100)[1][0]")))
u.connect((THERE6, 5999))
u.send(b"x")
settle()
show("refused", lambda: u.recv(10))
show("peer", u.getpeername())
show("no route", lambda: udp(family=F).sendto(b"x", ("2001:db8::1", 80)))
show("V6ONLY", lambda: there("o = socket.socket(socket.AF_INET6, UDP); o.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); o.bind(('::', 5001))"))
show("beside it", lambda: there("udp(5001, '').getsockname()"))
