import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("", 7777))
s.listen()

while True:
    conn, address = s.accept()
    line = conn.recv(1000)
    print(address, "said", line.decode())
    conn.sendall(b"Hej, " + line)
    conn.close()
