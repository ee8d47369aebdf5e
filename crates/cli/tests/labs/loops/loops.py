"""Loops that make no system call let others run."""

import select
import socket
import sys
import threading
import time

done = False


def finish():
    global done
    time.sleep(0.01)
    done = True


threading.Thread(target=finish).start()
while not done:
    pass
print("done")

counts = {"a": 0, "b": 0}
stop = False


def count(name):
    while not stop:
        counts[name] += 1


for name in counts:
    threading.Thread(target=count, args=(name,)).start()
time.sleep(0.005)
stop = True
print("both ran:", min(counts.values()) > 0, counts)

# The classic of chat clients: the keyboard and the network at once.
left, right = socket.socketpair()
threading.Timer(1.5, right.sendall, (b"from the network\n",)).start()
while True:
    ready, _, _ = select.select([sys.stdin, left], [], [])
    if left in ready:
        print(round(time.monotonic(), 1), left.recv(100))
    if sys.stdin in ready:
        line = sys.stdin.readline()
        print(round(time.monotonic(), 1), repr(line))
        if not line:
            break
