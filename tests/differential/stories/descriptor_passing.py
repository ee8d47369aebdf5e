"""SCM_RIGHTS: descriptors travel over AF_UNIX sockets (unix(7))."""
import array
import fcntl
import tempfile

from story import *

RIGHTS, CTRUNC = socket.SCM_RIGHTS, socket.MSG_CTRUNC


def rights(*fds):
    return [(SOL, RIGHTS, array.array("i", fds))]


def got(answer):
    """What came, with the number of descriptors in each item."""
    data, control, flags, address = answer
    fds = [array.array("i", item[2]) for item in control]
    received.extend(fd for each in fds for fd in each)
    return data, [(item[:2], len(each)) for item, each in zip(control, fds)], hex(flags), address


received = []
a, b = socket.socketpair()
s = pair()
show("send", a.sendmsg([b"take this"], rights(s.fileno())))
s.close()
settle()
show("it lives on the way", there("state(conn)"))
show("received", got(b.recvmsg(100, 100)))
t = socket.socket(fileno=received.pop())
show("the same connection", (t.getpeername(), t.send(b"hello"), there("conn.recv(100)")))
t.setblocking(False)
show("send_fds", socket.send_fds(a, [b"x"], [t.fileno(), t.fileno()]))
data, fds, flags, _ = socket.recv_fds(b, 10, 5)
show("recv_fds", (data, len(set(fds)), flags))
show("O_NONBLOCK is shared", [os.get_blocking(fd) for fd in fds])
os.set_blocking(fds[0], True)
show("both ways", [os.get_blocking(fd) for fd in [t.fileno(), *fds]])
show("inheritable", [os.get_inheritable(fd) for fd in fds])
for fd in fds:
    os.close(fd)
a.sendmsg([b"c"], rights(t.fileno()))
show("MSG_CMSG_CLOEXEC", got(b.recvmsg(10, 100, socket.MSG_CMSG_CLOEXEC)))
show("not inheritable", os.get_inheritable(received[-1]))
os.close(received.pop())

# Where a read ends.
a.send(b"before")
a.sendmsg([b"first"], rights(t.fileno()))
a.sendmsg([b"second"], rights(t.fileno()))
a.send(b"after")
show("peek", got(b.recvmsg(100, 100, socket.MSG_PEEK)))
show("up to a message with rights", got(b.recvmsg(100, 100)))
show("a part of the next", got(b.recvmsg(3, 100)))
show("its rest, and what follows", got(b.recvmsg(100, 100)))
a.sendmsg([b"plain"], rights(t.fileno()))
show("recv forgets them", b.recv(100))
show("no octets, no rights", a.sendmsg([b""], rights(t.fileno())))
b.setblocking(False)
show("nothing", lambda: b.recvmsg(10, 100))

# Room.
for room in (0, 1, socket.CMSG_LEN(0), socket.CMSG_LEN(0) + 3, socket.CMSG_LEN(4), socket.CMSG_LEN(4) + 1,
             socket.CMSG_LEN(8) - 1, socket.CMSG_SPACE(4), socket.CMSG_LEN(12), socket.CMSG_SPACE(12)):
    a.sendmsg([b"x"], rights(t.fileno(), t.fileno(), t.fileno()))
    show(f"room {room}", got(b.recvmsg(10, room)))
a.sendmsg([b"two"], rights(t.fileno()) + rights(t.fileno()))
show("two items become one", got(b.recvmsg(10, 100)))
a.sendmsg([b"none"], rights())
show("an empty item", got(b.recvmsg(10, 100)))
a.sendmsg([b"part"], [(SOL, RIGHTS, array.array("i", [t.fileno()]).tobytes() + b"ab")])
show("a part of a number", got(b.recvmsg(10, 100)))
show("bad number", lambda: a.sendmsg([b"x"], rights(-5)))
show("not open", lambda: a.sendmsg([b"x"], rights(900)))
show("too many", lambda: a.sendmsg([b"x"], rights(*[t.fileno()] * 254)))
show("unknown kind", lambda: a.sendmsg([b"x"], [(SOL, 77, b"1234")]))
show("another level is passed over", lambda: a.sendmsg([b"x"], [(77, 1, b"1234")]))
show("what came", got(b.recvmsg(10, 100)))
show("not over IP", lambda: t.sendmsg([b"x"], rights(a.fileno())))

# Datagrams and sequenced packets, pipes, listeners, files, epoll objects.
for kind in (UDP, socket.SOCK_SEQPACKET):
    c, d = socket.socketpair(type=kind)
    r, w = os.pipe()
    show("send", c.sendmsg([b"packet"], rights(r)))
    os.close(r)
    os.write(w, b"through the pipe")
    show("cut", got(d.recvmsg(3, 100)))
    show("read", os.read(received[-1], 100))
    show("no octets", c.sendmsg([], rights(w)))
    show("and yet", got(d.recvmsg(10, 100)))
    for end in (c, d):
        end.close()
server = listener(5077)
a.sendmsg([b"l"], rights(server.fileno()))
server.close()
caller = there.later(f"socket.create_connection(({HERE!r}, 5077)).getpeername()")
show("a listener", got(b.recvmsg(10, 100)))
with socket.socket(fileno=received.pop()) as server:
    conn, _ = server.accept()
show("who called", caller() == conn.getsockname())
with tempfile.TemporaryFile() as file:
    file.write(b"in a file")
    file.flush()
    a.sendmsg([b"f"], rights(file.fileno()))
show("a file", got(b.recvmsg(10, 100)))
show("its place is shared", os.lseek(received[-1], 0, os.SEEK_CUR))
show("read", (os.lseek(received[-1], 3, os.SEEK_SET), os.read(received[-1], 100)))

# To another process.
parent, child = socket.socketpair()
pid = os.fork()
if pid == 0:
    parent.close()
    with socket.create_server((HERE, 5078)) as server:
        socket.send_fds(child, [b"from the child"], [server.fileno()])
    os._exit(0)
child.close()
data, (fd,), flags, _ = socket.recv_fds(parent, 100, 1)
os.waitpid(pid, 0)
show("from the child", (data, flags))
with socket.socket(fileno=fd) as server:
    show("its listener", (server.getsockname(), server.getsockopt(SOL, socket.SO_ACCEPTCONN)))
    caller = there.later(f"socket.create_connection(({HERE!r}, 5078)).getpeername()")
    conn, _ = server.accept()
    show("accepts", caller() == conn.getsockname())

# Nobody reads them: they are closed.
a.sendmsg([b"x"], rights(t.fileno()))
t.close()
a.close()
b.close()
while received:
    os.close(received.pop())
settle()
show("closed with the socket", there("events(conn)"))

# Two sockets in each other's queue, and nobody else has them: they are closed, and what they hold with them.
t = pair(5002)
a, b = socket.socketpair()
a.sendmsg([b"x"], rights(a.fileno(), t.fileno()))
b.sendmsg([b"x"], rights(b.fileno()))
t.close()
a.close()
show("still to be had", there("events(conn)"))
b.close()
show("not any more", until(lambda: "RDHUP" in there("events(conn)")))
