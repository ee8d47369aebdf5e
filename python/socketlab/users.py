"""Whose the process is: `os.setuid` and its like. A program begins as the superuser of its simulated host, whoever runs
the lab; users of the machine are neither asked nor changed. The world knows the users, since some calls are only for
the superuser; groups decide nothing there and are kept here.
"""

import os

from socketlab import sched
from socketlab.errors import exception

#: Real, effective and saved. A copy of the process (os.fork) has a copy of them.
_users, _groups, _others = [0, 0, 0], [0, 0, 0], []


def _number(value, what):
    """As CPython's _Py_Uid_Converter."""
    try:
        value = value.__index__()
    except AttributeError:
        raise TypeError(f"{what} should be integer, not {type(value).__name__}") from None
    if value < -1:
        raise OverflowError(f"{what} is less than minimum")
    if value > 0xFFFFFFFF:
        raise OverflowError(f"{what} is greater than maximum")
    return value & 0xFFFFFFFF if value != -1 else -1


def _put(ids, wanted):
    ids[:] = [old if new == -1 else new for old, new in zip(ids, wanted)]


def setresuid(ruid, euid, suid, /):
    """`os.setresuid`."""
    wanted = [_number(value, "uid") for value in (ruid, euid, suid)]
    error, text = sched.call("setresuid", *wanted)
    if error is not None:
        raise exception(error, text)
    _put(_users, wanted)


def setuid(uid, /):
    """`os.setuid`: of the superuser all three, otherwise only the effective one."""
    uid = _number(uid, "uid")
    if uid == -1:
        raise exception("EINVAL")
    if _users[1] != 0 and uid not in (_users[0], _users[2]):
        raise exception("EPERM")
    setresuid(*((uid,) * 3 if _users[1] == 0 else (-1, uid, -1)))


def seteuid(euid, /):
    """`os.seteuid`."""
    setresuid(-1, euid, -1)


def setreuid(ruid, euid, /):
    """`os.setreuid`: the saved user becomes the effective one if that is no longer the real one."""
    ruid, euid = _number(ruid, "uid"), _number(euid, "uid")
    new = euid if euid != -1 else _users[1]
    changes = ruid != -1 or (euid != -1 and euid != _users[0])
    setresuid(ruid, euid, new if changes else -1)


def setresgid(rgid, egid, sgid, /):
    """`os.setresgid`."""
    wanted = [_number(value, "gid") for value in (rgid, egid, sgid)]
    if _users[1] != 0 and any(new != -1 and new not in _groups for new in wanted):
        raise exception("EPERM")
    _put(_groups, wanted)


def setgid(gid, /):
    """`os.setgid`."""
    gid = _number(gid, "gid")
    if gid == -1:
        raise exception("EINVAL")
    setresgid(*((gid,) * 3 if _users[1] == 0 else (-1, gid, -1)))


def setegid(egid, /):
    """`os.setegid`."""
    setresgid(-1, egid, -1)


def setregid(rgid, egid, /):
    """`os.setregid`."""
    setresgid(rgid, egid, -1)


def setgroups(groups, /):
    """`os.setgroups`."""
    groups = [_number(group, "gid") for group in groups]
    if _users[1] != 0:
        raise exception("EPERM")
    _others[:] = groups


def install():
    """Puts these functions into `os`."""
    for function in (setuid, seteuid, setreuid, setresuid, setgid, setegid, setregid, setresgid, setgroups):
        setattr(os, function.__name__, staticmethod(function))
    reads = {
        "getuid": lambda: _users[0],
        "geteuid": lambda: _users[1],
        "getresuid": lambda: tuple(_users),
        "getgid": lambda: _groups[0],
        "getegid": lambda: _groups[1],
        "getresgid": lambda: tuple(_groups),
        "getgroups": lambda: list(_others),
    }
    for name, function in reads.items():
        setattr(os, name, staticmethod(function))
