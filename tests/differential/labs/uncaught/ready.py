"""A client may be faster than its server: it tries again until somebody listens."""

import socket
import time


def connect(address):
    while True:
        try:
            return socket.create_connection(address)
        except ConnectionRefusedError:
            time.sleep(0.02)
