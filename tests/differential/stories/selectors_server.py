"""selectors: one thread, many connections."""
import selectors
from story import *

for kind in (selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
    with kind() as selector:
        server = listener(0, 10, host="127.0.0.1")
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ, "server")
        clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
        got = []
        for number, client in enumerate(clients):
            client.sendall(b"hello %d" % number)
        while len(got) < 3:
            ready = selector.select(2)
            for key, mask in ready:
                if key.data == "server":
                    connection, _ = key.fileobj.accept()
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ, "client")
                elif data := key.fileobj.recv(100):
                    got.append(data)
        show(kind.__name__, sorted(got))
        show("registered", len(selector.get_map()))
        show("nothing", selector.select(0.01))
        show("both", sorted(mask for _, mask in (selector.modify(k.fileobj, 3, "client") and selector.select(0)
                                                 for k in list(selector.get_map().values()) if k.data == "client") for _, mask in _))
        show("twice", lambda: selector.register(server, 1))
        show("no events", lambda: selector.register(clients[0], 0))
        show("unknown", lambda: selector.unregister(clients[0]))
        for key in list(selector.get_map().values()):
            selector.unregister(key.fileobj)
            key.fileobj.close()
        for client in clients:
            client.close()
