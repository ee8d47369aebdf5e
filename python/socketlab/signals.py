"""Signals of the simulated process: Ctrl-C, alarms in virtual time, `os.kill` between processes of a host. Handlers run
in the main thread, between two of its calls or out of one that blocks (PEP 475), as CPython runs them.

Handlers are kept by the module `signal` itself; the machine never sends one of these signals.
"""

import os
import signal
import sys
from math import ceil, isfinite

from socketlab import sched

#: signal(7): their default is to be ignored.
_IGNORED = frozenset(
    getattr(signal, name) for name in ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH") if hasattr(signal, name)
)
_NSIG = 65
_SECOND = 1_000_000_000

_wakeup_fd = -1
_is_shim = None


def deliver(number):
    """What the process does about a signal."""
    if _wakeup_fd != -1:
        # `asyncio` learns of signals by an octet on a socket of its own. A full one is noticed too.
        sched.call("send", _wakeup_fd, bytes([number]), 0, 0)
    handler = signal.getsignal(number)
    if callable(handler):
        frame = sys._getframe(1)
        while frame is not None and _is_shim(frame):
            frame = frame.f_back
        handler(number, frame)
    elif handler == signal.SIG_DFL and number not in _IGNORED:
        sched.post_last("exit", -number)
        sched.transport.leave(-number)


def _checked(number):
    if not 0 < number < _NSIG:
        raise ValueError("signal number out of range")
    return number


def interrupt_main(signum=signal.SIGINT, /):
    """`_thread.interrupt_main`."""
    if signal.getsignal(_checked(signum)) not in (signal.SIG_DFL, signal.SIG_IGN):
        sched.signal_main(signum)


def kill(pid, signum, /):
    """`os.kill`."""
    # 0 is the own process group: there is one for each program.
    if pid in (sched.process, 0):
        if signum:
            sched.signal_main(_numbered(signum))
        return
    error, _ = sched.call("kill", pid if pid > 0 else 0, _numbered(signum))
    if error is not None:
        raise ProcessLookupError(3, "No such process")


def _numbered(signum):
    if not 0 <= signum < _NSIG:
        raise OSError(22, "Invalid argument")
    return int(signum)


def _nanoseconds(seconds):
    seconds = float(seconds)
    if not isfinite(seconds) or seconds < 0 or seconds > 1e9:
        raise signal.ItimerError(22, "Invalid argument")
    return ceil(seconds * _SECOND)


#: When the alarm is due and its interval, as far as this process has set it. For `getitimer`.
_alarm = (0, 0)


def _set_alarm(first, interval):
    global _alarm
    error, (left, before) = sched.call("alarm", first, interval)
    _alarm = (sched.now + first if first else 0, interval)
    return left, before


def _install_alarms():
    def alarm(seconds, /):
        left, _ = _set_alarm(int(seconds) * _SECOND, 0)
        return -(-left // _SECOND)

    def setitimer(which, seconds, interval=0.0, /):
        _only_real(which)
        left, before = _set_alarm(_nanoseconds(seconds), _nanoseconds(interval))
        return left / _SECOND, before / _SECOND

    def getitimer(which, /):
        _only_real(which)
        due, interval = _alarm
        left = due - sched.now
        if left <= 0 and due and interval:
            left = interval - -left % interval
        return max(left, 0) / _SECOND, interval / _SECOND

    def _only_real(which):
        # Time that a program computes does not pass here, so ITIMER_VIRTUAL and ITIMER_PROF never would.
        if which != signal.ITIMER_REAL:
            raise signal.ItimerError(22, "Invalid argument")

    for function in (alarm, setitimer, getitimer):
        if hasattr(signal, function.__name__):
            setattr(signal, function.__name__, staticmethod(function))


def install(is_shim):
    """Puts these functions into `signal` and `os`. `is_shim`: whether a frame is the shim's own."""
    global _is_shim
    _is_shim = is_shim
    sched.on_signal = deliver
    # A program of a lab begins like one started by hand, also when the machine's shell ignores Ctrl-C for its jobs.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _install_alarms()

    def set_wakeup_fd(fd, *, warn_on_full_buffer=True):
        global _wakeup_fd
        previous, _wakeup_fd = _wakeup_fd, fd
        return previous

    def raise_signal(signalnum, /):
        sched.signal_main(_numbered(signalnum))

    def pthread_kill(thread_id, signalnum, /):
        # Whichever thread it is sent to, the handler runs in the main thread.
        if signalnum:
            sched.signal_main(_numbered(signalnum))

    def pause():
        sched.exchange("park", None)
        sched.handle_signals(signal.SIGINT)

    signal.set_wakeup_fd = staticmethod(set_wakeup_fd)
    signal.raise_signal = staticmethod(raise_signal)
    for name, function in (("pthread_kill", pthread_kill), ("pause", pause)):
        if hasattr(signal, name):
            setattr(signal, name, staticmethod(function))
    if hasattr(os, "kill"):
        os.kill = staticmethod(kill)
        os.killpg = staticmethod(kill)
