//! Packets out: which way, the header, fragments, and the frame around it.

use core::net::IpAddr;

use bytes::Bytes;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet};

use super::protocol;
use super::route::Path;
use crate::addr::MacAddr;
use crate::errno::{Errno, Failure};
use crate::event::IfaceId;
use crate::forward::{Direction, Origin};
use crate::host::Host;
use crate::neighbour::{Ask, Key, News, Resolved};
use crate::time::Instant;

/// Octets of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Octets of an IPv4 header without options.
const IPV4_LEN: usize = 20;
/// Octets of an IPv6 header.
const IPV6_LEN: usize = 40;
/// Octets of IPv6's fragment header.
const FRAGMENT_LEN: usize = 8;
/// RFC 1700; Linux's default.
pub(crate) const DEFAULT_TTL: u8 = 64;
/// All-zero MAC addresses are `lo`'s.
pub(crate) const NO_MAC: MacAddr = MacAddr([0; 6]);
/// RFC 2113: routers look into this packet.
const ROUTER_ALERT_V4: [u8; 4] = [0x94, 4, 0, 0];
/// RFC 2711: a hop-by-hop header with router alert (value 0: MLD) and padding; the first octet is the next header.
const ROUTER_ALERT_V6: [u8; 8] = [0, 0, 5, 2, 0, 0, 1, 0];

/// What becomes of packets that are too long: Linux's `IP_MTU_DISCOVER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// `IP_PMTUDISC_DONT`: routers may cut it.
    Dont,
    /// `IP_PMTUDISC_WANT`: we cut what is too long for the way; routers may not cut the rest.
    #[default]
    Want,
    /// `IP_PMTUDISC_DO`: nobody cuts it; too long for the way is `EMSGSIZE`.
    Do,
    /// `IP_PMTUDISC_PROBE`: nobody cuts it; only what is too long for our own link is `EMSGSIZE`.
    Probe,
    /// `IP_PMTUDISC_INTERFACE` and `_OMIT`: as `Dont`, but what routers say of the way is not believed.
    Omit,
}

/// What the IP header of a packet says, and how it is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    /// The whole TOS octet, or traffic class.
    pub(crate) tos: u8,
    /// IPv6's flow label.
    pub(crate) flow: u32,
    pub(crate) fragment: Fragment,
    /// The only interface it may leave by.
    pub(crate) iface: Option<IfaceId>,
    /// Multicast: members on this host hear it, too.
    pub(crate) loops: bool,
    pub(crate) router_alert: bool,
}

impl Header {
    pub(crate) fn new(source: IpAddr, destination: IpAddr, protocol: u8) -> Header {
        Header {
            source,
            destination,
            protocol,
            ttl: DEFAULT_TTL,
            tos: 0,
            flow: 0,
            fragment: Fragment::Dont,
            iface: None,
            loops: true,
            router_alert: false,
        }
    }

    /// A whole packet, whose payload of `len` octets `fill` writes.
    pub(crate) fn packet(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut bytes = vec![0; self.len() + len];
        if let Some(payload) = bytes.get_mut(self.len()..) {
            fill(payload);
        }
        if self.source.is_ipv4() {
            self.write_v4(0, (0, false), true, &mut bytes);
        } else {
            self.write_v6(self.protocol, &mut bytes);
        }
        bytes
    }

    /// Octets before the payload.
    fn len(&self) -> usize {
        match (self.source, self.router_alert) {
            (IpAddr::V4(_), false) => IPV4_LEN,
            (IpAddr::V4(_), true) => IPV4_LEN + ROUTER_ALERT_V4.len(),
            (IpAddr::V6(_), false) => IPV6_LEN,
            (IpAddr::V6(_), true) => IPV6_LEN + ROUTER_ALERT_V6.len(),
        }
    }

