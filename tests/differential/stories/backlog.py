"""The accept queue is one longer than asked for, and then silence."""
from story import *

for backlog in (0, 1, 3):
    port = 5000 + backlog
    there(f"server = listener({port}, {backlog})")
    made = []
    for _ in range(backlog + 2):
        s = tcp()
        s.settimeout(0.25)
        try:
            s.connect((THERE, port))
            made.append("ok")
        except OSError as error:
            made.append(str(error))
        globals().setdefault("keep", []).append(s)
    show(f"backlog {backlog}", made)
    show("accepted", there(f"len([server.accept() for _ in range({backlog + 1})])"))
    show("readiness", there("events(server)"))
there("server = listener(5010, 1)")
a, b = (socket.create_connection((THERE, 5010)) for _ in range(2))
late = tcp()
late.settimeout(4)
there("threading.Timer(0.4, server.accept).start()")
show("a place becomes free", lambda: late.connect((THERE, 5010)))
show("closed in the queue", lambda: (a.close(), settle(), there("events(server)"))[2])
show("negative is none", there("(negative := listener(5011, -1)).getsockname()[1]"))
