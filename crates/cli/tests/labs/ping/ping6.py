"""ping for IPv6 with Linux's ping sockets: no privilege, no checksum, and the kernel chooses the number."""

import socket
import struct
import sys
import time

ECHO_REQUEST, ECHO_REPLY = 128, 129
address = socket.getaddrinfo(sys.argv[1], None, socket.AF_INET6, socket.SOCK_DGRAM)[0][4]

with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6) as sock:
    sock.settimeout(2)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    sock.connect(address)
    for sequence in range(1, 4):
        started = time.monotonic()
        sock.send(struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, 0, sequence) + b"x" * 56)
        data, ancillary, flags, sender = sock.recvmsg(1500, socket.CMSG_SPACE(4))
        kind, code, _, number, sequence = struct.unpack("!BBHHH", data[:8])
        assert (kind, code, number) == (ECHO_REPLY, 0, sock.getsockname()[1])
        (level, what, hops) = ancillary[0]
        assert (level, what) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
        took = round((time.monotonic() - started) * 1000)
        print(f"{len(data)} bytes from {sender[0]}: icmp_seq={sequence} ttl={struct.unpack('i', hops)[0]} time={took} ms")
