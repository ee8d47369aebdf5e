//! The messages between a program's shim (`python/`) and the world: the same bytes in the page and on the command
//! line. Values are Python's `marshal` format, version 0, because CPython writes and reads it in C.
//!
//! # From a program
//! ```text
//! tid:u32le  flags:u8  marshal((op, where, *args))
//! ```
//! * `tid`: which thread of the process speaks. Numbers are the shim's own; the main thread is 1.
//! * `flags`: bit 0 `MORE`: some thread of this process can still run, so the world must not go on yet.
//!   bit 1 `POST`: no reply is wanted.
//! * `where`: the line of the student's program that made the call, `"server.py:7"`, or `""`.
//!
//! # To a program
//! ```text
//! tid:u32le  marshal((error, value, now))
//! ```
//! * `error`: `None`, or the name of an errno (`"ECONNREFUSED"`), `"timeout"` (the caller's own time-out passed),
//!   `"EAI_NONAME"` and its like, or `"EINTR"` (interrupted: raise SIGINT, then retry).
//! * `value`: the result; with an error, a text or `None`.
//! * `now`: virtual time in nanoseconds since the lab began.
//!
//! A reply makes the thread `tid` of that process run; it is the process's turn until it sends a message without
//! `MORE`. Virtual time stands still meanwhile.
//!
//! # Calls
//! Times are integer nanoseconds; a `timeout` of `None` is "for ever", 0 "do not block". An address is
//! `(host, port)` for `AF_INET`, `(host, port, flowinfo, scope)` for `AF_INET6`, with `host` numeric, and a `str` or
//! `bytes` path for `AF_UNIX`.
//!
//! | op | args | value |
//! |---|---|---|
//! | `socket` | family, type, proto | fd |
//! | `sockinfo` | fd | (family, type, proto) |
//! | `socketpair` | family, type, proto | (fd, fd) |
//! | `dup` | fd | fd |
//! | `close` | fd | None (may be POST) |
//! | `bind` | fd, address | None |
//! | `listen` | fd, backlog | None |
//! | `accept` | fd, timeout | (fd, address) |
//! | `connect` | fd, address, timeout | None |
//! | `getsockname`, `getpeername` | fd | address |
//! | `getsockopt` | fd, level, name, buflen | int if buflen is 0, else bytes |
//! | `setsockopt` | fd, level, name, int or bytes | None |
//! | `shutdown` | fd, how | None |
//! | `send` | fd, bytes, flags, timeout | octets taken |
//! | `sendto` | fd, bytes, flags, address, timeout | octets taken |
//! | `recv` | fd, n, flags, timeout | bytes |
//! | `recvfrom` | fd, n, flags, timeout | (bytes, address or None, msg_flags) |
//! | `poll` | [(fd, events)], timeout | [(fd, revents)] |
//! | `resolve` | name, family (0: any) | [(family, numeric address), ...] |
//! | `revresolve` | numeric address | name |
//! | `gethostname` | | str |
//! | `ifaces` | | [(index, name)] |
//! | `now` | | None |
//! | `sleep` | nanoseconds | None |
//! | `park` | timeout | True if unparked, False if the time-out passed: a thread waits for a lock |
//! | `unpark` | tid | None (POST): wakes that thread's `park`, now or, if it has not begun, at once when it begins |
//! | `readline` | | str with its newline, `""` at end of file |
//! | `write` | 1 or 2, str | None (POST, MORE) |
//! | `thread` | name | None (POST, MORE): names the thread `tid` |
//! | `idle` | | None (POST): the last runnable thread ended; nothing of this process can run |
//! | `exit` | status | None (POST), the process is over; its descriptors are closed |

use thiserror::Error;

/// A message that is not what the table above says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("message of a program, octet {at}: {what}")]
pub struct AbiError {
    /// Where in the message, in octets from its start.
    pub at: usize,
    /// What was found there, or missed.
    pub what: String,
}
