"""Stands in for the C module `_thread`: threads, locks and thread numbers of `sched`. The standard library's
`threading`, `queue` and `concurrent.futures` run on it unchanged (CPython 3.10 to 3.14).

Left out on purpose: `_excepthook` (threading has its own).
"""

import sys
from _collections import deque
from _weakrefset import WeakSet

from socketlab import sched, signals
from socketlab.like_c import like_c

error = RuntimeError
#: Seconds; what C's `PY_TIMEOUT_MAX` is on 64-bit Linux.
TIMEOUT_MAX = 9223372036.0

_live = {}
_sentinels = {}


def get_ident():
    return sched.current


get_native_id = get_ident


def daemon_threads_allowed():
    return True


_stack_size = 0
#: The least that Linux gives a thread.
_LEAST_STACK = 32768


def stack_size(size=0, /):
    """Only remembered: stacks grow as they need."""
    global _stack_size
    if size < 0:
        raise ValueError("size must be 0 or a positive value")
    if 0 < size < _LEAST_STACK:
        raise ValueError(f"size not valid: {size} bytes")
    before, _stack_size = _stack_size, size
    return before


def _get_main_thread_ident():
    return sched.MAIN


def _is_main_interpreter():
    return True


def set_name(name):
    sched.post("thread", str(name))


interrupt_main = signals.interrupt_main


def exit():
    raise SystemExit


exit_thread = exit


class lock:
    __slots__ = ("_held", "_waiters", "__weakref__")
    __module__ = "_thread"

    def __init__(self):
        self._held = False
        self._waiters = deque()

    def acquire(self, blocking=True, timeout=-1):
        nanoseconds = None
        if timeout != -1:
            if not blocking:
                raise ValueError("can't specify a timeout for a non-blocking call")
            if timeout < 0:
                raise ValueError("timeout value must be a non-negative number")
            if timeout > TIMEOUT_MAX:
                raise OverflowError("timeout value is too large")
            nanoseconds = int(timeout * 1_000_000_000)
        if not self._held:
            self._held = True
            return True
        if not blocking or nanoseconds == 0:
            return False
        waiter = sched.Waiter()
        self._waiters.append(waiter)
        try:
            granted = waiter.wait(nanoseconds)
        except BaseException:
            if waiter.woken:
                self.release()
            else:
                self._waiters.remove(waiter)
            raise
        if not granted:
            self._waiters.remove(waiter)
        return granted

    def release(self):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        if self._waiters:
            # The lock stays held: it now belongs to the thread that has waited longest.
            self._waiters.popleft().wake()
        else:
            self._held = False

    def locked(self):
        return self._held

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked
    __enter__ = acquire

    def __exit__(self, *exc):
        self.release()

    def _at_fork_reinit(self):
        self.__init__()

    def __repr__(self):
        state = "locked" if self._held else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"


LockType = lock


def allocate_lock():
    return lock()


allocate = allocate_lock


class RLock:
    __module__ = "_thread"

    def __init__(self):
        self._block = lock()
        self._owner = 0
        self._count = 0

    def acquire(self, blocking=True, timeout=-1):
        me = sched.current
        if self._owner == me:
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner = me
        self._count = 1
        return True

    __enter__ = acquire

    def release(self):
        if self._owner != sched.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = 0
            self._block.release()

    def __exit__(self, *exc):
        self.release()

    def locked(self):
        return self._block.locked()

    def _is_owned(self):
        return self._owner == sched.current

    def _recursion_count(self):
        return self._count if self._owner == sched.current else 0

    def _release_save(self):
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        state = (self._count, self._owner)
        self._count = self._owner = 0
        self._block.release()
        return state

    def _acquire_restore(self, state):
        self._block.acquire()
        self._count, self._owner = state

    def _at_fork_reinit(self):
        self.__init__()

    def __repr__(self):
        state = "locked" if self._block.locked() else "unlocked"
        return f"<{state} _thread.RLock object owner={self._owner} count={self._count} at {id(self):#x}>"


