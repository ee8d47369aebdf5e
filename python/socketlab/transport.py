"""What the shim needs from the place it runs in: a way to the world, and stacks that can be suspended.

There are two implementations: `native.py` (command line: a Unix socket and one real thread per stack) and the page's
(the lab worker: a call into the simulation and one suspended WebAssembly stack per thread). Both obey this text.

A program starts with one running stack, whose thread number is 1. At any moment exactly one stack of a program runs;
the others are suspended in `wait`, or were made by `spawn` and have not begun. The messages are those of
`crates/netsim/src/abi.rs`; this layer does not look into them but for the thread number in their first four bytes.

How a shell starts a program:

    socketlab.install(clock_is_virtual=True)    # before a memory snapshot, if there is one: needs no transport
    socketlab.preload()                         # optional: import the usual network modules now
    socketlab.attach(transport)                 # after the snapshot
    status = socketlab.main("server.py", ["--port", "7007"], pid=3, now=0, seed=1)

`clock_is_virtual`: whether C code sees virtual time too (`datetime.now()`, by the page's own `Date.now`); if not, the
shim takes `datetime` in pure Python. `pid`, `now` (nanoseconds since the lab began) and `seed` (for `random` and
`os.urandom`) come from the world and make the run repeatable. `main` runs the file in the current directory, sends the `exit` message itself and returns the exit status; after that
the shell throws the interpreter away.
"""


class Transport:
    """Duck-typed: implementations need not inherit from it."""

    def post(self, message):
        """Hands `message` (bytes) to the world. Never suspends."""
        raise NotImplementedError

    def wait(self, tid):
        """Suspends the running stack, which is thread `tid`.

        Returns the world's next message for `tid` (bytes, with its thread number in front), or `b""` when another
        stack called `resume(tid)`. If `resume` named a stack before this call, that stack now goes on; otherwise
        nothing of this program runs until the world sends it a message.
        """
        raise NotImplementedError

    def resume(self, tid):
        """Names the stack that goes on as soon as the running one suspends in `wait` or ends.

        `tid` is suspended in `wait(tid)`, or was made by `spawn` and begins now. The shim calls this at most once
        between two suspensions.
        """
        raise NotImplementedError

    def spawn(self, tid, fn):
        """Makes a stack for thread `tid`; it runs `fn()` once it is resumed. `fn` raises nothing."""
        raise NotImplementedError

    def fork(self, pid):
        """Copies the process; the copy speaks to the world as `pid`. True in the process that was copied. A transport
        without this method belongs to a place where it cannot be done."""
        raise NotImplementedError

    def leave(self, status):
        """Ends the program at once, without clean-up, for `os._exit`; the `exit` message was sent. Never returns."""
        raise NotImplementedError
