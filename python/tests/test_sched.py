"""The scheduler against a world that is a list of answers: interrupts, what remains of a time-out, stale wake-ups.

Each test runs in a process of its own, because the shim takes a process over.
"""

import os
import subprocess
import sys
import unittest

PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)

PRELUDE = """
import marshal, struct, sys
sys.path.insert(0, {python!r})
stdout = sys.stdout
import socketlab
from socketlab import sched

class World:
    '''Answers the main thread's calls from a list: (error, value, nanoseconds that pass).'''
    def __init__(self, *answers):
        self.answers, self.calls, self.now = list(answers), [], 0
    def post(self, message):
        (self.tid, self.flags), call = struct.unpack("<IB", message[:5]), marshal.loads(message[5:])
        self.calls.append((call[0], *call[2:]))
    def wait(self, tid):
        error, value, passed = self.answers.pop(0)
        self.now += passed
        return struct.pack("<I", tid) + marshal.dumps((error, value, self.now), 0)

def shim(*answers):
    world = World(*answers)
    socketlab.install()
    socketlab.attach(world)
    return world

def say(*things):
    print(*things, file=stdout)

MS = 1_000_000
"""


def story(program):
    """What the program says."""
    source = PRELUDE.format(python=PYTHON) + program
    done = subprocess.run([sys.executable, "-S", "-B", "-c", source], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


class Interrupts(unittest.TestCase):
    def test_ctrl_c_raises_keyboard_interrupt_out_of_a_call(self):
        said = story("""
world = shim((None, 3, 0), ("EINTR", None, 5 * MS), (None, None, 0))
import socket
s = socket.socket()
try:
    s.recv(10)
except KeyboardInterrupt:
    say("interrupted")
s.close()
say([call[0] for call in world.calls])
""")
        self.assertEqual(said, "interrupted\n['socket', 'recv', 'close']\n")

    def test_a_handler_that_returns_repeats_the_call_with_what_remains_of_its_time_out(self):
        said = story("""
world = shim((None, 3, 0), ("EINTR", None, 400 * MS), ("timeout", None, 600 * MS), (None, None, 0))
import signal, socket
signal.signal(signal.SIGINT, lambda number, frame: say("handler", number))
s = socket.socket()
s.settimeout(1)
try:
    s.recv(10)
except TimeoutError as error:
    say(error)
s.close()
say([call[-1] for call in world.calls if call[0] == "recv"])
""")
        self.assertEqual(said, "handler 2\ntimed out\n[1000000000, 600000000]\n")

    def test_an_interrupted_connect_is_waited_for_and_not_repeated(self):
        said = story("""
world = shim((None, 3, 0), ("EINTR", None, 0), (None, [(3, 4)], 0), (None, 111, 0), (None, None, 0))
import signal, socket
signal.signal(signal.SIGINT, lambda number, frame: None)
s = socket.socket()
try:
    s.connect(("10.0.0.1", 80))
except ConnectionRefusedError as error:
    say(error)
s.close()
say([call[0] for call in world.calls])
""")
        self.assertEqual(
            said, "[Errno 111] Connection refused\n['socket', 'connect', 'poll', 'getsockopt', 'close']\n"
        )

    def test_a_lock_can_be_taken_after_its_wait_was_interrupted(self):
        said = story("""
world = shim(("EINTR", None, 0))
import threading
lock = threading.Lock()
lock.acquire()
try:
    lock.acquire()
except KeyboardInterrupt:
    lock.release()
    say(lock.acquire(blocking=False))
""")
        self.assertEqual(said, "True\n")


class Locks(unittest.TestCase):
    def test_a_wake_up_that_came_too_late_does_not_end_the_next_wait(self):
        said = story("""
world = shim((None, True, 1 * MS), (None, False, 99 * MS))
import threading
lock = threading.Lock()
lock.acquire()
say(lock.acquire(timeout=0.1))
say(world.calls)
""")
        self.assertEqual(said, "False\n[('park', 100000000), ('park', 99000000)]\n")


class Clock(unittest.TestCase):
    def test_looking_at_the_clock_costs_something_in_a_busy_loop(self):
        said = story("""
world = shim(*[(None, None, 1 * MS)] * 50)
import time
begin = time.monotonic()
while time.monotonic() - begin < 0.05:
    pass
say({call[0] for call in world.calls}, len(world.calls))
""")
        self.assertEqual(said, "{'now'} 50\n")


class Numbers(unittest.TestCase):
    def test_another_platforms_error_numbers_become_linuxs(self):
        said = story("""
import errno
errno.ECONNREFUSED = 14
errno.errorcode[14] = "ECONNREFUSED"
shim()
import os
say(errno.ECONNREFUSED, errno.errorcode[111], os.strerror(111), 14 in errno.errorcode)
""")
        self.assertEqual(said, "111 ECONNREFUSED Connection refused False\n")


if __name__ == "__main__":
    unittest.main()
