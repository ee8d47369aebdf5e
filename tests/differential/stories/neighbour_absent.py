"""Nobody answers the question for the neighbour's address: who hears of it, by which call, and how often."""
from story import *

GONE, GONE6 = "10.77.0.97", "fd77::97"


def error(sock):
    return errno.errorcode.get(found := sock.getsockopt(SOL, socket.SO_ERROR), found)


def connecting(what, sock, address):
    sock.setblocking(False)
    show(f"{what}: connect", errno.errorcode[sock.connect_ex(address)])
    show(f"{what}: meanwhile", events(sock))
    show(f"{what}: again meanwhile", errno.errorcode[sock.connect_ex(address)])
    return sock


def failed(what, sock):
    until(lambda: "ERR" in events(sock), 8.0)
    show(f"{what}: afterwards", events(sock))
    readable, writable, _ = select.select([sock], [sock], [sock], 0)
    show(f"{what}: select", (bool(readable), bool(writable)))


# The error is heard once: by getsockopt, by connect, by recv or by send.
first = connecting("getsockopt", tcp(), (GONE, 80))
second = connecting("connect", tcp(), (GONE, 81))
third = connecting("recv", tcp(), (GONE, 82))
fourth = connecting("send", tcp(), (GONE, 83))
v6 = connecting("IPv6", socket.socket(socket.AF_INET6, TCP), (GONE6, 80))

failed("getsockopt", first)
show("SO_ERROR", error(first))
show("SO_ERROR again", error(first))
show("readiness after it", events(first))
show("recv after it", lambda: first.recv(1))
failed("connect", second)
show("connect again", errno.errorcode[second.connect_ex((GONE, 81))])
show("SO_ERROR then", error(second))
failed("recv", third)
show("recv", lambda: third.recv(1))
show("send", lambda: third.send(b"x"))
failed("send", fourth)
show("send first", lambda: fourth.send(b"x"))
show("recv then", lambda: fourth.recv(1))
failed("IPv6", v6)
show("IPv6 SO_ERROR", error(v6))

# A time-out that is long enough. (A socket that blocks: `connect_unreachable`.)
patient = tcp()
patient.settimeout(8)
show("time-out", lambda: patient.connect((GONE, 85)))
show("time-out, SO_ERROR", error(patient))


# Datagrams: one is lost in silence, unless the program asked for errors.
def queued(sock):
    data, ancillary, flags, address = sock.recvmsg(100, 200, socket.MSG_ERRQUEUE)
    _, _, content = ancillary[0]
    number, origin, kind, code = struct.unpack("IBBB", content[:7])
    return data, errno.errorcode[number], origin, kind, code, address


def sending(family, address, *option):
    sock = socket.socket(family, UDP)
    sock.setblocking(False)
    if option:
        sock.setsockopt(*option, 1)
    sock.connect(address)
    show(f"{address[0]}: send", lambda: sock.send(b"datagram"))
    return sock


sockets = {
    "UDP": sending(socket.AF_INET, (GONE, 86)),
    "UDP6": sending(socket.AF_INET6, (GONE6, 86)),
    "UDP, IP_RECVERR": sending(socket.AF_INET, (GONE, 87), socket.IPPROTO_IP, 11),
    "UDP6, IPV6_RECVERR": sending(socket.AF_INET6, (GONE6, 87), socket.IPPROTO_IPV6, 25),
}
until(lambda: all("ERR" in events(sock) for what, sock in sockets.items() if "RECVERR" in what), 8.0)
settle()
for what, sock in sockets.items():
    show(f"{what}: afterwards", events(sock))
    show(f"{what}: SO_ERROR", error(sock))
    show(f"{what}: recv", lambda: sock.recv(10))
    show(f"{what}: queue", lambda: queued(sock))
    show(f"{what}: at last", events(sock))

# A connection's error stands in the queue as well, with IPv4 unasked.
for what, sock in (("getsockopt", first), ("connect", second), ("recv", third), ("IPv6", v6)):
    show(f"{what}: queue", lambda: queued(sock)[1:])
    show(f"{what}: at last", events(sock))
