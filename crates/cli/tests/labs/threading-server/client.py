import socket
import threading

lines = {}


def talk(number):
    with socket.create_connection(("server", 7007)) as connection, connection.makefile("rw") as file:
        for word in ("hej", "på", "dig"):
            file.write(f"{word} {number}\n")
            file.flush()
            lines.setdefault(number, []).append(file.readline().strip())


threads = [threading.Thread(target=talk, args=(number,)) for number in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for number in sorted(lines):
    print(number, lines[number])
