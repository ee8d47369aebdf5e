//! IPv4 packets in: checks in the order of RFC 1122 3.2.1.

use core::net::IpAddr;

use bytes::Bytes;
use smoltcp::wire::Ipv4Packet;

use super::input::Arrived;
use super::reassembly::Piece;
use crate::event::{DropReason, IfaceId};
use crate::forward::Direction;
use crate::host::Host;
use crate::time::Instant;

impl Host {
    /// An IPv4 packet, from a link or from `lo`.
    pub(super) fn receive_v4(&mut self, now: Instant, iface: IfaceId, bytes: Bytes) {
        let Ok(packet) = Ipv4Packet::new_checked(bytes.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let header_len = usize::from(packet.header_len());
        let total_len = usize::from(packet.total_len());
        if packet.version() != 4 || header_len < 20 || total_len < header_len {
            return self.drop_packet(DropReason::Malformed);
        }
        if !packet.verify_checksum() {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let outside = iface != IfaceId(0);
        let bytes = bytes.slice(..total_len);
        let bytes = match outside {
            true => match self.before_routing(now, iface, bytes) {
                Some(bytes) => bytes,
                None => return,
            },
            false => bytes,
        };
        let packet = Ipv4Packet::new_unchecked(bytes.as_ref());
        let (source, destination) = (IpAddr::V4(packet.src_addr()), IpAddr::V4(packet.dst_addr()));
        let broadcast = packet.dst_addr().is_broadcast()
            || self.ifaces.get(iface.0).is_some_and(|iface| iface.is_broadcast(destination));
        let multicast = destination.is_multicast();
        let foreign = !self.is_own(destination) && !broadcast && !multicast;
        if foreign && outside && self.forwards() {
            return self.forward_packet(now, iface, bytes);
        }
        if foreign && !self.config.any_ip || multicast && !self.is_member(iface, destination) {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        // RFC 1122 3.2.1.3: never from outside.
        if outside && (source.is_loopback() || destination.is_loopback()) || source.is_multicast() {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        // Linux `fib_validate_source`: nobody else has an address of ours. (Our own broadcasts come back to us this way.)
        if outside && !broadcast && !multicast && self.is_own(source) {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        if outside && !self.filter_allows(now, Direction::In, &bytes) {
            return;
        }
        let mut arrived = Arrived {
            iface,
            source,
            destination,
            to_many: broadcast || multicast,
            ttl: packet.hop_limit(),
            tos: packet.dscp() << 2 | packet.ecn(),
            next_header_at: 9,
            payload: bytes.slice(header_len..),
            packet: bytes.clone(),
        };
        let protocol = u8::from(packet.next_header());
        if packet.more_frags() || packet.frag_offset() != 0 {
            let piece = Piece { offset: usize::from(packet.frag_offset()), more: packet.more_frags() };
            // RFC 791 3.2: all but the last are units of 8 octets.
            if piece.more && !arrived.payload.len().is_multiple_of(8) || arrived.payload.is_empty() {
                return self.drop_packet(DropReason::Malformed);
            }
            let key = (source, destination, protocol, u32::from(packet.ident()));
            match self.reassembly.insert(now, key, piece, arrived) {
                Some(whole) => arrived = whole,
                None => return,
            }
        }
        self.deliver(now, protocol, &arrived);
    }
}
