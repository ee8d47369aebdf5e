"""Alarms come in virtual time, out of a call that blocks."""

import asyncio
import signal
import socket
import threading
import time


class Alarm(Exception):
    pass


def ring(number, frame):
    print("rings at", round(time.monotonic() - begin, 3), "in", frame.f_code.co_name)


def stop(number, frame):
    raise Alarm


def wait(s):
    s.recv(1)


begin = time.monotonic()
left, right = socket.socketpair()

signal.signal(signal.SIGALRM, stop)
signal.alarm(5)
try:
    wait(left)
except Alarm:
    print("five seconds:", round(time.monotonic() - begin, 3))

# A handler that returns: the call goes on, with what is left of its time-out.
signal.signal(signal.SIGALRM, ring)
print("before:", signal.setitimer(signal.ITIMER_REAL, 0.25, 0.5))
begin = time.monotonic()
left.settimeout(2)
try:
    wait(left)
except TimeoutError as error:
    print(error, round(time.monotonic() - begin, 3))
first, interval = signal.setitimer(signal.ITIMER_REAL, 0)
print("left:", round(first, 2), interval)

# A handler runs between two calls, too.
signal.setitimer(signal.ITIMER_REAL, 0.001)
begin = time.monotonic()
while time.monotonic() - begin < 0.01:
    right.getsockname()

signal.signal(signal.SIGUSR1, lambda number, frame: print("signal", number, "in", threading.current_thread().name))
threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)).start()
time.sleep(0.1)


async def main():
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGALRM, done.set)
    begin = loop.time()
    signal.alarm(3)
    await done.wait()
    print("asyncio:", round(loop.time() - begin, 2))


asyncio.run(main())
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(1)
signal.pause()
print("never")
