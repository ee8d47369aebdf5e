"""A full receive buffer drops without a word."""
from story import *

there("u = udp(5000); u.setsockopt(SOL, socket.SO_RCVBUF, 4096)")
show("doubled", there("u.getsockopt(SOL, socket.SO_RCVBUF)"))
u = udp(6000)
for _ in range(50):
    u.sendto(bytes(1000), (THERE, 5000))
settle()
there("u.setblocking(False); got = 0")
there("""
try:
    while True:
        got += len(u.recv(2000)) == 1000
except BlockingIOError:
    pass
""")
show("fewer than were sent", there("0 < got < 50"))
u.sendto(b"room again", (THERE, 5000))
settle()
show("room again", there("u.recv(100)"))
there("u.setsockopt(SOL, socket.SO_RCVBUF, 0)")
show("least", there("u.getsockopt(SOL, socket.SO_RCVBUF)"))
there("u.setsockopt(SOL, socket.SO_SNDBUF, 0)")
show("least to send", there("u.getsockopt(SOL, socket.SO_SNDBUF)"))
show("larger than that", lambda: there(f"u.sendto(bytes(10000), ('{HERE}', 6000))"))
show("even one", lambda: there(f"u.sendto(bytes(2000), ('{HERE}', 6000))"))
