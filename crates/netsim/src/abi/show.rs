//! Calls as the trace shows them: name, descriptor and arguments in the spelling of Python's `socket`.

use core::time::Duration;

use socketlab_stack::{Call, Fd, SockAddr};

use super::reply::value_of_path;
use super::{Request, Shape, value_of_address};
use crate::python;

const FAMILIES: &[(i32, &str)] = &[(1, "AF_UNIX"), (2, "AF_INET"), (10, "AF_INET6")];
const KINDS: &[(i32, &str)] = &[(1, "SOCK_STREAM"), (2, "SOCK_DGRAM"), (3, "SOCK_RAW")];
const LEVELS: &[(i32, &str)] =
    &[(0, "IPPROTO_IP"), (1, "SOL_SOCKET"), (6, "IPPROTO_TCP"), (17, "IPPROTO_UDP"), (41, "IPPROTO_IPV6")];
const SOCKET_OPTIONS: &[(i32, &str)] = &[
    (2, "SO_REUSEADDR"),
    (3, "SO_TYPE"),
    (4, "SO_ERROR"),
    (6, "SO_BROADCAST"),
    (7, "SO_SNDBUF"),
    (8, "SO_RCVBUF"),
    (9, "SO_KEEPALIVE"),
    (13, "SO_LINGER"),
    (15, "SO_REUSEPORT"),
    (25, "SO_BINDTODEVICE"),
];
const IP_OPTIONS: &[(i32, &str)] = &[
    (1, "IP_TOS"),
    (2, "IP_TTL"),
    (3, "IP_HDRINCL"),
    (8, "IP_PKTINFO"),
    (10, "IP_MTU_DISCOVER"),
    (11, "IP_RECVERR"),
    (12, "IP_RECVTTL"),
    (13, "IP_RECVTOS"),
    (14, "IP_MTU"),
    (32, "IP_MULTICAST_IF"),
    (33, "IP_MULTICAST_TTL"),
    (34, "IP_MULTICAST_LOOP"),
    (35, "IP_ADD_MEMBERSHIP"),
    (36, "IP_DROP_MEMBERSHIP"),
];
const IPV6_OPTIONS: &[(i32, &str)] = &[
    (16, "IPV6_UNICAST_HOPS"),
    (17, "IPV6_MULTICAST_IF"),
    (18, "IPV6_MULTICAST_HOPS"),
    (19, "IPV6_MULTICAST_LOOP"),
    (20, "IPV6_JOIN_GROUP"),
    (21, "IPV6_LEAVE_GROUP"),
    (23, "IPV6_MTU_DISCOVER"),
    (24, "IPV6_MTU"),
    (25, "IPV6_RECVERR"),
    (26, "IPV6_V6ONLY"),
    (49, "IPV6_RECVPKTINFO"),
    (51, "IPV6_RECVHOPLIMIT"),
    (62, "IPV6_DONTFRAG"),
    (66, "IPV6_RECVTCLASS"),
    (67, "IPV6_TCLASS"),
];
const TCP_OPTIONS: &[(i32, &str)] = &[
    (1, "TCP_NODELAY"),
    (2, "TCP_MAXSEG"),
    (4, "TCP_KEEPIDLE"),
    (5, "TCP_KEEPINTVL"),
    (6, "TCP_KEEPCNT"),
    (12, "TCP_QUICKACK"),
];
const IOCTLS: &[(i32, &str)] = &[(0x541B, "FIONREAD"), (0x5411, "TIOCOUTQ"), (0x8905, "SIOCATMARK")];
const EPOLL_OPS: &[(i32, &str)] = &[(1, "EPOLL_CTL_ADD"), (2, "EPOLL_CTL_DEL"), (3, "EPOLL_CTL_MOD")];
const HOWS: &[(i32, &str)] = &[(0, "SHUT_RD"), (1, "SHUT_WR"), (2, "SHUT_RDWR")];

fn option_name(level: i32, name: i32) -> String {
    match level {
        0 => python::constant(IP_OPTIONS, name),
        1 => python::constant(SOCKET_OPTIONS, name),
        41 => python::constant(IPV6_OPTIONS, name),
        6 => python::constant(TCP_OPTIONS, name),
        _ => name.to_string(),
    }
}

