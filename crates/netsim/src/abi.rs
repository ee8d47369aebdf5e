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
//! tid:u32le  marshal((error, value, now))          or, for the main thread
//! tid:u32le  marshal((error, value, now, [signal, ...]))
//! ```
//! * `error`: `None`, or the name of an errno (`"ECONNREFUSED"`), `"timeout"` (the caller's own time-out passed),
//!   `"EAI_NONAME"` and its like, or `"EINTR"` (interrupted: raise SIGINT, then retry).
//! * `value`: the result; with an error, a text or `None`.
//! * `now`: virtual time in nanoseconds since the lab began.
//! * `signal`: numbers of signals that came meanwhile, to be handled before the program goes on. `"EINTR"` without
//!   any means SIGINT.
//!
//! A reply makes the thread `tid` of that process run; it is the process's turn until it sends a message without
//! `MORE`. Virtual time stands still meanwhile.
//!
//! # Calls
//! Times are integer nanoseconds; a `timeout` of `None` is "for ever", 0 "do not block". An address is
//! `(host, port)` for `AF_INET`, `(host, port, flowinfo, scope)` for `AF_INET6`, with `host` numeric, and a `str` or
//! `bytes` path for `AF_UNIX`.
//!
//! Ancillary data is `(level, type, bytes)`; `SCM_RIGHTS` has a list in place of the octets: `(fd, word)` to the world,
//! `(fd, word, other fd or -1)` from it, see the stack's `socket/rights.rs`.
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
//! | `sendmsg` | fd, bytes, [(level, type, bytes)], flags, address or None, timeout | octets taken |
//! | `recvmsg` | fd, n, room for ancillary data, flags, timeout | (bytes, [(level, type, bytes)], msg_flags, address or None) |
//! | `poll` | [(fd, events)], timeout | [(fd, revents)] |
//! | `epoll_create` | | fd |
//! | `epoll_ctl` | epoll fd, op, fd, events | None |
//! | `epoll_wait` | epoll fd, most, timeout | [(fd, revents)] |
//! | `resolve` | name, family (0: any) | [(family, numeric address), ...] |
//! | `revresolve` | numeric address | name |
//! | `gethostname` | | str |
//! | `ifaces` | | [(index, name)] |
//! | `now` | | None |
//! | `spin` | | None: as `now`, of a loop that makes no call of its own |
//! | `sleep` | nanoseconds | None |
//! | `park` | timeout | True if unparked, False if the time-out passed: a thread waits for a lock |
//! | `unpark` | tid | None (POST): wakes that thread's `park`, now or, if it has not begun, at once when it begins |
//! | `readline` | | str with its newline, `""` at end of file |
//! | `write` | 1 or 2, str | None (POST, MORE) |
//! | `thread` | name | None (POST, MORE): names the thread `tid` |
//! | `idle` | | None (POST): the last runnable thread ended; nothing of this process can run |
//! | `ioctl` | fd, request | int: `FIONREAD`, `TIOCOUTQ` |
//! | `alarm` | nanoseconds (0: none), interval | (nanoseconds that were left, interval before): SIGALRM, as setitimer(2) |
//! | `kill` | pid, signal | None |
//! | `setresuid` | real, effective, saved user (-1: as it is) | None |
//! | `fork` | | the child's pid; the child's main thread gets a reply of its own, 0, in its first message |
//! | `waitpid` | pid (0: any child), whether to wait | (pid, status of wait(2)), or (0, 0) |
//! | `exit` | status | None (POST), the process is over; its descriptors are closed |

use core::time::Duration;

use socketlab_stack::{Call, Pid};
use thiserror::Error;

use crate::marshal::{Reader, Value};
use crate::record::Stream;

mod args;
mod reply;
mod show;

pub(crate) use reply::{Reply, Shape, value_of_address};

/// A message that is not what the table above says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("message of a program, octet {at}: {what}")]
pub struct AbiError {
    /// Where in the message, in octets from its start.
    pub at: usize,
    /// What was found there, or missed.
    pub what: String,
}

