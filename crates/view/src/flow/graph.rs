//! Points for graphs of a TCP connection: sequence numbers over time as the packets show them, and congestion window,
//! round-trip time and octets in flight as the sockets report them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use socketlab_dissect::TcpSummary;

use crate::event::{Event, EventKind, SocketsView, TcpNumbers};

/// A segment or an acknowledgement in the diagram of sequence numbers over time, for one direction of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeSequence {
    /// Octets `from..to` (relative) were sent.
    Data {
        /// When, in nanoseconds.
        at: u64,
        /// The packet.
        packet: u64,
        /// First sequence number.
        from: u32,
        /// One past the last.
        to: u32,
        /// They were sent before.
        again: bool,
    },
    /// The other side acknowledged everything before `ack`, and will take octets up to `edge`.
    Ack {
        /// When it was sent.
        at: u64,
        /// The packet.
        packet: u64,
        /// Relative acknowledgement number.
        ack: u32,
        /// End of the window.
        edge: u32,
        /// It repeats an earlier one.
        duplicate: bool,
    },
}

/// The points for the data that the end with this address and port sends in a conversation.
pub fn segments(events: &[Event], conversation: u32, sender: (&str, u16)) -> Vec<TimeSequence> {
    let frames = events.iter().filter_map(|e| match &e.kind {
        EventKind::FrameSent(f) if f.first_hop && f.conversation == Some(conversation) => Some((e.at, f)),
        _ => None,
    });
    frames
        .filter_map(|(at, f)| {
            let (tcp, ports) = (f.tcp.as_ref()?, f.ports?);
            let packet = f.packet;
            if (f.source.as_str(), ports.0) == sender {
                let phantom = u32::from(tcp.flags & (TcpSummary::SYN | TcpSummary::FIN) != 0);
                let to = tcp.seq.wrapping_add(tcp.len).wrapping_add(phantom);
                let again = f.expert.iter().any(|e| e.is_retransmission());
                return (to != tcp.seq).then_some(TimeSequence::Data {
                    at,
                    packet,
                    from: tcp.seq,
                    to,
                    again,
                });
            }
            (tcp.flags & TcpSummary::ACK != 0).then(|| TimeSequence::Ack {
                at,
                packet,
                ack: tcp.ack,
                edge: tcp.ack.wrapping_add(tcp.window),
                duplicate: f.expert.iter().any(|e| matches!(e, socketlab_dissect::Expert::DupAck(..))),
            })
        })
        .collect()
}

/// The numbers of a connection at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in nanoseconds.
    pub at: u64,
    /// What the socket reports.
    pub numbers: TcpNumbers,
}

/// The course of one socket's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Index of the node.
    pub node: u32,
    /// Number of the socket on its host.
    pub socket: u32,
    /// `10.0.0.80:80`.
    pub local: String,
    /// `10.0.0.11:13401`.
    pub peer: String,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
    /// By time; an instant at which nothing changed has no sample.
    pub samples: Vec<Sample>,
}

/// Collects the series of all connections from the sockets' snapshots.
#[derive(Clone, Debug, Default)]
pub struct SeriesBuilder {
    list: Vec<Series>,
    places: BTreeMap<(u32, u32), usize>,
}

impl SeriesBuilder {
    /// The sockets at a later instant.
    pub fn push(&mut self, view: &SocketsView) {
        for host in &view.hosts {
            for row in &host.sockets {
                let Some(numbers) = row.tcb.as_ref().map(TcpNumbers::from) else { continue };
                let key = (host.node, row.socket);
                let place = *self.places.entry(key).or_insert_with(|| {
                    self.list.push(Series {
                        node: host.node,
                        socket: row.socket,
                        local: row.local.clone(),
                        peer: row.peer.clone(),
                        conversation: None,
                        samples: Vec::new(),
                    });
                    self.list.len() - 1
                });
                let Some(series) = self.list.get_mut(place) else { continue };
                series.conversation = series.conversation.or(row.conversation);
                match series.samples.last() {
                    Some(last) if last.numbers == numbers || last.at > view.at => {}
                    _ => series.samples.push(Sample { at: view.at, numbers }),
                }
            }
        }
    }

    /// All series, in the order in which their sockets were first seen.
    pub fn list(&self) -> &[Series] {
        &self.list
    }

    /// The series of a conversation: one for each end that is in the lab.
    pub fn of(&self, conversation: u32) -> impl Iterator<Item = &Series> {
        self.list.iter().filter(move |s| s.conversation == Some(conversation))
    }
}
