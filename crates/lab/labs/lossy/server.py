import socket
import time

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("", 80))
s.listen()
conn, address = s.accept()

while data := conn.recv(100):
    print(f"{time.monotonic():.2f} s  got {data}")
print("the client has closed")
