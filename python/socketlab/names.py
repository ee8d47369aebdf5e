"""The part of `_socket` about names: host names, services, text forms of addresses, byte order. What a literal says
is decided here, everything else is asked of the world (`resolve`, `revresolve`)."""

import os
import re
from operator import index

from socketlab import sched
from socketlab.errors import exception, herror
from socketlab.like_c import like_c, wrong_arguments
from socketlab.linux import CONSTANTS

AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10

#: What a host name may look like; anything else is unknown without asking anyone.
_HOST_NAME = re.compile(rb"(?=.{1,253}\.?\Z)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*\.?\Z")

#: From services(5): what school books use. Port: (name, protocols).
_SERVICES = {
    7: ("echo", "tcp udp"),
    9: ("discard", "tcp udp"),
    13: ("daytime", "tcp udp"),
    19: ("chargen", "tcp udp"),
    20: ("ftp-data", "tcp"),
    21: ("ftp", "tcp"),
    22: ("ssh", "tcp"),
    23: ("telnet", "tcp"),
    25: ("smtp", "tcp"),
    37: ("time", "tcp udp"),
    43: ("whois", "tcp"),
    53: ("domain", "tcp udp"),
    67: ("bootps", "udp"),
    68: ("bootpc", "udp"),
    69: ("tftp", "udp"),
    70: ("gopher", "tcp"),
    79: ("finger", "tcp"),
    80: ("http", "tcp"),
    110: ("pop3", "tcp"),
    119: ("nntp", "tcp"),
    123: ("ntp", "udp"),
    143: ("imap2", "tcp"),
    161: ("snmp", "tcp udp"),
    179: ("bgp", "tcp"),
    194: ("irc", "tcp udp"),
    389: ("ldap", "tcp udp"),
    443: ("https", "tcp udp"),
    465: ("submissions", "tcp"),
    514: ("syslog", "udp"),
    587: ("submission", "tcp"),
    853: ("domain-s", "tcp udp"),
    993: ("imaps", "tcp"),
    995: ("pop3s", "tcp"),
    1883: ("mqtt", "tcp"),
    3306: ("mysql", "tcp"),
    5353: ("mdns", "udp"),
    5432: ("postgresql", "tcp"),
    8080: ("http-alt", "tcp udp"),
}
_PROTOCOLS = {"ip": 0, "icmp": 1, "tcp": 6, "udp": 17, "ipv6": 41, "ipv6-icmp": 58}


def host_bytes(host, otherwise="str, bytes or bytearray expected, not "):
    """A host argument as `idna_converter` in C reads it."""
    if isinstance(host, str):
        try:
            host = host.encode("ascii")
        except UnicodeEncodeError:
            try:
                host = host.encode("idna")
            except UnicodeError:
                raise TypeError("encoding of hostname failed") from None
    elif isinstance(host, (bytes, bytearray)):
        host = bytes(host)
    else:
        raise TypeError(otherwise + type(host).__name__)
    if b"\0" in host:
        raise TypeError("host name must not contain null character")
    return host


def parse_v4(text):
    """The four octets of `127.0.0.1`, `127.1` or `0x7f000001` as inet_aton(3) reads it, else None."""
    octets = []
    parts = text.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    for part in parts:
        if not (part.isascii() and part.isalnum() and part[0].isdigit()):
            return None
        try:
            if part[:2] in ("0x", "0X"):
                octets.append(int(part[2:] or "0", 16))
            else:
                octets.append(int(part, 8 if part[0] == "0" else 10))
        except ValueError:
            return None
    last = octets.pop()
    if any(octet > 255 for octet in octets) or last >= 1 << 8 * (4 - len(octets)):
        return None
    return bytes(octets) + last.to_bytes(4 - len(octets), "big")


def parse_v6(text):
    """The sixteen octets of an IPv6 literal, else None."""
    if ":" not in text:
        return None
    import ipaddress

    try:
        return ipaddress.IPv6Address(text.partition("%")[0]).packed
    except ValueError:
        return None


def _scope(text, octets):
    """The interface's number in `fe80::1%eth0` or `fe80::1%2`, 0 without one, None if there is no such interface."""
    zone = text.partition("%")[2]
    if not zone:
        return None if "%" in text else 0
    link_local = octets[:2] in (b"\xfe\x80", b"\xff\x01", b"\xff\x02")
    if link_local and not zone.isdigit():
        return next((number for number, name in if_nameindex() if name == zone), None)
    return int(zone) if zone.isdigit() else None


def text_v4(octets):
    return ".".join(map(str, octets))


def text_v6(octets):
    import ipaddress

    octets = bytes(octets)
    # inet_ntop(3) writes IPv4-mapped and IPv4-compatible addresses with dots.
    if octets.startswith(_MAPPED):
        return "::ffff:" + text_v4(octets[12:])
    if octets[:12] == bytes(12) and octets[12:14] != bytes(2):
        return "::" + text_v4(octets[12:])
    return str(ipaddress.IPv6Address(octets))


#: The first octets of an IPv4 address that is written as an IPv6 one (RFC 4291 2.5.5.2).
_MAPPED = bytes(10) + b"\xff\xff"


