import os
import random
import signal
import socket
import time

listener = socket.create_server(("", 7000))
first = random.random()
children = []
for number in range(3):
    connection, address = listener.accept()
    pid = os.fork()
    if pid == 0:
        listener.close()
        name = connection.recv(100).decode()
        time.sleep(1 - number / 10)
        connection.sendall(f"{name}, from process {os.getpid()} of {os.getppid()}\n".encode())
        print("served", name, round(time.time() % 60, 1), random.random() != first)
        os._exit(number)
    connection.close()
    children.append(pid)
listener.close()
print("children", children)
print("last", os.waitpid(children[2], 0))
print("not yet", os.waitpid(children[0], os.WNOHANG))
print("any", sorted(os.wait() for _ in range(2)))
try:
    os.wait()
except ChildProcessError as error:
    print(error)

reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(reader)
    with open(writer, "w") as file:
        print("a line through a pipe", file=file)
    signal.pause()
os.close(writer)
with open(reader) as file:
    print(file.read(), end="")
    print("the pipe is at its end")
os.kill(pid, signal.SIGTERM)
_, status = os.waitpid(pid, 0)
print("ended by signal", os.WTERMSIG(status))
