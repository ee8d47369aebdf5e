import threading

import ready

said = {}


def talk(name):
    with ready.connect(("server", 7000)) as s, s.makefile("r") as lines:
        for text in (name, "hello", "bye"):
            s.sendall(text.encode() + b"\n")
        said[name] = [lines.readline() for _ in range(3)]


threads = [threading.Thread(target=talk, args=(name,)) for name in ("anna", "bo", "cecilia")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for name in sorted(said):
    print(said[name])
