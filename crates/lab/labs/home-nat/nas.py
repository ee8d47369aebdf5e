import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("", 80))
s.listen()

while True:
    conn, address = s.accept()
    print("visitor:", address)
    conn.sendall(b"the photos from our holiday\n")
    conn.close()
