//! The facts the page keeps: trace records with names instead of ids of the simulator, ready to travel (serde).
//! Times are nanoseconds of virtual time.

use serde::{Deserialize, Serialize};
use socketlab_dissect::{Context, Expert, TcpSummary};
use socketlab_netsim::Topology;

use crate::notice::NoticeView;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the trace, from 0 without gaps.
    pub seq: u64,
    /// When, in nanoseconds of virtual time.
    pub at: u64,
    /// What.
    pub kind: EventKind,
}

/// A frame that left a node, with what its bytes say in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameView {
    /// Number of the frame on this link.
    pub frame: u64,
    /// The same packet on all its way.
    pub packet: u64,
    /// Index of the link in [`TopologyView::links`].
    pub link: u32,
    /// Index of the sending node in [`TopologyView::nodes`].
    pub from: u32,
    /// Index of the receiving node.
    pub to: u32,
    /// When its last bit arrives, unless it is lost, in nanoseconds.
    pub arrives: u64,
    /// The frame itself, from the destination MAC address on.
    pub bytes: Vec<u8>,
    /// First hop of the packet: the node that made it sends it here.
    pub first_hop: bool,
    /// Protocol column: `TCP`, `UDP`, `ARP`, ...
    pub protocol: String,
    /// Source and destination as shown, IP if there is one, else MAC.
    pub source: String,
    /// See `source`.
    pub destination: String,
    /// Ports, if the packet has them.
    pub ports: Option<(u16, u16)>,
    /// Wireshark's Info column, with relative sequence numbers.
    pub info: String,
    /// Short label for a ladder arrow: `SYN seq=0`, `PSH, ACK len=9 "21,5 °C"`.
    pub label: String,
    /// The call during which it was made.
    pub cause: Option<u64>,
    /// Number of the connection (both directions of a 4-tuple), from 0 in order of appearance.
    pub conversation: Option<u32>,
    /// Index of the node that should take it in the end, if that is one node: not a switch on the way, not a broadcast.
    pub target: Option<u32>,
    /// TCP's flag bits, relative numbers and length.
    pub tcp: Option<TcpSummary>,
    /// What is remarkable about it in its conversation: retransmission, duplicate ACK, ...
    pub expert: Vec<Expert>,
    /// What tcpdump(1) prints for it, without the time.
    pub tcpdump: String,
    /// What the packets before say about it: with it and its bytes, [`crate::dissect_with`] makes its tree. The packet's
    /// number there counts first hops, as the packet list does.
    pub context: Context,
}

/// A system call as it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// Number of the call.
    pub call: u64,
    /// Index of the program in the lab; [`CallView::NO_PROGRAM`] for a built-in service, whose name is in `place`.
    pub program: u32,
    /// Index of its node.
    pub node: u32,
    /// Thread; 1 is the main one.
    pub tid: u32,
    /// Name of the call.
    pub name: String,
    /// Arguments as Python would print them.
    pub args: String,
    /// Line of the program, `server.py:7`; `dns server` for a built-in service; or empty.
    pub place: String,
    /// Conversation of the socket, if it is connected.
    pub conversation: Option<u32>,
    /// Number of the socket on its host, if the call is about one.
    pub socket: Option<u32>,
}

impl CallView {
    /// In the place of a program's index: a built-in service made the call.
    pub const NO_PROGRAM: u32 = u32::MAX;
}

/// Why a call failed. `cause` is a message key of the page's texts, `args` its parameters by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    /// `ECONNREFUSED`, `timeout`, ...
    pub errno: String,
    /// Message key such as `cause-refused-by-peer`.
    pub cause: String,
    /// Parameters of the message.
    pub args: Vec<(String, String)>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitView {
    /// With this status.
    Exited(i32),
    /// Stopped by the lab or the user.
    Killed,
}

/// Which way text went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ConsoleStream {
    Stdin,
    Stdout,
    Stderr,
}

/// What the real side of a gateway did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Index of the gateway's node.
    pub node: u32,
    /// `TCP`, `UDP` or `ICMP`.
    pub protocol: String,
    /// The simulated end.
    pub client: String,
    /// The real end, as the program names it.
    pub target: String,
    /// The real end, as the relay is asked for it: what `--allow` would take.
    pub dialled: String,
    /// Message key: `gateway-connecting`, `gateway-connected`, `gateway-refused`, `gateway-unreachable`,
    /// `gateway-timed-out`, `gateway-not-allowed`, `gateway-throttled`, `gateway-no-relay`, `gateway-closed`,
    /// `gateway-reset`, `gateway-pinging`, `gateway-echoed`, `gateway-looking-up`,
    /// `gateway-looked-up`, `gateway-no-such-name`, `gateway-published`, `gateway-accepted`.
    pub fact: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields say it; see netsim's records")]
