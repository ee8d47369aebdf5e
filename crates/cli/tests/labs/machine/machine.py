import atexit
import datetime
import os
import random
import subprocess
import socket
import sys
import time
import traceback
import uuid

import helper

print(sys.argv, __name__, __file__)
print(socket.gethostname(), os.getpid() > 0)

# The clock is virtual, begins on a fixed day and jumps.
print(time.strftime("%Y-%m-%d %H:%M"), datetime.datetime.now().strftime("%H:%M"), time.gmtime().tm_hour)
before = time.time()
time.sleep(300)
print("five minutes:", round(time.time() - before), datetime.datetime.now().minute)
begin = time.monotonic()
while time.monotonic() - begin < 0.01:  # ends although nobody sleeps
    pass
print("busy:", round(time.monotonic() - begin, 2))

# Chance is decided by the seed.
print(random.randrange(1 << 30) == random.randrange(1 << 30), len(os.urandom(4)), uuid.uuid4().version)

print("hello", input("name? "), file=sys.stderr)
print(sys.stdin.readline().strip(), sys.stdin.read())
try:
    input()
except EOFError as error:
    print("EOFError:", error)

try:
    helper.refused()
except OSError as error:
    print(error, [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)])

try:
    subprocess.run(["ls"])
except OSError as error:
    print(error)
try:
    os.kill(4711, 0)
except OSError as error:
    print(error)


class Loud:
    def __del__(self):
        print("gone")


loud = Loud()
atexit.register(print, "at exit")
sys.exit("that was all")
