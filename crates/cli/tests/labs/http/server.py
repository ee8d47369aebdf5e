from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello from {self.path}\n".encode()
        self.send_response(200 if self.path != "/none" else 404)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 80), Hello).serve_forever()
