//! What a conversation carried and how it went: the list of conversations with their numbers, the octets of a stream
//! put in order, points for graphs. All of it is plain data, built event by event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind, FrameView};

mod graph;
mod stream;
#[cfg(test)]
mod tests;

pub use graph::{Sample, Series, SeriesBuilder, TimeSequence, segments};
pub use stream::{Chunk, follow};

/// What one side of a conversation sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Packets, each counted once however many links it takes.
    pub packets: u64,
    /// Octets of frames.
    pub octets: u64,
    /// Octets of payload, repeated ones too.
    pub payload: u64,
    /// Segments that repeat what was sent before.
    pub retransmissions: u64,
    /// Packets that were lost on their way.
    pub lost: u64,
}

/// Round-trip times as the capture shows them: from a segment to the ACK that covers it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtt {
    /// How many were measured.
    pub count: u64,
    /// The least one.
    pub least: u64,
    /// The longest one.
    pub most: u64,
    /// All together; divided by `count`, the mean.
    pub sum: u64,
}

/// One row of the list of conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its number: its colour.
    pub number: u32,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// Index among those of its protocol: what the filter `tcp.stream` means.
    pub stream: u32,
    /// Address and port of the end that spoke first.
    pub a: (String, u16),
    /// Address and port of the other end.
    pub b: (String, u16),
    /// Index of the node that spoke first.
    pub node_a: u32,
    /// Index of the other node, if that is one.
    pub node_b: Option<u32>,
    /// When it began, in nanoseconds.
    pub began: u64,
    /// When its last packet was sent.
    pub last: u64,
    /// What `a` sent.
    pub from_a: Side,
    /// What `b` sent.
    pub from_b: Side,
    /// For TCP: the bits of all its flags, 0x001 FIN, 0x002 SYN, 0x004 RST.
    pub flags: u16,
    /// Round-trip times, for TCP.
    pub rtt: Rtt,
    /// Position of its packets in the packet list, from 0.
    pub packets: Vec<u32>,
}

impl Conversation {
    /// Payload octets per second from `a` to `b` and back, over its whole time; 0 for a single packet.
    pub fn octets_per_s(&self) -> (u64, u64) {
        let time = u128::from(self.last.saturating_sub(self.began));
        let rate = |octets: u64| {
            let rate = (u128::from(octets) * 1_000_000_000).checked_div(time).unwrap_or(0);
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        (rate(self.from_a.payload), rate(self.from_b.payload))
    }
}

/// The list so far.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    list: Vec<Conversation>,
    places: BTreeMap<u32, usize>,
    /// Packets so far: position in the packet list.
    packets: u32,
    /// Conversation and direction of each frame under way.
    under_way: BTreeMap<u64, (usize, bool)>,
}

impl Conversations {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match &event.kind {
            EventKind::FrameSent(f) => self.frame(event.at, f),
            EventKind::FrameDelivered { frame } => {
                self.under_way.remove(frame);
            }
            EventKind::FrameLost { frame, .. } => {
                if let Some((place, from_a)) = self.under_way.remove(frame)
                    && let Some(c) = self.list.get_mut(place)
                {
                    let side = if from_a { &mut c.from_a } else { &mut c.from_b };
                    side.lost += 1;
                }
            }
            _ => {}
        }
    }

    fn frame(&mut self, at: u64, f: &FrameView) {
        if f.first_hop {
            self.packets += 1;
        }
        let (Some(number), Some(ports)) = (f.conversation, f.ports) else { return };
        let place = *self.places.entry(number).or_insert_with(|| {
            let stream = match (f.context.tcp(), f.context.udp()) {
                (Some(tcp), _) => (tcp.stream, "TCP"),
                (_, Some(udp)) => (udp.stream, "UDP"),
                _ => (number, ""),
            };
            self.list.push(Conversation {
                number,
                protocol: stream.1.to_string(),
                stream: stream.0,
                a: (f.source.clone(), ports.0),
                b: (f.destination.clone(), ports.1),
                node_a: f.from,
                node_b: f.target,
                began: at,
                last: at,
                from_a: Side::default(),
                from_b: Side::default(),
                flags: 0,
                rtt: Rtt::default(),
                packets: Vec::new(),
            });
            self.list.len() - 1
        });
        let Some(c) = self.list.get_mut(place) else { return };
        let from_a = (&f.source, ports.0) == (&c.a.0, c.a.1);
        self.under_way.insert(f.frame, (place, from_a));
        if !f.first_hop {
            return;
        }
        c.last = c.last.max(at);
        c.packets.push(self.packets - 1);
        let side = if from_a { &mut c.from_a } else { &mut c.from_b };
        side.packets += 1;
        side.octets += f.bytes.len() as u64;
        side.payload += stream::payload(f).len() as u64;
        side.retransmissions += u64::from(f.expert.iter().any(|e| e.is_retransmission()));
        let Some(tcp) = f.context.tcp() else { return };
        c.flags |= tcp.numbers.flags;
        if let Some(acks) = tcp.acks {
            let rtt = &mut c.rtt;
            rtt.least = if rtt.count == 0 { acks.after } else { rtt.least.min(acks.after) };
            rtt.most = rtt.most.max(acks.after);
            rtt.sum = rtt.sum.saturating_add(acks.after);
            rtt.count += 1;
        }
    }

    /// All conversations, in the order in which they began.
    pub fn list(&self) -> &[Conversation] {
        &self.list
    }

    /// One conversation by its number.
    pub fn get(&self, number: u32) -> Option<&Conversation> {
        self.list.get(*self.places.get(&number)?)
    }
}
