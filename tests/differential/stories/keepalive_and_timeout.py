"""A peer that is gone: no neighbour, keepalive."""
from story import *

s = tcp()
begin = time.monotonic()
show("no neighbour", lambda: s.connect(("10.77.0.99", 80)))
show("took about three seconds", 2.5 < time.monotonic() - begin < 4.5)
s = pair()
show("keepalive values", [(s.setsockopt(socket.IPPROTO_TCP, o, v), s.getsockopt(socket.IPPROTO_TCP, o))[1] for o, v in
     ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2))])
s.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
time.sleep(1.6)
show("an answered probe changes nothing", (state(s), events(s)))
