"""Names, options, errors, ancillary data and error queues of IP sockets, one line each.

`expected.txt` is what Linux 6.18 says to the same program in a network namespace with one interface, eth0, which has
02:00:00:00:00:01, 10.0.0.1/24 and fd00::1/64, no default route, and a neighbour with 10.0.0.2 and fd00::2.
"""

import socket, struct, errno, os

S = socket


def t(name, f):
    try:
        r = f()
    except OSError as e:
        r = f"{type(e).__name__} {errno.errorcode.get(e.errno,e.errno)}"
    except Exception as e:
        r = f"{type(e).__name__}: {e}"
    print(f"{name}: {r}", flush=True)


def sk(f=S.AF_INET6, k=S.SOCK_DGRAM, p=0):
    s = S.socket(f, k, p)
    s.settimeout(1.0)
    return s


peer6 = "fd00::2"
ll = "fe80::ff:fe00:2"
me6 = "fd00::1"
me4 = "10.0.0.1"
peer4 = "10.0.0.2"
T = S.SOCK_STREAM
U = S.SOCK_DGRAM
t("udp sendto ll no scope", lambda: sk().sendto(b"x", (ll, 9)))
t("udp connect ll no scope", lambda: sk().connect((ll, 9)))
t("tcp connect ll no scope", lambda: sk(k=T).connect((ll, 9)))
t("tcp connect ll bad scope", lambda: sk(k=T).connect((ll, 9, 0, 77)))
t("udp send ll bad scope", lambda: sk().sendto(b"x", (ll, 9, 0, 77)))
t("bind ll no scope", lambda: sk().bind(("fe80::ff:fe00:1", 0)))
t("bind ll bad scope", lambda: sk().bind(("fe80::ff:fe00:1", 0, 0, 77)))
t(
    "bind ll ok",
    lambda: (lambda s: (s.bind(("fe80::ff:fe00:1", 5555, 0, S.if_nametoindex("eth0"))), s.getsockname()))(sk())[1],
)
t(
    "bind global with scope",
    lambda: (lambda s: (s.bind((me6, 5555, 0, S.if_nametoindex("eth0"))), s.getsockname()))(sk())[1],
)
t("bind not mine", lambda: sk().bind(("fd00::99", 0)))
t("tcp bind mc", lambda: sk(k=T).bind(("ff02::1", 0)))
t("udp bind mc ff02 noscope", lambda: sk().bind(("ff02::1", 0)))
t("udp bind mc ff05", lambda: (lambda s: (s.bind(("ff05::1:5", 5556)), s.getsockname()))(sk())[1])
t("mapped bind", lambda: (lambda s: (s.bind(("::ffff:10.0.0.1", 5557)), s.getsockname()))(sk())[1])


def v6o(s):
    s.setsockopt(41, 26, 1)
    return s


t("mapped bind v6only", lambda: v6o(sk()).bind(("::ffff:10.0.0.1", 5557)))
t("mapped tcp connect v6only", lambda: v6o(sk(k=T)).connect(("::ffff:10.0.0.2", 81)))
t("mapped udp connect v6only", lambda: v6o(sk()).connect(("::ffff:10.0.0.2", 81)))
t("mapped udp send v6only", lambda: v6o(sk()).sendto(b"x", ("::ffff:10.0.0.2", 81)))


def b6(k=U):
    s = sk(k=k)
    s.bind((me6, 0))
    return s


def b4m(k=U):
    s = sk(k=k)
    s.bind(("::ffff:10.0.0.1", 0))
    return s


t("v6bound udp send mapped", lambda: b6().sendto(b"x", ("::ffff:10.0.0.2", 81)))
t("v6bound udp connect mapped", lambda: b6().connect(("::ffff:10.0.0.2", 81)))
t("v6bound tcp connect mapped", lambda: b6(T).connect(("::ffff:10.0.0.2", 81)))
t("mapped bound udp send v6", lambda: b4m().sendto(b"x", (peer6, 81)))
t("mapped bound udp connect v6", lambda: b4m().connect((peer6, 81)))
t("mapped bound tcp connect v6", lambda: b4m(T).connect((peer6, 81)))


def both(f1, a1, f2, a2, k=T, only=False, reuse=False):
    x = sk(f1, k)
    y = sk(f2, k)
    for s in (x, y):
        if reuse:
            s.setsockopt(1, 2, 1)
        if only and s.family == S.AF_INET6:
            v6o(s)
    x.bind(a1)
    y.bind((a2[0], x.getsockname()[1]))
    if k == T:
        x.listen()
        y.listen()
    return "both"


