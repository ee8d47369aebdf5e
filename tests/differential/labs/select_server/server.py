import select
import socket

server = socket.create_server(("", 7000))
readers, lines, closed = [server], [], 0
while closed < 4:
    ready, _, _ = select.select(readers, [], [], 5)
    for sock in ready:
        if sock is server:
            readers.append(server.accept()[0])
        elif data := sock.recv(100):
            lines.append(data)
            sock.send(data[::-1])
        else:
            readers.remove(sock)
            sock.close()
            closed += 1
print(sorted(lines))
