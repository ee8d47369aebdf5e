//! What of a frame the analysis needs: addresses, protocol, payload.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::wire::{
    ArpPacket, EthernetFrame, EthernetProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

/// An IP packet, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    pub(super) payload: &'a [u8],
    pub(super) fragment: Option<Fragment>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) ident: u32,
    /// In octets.
    pub(super) offset: u32,
    pub(super) more: bool,
}

/// A sender's or target's addresses in ARP.
pub(super) type Neighbour = (Ipv4Addr, [u8; 6]);

/// What a frame holds.
pub(super) enum Content<'a> {
    Ip(Packet<'a>),
    /// Sender; target too if it is an answer.
    Arp(Neighbour, Option<Neighbour>),
    Other,
}

pub(super) fn content(frame: &[u8]) -> Content<'_> {
    let Ok(eth) = EthernetFrame::new_checked(frame) else { return Content::Other };
    let packet = match eth.ethertype() {
        EthernetProtocol::Arp => return arp(eth.payload()).unwrap_or(Content::Other),
        EthernetProtocol::Ipv4 => ipv4(eth.payload()),
        EthernetProtocol::Ipv6 => ipv6(eth.payload()),
        EthernetProtocol::Unknown(_) => None,
    };
    packet.map_or(Content::Other, Content::Ip)
}

fn arp(octets: &[u8]) -> Option<Content<'_>> {
    let packet = ArpPacket::new_checked(octets).ok()?;
    if (packet.hardware_len(), packet.protocol_len()) != (6, 4) {
        return None;
    }
    let one = |ip: &[u8], mac: &[u8]| {
        Some((Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?), <[u8; 6]>::try_from(mac).ok()?))
    };
    let sender = one(packet.source_protocol_addr(), packet.source_hardware_addr())?;
    let target = one(packet.target_protocol_addr(), packet.target_hardware_addr())?;
    let answers = packet.operation() == smoltcp::wire::ArpOperation::Reply;
    Some(Content::Arp(sender, answers.then_some(target)))
}

/// It may be cut off, as inside an ICMP error.
pub(super) fn ipv4(octets: &[u8]) -> Option<Packet<'_>> {
    let packet = Ipv4Packet::new_unchecked(octets);
    if octets.len() < 20 || packet.version() != 4 || packet.header_len() < 20 {
        return None;
    }
    let header = usize::from(packet.header_len());
    let total = usize::from(packet.total_len());
    let end = if total == 0 { octets.len() } else { total.min(octets.len()) };
    let fragment = (packet.frag_offset() != 0 || packet.more_frags()).then(|| Fragment {
        ident: packet.ident().into(),
        offset: packet.frag_offset().into(),
        more: packet.more_frags(),
    });
    Some(Packet {
        src: packet.src_addr().into(),
        dst: packet.dst_addr().into(),
        protocol: packet.next_header().into(),
        payload: octets.get(header..end)?,
        fragment,
    })
}

pub(super) fn ipv6(octets: &[u8]) -> Option<Packet<'_>> {
    let packet = Ipv6Packet::new_unchecked(octets);
    if octets.len() < 40 || packet.version() != 6 {
        return None;
    }
    let end = (40 + usize::from(packet.payload_len())).min(octets.len());
    let mut next = u8::from(packet.next_header());
    let mut at = 40;
    let mut fragment = None;
    while matches!(next, 0 | 43 | 44 | 60) && at + 8 <= end {
        let len = if next == 44 { 8 } else { (usize::from(octets[at + 1]) + 1) * 8 };
        if at + len > end {
            break;
        }
        if next == 44 {
            let word = u16::from_be_bytes([octets[at + 2], octets[at + 3]]);
            let found = Fragment {
                ident: u32::from_be_bytes([octets[at + 4], octets[at + 5], octets[at + 6], octets[at + 7]]),
                offset: u32::from(word & 0xfff8),
                more: word & 1 != 0,
            };
            // RFC 6946: a packet in a single "fragment" is whole.
            fragment = (found.offset != 0 || found.more).then_some(found);
        }
        next = octets[at];
        at += len;
        if fragment.is_some_and(|f| f.offset != 0) {
            break;
        }
    }
    Some(Packet {
        src: packet.src_addr().into(),
        dst: packet.dst_addr().into(),
        protocol: next,
        payload: octets.get(at..end)?,
        fragment,
    })
}

/// A pair of ends without direction: the lower one first.
pub(super) type Ends = (u8, SocketAddr, SocketAddr);

pub(super) fn ends(protocol: u8, a: SocketAddr, b: SocketAddr) -> Ends {
    if a <= b { (protocol, a, b) } else { (protocol, b, a) }
}

/// The ends that an ICMP error's quoted packet names.
pub(super) fn quoted_ends(error: &Packet<'_>) -> Option<Ends> {
    let kind = *error.payload.first()?;
    let body = error.payload.get(8..)?;
    let inner = match (error.protocol, kind) {
        (1, 3 | 4 | 5 | 11 | 12) => ipv4(body)?,
        (58, 1..=4) => ipv6(body)?,
        _ => return None,
    };
    if !matches!(inner.protocol, 6 | 17) || inner.fragment.is_some_and(|f| f.offset != 0) {
        return None;
    }
    let o = inner.payload.get(..4)?;
    let (from, to) = (u16::from_be_bytes([o[0], o[1]]), u16::from_be_bytes([o[2], o[3]]));
    Some(ends(inner.protocol, SocketAddr::new(inner.src, from), SocketAddr::new(inner.dst, to)))
}

/// A segment of TCP that is whole.
pub(super) fn segment(octets: &[u8]) -> Option<TcpPacket<&[u8]>> {
    TcpPacket::new_checked(octets).ok().filter(|p| p.header_len() >= 20)
}

/// A datagram of UDP that is whole.
pub(super) fn datagram(octets: &[u8]) -> Option<UdpPacket<&[u8]>> {
    UdpPacket::new_checked(octets).ok()
}
