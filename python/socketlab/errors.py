"""From the world's name of an error to CPython's own exception, with Linux's numbers and texts on every platform.

The page's Python has other numbers (WASI), so the subclass of `OSError` is chosen here and `errno` and `os.strerror`
are made to agree.
"""

import _thread
import errno
import os

from socketlab.linux import ERRNO, RESOLVER, CONSTANTS

_SUBCLASS = {
    "ECONNREFUSED": ConnectionRefusedError,
    "ECONNRESET": ConnectionResetError,
    "ECONNABORTED": ConnectionAbortedError,
    "EPIPE": BrokenPipeError,
    "ESHUTDOWN": BrokenPipeError,
    "EAGAIN": BlockingIOError,
    "EWOULDBLOCK": BlockingIOError,
    "EINPROGRESS": BlockingIOError,
    "EALREADY": BlockingIOError,
    "ETIMEDOUT": TimeoutError,
    "EINTR": InterruptedError,
    "EACCES": PermissionError,
    "EPERM": PermissionError,
    "ENOENT": FileNotFoundError,
    "EEXIST": FileExistsError,
}

#: Numbers that the platform's own files report too; there the platform's number stays right.
_OF_FILES = ("ENOENT", "EEXIST", "EIO")


#: The interpreter's own, taken before the lab's lock stands in its place.
_own_lock = _thread.allocate_lock


def time_too_large(seconds):
    """The interpreter's own `OverflowError` for a time that does not fit: its words changed between versions."""
    try:
        _own_lock().acquire(True, seconds)
    except OverflowError as error:
        return OverflowError(*error.args)
    return OverflowError("timestamp too large to convert to C _PyTime_t")


class herror(OSError):
    pass


class gaierror(OSError):
    pass


herror.__module__ = gaierror.__module__ = "socket"


def exception(name, text=None):
    """The exception for an error of the world: `"ECONNREFUSED"`, `"timeout"`, `"EAI_NONAME"`."""
    if name == "timeout":
        return TimeoutError("timed out")
    if name in RESOLVER:
        return gaierror(CONSTANTS[name], text or RESOLVER[name])
    number, message = ERRNO.get(name) or (getattr(errno, name, ERRNO["EIO"][0]), name)
    return _SUBCLASS.get(name, OSError)(number, text or message)


def number(name):
    """The errno of an error of the world, as `connect_ex` returns it."""
    return exception("EAGAIN" if name == "timeout" else name).errno


def install():
    """Makes `errno` and `os.strerror` say what Linux says."""
    changed = {
        name: value
        for name, (value, _) in ERRNO.items()
        if name not in _OF_FILES and getattr(errno, name, None) != value
    }
    if not changed:
        return
    for name in changed:
        errno.errorcode.pop(getattr(errno, name, None), None)
    for name, value in changed.items():
        setattr(errno, name, value)
        errno.errorcode[value] = name
    errno.errorcode[ERRNO["EAGAIN"][0]] = "EAGAIN"
    texts = {value: text for name, (value, text) in ERRNO.items() if name not in _OF_FILES}
    platform_strerror = os.strerror

    def strerror(code, /):
        return texts.get(code) or platform_strerror(code)

    os.strerror = strerror
