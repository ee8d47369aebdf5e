"""Ancillary data of datagrams: destination, TTL, TOS."""
from story import *

IP = socket.IPPROTO_IP
there("u = udp(5000, ''); u.settimeout(2)")
u = udp(6000)
for name, number in (("IP_PKTINFO", 8), ("IP_RECVTTL", 12), ("IP_RECVTOS", 13)):
    there(f"u.setsockopt(socket.IPPROTO_IP, {number}, 1)")
    u.setsockopt(IP, socket.IP_TTL, 33)
    u.setsockopt(IP, socket.IP_TOS, 0x10)
    u.sendto(b"x", (THERE, 5000))
    found = there("u.recvmsg(10, 200)")
    # The number of the interface is the machine's.
    show(name, [(level, kind, data[4:] if kind == 8 else data) for level, kind, data in found[1]])
    show("flags", (found[0], found[2]))
    there(f"u.setsockopt(socket.IPPROTO_IP, {number}, 0)")
there("u.setsockopt(socket.IPPROTO_IP, 12, 1)")
u.sendto(b"x", (THERE, 5000))
show("no room", there("u.recvmsg(10, 0)[:3]"))
u.sendto(b"x", (THERE, 5000))
show("little room", there("u.recvmsg(10, 18)[:3]"))
u.sendmsg([b"y"], [(IP, socket.IP_TTL, struct.pack("i", 7))], 0, (THERE, 5000))
show("TTL for one datagram", there("u.recvmsg(10, 100)[1]"))
show("bad TTL", lambda: u.sendmsg([b"y"], [(IP, socket.IP_TTL, struct.pack("i", 300))], 0, (THERE, 5000)))
show("unknown", lambda: u.sendmsg([b"y"], [(IP, 99, b"1234")], 0, (THERE, 5000)))
