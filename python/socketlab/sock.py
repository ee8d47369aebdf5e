"""Stands in for the C module `_socket`: one call to the world per system call, arguments checked and errors worded
as CPython's `socketmodule.c` does. The standard library's `socket.py` builds on it unchanged.

Ancillary data (`recvmsg`, `sendmsg`) goes to the world and comes from there; descriptors in it (`SCM_RIGHTS`) are
translated in `descriptors`.
"""

import os
import stat
from _warnings import warn
from operator import index

import sys

from socketlab import descriptors, names, sched
from socketlab.errors import exception, gaierror, herror, number, time_too_large
from socketlab.like_c import like_c, wrong_arguments
from socketlab.linux import CONSTANTS
from socketlab.names import (  # noqa: F401
    getaddrinfo,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    gethostname,
    getnameinfo,
    getprotobyname,
    getservbyname,
    getservbyport,
    htonl,
    htons,
    if_indextoname,
    if_nameindex,
    if_nametoindex,
    inet_aton,
    inet_ntoa,
    inet_ntop,
    inet_pton,
    ntohl,
    ntohs,
    sethostname,
)

globals().update(CONSTANTS)

error = OSError
timeout = TimeoutError
has_ipv6 = True

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_STREAM = 1
_NONBLOCK = CONSTANTS["SOCK_NONBLOCK"]
_DONTWAIT = CONSTANTS["MSG_DONTWAIT"]
_SOL_SOCKET, _SO_ERROR = 1, 4
_SCM_RIGHTS, _CMSG_CLOEXEC, _PEEK = 1, 0x40000000, 2
_POLLOUT = 4
_SIGINT = 2
_SSIZE_MAX = (1 << 63) - 1

#: A stream's octets travel to the world in pieces of at most this size, more than any send buffer holds.
_PIECE = 8 << 20

_default_timeout = None


def _value(answer):
    error, value = answer
    if error is not None:
        raise exception(error, value)
    return value


def _call(op, *args):
    return _value(sched.call(op, *args))


def _within(nanoseconds, op, *args):
    return _value(sched.call_within(nanoseconds, op, *args))


def _seconds(value):
    """A time-out argument: None or a float of at least 0 (C: `socket_parse_timeout`)."""
    if value is None:
        return None
    seconds = float(value) if isinstance(value, float) else index(value) * 1.0
    if seconds != seconds:
        raise ValueError("Invalid value NaN (not a number)")
    if seconds > 9223372036.0:
        raise time_too_large(value)
    if seconds < 0:
        raise ValueError("Timeout value out of range")
    return seconds


def _nanoseconds(seconds):
    if seconds is None:
        return None
    exact = seconds * 1e9
    whole = int(exact)
    return whole if whole == exact else whole + 1


def getdefaulttimeout():
    return _default_timeout


def setdefaulttimeout(timeout, /):
    global _default_timeout
    _default_timeout = _seconds(timeout)


def _one(name, args):
    """The argument of a method that takes exactly one."""
    if len(args) != 1:
        otherwise = f"socket.{name}() takes exactly one argument ({len(args)} given)"
        raise wrong_arguments(f"socket.{name}", args, otherwise)
    return args[0]


def _none(name, args):
    """A method that takes no argument."""
    if args:
        otherwise = f"socket.{name}() takes no arguments ({len(args)} given)"
        raise wrong_arguments(f"socket.{name}", args, otherwise)


def _between(name, args, least, most):
    """Checks how many arguments came, worded as C's `PyArg_ParseTuple`."""
    if not least <= len(args) <= most:
        if least == most:
            bound, wanted = "exactly", least
        elif len(args) < least:
            bound, wanted = "at least", least
        else:
            bound, wanted = "at most", most
        plural = "" if wanted == 1 else "s"
        otherwise = f"{name}() takes {bound} {wanted} argument{plural} ({len(args)} given)"
        raise wrong_arguments(f"socket.{name}", args, otherwise)


