"""SO_RCVTIMEO and SO_SNDTIMEO (socket(7)): how long a call may block that would block for ever, and what it says
then. Python's own time-outs are off."""
from story import *

# A whole number of ticks, whether a second has 100, 250 or 1,000 of them.
LIMIT = struct.pack("ll", 0, 160_000)


def limited(sock, *options):
    for option in options or (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(SOL, option, LIMIT)
    return sock


def waited(what, call):
    """Shows what the call gave, and whether it had blocked."""
    begin = time.monotonic()
    show(what, call)
    took = time.monotonic() - begin
    print(f"  it {'waited' if took > 0.1 else 'did not wait'}")


def pair(port):
    with socket.create_server(("", port)) as server:
        there(f"c{port} = socket.create_connection((HERE, {port}))")
        connection, _ = server.accept()
    return connection


# accept(2)
server = limited(socket.create_server(("", 8001)))
waited("accept", lambda: server.accept())
there("c = socket.create_connection((HERE, 8001))")
waited("accept, one is there", lambda: server.accept()[0].getsockopt(SOL, socket.SO_RCVTIMEO, 16) == LIMIT)

# recv(2) and its relatives
connection = limited(pair(8002), socket.SO_RCVTIMEO)
waited("recv", lambda: connection.recv(10))
waited("recvmsg", lambda: connection.recvmsg(10))
waited("recv_into", lambda: connection.recv_into(bytearray(10)))
waited("peek", lambda: connection.recv(10, socket.MSG_PEEK))
waited("do not wait", lambda: connection.recv(10, socket.MSG_DONTWAIT))
there("c8002.send(b'abc')")
settle()
waited("all of ten", lambda: connection.recv(10, socket.MSG_WAITALL))
waited("all of ten, nothing", lambda: connection.recv(10, socket.MSG_WAITALL))
show("no error is left", connection.getsockopt(SOL, socket.SO_ERROR))
waited("poll is not limited by it", lambda: select.select([connection], [], [], 0.05)[0])
there("c8002.send(b'abc')")
settle()
waited("recv, it is there", lambda: connection.recv(10))
stream = connection.makefile("rb")
waited("a file of it", lambda: stream.read(1))
there("c8002.close()")
settle()
waited("recv, the end", lambda: connection.recv(10))

# send(2): what was taken counts; if nothing was, it is EAGAIN.
writer = limited(pair(8003), socket.SO_SNDTIMEO)
waited("send, a part", lambda: 0 < writer.send(bytes(50_000_000)) < 50_000_000)


def fill():
    while writer.send(b"x" * 100_000):
        pass  # The peer's buffer may have grown.


show("send, nothing", fill)
waited("sendall", lambda: writer.sendall(b"x" * 100_000))
waited("sendmsg", lambda: writer.sendmsg([b"x" * 100_000]))
show("no error is left", writer.getsockopt(SOL, socket.SO_ERROR))
waited("the other direction is not limited", lambda: there("c8003.send(b'abc')") and writer.recv(10))

# connect(2)
far = limited(tcp(), socket.SO_SNDTIMEO)
waited("connect", lambda: far.connect(("10.77.0.96", 80)))
waited("connect again", lambda: far.connect(("10.77.0.96", 80)))
show("meanwhile", events(far))
show("SO_ERROR", far.getsockopt(SOL, socket.SO_ERROR))
other = limited(tcp(), socket.SO_RCVTIMEO)
waited("the other limit is not for connect", lambda: other.connect(("10.77.0.95", 80)))
near = limited(tcp(), socket.SO_SNDTIMEO)
with socket.create_server(("", 8004)):
    waited("connect in time", lambda: near.connect((HERE, 8004)))

# Datagrams, and sockets inside a host
datagrams = limited(udp())
datagrams.bind((HERE, 8005))
waited("recvfrom", lambda: datagrams.recvfrom(10))
waited("recvfrom_into", lambda: datagrams.recvfrom_into(bytearray(10)))
left, right = socket.socketpair()
waited("pair, recv", lambda: limited(left).recv(10))
waited("pair, send a part", lambda: 0 < left.send(bytes(50_000_000)) < 50_000_000)
waited("pair, send", lambda: left.send(b"x" * 100_000))
one, two = socket.socketpair(socket.AF_UNIX, UDP)
limited(one)
waited("datagram pair, recv", lambda: one.recv(10))

# Zero means for ever; a negative time is none at all; more than a second's microseconds is a mistake.
one.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
show("zero", one.getsockopt(SOL, socket.SO_RCVTIMEO, 16))
one.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", -1, 0))
show("negative", one.getsockopt(SOL, socket.SO_RCVTIMEO, 16))
waited("negative, recv", lambda: one.recv(10))
show("a million", lambda: one.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1_000_000)))
show("short", lambda: one.setsockopt(SOL, socket.SO_RCVTIMEO, b"1234"))
