import struct

import ready

data = bytes(i * i % 251 for i in range(300_000))
with ready.connect(("server", 7000)) as s:
    s.sendall(struct.pack("!I", len(data)) + data)
    print(s.recv(100))
with ready.connect(("server", 7000)) as s:
    s.sendall(struct.pack("!I", 1000) + b"half of it")
