import socket

for port in 8080, 8081:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(2)
    try:
        s.connect(("203.0.113.7", port))
        print(port, s.recv(100).decode().strip())
    except TimeoutError:
        print(port, "no answer")
    s.close()
