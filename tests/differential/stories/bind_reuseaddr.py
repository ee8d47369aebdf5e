"""SO_REUSEADDR on streams: who may share a port."""
from story import *


def bound(port, host=HERE, *options, listen=False):
    s = socket.socket()
    for option in options:
        s.setsockopt(SOL, option, 1)
    s.bind((host, port))
    if listen:
        s.listen()
    return s


for first in ((), (REUSEADDR,), (REUSEPORT,), (REUSEADDR, REUSEPORT)):
    for second in ((), (REUSEADDR,), (REUSEPORT,), (REUSEADDR, REUSEPORT)):
        for listening in (False, True):
            for hosts in ((HERE, HERE), ("", HERE), (HERE, "")):
                a = bound(5000, hosts[0], *first, listen=listening)
                what = f"{first} {hosts[0]!r} listening={listening}, {second} {hosts[1]!r}"
                try:
                    b = bound(5000, hosts[1], *second)
                except OSError as error:
                    print(what, "->", error)
                else:
                    try:
                        b.listen()
                        print(what, "-> bound and listening")
                    except OSError as error:
                        print(what, "-> bound, listen:", error)
                    b.close()
                a.close()
a = bound(5001, HERE, REUSEADDR)
b = bound(5001, HERE, REUSEADDR)
show("first listens", lambda: a.listen())
show("second listens", lambda: b.listen())
show("option taken back", lambda: (a.setsockopt(SOL, REUSEADDR, 0), bound(5001, HERE, REUSEADDR)))