for k in (T, U):
    t(f"{k} :: then 0.0.0.0", lambda: both(S.AF_INET6, ("::", 0), S.AF_INET, ("0.0.0.0", 0), k))
    t(f"{k} :: only then 0.0.0.0", lambda: both(S.AF_INET6, ("::", 0), S.AF_INET, ("0.0.0.0", 0), k, True))
    t(f"{k} 0.0.0.0 then ::", lambda: both(S.AF_INET, ("0.0.0.0", 0), S.AF_INET6, ("::", 0), k))
    t(f"{k} 127 then ::", lambda: both(S.AF_INET, ("127.0.0.1", 0), S.AF_INET6, ("::", 0), k))
    t(f"{k} 127 then fd00::1", lambda: both(S.AF_INET, ("127.0.0.1", 0), S.AF_INET6, (me6, 0), k))
    t(f"{k} ::1 then fd00::1", lambda: both(S.AF_INET6, ("::1", 0), S.AF_INET6, (me6, 0), k))
    t(f"{k} mapped then v4 same", lambda: both(S.AF_INET6, ("::ffff:10.0.0.1", 0), S.AF_INET, (me4, 0), k))
    t(f"{k} :: and 0 reuse", lambda: both(S.AF_INET6, ("::", 0), S.AF_INET, ("0.0.0.0", 0), k, False, True))
    t(f"{k} ::1 then 0.0.0.0", lambda: both(S.AF_INET6, ("::1", 0), S.AF_INET, ("0.0.0.0", 0), k))
t("udp6 size 65527", lambda: sk().sendto(b"x" * 65527, ("::1", 9)))
t("udp6 size 65528", lambda: sk().sendto(b"x" * 65528, ("::1", 9)))
t("udp6 size 65507+ mapped", lambda: sk().sendto(b"x" * 65508, ("::ffff:127.0.0.1", 9)))
t("udp6 port0", lambda: sk().sendto(b"x", (peer6, 0)))
t("udp6 noroute", lambda: sk().sendto(b"x", ("2001:db8::1", 9)))
t("tcp6 noroute", lambda: sk(k=T).connect(("2001:db8::1", 9)))
t("tcp6 multicast", lambda: sk(k=T).connect(("ff02::1", 9, 0, S.if_nametoindex("eth0"))))
t("tcp6 any", lambda: sk(k=T).connect(("::", 9)))
t("udp6 any name", lambda: (lambda s: (s.connect(("::", 9)), s.getpeername(), s.getsockname()[:1]))(sk())[1:])
t(
    "udp4mapped connect name",
    lambda: (lambda s: (s.connect(("::ffff:10.0.0.2", 9)), s.getpeername(), s.getsockname()[:1]))(sk())[1:],
)
t("udp6 unbound name", lambda: sk().getsockname())
t("udp6 sent name", lambda: (lambda s: (s.sendto(b"x", (peer6, 9)), s.getsockname()[0]))(sk())[1])
t("raw0", lambda: S.socket(S.AF_INET, S.SOCK_RAW, 0))
t("raw tcp name", lambda: sk(S.AF_INET, S.SOCK_RAW, 6).getsockname())
t("raw icmp name", lambda: sk(S.AF_INET, S.SOCK_RAW, 1).getsockname())
t("raw icmp6 name", lambda: sk(S.AF_INET6, S.SOCK_RAW, 58).getsockname())
t("raw 256", lambda: S.socket(S.AF_INET, S.SOCK_RAW, 256))
t("raw 300", lambda: S.socket(S.AF_INET, S.SOCK_RAW, 300))
t("raw -1", lambda: S.socket(S.AF_INET, S.SOCK_RAW, -2))
t("dgram tcp", lambda: S.socket(S.AF_INET, U, 6))
t("stream icmp", lambda: S.socket(S.AF_INET, T, 1))
t("dgram icmp6 on v4", lambda: S.socket(S.AF_INET, U, 58))
t("dgram icmp on v6", lambda: S.socket(S.AF_INET6, U, 1))
t("seqpacket", lambda: S.socket(S.AF_INET, 5, 0))
t("raw bind", lambda: (lambda s: (s.bind(("10.0.0.1", 99)), s.getsockname()))(sk(S.AF_INET, S.SOCK_RAW, 1))[1])
t(
    "raw bind twice",
    lambda: (lambda s: (s.bind(("10.0.0.1", 99)), s.bind(("10.0.0.1", 98)), s.getsockname()))(
        sk(S.AF_INET, S.SOCK_RAW, 1)
    )[2],
)
t("raw bind notmine", lambda: sk(S.AF_INET, S.SOCK_RAW, 1).bind(("10.0.0.9", 0)))
t(
    "raw connect names",
    lambda: (lambda s: (s.connect(("10.0.0.2", 7)), s.getsockname(), s.getpeername()))(sk(S.AF_INET, S.SOCK_RAW, 1))[
        1:
    ],
)
t(
    "raw connect port0 names",
    lambda: (lambda s: (s.connect(("10.0.0.2", 0)), s.getsockname(), s.getpeername()))(sk(S.AF_INET, S.SOCK_RAW, 1))[
        1:
    ],
)
t("raw send unconnected", lambda: sk(S.AF_INET, S.SOCK_RAW, 1).send(b"x"))
t("raw listen", lambda: sk(S.AF_INET, S.SOCK_RAW, 1).listen())
t(
    "raw hdrincl get",
    lambda: (sk(S.AF_INET, S.SOCK_RAW, 255).getsockopt(0, 3), sk(S.AF_INET, S.SOCK_RAW, 1).getsockopt(0, 3)),
)
t("hdrincl on udp", lambda: sk(S.AF_INET).setsockopt(0, 3, 1))
t("hdrincl get on udp", lambda: sk(S.AF_INET).getsockopt(0, 3))


