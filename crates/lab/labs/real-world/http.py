import socket

s = socket.socket()
s.connect(('relay', 9080))
s.sendall(b'GET / HTTP/1.0\r\nHost: relay\r\n\r\n')

answer = b''
while piece := s.recv(1024):            # b'' when the server has sent all
    answer += piece
s.close()

head, body = answer.decode().split('\r\n\r\n', 1)
print(head.splitlines()[0])
print(body)
