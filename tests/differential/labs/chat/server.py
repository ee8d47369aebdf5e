import socket
import threading

server = socket.create_server(("", 7000))
lock = threading.Lock()
names = []


def serve(connection):
    with connection, connection.makefile("r") as lines:
        name = lines.readline().strip()
        with lock:
            names.append(name)
        connection.sendall(f"welcome {name}\n".encode())
        for line in lines:
            connection.sendall(f"{name}: {line}".encode())


threads = []
for _ in range(3):
    connection, address = server.accept()
    threads.append(threading.Thread(target=serve, args=(connection,)))
    threads[-1].start()
for thread in threads:
    thread.join()
print(sorted(names))
