//! The map of the network: which frames are under way, which ports are in use; where nodes lie is in [`crate::place`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind, FrameView, SocketRow, SocketsView};
pub use crate::place::{Place, Side, layout};

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
    /// Somebody holds it.
    pub held: bool,
}

/// Which frames are under way, at any instant.
#[derive(Clone, Debug, Default)]
pub struct Flights {
    /// By `sent`.
    frames: Vec<Frame>,
    open: BTreeMap<u64, usize>,
    /// The longest any frame takes, with the time its loss is shown, in nanoseconds.
    longest: u64,
    /// Frames that were ever held: they may be there much longer.
    held: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Frame {
    flight: Flight,
    sent: u64,
    arrives: u64,
    lost: Option<(u64, String)>,
    /// Held since.
    held: Option<u64>,
    delivered: Option<u64>,
}

impl Flights {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match &event.kind {
            EventKind::FrameSent(f) => {
                self.open.insert(f.frame, self.frames.len());
                let time = f.arrives.saturating_sub(event.at);
                self.longest = self.longest.max(time + time / 2);
                self.frames.push(Frame {
                    flight: flight(event, f),
                    sent: event.at,
                    arrives: f.arrives,
                    lost: None,
                    held: None,
                    delivered: None,
                });
            }
            EventKind::FrameDelivered { frame } => {
                if let Some(i) = self.open.remove(frame) {
                    self.frames[i].delivered = Some(event.at);
                }
            }
            EventKind::Notice(notice) if notice.key == "notice-frame-held" => {
                if let Some(i) = notice.frame.and_then(|frame| self.open.get(&frame)).copied() {
                    self.frames[i].held = Some(event.at);
                    self.held.push(i);
                }
            }
            EventKind::FrameLost { frame, reason } => {
                if let Some(i) = self.open.remove(frame) {
                    self.frames[i].lost = Some((event.at, reason.clone()));
                }
            }
            _ => {}
        }
    }

    /// The frames on links at instant `at` (nanoseconds), by frame number. A lost one stays for half its time where it
    /// was lost.
    pub fn at(&self, at: u64) -> Vec<Flight> {
        let first = self.frames.partition_point(|f| f.sent + self.longest < at);
        let after = self.frames.partition_point(|f| f.sent <= at);
        let held = self.held.iter().filter(|i| **i < first).filter_map(|i| self.frames.get(*i));
        let near = self.frames.get(first..after).unwrap_or_default();
        let mut flights: Vec<Flight> = held.chain(near).filter_map(|f| f.at(at)).collect();
        flights.sort_by_key(|f| f.frame);
        flights
    }
}

impl Frame {
    fn at(&self, at: u64) -> Option<Flight> {
        let time = self.arrives.saturating_sub(self.sent).max(1);
        let part = |t: u64| (t.saturating_sub(self.sent) as f64 / time as f64).min(1.0);
        let mut flight = self.flight.clone();
        match &self.lost {
            Some((lost, reason)) if at >= *lost => {
                if at >= lost + time / 2 {
                    return None;
                }
                // What a queue or a cut link lost never left: it is shown a little way out.
                flight.progress = part(*lost).max(0.08);
                flight.lost = Some(reason.clone());
            }
            _ if self.held.is_some_and(|held| held <= at) => {
                if self.delivered.is_some_and(|delivered| delivered <= at) {
                    return None;
                }
                flight.progress = self.held.map_or(0.0, part);
                flight.held = true;
            }
            _ if at >= self.arrives => return None,
            _ => flight.progress = part(at),
        }
        Some(flight)
    }
}

fn flight(event: &Event, f: &FrameView) -> Flight {
    // The text of the payload if there is some, else what stands before the numbers.
    let detail = match f.label.find('"') {
        Some(quote) => f.label[quote..].to_string(),
        None => f
            .label
            .split(" seq=")
            .next()
            .unwrap_or_default()
            .split(" ack=")
            .next()
            .unwrap_or_default()
            .to_string(),
    };
    Flight {
        frame: f.frame,
        packet: f.packet,
        event: event.seq,
        link: f.link,
        from: f.from,
        to: f.to,
        progress: 0.0,
        protocol: f.protocol.clone(),
        ports: f.ports,
        label: f.label.clone(),
        detail,
        conversation: f.conversation,
        lost: None,
        held: false,
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
    let mut badges = Vec::new();
    for host in &sockets.hosts {
        let mut own: Vec<_> = host.sockets.iter().filter_map(|s| badge(host.node, s)).collect();
        own.sort_by_key(|b| (b.shape != BadgeShape::Listening, b.socket));
        badges.extend(own);
    }
    badges
}

/// The port of `10.0.0.80:80`, `[::1]:80`; none for `0.0.0.0:*`.
pub(crate) fn port_of(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

fn badge(node: u32, s: &SocketRow) -> Option<PortBadge> {
    if s.netid != "tcp" && s.netid != "udp" {
        return None;
    }
    let shape = match (s.netid.as_str(), s.state.as_str()) {
        ("udp", _) | (_, "ESTAB") => BadgeShape::Open,
        (_, "LISTEN") => BadgeShape::Listening,
        (_, "SYN-SENT" | "SYN-RECV") => BadgeShape::Connecting,
        (_, "TIME-WAIT") => BadgeShape::TimeWait,
        (_, "UNCONN") => BadgeShape::Bound,
        _ => BadgeShape::Closing,
    };
    Some(PortBadge {
        node,
        socket: s.socket,
        netid: s.netid.clone(),
        port: port_of(&s.local)?,
        peer_port: port_of(&s.peer),
        shape,
        state: s.state.clone(),
        conversation: s.conversation,
        queue: (shape == BadgeShape::Listening).then_some((s.recv_q, s.send_q)),
        program: s.program,
    })
}
