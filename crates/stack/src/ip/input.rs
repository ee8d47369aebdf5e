//! Frames and packets in: what both families do with a packet once its header is read, and what is quoted of ours.

use core::net::IpAddr;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet, Ipv6Packet};

use super::output::ETHERNET_LEN;
use super::protocol;
use crate::event::{DropReason, IfaceId};
use crate::host::Host;
use crate::icmp::Problem;
use crate::time::Instant;

/// A packet that is for us: what its header says, and the payload of all its fragments.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) iface: IfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// It was sent to a broadcast or multicast address, so no error may answer it (RFC 1122 3.2.2, RFC 4443 2.4).
    pub(crate) to_many: bool,
    pub(crate) ttl: u8,
    /// TOS, or traffic class.
    pub(crate) tos: u8,
    /// The (first) packet as it came, for ICMP errors to quote.
    pub(crate) packet: Bytes,
    /// Where in the packet the field stands that says what the payload is.
    pub(crate) next_header_at: usize,
    pub(crate) payload: Bytes,
}

impl Host {
    pub(crate) fn receive_frame(&mut self, now: Instant, iface: IfaceId, frame: &Bytes) {
        let Ok(ethernet) = EthernetFrame::new_checked(frame.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let Some(mac) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
        let to = ethernet.dst_addr();
        // A frame for somebody else: a switch that does not know better floods it. No event, as no NIC tells.
        if to.0 != mac.0 && !to.is_broadcast() && !to.is_multicast() {
            return;
        }
        let payload = frame.slice(ETHERNET_LEN..);
        match ethernet.ethertype() {
            EthernetProtocol::Arp => self.receive_arp(now, iface, &payload, to.0 == mac.0),
            EthernetProtocol::Ipv4 => self.receive_v4(now, iface, payload),
            EthernetProtocol::Ipv6 => self.receive_v6(now, iface, payload),
            EthernetProtocol::Unknown(_) => self.drop_packet(DropReason::UnknownProtocol),
        }
    }

    /// A packet from `lo`, or a copy of one of ours.
    pub(crate) fn receive_packet(&mut self, now: Instant, iface: IfaceId, bytes: Bytes) {
        match bytes.first().map(|octet| octet >> 4) {
            Some(6) => self.receive_v6(now, iface, bytes),
            _ => self.receive_v4(now, iface, bytes),
        }
    }

    /// A whole packet, whose payload is of this protocol.
    pub(super) fn deliver(&mut self, now: Instant, protocol: u8, arrived: &Arrived) {
        let heard = self.receive_raw(protocol, arrived);
        match (protocol, arrived.source.is_ipv4()) {
            (protocol::TCP, _) => self.receive_tcp(now, arrived),
            (protocol::UDP, _) => self.receive_udp(now, arrived),
            (protocol::ICMP, true) => self.receive_icmp(now, arrived),
            (protocol::IGMP, true) => self.receive_igmp(now, arrived),
            (protocol::ICMPV6, false) => self.receive_icmpv6(now, arrived),
            // RFC 8200 4.7: nothing follows, and that is no error.
            (protocol::NONE, false) => {}
            _ if heard => {}
            _ => {
                self.drop_packet(DropReason::UnknownProtocol);
                self.send_icmp_error(now, Problem::UnknownProtocol, arrived);
            }
        }
    }
}

/// An address that is neither broadcast, multicast nor unspecified.
pub(crate) fn is_one_host(ip: IpAddr) -> bool {
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !everybody && !ip.is_multicast() && !ip.is_unspecified()
}

/// Protocol, source, destination and payload of a quoted packet, which may be cut. The payload is empty if the quote
/// ends before it. None for a fragment other than the first one, and for what is no packet.
pub(crate) fn quoted_packet(quoted: &Bytes) -> Option<(u8, IpAddr, IpAddr, Bytes)> {
    match quoted.first()? >> 4 {
        4 if quoted.len() >= 20 => {
            // The total length is not checked.
            let packet = Ipv4Packet::new_unchecked(quoted.as_ref());
            let header_len = usize::from(packet.header_len()).max(20);
            if packet.frag_offset() != 0 {
                return None;
            }
            let payload = quoted.slice(header_len.min(quoted.len())..);
            let protocol = u8::from(packet.next_header());
            Some((protocol, packet.src_addr().into(), packet.dst_addr().into(), payload))
        }
        6 if quoted.len() >= 40 => {
            let packet = Ipv6Packet::new_unchecked(quoted.as_ref());
            let (source, destination) = (packet.src_addr().into(), packet.dst_addr().into());
            let mut next = u8::from(packet.next_header());
            let mut at = 40;
            loop {
                let octet = |i: usize| quoted.get(at + i).copied();
                let len = match next {
                    protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                        8 + 8 * usize::from(octet(1)?)
                    }
                    protocol::FRAGMENT if (octet(2)?, octet(3)? & 0xf8) != (0, 0) => return None,
                    protocol::FRAGMENT => 8,
                    _ => break,
                };
                next = octet(0)?;
                at += len;
            }
            Some((next, source, destination, quoted.slice(at.min(quoted.len())..)))
        }
        _ => None,
    }
}
