"""A megabyte each way at the same time, in odd pieces."""
import hashlib
from story import *

s = pair()
there("""
import hashlib

def both(connection, seed, size):
    data = bytes((i * seed) & 255 for i in range(251)) * (size // 251 + 1)
    data = data[:size]
    thread = threading.Thread(target=send, args=(connection, data))
    thread.start()
    h = hashlib.sha256()
    got = 0
    while piece := connection.recv(7001):
        h.update(piece)
        got += len(piece)
    thread.join()
    return got, h.hexdigest()[:16]

def send(connection, data):
    at = 0
    step = 1
    while at < len(data):
        connection.sendall(data[at:at + step])
        at += step
        step = step * 3 % 50_021 + 1
    connection.shutdown(socket.SHUT_WR)
""")
theirs = there.later("both(conn, 3, 1_000_000)")


def send(data):
    at = 0
    while at < len(data):
        at += s.send(data[at : at + 33_333])
    s.shutdown(socket.SHUT_WR)


mine = bytes(i % 253 for i in range(1_000_003))
sender = threading.Thread(target=send, args=(mine,))
sender.start()
h = hashlib.sha256()
got = 0
while piece := s.recv(10_000):
    h.update(piece)
    got += len(piece)
sender.join()
show("we got", (got, h.hexdigest()[:16]))
show("they got", theirs())
show("what we sent", hashlib.sha256(mine).hexdigest()[:16])
settle()
show("states", (state(s), there("state(conn)")))
