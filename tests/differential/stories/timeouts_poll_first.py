"""With a time-out CPython asks poll(2) first: mistakes may look like patience."""
from story import *


def slow(made):
    made.settimeout(0.15)
    return made


l = listener(5000)
show("listener: recv", lambda: slow(l).recv(1))
show("listener: send", lambda: l.send(b"x"))
show("datagram: accept", lambda: slow(udp()).accept())
show("fresh stream: accept", lambda: slow(tcp()).accept())
show("fresh stream: recv", lambda: slow(tcp()).recv(1))
show("fresh stream: send", lambda: slow(tcp()).send(b"x"))
show("bound: accept", lambda: slow(tcp(5001)).accept())
s = pair(5002)
show("connected: accept", lambda: slow(s).accept())
show("datagram: send without a peer", lambda: slow(udp()).send(b"x"))
show("datagram: too long", lambda: slow(udp()).sendto(bytes(70000), (THERE, 9)))
show("recvfrom fresh datagram", lambda: slow(udp()).recvfrom(10))
show("MSG_DONTWAIT", lambda: s.recv(1, socket.MSG_DONTWAIT))
show("MSG_OOB", lambda: s.recv(1, socket.MSG_OOB))
there("conn.send(b'abc')")
show("WAITALL", lambda: s.recv(5, socket.MSG_WAITALL))
show("errqueue", lambda: s.recvmsg(10, 100, socket.MSG_ERRQUEUE))