impl Request {
    /// The call's name, if the trace shows it.
    pub(crate) fn shown(&self) -> Option<&'static str> {
        match self {
            Request::Kernel(Call::Recv { .. }, Shape::RecvFrom) => Some("recvfrom"),
            Request::Kernel(call, _) => Some(call.name()),
            Request::Resolve { .. } => Some("resolve"),
            Request::RevResolve { .. } => Some("revresolve"),
            Request::Sleep(_) => Some("sleep"),
            Request::Park(_) => Some("park"),
            Request::ReadLine => Some("readline"),
            Request::Alarm { .. } => Some("setitimer"),
            Request::Kill { .. } => Some("kill"),
            Request::Fork => Some("fork"),
            Request::WaitPid { .. } => Some("waitpid"),
            _ => None,
        }
    }

    /// The descriptor it is about.
    pub(crate) const fn fd(&self) -> Option<Fd> {
        match self {
            Request::Kernel(call, _) => match call {
                Call::Dup { fd }
                | Call::Close { fd }
                | Call::Bind { fd, .. }
                | Call::Listen { fd, .. }
                | Call::Accept { fd, .. }
                | Call::Connect { fd, .. }
                | Call::GetSockName { fd }
                | Call::GetPeerName { fd }
                | Call::GetSockOpt { fd, .. }
                | Call::SetSockOpt { fd, .. }
                | Call::Shutdown { fd, .. }
                | Call::Send { fd, .. }
                | Call::SendTo { fd, .. }
                | Call::Recv { fd, .. }
                | Call::SendMsg { fd, .. }
                | Call::RecvMsg { fd, .. }
                | Call::EpollCtl { fd, .. }
                | Call::Ioctl { fd, .. }
                | Call::SockInfo { fd } => Some(*fd),
                Call::Socket { .. }
                | Call::SocketPair { .. }
                | Call::Poll { .. }
                | Call::EpollCreate
                | Call::EpollWait { .. }
                | Call::Unlink { .. }
                | Call::SetUsers { .. }
                | Call::FileLimit { .. } => None,
            },
            _ => None,
        }
    }

    /// How long it may block, if that is bounded.
    pub(crate) const fn timeout(&self) -> Option<Duration> {
        match self {
            Request::Kernel(
                Call::Accept { timeout, .. }
                | Call::Connect { timeout, .. }
                | Call::Send { timeout, .. }
                | Call::SendTo { timeout, .. }
                | Call::Recv { timeout, .. }
                | Call::SendMsg { timeout, .. }
                | Call::RecvMsg { timeout, .. }
                | Call::EpollWait { timeout, .. }
                | Call::Poll { timeout, .. },
                _,
            ) => *timeout,
            _ => None,
        }
    }

    /// The arguments as the student wrote them: without descriptor and time-out.
    pub(crate) fn args(&self) -> String {
        let address = |addr: &SockAddr| python::repr(&value_of_address(addr));
        let flags = |flags: i32| if flags == 0 { String::new() } else { format!(", {flags}") };
        match self {
            Request::Kernel(call, _) => match call {
                Call::Socket { family, kind, protocol } | Call::SocketPair { family, kind, protocol } => {
                    let (family, kind) =
                        (python::constant(FAMILIES, *family), python::constant(KINDS, *kind));
                    format!("{family}, {kind}{}", flags(*protocol))
                }
                Call::Bind { addr, .. } | Call::Connect { addr, .. } => address(addr),
                Call::FileLimit { limit } => limit.map_or(String::new(), |limit| limit.to_string()),
                Call::Unlink { path } => python::repr(&value_of_path(path)),
                Call::Listen { backlog, .. } => backlog.to_string(),
                Call::GetSockOpt { level, name, .. } => {
                    format!("{}, {}", python::constant(LEVELS, *level), option_name(*level, *name))
                }
                Call::SetSockOpt { level, name, value, .. } => {
                    let value = match value.as_ref() {
                        &[a, b, c, d] => i32::from_le_bytes([a, b, c, d]).to_string(),
                        bytes => python::repr_bytes(bytes),
                    };
                    let (level_name, name) = (python::constant(LEVELS, *level), option_name(*level, *name));
                    format!("{level_name}, {name}, {value}")
                }
                Call::Shutdown { how, .. } => python::constant(HOWS, *how),
                Call::Send { data, flags: f, .. } => format!("{}{}", python::repr_bytes(data), flags(*f)),
                Call::SendTo { data, flags: f, addr, .. } => {
                    format!("{}{}, {}", python::repr_bytes(data), flags(*f), address(addr))
                }
                Call::Recv { len, flags: f, .. } => format!("{len}{}", flags(*f)),
                Call::SendMsg { data, flags: f, addr, .. } => {
                    let addr = addr.as_ref().map(|addr| format!(", {}", address(addr)));
                    format!("{}{}{}", python::repr_bytes(data), flags(*f), addr.unwrap_or_default())
                }
                Call::RecvMsg { len, room, flags: f, .. } => format!("{len}, {room}{}", flags(*f)),
                Call::Poll { fds, timeout } => {
                    let fds: Vec<_> =
                        fds.iter().map(|(fd, events)| format!("({}, {events})", fd.0)).collect();
                    let timeout = timeout.map_or("None".to_owned(), |t| python::seconds(t.as_nanos()));
                    format!("[{}], {timeout}", fds.join(", "))
                }
                Call::EpollCtl { epoll, op, fd, events } => {
                    let op = python::constant(EPOLL_OPS, *op);
                    format!("{}, {op}, {}, {events:#x}", epoll.0, fd.0)
                }
                Call::EpollWait { epoll, timeout, .. } => {
                    let timeout = timeout.map_or("None".to_owned(), |t| python::seconds(t.as_nanos()));
                    format!("{}, {timeout}", epoll.0)
                }
                Call::Ioctl { request, .. } => python::constant(IOCTLS, *request as i32),
                Call::SetUsers { real, effective, saved } => {
                    [real, effective, saved].map(|user| user.map_or(-1, i64::from).to_string()).join(", ")
                }
                Call::EpollCreate
                | Call::Dup { .. }
                | Call::Close { .. }
                | Call::Accept { .. }
                | Call::GetSockName { .. }
                | Call::GetPeerName { .. }
                | Call::SockInfo { .. } => String::new(),
            },
            Request::Resolve { name, .. } => python::repr_str(name),
            Request::RevResolve { address } => python::repr_str(address),
            Request::Sleep(d) => python::seconds(d.as_nanos()),
            Request::Park(Some(d)) => python::seconds(d.as_nanos()),
            Request::Alarm { first, interval } => {
                format!("{}, {}", python::seconds(first.as_nanos()), python::seconds(interval.as_nanos()))
            }
            Request::Kill { pid, signal } => format!("{pid}, {signal}"),
            Request::WaitPid { child, .. } => child.map_or("-1".to_owned(), |pid| pid.to_string()),
            _ => String::new(),
        }
    }
}
