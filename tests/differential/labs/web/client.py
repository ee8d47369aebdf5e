import time
import urllib.error
import urllib.request

import ready

with ready.connect(("server", 80)) as s:
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := s.recv(10):
        answer += piece
    print(answer)
for path in ("/a", "/b?c=d"):
    with urllib.request.urlopen(f"http://server{path}") as response:
        print(response.status, response.headers["Content-Type"], response.read())
time.sleep(0.2)
try:
    urllib.request.urlopen("http://server/")
except urllib.error.URLError as error:
    print(error)
