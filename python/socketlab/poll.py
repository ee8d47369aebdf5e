"""Stands in for the C module `select`: each `select` and `poll` is one `poll` call to the
world, each `epoll` method one call of its own.

Files of the machine are always ready, as on Linux. An epoll object is one of the host's files (`socket/epoll.rs` of
the stack); what is here checks arguments as C does.
"""

from operator import index

import os
import sys

from socketlab import descriptors, sched
from socketlab.errors import exception, time_too_large
from socketlab.like_c import like_c

error = OSError

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLMSG, POLLRDHUP = 64, 128, 256, 512, 1024, 0x2000
EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP = 1, 2, 4, 8, 16
EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG, EPOLLRDHUP = 64, 128, 256, 512, 1024, 0x2000
EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 30, 1 << 31
EPOLL_CLOEXEC = 0o2000000
PIPE_BUF = 4096
_FD_SETSIZE = 1024
#: An int of C.
_MOST_MILLISECONDS = 1 << 31
#: epoll_ctl(2).
_ADD, _DELETE, _MODIFY = 1, 2, 3


def _call(op, *args):
    failure, value = sched.call(op, *args)
    if failure is not None:
        raise exception(failure, value)
    return value


def _descriptor(obj):
    if isinstance(obj, int):
        fd = int(obj)
    else:
        fileno = getattr(obj, "fileno", None)
        if fileno is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        fd = fileno()
        if not isinstance(fd, int):
            raise TypeError("fileno() returned a non-integer")
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return fd


def _wait(wanted, nanoseconds):
    """`[(fd, events)]` for a list of the same form, in its order."""
    files = _files(wanted)
    if files is None:
        return _wait_for_ours(wanted, nanoseconds)
    ready = dict(files)
    ready.update(_wait_for_ours([pair for pair in wanted if pair[0] not in files], 0 if any(files.values()) else nanoseconds))
    return [(fd, ready[fd]) for fd, _ in wanted if ready.get(fd)]


def _files(wanted):
    """What is ready of the machine's files; None if there are none."""
    if not descriptors.floor or all(fd < descriptors.floor for fd, _ in wanted):
        return None
    files = {}
    for fd, events in wanted:
        if fd >= descriptors.floor:
            ready = events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
            files[fd] = ready if _is_file(fd) else POLLNVAL
    return files


def _wait_for_ours(wanted, nanoseconds):
    # `selectors` tries poll() with nothing to wait for when it is imported, before there is a world.
    if not wanted and nanoseconds == 0:
        return []
    failure, ready = sched.call_within(nanoseconds, "poll", wanted)
    if failure == "timeout":
        return []
    if failure is not None:
        raise exception(failure, ready)
    return ready


def _rounded_up(number):
    whole = int(number)
    return whole if whole == number else whole + 1


def _nanoseconds(timeout, unit):
    """A time-out as C's `_PyTime` reads it; `unit`: nanoseconds of 1."""
    if isinstance(timeout, float):
        if timeout != timeout:
            raise ValueError("Invalid value NaN (not a number)")
    else:
        timeout = index(timeout)
    if abs(timeout) * unit >= 1 << 63:
        # Milliseconds that fit in neither unit get the same words.
        raise time_too_large(timeout)
    return _rounded_up(timeout * unit)


def select(rlist, wlist, xlist, timeout=None, /):
    nanoseconds = None
    if timeout is not None:
        try:
            nanoseconds = _nanoseconds(timeout, 1_000_000_000)
        except TypeError:
            raise TypeError("timeout must be a float or None") from None
        if timeout < 0:
            raise ValueError("timeout must be non-negative")
    sets = []
    wanted = {}
    for objects, events in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLPRI)):
        try:
            # As C does: a list is walked as it is, even if a `fileno` changes it.
            objects = objects if isinstance(objects, list) else list(objects)
        except TypeError:
            raise TypeError("arguments 1-3 must be sequences") from None
        pairs = []
        for obj in objects:
            fd = _descriptor(obj)
            # Files of the machine have numbers above those of the host.
            if fd >= descriptors.floor + _FD_SETSIZE:
                raise ValueError("filedescriptor out of range in select()")
            wanted[fd] = wanted.get(fd, 0) | events
            pairs.append((obj, fd))
        sets.append(pairs)
    ready = dict(_wait(list(wanted.items()), nanoseconds))
    if any(events & POLLNVAL for events in ready.values()):
        raise exception("EBADF")
    # Which poll(2) events make a descriptor readable, writable, exceptional: select(2), "Correspondence".
    masks = (POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI)
    return tuple([obj for obj, fd in pairs if ready.get(fd, 0) & mask] for pairs, mask in zip(sets, masks))


