//! Which error numbers each call may fail with: those of its man page in section 2, those that the pages of section 7
//! (socket, tcp, udp, ip, ipv6, unix, raw) add, and where a page is silent what Linux 6 does, said beside it.

use Errno::*;
use socketlab_stack::{Call, Errno};

/// What the network may have told the socket (`SO_ERROR`): any call that moves data or waits for a connection gives it.
/// icmp(7), ip(7), tcp(7); Linux `icmp_err_convert`, `icmpv6_err_convert`.
const PENDING: &[Errno] = &[
    ECONNREFUSED,
    ECONNRESET,
    ECONNABORTED,
    ETIMEDOUT,
    EHOSTUNREACH,
    EHOSTDOWN,
    ENETUNREACH,
    ENETDOWN,
    ENONET,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EMSGSIZE,
    EPROTO,
    EACCES,
    EPIPE,
];

/// Whether the call may fail so.
pub(crate) fn allows(call: &Call, errno: Errno) -> bool {
    let (own, pending): (&[Errno], bool) = match call {
        // EPERM: raw(7), only for the privileged. ESOCKTNOSUPPORT: Linux `inet_create`.
        Call::Socket { .. } => (
            &[EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT, EPERM, ESOCKTNOSUPPORT],
            false,
        ),
        Call::SocketPair { .. } => {
            (&[EAFNOSUPPORT, EFAULT, EMFILE, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EINVAL], false)
        }
        Call::Dup { .. } => (&[EBADF, EMFILE, ENOMEM], false),
        // Linux never says EAGAIN or a pending error here.
        Call::Close { .. } => (&[EBADF, EINTR], false),
        // EAFNOSUPPORT and ENODEV (an unknown scope): Linux `inet_bind`, `inet6_bind`.
        Call::Bind { .. } => {
            (&[EACCES, EADDRINUSE, EBADF, EINVAL, EADDRNOTAVAIL, ENOENT, EAFNOSUPPORT, ENODEV], false)
        }
        // EINVAL: Linux, in a state other than closed and listening. EDESTADDRREQ: unix(7), not bound... as POSIX says.
        Call::Listen { .. } => (&[EADDRINUSE, EBADF, EOPNOTSUPP, EINVAL, EDESTADDRREQ], false),
        // accept(2): "passes already-pending network errors on the new socket".
        Call::Accept { .. } => {
            (&[EAGAIN, EBADF, ECONNABORTED, EINTR, EINVAL, EMFILE, ENOBUFS, ENOMEM, EOPNOTSUPP, EPERM], true)
        }
        // ENOENT: unix(7), no such path. EINVAL: Linux, wrong scope or address for the socket.
        Call::Connect { .. } => (
            &[
                EACCES,
                EPERM,
                EADDRINUSE,
                EADDRNOTAVAIL,
                EAFNOSUPPORT,
                EAGAIN,
                EALREADY,
                EBADF,
                EINPROGRESS,
                EINTR,
                EISCONN,
                ENOENT,
                EINVAL,
                EPROTOTYPE,
            ],
            true,
        ),
        // EINVAL of getsockname: unix(7)'s and Linux's for a socket that has no name.
        Call::GetSockName { .. } => (&[EBADF, EFAULT, EINVAL, ENOBUFS], false),
        Call::GetPeerName { .. } => (&[EBADF, EFAULT, EINVAL, ENOBUFS, ENOTCONN], false),
        // ip(7), tcp(7): ENOTCONN for what only a connection has; EOPNOTSUPP and EPROTO for the wrong kind of socket.
        Call::GetSockOpt { .. } => {
            (&[EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EAGAIN, EDOM], false)
        }
        Call::SetSockOpt { .. } => (
            &[
                EBADF,
                EFAULT,
                EINVAL,
                ENOPROTOOPT,
                ENOTCONN,
                EOPNOTSUPP,
                EDOM,
                ENODEV,
                EADDRNOTAVAIL,
                EADDRINUSE,
                EPROTO,
                EPERM,
                ENOBUFS,
                ENOMEM,
                EISCONN,
                EACCES,
                EAFNOSUPPORT,
                ENOENT,
            ],
            false,
        ),
        Call::Shutdown { .. } => (&[EBADF, EINVAL, ENOTCONN], false),
        // EPIPE, EDESTADDRREQ, ENOTCONN of send(2); the pages of section 7 for addresses and routes.
        Call::Send { .. } | Call::SendTo { .. } | Call::SendMsg { .. } => (
            &[
                EACCES,
                EAGAIN,
                EALREADY,
                EBADF,
                EDESTADDRREQ,
                EFAULT,
                EINTR,
                EINVAL,
                EISCONN,
                EMSGSIZE,
                ENOBUFS,
                ENOMEM,
                ENOTCONN,
                EOPNOTSUPP,
                EPIPE,
                EPERM,
                EAFNOSUPPORT,
                EADDRNOTAVAIL,
                ENOENT,
                EPROTOTYPE,
                ENODEV,
            ],
            true,
        ),
        Call::Recv { .. } | Call::RecvMsg { .. } => {
            (&[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, ENOMEM, ENOTCONN, EOPNOTSUPP], true)
        }
        // A descriptor that is not open is an event, POLLNVAL, not an error.
        Call::Poll { .. } => (&[EFAULT, EINTR, EINVAL, ENOMEM], false),
        Call::EpollCreate => (&[EINVAL, EMFILE, ENOMEM], false),
        Call::EpollCtl { .. } => (&[EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, EPERM], false),
        Call::EpollWait { .. } => (&[EBADF, EFAULT, EINTR, EINVAL], false),
        // tcp(7): EINVAL on a listener. EOPNOTSUPP: Linux `unix_ioctl`, SIOCATMARK of datagrams.
        Call::Ioctl { .. } => (&[EBADF, EFAULT, EINVAL, ENOTTY, EOPNOTSUPP], false),
        Call::FileLimit { .. } => (&[EFAULT, EINVAL, EPERM], false),
        Call::Unlink { .. } => (&[EACCES, ENOENT, EPERM], false),
        Call::SetUsers { .. } => (&[EAGAIN, EINVAL, EPERM], false),
        Call::SockInfo { .. } => (&[EBADF], false),
    };
    // A descriptor may be an epoll object's.
    let not_a_socket = errno == ENOTSOCK && takes_socket(call);
    not_a_socket || own.contains(&errno) || pending && PENDING.contains(&errno)
}

/// Whether the call is about a socket, and about no other file.
fn takes_socket(call: &Call) -> bool {
    !matches!(
        call,
        Call::Socket { .. }
            | Call::SocketPair { .. }
            | Call::Dup { .. }
            | Call::Close { .. }
            | Call::Poll { .. }
            | Call::EpollCreate
            | Call::EpollCtl { .. }
            | Call::EpollWait { .. }
            | Call::FileLimit { .. }
            | Call::Unlink { .. }
            | Call::SetUsers { .. }
    )
}
