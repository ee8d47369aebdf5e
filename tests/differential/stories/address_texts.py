"""inet_pton and its like, byte order, interfaces."""
from story import *

S = socket
for text in ("1.2.3.4", "1.2.3", "0x10.1", "010.1.1.1", "256.1.1.1", "1.2.3.4 ", "", "a", "1.2.3.4.5", "4294967295", "1.2.3.4x"):
    show(f"inet_aton({text!r})", lambda: S.inet_aton(text))
    show(f"inet_pton({text!r})", lambda: S.inet_pton(S.AF_INET, text))
for text in ("::", "::1", "fe80::1", "2001:db8::ff:0:1", "::ffff:1.2.3.4", "1::2::3", ":::", "12345::", "::1%lo", "::1.2.3"):
    show(f"inet_pton6({text!r})", lambda: S.inet_pton(S.AF_INET6, text))
for octets in (b"\1\2\3\4", b"\1\2\3", bytes(4)):
    show(f"inet_ntoa({octets!r})", lambda: S.inet_ntoa(octets))
    show(f"inet_ntop({octets!r})", lambda: S.inet_ntop(S.AF_INET, octets))
for octets in (bytes(16), bytes(15) + b"\1", bytes(10) + b"\xff\xff\1\2\3\4", b"\x20\1\r\xb8" + bytes(8) + b"\0\0\0\1",
               bytes(range(16)), b"\0\1" * 8, bytes(12) + b"\1\2\3\4", bytes(5)):
    show(f"inet_ntop6({octets!r})", lambda: S.inet_ntop(S.AF_INET6, octets))
show("bad family", lambda: S.inet_pton(99, "1.2.3.4"))
show("bad family back", lambda: S.inet_ntop(99, b"1234"))
show("htons", [S.htons(n) for n in (0, 1, 80, 65535)])
show("htonl", [S.htonl(n) for n in (0, 1, 0x01020304, 0xffffffff)])
show("ntohs too large", lambda: S.ntohs(65536))
show("htonl too large", lambda: S.htonl(1 << 32))
show("negative", lambda: S.htons(-1))
show("not a number", lambda: S.htons("1"))
show("interfaces", [name for _, name in S.if_nameindex()])
show("by name", S.if_indextoname(S.if_nametoindex("lo")))
show("unknown interface", lambda: S.if_nametoindex("nope0"))
show("unknown number", lambda: S.if_indextoname(900))
show("bind by number", lambda: (lambda s: (s.bind(("127.1", 5000)), s.getsockname())[1])(S.socket()))
show("bind by name", lambda: (lambda s: (s.bind(("here", 5001)), s.getsockname())[1])(S.socket()))
show("connect to a bad name", lambda: S.socket().connect(("no such host", 1)))
show("address is a list", lambda: S.socket().bind(["127.0.0.1", 1]))
show("three parts", lambda: S.socket().bind(("127.0.0.1", 1, 2)))
show("port is text", lambda: S.socket().bind(("127.0.0.1", "1")))
show("port too large", lambda: S.socket().bind(("127.0.0.1", 65536)))
show("IPv6 text", lambda: S.socket().bind(("::1", 1)))
show("None", lambda: S.socket().bind((None, 1)))