pub enum EventKind {
    FrameSent(Box<FrameView>),
    FrameDelivered {
        frame: u64,
    },
    /// `reason`: message key such as `loss-random`.
    FrameLost {
        frame: u64,
        reason: String,
    },
    Demux {
        node: u32,
        frame: u64,
        socket: Option<u32>,
        passed_over: Vec<u32>,
    },
    /// `reason`: message key such as `drop-no-listener`.
    Dropped {
        node: u32,
        frame: Option<u64>,
        reason: String,
    },
    /// States in the RFC's spelling.
    TcpState {
        node: u32,
        socket: u32,
        local: String,
        peer: Option<String>,
        from: String,
        to: String,
        conversation: Option<u32>,
    },
    Retransmitted {
        node: u32,
        socket: u32,
        seq: u32,
        len: u32,
        attempt: u32,
    },
    /// `timer`: message key such as `timer-retransmission`.
    TimerFired {
        node: u32,
        socket: u32,
        timer: String,
    },
    ProgramStarted {
        program: u32,
        node: u32,
    },
    ProgramExited {
        program: u32,
        status: ExitView,
    },
    CallEntered(Box<CallView>),
    CallReturned {
        call: u64,
        result: String,
        failure: Option<FailureView>,
        /// The socket that the call made: `socket`, `accept`.
        made: Option<u32>,
        /// The conversation of the accepted connection.
        conversation: Option<u32>,
    },
    Console {
        program: u32,
        stream: ConsoleStream,
        text: String,
    },
    Gateway(Box<GatewayView>),
    NameResolved {
        node: u32,
        name: String,
        address: String,
    },
    Deadlock {
        waiting: Vec<u64>,
    },
    Notice(Box<NoticeView>),
}

/// A program of the lab, as the views need to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramInfo {
    /// Index of the node it runs on.
    pub node: u32,
    /// Its main file: `server.py`.
    pub file: String,
    /// Stopped when all others have ended: a server.
    pub forever: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum NodeKind {
    Host,
    Switch,
    Hub,
    Router,
    Gateway,
    /// The port to a shared LAN.
    Lan,
}

/// A node of the topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyNode {
    /// Its name in the lab file.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its IP addresses, IPv4 first; empty for a switch.
    pub addresses: Vec<String>,
    /// Indices of the programs that run on it.
    pub programs: Vec<u32>,
}

/// A link of the topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyLink {
    /// Indices of the two nodes.
    pub ends: (u32, u32),
    /// One-way delay in nanoseconds.
    pub delay: u64,
    /// Rate in bits per second; 0: unlimited.
    pub rate: u64,
}

/// The topology as the lab file gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyView {
    /// Nodes, in the order of the lab file: hosts, switches, routers, gateways.
    pub nodes: Vec<TopologyNode>,
    /// Links.
    pub links: Vec<TopologyLink>,
}

/// One row of the sockets table, in the columns and spelling of ss(8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRow {
    /// Number of the socket on its host.
    pub socket: u32,
    /// `tcp`, `udp`, `raw`, `u_str`, `u_dgr`.
    pub netid: String,
    /// `LISTEN`, `ESTAB`, `UNCONN`, ...
    pub state: String,
    /// Recv-Q.
    pub recv_q: u64,
    /// Send-Q.
    pub send_q: u64,
    /// `10.0.0.80:80`.
    pub local: String,
    /// `10.0.0.11:13401` or `0.0.0.0:*`.
    pub peer: String,
    /// `server.py fd=4`, empty when only the kernel holds it.
    pub process: String,
    /// Index of the owning program.
    pub program: Option<u32>,
    /// Conversation, if connected.
    pub conversation: Option<u32>,
    /// Half-open connections (listener only).
    pub syn_queue: u32,
    /// Is this connection still waiting in a listener's accept queue?
    pub in_accept_queue: bool,
    /// First octets of the receive queue.
    pub recv_head: Vec<u8>,
    /// Size of the receive buffer in octets.
    pub recv_buffer: u64,
    /// Size of the send buffer in octets.
    pub send_buffer: u64,
    /// The TCB, for TCP connections.
    pub tcb: Option<TcbView>,
    /// Timers that run: message key and deadline in nanoseconds.
    pub timers: Vec<(String, u64)>,
}

/// A connection's congestion control, round-trip time and windows at an instant. Times in nanoseconds, the rest in
/// octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpNumbers {
    /// Congestion window.
    pub cwnd: u32,
    /// Slow-start threshold; none so far: no loss yet.
    pub ssthresh: Option<u32>,
    /// Sent, not acknowledged.
    pub in_flight: u32,
    /// The other side's window.
    pub snd_wnd: u32,
    /// The own window.
    pub rcv_wnd: u32,
    /// Smoothed round-trip time.
    pub srtt: Option<u64>,
    /// Retransmission time-out.
    pub rto: u64,
    /// Segments sent again.
    pub retransmissions: u64,
}