def hi(b, to):
    s = sk(S.AF_INET, S.SOCK_RAW, 255)
    return s.sendto(b, to)


t("hdrincl short", lambda: hi(b"E" * 10, ("10.0.0.2", 0)))
t("hdrincl long", lambda: hi(b"E" + b"\0" * 1500, ("10.0.0.2", 0)))
t("raw long", lambda: sk(S.AF_INET, S.SOCK_RAW, 1).sendto(b"\x08" + b"\0" * 65535, ("10.0.0.2", 0)))


def ping(f=S.AF_INET, p=1):
    return sk(f, U, p)


t("ping open", lambda: ping().getsockname())
t("ping bind", lambda: (lambda s: (s.bind(("0.0.0.0", 77)), s.getsockname()))(ping())[1])


def two():
    a = ping()
    b = ping()
    a.bind(("", 4242))
    b.bind(("", 4242))
    return "both"


t("ping bind same", two)
t("ping bind notmine", lambda: ping().bind(("10.0.0.9", 0)))
t("ping short", lambda: ping().sendto(b"\x08\0\0", ("10.0.0.2", 0)))
t("ping wrong type", lambda: ping().sendto(b"\0" * 8, ("10.0.0.2", 0)))
t("ping nodest", lambda: ping().send(b"\x08" + b"\0" * 7))


def pingpong(f, p, ty, to):
    s = ping(f, p)
    s.setsockopt(0 if f == 2 else 41, 12 if f == 2 else 51, 1)
    s.sendto(bytes([ty, 0, 0, 0, 0x12, 0x34, 0, 1]) + b"abcd", to)
    d, anc, fl, frm = s.recvmsg(100, 200)
    n = s.getsockname()
    return (
        d[:2],
        d[6:],
        struct.unpack("!H", d[4:6])[0] == n[1],
        [(l, ty, struct.unpack("i", x)[0]) for l, ty, x in anc],
        fl,
        frm,
    )


t("ping 4", lambda: pingpong(S.AF_INET, 1, 8, ("10.0.0.2", 55)))
t("ping 6", lambda: pingpong(S.AF_INET6, 58, 128, ("fd00::2", 55)))
t("ping lo", lambda: pingpong(S.AF_INET, 1, 8, ("127.0.0.1", 0)))
t("ping6 lo", lambda: pingpong(S.AF_INET6, 58, 128, ("::1", 0)))


def rawping():
    s = sk(S.AF_INET, S.SOCK_RAW, 1)
    pkt = bytes([8, 0, 0, 0, 0x12, 0x34, 0, 1]) + b"abcd"
    c = sum(struct.unpack("!6H", pkt))
    c = (c >> 16) + (c & 0xFFFF)
    c = ~c & 0xFFFF
    s.sendto(pkt[:2] + struct.pack("!H", c) + pkt[4:], ("10.0.0.2", 3))
    d, f = s.recvfrom(200)
    return d[0], d[6], d[8], d[9], d[20:22].hex(), d[24:], len(d), f


t("rawping", rawping)


