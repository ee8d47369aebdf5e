//! Packets out: which way, the header, fragments, and the frame around it.

use core::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet};

use super::route::Path;
use crate::addr::MacAddr;
use crate::arp::{ARP_LEN, Arp, Resolved};
use crate::errno::{Cause, Errno, Failure};
use crate::event::IfaceId;
use crate::host::Host;
use crate::time::Instant;

/// Octets of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Octets of an IPv4 header without options.
pub(crate) const IP_LEN: usize = 20;
/// RFC 1700; Linux's default.
pub(crate) const DEFAULT_TTL: u8 = 64;

/// What the IP header of a packet says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: IpProtocol,
    pub(crate) ttl: u8,
    /// The whole TOS octet.
    pub(crate) tos: u8,
    pub(crate) dont_fragment: bool,
}

impl Header {
    pub(crate) fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: IpProtocol) -> Header {
        Header { source, destination, protocol, ttl: DEFAULT_TTL, tos: 0, dont_fragment: false }
    }
}

impl Host {
    /// One of this host's own addresses, or anything in 127.0.0.0/8.
    pub(crate) fn is_own(&self, ip: Ipv4Addr) -> bool {
        ip.is_loopback() || self.ifaces.iter().any(|iface| iface.has(ip))
    }

    /// The way to `to`. `source`: the address the socket is bound to, which finds the link for 255.255.255.255.
    pub(crate) fn path(&self, to: Ipv4Addr, source: Option<Ipv4Addr>) -> Result<Path, Failure> {
        let lo = IfaceId(0);
        let mtu = |iface: IfaceId| self.ifaces.get(iface.0).map_or(1500, |iface| iface.mtu);
        if self.is_own(to) {
            let source = if to.is_loopback() { Ipv4Addr::LOCALHOST } else { to };
            return Ok(Path { iface: lo, next_hop: to, source, mtu: mtu(lo), broadcast: false });
        }
        let to_many = to.is_broadcast() || to.is_multicast();
        let bound = source.filter(|_| to_many);
        let index = bound.and_then(|source| self.ifaces.iter().position(|iface| iface.has(source)));
        if let (Some(source), Some(index)) = (bound, index) {
            let iface = IfaceId(index);
            return Ok(Path { iface, next_hop: to, source, mtu: mtu(iface), broadcast: to.is_broadcast() });
        }
        let no_route = || Failure::Errno(Errno::ENETUNREACH, Cause::NoRoute { to: IpAddr::V4(to) });
        let route = self.routes.lookup(IpAddr::V4(to)).ok_or_else(no_route)?;
        let iface = self.ifaces.get(route.iface.0).ok_or_else(no_route)?;
        let next_hop = match route.next_hop {
            Some(IpAddr::V4(hop)) => hop,
            _ => to,
        };
        let on_link = |(address, prefix): &(Ipv4Addr, u8)| {
            crate::addr::IpCidr { address: IpAddr::V4(*address), prefix_len: *prefix }
                .contains(IpAddr::V4(next_hop))
        };
        let source = iface.ipv4().find(on_link).or_else(|| iface.ipv4().next()).ok_or_else(no_route)?.0;
        let broadcast = to.is_broadcast() || iface.is_broadcast(to);
        Ok(Path { iface: route.iface, next_hop, source, mtu: iface.mtu, broadcast })
    }

