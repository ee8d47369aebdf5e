import select
import selectors
import socket

tcp = socket.create_server(("", 7007))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 7007))

# select: a listening socket and a datagram socket at once.
for _ in range(2):
    ready, _, _ = select.select([tcp, udp], [], [])
    for s in ready:
        if s is tcp:
            connection, address = tcp.accept()
            print("select: connection from", address[0])
        else:
            data, address = udp.recvfrom(1024)
            print("select: datagram", data, "from", address[0])
print("select: nothing more:", select.select([tcp, udp], [], [], 0.05))
print("select: can send:", select.select([], [connection], [], 1)[1] == [connection])

# poll
poll = select.poll()
poll.register(connection, select.POLLIN)
poll.register(tcp)
print("poll:", [(fd == connection.fileno(), events) for fd, events in poll.poll(1000)])
print("poll:", connection.recv(1024))

# epoll, and selectors on top
with select.epoll() as epoll:
    epoll.register(connection.fileno(), select.EPOLLIN)
    print("epoll:", [(fd == connection.fileno(), events) for fd, events in epoll.poll(1)])
    print("epoll:", connection.recv(1024))
with selectors.DefaultSelector() as selector:
    selector.register(connection, selectors.EVENT_READ, data="the client")
    connection.setblocking(False)
    while True:
        for key, _ in selector.select():
            data = connection.recv(1024)
            print("selectors:", key.data, data)
        if not data:
            break
try:
    select.select([-1], [], [], 0)
except ValueError as error:
    print("ValueError:", error)
