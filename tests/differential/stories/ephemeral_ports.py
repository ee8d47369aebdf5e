"""Ports that the kernel chooses."""
from story import *

ports = set()
keep = []
for _ in range(20):
    keep.append(tcp(0))
    ports.add(keep[-1].getsockname()[1])
show("all different", len(ports))
show("in range", all(32768 <= port <= 60999 for port in ports))
there("server = listener(5000, 50)")
clients = [socket.create_connection((THERE, 5000)) for _ in range(10)]
ports = {c.getsockname()[1] for c in clients}
show("clients", (len(ports), all(32768 <= port <= 60999 for port in ports)))
show("a client's address", clients[0].getsockname()[0])
u = udp()
show("before", u.getsockname())
u.sendto(b"x", (THERE, 5000))
show("after sendto", (u.getsockname()[0], u.getsockname()[1] > 32767))
u = udp()
u.connect((THERE, 5000))
show("after connect", (u.getsockname()[0], u.getsockname()[1] > 32767))
s = socket.socket()
s.listen()
show("listen without bind", (s.getsockname()[0], s.getsockname()[1] > 32767))
c = socket.create_connection((THERE, 5000), source_address=(HERE, 4444))
show("source_address", c.getsockname())
show("the same four numbers", lambda: socket.create_connection((THERE, 5000), source_address=(HERE, 4444)))
there("other = listener(5001)")
s = tcp(4444)
show("bound twice with reuse", s.getsockname())
show("another destination", lambda: s.connect((THERE, 5001)))
