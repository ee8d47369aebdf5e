//! Why a call failed: Linux's error number for the program, and the cause, from the network's own state, for the
//! person who reads.

use core::fmt;
use core::net::SocketAddr;

use crate::event::SocketId;

macro_rules! errno {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        /// An error number of Linux x86-64 (errno(3)).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Errno { $(#[doc = $text] $name = $number,)* }

        impl Errno {
            /// The symbol, such as `ECONNREFUSED`.
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)* }
            }

            /// The text of strerror(3).
            pub const fn text(self) -> &'static str {
                match self { $(Errno::$name => $text,)* }
            }
        }
    };
}

errno! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory";
    EINTR = 4, "Interrupted system call";
    EBADF = 9, "Bad file descriptor";
    EAGAIN = 11, "Resource temporarily unavailable";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EFAULT = 14, "Bad address";
    EEXIST = 17, "File exists";
    ENODEV = 19, "No such device";
    EINVAL = 22, "Invalid argument";
    EMFILE = 24, "Too many open files";
    ENOTTY = 25, "Inappropriate ioctl for device";
    EPIPE = 32, "Broken pipe";
    EDOM = 33, "Numerical argument out of domain";
    ENOSYS = 38, "Function not implemented";
    ELOOP = 40, "Too many levels of symbolic links";
    ENONET = 64, "Machine is not on the network";
    EPROTO = 71, "Protocol error";
    ENOTSOCK = 88, "Socket operation on non-socket";
    EDESTADDRREQ = 89, "Destination address required";
    EMSGSIZE = 90, "Message too long";
    EPROTOTYPE = 91, "Protocol wrong type for socket";
    ENOPROTOOPT = 92, "Protocol not available";
    EPROTONOSUPPORT = 93, "Protocol not supported";
    ESOCKTNOSUPPORT = 94, "Socket type not supported";
    EOPNOTSUPP = 95, "Operation not supported";
    EAFNOSUPPORT = 97, "Address family not supported by protocol";
    EADDRINUSE = 98, "Address already in use";
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    ENETDOWN = 100, "Network is down";
    ENETUNREACH = 101, "Network is unreachable";
    ECONNABORTED = 103, "Software caused connection abort";
    ECONNRESET = 104, "Connection reset by peer";
    ENOBUFS = 105, "No buffer space available";
    EISCONN = 106, "Transport endpoint is already connected";
    ENOTCONN = 107, "Transport endpoint is not connected";
    ESHUTDOWN = 108, "Cannot send after transport endpoint shutdown";
    ETIMEDOUT = 110, "Connection timed out";
    ECONNREFUSED = 111, "Connection refused";
    EHOSTDOWN = 112, "Host is down";
    EHOSTUNREACH = 113, "No route to host";
    EALREADY = 114, "Operation already in progress";
    EINPROGRESS = 115, "Operation now in progress";
}

impl fmt::Display for Errno {
    /// As Python prints it: `[Errno 111] Connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[Errno {}] {}", *self as i32, self.text())
    }
}

/// What in the network's state made a call fail. The page turns it into a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The rule of the man page says it all.
    Rule,
    /// The peer answered our SYN with a RST: nobody listens there.
    RefusedByPeer {
        /// Where we wanted to connect to.
        peer: SocketAddr,
    },
    /// The peer answered a datagram with ICMP port unreachable.
    PortUnreachable {
        /// Where the datagram was sent to.
        peer: SocketAddr,
    },
    /// A router or gateway on the way answered with an ICMP error.
    Icmp {
        /// ICMP type (RFC 792, RFC 4443).
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Who said so.
        from: core::net::IpAddr,
    },
    /// No neighbour answered our ARP or neighbour solicitation.
    NoNeighbour {
        /// The next hop that was asked for.
        next_hop: core::net::IpAddr,
    },
    /// The routing table has no entry for the destination.
    NoRoute {
        /// The destination.
        to: core::net::IpAddr,
    },
    /// The peer sent a RST on an open connection.
    ResetByPeer {
        /// The other end.
        peer: SocketAddr,
    },
    /// Retransmissions went unanswered.
    NoAnswer {
        /// The other end.
        peer: SocketAddr,
        /// How many times the segment was sent.
        transmissions: u32,
    },
    /// Another socket holds the address.
    HeldBy {
        /// That socket.
        socket: SocketId,
        /// It is an old connection in TIME-WAIT, which no program owns.
        time_wait: bool,
    },
    /// The address is not one of this host's.
    NotMyAddress {
        /// The address.
        addr: core::net::IpAddr,
    },
    /// The program closed or shut down this direction itself.
    ClosedByProgram,
    /// The peer closed first; a RST answered what we sent later.
    PeerGone {
        /// The other end.
        peer: SocketAddr,
    },
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The kernel's own answer, with its cause.
    Errno(Errno, Cause),
    /// The time-out that the caller set has passed (Python: `TimeoutError: timed out`).
    TimedOut,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno, Cause::Rule)
    }
}
