"""Writes `python/socketlab/linux.py` from the `_socket` and `errno` of the Linux machine it runs on.

    python3 python/tools/gen_linux.py > python/socketlab/linux.py
"""

import _socket
import errno
import os
import re

WANTED = re.compile(
    r"(AF_(INET6?|UNIX|UNSPEC)$|SOCK_|SOL_(SOCKET|IP|TCP|UDP)$|SO_|"
    r"IPPROTO_(TCP|UDP|IP|IPV6|ICMP|ICMPV6|RAW|NONE)$|TCP_|IP_|IPV6_|MSG_|SHUT_|NI_|AI_|EAI_|INADDR_|SCM_|"
    r"SOMAXCONN$)"
)
#: Numbers of virtual machines and of the tuning of one machine's processors have no meaning here.
UNWANTED = ("SO_VM", "SO_INCOMING_CPU")
#: What newer versions of CPython have (up to 3.14), so that a program runs on any that carries it out.
NEWER = {
    "IP_MTU": 14,
    "IP_MTU_DISCOVER": 10,
    "IP_PKTINFO": 8,
    "IP_PMTUDISC_DO": 2,
    "IP_PMTUDISC_DONT": 0,
    "IP_PMTUDISC_PROBE": 3,
    "IP_PMTUDISC_WANT": 1,
    "IP_RECVERR": 11,
    "IP_RECVTTL": 12,
    "IPV6_RECVERR": 25,
}
#: What a call in abi.rs can fail with, and a few that programs compare with.
ERRORS = """EPERM ENOENT EINTR EIO ENXIO EBADF EAGAIN EWOULDBLOCK ENOMEM EACCES EFAULT EEXIST ENODEV EINVAL EMFILE ENOTTY EPIPE EDOM
ENOSYS ELOOP EPROTO ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP
EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN
ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS""".split()
#: gai_strerror(3) of glibc.
RESOLVER = {
    "EAI_BADFLAGS": "Bad value for ai_flags",
    "EAI_NONAME": "Name or service not known",
    "EAI_AGAIN": "Temporary failure in name resolution",
    "EAI_FAIL": "Non-recoverable failure in name resolution",
    "EAI_FAMILY": "ai_family not supported",
    "EAI_SOCKTYPE": "ai_socktype not supported",
    "EAI_SERVICE": "Servname not supported for ai_socktype",
    "EAI_ADDRFAMILY": "Address family for hostname not supported",
    "EAI_NODATA": "No address associated with hostname",
    "EAI_MEMORY": "Memory allocation failure",
    "EAI_SYSTEM": "System error",
}


def table(name, doc, pairs):
    print(f"\n#: {doc}\n{name} = {{")
    for key, value in pairs:
        print(f'    "{key}": {value},')
    print("}")


def quoted(text):
    return '"' + text.replace('"', '\\"') + '"'


print('"""Constants and error numbers of Linux x86-64. Written by `python/tools/gen_linux.py`; do not edit."""')
constants = {
    name: value
    for name, value in vars(_socket).items()
    if isinstance(value, int) and WANTED.match(name) and not name.startswith(UNWANTED)
}
constants = NEWER | constants
table("CONSTANTS", "What `_socket` exports as numbers.", sorted(constants.items()))
table(
    "ERRNO",
    "Name: (number, text of strerror(3)).",
    [(name, f"({getattr(errno, name)}, {quoted(os.strerror(getattr(errno, name)))})") for name in ERRORS],
)
table("RESOLVER", "Name: text of gai_strerror(3).", [(name, quoted(text)) for name, text in RESOLVER.items()])
