"""socketserver: TCP, UDP, with and without threads."""
import socketserver
from story import *


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Reverse(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data[::-1], self.client_address)


def ask(address, *lines):
    with socket.create_connection(address) as c:
        c.sendall(b"".join(lines))
        c.shutdown(socket.SHUT_WR)
        with c.makefile("rb") as f:
            return f.readlines()


for kind in (socketserver.TCPServer, socketserver.ThreadingTCPServer):
    with kind(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        show(kind.__name__, [ask(server.server_address, b"one\n", b"two\n"), ask(server.server_address, b"three\n")])
        show("queue size, reuse", (server.request_queue_size, server.allow_reuse_address))
        server.shutdown()
        thread.join()
for kind in (socketserver.UDPServer, socketserver.ThreadingUDPServer):
    with kind(("127.0.0.1", 0), Reverse) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        c = udp()
        c.settimeout(2)
        c.sendto(b"abc", server.server_address)
        show(kind.__name__, c.recv(10))
        server.shutdown()
        thread.join()
show("port taken", lambda: (listener(5000), socketserver.TCPServer((HERE, 5000), Echo)))
s = socketserver.TCPServer(("127.0.0.1", 0), Echo)
s.timeout = 0.1
show("handle_request times out", s.handle_request())
s.server_close()
show("closed", s.fileno())
s = socketserver.UnixStreamServer("u.sock", Echo)
thread = threading.Thread(target=s.handle_request)
thread.start()
c = socket.socket(socket.AF_UNIX)
c.connect("u.sock")
c.sendall(b"by a name\n")
c.shutdown(socket.SHUT_WR)
show("unix", c.recv(100))
thread.join()
s.server_close()
os.unlink("u.sock")