    /// Sends a packet whose payload of `len` octets `fill` writes. Fragments it if it must and may.
    pub(crate) fn send_packet(
        &mut self,
        now: Instant,
        header: &Header,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), Failure> {
        let path = self.path(header.destination, Some(header.source))?;
        let id = self.ip_id;
        self.ip_id = self.ip_id.wrapping_add(1);
        if IP_LEN + len <= path.mtu {
            let mut frame = vec![0; ETHERNET_LEN + IP_LEN + len];
            if let Some(payload) = frame.get_mut(ETHERNET_LEN + IP_LEN..) {
                fill(payload);
            }
            self.finish_packet(now, &path, header, id, (0, false), frame);
            return Ok(());
        }
        if header.dont_fragment {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut payload = vec![0; len];
        fill(&mut payload);
        // RFC 791 3.2: offsets count units of 8 octets.
        let room = (path.mtu.saturating_sub(IP_LEN) & !7).max(8);
        let mut offset = 0;
        for piece in payload.chunks(room) {
            let more = offset + piece.len() < len;
            let mut frame = vec![0; ETHERNET_LEN + IP_LEN];
            frame.extend_from_slice(piece);
            self.finish_packet(now, &path, header, id, (offset as u16, more), frame);
            offset += piece.len();
        }
        Ok(())
    }

    /// Writes the IP header into a frame that already has its payload, and sends it.
    fn finish_packet(
        &mut self,
        now: Instant,
        path: &Path,
        header: &Header,
        id: u16,
        (offset, more): (u16, bool),
        mut frame: Vec<u8>,
    ) {
        let total = frame.len() - ETHERNET_LEN;
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_LEN..]);
        packet.set_version(4);
        packet.set_header_len(IP_LEN as u8);
        packet.set_dscp(header.tos >> 2);
        packet.set_ecn(header.tos & 3);
        packet.set_total_len(total as u16);
        packet.set_ident(id);
        packet.clear_flags();
        packet.set_dont_frag(header.dont_fragment);
        packet.set_more_frags(more);
        packet.set_frag_offset(offset);
        packet.set_hop_limit(header.ttl);
        packet.set_next_header(header.protocol);
        packet.set_src_addr(header.source);
        packet.set_dst_addr(header.destination);
        packet.fill_checksum();
        if path.iface == IfaceId(0) {
            self.loopback.push_back((path.iface, Bytes::from(frame).slice(ETHERNET_LEN..)));
            return;
        }
        if path.broadcast {
            // The sender's own sockets hear it too, as in Linux.
            self.loopback.push_back((path.iface, Bytes::copy_from_slice(&frame[ETHERNET_LEN..])));
            return self.send_frame(path.iface, MacAddr::BROADCAST, EthernetProtocol::Ipv4, frame);
        }
        if header.destination.is_multicast() {
            let [_, b, c, d] = header.destination.octets();
            // RFC 1112 6.4.
            let mac = MacAddr([1, 0, 0x5e, b & 0x7f, c, d]);
            return self.send_frame(path.iface, mac, EthernetProtocol::Ipv4, frame);
        }
        match self.neighbours.resolve(now, (path.iface, path.next_hop), path.source, frame) {
            Resolved::To(mac, frame) => self.send_frame(path.iface, mac, EthernetProtocol::Ipv4, frame),
            Resolved::Waits { ask: true } => self.ask_for(path.iface, path.next_hop, path.source),
            Resolved::Waits { ask: false } => {}
        }
    }

    /// Asks the link who has `ip`.
    pub(crate) fn ask_for(&mut self, iface: IfaceId, ip: Ipv4Addr, source: Ipv4Addr) {
        let Some(mac) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
        let arp = Arp { request: true, sender: (mac, source), target: (MacAddr::default(), ip) };
        self.send_arp(iface, MacAddr::BROADCAST, &arp);
    }

    pub(crate) fn send_arp(&mut self, iface: IfaceId, to: MacAddr, arp: &Arp) {
        let mut frame = vec![0; ETHERNET_LEN + ARP_LEN];
        if let Some(body) = frame.get_mut(ETHERNET_LEN..) {
            arp.emit(body);
        }
        self.send_frame(iface, to, EthernetProtocol::Arp, frame);
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
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
        ethernet.set_dst_addr(EthernetAddress(to.0));
        ethernet.set_src_addr(EthernetAddress(mac.0));
        ethernet.set_ethertype(kind);
        self.transmit.push_back((iface, frame.into()));
    }
}
