"""http.server and urllib over the network."""
import http.client
import http.server
import urllib.error
import urllib.request
from story import *


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/missing":
            return self.send_error(404)
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))[::-1]
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
thread = threading.Thread(target=server.serve_forever, args=(0.05,))
thread.start()
host, port = server.server_address
show("get", urllib.request.urlopen(f"http://{host}:{port}/hello").read())
show("post", urllib.request.urlopen(f"http://{host}:{port}/x", data=b"abc").read())
show("missing", lambda: urllib.request.urlopen(f"http://{host}:{port}/missing"))
show("refused", lambda: urllib.request.urlopen("http://127.0.0.1:1/"))
show("unknown", lambda: urllib.request.urlopen("http://nobody/"))
c = http.client.HTTPConnection(host, port)
for path in ("/one", "/two"):
    c.request("GET", path)
    r = c.getresponse()
    show("kept alive", (r.status, r.read()))
c.close()
show("not HTTP", lambda: (lambda s: (s.sendall(b"hello\r\n\r\n"), s.recv(100)[:15]))(socket.create_connection((host, port)))[1])
server.shutdown()
thread.join()
server.server_close()
