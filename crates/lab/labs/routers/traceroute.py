import socket

# A router that finds no time to live left says so by ICMP.
answers = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
answers.settimeout(1)
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

for ttl in range(1, 6):
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    probe.sendto(b"", ("server", 33434))
    packet, (router, _) = answers.recvfrom(576)
    print(ttl, router)
    if router == socket.gethostbyname("server"):
        break
