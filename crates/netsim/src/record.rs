//! The trace: what happened, where and when, as small plain facts in the order of virtual time. Views read these and
//! nothing else (with snapshots); the pcapng writer and the tests do too.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use socketlab_stack::{
    CallId, Cause, Direction, DropReason, FilterAction, Instant, IpCidr, Pid, SocketId, TcpState, TimerKind,
    Tuple,
};

use crate::command::Change;

/// A node of the topology: host, switch, router or gateway, by its place in the lab file's order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A link between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// One frame on one link. A frame that a switch passes on gets a new number, but keeps its [`PacketId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub u64);

/// The same packet on all its way: from the host that made it to where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u64);

/// Which way a program's text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this status; `-N` for death by signal N.
    Exited(i32),
    /// A `forever` program, stopped when all others had ended, or by the user.
    Killed,
}

/// Why a frame never arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LossReason {
    Random,
    QueueFull,
    LinkCut,
    DroppedByHand,
    TooBig,
}

/// What the far side of the gateway did, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields say it")]
pub enum GatewayFact {
    Connecting,
    Connected,
    Refused,
    Unreachable,
    TimedOut,
    /// The relay's policy does not allow this destination.
    NotAllowed,
    /// The relay asks to slow down, or a limit was reached.
    Throttled,
    /// There is no relay to talk to.
    NoRelay,
    Closed,
    Reset,
    /// The real side sends an ICMP echo request.
    Pinging,
    /// It was answered.
    Echoed,
    /// The real side looks up a name.
    LookingUp,
    /// It has addresses.
    LookedUp,
    /// It has none.
    NoSuchName,
    /// A program's port can be reached from the real world; `target` says where.
    Published,
    /// Somebody from the real world connects to a published port.
    Accepted,
}

impl GatewayFact {
    /// Each of them.
    pub const ALL: [GatewayFact; 17] = [
        GatewayFact::Connecting,
        GatewayFact::Connected,
        GatewayFact::Refused,
        GatewayFact::Unreachable,
        GatewayFact::TimedOut,
        GatewayFact::NotAllowed,
        GatewayFact::Throttled,
        GatewayFact::NoRelay,
        GatewayFact::Closed,
        GatewayFact::Reset,
        GatewayFact::Pinging,
        GatewayFact::Echoed,
        GatewayFact::LookingUp,
        GatewayFact::LookedUp,
        GatewayFact::NoSuchName,
        GatewayFact::Published,
        GatewayFact::Accepted,
    ];
}

/// What a world records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// All that happens.
    #[default]
    Everything,
    /// What programs do and what becomes of them; nothing of the network and its hosts.
    Programs,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in virtual time.
    pub at: Instant,
    /// What.
    pub kind: RecordKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields say it")]
