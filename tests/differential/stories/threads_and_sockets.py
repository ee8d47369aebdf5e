"""Threads that share and wait for sockets."""
import queue
from story import *

server = listener(0, 10, host="127.0.0.1")
address = server.getsockname()
results = queue.Queue()


def serve(n):
    for _ in range(n):
        c, _ = server.accept()
        threading.Thread(target=echo, args=(c,)).start()


def echo(c):
    with c:
        while data := c.recv(100):
            c.sendall(data.upper())


def ask(text):
    with socket.create_connection(address) as c:
        c.sendall(text)
        c.shutdown(socket.SHUT_WR)
        got = b""
        while data := c.recv(100):
            got += data
        results.put(got)


threads = [threading.Thread(target=ask, args=(b"number %d" % i,)) for i in range(5)]
acceptor = threading.Thread(target=serve, args=(5,))
acceptor.start()
for t in threads:
    t.start()
for t in threads:
    t.join()
acceptor.join()
show("answers", sorted(results.get() for _ in range(5)))

a, b = socket.socketpair()
order = []


def reader(name):
    order.append((name, a.recv(1)))


first, second = (threading.Thread(target=reader, args=(n,)) for n in "12")
first.start()
settle()
second.start()
settle()
b.send(b"x")
first.join(0.3)
b.send(b"y")
first.join()
second.join()
show("both were served", sorted(data for _, data in order))
t = threading.Thread(target=lambda: show("shutdown wakes a reader", lambda: a.recv(1)))
t.start()
settle()
a.shutdown(socket.SHUT_RDWR)
t.join()
s = tcp()
s.bind((HERE, 5000))
s.listen()
t = threading.Thread(target=lambda: show("shutdown wakes accept", lambda: s.accept()))
t.start()
settle()
s.shutdown(socket.SHUT_RDWR)
t.join()
u = udp(5001)
got = []
t = threading.Thread(target=lambda: got.append(u.recvfrom(10)))
t.start()
settle()
show("shutdown of unconnected datagrams", lambda: u.shutdown(socket.SHUT_RDWR))
t.join()
show("but their reader is woken", got)
