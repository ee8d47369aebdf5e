import socket
import threading


def ask(name):
    with socket.create_connection(("server", 7000)) as s:
        s.sendall(name.encode())
        print(s.makefile().read(), end="")


threads = [threading.Thread(target=ask, args=(name,)) for name in ("Ada", "Grace", "Radia")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
