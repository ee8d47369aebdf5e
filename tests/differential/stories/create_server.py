"""create_server, create_connection, getaddrinfo and their like."""
from story import *

there("s = socket.create_server(('', 5000))")
show("server", there("s.getsockname(), s.getsockopt(SOL, REUSEADDR), s.getsockopt(SOL, REUSEPORT), s.family"))
show("again", lambda: there("socket.create_server(('', 5000))"))
show("shared", lambda: there("t = socket.create_server(('', 5001), reuse_port=True); u = socket.create_server(('', 5001), reuse_port=True)"))
c = socket.create_connection(("there", 5000))
show("by name", c.getpeername())
show("refused", lambda: socket.create_connection(("there", 5009)))
show("unknown", lambda: socket.create_connection(("nobody", 5000)))
show("source", lambda: socket.create_connection(("there", 5000), source_address=("", 6000)).getsockname())
show("bad source", lambda: socket.create_connection((THERE, 5000), source_address=(THERE, 6001)))
show("has_dualstack_ipv6", isinstance(socket.has_dualstack_ipv6(), bool))
show("bad family", lambda: socket.create_server(("", 5002), family=99))
show("taken", lambda: (listener(5003, host=""), socket.create_server(("", 5003), reuse_port=False)))
with socket.create_server((HERE, 5004)) as s:
    show("with", s.getsockname())
show("after with", s.fileno())
