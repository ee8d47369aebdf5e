import socket
import time

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect(("server", 80))

for reading in "21.5", "21.7", "22.0", "22.4":
    s.sendall(reading.encode() + b"\n")
    print(f"{time.monotonic():.2f} s  sent {reading}")
    time.sleep(0.05)
s.close()
