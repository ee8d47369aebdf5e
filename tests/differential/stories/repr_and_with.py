"""How sockets print, and `with`."""
from story import *

s = tcp(5000)
show("bound", repr(s).split("fd=")[1].partition(",")[2])
u = udp(5001)
u.connect((THERE, 5002))
show("connected", repr(u).split("fd=")[1].partition(",")[2])
with tcp() as t:
    show("fresh", repr(t).split("fd=")[1].partition(",")[2])
show("closed", repr(t))
a, b = socket.socketpair()
show("pair", repr(a).split("fd=")[1].partition(",")[2])
show("enum", (s.family, s.type, s.proto))
show("non-blocking type", socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK).type)
show("its time-out", socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK).gettimeout())
show("cloexec", socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC).type)
show("inheritable", (s.get_inheritable(), s.set_inheritable(True), s.get_inheritable()))
show("getblocking", [(s.setblocking(v), s.getblocking(), s.gettimeout())[1:] for v in (True, False)])
show("time-out is an OSError", (socket.timeout is TimeoutError, issubclass(socket.timeout, OSError), socket.error is OSError))
show("gaierror", (issubclass(socket.gaierror, OSError), issubclass(socket.herror, OSError)))
show("equal", (s == s, s == u, hash(s) == hash(s)))
import pickle
show("pickle", lambda: pickle.dumps(s))
import copy
show("copy", lambda: copy.copy(s))