def rawping6():
    s = sk(S.AF_INET6, S.SOCK_RAW, 58)
    s.sendto(bytes([128, 0, 0, 0, 0x12, 0x34, 0, 1]) + b"abcd", ("fd00::2", 3))
    while True:
        d, f = s.recvfrom(200)
        if d[0] == 129:
            return d[:2], d[4:], f


t("rawping6", rawping6)


def rawlo():
    s = sk(S.AF_INET, S.SOCK_RAW, 1)
    pkt = bytes([8, 0, 0, 0, 0x12, 0x34, 0, 1]) + b"abcd"
    c = sum(struct.unpack("!6H", pkt))
    c = (c >> 16) + (c & 0xFFFF)
    c = ~c & 0xFFFF
    s.sendto(pkt[:2] + struct.pack("!H", c) + pkt[4:], ("127.0.0.1", 3))
    out = []
    for _ in range(2):
        d, f = s.recvfrom(200)
        out.append((d[20], f))
    return out


t("rawlo", rawlo)


def err(f, to, opt, lvl, size=1, conn=False, ttl=None, bind=None):
    s = sk(f)
    s.setsockopt(lvl, opt, 1)
    s.settimeout(5)
    if conn:
        s.connect(to)
        s.send(b"q" * size)
    else:
        s.sendto(b"q" * size, to)
    try:
        r = s.recv(10)
    except OSError as e:
        r = errno.errorcode.get(e.errno, str(e))
    try:
        d, anc, fl, frm = s.recvmsg(512, 512, 0x2000)
        a = [(l, ty, x.hex()) for l, ty, x in anc]
    except OSError as e:
        return r, errno.errorcode.get(e.errno)
    try:
        s.recvmsg(512, 512, 0x2000)
        x = "more"
    except OSError as e:
        x = errno.errorcode.get(e.errno)
    return r, d, a, fl, frm, x


t("err refused", lambda: err(S.AF_INET, ("10.0.0.2", 9), 11, 0))
t("err refused conn", lambda: err(S.AF_INET, ("10.0.0.2", 9), 11, 0, conn=True))
t("err refused6", lambda: err(S.AF_INET6, ("fd00::2", 9), 25, 41))
t("err noneigh", lambda: err(S.AF_INET, ("10.0.0.77", 9), 11, 0))
t("err noneigh6", lambda: err(S.AF_INET6, ("fd00::77", 9), 25, 41))


def big(f, lvl, disc, recverr, size, to):
    s = sk(f)
    s.setsockopt(lvl, disc, 2)
    s.setsockopt(lvl, recverr, 1)
    try:
        return s.sendto(b"x" * size, to)
    except OSError as e:
        r = errno.errorcode[e.errno]
    d, anc, fl, frm = s.recvmsg(512, 512, 0x2000)
    return r, len(d), [(l, ty, x.hex()) for l, ty, x in anc], fl, frm


t("big4 1472", lambda: big(S.AF_INET, 0, 10, 11, 1472, ("10.0.0.2", 9)))
t("big4 1473", lambda: big(S.AF_INET, 0, 10, 11, 1473, ("10.0.0.2", 9)))
t("big6 1452", lambda: big(S.AF_INET6, 41, 23, 25, 1452, ("fd00::2", 9)))
t("big6 1453", lambda: big(S.AF_INET6, 41, 23, 25, 1453, ("fd00::2", 9)))


def mc(lvl, opt, val, f=S.AF_INET, k=U):
    s = sk(f, k)
    s.setsockopt(lvl, opt, val)
    return "ok"


m4 = S.inet_aton("224.1.1.1")
t("join any", lambda: mc(0, 35, m4 + S.inet_aton("0.0.0.0")))
t("join mine", lambda: mc(0, 35, m4 + S.inet_aton(me4)))
t("join other", lambda: mc(0, 35, m4 + S.inet_aton("10.0.0.9")))
t("join not mc", lambda: mc(0, 35, S.inet_aton("10.1.1.1") + S.inet_aton(me4)))
t("join short", lambda: mc(0, 35, m4))
t("join tcp", lambda: mc(0, 35, m4 + S.inet_aton(me4), k=T))
t("drop none", lambda: mc(0, 36, m4 + S.inet_aton(me4)))


def jj():
    s = sk(S.AF_INET)
    s.setsockopt(0, 35, m4 + S.inet_aton(me4))
    s.setsockopt(0, 35, m4 + S.inet_aton(me4))