/// The transmission control block: absolute sequence numbers, sizes in octets, times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the RFCs' names: RFC 9293 3.3.1, RFC 5681, RFC 6298, RFC 7323")]
pub struct TcbView {
    pub iss: u32,
    pub snd_una: u32,
    pub snd_nxt: u32,
    pub snd_wnd: u32,
    pub irs: u32,
    pub rcv_nxt: u32,
    pub rcv_wnd: u32,
    pub cwnd: u32,
    pub ssthresh: u32,
    pub srtt: Option<u64>,
    pub rttvar: Option<u64>,
    pub rto: u64,
    /// How often the retransmission timer doubled.
    pub backoff: u32,
    pub dup_acks: u32,
    pub in_recovery: bool,
    /// Ranges that the peer reported by SACK, `[left, right)`.
    pub sacked: Vec<(u32, u32)>,
    /// Ranges held that came out of order, `[left, right)`.
    pub out_of_order: Vec<(u32, u32)>,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    /// Our and the peer's window scale shift, if agreed.
    pub window_scale: Option<(u8, u8)>,
    pub sack_permitted: bool,
    pub timestamps: bool,
    pub retransmissions: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

impl TcbView {
    /// Octets sent and not yet acknowledged.
    pub fn flight(&self) -> u32 {
        self.snd_nxt.wrapping_sub(self.snd_una)
    }
}

impl From<&TcbView> for TcpNumbers {
    fn from(t: &TcbView) -> Self {
        TcpNumbers {
            cwnd: t.cwnd,
            ssthresh: (t.ssthresh != u32::MAX).then_some(t.ssthresh),
            in_flight: t.flight(),
            snd_wnd: t.snd_wnd,
            rcv_wnd: t.rcv_wnd,
            srtt: t.srtt,
            rto: t.rto,
            retransmissions: t.retransmissions,
        }
    }
}

/// A table of a node, as a command of Linux would print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTable {
    /// Message key of its title, also its kind: `table-neighbours`.
    pub key: String,
    /// Message keys of its columns.
    pub columns: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

/// What is different at one node since it was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeChange {
    /// Since when, in nanoseconds.
    pub at: u64,
    /// Index of the node.
    pub node: u32,
    /// Sockets that are new or different.
    pub sockets: Vec<SocketRow>,
    /// Sockets that are gone.
    pub gone: Vec<u32>,
    /// Its tables, if any is different.
    pub tables: Option<Vec<NodeTable>>,
}

/// A link as it is now. Times are nanoseconds, probabilities parts per million.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// One-way delay.
    pub delay: u64,
    /// Up to this much more, drawn for each frame.
    pub jitter: u64,
    /// Bits per second; 0: unlimited.
    pub rate: u64,
    /// Frames that may wait for the link.
    pub queue: u32,
    /// A frame is lost.
    pub loss: u32,
    /// A frame arrives twice.
    pub duplicate: u32,
    /// A frame is overtaken by later ones.
    pub reorder: u32,
    /// One bit of a frame is flipped.
    pub corrupt: u32,
    /// Largest IP packet, in octets.
    pub mtu: u32,
    /// Nothing gets through.
    pub cut: bool,
    /// Numbers of the frames that somebody holds.
    pub held: Vec<u64>,
}

/// The sockets of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRow {
    /// Index of the node.
    pub node: u32,
    /// Its sockets.
    pub sockets: Vec<SocketRow>,
    /// Interfaces, routes, neighbours and what else the node keeps in tables.
    pub tables: Vec<NodeTable>,
}

/// The sockets of all hosts at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketsView {
    /// When, in nanoseconds.
    pub at: u64,
    /// Hosts, by node.
    pub hosts: Vec<HostRow>,
}

impl SocketsView {
    /// The IP address that a node has at this instant, loopback and link-local ones aside; none: it has none (yet).
    pub fn address_of(&self, node: u32) -> Option<&str> {
        crate::tables::first_address(&self.hosts.iter().find(|host| host.node == node)?.tables)
    }
}

impl From<&Topology> for TopologyView {
    fn from(topology: &Topology) -> Self {
        use socketlab_netsim::NodeKind as Kind;
        let index = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
        let nodes = topology.nodes.iter().map(|n| TopologyNode {
            name: n.name.clone(),
            kind: match n.kind {
                Kind::Host => NodeKind::Host,
                Kind::Switch => NodeKind::Switch,
                Kind::Hub => NodeKind::Hub,
                Kind::Router => NodeKind::Router,
                Kind::Gateway => NodeKind::Gateway,
                Kind::Lan => NodeKind::Lan,
            },
            addresses: n.addresses.iter().map(ToString::to_string).collect(),
            programs: n.programs.iter().map(|p| index(*p)).collect(),
        });
        let links = topology.links.iter().map(|l| TopologyLink {
            ends: (l.ends.0.0, l.ends.1.0),
            delay: u64::try_from(l.delay.as_nanos()).unwrap_or(u64::MAX),
            rate: l.rate_bits_per_s.unwrap_or(0),
        });
        TopologyView { nodes: nodes.collect(), links: links.collect() }
    }
}

impl From<&socketlab_netsim::Program> for ProgramInfo {
    fn from(program: &socketlab_netsim::Program) -> Self {
        ProgramInfo { node: program.node.0, file: program.file.clone(), forever: program.forever }
    }
}
