"""epoll(7), edge-triggered, with datagrams, pairs and pipes."""
from story import *

IN, OUT, RDHUP, ET = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP, select.EPOLLET


def tell(what, timeout=0):
    show(what, [events for _, events in e.poll(timeout)])


e = select.epoll()
u = udp(6000)
there("v = udp(6001)")
e.register(u, IN | ET)
tell("nothing")
there(f"v.sendto(b'one', ({HERE!r}, 6000))")
tell("one", 5)
tell("one: told")
there(f"v.sendto(b'two', ({HERE!r}, 6000)); v.sendto(b'three', ({HERE!r}, 6000))")
settle()
tell("two more are one edge")
show("read", [u.recv(10) for _ in range(3)])
tell("empty")
u.connect((THERE, 6999))
u.send(b"to nobody")
settle()
tell("an error")
show("which", lambda: u.send(b"x"))
e.unregister(u)

for name, (a, b) in (("stream", socket.socketpair()), ("datagram", socket.socketpair(type=UDP))):
    e.register(a, IN | ET)
    b.send(b"abc")
    tell(f"{name}: data")
    tell(f"{name}: told")
    b.send(b"def")
    tell(f"{name}: more data")
    a.recv(3)
    tell(f"{name}: something left")
    e.modify(a, IN | OUT | ET)
    tell(f"{name}: both")
    a.send(b"x")
    tell(f"{name}: sent")
    b.recv(10)
    tell(f"{name}: the other end read")
    a.setblocking(False)
    try:
        while True:
            a.send(bytes(1000))
    except BlockingIOError:
        pass
    a.recv(100)
    tell(f"{name}: full")
    b.setblocking(False)
    try:
        while True:
            b.recv(1000)
    except BlockingIOError:
        pass
    tell(f"{name}: empty again")
    e.modify(a, IN | RDHUP | ET)
    if name == "stream":
        b.shutdown(socket.SHUT_WR)
        tell(f"{name}: half closed")
    b.close()
    tell(f"{name}: closed")
    e.unregister(a)
    a.close()

r, w = os.pipe()
e.register(r, IN | ET)
os.write(w, b"abc")
tell("pipe")
tell("pipe: told")
os.write(w, b"def")
tell("pipe: more")
os.read(r, 6)
tell("pipe: empty")
os.close(w)
