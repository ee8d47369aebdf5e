"""socket.sendfile, and files in both directions."""
from story import *

with open("data.bin", "wb") as f:
    f.write(bytes(range(256)) * 400)
s = pair()
there("""
def read_all():
    got = b""
    while data := conn.recv(65536):
        got += data
    return len(got), got[:4], got[-4:]
""")
with open("data.bin", "rb") as f:
    reading = there.later("read_all()")
    show("sent", s.sendfile(f))
    show("position", f.tell())
    s.shutdown(socket.SHUT_WR)
    show("received", reading())
s = pair(5001)
with open("data.bin", "rb") as f:
    reading = there.later("read_all()")
    show("a part", s.sendfile(f, offset=100, count=1000))
    show("position", f.tell())
    s.shutdown(socket.SHUT_WR)
    show("received", reading())
    show("after the end", lambda: s.sendfile(f))
    show("bad count", lambda: s.sendfile(f, count=-1))
    s.setblocking(False)
    show("non-blocking", lambda: s.sendfile(f))
show("datagrams", lambda: udp().sendfile(open("data.bin", "rb")))
show("text", lambda: pair(5002).sendfile(open("data.bin", "r", encoding="latin-1")))