/// A message of a program, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tid: u32,
    pub(crate) more: bool,
    pub(crate) post: bool,
    pub(crate) place: String,
    pub(crate) request: Request,
}

/// What a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A system call of the host's stack, and how its answer is written.
    Kernel(Call, Shape),
    Resolve {
        name: String,
        family: i32,
    },
    RevResolve {
        address: String,
    },
    GetHostName,
    Ifaces,
    Now,
    Spin,
    Sleep(Duration),
    Park(Option<Duration>),
    Unpark {
        tid: u32,
    },
    ReadLine,
    Alarm {
        first: Duration,
        interval: Duration,
    },
    Kill {
        pid: Pid,
        signal: i32,
    },
    Fork,
    WaitPid {
        child: Option<Pid>,
        hang: bool,
    },
    Write {
        stream: Stream,
        text: String,
    },
    Thread,
    Idle,
    Exit {
        status: i32,
    },
}

const MORE: u8 = 1;
const POST: u8 = 2;

impl Message {
    /// Reads a message.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Message, AbiError> {
        let mut reader = Reader::new(bytes, 0);
        let tid = reader.u32()?;
        let flags = reader.u8()?;
        if flags & !(MORE | POST) != 0 {
            return reader.error(format!("flags {flags:#04x} have unknown bits"));
        }
        let count = reader.tuple()?;
        if count < 2 {
            return reader.error("a message has at least an op and a place");
        }
        let op = match reader.value()? {
            Value::Str(op) => op,
            other => return reader.error(format!("op must be str, not {}", other.type_name())),
        };
        let place = match reader.value()? {
            Value::Str(place) => place,
            other => return reader.error(format!("place must be str, not {}", other.type_name())),
        };
        let mut args = Args { op: &op, next: 0, values: Vec::new() };
        for _ in 2..count {
            args.values.push((reader.at(), reader.value()?));
        }
        if reader.at() != bytes.len() {
            return reader.error("octets after the message's end");
        }
        let request = args.request()?;
        if let Some((at, _)) = args.values.get(args.next) {
            let what = format!("{op}: {} arguments where {} are known", args.values.len(), args.next);
            return Err(AbiError { at: *at, what });
        }
        Ok(Message { tid, more: flags & MORE != 0, post: flags & POST != 0, place, request })
    }
}

/// The arguments of a call, each with its place in the message.
struct Args<'a> {
    op: &'a str,
    next: usize,
    values: Vec<(usize, Value)>,
}