def _octets(data):
    """A bytes-like argument as bytes."""
    if isinstance(data, bytes):
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not '{type(data).__name__}'") from None


def _int(value):
    """An argument that is an `int` of 32 bits in C."""
    value = index(value)
    if value >= 1 << 31:
        raise OverflowError("signed integer is greater than maximum")
    if value < -(1 << 31):
        raise OverflowError("signed integer is less than minimum")
    return value


def _size(value, caller):
    size = index(value)
    if size > _SSIZE_MAX:
        raise OverflowError("Python int too large to convert to C ssize_t")
    if size < 0:
        raise ValueError(f"negative buffersize in {caller}")
    return size


class socket:
    __slots__ = ("_fd", "_family", "_kind", "_protocol", "_seconds", "_limit")
    __module__ = "_socket"

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self._fd = -1
        self._family = self._kind = self._protocol = 0
        self._seconds = self._limit = None
        return self

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        family, type, proto = _int(family), _int(type), _int(proto)
        if fileno is not None:
            fd = _int(fileno)
            if fd < 0:
                raise ValueError("negative file descriptor")
            if -1 in (family, type, proto):
                found = _info(fd)
                given = (family, type, proto)
                family, type, proto = (f if g == -1 else g for g, f in zip(given, found))
        else:
            family = _AF_INET if family == -1 else family
            type = _STREAM if type == -1 else type
            proto = 0 if proto == -1 else proto
            fd = descriptors.opened(_call("socket", family, type & 0xFF, proto))
        self._fd, self._family, self._kind, self._protocol = fd, family, type & 0xFF, proto
        self._seconds = 0.0 if type & _NONBLOCK else _default_timeout
        self._limit = _nanoseconds(self._seconds)
        if self._seconds is not None and descriptors.is_open(fd):
            descriptors.set_nonblocking(fd, True)

    family = property(lambda self: self._family)
    type = property(lambda self: self._kind)
    proto = property(lambda self: self._protocol)
    timeout = property(lambda self: self._seconds)

    def __repr__(self):
        return (
            f"<socket object, fd={self._fd}, family={self._family}, type={self._kind}, proto={self._protocol}>"
        )

    def __del__(self):
        if self._fd != -1 and sched.transport is not None:
            if _warns_of_resources():
                # A subclass asks the world what to say, which nobody can on the way to sleep.
                said = socket.__repr__(self) if sched.is_suspending() else repr(self)
                warn(f"unclosed {said}", ResourceWarning, 2, self)
            fd, self._fd = self._fd, -1
            descriptors.closed(fd)
            sched.post("close", fd)

    # Descriptor and time-out

    def fileno(self):
        return self._fd

    def detach(self):
        fd, self._fd = self._fd, -1
        return fd

    def close(self):
        if self._fd != -1:
            fd, self._fd = self._fd, -1
            if not descriptors.is_ours(fd):
                return _close_file(fd)
            descriptors.closed(fd)
            failure, text = sched.call("close", fd)
            if failure not in (None, "ECONNRESET"):
                raise exception(failure, text)

    def _set_timeout(self, seconds):
        # As in C, a time-out makes the descriptor non-blocking, which others who use it notice.
        descriptors.set_nonblocking(self._fd, seconds is not None)
        self._seconds = seconds
        self._limit = _nanoseconds(seconds)

    def settimeout(self, *args):
        self._set_timeout(_seconds(_one("settimeout", args)))

    def gettimeout(self, *args):
        _none("gettimeout", args)
        return self._seconds

    def setblocking(self, *args):
        self._set_timeout(None if _one("setblocking", args) else 0.0)

    def getblocking(self, *args):
        _none("getblocking", args)
        return self._seconds != 0.0

    # Addresses

    def _address(self, address, caller):
        """An address argument as it goes to the world (C: `getsockaddrarg`)."""
        if self._family == _AF_UNIX:
            return _path(address)
        if self._family == _AF_INET:
            family, rest = "AF_INET", 0
        elif self._family == _AF_INET6:
            family, rest = "AF_INET6", 2
        else:
            raise OSError(f"{caller}(): bad family")
        if not isinstance(address, tuple):
            raise TypeError(f"{caller}(): {family} address must be tuple, not {type(address).__name__}")
        if not 2 <= len(address) <= 2 + rest:
            if rest:
                raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
            raise TypeError("AF_INET address must be a pair (host, port)")
        host = names.host_bytes(address[0])
        port, *extra = (index(part) for part in address[1:])
        numeric = names.address(host, self._family)
        if not 0 <= port <= 0xFFFF:
            raise OverflowError(f"{caller}(): port must be 0-65535.")
        if not rest:
            return numeric, port
        flowinfo, scope = (*extra, 0, 0)[:2]
        if not 0 <= flowinfo <= 0xFFFFF:
            raise OverflowError(f"{caller}(): flowinfo must be 0-1048575.")
        return numeric, port, flowinfo, scope

    def bind(self, *args):
        address = self._address(_one("bind", args), "bind")
        file = self._family == _AF_UNIX and address[:1] not in (b"\0", "\0") and address
        if file:
            folder = os.path.dirname(file)
            if folder and not os.path.isdir(folder):
                raise exception("ENOTDIR" if os.path.lexists(folder) else "ENOENT")
            if os.path.lexists(file):
                raise exception("EADDRINUSE")
        _call("bind", self._fd, address)
        if file:
            _make_socket_file(file)

    def getsockname(self, *args):
        _none("getsockname", args)
        return _name_of(_call("getsockname", self._fd))

    def getpeername(self, *args):
        _none("getpeername", args)
        return _name_of(_call("getpeername", self._fd))

    # Connections

    def listen(self, *args):
        _between("listen", args, 0, 1)
        _call("listen", self._fd, max(_int(args[0]) if args else 128, 0))

    def _accept(self):
        fd, address = _within(self._wait(0), "accept", self._fd)
        return descriptors.opened(fd), _name_of(address)

    def _connect(self, address):
        """`(error, value)` of a connect. An interrupted one goes on by itself, so it is waited for, not repeated."""
        limit = self._wait(0)
        deadline = sched.now + limit if limit else None
        failure, text = sched.exchange("connect", self._fd, address, limit)
        if failure != "EINTR":
            return failure, text
        sched.handle_signals(_SIGINT)
        remains = None if deadline is None else max(deadline - sched.now, 0)
        failure, ready = sched.call_within(remains, "poll", [(self._fd, _POLLOUT)])
        if failure is not None:
            return failure, ready
        if not ready:
            return "timeout", None
        code = _call("getsockopt", self._fd, _SOL_SOCKET, _SO_ERROR, 0)
        return (_name(code), None) if code else (None, None)

    def connect(self, *args):
        _value(self._connect(self._address(_one("connect", args), "connect")))

    def connect_ex(self, *args):
        failure, text = self._connect(self._address(_one("connect_ex", args), "connect_ex"))
        return 0 if failure is None else number(failure)

    def shutdown(self, *args):
        _call("shutdown", self._fd, _int(_one("shutdown", args)))

    # Options

    def getsockopt(self, *args):
        _between("getsockopt", args, 2, 3)
        level, name, size = (*map(_int, args), 0)[:3]
        if not 0 <= size <= 1024:
            raise OSError("getsockopt buflen out of range")
        return _call("getsockopt", self._fd, level, name, size)

    def setsockopt(self, *args):
        if len(args) != 4:
            _between("setsockopt", args, 3, 3)
        level, name, value = _int(args[0]), _int(args[1]), args[2]
        if len(args) == 4:
            if value is not None:
                raise TypeError(f"setsockopt() argument 3 must be None, not {type(value).__name__}")
            if _int(args[3]):
                raise exception("EFAULT")
            value = b""
        else:
            # C tries an int first; one that does not fit is no int.
            small = hasattr(value, "__index__") and -(1 << 31) <= index(value) < 1 << 31
            value = index(value) if small else _octets(value)
        _call("setsockopt", self._fd, level, name, value)

    # Receiving

    def _wait(self, flags):
        """How long a transfer may block, in nanoseconds."""
        if self._limit is None and (flags & _DONTWAIT or descriptors.is_nonblocking(self._fd)):
            return 0
        return self._limit

    def _receive(self, size, flags):
        if size == 0:
            return b""
        return _within(self._wait(flags), "recv", self._fd, size, flags)

    def recv(self, *args):
        _between("recv", args, 1, 2)
        size, flags = _size(args[0], "recv"), _int(args[1]) if len(args) == 2 else 0
        return self._receive(size, flags)

    def _receive_from(self, size, flags):
        data, address, msg_flags = _within(self._wait(flags), "recvfrom", self._fd, size, flags)
        return data, _name_of(address), msg_flags

    def recvfrom(self, *args):
        _between("recvfrom", args, 1, 2)
        size, flags = _size(args[0], "recvfrom"), _int(args[1]) if len(args) == 2 else 0
        data, address, _ = self._receive_from(size, flags)
        return data, address

    def recv_into(self, buffer, nbytes=0, flags=0):
        view, size = _writable(buffer, nbytes, "recv_into", "buffer too small for requested bytes")
        data = self._receive(size, _int(flags))
        view[: len(data)] = data[: len(view)]  # With MSG_TRUNC the answer is longer than the buffer.
        return len(data)

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        view, size = _writable(
            buffer, nbytes, "recvfrom_into", "nbytes is greater than the length of the buffer"
        )
        data, address, _ = self._receive_from(size, _int(flags))
        view[: len(data)] = data[: len(view)]
        return len(data), address

    def recvmsg(self, *args):
        _between("recvmsg", args, 1, 3)
        size, ancillary, flags = (*map(index, args), 0, 0)[:3]
        if size < 0:
            raise ValueError("negative buffer size in recvmsg()")
        if ancillary < 0:
            raise ValueError("invalid ancillary data buffer length")
        data, control, msg_flags, address = _within(
            self._wait(flags), "recvmsg", self._fd, size, ancillary, flags
        )
        control = [_received(*item, flags) if type(item[2]) is list else item for item in control]
        # Linux gives this flag back.
        return data, control, msg_flags | flags & _CMSG_CLOEXEC, _name_of(address)

    def recvmsg_into(self, *args):
        _between("recvmsg_into", args, 1, 3)
        views = [_writable(buffer, 0, "recvmsg_into", "")[0] for buffer in _iterable(args[0], "recvmsg_into")]
        data, ancillary, msg_flags, address = self.recvmsg(sum(map(len, views)), *args[1:])
        rest = data
        for view in views:
            part, rest = rest[: len(view)], rest[len(view) :]
            view[: len(part)] = part
        return len(data), ancillary, msg_flags, address

    # Sending

    def _send(self, data, flags):
        """send(2). A blocking stream socket takes all of `data` before it returns, as Linux does."""
        if self._kind != _STREAM:
            return _within(self._wait(flags), "send", self._fd, data, flags)
        sent = _within(self._wait(flags), "send", self._fd, data[:_PIECE], flags)
        if self._wait(flags) is None:
            while sent < len(data):
                failure, taken = sched.call_within(None, "send", self._fd, data[sent : sent + _PIECE], flags)
                if failure is not None:
                    break
                sent += taken
        return sent

    def send(self, *args):
        _between("send", args, 1, 2)
        return self._send(_octets(args[0]), _int(args[1]) if len(args) == 2 else 0)

    def sendall(self, *args):
        _between("sendall", args, 1, 2)
        data = _octets(args[0])
        flags = _int(args[1]) if len(args) == 2 else 0
        limit = self._wait(flags)
        deadline = sched.now + limit if limit else None
        rest = data
        while True:
            taken = _within(limit, "send", self._fd, rest[:_PIECE], flags)
            rest = rest[taken:]
            if not rest:
                return
            if deadline is not None:
                limit = deadline - sched.now
                if limit <= 0:
                    raise TimeoutError("timed out")

    def sendto(self, *args):
        if not 2 <= len(args) <= 3:
            otherwise = f"sendto() takes 2 or 3 arguments ({len(args)} given)"
            raise wrong_arguments("socket.sendto", args, otherwise)
        data = _octets(args[0])
        flags = _int(args[1]) if len(args) == 3 else 0
        address = self._address(args[-1], "sendto")
        return _within(self._wait(flags), "sendto", self._fd, data, flags, address)

    def sendmsg(self, *args):
        _between("sendmsg", args, 1, 4)
        buffers, ancillary, flags, address = (*args, *((), 0, None)[len(args) - 1 :])
        data = b"".join(map(_octets, _iterable(buffers, "sendmsg")))
        control = [_control(item) for item in _iterable(ancillary, "sendmsg", 2)]
        flags = _int(flags)
        if address is None and not control:
            return self._send(data, flags)
        if address is not None:
            address = self._address(address, "sendmsg")
        sent = []
        if self._family == _AF_UNIX:
            control = [_to_send(item, sent) for item in control]
        try:
            return _within(self._wait(flags), "sendmsg", self._fd, data, control, flags, address)
        except BaseException as error:
            descriptors.not_sent(sent)
            foreign = isinstance(error, OSError) and error.errno == 95 and any(number < 0 for number, _ in sent)
            if foreign:
                error.strerror = "A simulated host's file of the machine can only be passed within one process"
            raise


