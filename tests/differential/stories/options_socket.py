"""Options of SOL_SOCKET: defaults and what reads back."""
from story import *

NAMES = (
    "SO_REUSEADDR SO_TYPE SO_ERROR SO_DONTROUTE SO_BROADCAST SO_SNDBUF SO_RCVBUF SO_KEEPALIVE SO_OOBINLINE "
    "SO_REUSEPORT SO_RCVLOWAT SO_SNDLOWAT SO_ACCEPTCONN SO_PRIORITY SO_MARK SO_PROTOCOL SO_DOMAIN SO_INCOMING_CPU"
).split()
for kind in (TCP, UDP):
    s = socket.socket(type=kind)
    print("==", kind.name)
    for name in NAMES[:-1]:
        number = getattr(socket, name)
        show(name, lambda: s.getsockopt(SOL, number))
    for name in NAMES[:-1]:
        number = getattr(socket, name)
        for value in (1, 0, 2, -1):
            # How much a negative SO_RCVLOWAT is depends on the machine's memory.
            if "BUF" in name or name in ("SO_MARK", "SO_RCVLOWAT") and value < 0:
                continue
            show(f"{name} = {value}", lambda: (s.setsockopt(SOL, number, value), s.getsockopt(SOL, number))[1])
    for name in ("SO_RCVBUF", "SO_SNDBUF"):
        number = getattr(socket, name)
        for value in (0, 1, 1000, 5000, 65536, 100_000, 212_992):
            show(f"{name} = {value}", lambda: (s.setsockopt(SOL, number, value), s.getsockopt(SOL, number))[1])
    for name in ("SO_RCVTIMEO", "SO_SNDTIMEO"):
        number = {"SO_RCVTIMEO": 20, "SO_SNDTIMEO": 21}[name]
        show(name, struct.unpack("ll", s.getsockopt(SOL, number, 16)))
        s.setsockopt(SOL, number, struct.pack("ll", 1, 500_000))
        show(name, struct.unpack("ll", s.getsockopt(SOL, number, 16)))
        show(name + " short", lambda: s.setsockopt(SOL, number, 5))
s = tcp()
show("unknown option", lambda: s.getsockopt(SOL, 999))
show("unknown option to set", lambda: s.setsockopt(SOL, 999, 1))
show("unknown level", lambda: s.getsockopt(77, 1))
show("unknown level to set", lambda: s.setsockopt(77, 1, 1))
show("too short", lambda: s.setsockopt(SOL, REUSEADDR, b"\1"))
show("longer", lambda: s.setsockopt(SOL, REUSEADDR, b"\1\0\0\0\0\0\0\0"))
show("as bytes", s.getsockopt(SOL, REUSEADDR, 4))
show("two bytes", s.getsockopt(SOL, REUSEADDR, 2))
show("sixteen bytes", s.getsockopt(SOL, REUSEADDR, 16))
show("null", lambda: s.setsockopt(SOL, REUSEADDR, None, 4))
show("no value", lambda: s.setsockopt(SOL, REUSEADDR))
show("too much room", lambda: s.getsockopt(SOL, REUSEADDR, 2000))
show("negative room", lambda: s.getsockopt(SOL, REUSEADDR, -1))
show("a str", lambda: s.setsockopt(SOL, REUSEADDR, "1"))
show("closed", lambda: (s.close(), s.getsockopt(SOL, REUSEADDR)))
