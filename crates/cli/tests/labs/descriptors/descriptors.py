"""Descriptors are numbers: sockets, pipes and files side by side."""

import array
import fcntl
import os
import select
import socket
import stat
import struct
import sys
import termios
import threading
import time

a, b = socket.socketpair()
print(a.fileno(), b.fileno())
with open("descriptors.py") as file:
    again = socket.socket()
    print("a file does not take a socket's number:", again.fileno(), file.fileno() != again.fileno())
    print("a file is always ready:", [f is file for f in select.select([file, a], [], [], 0)[0]])
again.close()

print(os.write(a.fileno(), b"hello"), fcntl.ioctl(b, termios.FIONREAD, b"\0" * 4))
size = array.array("i", [0])
fcntl.ioctl(b, termios.FIONREAD, size, True)
print(size[0], os.read(b.fileno(), 100))

flags = fcntl.fcntl(b, fcntl.F_GETFL)
fcntl.fcntl(b, fcntl.F_SETFL, flags | os.O_NONBLOCK)
print(os.get_blocking(b.fileno()), b.getblocking())
try:
    os.read(b.fileno(), 1)
except BlockingIOError as error:
    print(error)
copy = os.dup(b.fileno())
print("shared by copies:", os.get_blocking(copy), os.get_inheritable(copy))
os.close(copy)
fcntl.fcntl(b, fcntl.F_SETFL, flags)

with os.fdopen(os.dup(a.fileno()), "w") as writer, open(b.fileno(), "rb", closefd=False) as reader:
    writer.write("over a file object\n")
    writer.flush()
    print(reader.readline())

r, w = os.pipe()
print(stat.S_ISFIFO(os.fstat(r).st_mode), stat.S_ISSOCK(os.fstat(a.fileno()).st_mode))
threading.Timer(1, os.write, (w, b"x")).start()
begin = time.monotonic()
print(select.select([r], [], [], 5)[0] == [r], round(time.monotonic() - begin, 2), os.read(r, 1))
os.close(w)
print(os.read(r, 1), os.dup2(r, 20), os.isatty(20))
for fd in (r, 20):
    os.close(fd)

epoll = select.epoll()
epoll.register(a, select.EPOLLIN | select.EPOLLET)
b.send(b"1")
print(len(epoll.poll(0)), len(epoll.poll(0)), a.recv(1))
b.send(b"2")
print(len(epoll.poll(0)))

os.close(a.fileno())
try:
    a.send(b"")
except OSError as error:
    print(error)
a.detach()
os.write(1, b"as they come\n")
sys.stdout.flush()
print(struct.unpack("ii", b.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)))


class Waits:
    select = select.select
    now = time.monotonic
    lock = threading.Lock

    def wait(self):
        with self.lock():
            return self.select([], [], [], 0.5), self.now() > 0


print(Waits().wait())
