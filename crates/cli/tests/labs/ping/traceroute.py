"""traceroute of van Jacobson's kind: UDP datagrams with growing TTL to ports nobody listens at, and a raw socket for
the answers."""

import socket
import struct
import sys

PORT, MOST_HOPS = 33434, 8
TIME_EXCEEDED, UNREACHABLE = 11, 3


def traceroute(host):
    target = socket.gethostbyname(host)
    print(f"traceroute to {host} ({target}), {MOST_HOPS} hops max")
    answers = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    answers.settimeout(2)
    for ttl in range(1, MOST_HOPS + 1):
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        probe.sendto(b"", (target, PORT + ttl))
        own = probe.getsockname()[1]
        hop, kind = "*", None
        try:
            while hop == "*":
                packet, (address, _) = answers.recvfrom(512)
                icmp = packet[(packet[0] & 15) * 4 :]
                inner = icmp[8:]
                source, destination = struct.unpack("!HH", inner[(inner[0] & 15) * 4 :][:4])
                if (source, destination) == (own, PORT + ttl):
                    hop, kind = address, icmp[0]
        except TimeoutError:
            pass
        probe.close()
        print(f"{ttl:2}  {hop}")
        if kind == UNREACHABLE:
            break


traceroute(sys.argv[1])
