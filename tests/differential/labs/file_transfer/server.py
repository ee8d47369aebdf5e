import hashlib
import socket
import struct


def exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {size} octets")
        data += piece
    return data


server = socket.create_server(("", 7000))
for _ in range(2):
    connection, _ = server.accept()
    with connection:
        try:
            (size,) = struct.unpack("!I", exactly(connection, 4))
            data = exactly(connection, size)
            print(size, hashlib.md5(data).hexdigest())
            connection.sendall(b"thanks")
        except EOFError as error:
            print("broken off:", error)
