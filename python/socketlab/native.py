"""The transport of the command line: a Unix socket to the engine, and one real thread per stack.

A message is preceded by its length (u32, little-endian). Every stack has a baton, a real lock; a stack that suspends
hands the baton of the next one over and waits for its own. When nothing is runnable, the stack that suspended last
reads the socket.

    python3 native.py FD PATH PID NOW SEED FILE [ARGUMENT]...

FD is the socket, and may be standard input. A program's copy (os.fork) connects anew, to the engine's socket at PATH,
and says its number and that of the real process (two u32) before anything else.

Descriptors below `floor` belong to the simulated host: all of them are taken here, so that a file which the program
opens never gets the number of one of its sockets.
"""

import _socket
import _thread
import os
import sys

#: This module's own ways to the machine: the shim changes those in `os`.
_machine = {name: getattr(os, name) for name in "_exit close dup2 fork getpid open read waitpid write".split()}
_LENGTH = 4
#: A simulated process may have as many descriptors: Linux's default `RLIMIT_NOFILE`.
_FLOOR = 1024
#: Descriptors that are left for the program's files, where the machine's own limit is low.
_FILES = 256


class Native:
    """See `transport.Transport`."""

    def __init__(self, fd, path):
        #: Descriptors from here on are the machine's.
        self.floor = _room_for_files()
        self._path = path
        self._fd = self._above_floor(fd)
        nothing = _machine["open"](os.devnull, os.O_RDWR)
        if fd != nothing:
            _machine["dup2"](nothing, fd)
        for taken in range(3, self.floor):
            if taken != nothing:
                _machine["dup2"](nothing, taken)
        self._begin_with(1)

    def _begin_with(self, tid):
        self._batons = {tid: self._new_baton()}
        self._mail = {}
        self._next = None
        self._received = b""
        #: Real numbers of this process's copies, by the simulated ones.
        self._copies = {}

    def _above_floor(self, fd):
        import fcntl

        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, self.floor)

    @staticmethod
    def _new_baton():
        baton = _thread.allocate_lock()
        baton.acquire()
        return baton

    def post(self, message):
        self._send(len(message).to_bytes(_LENGTH, "little") + message)

    def wait(self, tid):
        if self._pass_on(tid):
            self._batons[tid].acquire()
        return self._mail.pop(tid, b"")

    def resume(self, tid):
        self._next = tid

    def spawn(self, tid, fn):
        baton = self._batons[tid] = self._new_baton()

        def thread():
            baton.acquire()
            fn()
            del self._batons[tid]
            self._pass_on(tid)

        _thread.start_new_thread(thread, ())

    def fork(self, pid):
        real = _machine["fork"]()
        if real:
            self._copies[pid] = real
            return True
        _machine["close"](self._fd)
        engine = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        engine.connect(self._path)
        self._fd = self._above_floor(engine.fileno())
        engine.close()
        self._begin_with(1)
        self._send(b"".join(number.to_bytes(_LENGTH, "little") for number in (pid, _machine["getpid"]())))
        return False

    def reap(self, pid):
        real = self._copies.pop(pid, None)
        if real is not None:
            _machine["waitpid"](real, 0)

    def leave(self, status):
        _machine["_exit"](status & 0xFF)

    def _pass_on(self, me):
        """Lets another stack run; False if a message came for `me`, which therefore just goes on."""
        tid, self._next = self._next, None
        if tid is None:
            message = self._read()
            tid = int.from_bytes(message[:4], "little")
            self._mail[tid] = message
            if tid == me:
                return False
        self._batons[tid].release()
        return True

    def _send(self, data):
        sent = _machine["write"](self._fd, data)
        while sent < len(data):
            sent += _machine["write"](self._fd, memoryview(data)[sent:])

    def _read(self):
        while len(self._received) < _LENGTH:
            self._receive()
        end = _LENGTH + int.from_bytes(self._received[:_LENGTH], "little")
        while len(self._received) < end:
            self._receive()
        message, self._received = self._received[_LENGTH:end], self._received[end:]
        return message

    def _receive(self):
        data = _machine["read"](self._fd, 1 << 20)
        if not data:
            self.leave(1)  # The engine is gone, and with it the world.
        self._received += data


def _room_for_files():
    """Raises the machine's limit of descriptors as far as is needed; gives the first that is the machine's."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FLOOR + _FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _FLOOR if soft == resource.RLIM_INFINITY else min(_FLOOR, soft - _FILES)


def boot():
    fd, engine, pid, now, seed, path, *argv = sys.argv[1:]
    package = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.dirname(package)
    import socketlab

    transport = Native(int(fd), engine)
    socketlab.install(clock_is_virtual=False)
    socketlab.attach(transport)
    socketlab.count_loops()
    transport.leave(socketlab.main(path, argv, pid=int(pid), now=int(now), seed=int(seed)))


if __name__ == "__main__":
    boot()
