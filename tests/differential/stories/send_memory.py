"""How much one send(2) that may not block takes: the send buffer counts memory, and the kernel looks at its limit only
before it begins a buffer of a burst's size."""
from story import *

there("server = socket.create_server(('', 8001))")
own = socket.create_server(("127.0.0.1", 8002))
PEERS = {"over the network": (THERE, 8001), "on lo": ("127.0.0.1", 8002)}
taken = []


def writer(peer, *options, size=None):
    sock = socket.socket()
    # Without SO_SNDBUF the size depends on the congestion control, and the machine's may be another one.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    if size:
        sock.setsockopt(SOL, socket.SO_SNDBUF, size)
    sock.connect(peer)
    for name, value in options:
        sock.setsockopt(socket.IPPROTO_TCP, name, value)
    sock.setblocking(False)
    taken.append(sock)
    return sock


# Over the network it depends on how the kernel was configured (`MAX_TCP_HEADER`).
sock = writer(PEERS["on lo"])
show("the buffer on lo", lambda: sock.getsockopt(SOL, socket.SO_SNDBUF))

for where, peer in PEERS.items():
    for size in 1, 3_000, 8_000, 20_000, 40_000, 60_000, 100_000:
        sock = writer(peer, size=size)
        show(f"{where}, {size}", lambda: sock.send(bytes(10_000_000)))
    sock = writer(peer, size=20_000)
    show(f"{where}, after a small one", lambda: (sock.send(b"x" * 100), sock.send(bytes(10_000_000))))
    sock = writer(peer, (socket.TCP_CORK, 1), size=20_000)
    show(f"{where}, corked", lambda: (sock.send(b"x" * 100), sock.send(bytes(10_000_000))))
    for low in 1, 10_000, 20_000, 70_000:
        sock = writer(peer, (socket.TCP_NOTSENT_LOWAT, low), size=100_000)
        show(f"{where}, {low} octets not sent", lambda: sock.send(bytes(10_000_000)))
    settle()
    for sock in taken:
        sock.close()
