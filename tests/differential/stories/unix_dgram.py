"""AF_UNIX datagrams by name."""
from story import *

U = socket.AF_UNIX


def named(name):
    s = socket.socket(U, UDP)
    s.bind(name)
    s.settimeout(0.3)
    return s


a, b = named("a.sock"), named("b.sock")
c = socket.socket(U, UDP)
show("fresh", events(c))
show("no destination", lambda: c.send(b"x"))
show("sendto", a.sendto(b"from a", "b.sock"))
show("received", b.recvfrom(100))
show("unnamed sender", (c.sendto(b"from c", "b.sock"), b.recvfrom(100)))
show("cut", (c.sendto(b"0123456789", "b.sock"), b.recvmsg(4)))
show("no such", lambda: c.sendto(b"x", "none.sock"))
show("connect", lambda: c.connect("b.sock"))
show("peer", c.getpeername())
show("send", (c.send(b"connected"), b.recv(100)))
a.connect("b.sock")
b.connect("a.sock")
show("connected to another", lambda: c.send(b"x"))
show("and by sendto", lambda: c.sendto(b"x", "b.sock"))
show("pair", (a.send(b"x"), b.recv(10)))
show("listen", lambda: a.listen())
show("accept", lambda: a.accept())
show("time-out", lambda: a.recv(10))
b.close()
show("closed", lambda: a.send(b"x"))
show("and then", lambda: a.send(b"x"))
show("dead name", lambda: c.sendto(b"x", "b.sock"))
r = named("r.sock")
c = socket.socket(U, UDP)
c.setblocking(False)
n = 0
try:
    while True:
        c.sendto(b"x", "r.sock")
        n += 1
except BlockingIOError as error:
    show("full", (n, str(error)))
show("one is read", (r.recv(1), c.sendto(b"y", "r.sock")))
show("too long", lambda: c.sendto(bytes(300_000), "r.sock"))
show("empty", (named("e.sock"), c.sendto(b"", "e.sock"))[1])
for name in ("a.sock", "b.sock", "r.sock", "e.sock"):
    os.unlink(name)
