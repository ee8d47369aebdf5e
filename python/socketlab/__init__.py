"""The shim between a student's program and the simulated network: `_socket`, `select`, `_thread`, the clock and the
standard streams of a simulated host, in place of the machine's. The standard library above them (`socket`,
`selectors`, `socketserver`, `threading`, `queue`, `http`, `urllib`, `asyncio`) runs unchanged.

The same files run in the page (Pyodide) and on the command line (CPython 3.10 or later); what differs is the
`transport`. A shell calls the four functions below in that order; see `transport.py`.

    sched      one scheduler for the program's threads; system calls as messages to the world
    thread     `_thread`                  sock, names    `_socket`
    poll       `select`                   clock          `time`
    stdio      standard streams           errors, linux  error numbers and constants of Linux x86-64
    descriptors, signals, processes, users: what `os`, `fcntl` and `signal` do; loops: those without a system call
    run        puts all that in place, runs the program, prints its traceback
"""

from socketlab.run import attach, count_loops, install, main, preload

__all__ = ["attach", "count_loops", "install", "main", "preload"]
