"""The program's clock: virtual time in place of the machine's, in the module `time`.

The lab begins at 2026-01-01 12:00:00 UTC. `process_time` and `thread_time` run with the virtual clock too: computing
costs nothing here, and a run must not depend on the machine.
"""

import time
from operator import index

from socketlab import sched
from socketlab.errors import exception, time_too_large

#: 2026-01-01 12:00:00 UTC, in nanoseconds since 1970. A choice: a fixed day makes runs repeatable.
EPOCH = 1_767_268_800_000_000_000


def time_ns():
    return EPOCH + sched.read_clock()


def seconds_now():
    return time_ns() / 1e9


def monotonic_ns():
    return sched.read_clock()


def monotonic():
    return sched.read_clock() / 1e9


def sleep(seconds, /):
    if isinstance(seconds, float):
        if seconds != seconds:
            raise ValueError("Invalid value NaN (not a number)")
    else:
        seconds = index(seconds)
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if seconds > 9223372036:
        raise time_too_large(seconds)
    exact = seconds * 1_000_000_000
    whole = int(exact)
    failure, text = sched.call_within(whole if whole == exact else whole + 1, "sleep")
    if failure is not None:
        raise exception(failure, text)


def install():
    """Puts the virtual clock into the module `time`."""
    realtime = getattr(time, "CLOCK_REALTIME", 0)

    def clock_gettime_ns(clock, /):
        return time_ns() if clock == realtime else monotonic_ns()

    def clock_gettime(clock, /):
        return clock_gettime_ns(clock) / 1e9

    wanted = {
        "time": seconds_now,
        "time_ns": time_ns,
        "monotonic": monotonic,
        "monotonic_ns": monotonic_ns,
        "perf_counter": monotonic,
        "perf_counter_ns": monotonic_ns,
        "process_time": monotonic,
        "process_time_ns": monotonic_ns,
        "thread_time": monotonic,
        "thread_time_ns": monotonic_ns,
        "clock_gettime": clock_gettime,
        "clock_gettime_ns": clock_gettime_ns,
        "sleep": sleep,
        "gmtime": _defaults_to_now(time.gmtime),
        "localtime": _defaults_to_now(time.localtime),
        "ctime": _defaults_to_now(time.ctime),
        "asctime": _defaults_to_local(time.asctime, 0),
        "strftime": _defaults_to_local(time.strftime, 1),
    }
    for name, function in wanted.items():
        if hasattr(time, name):
            # As a function of C, it must not become a method where a class keeps it.
            setattr(time, name, staticmethod(function))


def _defaults_to_now(function):
    def wrapper(seconds=None, /):
        return function(seconds_now() if seconds is None else seconds)

    wrapper.__name__ = wrapper.__qualname__ = function.__name__
    return wrapper


def _defaults_to_local(function, before):
    """For a function whose last argument is a struct_time, after `before` others."""

    def wrapper(*args):
        return function(*args, time.localtime()) if len(args) == before else function(*args)

    wrapper.__name__ = wrapper.__qualname__ = function.__name__
    return wrapper
