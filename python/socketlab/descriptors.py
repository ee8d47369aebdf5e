"""Descriptors of the simulated host where Python does not know that they are: `os.read`, `os.close`, `fcntl`,
`open(fd)`. What is about a file of the machine goes on to the machine.

`O_NONBLOCK` is kept here, by open file description; `FD_CLOEXEC` means nothing where nothing is executed, but reads
back. A pipe is a pair of connected sockets of which each end has lost one direction.
"""

import builtins
import io
import os
import stat
from operator import index

from socketlab import sched
from socketlab.errors import exception

_O_NONBLOCK, _O_RDWR = 0o4000, 2
_AF_UNIX, _STREAM = 1, 1
_SHUT_RD, _SHUT_WR = 0, 1
_STANDARD = (0, 1, 2)
# fcntl(2) and ioctl(2) of Linux.
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
_FIONREAD, _TIOCOUTQ, _FIONBIO = 0x541B, 0x5411, 0x5421

#: Set by `attach`: descriptors from 3 to below this number are the simulated host's, whether they are open or not.
floor = 0


class _Open:
    """What copies of a descriptor share: the open file description."""

    __slots__ = ("nonblocking", "is_pipe")

    def __init__(self):
        self.nonblocking = self.is_pipe = False


    # What goes along when the descriptor is passed on: `SCM_RIGHTS`.

    def word(self):
        return self.nonblocking | self.is_pipe << 1

    @classmethod
    def of(cls, word):
        self = cls()
        self.nonblocking, self.is_pipe = bool(word & 1), bool(word & 2)
        return self


_open = {}
_inheritable = set()


def opened(fd, like=None):
    """The world has given out a descriptor; `like`: it is a copy of that one."""
    _open[fd] = _Open() if like is None else _open.get(like) or _Open()
    return fd


def closed(fd):
    """A descriptor is closed, or about to be."""
    _open.pop(fd, None)
    _inheritable.discard(fd)


def is_ours(fd):
    """Whether a number is the simulated host's business, and not that of a file on the machine."""
    return fd in _open or 3 <= fd < floor


def is_open(fd):
    return fd in _open


def is_nonblocking(fd):
    entry = _open.get(fd)
    return entry is not None and entry.nonblocking


def set_nonblocking(fd, on):
    entry = _open.get(fd)
    if entry is None:
        raise exception("EBADF")
    entry.nonblocking = bool(on)


def _checked(fd):
    if fd not in _open:
        raise exception("EBADF")
    return fd


def _call(op, *args):
    error, value = sched.call(op, *args)
    if error is not None:
        raise exception(error, value)
    return value


def close(fd):
    if fd in _open:
        closed(fd)
    _call("close", fd)


def dup(fd, least=0):
    """A copy with the lowest free number, from `least` on."""
    copy = _call("dup", fd)
    if copy >= least:
        return opened(copy, fd)
    try:
        return dup(fd, least)
    finally:
        _call("close", copy)


def to_send(fd):
    """A descriptor that goes away in a message, as the world takes it: (number, word). A file of the machine is copied,
    as the message must hold it; the world knows it by a negative number and gives it to this process only."""
    if fd in _open:
        return fd, _open[fd].word()
    if fd in _STANDARD:
        raise OSError(95, "Standard streams of a simulated host cannot be passed on")
    if fd < 0 or is_ours(fd):
        raise exception("EBADF")
    try:
        return ~os.dup(fd), 0
    except OSError:
        raise exception("EBADF") from None


def not_sent(sent):
    """The message was not sent: lets go of the copies."""
    for number, _ in sent:
        if number < 0:
            os.close(~number)


def received(number, word, other, inheritable, stays):
    """The descriptor that came in a message. `other`: one of this process for the same file, or -1; `stays`: the message
    was only looked at."""
    if number < 0:
        fd = os.dup(~number) if stays else ~number
        os.set_inheritable(fd, inheritable)
        return fd
    _open[number] = _open.get(other) or _Open.of(word)
    if inheritable:
        _inheritable.add(number)
    return number


def read(fd, size):
    if fd == 0:
        return _standard_input(size)
    return _call("recv", fd, size, 0, 0 if is_nonblocking(fd) else None) if size else b""


def write(fd, data):
    data = bytes(data)
    if fd in _STANDARD:
        sched.write(2 if fd == 2 else 1, data.decode("utf-8", "replace"))
        return len(data)
    return _call("send", fd, data, 0, 0 if is_nonblocking(fd) else None)


