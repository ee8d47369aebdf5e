//! "Follow stream": what the programs of a conversation said to each other, in order and each octet once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use socketlab_dissect::TcpSummary;

use crate::event::{Event, EventKind, FrameView};

/// What one side said until the other spoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Said by the end that spoke first.
    pub from_first: bool,
    /// When its first octet was sent, in nanoseconds.
    pub at: u64,
    /// The packet that brought its first octet.
    pub packet: u64,
    /// The octets.
    pub octets: Vec<u8>,
    /// So many octets before these were never seen.
    pub missing: u64,
}

/// The payload of a frame's TCP segment or UDP datagram.
pub(super) fn payload(f: &FrameView) -> &[u8] {
    if let Some(packet) = &f.context.packet {
        // A datagram put together from fragments: behind its own header of 8 octets.
        return packet.octets.get(8..).unwrap_or_default();
    }
    let octets = &f.bytes;
    let kind = octets.get(12..14).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]));
    let byte = |at: usize| usize::from(octets.get(at).copied().unwrap_or(0));
    let word = |at: usize| byte(at) << 8 | byte(at + 1);
    let (mut at, end, mut protocol) = match kind {
        0x0800 => (14 + (byte(14) & 15) * 4, 14 + word(16), byte(23)),
        0x86dd => (54, 54 + word(18), byte(20)),
        _ => return &[],
    };
    // IPv6 extension headers: next header, length in units of 8 octets beyond the first.
    while kind == 0x86dd && matches!(protocol, 0 | 43 | 60) && at < octets.len() {
        protocol = byte(at);
        at += (byte(at + 1) + 1) * 8;
    }
    let header = match protocol {
        6 => (byte(at + 12) >> 4) * 4,
        17 => 8,
        _ => return &[],
    };
    octets.get(at + header..end.min(octets.len())).unwrap_or_default()
}

/// A direction of a TCP stream that is being put in order.
#[derive(Default)]
struct Direction {
    /// Relative sequence number of the next octet.
    next: Option<u64>,
    /// What came too early: sequence number → when, packet, octets.
    early: BTreeMap<u64, (u64, u64, Vec<u8>)>,
}

/// What was said in a conversation, from the events of a run. For TCP the octets stand in the order of their numbers;
/// a repeated octet stands once. For UDP each datagram is a chunk.
pub fn follow(events: &[Event], conversation: u32) -> Vec<Chunk> {
    let mut out: Vec<Chunk> = Vec::new();
    let mut first: Option<(&str, u16)> = None;
    let mut directions = [Direction::default(), Direction::default()];
    for event in events {
        let EventKind::FrameSent(f) = &event.kind else { continue };
        let (Some(ports), true) = (f.ports, f.first_hop && f.conversation == Some(conversation)) else {
            continue;
        };
        let from = (f.source.as_str(), ports.0);
        let from_first = *first.get_or_insert(from) == from;
        let octets = payload(f);
        let Some(tcp) = &f.tcp else {
            if !octets.is_empty() {
                let octets = octets.to_vec();
                out.push(Chunk { from_first, at: event.at, packet: f.packet, octets, missing: 0 });
            }
            continue;
        };
        let own = &mut directions[usize::from(!from_first)];
        let syn = u64::from(tcp.flags & TcpSummary::SYN != 0);
        let seq = u64::from(tcp.seq) + syn;
        if own.next.is_none() {
            own.next = Some(seq);
        }
        if !octets.is_empty() {
            let known = own.early.get(&seq).map_or(0, |(.., known)| known.len());
            if known < octets.len() {
                own.early.insert(seq, (event.at, f.packet, octets.to_vec()));
            }
        }
        say(own, from_first, false, &mut out);
    }
    for (i, mut own) in directions.into_iter().enumerate() {
        say(&mut own, i == 0, true, &mut out);
    }
    out
}

/// Moves what is in order to the end of `out`; with `all` also what lies beyond a hole.
fn say(own: &mut Direction, from_first: bool, all: bool, out: &mut Vec<Chunk>) {
    while let Some((&seq, _)) = own.early.first_key_value() {
        let next = own.next.unwrap_or(seq);
        if seq > next && !all {
            return;
        }
        let Some((seq, (at, packet, octets))) = own.early.pop_first() else { return };
        let missing = seq.saturating_sub(next);
        let known = usize::try_from(next.saturating_sub(seq)).unwrap_or(usize::MAX);
        let Some(fresh) = octets.get(known..).filter(|o| !o.is_empty()) else { continue };
        own.next = Some(seq + octets.len() as u64);
        match out.last_mut() {
            Some(last) if last.from_first == from_first && missing == 0 => {
                last.octets.extend_from_slice(fresh);
            }
            _ => out.push(Chunk { from_first, at, packet, octets: fresh.to_vec(), missing }),
        }
    }
}