def _unsigned_short(value):
    value = index(value)
    if value < 0:
        raise ValueError("value must be positive")
    if value > 0xFFFF:
        raise OverflowError("Python int too large for C unsigned short")
    return value


class _Poll:
    """The class of poll objects; only `select.poll()` makes them."""

    __module__ = "select"

    def __new__(cls):
        raise TypeError("cannot create 'select.poll' instances")

    @classmethod
    def _made(cls):
        self = object.__new__(cls)
        self._wanted = {}
        self._polling = False
        return self

    def register(self, fd, eventmask=POLLIN | POLLPRI | POLLOUT, /):
        self._wanted[_descriptor(fd)] = _unsigned_short(eventmask)

    def modify(self, fd, eventmask, /):
        fd = _descriptor(fd)
        if fd not in self._wanted:
            raise exception("ENOENT")
        self._wanted[fd] = _unsigned_short(eventmask)

    def unregister(self, fd, /):
        del self._wanted[_descriptor(fd)]

    def poll(self, timeout=None, /):
        if self._polling:
            raise RuntimeError("concurrent poll() invocation")
        nanoseconds = None
        if timeout is not None:
            nanoseconds = _nanoseconds(timeout, 1_000_000)
            if nanoseconds >= _MOST_MILLISECONDS * 1_000_000:
                raise OverflowError("timeout is too large")
            if timeout < 0:
                nanoseconds = None
        self._polling = True
        try:
            return _wait(list(self._wanted.items()), nanoseconds)
        finally:
            self._polling = False


_Poll.__name__ = _Poll.__qualname__ = "poll"


def poll():
    return _Poll._made()


class epoll:
    """An epoll object of the host (epoll(7))."""

    __module__ = "select"
    __slots__ = ("_fd", "__weakref__")

    def __init__(self, sizehint=-1, flags=0):
        self._fd = -1
        if sizehint != -1 and index(sizehint) <= 0:
            raise ValueError("sizehint must be positive or -1")
        if flags & ~EPOLL_CLOEXEC:
            raise exception("EINVAL")
        if not _is_a_trial():
            self._fd = descriptors.opened(_call("epoll_create"))

    @classmethod
    def fromfd(cls, fd, /):
        self = object.__new__(cls)
        self._fd = index(fd)
        return self

    def __del__(self):
        if sched.transport is None:
            return
        fd, self._fd = self._fd, -1
        if descriptors.is_open(fd):
            descriptors.closed(fd)
            sched.post("close", fd)

    @property
    def closed(self):
        return self._fd < 0

    def fileno(self):
        if self._fd < 0:
            raise ValueError("I/O operation on closed epoll object")
        return self._fd

    def close(self):
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self):
        self.fileno()
        return self

    def __exit__(self, *exc):
        self.close()

    def _control(self, op, fd, events=0):
        mine, fd = self.fileno(), _descriptor(fd)
        if fd > 2 and not descriptors.is_ours(fd):
            os.fstat(fd)  # EBADF, or else a file, which epoll does not take: epoll_ctl(2).
            raise exception("EPERM")
        _call("epoll_ctl", mine, op, fd, _unsigned_int(events))

    def register(self, fd, eventmask=EPOLLIN | EPOLLPRI | EPOLLOUT):
        self._control(_ADD, fd, eventmask)

    def modify(self, fd, eventmask):
        self._control(_MODIFY, fd, eventmask)

    def unregister(self, fd):
        self._control(_DELETE, fd)

    def poll(self, timeout=None, maxevents=-1):
        fd = self.fileno()
        nanoseconds = None
        if timeout is not None:
            try:
                nanoseconds = _nanoseconds(timeout, 1_000_000_000)
            except TypeError:
                raise TypeError("timeout must be a real number or None, not " + type(timeout).__name__) from None
            if nanoseconds >= _MOST_MILLISECONDS * 1_000_000:
                raise OverflowError("timeout is too large")
            if nanoseconds < 0:
                nanoseconds = None
        if maxevents == -1:
            maxevents = _FD_SETSIZE - 1
        if maxevents <= 0:
            raise ValueError(f"maxevents must be greater than 0, got {maxevents}")
        failure, ready = sched.call_within(nanoseconds, "epoll_wait", fd, maxevents)
        if failure == "timeout":
            return []
        if failure is not None:
            raise exception(failure, ready)
        return ready


def _is_a_trial():
    """Whether nobody will use the object: `selectors` tries whether there is epoll when it is imported, which may be
    before there is a world, and which no program of a lab means to do."""
    selectors = sys.modules.get("selectors")
    return sched.transport is None or getattr(getattr(selectors, "__spec__", None), "_initializing", False)


def _is_file(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _unsigned_int(value):
    value = index(value)
    if not 0 <= value <= 0xFFFFFFFF:
        raise OverflowError("unsigned int is out of range")
    return value


like_c(globals())