def lookup(host, family=AF_UNSPEC):
    """All addresses of a host name or literal: `[(family, numeric text)]`. `host` is bytes."""
    text = host.decode("latin-1")
    octets = parse_v4(text)
    if octets is not None:
        if family == AF_INET6:
            raise exception("EAI_ADDRFAMILY")
        return [(AF_INET, text_v4(octets))]
    octets = parse_v6(text)
    if octets is not None:
        if family == AF_INET:
            raise exception("EAI_ADDRFAMILY")
        if _scope(text, octets) is None:
            raise exception("EAI_NONAME")
        return [(AF_INET6, text_v6(octets))]
    if not _HOST_NAME.match(host):
        raise exception("EAI_NONAME")
    error, found = sched.call("resolve", text, family)
    if error is not None:
        raise exception(error, found)
    if not found:
        raise exception("EAI_NONAME")
    return found


def address(host, family):
    """The numeric address a `bind`, `connect` or `sendto` means by `host` (C: `setipaddr`). `host` is bytes."""
    if not host:
        return "0.0.0.0" if family == AF_INET else "::"
    if host == b"<broadcast>" and family == AF_INET:
        return "255.255.255.255"
    return lookup(host, family)[0][1]


def gethostname():
    error, name = sched.call("gethostname")
    if error is not None:
        raise exception(error, name)
    return name


def sethostname(name):
    raise exception("EPERM")


def gethostbyname(host):
    return address(host_bytes(host, "gethostbyname() argument 1 must be str, bytes or bytearray, not "), AF_INET)


def gethostbyname_ex(host):
    host = host_bytes(host)
    found = [text for family, text in lookup(host, AF_INET)] if host else ["0.0.0.0"]
    return host.decode("latin-1"), [], found


def gethostbyaddr(host):
    host = host_bytes(host)
    numeric = lookup(host)[0][1] if host else "0.0.0.0"
    error, name = sched.call("revresolve", numeric)
    if error is not None:
        raise herror(1, "Unknown host")
    return name, [], [numeric]


def getservbyname(servicename, protocolname=None, /):
    if not isinstance(servicename, str):
        raise TypeError(f"getservbyname() argument 1 must be str, not {type(servicename).__name__}")
    for port, (name, protocols) in _SERVICES.items():
        if name == servicename and (protocolname is None or protocolname in protocols.split()):
            return port
    raise OSError("service/proto not found")


def getservbyport(port, protocolname=None, /):
    if not 0 <= port <= 0xFFFF:
        raise OverflowError("getservbyport: port must be 0-65535.")
    name, protocols = _SERVICES.get(port, ("", ""))
    if not name or protocolname is not None and protocolname not in protocols.split():
        raise OSError("port/proto not found")
    return name


def getprotobyname(name, /):
    try:
        return _PROTOCOLS[name]
    except KeyError:
        raise OSError("protocol not found") from None


def _service(port, flags):
    """The port number of getaddrinfo's second argument."""
    if port is None:
        return 0
    if isinstance(port, int):
        return port & 0xFFFF
    if isinstance(port, bytes):
        port = port.decode("latin-1")
    if not isinstance(port, str):
        raise OSError("Int or String expected")
    port.encode()  # As C does; a lone surrogate fails here.
    if port.strip().isdigit():
        return int(port) & 0xFFFF
    if flags & CONSTANTS["AI_NUMERICSERV"]:
        raise exception("EAI_NONAME")
    try:
        return getservbyname(port)
    except OSError:
        raise exception("EAI_SERVICE") from None


def _lookup_mapped(host, family, flags):
    """`lookup`, with IPv4 addresses as IPv6 ones where the flags want it (getaddrinfo(3), `AI_V4MAPPED`)."""
    if family != AF_INET6 or not flags & CONSTANTS["AI_V4MAPPED"]:
        return lookup(host, family)
    found = lookup(host)
    own = [entry for entry in found if entry[0] == AF_INET6]
    mapped = [(AF_INET6, "::ffff:" + text) for entry, text in found if entry == AF_INET]
    return own + mapped if flags & CONSTANTS["AI_ALL"] else own or mapped


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    family, type, proto, flags = int(family), int(type), int(proto), int(flags)
    if host is not None and not isinstance(host, (str, bytes)):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    if family not in (AF_UNSPEC, AF_INET, AF_INET6):
        raise exception("EAI_FAMILY")
    kinds = [
        (kind, protocol)
        for kind, protocol in ((1, 6), (2, 17), (3, 0))
        if type in (0, kind) and (proto in (0, protocol) or kind == type == 3)
    ]
    if not kinds:
        raise exception("EAI_SOCKTYPE")
    if host is None and port is None:
        raise exception("EAI_NONAME")
    number = _service(port, flags)
    passive = flags & CONSTANTS["AI_PASSIVE"]
    if host is None or host in ("", b""):
        anywhere = [(AF_INET, "0.0.0.0"), (AF_INET6, "::")] if passive else [(AF_INET6, "::1"), (AF_INET, "127.0.0.1")]
        found = [entry for entry in anywhere if family in (AF_UNSPEC, entry[0])]
    else:
        # Unlike the methods of a socket, this one has every text encoded by the codec.
        host = host.encode("idna") if isinstance(host, str) else host_bytes(host)
        text = host.decode("latin-1")
        if flags & CONSTANTS["AI_NUMERICHOST"] and parse_v4(text) is None and parse_v6(text) is None:
            raise exception("EAI_NONAME")
        found = _lookup_mapped(host, family, flags)
    canonical = host.decode("latin-1") if host and flags & CONSTANTS["AI_CANONNAME"] else ""
    result = []
    scope = 0
    if host and b"%" in host:
        text = host.decode("latin-1")
        scope = _scope(text, parse_v6(text))
    for entry, text in found:
        where = (text, number) if entry == AF_INET else (text, number, 0, scope)
        for kind, protocol in kinds:
            result.append((entry, kind, proto or protocol, canonical, where))
            canonical = ""
    return result


