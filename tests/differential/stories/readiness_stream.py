"""poll(2) of a connection, from its birth to its end."""
from story import *

there("server = listener(5000)")
s = tcp()
s.setblocking(False)
s.connect_ex((THERE, 5000))
settle()
show("connected", events(s))
show("listener", there("events(server)"))
there("conn, _ = server.accept()")
show("listener, after accept", there("events(server)"))
there("conn.send(b'data')")
settle()
show("with data", events(s))
show("only OUT asked", lambda: (lambda p: (p.register(s, select.POLLOUT), p.poll(0))[1][0][1])(select.poll()))
show("only PRI asked", lambda: (lambda p: (p.register(s, select.POLLPRI), p.poll(0))[1])(select.poll()))
s.recv(10)
show("read", events(s))
there("conn.shutdown(socket.SHUT_WR)")
settle()
show("they ended", events(s))
s.shutdown(socket.SHUT_WR)
settle()
show("both ended", events(s))
show("there", there("events(conn)"))
there("conn.close()")
show("select", [len(x) for x in select.select([s], [s], [s], 0)])

s = pair(5001)
s.setblocking(False)
total = 0
try:
    while True:
        total += s.send(bytes(65536))
except BlockingIOError as error:
    show("full", error)
show("full", events(s))
show("much was taken", total > 100_000)
there("got = 0")
there(f"""
while got < {total}:
    got += len(conn.recv(1 << 20))
""")
settle()
show("empty again", events(s))
show("all came", there("got") == total)
