"""The transport of the page: the lab worker's Python runs beside the simulation, one suspended WebAssembly stack per
thread. `_lab` is `web/worker/python/call.wat`, `_lab_stacks` is in `web/worker/python.mjs`; both exist only there.
"""

import sys

#: A number from 0 to 5 for `sys.monitoring`; 0 to 2 and 5 have customary owners.
_TOOL = 4


class Page:
    """See `transport.Transport`."""

    def __init__(self):
        import _lab
        import _lab_stacks

        self.post = _lab.post
        self.wait = _lab.wait
        self.resume = _lab.resume
        self.spawn = _lab_stacks.spawn
        self._leave = _lab.leave

    def leave(self, status):
        self._leave()


def start(given):
    """Runs a program, from the worker; returns its exit status."""
    import os

    import socketlab
    from socketlab import sched

    path, argv, pid, now, seed = given
    os.chdir(os.environ["HOME"])
    # Pyodide gives each new stack its own event loop; a program begins without one.
    sys.modules["asyncio.events"]._set_running_loop(None)
    socketlab.attach(Page())
    _watch_loops()
    # JavaScript's large numbers come as a subclass of int, which marshal does not write.
    try:
        return socketlab.main(path, list(argv), pid=int(pid), now=int(now), seed=int(seed))
    except KeyboardInterrupt:
        # Ctrl-C again, while the program's last words are printed.
        sched.post_last("exit", -2)
        return -2


def _watch_loops():
    """Gives the worker a say in loops that make no system call, see `tick` in call.wat."""
    import _lab
    from socketlab import sched

    _lab.slice(sched.preempt)
    monitoring = sys.monitoring
    monitoring.use_tool_id(_TOOL, "socketlab")
    monitoring.register_callback(_TOOL, monitoring.events.JUMP, _lab.tick)
    monitoring.set_events(_TOOL, monitoring.events.JUMP)
