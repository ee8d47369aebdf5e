"""No route, no neighbour, and addresses that cannot be connected to."""
from story import *

show("no route", lambda: tcp().connect(("192.0.2.1", 80)))
show("no route, connect_ex", tcp().connect_ex(("192.0.2.1", 80)))
show("datagram, no route", lambda: udp().sendto(b"x", ("192.0.2.1", 80)))
show("datagram, connect, no route", lambda: udp().connect(("192.0.2.1", 80)))
show("broadcast address", lambda: tcp().connect(("10.77.0.255", 80)))
show("limited broadcast", lambda: tcp().connect(("255.255.255.255", 80)))
show("multicast", lambda: tcp().connect(("224.0.0.9", 80)))
show("time-out first", lambda: socket.create_connection(("10.77.0.99", 80), timeout=0.3))
s = tcp()
show("no neighbour", lambda: s.connect(("10.77.0.98", 80)))
show("SO_ERROR", s.getsockopt(SOL, socket.SO_ERROR))