    /// Writes the header of an IPv4 packet that has its payload.
    fn write_v4(&self, id: u16, (offset, more): (usize, bool), whole: bool, bytes: &mut [u8]) {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) else { return };
        let (total, header_len) = (bytes.len(), self.len());
        if let Some(options) = bytes.get_mut(IPV4_LEN..header_len) {
            options.copy_from_slice(&ROUTER_ALERT_V4[..options.len().min(4)]);
        }
        let mut packet = Ipv4Packet::new_unchecked(bytes);
        packet.set_version(4);
        packet.set_header_len(header_len as u8);
        packet.set_dscp(self.tos >> 2);
        packet.set_ecn(self.tos & 3);
        packet.set_total_len(total as u16);
        packet.set_ident(id);
        packet.clear_flags();
        packet.set_dont_frag(match self.fragment {
            Fragment::Do | Fragment::Probe => true,
            Fragment::Want => whole,
            Fragment::Dont | Fragment::Omit => false,
        });
        packet.set_more_frags(more);
        packet.set_frag_offset(offset as u16);
        packet.set_hop_limit(self.ttl);
        packet.set_next_header(IpProtocol::from(self.protocol));
        packet.set_src_addr(source);
        packet.set_dst_addr(destination);
        packet.fill_checksum();
    }

    /// Writes the header of an IPv6 packet that has its payload, whose first header is `next`.
    fn write_v6(&self, next: u8, bytes: &mut [u8]) {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (self.source, self.destination) else { return };
        let payload_len = bytes.len().saturating_sub(IPV6_LEN);
        let mut packet = Ipv6Packet::new_unchecked(bytes);
        packet.set_version(6);
        packet.set_traffic_class(self.tos);
        packet.set_flow_label(self.flow);
        packet.set_payload_len(payload_len as u16);
        packet.set_next_header(IpProtocol::from(next));
        packet.set_hop_limit(self.ttl);
        packet.set_src_addr(source);
        packet.set_dst_addr(destination);
    }
}