def getnameinfo(sockaddr, flags, /):
    if not isinstance(sockaddr, tuple):
        del sockaddr  # A traceback keeps a frame's names alive, and C has none.
        raise TypeError("getnameinfo() argument 1 must be a tuple")
    if not 2 <= len(sockaddr) <= 4 or not isinstance(sockaddr[0], str):
        raise TypeError("getnameinfo(): illegal sockaddr argument")
    if len(sockaddr) > 2 and not 0 <= sockaddr[2] <= 0xFFFFF:
        raise OverflowError("getnameinfo(): flowinfo must be 0-1048575.")
    family, numeric = lookup(host_bytes(sockaddr[0]))[0]
    if family == AF_INET and len(sockaddr) != 2:
        raise OSError("IPv4 sockaddr must be 2 tuple")
    port = sockaddr[1]
    name, service = numeric, str(port)
    if len(sockaddr) == 4 and sockaddr[3] and numeric.startswith(("fe80:", "ff01:", "ff02:")):
        zones = dict(if_nameindex())
        name = f"{numeric}%{zones.get(sockaddr[3], sockaddr[3])}"
    if not flags & CONSTANTS["NI_NUMERICHOST"]:
        error, found = sched.call("revresolve", numeric)
        if error is None:
            name = found
        elif flags & CONSTANTS["NI_NAMEREQD"]:
            raise exception("EAI_NONAME")
    if not flags & CONSTANTS["NI_NUMERICSERV"]:
        try:
            service = getservbyport(port, "udp" if flags & CONSTANTS["NI_DGRAM"] else "tcp")
        except OSError:
            pass
    return name, service


def inet_aton(*args):
    if len(args) != 1 or not isinstance(args[0], str):
        raise wrong_arguments("inet_aton", args, "inet_aton() takes one argument, a str")
    (text,) = args
    # inet_aton(3) stops at the first white space.
    octets = parse_v4(text.split()[0] if text.split() else text)
    if octets is None or text[:1].isspace():
        raise OSError("illegal IP address string passed to inet_aton")
    return octets


def inet_ntoa(octets, /):
    octets = bytes(memoryview(octets))
    if len(octets) != 4:
        raise wrong_arguments("inet_ntoa", (octets,), "packed IP wrong length")
    return text_v4(octets)


_DOTTED = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}\Z", re.ASCII)


def inet_pton(family, text, /):
    if family == AF_INET:
        octets = parse_v4(text) if _DOTTED.match(text) else None
    elif family == AF_INET6:
        octets = parse_v6(text) if "%" not in text else None
    else:
        raise exception("EAFNOSUPPORT")
    if octets is None:
        raise OSError("illegal IP address string passed to inet_pton")
    return octets


def inet_ntop(family, octets, /):
    octets = bytes(memoryview(octets))
    if family not in (AF_INET, AF_INET6):
        raise ValueError(f"unknown address family {family}")
    if len(octets) != (4 if family == AF_INET else 16):
        raise ValueError("invalid length of packed IP address string")
    return text_v4(octets) if family == AF_INET else text_v6(octets)


def _swapped(x, octets, name):
    if not isinstance(x, int) or not 0 <= x < 1 << octets * 8:
        raise wrong_arguments(name, (x,), f"{name}() takes an int of {octets * 8} bits, not negative")
    return int.from_bytes(x.to_bytes(octets, "little"), "big")


def htons(x, /):
    return _swapped(x, 2, "htons")


def ntohs(x, /):
    return _swapped(x, 2, "ntohs")


def htonl(x, /):
    return _swapped(x, 4, "htonl")


def ntohl(x, /):
    return _swapped(x, 4, "ntohl")


def if_nameindex():
    error, found = sched.call("ifaces")
    if error is not None:
        raise exception(error, found)
    return found


def if_nametoindex(name, /):
    name = os.fsdecode(name)
    for number, other in if_nameindex():
        if other == name:
            return number
    raise OSError("no interface with this name")


def if_indextoname(number, /):
    number = index(number)
    for other, name in if_nameindex():
        if other == number:
            return name
    raise exception("ENXIO")


like_c(globals())
