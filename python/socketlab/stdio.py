"""The program's standard streams: lines from the world's `readline`, text to its `write`.

Output is line-buffered as on a terminal. `isatty()` says no, so that nobody draws colours or progress bars.
"""

import builtins
import codecs
import io
import sys

from socketlab import sched
from socketlab.errors import exception


class _Output(io.RawIOBase):
    """Octets for the console; cut characters are put together again."""

    mode = "wb"

    def __init__(self, fd, name):
        self._fd = fd
        self.name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self):
        return True

    def fileno(self):
        return self._fd

    def write(self, data):
        text = self._decoder.decode(data)
        if text:
            sched.write(self._fd, text)
        return len(data)


class _Input(io.BufferedIOBase):
    """What the student typed. Without a lock of its own: two threads may wait here."""

    mode = "rb"
    name = "<stdin>"

    def __init__(self):
        self._rest = b""

    def readable(self):
        return True

    def fileno(self):
        return 0

    def _fill(self):
        """Whether there is something to read."""
        if not self._rest:
            failure, text = sched.call("readline")
            if failure is not None:
                raise exception(failure, text)
            self._rest = text.encode("utf-8", "surrogateescape")
        return bool(self._rest)

    def read1(self, size=-1, /):
        if size == 0 or not self._fill():
            return b""
        size = len(self._rest) if size is None or size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def read(self, size=-1, /):
        parts = []
        left = -1 if size is None else size
        while left and (data := self.read1(left)):
            parts.append(data)
            left -= len(data) if left > 0 else 0
        return b"".join(parts)

    def readinto(self, buffer, /):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    readinto1 = readinto

    def readline(self, size=-1, /):
        if not self._fill():
            return b""
        end = self._rest.find(b"\n") + 1 or len(self._rest)
        return self.read1(end if size is None or size < 0 else min(end, size))


def _text(stream, errors):
    text = io.TextIOWrapper(stream, "utf-8", errors, newline="\n" if stream.writable() else None, line_buffering=True)
    text.mode = "w" if stream.writable() else "r"
    return text


def input(prompt="", /):
    """As the built-in function: the prompt goes to standard output, a line comes without its newline."""
    if sys.stdin is None:
        raise RuntimeError("input(): lost sys.stdin")
    if sys.stdout is None:
        raise RuntimeError("input(): lost sys.stdout")
    if sys.stderr is not None:
        sys.stderr.flush()
    sys.stdout.write(str(prompt))
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError("EOF when reading a line")
    return line[:-1] if line.endswith("\n") else line


def install():
    sys.stdin = sys.__stdin__ = _text(_Input(), "strict")
    sys.stdout = sys.__stdout__ = _text(_Output(1, "<stdout>"), "strict")
    sys.stderr = sys.__stderr__ = _text(_Output(2, "<stderr>"), "backslashreplace")
    input.__module__ = "builtins"
    builtins.input = input


def flush():
    """What is still in the buffers, at the program's end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # The program closed or replaced it.