def _standard_input(size):
    import sys

    return sys.__stdin__.buffer.read1(size)


def pipe():
    reader, writer = _call("socketpair", _AF_UNIX, _STREAM, 0)
    _call("shutdown", reader, _SHUT_WR)
    _call("shutdown", writer, _SHUT_RD)
    for fd in (opened(reader), opened(writer)):
        _open[fd].is_pipe = True
    return reader, writer


def status(fd):
    """As fstat(2)."""
    kind = stat.S_IFIFO if _open[_checked(fd)].is_pipe else stat.S_IFSOCK
    return os.stat_result((kind | 0o600, fd, 8, 1, 0, 0, 0, 0, 0, 0))


# os


def _os_functions():
    """The functions of `os` for a descriptor of ours, by name; all take it first."""

    def readv(fd, buffers, /):
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        return _scatter(read(fd, sum(map(len, views))), views)

    def dup2(fd, fd2, inheritable=True):
        _checked(fd)
        if fd == fd2:
            return fd2
        if not 3 <= fd2 or floor and not fd2 < floor:
            raise exception("ENOSYS", "Not possible with standard streams and files of a simulated host")
        if fd2 in _open:
            close(fd2)
        # All lower numbers are taken for a moment.
        dup(fd, fd2)
        set_inheritable(fd2, inheritable)
        return fd2

    def set_inheritable(fd, inheritable, /):
        (_inheritable.add if inheritable else _inheritable.discard)(_checked(fd))

    def set_blocking(fd, blocking, /):
        set_nonblocking(fd, not blocking)

    def not_a_file(fd, *args):
        _checked(fd)
        raise exception("EINVAL")

    def not_seekable(fd, *args):
        _checked(fd)
        raise OSError(29, "Illegal seek")

    return {
        "close": lambda fd, /: close(fd),
        "dup": lambda fd, /: dup(fd),
        "dup2": dup2,
        "fstat": status,
        "fsync": not_a_file,
        "ftruncate": not_a_file,
        "get_blocking": lambda fd, /: not is_nonblocking(_checked(fd)),
        "get_inheritable": lambda fd, /: _checked(fd) in _inheritable,
        "isatty": lambda fd, /: False,
        "lseek": not_seekable,
        "pread": not_seekable,
        "pwrite": not_seekable,
        "read": lambda fd, length, /: read(fd, _length(length)),
        "readinto": lambda fd, buffer, /: readv(fd, [buffer]),
        "readv": readv,
        "set_blocking": set_blocking,
        "set_inheritable": set_inheritable,
        "write": lambda fd, data, /: write(fd, data),
        "writev": lambda fd, buffers, /: write(fd, b"".join(map(bytes, buffers))),
    }


def _length(length):
    if length < 0:
        raise exception("EINVAL")
    return length


def _scatter(data, views):
    rest = data
    for view in views:
        part, rest = rest[: len(view)], rest[len(view) :]
        view[: len(part)] = part
    return len(data)


