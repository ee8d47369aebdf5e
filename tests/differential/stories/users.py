"""Who is not the superuser may not do all: low ports, raw sockets, becoming somebody else."""
import os
import sys

from story import *


def may():
    show("users", (os.getresuid(), os.getuid(), os.geteuid()))
    show("a low port", lambda: tcp(80).close())
    show("a low port, UDP", lambda: udp(53).close())
    show("port 1024", lambda: tcp(1024).close())
    show("a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())


print("== superuser")
may()
early = tcp()
print("== for a while somebody else")
os.seteuid(1000)
may()
show("a socket from before", lambda: early.bind((HERE, 81)))
show("another user", lambda: os.setuid(1001))
show("another user by setresuid", lambda: os.setresuid(1001, -1, -1))
os.setuid(0)
show("back", os.getresuid())
print("== wrong arguments")
for wrong in ("x", 1.5, None, -2, 1 << 70):
    show(repr(wrong), lambda: os.setuid(wrong))
show("none", lambda: os.setuid(-1))
show("all as they are", lambda: os.setresuid(-1, -1, -1))
print("== a copy of the process, for good")
sys.stdout.flush()
if os.fork() == 0:
    os.setgid(65534)
    os.setuid(65534)
    may()
    show("groups", (os.getresgid(), os.getgid(), os.getegid()))
    show("no way back", lambda: os.seteuid(0))
    show("nor for groups", lambda: os.setgid(0))
    show("setreuid", lambda: os.setreuid(65534, 65534))
    sys.stdout.flush()
    os._exit(0)
os.wait()
print("== the parent")
may()
os.setreuid(-1, 7)
show("setreuid", os.getresuid())
