//! A plain picture of a host at one instant: what `ss`, `ip neigh` and a teacher want to see. Nothing here refers
//! back into the host.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::addr::{IpCidr, MacAddr};
use crate::call::{Fd, Pid};
use crate::event::{IfaceId, SocketId, TimerKind};
use crate::forward::{NatEntry, PortForward, RuleSnapshot};
use crate::time::Instant;

/// State of a TCP connection (RFC 9293 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the RFC's names")]
pub enum TcpState {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

impl TcpState {
    /// The RFC's spelling: `SYN-SENT`, `ESTABLISHED`.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::Closed => "CLOSED",
            TcpState::Listen => "LISTEN",
            TcpState::SynSent => "SYN-SENT",
            TcpState::SynReceived => "SYN-RECEIVED",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait1 => "FIN-WAIT-1",
            TcpState::FinWait2 => "FIN-WAIT-2",
            TcpState::CloseWait => "CLOSE-WAIT",
            TcpState::Closing => "CLOSING",
            TcpState::LastAck => "LAST-ACK",
            TcpState::TimeWait => "TIME-WAIT",
        }
    }

    /// The spelling of ss(8): `ESTAB`, `SYN-RECV`, `UNCONN`.
    pub const fn ss_name(self) -> &'static str {
        match self {
            TcpState::Closed => "UNCONN",
            TcpState::SynReceived => "SYN-RECV",
            TcpState::Established => "ESTAB",
            other => other.name(),
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name is the protocol")]
pub enum ProtocolKind {
    Tcp,
    Udp,
    /// ICMP echo by `SOCK_DGRAM`.
    Ping,
    Raw,
    UnixStream,
    UnixDatagram,
}

/// A timer that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerSnapshot {
    /// Which.
    pub kind: TimerKind,
    /// When it will run out.
    pub deadline: Instant,
}

/// Where loss recovery stands (Linux `enum tcp_ca_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecoveryPhase {
    /// Nothing is missing.
    Open,
    /// Duplicate ACKs or SACKs came; perhaps only reordering.
    Disorder,
    /// The congestion window is being reduced (ECN, or a tail loss probe).
    Reduced,
    /// Fast recovery (RFC 6582, RFC 6675, RFC 8985).
    Recovery,
    /// After a time-out (RFC 6298).
    Loss,
}

impl RecoveryPhase {
    /// Linux's name: `Open`, `Disorder`, `CWR`, `Recovery`, `Loss`.
    pub const fn name(self) -> &'static str {
        match self {
            RecoveryPhase::Open => "Open",
            RecoveryPhase::Disorder => "Disorder",
            RecoveryPhase::Reduced => "CWR",
            RecoveryPhase::Recovery => "Recovery",
            RecoveryPhase::Loss => "Loss",
        }
    }
}