pub enum RecordKind {
    /// A frame begins to leave `from`. `arrives`: when its last bit reaches `to`, unless it is lost.
    FrameSent {
        frame: FrameId,
        packet: PacketId,
        link: LinkId,
        from: NodeId,
        to: NodeId,
        arrives: Instant,
        bytes: Bytes,
        /// The system call during which the frame was made, if one was.
        cause: Option<CallId>,
        /// The node that made the packet sends it here, for the first time.
        first_hop: bool,
    },
    /// A frame waits for its link, behind `ahead` others. [`RecordKind::FrameSent`] follows under the same number.
    FrameQueued {
        frame: FrameId,
        packet: PacketId,
        link: LinkId,
        from: NodeId,
        ahead: u32,
        /// As in [`RecordKind::FrameSent`].
        cause: Option<CallId>,
    },
    FrameDelivered {
        frame: FrameId,
    },
    /// A packet through a host's own `lo`: without Ethernet header, as the stack hands it to itself.
    Loopback {
        node: NodeId,
        frame: FrameId,
        packet: PacketId,
        bytes: Bytes,
        cause: Option<CallId>,
    },
    /// Somebody did something to the network from outside: [`World::command`](crate::World::command).
    Changed {
        change: Box<Change>,
    },
    FrameLost {
        frame: FrameId,
        reason: LossReason,
    },
    /// An arriving segment or datagram was given to a socket, or to none.
    Demux {
        node: NodeId,
        frame: FrameId,
        chosen: Option<SocketId>,
        passed_over: Vec<SocketId>,
    },
    /// A rule of the packet filter (by its place, from 0) decided about a packet.
    Filtered {
        node: NodeId,
        frame: Option<FrameId>,
        rule: u32,
        direction: Direction,
        action: FilterAction,
    },
    /// A NAT gave a packet other ends; what leaves is a new packet. `ends`: before and after. `new`: with it a
    /// conversation begins.
    Translated {
        node: NodeId,
        frame: Option<FrameId>,
        ends: Box<(Tuple, Tuple)>,
        new: bool,
    },
    Dropped {
        node: NodeId,
        frame: Option<FrameId>,
        reason: DropReason,
    },
    TcpState {
        node: NodeId,
        socket: SocketId,
        local: SocketAddr,
        peer: Option<SocketAddr>,
        from: TcpState,
        to: TcpState,
    },
    Retransmitted {
        node: NodeId,
        socket: SocketId,
        seq: u32,
        len: usize,
        attempt: u32,
    },
    /// A timer was set, or stopped (no deadline).
    TimerSet {
        node: NodeId,
        socket: SocketId,
        timer: TimerKind,
        deadline: Option<Instant>,
    },
    TimerFired {
        node: NodeId,
        socket: SocketId,
        timer: TimerKind,
    },
    ProcessStarted {
        node: NodeId,
        pid: Pid,
        program: usize,
    },
    /// A built-in service begins; `kind` is its name in a lab file. Its calls are recorded as a program's.
    ServiceStarted {
        node: NodeId,
        pid: Pid,
        kind: &'static str,
    },
    /// A host got an address by DHCP for one of its links (counted from 0), or lost it (none).
    Configured {
        node: NodeId,
        port: usize,
        address: Option<IpCidr>,
        router: Option<Ipv4Addr>,
        dns: Option<Ipv4Addr>,
        server: Ipv4Addr,
        time: Duration,
    },
    ProcessExited {
        pid: Pid,
        status: ExitStatus,
    },
    /// A system call begins. `args`: as Python would print them, long bytes cut. `place`: `server.py:7`,
    /// `dns server` for a built-in service, or empty.
    CallEntered {
        call: CallId,
        pid: Pid,
        tid: u32,
        name: &'static str,
        args: String,
        socket: Option<SocketId>,
        place: String,
    },
    /// It ends. `result`: as Python would print it. `failure`: the errno's name (or `timeout`), and the cause.
    /// `made`: the socket that the call made (`socket`, `accept`).
    CallReturned {
        call: CallId,
        result: String,
        failure: Option<(&'static str, Cause)>,
        made: Option<SocketId>,
    },
    Console {
        pid: Pid,
        stream: Stream,
        text: String,
    },
    /// The far side of a gateway: `client` is the simulated end, `target` the real one as the program names it,
    /// `dialled` as the relay is asked for it.
    Gateway {
        node: NodeId,
        protocol: u8,
        client: SocketAddr,
        target: String,
        dialled: String,
        fact: GatewayFact,
    },
    /// A name was given an address by the gateway.
    NameResolved {
        node: NodeId,
        name: String,
        address: IpAddr,
    },
    /// Every program is blocked, nothing is in flight and no timer will wake one.
    Deadlock {
        waiting: Vec<CallId>,
    },
}

impl RecordKind {
    /// Whether it is recorded where only programs are: see [`Detail::Programs`].
    pub(crate) const fn is_about_programs(&self) -> bool {
        matches!(
            self,
            RecordKind::ProcessStarted { .. }
                | RecordKind::ProcessExited { .. }
                | RecordKind::ServiceStarted { .. }
                | RecordKind::CallEntered { .. }
                | RecordKind::CallReturned { .. }
                | RecordKind::Console { .. }
                | RecordKind::Deadlock { .. }
        )
    }
}

/// A number that two traces share if, and in practice only if, they are the same: FNV-1a, 64 bits, over the records
/// as `Debug` writes them.
pub fn trace_hash(records: &[Record]) -> u64 {
    let mut hash = TraceHash::default();
    records.iter().for_each(|record| hash.push(record));
    hash.value()
}

/// [`trace_hash`] of records as they come.
#[derive(Clone, Debug)]
pub struct TraceHash(Fnv);

impl Default for TraceHash {
    fn default() -> Self {
        TraceHash(Fnv(0xcbf2_9ce4_8422_2325))
    }
}

impl TraceHash {
    /// The next record.
    pub fn push(&mut self, record: &Record) {
        // Writing into a hash cannot fail.
        let _ = core::fmt::write(&mut self.0, format_args!("{record:?}\n"));
    }

    /// Of the records so far.
    pub fn value(&self) -> u64 {
        self.0.0
    }
}

/// Fowler, Noll, Vo: the offset basis and prime of FNV-1a for 64 bits.
#[derive(Clone, Debug)]
struct Fnv(u64);

impl core::fmt::Write for Fnv {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for octet in s.bytes() {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_million_records_fit() {
        // And the frames' octets, which they share with the stacks: see `cargo xtask bench engine`.
        assert!(size_of::<Record>() <= 104, "{}", size_of::<Record>());
    }
}
