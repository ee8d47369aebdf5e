import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

results = queue.Queue()


def worker(number):
    for step in range(3):
        time.sleep(0.01 + number / 1000)
        results.put((number, step))


threads = [threading.Thread(target=worker, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
print([results.get(timeout=5) for _ in range(9)])
for thread in threads:
    thread.join()

event = threading.Event()
print("nobody sets it:", event.wait(0.05))
threading.Timer(0.05, event.set).start()
print("a timer sets it:", event.wait())

barrier = threading.Barrier(3)
order = []


def meet(number):
    barrier.wait()
    order.append(number)


threads = [threading.Thread(target=meet, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all met:", sorted(order))

mine = threading.local()
mine.x = 1


def look():
    print("its own:", hasattr(mine, "x"))
    mine.x = 2


thread = threading.Thread(target=look)
thread.start()
thread.join()
print("still mine:", mine.x)

lock = threading.Lock()
print(lock.acquire(), lock.acquire(timeout=0.01), lock.acquire(blocking=False), lock.locked())

condition = threading.Condition()
with condition:
    print("nobody notifies:", condition.wait(0.01))

shared = 0


def count():
    global shared
    for _ in range(100):
        with guard:
            before = shared
            time.sleep(0.0001)  # others run here, but do not get the lock
            shared = before + 1


guard = threading.RLock()
threads = [threading.Thread(target=count) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("counted:", shared)

with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: (time.sleep(0.01), n * n)[1], range(8))))

try:
    queue.Queue().get(timeout=0.5)
except queue.Empty:
    print("empty")
print(f"{time.monotonic():.1f} s of virtual time")
