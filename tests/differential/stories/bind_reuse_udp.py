"""Sharing a port with datagrams: who gets them."""
from story import *


def bound(port, host, *options):
    s = socket.socket(type=UDP)
    for option in options:
        s.setsockopt(SOL, option, 1)
    s.bind((host, port))
    s.settimeout(0.2)
    return s


for first in ((), (REUSEADDR,), (REUSEPORT,)):
    for second in ((), (REUSEADDR,), (REUSEPORT,)):
        a = bound(5000, HERE, *first)
        show(f"{first} {second}", lambda: bound(5000, HERE, *second) and "shared")
        a.close()

a = bound(5001, HERE, REUSEADDR)
b = bound(5001, HERE, REUSEADDR)
there(f"udp(6000).sendto(b'one', ('{HERE}', 5001))")
show("the first", lambda: a.recv(10))
show("the last", lambda: b.recv(10))
b.close()
there(f"udp(6001).sendto(b'two', ('{HERE}', 5001))")
show("the first, alone", lambda: a.recv(10))

w = bound(5002, "", REUSEADDR)
s = bound(5002, HERE, REUSEADDR)
there(f"udp(6002).sendto(b'three', ('{HERE}', 5002))")
show("wildcard", lambda: w.recv(10))
show("specific", lambda: s.recv(10))
c = bound(5002, HERE, REUSEADDR)
c.connect((THERE, 6003))
there(f"u = udp(6003); u.sendto(b'four', ('{HERE}', 5002))")
show("connected", lambda: c.recv(10))
show("specific", lambda: s.recv(10))
there(f"udp(6004).sendto(b'five', ('{HERE}', 5002))")
show("connected to another", lambda: c.recv(10))
show("specific", lambda: s.recv(10))
