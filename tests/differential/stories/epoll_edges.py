"""epoll(7), edge-triggered: told once for each change."""
from story import *

s = pair()
e = select.epoll()
e.register(s, select.EPOLLIN)
there("conn.send(b'abc')")
settle()
show("level", [v for _, v in e.poll(5)])
e.modify(s, select.EPOLLIN | select.EPOLLET)
show("edge", [v for _, v in e.poll(0)])
show("edge again", e.poll(0))
there("conn.send(b'def')")
settle()
show("new data", [v for _, v in e.poll(0)])
s.recv(3)
show("something is left", e.poll(0))
s.recv(3)
