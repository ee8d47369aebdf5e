"""What poll(2), select(2) and epoll(7) say of connections that were reset."""
from story import *


def look(s):
    e = select.epoll()
    e.register(s, 0x2000 | 1 | 2 | 4)
    found = [v for _, v in e.poll(0)]
    e.close()
    return events(s), [len(x) for x in select.select([s], [s], [s], 0)], found


s = pair()
show("connected", look(s))
there("conn.setsockopt(SOL, socket.SO_LINGER, struct.pack('ii', 1, 0)); conn.close()")
settle()
show("reset", look(s))
show("recv", lambda: s.recv(1))
show("heard", look(s))
s = pair(5001)
there("conn.send(b'before'); conn.setsockopt(SOL, socket.SO_LINGER, struct.pack('ii', 1, 0)); conn.close()")
settle()
show("reset after data", look(s))
show("data", lambda: s.recv(10))
show("then", lambda: s.recv(10))
show("then", lambda: s.recv(10))
s = pair(5002)
s.shutdown(socket.SHUT_RDWR)
there("conn.close()")
settle()
show("closed in order", (state(s), look(s)))
l = listener(5003)
show("listener", look(l))
t = tcp()
t.setblocking(False)
t.connect_ex((THERE, 5999))
settle()
show("refused", look(t))
show("taken", (t.getsockopt(SOL, socket.SO_ERROR), look(t)))
u = udp()
u.connect((THERE, 5998))
u.send(b"x")
settle()
show("datagram refused", look(u))
show("taken", (u.getsockopt(SOL, socket.SO_ERROR), look(u)))
