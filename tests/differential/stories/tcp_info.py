"""TCP_INFO: the state machine as a program sees it."""
from story import *


def info(s):
    raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    octets, words = struct.unpack("8B", raw[:8]), struct.unpack("24I", raw[8:])
    return {
        "state": octets[0], "ca": octets[1], "retransmits": octets[2], "probes": octets[3], "backoff": octets[4],
        "options": octets[5] & 7, "unacked": words[4], "sacked": words[5], "lost": words[6], "cwnd": words[18],
        "ssthresh": words[17], "reordering": words[20], "total": words[23], "mss": words[2],
    }


s = tcp()
show("fresh", info(s))
s.listen(7)
show("listener", {name: info(s)[name] for name in ("state", "unacked", "sacked")})
c = pair()
show("connected", info(c))
show("accepted", there("state(conn)"))
c.sendall(b"x" * 1000)
settle()
show("after data", {name: value for name, value in info(c).items() if name != "cwnd"})
c.shutdown(socket.SHUT_WR)
settle()
show("half closed", (state(c), there("state(conn)")))
there("conn.close()")
settle()
show("closed", state(c))
n = tcp()
n.setblocking(False)
n.connect_ex(("10.77.0.99", 80))
show("connecting", {name: info(n)[name] for name in ("state", "ca", "unacked")})
show("short read", len(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 10)))
show("all of it", len(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1000)) >= 232)
show("datagram", lambda: udp().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
