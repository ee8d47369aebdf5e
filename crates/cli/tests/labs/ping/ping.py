"""ping with a raw socket, in the way of a hundred course works: builds echo requests, reckons their checksum, takes the
IP header off what comes back."""

import os
import select
import socket
import struct
import sys
import time

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST = 0, 3, 8


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def request(ident, sequence):
    payload = struct.pack("!d", time.time()) + b"abcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvwab"
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, ident, sequence)
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum(header + payload), ident, sequence)
    return header + payload


def receive(sock, ident, timeout):
    left = timeout
    while left > 0:
        started = time.time()
        ready, _, _ = select.select([sock], [], [], left)
        left -= time.time() - started
        if not ready:
            return None
        packet, (address, _) = sock.recvfrom(1024)
        length = (packet[0] & 0xF) * 4
        kind, code, _, number, sequence = struct.unpack("!BBHHH", packet[length : length + 8])
        if kind == ECHO_REPLY and number == ident:
            (sent,) = struct.unpack("!d", packet[length + 8 : length + 16])
            took = (time.time() - sent) * 1000
            return f"{len(packet) - length} bytes from {address}: icmp_seq={sequence} ttl={packet[8]} time={took:.0f} ms"
        if kind == UNREACHABLE:
            inner = packet[length + 8 :]
            quoted = (inner[0] & 0xF) * 4
            _, _, _, number, sequence = struct.unpack("!BBHHH", inner[quoted : quoted + 8])
            if number == ident:
                return f"From {address} icmp_seq={sequence} type={kind} code={code}"
    return None


def ping(host, count=3):
    address = socket.gethostbyname(host)
    print(f"PING {host} ({address})")
    ident = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.getprotobyname("icmp")) as sock:
        for sequence in range(1, count + 1):
            sock.sendto(request(ident, sequence), (address, 1))
            print(receive(sock, ident, 4) or "Request timed out")
            time.sleep(1)


for name in sys.argv[1:]:
    ping(name)