impl Args<'_> {
    fn request(&mut self) -> Result<Request, AbiError> {
        let plain = |call| Ok(Request::Kernel(call, Shape::Plain));
        match self.op {
            "socket" => plain(Call::Socket { family: self.i32()?, kind: self.i32()?, protocol: self.i32()? }),
            "sockinfo" => plain(Call::SockInfo { fd: self.fd()? }),
            "socketpair" => {
                plain(Call::SocketPair { family: self.i32()?, kind: self.i32()?, protocol: self.i32()? })
            }
            "dup" => plain(Call::Dup { fd: self.fd()? }),
            "close" => plain(Call::Close { fd: self.fd()? }),
            "bind" => plain(Call::Bind { fd: self.fd()?, addr: self.address()? }),
            "listen" => plain(Call::Listen { fd: self.fd()?, backlog: self.i32()? }),
            "accept" => plain(Call::Accept { fd: self.fd()?, timeout: self.timeout()? }),
            "connect" => {
                plain(Call::Connect { fd: self.fd()?, addr: self.address()?, timeout: self.timeout()? })
            }
            "getsockname" => plain(Call::GetSockName { fd: self.fd()? }),
            "getpeername" => plain(Call::GetPeerName { fd: self.fd()? }),
            "getsockopt" => {
                let (fd, level, name, len) = (self.fd()?, self.i32()?, self.i32()?, self.usize()?);
                let (shape, len) = if len == 0 { (Shape::IntOption, 4) } else { (Shape::Plain, len) };
                Ok(Request::Kernel(Call::GetSockOpt { fd, level, name, len }, shape))
            }
            "setsockopt" => plain(Call::SetSockOpt {
                fd: self.fd()?,
                level: self.i32()?,
                name: self.i32()?,
                value: self.option()?,
            }),
            "shutdown" => plain(Call::Shutdown { fd: self.fd()?, how: self.i32()? }),
            "send" => plain(Call::Send {
                fd: self.fd()?,
                data: self.bytes()?,
                flags: self.i32()?,
                timeout: self.timeout()?,
            }),
            "sendto" => plain(Call::SendTo {
                fd: self.fd()?,
                data: self.bytes()?,
                flags: self.i32()?,
                addr: self.address()?,
                timeout: self.timeout()?,
            }),
            "recv" | "recvfrom" => {
                let (fd, len, flags, timeout) = (self.fd()?, self.usize()?, self.i32()?, self.timeout()?);
                let shape = if self.op == "recv" { Shape::Plain } else { Shape::RecvFrom };
                Ok(Request::Kernel(Call::Recv { fd, len, flags, timeout }, shape))
            }
            "sendmsg" => plain(Call::SendMsg {
                fd: self.fd()?,
                data: self.bytes()?,
                control: self.control()?,
                flags: self.i32()?,
                addr: self.optional_address()?,
                timeout: self.timeout()?,
            }),
            "recvmsg" => plain(Call::RecvMsg {
                fd: self.fd()?,
                len: self.usize()?,
                room: self.usize()?,
                flags: self.i32()?,
                timeout: self.timeout()?,
            }),
            "poll" => plain(Call::Poll { fds: self.poll_list()?, timeout: self.timeout()? }),
            "epoll_create" => plain(Call::EpollCreate),
            "epoll_ctl" => plain(Call::EpollCtl {
                epoll: self.fd()?,
                op: self.i32()?,
                fd: self.fd()?,
                events: self.events()?,
            }),
            "epoll_wait" => {
                plain(Call::EpollWait { epoll: self.fd()?, most: self.usize()?, timeout: self.timeout()? })
            }
            "prlimit" => {
                let limit = usize::try_from(self.int()?).ok();
                plain(Call::FileLimit { limit })
            }
            "setresuid" => {
                plain(Call::SetUsers { real: self.user()?, effective: self.user()?, saved: self.user()? })
            }
            "unlink" => plain(Call::Unlink { path: self.path()? }),
            "resolve" => Ok(Request::Resolve { name: self.str()?, family: self.i32()? }),
            "revresolve" => Ok(Request::RevResolve { address: self.str()? }),
            "gethostname" => Ok(Request::GetHostName),
            "ifaces" => Ok(Request::Ifaces),
            "now" => Ok(Request::Now),
            "spin" => Ok(Request::Spin),
            "sleep" => Ok(Request::Sleep(self.duration()?)),
            "park" => Ok(Request::Park(self.timeout()?)),
            "unpark" => Ok(Request::Unpark { tid: self.tid()? }),
            "readline" => Ok(Request::ReadLine),
            "ioctl" => {
                let (fd, request) = (self.fd()?, self.int()?);
                // An unsigned long in C; all that are known fit into 32 bits.
                plain(Call::Ioctl { fd, request: u32::try_from(request).unwrap_or(0) })
            }
            "alarm" => Ok(Request::Alarm { first: self.duration()?, interval: self.duration()? }),
            "kill" => Ok(Request::Kill { pid: Pid(self.tid()?), signal: self.i32()? }),
            "fork" => Ok(Request::Fork),
            "waitpid" => {
                let child = self.tid()?;
                Ok(Request::WaitPid { child: (child != 0).then_some(Pid(child)), hang: self.int()? != 0 })
            }
            "write" => {
                let stream = match self.i32()? {
                    1 => Stream::Stdout,
                    2 => Stream::Stderr,
                    other => return self.wrong("1 or 2", &other.to_string()),
                };
                Ok(Request::Write { stream, text: self.str()? })
            }
            "thread" => {
                self.str()?;
                Ok(Request::Thread)
            }
            "idle" => Ok(Request::Idle),
            "exit" => Ok(Request::Exit { status: self.i32()? }),
            other => Err(AbiError { at: 5, what: format!("there is no call {other:?}") }),
        }
    }
}
