"""epoll(7): copies of descriptors, several objects, several threads."""
from story import *

IN, OUT, ET, ONESHOT, EXCLUSIVE = (
    select.EPOLLIN, select.EPOLLOUT, select.EPOLLET, select.EPOLLONESHOT, select.EPOLLEXCLUSIVE
)


def tell(what, epoll, timeout=0, most=-1):
    show(what, [(names.get(fd, fd), events) for fd, events in epoll.poll(timeout, most)])


names = {}
s = pair()
names[s.fileno()] = "s"
e = select.epoll()
e.register(s, IN)
copy = s.dup()
names[copy.fileno()] = "copy"
e.register(copy, IN | ET)
there("conn.send(b'abc')")
tell("both descriptors", e, 5)
tell("the level one", e)
number = s.fileno()
s.close()
tell("the file is still open", e)
show("not by this number", lambda: e.unregister(number))
copy.recv(100)
copy.close()
tell("now it is not", e)

# Turns: who was told goes to the end.
pairs = [socket.socketpair() for _ in range(3)]
for i, (a, b) in enumerate(pairs):
    names[a.fileno()] = f"a{i}"
    e.register(a, IN)
for i in (2, 0, 1):
    pairs[i][1].send(b"x")
tell("in the order they came", e)
for turn in range(4):
    tell(f"one at a time {turn}", e, 0, 1)
pairs[0][0].recv(1)
tell("one is empty", e)

# An object watches another.
outer = select.epoll()
outer.register(e, IN)
names[e.fileno()] = "e"
tell("outer", outer)
show("poll of an object", bool(select.select([e], [], [], 0)[0]))
for a, _ in pairs:
    a.setblocking(False)
    show("rest", lambda: a.recv(10))
tell("outer: nothing", outer)
outer.modify(e, IN | ET)
pairs[1][1].send(b"y")
tell("outer: edge", outer)
tell("outer: told", outer)
show("a ring", lambda: e.register(outer, IN))
show("itself", lambda: e.register(e, IN))
show("no socket", lambda: socket.socket(fileno=e.fileno()))
pairs[1][0].recv(1)

# EPOLLEXCLUSIVE.
first, second = select.epoll(), select.epoll()
a, b = socket.socketpair()
names[a.fileno()] = "x"
first.register(a, IN | EXCLUSIVE)
second.register(a, IN | EXCLUSIVE)
b.send(b"z")
tell("nobody waited: first", first)
tell("nobody waited: second", second)
show("cannot be changed", lambda: first.modify(a, IN))
show("nor made so", lambda: (first.unregister(a), first.register(a, IN), first.modify(a, IN | EXCLUSIVE))[0])
show("not with all", lambda: outer.register(a, IN | ONESHOT | EXCLUSIVE))
show("not of objects", lambda: second.register(e, IN | EXCLUSIVE))
a.recv(1)

# A waiting thread hears of what another one registers, arms again, sends.
heard = []


def waiter(count):
    for _ in range(count):
        heard.append([(names.get(fd, fd), events) for fd, events in third.poll(5)])


third = select.epoll()
c, d = socket.socketpair()
names[c.fileno()] = "c"
thread = threading.Thread(target=waiter, args=(3,))
thread.start()
settle()
third.register(c, IN | ONESHOT)
settle()
d.send(b"1")
until(lambda: len(heard) == 1)
d.send(b"2")
settle()
show("spent", heard)
third.modify(c, IN | ONESHOT)
until(lambda: len(heard) == 2)
show("armed again", heard)
c.recv(10)
third.modify(c, OUT)
thread.join()
show("three", heard)

# Of two threads at one object, an edge wakes one.
heard.clear()
third.modify(c, IN | ET)
threads = [threading.Thread(target=waiter, args=(1,)) for _ in range(2)]
for thread in threads:
    thread.start()
settle()
d.send(b"3")
until(lambda: len(heard) == 1)
settle()
show("one of two", heard)
d.send(b"4")
for thread in threads:
    thread.join()
show("the other", heard)
show("closed", lambda: (third.close(), third.closed, third.fileno())[0])
show("bad number", lambda: select.epoll.fromfd(999).poll(0))
show("a socket's number", lambda: select.epoll.fromfd(os.dup(c.fileno())).poll(0))
