"""A reader that does not read, and then does."""
from story import *

there("server = listener(5000)")
there("server.setsockopt(SOL, socket.SO_RCVBUF, 8192)")
s = tcp()
s.connect((THERE, 5000))
there("conn, _ = server.accept()")
s.setblocking(False)
total = 0
while True:
    try:
        total += s.send(bytes(10_000))
    except BlockingIOError:
        settle(0.3)
        if not select.select([], [s], [], 0)[1]:
            break
show("full", (events(s), total > 10_000))
s.settimeout(0.2)
show("send", lambda: s.send(b"x"))
there(f"got = 0")
there(f"""
while got < {total}:
    got += len(conn.recv(65536))
""")
show("all came", there("got") == total)
settle(0.3)
show("open again", events(s))
show("send", s.send(b"end"))
show("arrives", there("conn.recv(10)"))
