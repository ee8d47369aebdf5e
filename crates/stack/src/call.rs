//! The system calls: the only way from a program to the network. Each is named after its man page in section 2.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::addr::SockAddr;
use crate::errno::Failure;
use crate::socket::Control;

/// A process on some host. Unique in the whole lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

/// A file descriptor of one process: small, non-negative, lowest free number first (POSIX). 0 to 2 are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub i32);

/// Names one call from its start to its answer. Chosen by whoever makes the call; unique in the whole lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A system call with its arguments. Constants (families, levels, flags) have Linux x86-64's numbers.
///
/// `timeout`: how long the call may block. `None`: for ever. `Some(ZERO)`: not at all (`EAGAIN` instead), as with
/// `O_NONBLOCK` or `MSG_DONTWAIT`. Otherwise the call fails with [`Failure::TimedOut`] when it has passed, as
/// Python's `settimeout` does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the man page's parameters")]
pub enum Call {
    /// socket(2). `kind` without the `SOCK_NONBLOCK` and `SOCK_CLOEXEC` bits.
    Socket { family: i32, kind: i32, protocol: i32 },
    /// socketpair(2).
    SocketPair { family: i32, kind: i32, protocol: i32 },
    /// dup(2).
    Dup { fd: Fd },
    /// close(2). It blocks only with `SO_LINGER` and a time above zero, until all was sent and acknowledged.
    Close { fd: Fd },
    /// bind(2).
    Bind { fd: Fd, addr: SockAddr },
    /// listen(2).
    Listen { fd: Fd, backlog: i32 },
    /// accept(2).
    Accept { fd: Fd, timeout: Option<Duration> },
    /// connect(2). With a zero timeout: `EINPROGRESS`, then `EALREADY` or `EISCONN`, as for a non-blocking socket.
    Connect { fd: Fd, addr: SockAddr, timeout: Option<Duration> },
    /// getsockname(2).
    GetSockName { fd: Fd },
    /// getpeername(2).
    GetPeerName { fd: Fd },
    /// getsockopt(2).
    GetSockOpt { fd: Fd, level: i32, name: i32, len: usize },
    /// setsockopt(2).
    SetSockOpt { fd: Fd, level: i32, name: i32, value: Bytes },
    /// shutdown(2): 0 `SHUT_RD`, 1 `SHUT_WR`, 2 `SHUT_RDWR`.
    Shutdown { fd: Fd, how: i32 },
    /// send(2). Answers with how many octets were taken. Without a time-out it waits until all are; with one it takes
    /// what there is room for, and waits only while there is none.
    Send { fd: Fd, data: Bytes, flags: i32, timeout: Option<Duration> },
    /// sendto(2).
    SendTo { fd: Fd, data: Bytes, flags: i32, addr: SockAddr, timeout: Option<Duration> },
    /// recv(2), recvfrom(2): both are answered with [`Ret::Data`].
    Recv { fd: Fd, len: usize, flags: i32, timeout: Option<Duration> },
    /// sendmsg(2).
    SendMsg {
        fd: Fd,
        data: Bytes,
        flags: i32,
        addr: Option<SockAddr>,
        control: Vec<Control>,
        timeout: Option<Duration>,
    },
    /// recvmsg(2), answered with [`Ret::Message`]. `room`: octets of buffer for ancillary data.
    RecvMsg { fd: Fd, len: usize, room: usize, flags: i32, timeout: Option<Duration> },
    /// poll(2): descriptors with the events asked for.
    Poll { fds: Vec<(Fd, u16)>, timeout: Option<Duration> },
    /// epoll_create1(2).
    EpollCreate,
    /// epoll_ctl(2). `op`: 1 `EPOLL_CTL_ADD`, 2 `EPOLL_CTL_DEL`, 3 `EPOLL_CTL_MOD`. The event's data is the descriptor.
    EpollCtl { epoll: Fd, op: i32, fd: Fd, events: u32 },
    /// epoll_wait(2), answered with [`Ret::Ready`]. `most`: so many descriptors at a time.
    EpollWait { epoll: Fd, most: usize, timeout: Option<Duration> },
    /// ioctl(2): `FIONREAD` 0x541B, octets that can be read (of a datagram socket: of the first datagram), and
    /// `TIOCOUTQ` 0x5411, octets that the peer has not acknowledged; `SIOCATMARK` 0x8905: 1 if the
    /// next octet is the urgent one; tcp(7), udp(7), unix(7).
    Ioctl { fd: Fd, request: u32 },
    /// prlimit(2) of the process itself: reads `RLIMIT_NOFILE` and sets it, if one is given.
    FileLimit { limit: Option<usize> },
    /// unlink(2), of the path that bind(2) gave an `AF_UNIX` socket.
    Unlink { path: Vec<u8> },
    /// setresuid(2): real, effective and saved user of the process; none: as it is. All are 0, the superuser, to begin
    /// with. Another effective user may neither bind ports below 1024 nor open raw sockets (capabilities(7)).
    SetUsers { real: Option<u32>, effective: Option<u32>, saved: Option<u32> },
    /// `SO_DOMAIN`, `SO_TYPE` and `SO_PROTOCOL` of a descriptor, for `socket.socket(fileno=fd)`.
    SockInfo { fd: Fd },
}

