//! Fragments that wait for their others (RFC 791 3.2, RFC 815).

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::time::Instant;

/// Linux `ipfrag_time`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// So many unfinished packets are kept; a choice (Linux counts 4 MiB).
const MAX_PACKETS: usize = 64;
/// Largest payload of an IPv4 packet.
const MAX_LEN: usize = 65_515;

/// Source, destination, protocol and identification of a packet.
pub(crate) type Key = (Ipv4Addr, Ipv4Addr, u8, u16);

#[derive(Clone, Debug)]
struct Packet {
    deadline: Instant,
    /// Pieces by offset.
    pieces: BTreeMap<usize, Bytes>,
    /// Length of the whole payload, once the last fragment came.
    len: Option<usize>,
}

/// Packets that are not complete yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    packets: BTreeMap<Key, Packet>,
}

impl Reassembly {
    /// Adds a fragment; gives the whole payload when it is complete. Overlapping fragments: the first one counts.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        key: Key,
        offset: usize,
        more: bool,
        data: Bytes,
    ) -> Option<Bytes> {
        if offset + data.len() > MAX_LEN
            || !self.packets.contains_key(&key) && self.packets.len() >= MAX_PACKETS
        {
            return None;
        }
        let packet = self.packets.entry(key).or_insert_with(|| Packet {
            deadline: now + TIMEOUT,
            pieces: BTreeMap::new(),
            len: None,
        });
        if !more {
            packet.len = Some(offset + data.len());
        }
        packet.pieces.entry(offset).or_insert(data);
        let len = packet.len?;
        let mut whole: Vec<u8> = Vec::with_capacity(len);
        for (at, piece) in &packet.pieces {
            if *at > whole.len() {
                return None;
            }
            let skip = whole.len() - at;
            whole.extend_from_slice(piece.get(skip..).unwrap_or_default());
        }
        if whole.len() < len {
            return None;
        }
        whole.truncate(len);
        self.packets.remove(&key);
        Some(whole.into())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.packets.values().map(|packet| packet.deadline).min()
    }

    /// Forgets what is too old. Returns how many packets.
    pub(crate) fn on_timer(&mut self, now: Instant) -> usize {
        let before = self.packets.len();
        self.packets.retain(|_, packet| packet.deadline > now);
        before - self.packets.len()
    }
}
