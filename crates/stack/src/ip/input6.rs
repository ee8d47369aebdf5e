//! IPv6 packets in (RFC 8200): the header, then the chain of extension headers, then the protocol.

use core::net::IpAddr;

use bytes::Bytes;
use smoltcp::wire::Ipv6Packet;

use super::input::Arrived;
use super::protocol;
use super::reassembly::Piece;
use crate::event::{DropReason, IfaceId};
use crate::forward::Direction;
use crate::host::Host;
use crate::icmp::Problem;
use crate::time::Instant;

/// Octets of an IPv6 header.
const IPV6_LEN: usize = 40;
/// So many extension headers are looked at; a choice (Linux has none, but a packet has no need of more).
const MOST_HEADERS: usize = 16;

/// What a chain of options wants (RFC 8200 4.2).
enum Options {
    Fine,
    Discard,
    /// Discard and tell the sender: the place of the option, and whether it is told even if the packet was for many.
    Complain(usize, bool),
}

impl Host {
    /// An IPv6 packet, from a link or from `lo`.
    pub(super) fn receive_v6(&mut self, now: Instant, iface: IfaceId, bytes: Bytes) {
        let Ok(packet) = Ipv6Packet::new_checked(bytes.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        if packet.version() != 6 {
            return self.drop_packet(DropReason::Malformed);
        }
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let multicast = destination.is_multicast();
        let (from, to) = (IpAddr::V6(source), IpAddr::V6(destination));
        let ours = if multicast { self.is_member(iface, to) } else { self.is_own(to) || self.config.any_ip };
        let outside = iface != IfaceId(0);
        let loopback = source.is_loopback() || destination.is_loopback();
        if outside && !multicast && !self.is_own(to) && self.forwards() {
            return self.forward_packet(now, iface, bytes.slice(..packet.total_len()));
        }
        // RFC 4291 2.5.3, 2.7: never a loopback address from outside, never a group as source.
        if !ours || outside && loopback || source.is_multicast() || destination.is_unspecified() {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        let bytes = bytes.slice(..packet.total_len());
        if outside && !self.filter_allows(now, Direction::In, &bytes) {
            return;
        }
        let packet = Ipv6Packet::new_unchecked(bytes.as_ref());
        let arrived = Arrived {
            iface,
            source: from,
            destination: to,
            to_many: multicast,
            ttl: packet.hop_limit(),
            tos: packet.traffic_class(),
            next_header_at: 6,
            payload: bytes.slice(IPV6_LEN..),
            packet: bytes.clone(),
        };
        self.walk_headers(now, u8::from(packet.next_header()), arrived, MOST_HEADERS);
    }

    /// Goes through the extension headers up to the protocol.
    fn walk_headers(&mut self, now: Instant, mut next: u8, mut arrived: Arrived, most: usize) {
        for _ in 0..most {
            // Where the payload begins in the packet; a reassembled one has no such place.
            let at = arrived.packet.len().saturating_sub(arrived.payload.len());
            let len = match next {
                protocol::FRAGMENT => 8,
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                    8 + 8 * arrived.payload.get(1).copied().map_or(0, usize::from)
                }
                _ => return self.deliver(now, next, &arrived),
            };
            let Some(header) = arrived.payload.get(..len) else {
                return self.drop_packet(DropReason::Malformed);
            };
            let (following, third, fourth) = (header[0], header[2], header[3]);
            match next {
                // RFC 8200 4.3: only directly after the IPv6 header.
                protocol::HOP_BY_HOP if arrived.next_header_at != 6 => {
                    let pointer = arrived.next_header_at;
                    self.drop_packet(DropReason::Malformed);
                    return self.send_icmp_error(now, Problem::Parameter { code: 1, pointer }, &arrived);
                }
                protocol::HOP_BY_HOP | protocol::DESTINATION => match options(&header[2..]) {
                    Options::Fine => {}
                    Options::Discard => return self.drop_packet(DropReason::UnknownProtocol),
                    Options::Complain(place, even_to_many) => {
                        self.drop_packet(DropReason::UnknownProtocol);
                        if arrived.to_many && even_to_many {
                            arrived.to_many = false;
                        }
                        let problem = Problem::Parameter { code: 2, pointer: at + 2 + place };
                        return self.send_icmp_error(now, problem, &arrived);
                    }
                },
                // RFC 8200 4.4, RFC 5095: an unknown or forbidden type matters only if it is not used up.
                protocol::ROUTING if fourth != 0 => {
                    self.drop_packet(DropReason::UnknownProtocol);
                    let problem = Problem::Parameter { code: 0, pointer: at + 2 };
                    return self.send_icmp_error(now, problem, &arrived);
                }
                protocol::FRAGMENT => {
                    let ident = header.get(4..8).and_then(|octets| octets.first_chunk());
                    let ident = ident.map_or(0, |octets| u32::from_be_bytes(*octets));
                    let field = u16::from_be_bytes([third, fourth]);
                    let piece = Piece { offset: usize::from(field & !7), more: field & 1 != 0 };
                    arrived.payload = arrived.payload.slice(8..);
                    arrived.next_header_at = at;
                    // RFC 6946: a packet of one fragment is whole, whatever else waits.
                    if piece.offset == 0 && !piece.more {
                        next = following;
                        continue;
                    }
                    // RFC 8200 4.5: all but the last are units of 8 octets.
                    if piece.more && !arrived.payload.len().is_multiple_of(8) {
                        self.drop_packet(DropReason::Malformed);
                        let problem = Problem::Parameter { code: 0, pointer: 4 };
                        return self.send_icmp_error(now, problem, &arrived);
                    }
                    if arrived.payload.is_empty() {
                        return self.drop_packet(DropReason::Malformed);
                    }
                    let key = (arrived.source, arrived.destination, 0, ident);
                    let Some(whole) = self.reassembly.insert(now, key, piece, arrived) else { return };
                    // What follows is named by the first fragment.
                    let first = whole.packet.get(whole.next_header_at).copied().unwrap_or(following);
                    return self.walk_headers(now, first, whole, most - 1);
                }
                _ => {}
            }
            arrived.next_header_at = at;
            arrived.payload = arrived.payload.slice(len..);
            next = following;
        }
        self.drop_packet(DropReason::Malformed);
    }
}

/// Looks through options (RFC 8200 4.2). Known are padding and router alert.
fn options(mut rest: &[u8]) -> Options {
    let whole = rest.len();
    while let Some((&kind, tail)) = rest.split_first() {
        let place = whole - rest.len();
        if kind == 0 {
            rest = tail;
            continue;
        }
        let Some((len, body)) = tail.split_first().map(|(len, body)| (usize::from(*len), body)) else {
            return Options::Discard;
        };
        let Some(after) = body.get(len..) else { return Options::Discard };
        match (kind, kind >> 6) {
            (1 | 5, _) | (_, 0) => rest = after,
            (_, 1) => return Options::Discard,
            (_, 2) => return Options::Complain(place, true),
            _ => return Options::Complain(place, false),
        }
    }
    Options::Fine
}
