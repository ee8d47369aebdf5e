import socket

with socket.create_server(("", 80)) as server:
    for _ in range(3):
        connection, _ = server.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(100)
                if not piece:
                    break
                request += piece
            line = request.split(b"\r\n")[0].decode()
            print(line)
            body = f"<p>{line}</p>".encode()
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + body)
