//! What happened inside a host, for the trace. Polled out; nothing in the host depends on it.

use core::net::SocketAddr;

use bytes::Bytes;

use crate::forward::{Direction, FilterAction, Tuple};
use crate::snapshot::TcpState;
use crate::time::Instant;

/// A network interface of one host: 0 is `lo`, 1 the first NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfaceId(pub usize);

/// A socket of one host; unique over the host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// A timer of a socket (RFC 9293, RFC 6298, RFC 1122).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the RFCs' names")]
pub enum TimerKind {
    Retransmission,
    Persist,
    DelayedAck,
    KeepAlive,
    TimeWait,
    /// FIN-WAIT-2 of a connection that no program owns any more (Linux `tcp_fin_timeout`).
    FinWait2,
    /// A tail loss probe (RFC 8985 7).
    LossProbe,
    /// RACK waits for a segment that may only be late (RFC 8985 6.3).
    Reordering,
}

/// Why a frame or packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name is the reason")]
pub enum DropReason {
    Malformed,
    BadChecksum,
    NotForThisHost,
    UnknownProtocol,
    NoListener,
    NoRoute,
    TtlExpired,
    NeighbourUnknown,
    ReceiveBufferFull,
    SynQueueFull,
    AcceptQueueFull,
    ReassemblyTimedOut,
    /// Duplicate address detection (RFC 4862 5.4): another host has the address.
    DuplicateAddress,
    /// Longer than the next link takes, and it may not be cut.
    TooBig,
    /// Came to a NAT from outside, for nobody inside; or the NAT has no room.
    NoMapping,
    /// A rule of the packet filter.
    Firewall,
}

/// Which socket an arriving segment or datagram was given to, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demux {
    /// Protocol number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6.
    pub protocol: u8,
    /// Source of the arriving packet.
    pub from: SocketAddr,
    /// Destination of the arriving packet.
    pub to: SocketAddr,
    /// The socket that got it; none: answered by RST or ICMP.
    pub chosen: Option<SocketId>,
    /// Sockets on the same local port that were looked at and passed over.
    pub passed_over: Vec<SocketId>,
}

/// Something that happened inside a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields say it")]
pub enum HostEvent {
    /// A TCP socket changed its state.
    TcpState { socket: SocketId, local: SocketAddr, peer: Option<SocketAddr>, from: TcpState, to: TcpState },
    /// A packet comes out of `lo`. What follows, up to the next of these, is about it.
    Loopback { packet: Bytes },
    /// An arriving packet was given to a socket, or to none.
    Demux(Demux),
    /// A rule of the packet filter (by its place, from 0) decided about a packet.
    Filtered { rule: usize, direction: Direction, action: FilterAction },
    /// A NAT gave a packet other ends. `new`: with it a conversation begins.
    Translated { before: Tuple, after: Tuple, new: bool },
    /// Something was dropped inside the host.
    Dropped { reason: DropReason },
    /// A segment was sent again.
    Retransmitted { socket: SocketId, seq: u32, len: usize, attempt: u32 },
    /// A timer was set (`Some`) or stopped (`None`).
    TimerSet { socket: SocketId, timer: TimerKind, deadline: Option<Instant> },
    /// A timer ran out.
    TimerFired { socket: SocketId, timer: TimerKind },
}
