"""epoll(7), edge-triggered: told once for each arrival, and of all that is the case then."""
from story import *

IN, OUT, RDHUP, ET, ONESHOT = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP, select.EPOLLET, select.EPOLLONESHOT


def tell(what, timeout=0):
    show(what, [events for _, events in e.poll(timeout)])


s = pair()
e = select.epoll()
e.register(s, IN)
there("conn.send(b'abc')")
settle()
tell("level", 5)
e.modify(s, IN | ET)
tell("edge")
tell("edge again")
there("conn.send(b'def')")
settle()
tell("new data")
s.recv(3)
tell("something is left")
s.recv(3)
there("conn.send(b'ghi')")
settle()
s.recv(3)
tell("read before it was told")
there("conn.send(b'jkl')")
tell("the next one", 5)
e.modify(s, IN | ET)
tell("MOD looks again")
e.modify(s, IN | OUT | ET)
tell("both")
there("conn.send(b'mno')")
settle()
tell("data brings both")
s.recv(100)
s.send(b"x")
settle()
tell("an ACK is no news")
e.modify(s, OUT | ET)
tell("room")
there("conn.send(b'pqr')")
settle()
tell("data is not asked for")

# A full send buffer: an edge when there is room again.
s.setblocking(False)
filled = 0
for _ in range(3):
    try:
        while True:
            filled += s.send(bytes(65536))
    except BlockingIOError:
        pass
    settle()
tell("full")
there("""
got = 0
def drain(total):
    global got
    while got < total:
        got += len(conn.recv(1 << 20))
""")
there(f"drain({filled + 1})")
tell("room again", 5)
tell("once")

# One shot and edges.
s.recv(1000)
e.modify(s, IN | ET | ONESHOT)
there("conn.send(b'abc')")
tell("one shot", 5)
there("conn.send(b'def')")
settle()
tell("spent")
e.modify(s, IN | ET | ONESHOT)
tell("armed again")
e.modify(s, IN | RDHUP | ET)
tell("with RDHUP")
there("conn.shutdown(socket.SHUT_WR)")
settle()
tell("the other end is finished")
tell("told")
s.shutdown(socket.SHUT_WR)
settle()
tell("and so are we")

# Listeners.
server = listener(5055)
server.setblocking(False)
e.register(server, IN | ET)
tell("nobody")
there(f"callers = [socket.create_connection(({HERE!r}, 5055)) for _ in range(2)]")
settle()
tell("two callers")
tell("still two")
there(f"callers.append(socket.create_connection(({HERE!r}, 5055)))")
settle()
tell("a third")
accepted = [server.accept()[0] for _ in range(3)]
tell("none")
there("callers[0].setsockopt(SOL, socket.SO_LINGER, struct.pack('ii', 1, 0)); callers[0].close()")
e.register(accepted[0], IN | ET)
settle()
tell("reset")
show("the error", accepted[0].getsockopt(SOL, socket.SO_ERROR))
tell("heard")

# Connecting.
c = tcp()
c.setblocking(False)
show("connect", c.connect_ex((THERE, 5000)))
e.register(c, IN | OUT | RDHUP | ET)
tell("connected", 5)
tell("connected: told")
r = tcp()
r.setblocking(False)
show("connect to nobody", r.connect_ex((THERE, 5999)))
e.register(r, OUT | ET)
tell("refused", 5)
tell("refused: told")
