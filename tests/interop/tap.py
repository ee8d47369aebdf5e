"""The cable between a test and the real kernel: frames between a TAP device and the socket on standard input.

One datagram is one frame. The name of the device is the only argument; it exists already. Ends with its socket.
"""

import fcntl
import os
import select
import socket
import struct
import sys

# linux/if_tun.h; IFF_NO_PI: nothing before the frame itself.
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
# No frame is longer: the device's MTU is 1500.
LONGEST = 2048
# So many frames of one side before the other has its turn.
TURN = 64

try:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
except OSError as error:
    sys.exit(f"/dev/net/tun cannot be opened ({error}): this test needs the tun module and CAP_NET_ADMIN")

test = socket.socket(fileno=0)
# Says that the device has its cable.
test.send(b"")
poll = select.poll()
poll.register(tap, select.POLLIN)
poll.register(test, select.POLLIN)
while True:
    for fd, _ in poll.poll():
        try:
            for _ in range(TURN):
                if fd == tap:
                    frame = os.read(tap, LONGEST)
                    # May wait: the test reads in a thread of its own.
                    test.send(frame)
                else:
                    frame = test.recv(LONGEST, socket.MSG_DONTWAIT)
                    if not frame:
                        sys.exit()
                    os.write(tap, frame)
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError):
            sys.exit()