t("join twice", jj)
m6 = S.inet_pton(S.AF_INET6, "ff05::1:5")
t("join6", lambda: mc(41, 20, m6 + struct.pack("I", S.if_nametoindex("eth0")), S.AF_INET6))
t("join6 0", lambda: mc(41, 20, m6 + struct.pack("I", 0), S.AF_INET6))
t("join6 bad", lambda: mc(41, 20, m6 + struct.pack("I", 77), S.AF_INET6))
t("join6 notmc", lambda: mc(41, 20, S.inet_pton(S.AF_INET6, "fd00::5") + struct.pack("I", 0), S.AF_INET6))
t("leave6 none", lambda: mc(41, 21, m6 + struct.pack("I", 0), S.AF_INET6))
t("join6 tcp", lambda: mc(41, 20, m6 + struct.pack("I", 0), S.AF_INET6, T))
t("v6 opt on v4", lambda: mc(41, 26, 1))
t("v6only after bind", lambda: (lambda s: (s.bind(("::", 0)), s.setsockopt(41, 26, 1)))(sk()))
for lvl, n, f in [
    (0, 1, 2),
    (0, 2, 2),
    (0, 8, 2),
    (0, 10, 2),
    (0, 11, 2),
    (0, 12, 2),
    (0, 13, 2),
    (0, 14, 2),
    (0, 33, 2),
    (0, 34, 2),
    (0, 49, 2),
    (0, 32, 2),
    (41, 16, 10),
    (41, 17, 10),
    (41, 18, 10),
    (41, 19, 10),
    (41, 23, 10),
    (41, 24, 10),
    (41, 25, 10),
    (41, 26, 10),
    (41, 29, 10),
    (41, 49, 10),
    (41, 51, 10),
    (41, 62, 10),
    (41, 66, 10),
    (41, 67, 10),
    (0, 2, 10),
    (0, 33, 10),
    (41, 26, 2),
]:
    for k in (T, U):
        t(f"get {lvl} {n} {f} {k}", lambda: sk(f, k).getsockopt(lvl, n))
for lvl, n, v, f in [
    (0, 2, 0, 2),
    (0, 2, 256, 2),
    (0, 2, -1, 2),
    (0, 33, 256, 2),
    (0, 33, -1, 2),
    (0, 33, b"\x20", 2),
    (0, 34, 0, 2),
    (0, 34, b"\0", 2),
    (0, 10, 7, 2),
    (41, 16, 256, 10),
    (41, 16, -2, 10),
    (41, 16, -1, 10),
    (41, 18, 256, 10),
    (41, 67, 256, 10),
    (41, 67, -1, 10),
    (41, 17, 77, 10),
    (41, 16, b"\5", 10),
    (0, 32, S.inet_aton("10.0.0.9"), 2),
    (0, 32, S.inet_aton("10.0.0.1"), 2),
]:
    for k in (T, U):
        t(f"set {lvl} {n} {v} {f} {k}", lambda: sk(f, k).setsockopt(lvl, n, v))
t("bindtodevice", lambda: (lambda s: (s.setsockopt(1, 25, b"eth0"), s.getsockopt(1, 25, 16)))(sk(S.AF_INET))[1])
t("bindtodevice none", lambda: sk(S.AF_INET).setsockopt(1, 25, b"eth9"))
t("bindtodevice get", lambda: sk(S.AF_INET).getsockopt(1, 25, 16))
t("send 255 no bcast", lambda: sk(S.AF_INET).sendto(b"x", ("255.255.255.255", 9)))


def bc(a, b=None):
    s = sk(S.AF_INET)
    s.setsockopt(1, 6, 1)
    if b:
        s.bind((b, 0))
    return s.sendto(b"x", (a, 9))


t("send 255 bcast", lambda: bc("255.255.255.255"))
t("send 255 bcast bound", lambda: bc("255.255.255.255", me4))
t("send subnet bcast", lambda: bc("10.0.0.255"))
t("send subnet no bcast", lambda: sk(S.AF_INET).sendto(b"x", ("10.0.0.255", 9)))
t("send mc no route", lambda: sk(S.AF_INET).sendto(b"x", ("224.1.1.1", 9)))


def mcif(to="224.1.1.1"):
    s = sk(S.AF_INET)
    s.setsockopt(0, 32, S.inet_aton(me4))
    return s.sendto(b"x", (to, 9))


t("send mc if", mcif)
t("send mc6", lambda: sk().sendto(b"x", ("ff05::1:5", 9)))
t("send mc6 ll", lambda: sk().sendto(b"x", ("ff02::1:5", 9)))


