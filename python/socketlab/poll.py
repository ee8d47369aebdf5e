"""Stands in for the C module `select`: each `select`, `poll` and `epoll` wait is one `poll` call to the world.

Files of the machine are always ready, as on Linux; an epoll object's own descriptor is one of them (in the page it has
none), so it cannot be waited for itself.

Left out: with edge-triggered epoll, octets that come while earlier ones are unread make no edge of their own.
"""

from operator import index

import os

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
#: The events poll(2) knows; epoll's modifiers are not among them.
_POLL_EVENTS = 0x3FFF


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


class _Interest:
    """The kernel's half of an epoll object, which copies of its descriptor share: descriptor: events."""

    def __init__(self):
        self.wanted = {}


#: By the epoll object's own descriptor, where there are such.
_interests = {}


class epoll:
    __module__ = "select"
    __slots__ = ("_fd", "_interest", "__weakref__")

    def __init__(self, sizehint=-1, flags=0):
        if sizehint != -1 and index(sizehint) <= 0:
            raise ValueError("sizehint must be positive or -1")
        if flags & ~EPOLL_CLOEXEC:
            raise exception("EINVAL")
        self._interest = _Interest()
        self._fd = -1
        if descriptors.floor:
            self._fd = os.open(os.devnull, os.O_RDWR)
            _interests[self._fd] = self._interest

    @classmethod
    def fromfd(cls, fd, /):
        self = object.__new__(cls)
        self._fd = index(fd)
        self._interest = _interests.get(self._fd) or _Interest()
        return self

    def __del__(self):
        if getattr(self, "_interest", None) is not None:
            self.close()

    @property
    def closed(self):
        return self._interest is None

    def _open(self):
        if self._interest is None:
            raise ValueError("I/O operation on closed epoll object")
        if self._fd != -1:
            try:
                os.fstat(self._fd)
            except OSError:
                raise exception("EBADF") from None
        return self._interest.wanted

    def close(self):
        self._interest = None
        fd, self._fd = self._fd, -1
        if fd != -1:
            _interests.pop(fd, None)
            try:
                os.close(fd)
            except OSError:
                pass

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *exc):
        self.close()

    def fileno(self):
        if self._interest is None:
            raise ValueError("I/O operation on closed epoll object")
        if self._fd == -1:
            raise exception("ENOSYS")
        return self._fd

    def register(self, fd, eventmask=EPOLLIN | EPOLLPRI | EPOLLOUT):
        wanted, fd = self._open(), _descriptor(fd)
        if fd in wanted and _is_open(fd):
            raise exception("EEXIST")
        if not descriptors.is_ours(fd) and fd > 2:
            os.fstat(fd)  # EBADF, or else a file, which epoll does not take: epoll_ctl(2).
            raise exception("EPERM")
        if fd > 2:
            failure, text = sched.call("sockinfo", fd)
            if failure is not None:
                raise exception(failure, text)
        wanted[fd] = _unsigned_int(eventmask)

    def modify(self, fd, eventmask):
        self._known(fd)[_descriptor(fd)] = _unsigned_int(eventmask)

    def unregister(self, fd):
        del self._known(fd)[_descriptor(fd)]

    def _known(self, fd):
        """The interest list, if it has the descriptor."""
        wanted, fd = self._open(), _descriptor(fd)
        if not _is_open(fd):
            wanted.pop(fd, None)
            raise exception("EBADF")
        if fd not in wanted:
            raise exception("ENOENT")
        return wanted

    def poll(self, timeout=None, maxevents=-1):
        wanted = self._open()
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
        reported = descriptors.reported
        asked = []
        for fd, events in wanted.items():
            new = events & _POLL_EVENTS & ~(reported.get(fd, 0) if events & EPOLLET else 0)
            if new:
                asked.append((fd, new))
        ready = []
        for fd, events in _wait_for_ours(asked, nanoseconds)[:maxevents]:
            if events & POLLNVAL:
                wanted.pop(fd, None)  # A closed descriptor leaves the set by itself: epoll(7).
                continue
            mode = wanted.get(fd, 0)
            if mode & EPOLLET:
                # All that is the case is told with what is new.
                [(_, events)] = _wait_for_ours([(fd, mode & _POLL_EVENTS)], 0) or [(fd, events)]
                reported[fd] = events
            if mode & EPOLLONESHOT:
                wanted[fd] = EPOLLONESHOT
            ready.append((fd, events))
        return ready


def _is_file(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _is_open(fd):
    return fd <= 2 or descriptors.is_open(fd)


def _unsigned_int(value):
    value = index(value)
    if not 0 <= value <= 0xFFFFFFFF:
        raise OverflowError("unsigned int is out of range")
    return value


like_c(globals())
