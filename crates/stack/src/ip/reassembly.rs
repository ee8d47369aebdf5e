//! Fragments that wait for their others (RFC 791 3.2, RFC 815, RFC 8200 4.5), for both families.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::input::Arrived;
use crate::time::Instant;

/// Linux `ipfrag_time`.
const TIMEOUT_V4: Duration = Duration::from_secs(30);
/// RFC 8200 4.5, Linux `ip6frag_time`.
const TIMEOUT_V6: Duration = Duration::from_secs(60);
/// So many unfinished packets are kept; a choice (Linux counts 4 MiB).
const MAX_PACKETS: usize = 64;
/// Largest payload of an IP packet.
const MAX_LEN: usize = 65_535;

/// Source, destination, protocol and identification of a packet.
pub(crate) type Key = (IpAddr, IpAddr, u8, u32);

#[derive(Clone, Debug)]
struct Packet {
    deadline: Instant,
    /// Pieces by offset.
    pieces: BTreeMap<usize, Bytes>,
    /// Length of the whole payload, once the last fragment came.
    len: Option<usize>,
    /// The fragment with offset 0: its header is the packet's, and an ICMP error quotes it.
    first: Option<Arrived>,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Offset in octets.
    pub(crate) offset: usize,
    /// Others follow.
    pub(crate) more: bool,
}

/// A packet that was never completed, by its first fragment if that came.
pub(crate) type Lost = Option<Arrived>;

/// Packets that are not complete yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    packets: BTreeMap<Key, Packet>,
}

impl Reassembly {
    /// Adds a fragment, whose `payload` is its piece; gives the whole packet when it is complete. Fragments that
    /// overlap make the whole packet worthless (RFC 5722; Linux does so for IPv4 as well), unless one only repeats
    /// another.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        key: Key,
        piece: Piece,
        arrived: Arrived,
    ) -> Option<Arrived> {
        let Piece { offset, more } = piece;
        let data = arrived.payload.clone();
        let end = offset + data.len();
        if end > MAX_LEN || !self.packets.contains_key(&key) && self.packets.len() >= MAX_PACKETS {
            return None;
        }
        let timeout = if key.0.is_ipv4() { TIMEOUT_V4 } else { TIMEOUT_V6 };
        let packet = self.packets.entry(key).or_insert_with(|| Packet {
            deadline: now + timeout,
            pieces: BTreeMap::new(),
            len: None,
            first: None,
        });
        let before = packet.pieces.range(..=offset).next_back().map(|(at, piece)| at + piece.len());
        let after = packet.pieces.range(offset..).next().map(|(at, _)| *at);
        if before.is_some_and(|before| before >= end) {
            return None;
        }
        let overlaps = before.is_some_and(|before| before > offset) || after.is_some_and(|after| after < end);
        let last_moved = packet.len.is_some_and(|len| end > len || !more && end != len);
        if overlaps || last_moved {
            self.packets.remove(&key);
            return None;
        }
        if !more {
            packet.len = Some(end);
        }
        if offset == 0 {
            packet.first = Some(arrived);
        }
        packet.pieces.insert(offset, data);
        let held: usize = packet.pieces.values().map(Bytes::len).sum();
        if packet.len != Some(held) {
            return None;
        }
        let whole: Vec<u8> = packet.pieces.values().flatten().copied().collect();
        let packet = self.packets.remove(&key)?;
        packet.first.map(|first| Arrived { payload: whole.into(), ..first })
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.packets.values().map(|packet| packet.deadline).min()
    }

    /// Forgets what is too old, and returns it.
    pub(crate) fn on_timer(&mut self, now: Instant) -> Vec<Lost> {
        let old: Vec<Key> =
            self.packets.iter().filter(|(_, packet)| packet.deadline <= now).map(|(key, _)| *key).collect();
        old.iter().filter_map(|key| self.packets.remove(key)).map(|packet| packet.first).collect()
    }
}
