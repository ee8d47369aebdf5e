"""Nobody listens: the peer's RST."""
from story import *

s = tcp()
show("connect", lambda: s.connect((THERE, 5000)))
show("SO_ERROR is taken", s.getsockopt(SOL, socket.SO_ERROR))
show("again", lambda: s.connect((THERE, 5000)))
show("connect_ex", s.connect_ex((THERE, 5000)))
show("name: an old port", (s.getsockname()[0], s.getsockname()[1] > 32767))
show("peer", lambda: s.getpeername())
show("readiness", events(s))
show("bound, not listening", lambda: (there("bound = tcp(5001)"), s.connect((THERE, 5001))))
show("create_connection", lambda: socket.create_connection((THERE, 5002), timeout=2))
there("bound.listen()")
show("now somebody does", lambda: s.connect((THERE, 5001)))
show("to itself, port 0", lambda: tcp().connect((HERE, 0)))
