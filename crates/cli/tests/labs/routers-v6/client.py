import socket, struct

server = "fd03::80"
answers = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
answers.settimeout(1)


def answer():
    """The next ICMPv6 error: its type, code, MTU or zero, and who sent it."""
    while True:
        packet, (sender, *_) = answers.recvfrom(2000)
        kind, code, _, mtu = struct.unpack_from("!BBHI", packet)
        if kind < 128:
            return kind, code, mtu, sender


# Each router lowers the hop limit, and says so when nothing is left of it (RFC 4443 3.3).
for limit in range(1, 6):
    probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, limit)
    probe.sendto(b"", (server, 33434))
    kind, code, _, sender = answer()
    print(limit, sender, "time exceeded" if (kind, code) == (3, 0) else f"type {kind} code {code}")
    if sender == server:
        break

# No router cuts a packet: it tells the sender how long one may be (RFC 4443 3.2), who then cuts it.
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.settimeout(1)
udp.connect((server, 7))
IPV6_MTU = 24
print("path MTU", udp.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU))
udp.send(b"x" * 1440)
kind, code, mtu, sender = answer()
print("type", kind, "code", code, "MTU", mtu, "from", sender)
print("path MTU", udp.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU))
try:
    udp.send(b"y" * 1440)
except OSError as error:
    # What became of the datagram before, as Linux tells a connected socket.
    print(error)
for attempt in (1, 2):
    udp.send(b"y" * 1440)
    try:
        print(len(udp.recv(65536)), "octets came back, attempt", attempt)
        break
    except TimeoutError:
        # The server's answer was too long as well: it has been told.
        print("no answer to attempt", attempt)

# A network that nobody has a route to.
probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
probe.sendto(b"", ("fd09::1", 9))
print("no route: type %d code %d, from %s" % (lambda a: (a[0], a[1], a[3]))(answer()))

with socket.create_connection((server, 7007)) as tcp:
    tcp.sendall(b"z" * 100_000)
    tcp.shutdown(socket.SHUT_WR)
    print(tcp.recv(1000).decode())