impl Call {
    /// The name of the call, as in its man page.
    pub fn name(&self) -> &'static str {
        match self {
            Call::Socket { .. } => "socket",
            Call::SocketPair { .. } => "socketpair",
            Call::Dup { .. } => "dup",
            Call::Close { .. } => "close",
            Call::Bind { .. } => "bind",
            Call::Listen { .. } => "listen",
            Call::Accept { .. } => "accept",
            Call::Connect { .. } => "connect",
            Call::GetSockName { .. } => "getsockname",
            Call::GetPeerName { .. } => "getpeername",
            Call::GetSockOpt { .. } => "getsockopt",
            Call::SetSockOpt { .. } => "setsockopt",
            Call::Shutdown { .. } => "shutdown",
            Call::Send { .. } => "send",
            Call::SendTo { .. } => "sendto",
            Call::Recv { .. } => "recv",
            Call::SendMsg { .. } => "sendmsg",
            Call::RecvMsg { .. } => "recvmsg",
            Call::Poll { .. } => "poll",
            Call::EpollCreate => "epoll_create",
            Call::EpollCtl { .. } => "epoll_ctl",
            Call::EpollWait { .. } => "epoll_wait",
            Call::Ioctl { .. } => "ioctl",
            Call::FileLimit { .. } => "prlimit",
            Call::Unlink { .. } => "unlink",
            Call::SetUsers { .. } => "setresuid",
            Call::SockInfo { .. } => "sockinfo",
        }
    }
}

/// What a call that succeeded gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ret {
    /// Nothing but success.
    Unit,
    /// A new descriptor.
    Fd(Fd),
    /// Two new descriptors that are connected with each other.
    Pair(Fd, Fd),
    /// The connection taken from the accept queue, and the peer's address.
    Accepted(Fd, SockAddr),
    /// How many octets were taken into the send buffer.
    Len(usize),
    /// Octets read, the sender (datagrams only) and the flags recvmsg(2) would report (`MSG_TRUNC` 0x20, ...).
    /// Empty data on a stream is the end of the stream.
    Data(Bytes, Option<SockAddr>, i32),
    /// What recvmsg(2) gives.
    #[expect(missing_docs, reason = "the man page's names")]
    Message { data: Bytes, from: Option<SockAddr>, flags: i32, control: Vec<Control> },
    /// An address.
    Addr(SockAddr),
    /// An option's value as it lies in memory, little-endian.
    Opt(Bytes),
    /// Descriptors that are ready, with their events, in the order they were asked for.
    Ready(Vec<(Fd, u16)>),
    /// Family, type and protocol.
    Info(i32, i32, i32),
}

impl Ret {
    /// The same as recvmsg(2) gives it.
    pub(crate) fn into_message(self) -> Ret {
        match self {
            Ret::Data(data, from, flags) => Ret::Message { data, from, flags, control: Vec::new() },
            other => other,
        }
    }
}

/// The immediate answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call is over.
    Done(Result<Ret, Failure>),
    /// The caller sleeps; the answer comes out of `Host::poll_completion` under the same [`CallId`].
    Blocked,
}
