"""Groups: joining, sending, leaving."""
from story import *

GROUP, IP = "239.1.2.3", socket.IPPROTO_IP


def membership(address=HERE):
    return socket.inet_aton(GROUP) + socket.inet_aton(address)


there(f"""
def membership():
    return socket.inet_aton('{GROUP}') + socket.inet_aton(THERE)

u = socket.socket(type=UDP)
u.bind(('', 5000))
u.settimeout(0.4)
""")
u = udp(6000)
u.setsockopt(IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
u.sendto(b"nobody listens", (GROUP, 5000))
show("not joined", lambda: there("u.recv(100)"))
there("u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership())")
show("sent", u.sendto(b"to the group", (GROUP, 5000)))
show("joined", lambda: there("u.recvfrom(100)"))
show("join again", lambda: there("u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership())"))
show("not a group", lambda: u.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("10.1.1.1") + socket.inet_aton(HERE)))
show("no such interface", lambda: u.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, membership("10.99.9.9")))
show("leave what was not joined", lambda: u.setsockopt(IP, socket.IP_DROP_MEMBERSHIP, membership()))
show("too short", lambda: u.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, b"1234"))
show("TTL", (u.getsockopt(IP, socket.IP_MULTICAST_TTL), u.getsockopt(IP, socket.IP_MULTICAST_LOOP)))
own = socket.socket(type=UDP)
own.bind(("", 5000))
own.settimeout(0.4)
own.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, membership())
u.sendto(b"looped", (GROUP, 5000))
show("our own copy", lambda: own.recv(100))
show("theirs", lambda: there("u.recv(100)"))
u.setsockopt(IP, socket.IP_MULTICAST_LOOP, 0)
u.sendto(b"not looped", (GROUP, 5000))
show("no copy", lambda: own.recv(100))
show("theirs", lambda: there("u.recv(100)"))
there("u.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, membership())")
u.sendto(b"after leaving", (GROUP, 5000))
show("left", lambda: there("u.recv(100)"))
there("b = socket.socket(type=UDP); b.setsockopt(SOL, REUSEADDR, 1)")
show("bound to the group", lambda: there(f"b.bind(('{GROUP}', 5001))"))
