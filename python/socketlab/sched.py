"""The program's way to the world: system calls, and which of its threads runs.

Exactly one thread runs. It goes on until it makes a system call, waits for a lock or ends; then the next runnable
thread takes over, first come, first served. When none can run, the last message tells the world so (no `MORE`), and
virtual time may pass. Everything is a function of the program and of the world's answers, so a run can be repeated.

A wait for a lock without a time-out is known only here, except that of the main thread, which the world must be able
to interrupt; a wait with a time-out is the world's `park`.
"""

import sys
from _collections import deque
from marshal import dumps, loads
from struct import Struct

MAIN = 1
_MORE = 1
_POST = 2
_head = Struct("<IB").pack

#: How often a program may look at the clock between two calls before it must pay for it, so that a loop which only
#: waits for the time to come ends. A choice: generous for `asyncio`, quickly used up by a busy loop.
FREE_CLOCK_READS = 100

#: Set by `attach`.
transport = None
#: The process's number, set by `run`.
process = 1
#: The thread that runs.
current = MAIN
#: Virtual time in nanoseconds since the lab began, as of the last answer.
now = 0
#: Called with a signal's number, in the main thread, when the program is to hear of it. Set by `signals`.
on_signal = None

#: How often a program may print between two calls before the world goes on for a moment. A choice, like the above.
FREE_WRITES = 1000

_ready = deque()
_last_tid = MAIN
_clock_reads = 0
_writes = 0
_suspending = False
_deferred = []
_SIGINT = 2
#: Numbers of signals that the main thread has not handled yet.
_signals = []


def where():
    """`server.py:7`: the innermost line of the student's own files. They alone have relative names (see `run`)."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name and name[0] not in "/<":
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _suspend(me):
    """Lets the next runnable thread take over, and sleeps until the world or another thread wakes `me`."""
    global current, _suspending
    _suspending = True
    if _ready:
        transport.resume(_ready.popleft())
    answer = transport.wait(me)
    _suspending = False
    current = me
    if _deferred:
        for message in _deferred:
            transport.post(message)
        _deferred.clear()
    return answer


def exchange(op, *args):
    """One system call as the world answers it: `(error, value)`. An interrupt is an `"EINTR"` here."""
    global now, _clock_reads, _writes, _suspending
    me = current
    _suspending = True
    transport.post(_head(me, _MORE if _ready else 0) + dumps((op, where(), *args), 0))
    answer = _suspend(me)
    _clock_reads = _writes = 0
    error, value, now, *signals = loads(memoryview(answer)[4:])
    if signals:
        _signals.extend(signals[0])
    # The caller of an interrupted call looks after its signals, and then may make the call again.
    if _signals and me == MAIN and error != "EINTR":
        handle_signals()
    return error, value


def call(op, *args):
    """One system call: `(error, value)`. After an interrupt it is made again (PEP 475)."""
    while True:
        answer = exchange(op, *args)
        if answer[0] != "EINTR":
            return answer
        handle_signals(_SIGINT)


def call_within(timeout, op, *args):
    """As `call`, for a call whose last argument is its time-out in nanoseconds (or None); an interrupted call is
    made again with what remains of it."""
    if timeout is None or timeout == 0:
        return call(op, *args, timeout)
    deadline = now + timeout
    while True:
        answer = exchange(op, *args, max(deadline - now, 1))
        if answer[0] != "EINTR":
            return answer
        handle_signals(_SIGINT)


def post(op, *args):
    """Tells the world something; no answer, the thread goes on."""
    message = _head(current, _POST | _MORE) + dumps((op, where(), *args), 0)
    # A finalizer may run while a thread is on its way to sleep: the turn is over, so its message waits.
    if _suspending:
        _deferred.append(message)
    else:
        transport.post(message)


def post_last(op, *args):
    """Tells the world something that ends the program's turn: nothing of it runs any more."""
    global _suspending
    _suspending = True
    transport.post(_head(current, _POST) + dumps((op, where(), *args), 0))


def write(stream, text):
    """Prints; a program that does nothing else must let the world go on now and then."""
    global _writes
    post("write", stream, text)
    _writes += 1
    if _writes > FREE_WRITES and not _suspending:
        call("now")


def is_suspending():
    """Whether the running thread is on its way to sleep: a finalizer that runs now can make no call."""
    return _suspending


def read_clock():
    """Virtual time in nanoseconds since the lab began; a system call when it is read again and again."""
    global _clock_reads
    _clock_reads += 1
    if _clock_reads > FREE_CLOCK_READS:
        reads = _clock_reads
        call("now")
        _set_clock_reads(reads)
    return now


def _set_clock_reads(reads):
    global _clock_reads
    _clock_reads = reads


def preempt():
    """A loop in the student's own code has gone round very often without a call: another thread takes over, or else
    the world goes on for a moment. The page's transport calls this after a fixed number of rounds."""
    name = sys._getframe(1).f_code.co_filename
    if _suspending or not name or name[0] in "/<":
        return
    if _ready:
        _ready.append(current)
        _suspend(current)
    else:
        call("spin")


def signal_main(number):
    """A signal from within the program: handled at once by the main thread, or when its call returns."""
    if current == MAIN:
        _signals.append(number)
        handle_signals()
        return
    error, text = call("kill", process, number)
    if error is not None:
        raise ProcessLookupError(3, "No such process")


def handle_signals(implied=None):
    """Runs the handlers of the signals that have come; of `implied`, if none has."""
    if not _signals and implied is not None:
        _signals.append(implied)
    while _signals:
        on_signal(_signals.pop(0))


class Waiter:
    """One thread's wait for one event: a lock that is handed to it, a thread that ends."""

    __slots__ = ("tid", "woken", "parked")

    def __init__(self):
        self.tid = current
        self.woken = False
        self.parked = False

    def wait(self, timeout=None):
        """Sleeps until `wake` (True) or until `timeout` nanoseconds have passed (False)."""
        if timeout is None and self.tid != MAIN:
            if not _ready:
                post_last("idle")
            _suspend(self.tid)
            return True
        self.parked = True
        deadline = None if timeout is None else now + timeout
        while not self.woken:
            remains = None if deadline is None else max(deadline - now, 0)
            error, unparked = exchange("park", remains)
            if error == "EINTR":
                handle_signals(_SIGINT)
            elif not unparked and not self.woken:
                return False
            # Unparked but not woken: a wake-up of an earlier wait that came after its time-out. Sleep on.
        return True

    def wake(self):
        """Lets the waiting thread run. At most once."""
        self.woken = True
        if self.parked:
            post("unpark", self.tid)
        else:
            _ready.append(self.tid)


def fork():
    """Copies the process; as os.fork(). The copy has this thread only, as its main thread."""
    global current, process, _suspending
    error, pid = call("fork")
    if error is not None:
        raise OSError(38, "Function not implemented")
    if transport.fork(pid):
        return pid
    process, current = pid, MAIN
    for state in (_ready, _deferred, _signals):
        state.clear()
    # The world's answer to the copy's half of the call.
    _suspending = True
    _suspend(MAIN)
    return 0


def start(fn):
    """Makes a thread that runs `fn` and returns its number. It runs when its turn comes; the caller goes on."""
    global _last_tid
    _last_tid += 1
    tid = _last_tid

    def body():
        global current, _suspending
        _suspending = False
        current = tid
        born_in = process
        fn()
        if process != born_in:
            # The thread that made this copy of the process was its only one.
            post_last("exit", 0)
            transport.leave(0)
        if _ready:
            transport.resume(_ready.popleft())
        else:
            post_last("idle")

    transport.spawn(tid, body)
    _ready.append(tid)
    return tid
