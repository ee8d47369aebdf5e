"""Stands in for the C module `select`: each `select`, `poll` and `epoll` wait is one `poll` call to the world.

Left out: edge-triggered epoll reports as level-triggered (allowed, but less sharp), and an epoll object has no
descriptor of its own.
"""

from operator import index

from socketlab import sched
from socketlab.errors import exception

error = OSError

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLMSG, POLLRDHUP = 64, 128, 256, 512, 1024, 0x2000
EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP = 1, 2, 4, 8, 16
EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG, EPOLLRDHUP = 64, 128, 256, 512, 1024, 0x2000
EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 30, 1 << 31
EPOLL_CLOEXEC = 0o2000000
PIPE_BUF = 4096
_FD_SETSIZE = 1024
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


def select(rlist, wlist, xlist, timeout=None, /):
    nanoseconds = None
    if timeout is not None:
        if not isinstance(timeout, float) and not hasattr(timeout, "__index__"):
            raise TypeError("timeout must be a float or None")
        if timeout < 0:
            raise ValueError("timeout must be non-negative")
        nanoseconds = _rounded_up(timeout * 1_000_000_000)
    sets = []
    wanted = {}
    for objects, events in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLPRI)):
        try:
            objects = list(objects)
        except TypeError:
            raise TypeError("arguments 1-3 must be sequences") from None
        pairs = []
        for obj in objects:
            fd = _descriptor(obj)
            if fd >= _FD_SETSIZE:
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


class poll:
    __module__ = "select"

    def __init__(self):
        self._wanted = {}

    def register(self, fd, eventmask=POLLIN | POLLPRI | POLLOUT, /):
        self._wanted[_descriptor(fd)] = index(eventmask)

    def modify(self, fd, eventmask, /):
        fd = _descriptor(fd)
        if fd not in self._wanted:
            raise exception("ENOENT")
        self._wanted[fd] = index(eventmask)

    def unregister(self, fd, /):
        del self._wanted[_descriptor(fd)]

    def poll(self, timeout=None, /):
        nanoseconds = None
        if timeout is not None:
            if not isinstance(timeout, float):
                timeout = index(timeout)
            if timeout >= 0:
                nanoseconds = _rounded_up(timeout * 1_000_000)
        return _wait(list(self._wanted.items()), nanoseconds)


class epoll:
    __module__ = "select"

    def __init__(self, sizehint=-1, flags=0):
        self._wanted = {}

    @property
    def closed(self):
        return self._wanted is None

    def _open(self):
        if self._wanted is None:
            raise ValueError("I/O operation on closed epoll object")
        return self._wanted

    def close(self):
        self._wanted = None

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *exc):
        self.close()

    def fileno(self):
        self._open()
        raise exception("ENOSYS")

    def register(self, fd, eventmask=EPOLLIN | EPOLLPRI | EPOLLOUT):
        wanted, fd = self._open(), _descriptor(fd)
        if fd in wanted:
            raise exception("EEXIST")
        failure, text = sched.call("sockinfo", fd)
        if failure is not None:
            raise exception(failure, text)
        wanted[fd] = index(eventmask)

    def modify(self, fd, eventmask):
        wanted, fd = self._open(), _descriptor(fd)
        if fd not in wanted:
            raise exception("ENOENT")
        wanted[fd] = index(eventmask)

    def unregister(self, fd):
        wanted, fd = self._open(), _descriptor(fd)
        if fd not in wanted:
            raise exception("ENOENT")
        del wanted[fd]

    def poll(self, timeout=None, maxevents=-1):
        wanted = self._open()
        nanoseconds = None if timeout is None or timeout < 0 else _rounded_up(timeout * 1_000_000_000)
        if maxevents == -1:
            maxevents = _FD_SETSIZE - 1
        if maxevents <= 0:
            raise ValueError(f"maxevents must be greater than 0, got {maxevents}")
        asked = [(fd, events & _POLL_EVENTS) for fd, events in wanted.items() if events & _POLL_EVENTS]
        ready = []
        for fd, events in _wait(asked, nanoseconds):
            if events & POLLNVAL:
                wanted.pop(fd, None)  # A closed descriptor leaves the set by itself: epoll(7).
                continue
            if wanted.get(fd, 0) & EPOLLONESHOT:
                wanted[fd] = EPOLLONESHOT
            ready.append((fd, events))
        return ready[:maxevents]
