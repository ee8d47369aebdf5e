//! The map of the network: where nodes lie, which frames are under way, which ports are in use.

use serde::{Deserialize, Serialize};

use crate::event::{Event, ProgramInfo, SocketsView, TopologyView};

/// Where a node lies, in parts (0..1) of width and height, y downward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Part of the width.
    pub x: f64,
    /// Part of the height.
    pub y: f64,
    /// Which column it is in.
    pub side: Side,
}

/// The columns of the map, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Side {
    Clients,
    Middle,
    Servers,
    Gateways,
}

/// Where each node lies, by its index. Deterministic.
pub fn layout(topology: &TopologyView, programs: &[ProgramInfo]) -> Vec<Place> {
    let _ = (topology, programs);
    Vec::new()
}

/// A frame on a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    /// Number of the frame on this link.
    pub frame: u64,
    /// The packet.
    pub packet: u64,
    /// `seq` of the event that holds its bytes.
    pub event: u64,
    /// Index of the link.
    pub link: u32,
    /// Index of the node it left.
    pub from: u32,
    /// Index of the node it goes to.
    pub to: u32,
    /// Part of the way, 0..1.
    pub progress: f64,
    /// `TCP`, `ARP`, ...
    pub protocol: String,
    /// Source and destination port.
    pub ports: Option<(u16, u16)>,
    /// `SYN seq=0`.
    pub label: String,
    /// First octets of the payload as text in quotes, or the flags: the second line of the frame's box.
    pub detail: String,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
    /// It will not arrive (at this instant it is known): message key of the reason.
    pub lost: Option<String>,
}

/// Which frames are under way, at any instant.
#[derive(Clone, Debug, Default)]
pub struct Flights {}

impl Flights {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let _ = event;
    }

    /// The frames on links at instant `at` (nanoseconds), by frame number.
    pub fn at(&self, at: u64) -> Vec<Flight> {
        let _ = at;
        Vec::new()
    }
}

/// State as shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BadgeShape {
    /// Bound, but neither listening nor connected: a thin ring.
    Bound,
    /// LISTEN: a ring.
    Listening,
    /// SYN-SENT, SYN-RECEIVED: dashed.
    Connecting,
    /// ESTABLISHED, or a bound UDP socket: solid.
    Open,
    /// One side has closed: half-filled.
    Closing,
    /// TIME-WAIT: a clock.
    TimeWait,
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBadge {
    /// Index of the node.
    pub node: u32,
    /// Number of the socket on its host.
    pub socket: u32,
    /// `tcp` or `udp`.
    pub netid: String,
    /// Local port.
    pub port: u16,
    /// The other end's port.
    pub peer_port: Option<u16>,
    /// State as shape.
    pub shape: BadgeShape,
    /// State in ss(8)'s spelling.
    pub state: String,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
    /// For a listener: connections that wait in the accept queue, and the backlog.
    pub queue: Option<(u64, u64)>,
    /// Owning program.
    pub program: Option<u32>,
}

/// The ports in use, by node: listeners first, then by socket.
pub fn badges(sockets: &SocketsView) -> Vec<PortBadge> {
    let _ = sockets;
    Vec::new()
}
