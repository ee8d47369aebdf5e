"""Processes of the simulated host: `os.fork`, `os.waitpid`, process numbers. Other programs cannot be started: a host
runs those of its lab.
"""

import os

from socketlab import sched
from socketlab.errors import exception

_NOT_HERE = "A simulated host has no other programs to run; a lab's own are its [[program]] entries"

#: Run in a new copy of the process. Set by `run`.
after_fork = []


def fork():
    """`os.fork`."""
    if not hasattr(sched.transport, "fork"):
        raise exception("ENOSYS")
    parent = sched.process
    pid = sched.fork()
    if pid == 0:
        _be(sched.process, parent)
        for function in after_fork:
            function()
    return pid


def _be(pid, parent):
    os.getpid = staticmethod(lambda: pid)
    os.getppid = staticmethod(lambda: parent)


def be(pid):
    """Makes the program's number that of the simulated process. Its parent is the host's first process."""
    sched.process = pid
    _be(pid, 0)


def waitpid(pid, options, /):
    """`os.waitpid`."""
    error, found = sched.call("waitpid", max(pid, 0), not options & os.WNOHANG)
    if error == "ECHILD":
        raise ChildProcessError(10, "No child processes")
    if error is not None:
        raise exception(error, found)
    child, status = found
    if child and hasattr(sched.transport, "reap"):
        sched.transport.reap(child)
    return child, status


def wait():
    """`os.wait`."""
    return waitpid(-1, 0)


def _no_program(*args, **kwargs):
    raise OSError(38, _NOT_HERE)


def install():
    """Puts these functions into `os`, and stops what would start a program of the machine's."""
    os.fork, os.waitpid, os.wait = map(staticmethod, (fork, waitpid, wait))
    os.getppid = staticmethod(lambda: 0)
    names = "execv execve forkpty posix_spawn posix_spawnp system wait3 wait4 waitid"
    for name in names.split():
        if hasattr(os, name):
            setattr(os, name, staticmethod(_no_program))
    try:
        import _posixsubprocess
    except ImportError:
        return
    _posixsubprocess.fork_exec = _no_program
