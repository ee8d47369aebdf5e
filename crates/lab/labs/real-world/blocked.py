import socket

s = socket.socket()
try:
    s.connect(('relay', 22))            # the relay does not allow this port
    print('Ansluten')
except OSError as error:
    print(type(error).__name__, error)
s.close()
