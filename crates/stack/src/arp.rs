//! ARP (RFC 826): who has this IPv4 address? Questions, answers, and what a host learns of those of others, gratuitous
//! ones too (RFC 5227 1.1). The table behind it is `neighbour`.

use core::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use smoltcp::wire::{ArpHardware, ArpOperation, ArpPacket, EthernetProtocol};

use crate::addr::MacAddr;
use crate::event::{DropReason, IfaceId};
use crate::host::Host;
use crate::ip::ETHERNET_LEN;
use crate::neighbour::News;
use crate::time::Instant;

impl Host {
    /// `to_us`: the frame was for our own MAC address.
    pub(crate) fn receive_arp(&mut self, now: Instant, iface: IfaceId, bytes: &Bytes, to_us: bool) {
        let Some(arp) = Arp::parse(bytes) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let (mac, ip) = arp.sender;
        let target = IpAddr::V4(arp.target.1);
        let for_us = !target.is_loopback() && self.is_own(target);
        let source = IpAddr::V4(ip);
        if !ip.is_unspecified() && !self.is_own(source) {
            // Linux `arp_process`. A question to us makes its sender known; all else only changes what we know.
            let asked = arp.request && for_us;
            let gratuitous = arp.target.1 == ip;
            let news = News {
                mac: Some(mac),
                answered: !asked && !arp.request && to_us,
                overrides: asked || gratuitous || self.neighbours.may_replace(now, (iface, source)),
                casts_doubt: false,
                create: asked,
            };
            self.learn(now, (iface, source), news);
        }
        if arp.request && for_us {
            let Some(own) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
            let reply = Arp { request: false, sender: (own, arp.target.1), target: arp.sender };
            self.send_arp(iface, mac, &reply);
        }
    }

    /// Asks who has `ip`: everybody, or the one who had it.
    pub(crate) fn ask_by_arp(
        &mut self,
        iface: IfaceId,
        ip: Ipv4Addr,
        source: Ipv4Addr,
        who: Option<MacAddr>,
    ) {
        let Some(mac) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
        let arp = Arp { request: true, sender: (mac, source), target: (MacAddr::default(), ip) };
        self.send_arp(iface, who.unwrap_or(MacAddr::BROADCAST), &arp);
    }

    fn send_arp(&mut self, iface: IfaceId, to: MacAddr, arp: &Arp) {
        let mut frame = vec![0; ETHERNET_LEN + ARP_LEN];
        if let Some(body) = frame.get_mut(ETHERNET_LEN..) {
            arp.emit(body);
        }
        self.send_frame(iface, to, EthernetProtocol::Arp, frame);
    }
}

/// An ARP message as this stack uses it.
#[derive(Clone, Copy, Debug)]
struct Arp {
    request: bool,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
}

/// Octets of an ARP message for Ethernet and IPv4.
const ARP_LEN: usize = 28;

impl Arp {
    fn parse(bytes: &Bytes) -> Option<Arp> {
        let packet = ArpPacket::new_checked(bytes.as_ref()).ok()?;
        if packet.hardware_type() != ArpHardware::Ethernet || packet.protocol_type() != EthernetProtocol::Ipv4
        {
            return None;
        }
        let request = match packet.operation() {
            ArpOperation::Request => true,
            ArpOperation::Reply => false,
            ArpOperation::Unknown(_) => return None,
        };
        let mac = |bytes: &[u8]| bytes.try_into().ok().map(MacAddr);
        let ip = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
        Some(Arp {
            request,
            sender: (mac(packet.source_hardware_addr())?, ip(packet.source_protocol_addr())?),
            target: (mac(packet.target_hardware_addr())?, ip(packet.target_protocol_addr())?),
        })
    }

    /// Writes it into `out`, [`ARP_LEN`] octets.
    fn emit(&self, out: &mut [u8]) {
        let mut packet = ArpPacket::new_unchecked(out);
        packet.set_hardware_type(ArpHardware::Ethernet);
        packet.set_protocol_type(EthernetProtocol::Ipv4);
        packet.set_hardware_len(6);
        packet.set_protocol_len(4);
        packet.set_operation(if self.request { ArpOperation::Request } else { ArpOperation::Reply });
        packet.set_source_hardware_addr(&self.sender.0.0);
        packet.set_source_protocol_addr(&self.sender.1.octets());
        packet.set_target_hardware_addr(&self.target.0.0);
        packet.set_target_protocol_addr(&self.target.1.octets());
    }
}
