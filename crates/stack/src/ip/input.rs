//! Frames and packets in: checks in the order of RFC 1122 3.2.1, then on to the protocol.

use core::net::Ipv4Addr;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet};

use super::output::ETHERNET_LEN;
use crate::addr::MacAddr;
use crate::arp::Arp;
use crate::event::{DropReason, IfaceId};
use crate::host::Host;
use crate::icmp;
use crate::time::Instant;

/// An IPv4 packet that is for us: the addresses, and the payload of all its fragments.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    /// It was sent to a broadcast or multicast address, so no error may answer it (RFC 1122 3.2.2).
    pub(crate) to_many: bool,
    /// The (first) packet as it came, for ICMP errors to quote.
    pub(crate) packet: Bytes,
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
            EthernetProtocol::Arp => self.receive_arp(iface, &payload),
            EthernetProtocol::Ipv4 => self.receive_packet(now, iface, payload),
            EthernetProtocol::Ipv6 => {}
            EthernetProtocol::Unknown(_) => self.drop_packet(DropReason::UnknownProtocol),
        }
    }

    fn receive_arp(&mut self, iface: IfaceId, bytes: &Bytes) {
        let Some(arp) = Arp::parse(bytes) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let for_us = !arp.target.1.is_loopback() && self.is_own(arp.target.1);
        let (mac, ip) = arp.sender;
        if !ip.is_unspecified() && !self.is_own(ip) {
            for frame in self.neighbours.learn((iface, ip), mac, for_us) {
                self.send_frame(iface, mac, EthernetProtocol::Ipv4, frame);
            }
        }
        if arp.request && for_us {
            let Some(own) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
            let reply = Arp { request: false, sender: (own, arp.target.1), target: arp.sender };
            self.send_arp(iface, mac, &reply);
        }
    }

    /// An IPv4 packet, from a link or from `lo`.
    pub(crate) fn receive_packet(&mut self, now: Instant, iface: IfaceId, bytes: Bytes) {
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
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let broadcast = destination.is_broadcast()
            || self.ifaces.get(iface.0).is_some_and(|iface| iface.is_broadcast(destination));
        let own = self.is_own(destination);
        let foreign = !own && !broadcast && !destination.is_multicast();
        if foreign && !self.config.any_ip {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        // RFC 1122 3.2.1.3: never from outside.
        if iface != IfaceId(0) && (source.is_loopback() || destination.is_loopback()) {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        let bytes = bytes.slice(..total_len);
        let mut arrived = Arrived {
            source,
            destination,
            to_many: broadcast || destination.is_multicast(),
            payload: bytes.slice(header_len..),
            packet: bytes.clone(),
        };
        let protocol = packet.next_header();
        if packet.more_frags() || packet.frag_offset() != 0 {
            let key = (source, destination, u8::from(protocol), packet.ident());
            let (offset, more) = (usize::from(packet.frag_offset()), packet.more_frags());
            match self.reassembly.insert(now, key, offset, more, arrived.payload) {
                Some(whole) => arrived.payload = whole,
                None => return,
            }
        }
        match protocol {
            IpProtocol::Tcp => self.receive_tcp(now, &arrived),
            IpProtocol::Udp => self.receive_udp(now, &arrived),
            IpProtocol::Icmp => self.receive_icmp(now, &arrived),
            _ => {
                self.drop_packet(DropReason::UnknownProtocol);
                self.send_icmp_error(now, icmp::PROTOCOL_UNREACHABLE, &arrived);
            }
        }
    }
}

/// An address that is neither broadcast, multicast nor unspecified.
pub(crate) fn is_one_host(ip: Ipv4Addr) -> bool {
    !ip.is_broadcast() && !ip.is_multicast() && !ip.is_unspecified()
}

/// All-zero MAC addresses are `lo`'s.
pub(crate) const NO_MAC: MacAddr = MacAddr([0; 6]);