SocketType = socket


def _control(item):
    """An item of sendmsg's ancillary data."""
    try:
        level, kind, data = item
    except TypeError:
        raise TypeError("[sendmsg() argument 2]must be 3-item sequence, not " + type(item).__name__) from None
    except ValueError:
        raise TypeError(f"sendmsg() ancillary data items must be 3-item sequences, not {len(item)}") from None
    return _int(level), _int(kind), _octets(data)


def _to_send(item, sent):
    """An item of ancillary data as it goes to the world. `sent`: where to note descriptors that go in it."""
    level, kind, data = item
    if (level, kind) != (_SOL_SOCKET, _SCM_RIGHTS):
        return item
    try:
        fds = memoryview(data[: len(data) // 4 * 4]).cast("i")
        rights = []
        for fd in fds:
            rights.append(descriptors.to_send(fd))
            sent.append(rights[-1])
    except OSError:
        descriptors.not_sent(sent)
        raise
    return level, kind, rights


def _received(level, kind, rights, flags):
    """An item of ancillary data that brings descriptors."""
    inheritable, stays = not flags & _CMSG_CLOEXEC, bool(flags & _PEEK)
    fds = [descriptors.received(*right, inheritable, stays) for right in rights]
    return level, kind, b"".join(fd.to_bytes(4, "little") for fd in fds)


def _path(address):
    """An AF_UNIX address as it goes to the world: a path as text if it is some, an abstract name as octets."""
    path = os.fsencode(address) if isinstance(address, str) else _octets(address)
    if len(path) > 108 or len(path) == 108 and path[:1] != b"\0":
        raise OSError("AF_UNIX path too long")
    return _text(path)


def _text(path):
    try:
        return path if path[:1] == b"\0" else path.decode()
    except UnicodeDecodeError:
        return path


def _name_of(address):
    """An address from the world as Python has it: a path of any octets is text."""
    return os.fsdecode(address) if type(address) is bytes and address[:1] != b"\0" else address


def _make_socket_file(path):
    """What bind(2) leaves in the file system, for those who look there; the world keeps the name itself."""
    try:
        os.mknod(path, stat.S_IFSOCK | 0o755)
    except (OSError, AttributeError):
        pass


def patch_unlink():
    """Removing a socket's file frees its name on the whole host, whichever process made the file."""
    unlink = os.unlink

    def remove(path, *, dir_fd=None):
        name = _text(os.fsencode(path)) if isinstance(path, (str, bytes)) else None
        try:
            is_socket = name is not None and stat.S_ISSOCK(os.lstat(name).st_mode)
            missing = False
        except (OSError, ValueError):
            is_socket, missing = False, name is not None
        if is_socket or missing and sched.transport is not None:
            failure, _ = sched.call("unlink", name)
            if missing and failure is None:
                return None
        return unlink(path, dir_fd=dir_fd)

    remove.__name__ = remove.__qualname__ = "unlink"
    os.unlink = os.remove = remove


def _name(code):
    """The name of an error number that SO_ERROR gave."""
    from socketlab.linux import ERRNO

    return next((name for name, (value, _) in ERRNO.items() if value == code), "EINVAL")


def _iterable(values, caller, place=1):
    try:
        return list(values)
    except TypeError:
        raise TypeError(f"{caller}() argument {place} must be an iterable") from None


def _writable(buffer, nbytes, caller, too_small):
    """A buffer to receive into, and how much."""
    try:
        view = memoryview(buffer)
    except TypeError:
        view = None
    if view is None or view.readonly:
        raise TypeError(
            f"{caller}() argument 1 must be read-write bytes-like object, not {type(buffer).__name__}"
        )
    view = view.cast("B")
    nbytes = index(nbytes)
    if nbytes < 0:
        raise ValueError(f"negative buffersize in {caller}")
    if nbytes > len(view):
        raise ValueError(too_small)
    return view, nbytes or len(view)


def _info(fd):
    """Family, type and protocol of a descriptor."""
    if not descriptors.is_ours(fd):
        _status_of_file(fd)  # EBADF if it is nothing at all.
        raise exception("ENOTSOCK")
    return _call("sockinfo", fd)


def _close_file(fd):
    import os

    os.close(fd)


def _status_of_file(fd):
    import os

    os.fstat(fd)


def _warns_of_resources():
    """Whether anybody would see a ResourceWarning; by default they are ignored."""
    warnings = sys.modules.get("warnings")
    for action, message, category, module, line in getattr(warnings, "filters", ()):
        if issubclass(ResourceWarning, category) and message is None and module is None and not line:
            return action != "ignore"
    return True


def close(fd, /):
    fd = _int(fd)
    if descriptors.is_ours(fd):
        descriptors.close(fd)
    else:
        _close_file(fd)


def dup(fd, /):
    return descriptors.dup(_int(fd))


def socketpair(family=_AF_UNIX, type=_STREAM, proto=0):
    family, type, proto = _int(family), _int(type), _int(proto)
    first, second = map(descriptors.opened, _call("socketpair", family, type & 0xFF, proto))
    return socket(family, type, proto, first), socket(family, type, proto, second)


#: `struct cmsghdr`, and the most that a `socklen_t` may say.
_CMSG_HEADER = 16
_CMSG_MOST = (1 << 31) - 1


def CMSG_LEN(length, /):
    if not 0 <= index(length) <= _CMSG_MOST - _CMSG_HEADER:
        raise OverflowError("CMSG_LEN() argument out of range")
    return _CMSG_HEADER + length


def CMSG_SPACE(length, /):
    if not 0 <= index(length) <= _CMSG_MOST - _CMSG_HEADER - 8:
        raise OverflowError("CMSG_SPACE() argument out of range")
    return _CMSG_HEADER + (length + 7) // 8 * 8


like_c(globals())

# What `from _socket import *` in socket.py takes: the C module's names, without what this file imported for itself.
__all__ = [
    *CONSTANTS,
    *(name for name in vars(names) if name.startswith(("get", "inet_", "if_", "hton", "ntoh", "sethost"))),
    *"error timeout herror gaierror has_ipv6 socket SocketType socketpair close dup".split(),
    *"getdefaulttimeout setdefaulttimeout CMSG_LEN CMSG_SPACE".split(),
]
