"""What the stories share. `show` prints what a call gave or how it failed; `there` has a piece of Python run on the
other host, which has all of these names too.

Nothing that differs from run to run may be printed: no ephemeral ports, no times, no sizes that depend on memory.
"""

import ast
import errno
import os
import select
import socket
import struct
import threading
import time

HERE, THERE = "10.77.0.1", "10.77.0.2"
HERE6, THERE6 = "fd77::1", "fd77::2"
AGENT = 7
me = HERE

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
SOL, REUSEADDR, REUSEPORT = socket.SOL_SOCKET, socket.SO_REUSEADDR, socket.SO_REUSEPORT
EVENTS = {
    1: "IN", 2: "PRI", 4: "OUT", 8: "ERR", 16: "HUP", 32: "NVAL",
    64: "RDNORM", 128: "RDBAND", 256: "WRNORM", 512: "WRBAND", 0x2000: "RDHUP",
}
ALL_EVENTS = 0x1 | 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000


def show(what, call=None):
    """Prints what the call gave, or how it failed."""
    try:
        result = call() if callable(call) else call
    except Exception as error:
        print(f"{what}: {type(error).__name__}: {error}")
    else:
        print(f"{what}: {result!r}")


def settle(seconds=0.08):
    """Lets segments arrive, be answered, and their answers arrive."""
    time.sleep(seconds)


def until(condition, limit=5.0):
    """Waits until something is so; what it last was."""
    end = time.monotonic() + limit
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def events(sock):
    """What poll(2) says of a socket, by name."""
    poller = select.poll()
    poller.register(sock, ALL_EVENTS)
    found = dict(poller.poll(0)).get(sock if isinstance(sock, int) else sock.fileno(), 0)
    return "|".join(name for bit, name in EVENTS.items() if found & bit) or "nothing"


def tcp(port=None, host=None, family=socket.AF_INET, reuse=True):
    """A stream socket, with a name if a port is given."""
    made = socket.socket(family, TCP)
    if port is not None:
        if reuse:
            made.setsockopt(SOL, REUSEADDR, 1)
        made.bind((me if host is None else host, port))
    return made


def udp(port=None, host=None, family=socket.AF_INET):
    """A datagram socket, with a name if a port is given."""
    made = socket.socket(family, UDP)
    if port is not None:
        made.bind((me if host is None else host, port))
    return made


def listener(port=0, backlog=5, host=None, family=socket.AF_INET):
    """A listening socket."""
    made = tcp(port, host, family)
    made.listen(backlog)
    return made


def state(sock):
    """The state of a connection, from TCP_INFO."""
    names = "? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING"
    return names.split()[sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]


class Elsewhere(Exception):
    """What went wrong on the other host."""


class Other:
    """The agent on the other host."""

    def __init__(self):
        self._connection = None
        self._count = 0
        self._answers = {}

    def _send(self, source, later):
        if self._connection is None:
            while self._connection is None:
                try:
                    self._connection = socket.create_connection((THERE, AGENT))
                except ConnectionRefusedError:
                    time.sleep(0.02)
            self._lines = self._connection.makefile("rb")
        self._count += 1
        self._connection.sendall(repr((self._count, source, later)).encode() + b"\n")
        return self._count

    def _answer(self, number):
        while number not in self._answers:
            line = self._lines.readline()
            if not line:
                raise EOFError("the other host is gone")
            got, value, error = ast.literal_eval(line.decode())
            self._answers[got] = value, error
        value, error = self._answers.pop(number)
        if error is not None:
            kind, text = error
            found = type(kind, (Elsewhere,), {})
            raise found(text)
        return value

    def __call__(self, source):
        """Runs it now; gives its value or raises its error."""
        return self._answer(self._send(source, False))

    def later(self, source):
        """Begins it in a thread of its own; call what this returns for its value."""
        number = self._send(source, True)
        return lambda: self._answer(number)


there = Other()


def pair(port=5000):
    """A connection from here to there: our end, and `conn` over there (its listener is `server`)."""
    there(f"server = listener({port})")
    sock = tcp()
    sock.connect((THERE, port))
    there("conn, peer = server.accept()")
    return sock


def loop_pair():
    """A connection over `lo`: client, accepted socket, listener."""
    server = listener(0, host="127.0.0.1")
    client = tcp()
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    return client, accepted, server