def _for_ours(name, ours, machine, standard):
    """A function of `os` that looks at its descriptor first. `standard`: 0 to 2 are ours too."""

    def function(*args, **kwargs):
        if args and isinstance(args[0], int) and (is_ours(args[0]) or standard and args[0] in _STANDARD):
            return ours(*args, **kwargs)
        return machine(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    return staticmethod(function)


#: Functions that mean the program's own standard streams by 0, 1 and 2.
_WITH_STANDARD = ("isatty", "read", "readinto", "readv", "write", "writev")


def _patch_os():
    for name, ours in _os_functions().items():
        if hasattr(os, name):
            setattr(os, name, _for_ours(name, ours, getattr(os, name), name in _WITH_STANDARD))
    close_range = os.closerange

    def closerange(low, high, /):
        for fd in [fd for fd in _open if low <= fd < high]:
            close(fd)
        if floor < high:
            close_range(max(low, floor), high)

    def pipe2(flags, /):
        ends = pipe()
        for fd in ends:
            set_nonblocking(fd, flags & _O_NONBLOCK)
        return ends

    os.closerange = staticmethod(closerange)
    os.pipe, os.pipe2 = staticmethod(pipe), staticmethod(pipe2)


# fcntl


def _patch_fcntl():
    try:
        import fcntl as module
    except ImportError:
        return  # The page's Python may lack it.
    machine_fcntl, machine_ioctl, machine_flock = module.fcntl, module.ioctl, module.flock

    def number(fd):
        return fd if isinstance(fd, int) else index(fd.fileno())

    def fcntl(fd, cmd, arg=0, /):
        fd = number(fd)
        if not is_ours(fd):
            return machine_fcntl(fd, cmd, arg)
        _checked(fd)
        if cmd == _F_GETFL:
            return _O_RDWR | (_O_NONBLOCK if is_nonblocking(fd) else 0)
        if cmd == _F_SETFL:
            set_nonblocking(fd, arg & _O_NONBLOCK)
            return 0
        if cmd == _F_GETFD:
            return int(fd not in _inheritable)
        if cmd == _F_SETFD:
            (_inheritable.discard if arg & 1 else _inheritable.add)(fd)
            return 0
        if cmd in (_F_DUPFD, _F_DUPFD_CLOEXEC):
            copy = dup(fd, arg)
            if cmd == _F_DUPFD:
                _inheritable.add(copy)
            return copy
        raise exception("EINVAL")

    def ioctl(fd, request, arg=0, mutate_flag=True, /):
        fd = number(fd)
        if not is_ours(fd):
            return machine_ioctl(fd, request, arg, mutate_flag)
        _checked(fd)
        if request == _FIONBIO:
            given = arg if isinstance(arg, int) else int.from_bytes(bytes(arg)[:4], "little")
            set_nonblocking(fd, given)
            return 0 if isinstance(arg, int) else bytes(arg)
        answer = _call("ioctl", fd, request)
        if isinstance(arg, int):
            raise exception("EFAULT")
        octets = answer.to_bytes(4, "little")
        view = memoryview(arg)
        if len(view.cast("B")) < len(octets):
            raise exception("EFAULT")
        if view.readonly or not mutate_flag:
            return octets + bytes(arg)[4:]
        view.cast("B")[:4] = octets
        return 0

    def flock(fd, operation, /):
        if is_ours(number(fd)):
            _checked(number(fd))
        else:
            machine_flock(fd, operation)

    module.fcntl, module.ioctl, module.flock = map(staticmethod, (fcntl, ioctl, flock))


# open


class _Raw(io.RawIOBase):
    """A descriptor of ours as `io.FileIO`."""

    def __init__(self, fd, mode, closefd):
        self._fd = _checked(fd)
        self._closefd = closefd
        self._reads = "r" in mode or "+" in mode
        self._writes = any(letter in mode for letter in "wax+")
        self.name = fd
        self.mode = "rb+" if self._reads and self._writes else "rb" if self._reads else "wb"

    closefd = property(lambda self: self._closefd)

    def fileno(self):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self):
        return self._reads

    def writable(self):
        return self._writes

    def readinto(self, buffer):
        if not self._reads:
            raise io.UnsupportedOperation("File not open for reading")
        try:
            return _scatter(read(self.fileno(), len(buffer)), [memoryview(buffer).cast("B")])
        except BlockingIOError:
            return None

    def write(self, data):
        if not self._writes:
            raise io.UnsupportedOperation("File not open for writing")
        try:
            return write(self.fileno(), data)
        except BlockingIOError:
            return None

    def close(self):
        if not self.closed:
            super().close()
            if self._closefd and self._fd in _open:
                close(self._fd)


def _open_ours(fd, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    """As the built-in `open`, for a descriptor of ours."""
    raw = _Raw(fd, mode, closefd)
    binary = "b" in mode
    if buffering == 0:
        if not binary:
            raise ValueError("can't have unbuffered text I/O")
        return raw
    if buffering == 1 or buffering < 0:
        size = io.DEFAULT_BUFFER_SIZE
    else:
        size = buffering
    if raw.readable() and raw.writable():
        buffer = io.BufferedRWPair(raw, raw, size)
    elif raw.readable():
        buffer = io.BufferedReader(raw, size)
    else:
        buffer = io.BufferedWriter(raw, size)
    if binary:
        return buffer
    text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode
    return text


def _patch_open():
    machine = builtins.open

    def open(*args, **kwargs):
        file = args[0] if args else kwargs.get("file")
        if isinstance(file, int) and not isinstance(file, bool) and is_ours(file):
            kwargs.pop("file", None)
            return _open_ours(file, *args[1:], **kwargs)
        return machine(*args, **kwargs)

    open.__doc__, open.__module__ = machine.__doc__, "_io"
    builtins.open = io.open = staticmethod(open)


def install():
    """Puts these functions into `os`, `fcntl` and `io`."""
    _patch_os()
    _patch_fcntl()
    _patch_open()