def loop(f, grp, j, any_):
    r = sk(f)
    r.bind((any_, 6060))
    if f == 2:
        r.setsockopt(0, 35, S.inet_aton(grp) + S.inet_aton(me4))
        r.setsockopt(0, 8, 1)
        r.setsockopt(0, 12, 1)
    else:
        r.setsockopt(41, 20, S.inet_pton(f, grp) + struct.pack("I", S.if_nametoindex("eth0")))
        r.setsockopt(41, 49, 1)
        r.setsockopt(41, 51, 1)
    s = sk(f)
    if f == 2:
        s.setsockopt(0, 32, S.inet_aton(me4))
    s.sendto(b"hi", (grp, 6060))
    d, a, fl, frm = r.recvmsg(50, 200)
    return d, [(l, t, x.hex()) for l, t, x in a], frm[0], frm[2:]


t("mc loop 4", lambda: loop(2, "224.1.1.1", 0, ""))
t("mc loop 6", lambda: loop(10, "ff05::1:5", 0, "::"))


def dual():
    l = sk(k=T)
    l.bind(("::", 0))
    l.listen()
    p = l.getsockname()[1]
    c = sk(2, T)
    c.connect(("127.0.0.1", p))
    a, f = l.accept()
    return f[0], a.getsockname()[0], a.family, a.getpeername()[2:]


t("dual accept", dual)


def dualudp():
    l = sk()
    l.bind(("::", 0))
    p = l.getsockname()[1]
    l.setsockopt(41, 49, 1)
    l.setsockopt(0, 12, 1)
    l.setsockopt(0, 8, 1)
    c = sk(2)
    c.sendto(b"x", ("127.0.0.1", p))
    d, a, fl, f = l.recvmsg(10, 300)
    l.sendto(b"y", f)
    return f[0], f[2:], c.recv(9), [(l, t, x.hex()) for l, t, x in a]


t("dual udp", dualudp)


def pkt6():
    l = sk()
    l.bind(("::", 0))
    p = l.getsockname()[1]
    l.setsockopt(41, 49, 1)
    l.setsockopt(41, 51, 1)
    l.setsockopt(41, 66, 1)
    c = sk()
    c.sendto(b"x", ("::1", p))
    d, a, fl, f = l.recvmsg(10, 300)
    return f[0], f[2:], [(l, t, x.hex()) for l, t, x in a]


t("pktinfo6", pkt6)


def small():
    l = sk()
    l.bind(("::", 0))
    p = l.getsockname()[1]
    l.setsockopt(41, 49, 1)
    l.setsockopt(41, 51, 1)
    c = sk()
    c.sendto(b"x", ("::1", p))
    d, a, fl, f = l.recvmsg(10, 36)
    return [(l, t, len(x)) for l, t, x in a], fl


t("ctrunc", small)
t("gai", lambda: S.getaddrinfo("::1", 80, 0, T))
t("gai ll", lambda: S.getaddrinfo("fe80::1%eth0", 80, 0, T)[0][4][:3])
t("gai mapped", lambda: S.getaddrinfo("127.0.0.1", 80, S.AF_INET6, T, 0, S.AI_V4MAPPED))
t("gai v4 as v6", lambda: S.getaddrinfo("127.0.0.1", 80, S.AF_INET6, T))
t("gai badscope", lambda: S.getaddrinfo("fe80::1%foo", 80, 0, T))
t("gni", lambda: S.getnameinfo(("fe80::1", 80, 0, S.if_nametoindex("eth0")), 3))
t("gni6", lambda: S.getnameinfo(("fd00::5", 80, 0, 0), 3))
t("flowinfo", lambda: sk().bind(("::", 0, 1 << 20)))
t("4tuple on v4", lambda: sk(2).bind(("127.0.0.1", 0, 0, 0)))
t("5tuple", lambda: sk().bind(("::", 0, 0, 0, 0)))
t("connect %eth0 name", lambda: (lambda s: (s.connect(("fe80::ff:fe00:2%eth0", 9)), s.getpeername()))(sk())[1])
t("raw6 hdr", lambda: (lambda s: (s.connect(("fd00::2", 0)), s.getpeername()))(sk(10, 3, 58))[1])
t("mtu", lambda: (lambda s: (s.connect(("10.0.0.2", 9)), s.getsockopt(0, 14)))(sk(2))[1])
t("mtu6", lambda: (lambda s: (s.connect(("fd00::2", 9)), s.getsockopt(41, 24)))(sk())[1])
t("maxseg6", lambda: (lambda s: s.getsockopt(6, 2))(sk(k=T)))