impl Host {
    /// Sends a packet whose payload of `len` octets `fill` writes. Fragments it if it must and may.
    pub(crate) fn send_packet(
        &mut self,
        now: Instant,
        header: &Header,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), Failure> {
        let path = self.path(header.destination, Some(header.source), header.iface)?;
        let id = self.ip_id;
        self.ip_id = self.ip_id.wrapping_add(1);
        let mtu = match header.fragment {
            Fragment::Probe | Fragment::Omit => path.link_mtu,
            _ => path.mtu,
        };
        let head = header.len();
        if head + len <= mtu {
            let mut frame = vec![0; ETHERNET_LEN + head + len];
            if let Some(payload) = frame.get_mut(ETHERNET_LEN + head..) {
                fill(payload);
            }
            let packet = frame.get_mut(ETHERNET_LEN..).unwrap_or_default();
            match (header.source.is_ipv4(), header.router_alert) {
                (true, _) => header.write_v4(id, (0, false), true, packet),
                (false, false) => header.write_v6(header.protocol, packet),
                (false, true) => {
                    if let Some(options) = packet.get_mut(IPV6_LEN..head) {
                        options.copy_from_slice(&ROUTER_ALERT_V6);
                        options[0] = header.protocol;
                    }
                    header.write_v6(protocol::HOP_BY_HOP, packet);
                }
            }
            return self.transmit_packet(now, &path, header, frame);
        }
        if matches!(header.fragment, Fragment::Do | Fragment::Probe) {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut payload = vec![0; len];
        fill(&mut payload);
        let v4 = header.source.is_ipv4();
        let head = if v4 { head } else { IPV6_LEN + FRAGMENT_LEN };
        // RFC 791 3.2, RFC 8200 4.5: offsets count units of 8 octets.
        let room = (mtu.saturating_sub(head) & !7).max(8);
        let mut offset = 0;
        for piece in payload.chunks(room) {
            let more = offset + piece.len() < len;
            let mut frame = vec![0; ETHERNET_LEN + head];
            frame.extend_from_slice(piece);
            let packet = frame.get_mut(ETHERNET_LEN..).unwrap_or_default();
            if v4 {
                header.write_v4(id, (offset, more), false, packet);
            } else {
                let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
                let [a, b] = id.to_be_bytes();
                if let Some(fragment) = packet.get_mut(IPV6_LEN..head) {
                    fragment.copy_from_slice(&[header.protocol, 0, high, low, 0, 0, a, b]);
                }
                header.write_v6(protocol::FRAGMENT, packet);
            }
            self.transmit_packet(now, &path, header, frame)?;
            offset += piece.len();
        }
        Ok(())
    }

    /// Sends an IPv4 packet that a program wrote whole (`IP_HDRINCL`). Linux fills in the length, the checksum, and
    /// what is zero of source and identification (raw(7)).
    pub(crate) fn send_written(&mut self, now: Instant, to: &Header, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(to.destination, Some(to.source), to.iface)?;
        if bytes.len() > path.link_mtu {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut frame = vec![0; ETHERNET_LEN];
        frame.extend_from_slice(bytes);
        let body = frame.get_mut(ETHERNET_LEN..).unwrap_or_default();
        if body.len() < IPV4_LEN {
            return Err(Errno::EINVAL.into());
        }
        let mut packet = Ipv4Packet::new_unchecked(body);
        if usize::from(packet.header_len()) > bytes.len() {
            return Err(Errno::EINVAL.into());
        }
        packet.set_total_len(bytes.len() as u16);
        if let (true, IpAddr::V4(source)) = (packet.src_addr().is_unspecified(), path.source) {
            packet.set_src_addr(source);
        }
        if packet.ident() == 0 {
            packet.set_ident(self.ip_id);
            self.ip_id = self.ip_id.wrapping_add(1);
        }
        if packet.header_len() >= IPV4_LEN as u8 {
            packet.fill_checksum();
        }
        self.transmit_packet(now, &path, to, frame)
    }

    /// Puts a finished packet, with room for the Ethernet header before it, on its way.
    fn transmit_packet(
        &mut self,
        now: Instant,
        path: &Path,
        header: &Header,
        frame: Vec<u8>,
    ) -> Result<(), Failure> {
        if path.iface == IfaceId(0) {
            self.loopback.push_back((path.iface, Bytes::from(frame).slice(ETHERNET_LEN..)));
            return Ok(());
        }
        if self.has_firewall() {
            let packet = Bytes::copy_from_slice(frame.get(ETHERNET_LEN..).unwrap_or_default());
            if !self.filter_allows(now, Direction::Out, &packet) {
                // As Linux answers sendto(2) for what a rule of the OUTPUT chain drops.
                return Err(Errno::EPERM.into());
            }
        }
        let copy = |frame: &[u8]| Bytes::copy_from_slice(frame.get(ETHERNET_LEN..).unwrap_or_default());
        let kind = if header.source.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        if path.broadcast {
            // The sender's own sockets hear it too, as in Linux.
            self.loopback.push_back((path.iface, copy(&frame)));
            self.send_frame(path.iface, MacAddr::BROADCAST, kind, frame);
            return Ok(());
        }
        if header.destination.is_multicast() {
            if header.loops && self.is_member(path.iface, header.destination) {
                self.loopback.push_back((path.iface, copy(&frame)));
            }
            // A TTL of 0 is for this host alone (ip(7)).
            if header.ttl > 0 {
                self.send_frame(path.iface, MacAddr::of_group(header.destination), kind, frame);
            }
            return Ok(());
        }
        self.send_to_neighbour(now, path.iface, path.next_hop, path.source, frame);
        Ok(())
    }

    /// Sends a packet, with room for the Ethernet header before it, to the next hop.
    pub(crate) fn send_to_neighbour(
        &mut self,
        now: Instant,
        iface: IfaceId,
        next_hop: IpAddr,
        source: IpAddr,
        mut frame: Vec<u8>,
    ) {
        if let (Some(call), None) = (self.forward.call, Origin::of(&frame)) {
            Origin::Call(call).mark(&mut frame);
        }
        let kind = if next_hop.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        match self.neighbours.resolve(now, (iface, next_hop), source, frame) {
            Resolved::To(mac, frame) => self.send_frame(iface, mac, kind, frame),
            Resolved::Waits(ask) => {
                if let Some(ask) = ask {
                    self.ask_for(ask);
                }
            }
        }
    }

    /// Asks the link who has an address.
    pub(crate) fn ask_for(&mut self, ask: Ask) {
        let Ask { key: (iface, ip), source, mac } = ask;
        match (ip, source) {
            (IpAddr::V4(ip), IpAddr::V4(source)) => self.ask_by_arp(iface, ip, source, mac),
            (IpAddr::V6(ip), IpAddr::V6(source)) => self.ask_by_ndp(iface, ip, source, mac),
            _ => {}
        }
    }

    /// A neighbour told something about itself: what waited for that goes out.
    pub(crate) fn learn(&mut self, now: Instant, key: Key, news: News) {
        let Some((mac, frames)) = self.neighbours.learn(now, key, news) else { return };
        let kind = if key.1.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        for frame in frames {
            self.send_frame(key.0, mac, kind, frame);
        }
    }

    /// Something of ours reached `to` (RFC 4861 7.3.1): its neighbour is there.
    pub(crate) fn confirm_neighbour(&mut self, now: Instant, to: IpAddr, iface: Option<IfaceId>) {
        if let Ok(path) = self.path(to, None, iface) {
            self.neighbours.confirm(now, (path.iface, path.next_hop));
        }
    }

    /// Writes the Ethernet header and puts the frame on the interface's queue.
    pub(crate) fn send_frame(
        &mut self,
        iface: IfaceId,
        to: MacAddr,
        kind: EthernetProtocol,
        mut frame: Vec<u8>,
    ) {
        let Some(mac) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
        let origin = Origin::of(&frame);
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
        ethernet.set_dst_addr(EthernetAddress(to.0));
        ethernet.set_src_addr(EthernetAddress(mac.0));
        ethernet.set_ethertype(kind);
        self.transmit.push_back((iface, frame.into(), origin));
    }
}