/// The transmission control block, field by field. Sequence numbers are absolute, sizes are octets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the RFC's names: RFC 9293 3.3.1, RFC 5681, RFC 6298, RFC 7323")]
pub struct TcbSnapshot {
    pub iss: u32,
    pub snd_una: u32,
    pub snd_nxt: u32,
    pub snd_wnd: u32,
    pub snd_wl1: u32,
    pub snd_wl2: u32,
    /// End of our urgent data, while it is not acknowledged.
    pub snd_up: Option<u32>,
    pub irs: u32,
    pub rcv_nxt: u32,
    pub rcv_wnd: u32,
    /// The peer's urgent octet, while the program has not read past it.
    pub rcv_up: Option<u32>,
    /// `reno` or `cubic`.
    pub congestion_control: &'static str,
    pub cwnd: u32,
    /// `u32::MAX`: none yet.
    pub ssthresh: u32,
    /// Octets thought to be in the network, in whole segments (RFC 6675 "pipe").
    pub in_flight: u32,
    pub srtt: Option<Duration>,
    pub rttvar: Option<Duration>,
    /// Least round trip seen.
    pub min_rtt: Option<Duration>,
    pub rto: Duration,
    /// How often the timer doubled.
    pub backoff: u32,
    /// Time-outs in a row without an answer.
    pub timeouts: u32,
    /// Window or keep-alive probes in a row without an answer.
    pub probes: u32,
    pub dup_acks: u32,
    pub in_recovery: bool,
    pub phase: RecoveryPhase,
    /// SND.NXT when the phase began: it ends when this is acknowledged (RFC 6582 "recover").
    pub recover: Option<u32>,
    /// Ranges the peer reported by SACK, `[left, right)`.
    pub sacked: Vec<(u32, u32)>,
    /// Segments that count as lost, and retransmissions in flight.
    pub lost_segments: u32,
    pub resent_segments: u32,
    /// Out-of-order ranges we hold, `[left, right)`.
    pub out_of_order: Vec<(u32, u32)>,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    /// Largest IP packet the path takes, as far as is known.
    pub path_mtu: u32,
    /// Our and the peer's window scale shift, if agreed.
    pub window_scale: Option<(u8, u8)>,
    pub sack_permitted: bool,
    pub timestamps: bool,
    /// Explicit congestion notification is agreed.
    pub ecn: bool,
    /// How long the next ACK may wait for data to ride on.
    pub delayed_ack: Duration,
    /// So many ACKs are still sent at once.
    pub quick_acks: u32,
    /// Data flows in turns: ACKs wait for the answer.
    pub ping_pong: bool,
    pub retransmissions: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSnapshot {
    /// Which socket.
    pub id: SocketId,
    /// Its kind.
    pub protocol: ProtocolKind,
    /// TCP state; `Closed` for a fresh TCP socket, none for others.
    pub state: Option<TcpState>,
    /// Local address, if bound.
    pub local: Option<SocketAddr>,
    /// Remote address, if connected.
    pub peer: Option<SocketAddr>,
    /// Owners: process and descriptor. Empty when only the kernel still holds it (TIME-WAIT, in a queue).
    pub owners: Vec<(Pid, Fd)>,
    /// Recv-Q of ss(8): octets not yet read; for a listener connections in the accept queue.
    pub recv_queue: usize,
    /// Send-Q of ss(8): octets not yet acknowledged; for a listener the backlog.
    pub send_queue: usize,
    /// Connections half open in the SYN queue (listener only).
    pub syn_queue: usize,
    /// Size of the receive buffer in octets.
    pub recv_buffer: usize,
    /// Size of the send buffer in octets.
    pub send_buffer: usize,
    /// First octets of the receive queue, at most 64, to be shown.
    pub recv_head: Vec<u8>,
    /// For a connection not yet accepted: the listener it waits at.
    pub waits_at: Option<SocketId>,
    /// The TCB, for TCP connections.
    pub tcb: Option<TcbSnapshot>,
    /// Timers that run.
    pub timers: Vec<TimerSnapshot>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfaceSnapshot {
    /// Name: `lo`, `eth0`.
    pub name: String,
    /// MAC address; all zero for `lo`.
    pub mac: MacAddr,
    /// Addresses.
    pub addresses: Vec<IpCidr>,
    /// Largest IP packet in octets.
    pub mtu: usize,
}

/// What a host knows of a neighbour (RFC 4861 7.3.2; ip-neighbour(8) has the same words for ARP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NeighbourState {
    /// Asked for, no answer yet.
    Incomplete,
    /// It answered lately.
    Reachable,
    /// It was there some time ago.
    Stale,
    /// Used although stale; will be asked if nothing else proves that it is there.
    Delay,
    /// Being asked whether it is still there.
    Probe,
    /// It did not answer.
    Failed,
}

impl NeighbourState {
    /// The spelling of ip-neighbour(8): `REACHABLE`.
    pub const fn name(self) -> &'static str {
        match self {
            NeighbourState::Incomplete => "INCOMPLETE",
            NeighbourState::Reachable => "REACHABLE",
            NeighbourState::Stale => "STALE",
            NeighbourState::Delay => "DELAY",
            NeighbourState::Probe => "PROBE",
            NeighbourState::Failed => "FAILED",
        }
    }
}

/// One entry of the neighbour table (ip-neighbour(8)), of ARP or of IPv6 neighbour discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpEntry {
    /// The neighbour.
    pub address: IpAddr,
    /// On which interface's link.
    pub iface: IfaceId,
    /// Its MAC address; none while the question is open, or if it never answered.
    pub mac: Option<MacAddr>,
    /// How sure the host is of it.
    pub state: NeighbourState,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSnapshot {
    /// Interfaces, `lo` first.
    pub ifaces: Vec<IfaceSnapshot>,
    /// Routes: network, next hop (none: on link), interface.
    pub routes: Vec<(IpCidr, Option<IpAddr>, IfaceId)>,
    /// Neighbour table, by interface and address.
    pub neighbours: Vec<ArpEntry>,
    /// Multicast groups that sockets have joined, by interface.
    pub groups: Vec<(IfaceId, IpAddr)>,
    /// Sockets, by id.
    pub sockets: Vec<SocketSnapshot>,
    /// The translation table of a NAT.
    pub nat: Vec<NatEntry>,
    /// Ports that a NAT gives to inside servers.
    pub port_forwards: Vec<PortForward>,
    /// The packet filter's rules.
    pub firewall: Vec<RuleSnapshot>,
}
