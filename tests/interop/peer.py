"""The real kernel's program: does what a test says, piece by piece.

Each line of standard input is a JSON string, a piece of Python. What it leaves in `answer` is printed as a line of
JSON: {"answer": ..}, or {"error": traceback}. Names live on from piece to piece.
"""

import array
import errno
import json
import os
import struct
import subprocess
import sys
import threading
import traceback
from socket import *  # noqa: F403: the pieces speak as programs do


def pattern(length):
    """Octets in which every aligned word is another one: the same as the test's."""
    words = array.array("I", range((length + 3) // 4))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()[:length]


def connect(address, bind=None):
    """A connection to an address of either family; `bind` is where it comes from."""
    s = socket(AF_INET6 if ":" in address[0] else AF_INET)
    s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    if bind:
        s.bind(bind)
    s.connect(address)
    return s


def listen(address):
    s = socket(AF_INET6 if ":" in address[0] else AF_INET)
    s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    s.bind(address)
    s.listen()
    return s


def read_all(s):
    """All until the end of the stream."""
    got = bytearray()
    while piece := s.recv(1 << 18):
        got += piece
    return bytes(got)


def both_ways(s, length):
    """Sends the pattern, then the end, and reads at the same time. What came?"""

    def send():
        s.sendall(pattern(length))
        s.shutdown(SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    got = read_all(s)
    sender.join()
    return verdict(got, length)


def verdict(got, length):
    """"equal", or how far it is."""
    wanted = pattern(length)
    if got == wanted:
        return "equal"
    same = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    return f"{len(got)} octets of {length}, equal up to {same}"


def info(s):
    """What TCP_INFO tells (linux/tcp.h)."""
    raw = s.getsockopt(IPPROTO_TCP, TCP_INFO, 104)
    options = raw[5]
    return {
        "state": raw[0],
        "backoff": raw[4],
        "timestamps": bool(options & 1),
        "sack": bool(options & 2),
        "scale": [raw[6] & 15, raw[6] >> 4] if options & 4 else None,
        "snd_mss": struct.unpack_from("I", raw, 16)[0],
        "unacked": struct.unpack_from("I", raw, 24)[0],
        "retrans": struct.unpack_from("I", raw, 100)[0],
    }


def failure(call, *args):
    """The name of the error that a call gives."""
    try:
        return repr(call(*args))
    except OSError as error:
        return errno.errorcode.get(error.errno, repr(error))


def sysctl(name, value):
    with open("/proc/sys/" + name, "w") as file:
        file.write(value)


for line in sys.stdin:
    globals().pop("answer", None)
    try:
        exec(json.loads(line), globals())
        told = {"answer": globals().get("answer")}
    except BaseException:
        told = {"error": traceback.format_exc()}
    print(json.dumps(told), flush=True)
