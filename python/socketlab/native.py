"""The transport of the command line: a Unix socket to the engine, and one real thread per stack.

A message is preceded by its length (u32, little-endian). Every stack has a baton, a real lock; a stack that suspends
hands the baton of the next one over and waits for its own. When nothing is runnable, the stack that suspended last
reads the socket.

    python3 native.py FD PID NOW SEED FILE [ARGUMENT]...

FD is the socket, and may be standard input.
"""

import _thread
import os
import sys

_LENGTH = 4
#: Descriptors of the program begin at 3; ours stays away from them.
_FD_FLOOR = 200


class Native:
    """See `transport.Transport`."""

    def __init__(self, fd):
        import fcntl

        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FD_FLOOR)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, fd)
        os.close(nothing)
        self._batons = {1: self._new_baton()}
        self._mail = {}
        self._next = None
        self._received = b""

    @staticmethod
    def _new_baton():
        baton = _thread.allocate_lock()
        baton.acquire()
        return baton

    def post(self, message):
        data = len(message).to_bytes(_LENGTH, "little") + message
        sent = os.write(self._fd, data)
        while sent < len(data):
            sent += os.write(self._fd, memoryview(data)[sent:])

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

    def leave(self, status):
        os._exit(status)

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

    def _read(self):
        while len(self._received) < _LENGTH:
            self._receive()
        end = _LENGTH + int.from_bytes(self._received[:_LENGTH], "little")
        while len(self._received) < end:
            self._receive()
        message, self._received = self._received[_LENGTH:end], self._received[end:]
        return message

    def _receive(self):
        data = os.read(self._fd, 1 << 20)
        if not data:
            os._exit(1)  # The engine is gone, and with it the world.
        self._received += data


def boot():
    fd, pid, now, seed, path, *argv = sys.argv[1:]
    leave = os._exit
    package = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.dirname(package)
    import socketlab

    transport = Native(int(fd))
    transport.leave = leave
    socketlab.install(clock_is_virtual=False)
    socketlab.attach(transport)
    status = socketlab.main(path, argv, pid=int(pid), now=int(now), seed=int(seed))
    leave(status & 0xFF)


if __name__ == "__main__":
    boot()
