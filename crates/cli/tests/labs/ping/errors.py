"""What tracepath does, without privilege: the error queue of a UDP socket tells who answered, and why."""

import errno
import select
import socket
import struct
import sys

IP_RECVERR, MSG_ERRQUEUE = 11, 0x2000

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    sock.sendto(b"anybody there?", (sys.argv[1], 33434))
    poll = select.poll()
    poll.register(sock, 0)
    print("poll:", [events for _, events in poll.poll(2000)])
    data, ancillary, flags, target = sock.recvmsg(512, 512, MSG_ERRQUEUE)
    level, kind, value = ancillary[0]
    number, origin, icmp_type, code, _, info, _ = struct.unpack("=IBBBBII", value[:16])
    offender = socket.inet_ntoa(value[20:24])
    print(f"sent {data} to {target}: {errno.errorcode[number]} from {offender}, origin {origin}, ICMP {icmp_type}/{code}")
    print("level", level, "type", kind, "flags", flags, "queue", sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
