import socketserver


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        print("client", self.client_address[0])
        while data := self.request.recv(1024):
            self.request.sendall(data.upper())


socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("", 7007), Echo) as server:
    server.serve_forever()
