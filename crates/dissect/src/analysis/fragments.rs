//! Puts fragmented IP packets together (RFC 791 3.2, RFC 8200 4.5).

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::packet::{Fragment, Packet};
use crate::context::{Piece, Reassembled};

/// Most packets that are put together at once; the oldest one is given up, as a host does. A choice.
const MOST: usize = 256;

type Key = (IpAddr, IpAddr, u8, u32);

/// Packets of which some fragments are still to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    open: BTreeMap<Key, Open>,
}

#[derive(Clone, Debug, Default)]
struct Open {
    first_frame: u64,
    pieces: BTreeMap<u32, (u64, Vec<u8>)>,
    total: Option<u32>,
}

impl Fragments {
    /// The next fragment; answers the whole packet if this was the last one missing.
    pub(super) fn push(&mut self, frame: u64, packet: &Packet<'_>, f: Fragment) -> Option<Reassembled> {
        let key = (packet.src, packet.dst, packet.protocol, f.ident);
        if !self.open.contains_key(&key) && self.open.len() == MOST {
            let oldest = self.open.iter().min_by_key(|(_, o)| o.first_frame).map(|(key, _)| *key);
            oldest.and_then(|key| self.open.remove(&key));
        }
        let open = self.open.entry(key).or_insert_with(|| Open { first_frame: frame, ..Open::default() });
        let len = u32::try_from(packet.payload.len()).unwrap_or(0);
        if !f.more {
            open.total = Some(f.offset + len);
        }
        open.pieces.entry(f.offset).or_insert_with(|| (frame, packet.payload.to_vec()));
        let total = open.total?;
        let mut end = 0;
        for (offset, (_, octets)) in &open.pieces {
            if *offset > end {
                return None;
            }
            end = end.max(offset + u32::try_from(octets.len()).unwrap_or(0));
        }
        if end < total {
            return None;
        }
        let open = self.open.remove(&key)?;
        let mut whole = Reassembled::default();
        for (offset, (frame, octets)) in open.pieces {
            let have = u32::try_from(whole.octets.len()).unwrap_or(u32::MAX);
            let fresh = octets.get((have - offset) as usize..).unwrap_or_default();
            let len = u32::try_from(octets.len()).unwrap_or(0);
            whole.pieces.push(Piece { frame, start: offset, len });
            whole.octets.extend_from_slice(fresh);
        }
        whole.octets.truncate(total as usize);
        Some(whole)
    }
}