class _local:
    """`threading.local`: attributes of their own in each thread; `__init__` runs again in each."""

    __slots__ = ("_local__args", "_local__dicts", "__dict__", "__weakref__")

    def __new__(cls, /, *args, **kwargs):
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        own = object.__getattribute__(self, "__dict__")
        object.__setattr__(self, "_local__args", (args, kwargs))
        object.__setattr__(self, "_local__dicts", {sched.current: own})
        _locals.add(self)
        return self

    def __getattribute__(self, name):
        _switch_local(self)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        _switch_local(self)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        _switch_local(self)
        object.__delattr__(self, name)


_locals = WeakSet()


def _switch_local(self):
    """Puts the running thread's attributes in place."""
    dicts = object.__getattribute__(self, "_local__dicts")
    me = sched.current
    own = dicts.get(me)
    if own is None:
        own = dicts[me] = {}
        object.__setattr__(self, "__dict__", own)
        args, kwargs = object.__getattribute__(self, "_local__args")
        type(self).__init__(self, *args, **kwargs)
    else:
        object.__setattr__(self, "__dict__", own)


class _ThreadHandle:
    """CPython 3.13 and later: what `threading.Thread` joins."""

    def __init__(self):
        self.ident = None
        self._done = False
        self._waiters = []

    def is_done(self):
        return self._done

    def _set_done(self):
        self._done = True
        for waiter in self._waiters:
            waiter.wake()
        self._waiters.clear()

    def join(self, timeout=None):
        if self._done:
            return
        if self.ident == sched.current:
            raise RuntimeError("Cannot join current thread")
        nanoseconds = None if timeout is None or timeout < 0 else int(timeout * 1_000_000_000)
        waiter = sched.Waiter()
        self._waiters.append(waiter)
        try:
            waiter.wait(nanoseconds)
        finally:
            if not waiter.woken:
                self._waiters.remove(waiter)


def _make_thread_handle(ident):
    handle = _ThreadHandle()
    handle.ident = ident
    return handle


def start_joinable_thread(function, handle=None, daemon=True):
    if handle is None:
        handle = _ThreadHandle()

    def body():
        tid = sched.current
        try:
            _begin(function)
            function()
        except SystemExit:
            pass
        except BaseException as exc:
            _report(function, exc)
        finally:
            for each in _locals:
                object.__getattribute__(each, "_local__dicts").pop(tid, None)
            _live.pop(tid, None)
            sentinel = _sentinels.pop(tid, None)
            if sentinel is not None and sentinel.locked():
                sentinel.release()
            handle._set_done()

    handle.ident = tid = sched.start(body)
    _live[tid] = (handle, daemon)
    return handle


def start_new_thread(function, args, kwargs={}):
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")

    def run():
        function(*args, **kwargs)

    run.__self__ = getattr(function, "__self__", None)
    run.__wrapped__ = function
    return start_joinable_thread(run).ident


start_new = start_new_thread


def _begin(function):
    name = getattr(getattr(function, "__self__", None), "_name", None)
    if isinstance(name, str):
        sched.post("thread", name)
    events = sys.modules.get("asyncio.events")
    if events is not None:
        # A new stack in the page begins with a copy of its maker's running loop.
        events._set_running_loop(None)


def _report(function, exc):
    """As C's `thread_run`."""
    import traceback
    from types import SimpleNamespace

    function = getattr(function, "__wrapped__", function)
    if sys.unraisablehook is not sys.__unraisablehook__:
        words = "Exception ignored in thread started by"
        sys.unraisablehook(
            SimpleNamespace(
                exc_type=type(exc), exc_value=exc, exc_traceback=exc.__traceback__, err_msg=words, object=function
            )
        )
    elif sys.stderr is not None:
        # C's own hook takes only what C has made.
        sys.stderr.write(f"Exception ignored in thread started by: {function!r}\n")
        traceback.print_exception(type(exc), exc, exc.__traceback__)


def _set_sentinel():
    """CPython up to 3.12: a lock that is released when the calling thread has ended."""
    sentinel = _sentinels[sched.current] = lock()
    return sentinel


def forget_others():
    """In a copy of the process: its only thread goes on."""
    _live.clear()
    _sentinels.clear()


def _count():
    return len(_live)


def _shutdown():
    """CPython 3.13 and later: waits for all threads that are not daemons."""
    while True:
        pending = [handle for handle, daemon in list(_live.values()) if not daemon]
        if not pending:
            return
        pending[0].join()


like_c(globals())
