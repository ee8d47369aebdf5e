//! What a router looks at and changes in a packet: addresses and ports. Checksums are mended by the difference
//! (RFC 1624), so that a packet that was damaged before stays recognisably damaged.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// Protocol numbers (IANA).
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// Octets of an ICMP header.
const ICMP_LEN: usize = 8;

/// Who speaks with whom. For ICMP echo the identifier stands for both ports (RFC 5508 3.1); without ports they are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Protocol number: 6 TCP, 17 UDP, 1 ICMP, ...
    pub protocol: u8,
    /// Who sent it.
    pub source: SocketAddr,
    /// For whom.
    pub destination: SocketAddr,
}

impl Tuple {
    /// The other direction.
    pub(crate) const fn reversed(self) -> Tuple {
        Tuple { protocol: self.protocol, source: self.destination, destination: self.source }
    }
}

/// Which end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Where things stand in a packet whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) protocol: u8,
    /// Length of the IP header with its extensions.
    pub(crate) header: usize,
    /// A fragment that is not the first: no ports in it.
    pub(crate) later_fragment: bool,
    /// Any fragment.
    pub(crate) fragment: bool,
}

fn octets<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..at + N).and_then(|slice| slice.first_chunk()).copied()
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    octets(packet, at).map(u16::from_be_bytes)
}

/// Reads the header of a packet, whole or cut behind it.
pub(crate) fn shape(packet: &[u8]) -> Option<Shape> {
    match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 15) * 4;
            let fragment = word(packet, 6)?;
            let protocol = *packet.get(9)?;
            (header >= 20 && packet.len() >= header).then_some(Shape {
                protocol,
                header,
                later_fragment: fragment & 0x1fff != 0,
                fragment: fragment & 0x3fff != 0,
            })
        }
        6 => {
            let (mut protocol, mut header) = (*packet.get(6)?, 40);
            let (mut later_fragment, mut fragment) = (false, false);
            octets::<16>(packet, 24)?;
            // RFC 8200 4: hop-by-hop, routing, fragment and destination headers.
            while matches!(protocol, 0 | 43 | 44 | 60) {
                let (next, len) = (*packet.get(header)?, *packet.get(header + 1)?);
                if protocol == 44 {
                    let offset = word(packet, header + 2)?;
                    (fragment, later_fragment) = (true, offset & 0xfff8 != 0);
                    header += 8;
                } else {
                    header += 8 + 8 * usize::from(len);
                }
                protocol = next;
                if later_fragment {
                    break;
                }
            }
            (packet.len() >= header).then_some(Shape { protocol, header, later_fragment, fragment })
        }
        _ => None,
    }
}

/// Where a port stands behind the IP header.
fn port_at(packet: &[u8], shape: &Shape, end: End) -> Option<usize> {
    if shape.later_fragment {
        return None;
    }
    let at = match (shape.protocol, end) {
        (TCP | UDP, End::Source) => 0,
        (TCP | UDP, End::Destination) => 2,
        // RFC 792, RFC 4443: the identifier of an echo.
        (ICMP, _) if matches!(packet.get(shape.header), Some(0 | 8)) => 4,
        (ICMPV6, _) if matches!(packet.get(shape.header), Some(128 | 129)) => 4,
        _ => return None,
    };
    packet.get(shape.header + at..shape.header + at + 2)?;
    Some(shape.header + at)
}

/// Both ends of a packet.
pub(crate) fn tuple(packet: &[u8]) -> Option<Tuple> {
    let shape = shape(packet)?;
    let ip = |end: End| -> Option<IpAddr> {
        Some(match (packet.first()? >> 4, end) {
            (4, End::Source) => Ipv4Addr::from(octets::<4>(packet, 12)?).into(),
            (4, End::Destination) => Ipv4Addr::from(octets::<4>(packet, 16)?).into(),
            (_, End::Source) => Ipv6Addr::from(octets::<16>(packet, 8)?).into(),
            (_, End::Destination) => Ipv6Addr::from(octets::<16>(packet, 24)?).into(),
        })
    };
    let port = |end| port_at(packet, &shape, end).and_then(|at| word(packet, at)).unwrap_or(0);
    Some(Tuple {
        protocol: shape.protocol,
        source: SocketAddr::new(ip(End::Source)?, port(End::Source)),
        destination: SocketAddr::new(ip(End::Destination)?, port(End::Destination)),
    })
}

/// TCP's flag octet.
pub(crate) fn tcp_flags(packet: &[u8]) -> Option<u8> {
    let shape = shape(packet)?;
    (shape.protocol == TCP && !shape.later_fragment).then(|| packet.get(shape.header + 13).copied())?
}

/// Where the packet that an ICMP error quotes begins; none if it is no error.
pub(crate) fn quote_at(packet: &[u8]) -> Option<usize> {
    let shape = shape(packet)?;
    let kind = *packet.get(shape.header)?;
    let error = match shape.protocol {
        ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        ICMPV6 => kind < 128,
        _ => false,
    };
    (error && !shape.later_fragment).then_some(shape.header + ICMP_LEN)
}

/// Puts another address and port in the place of one end of an IPv4 packet, or of the quote of one.
pub(crate) fn set_end(packet: &mut [u8], end: End, to: SocketAddrV4) {
    let Some(shape) = shape(packet) else { return };
    let at = match end {
        End::Source => 12,
        End::Destination => 16,
    };
    let new = to.ip().octets();
    let Some(old) = octets::<4>(packet, at) else { return };
    put(packet, at, &new);
    mend(packet, 10, &old, &new, false);
    if shape.later_fragment {
        return;
    }
    let sum = match shape.protocol {
        TCP => Some((shape.header + 16, false)),
        // RFC 768: zero means that there is none.
        UDP => Some((shape.header + 6, true)),
        // No pseudo header in ICMP for IPv4.
        _ => None,
    };
    if let Some((sum, optional)) = sum {
        mend(packet, sum, &old, &new, optional);
    }
    if let Some(place) = port_at(packet, &shape, end) {
        let (Some(old), new) = (octets::<2>(packet, place), to.port().to_be_bytes()) else { return };
        put(packet, place, &new);
        match sum {
            Some((sum, optional)) => mend(packet, sum, &old, &new, optional),
            None => mend(packet, shape.header + 2, &old, &new, false),
        }
    }
}

/// Writes the checksum of an ICMP message that was changed inside.
pub(crate) fn fill_icmp_checksum(packet: &mut [u8]) {
    let Some(shape) = shape(packet) else { return };
    put(packet, shape.header + 2, &[0, 0]);
    let sum = packet.get(shape.header..).map_or(0, sum_of);
    put(packet, shape.header + 2, &(!sum).to_be_bytes());
}

/// Whether an ICMP message for IPv4 is whole.
pub(crate) fn icmp_is_sound(packet: &[u8]) -> bool {
    shape(packet).is_some_and(|shape| packet.get(shape.header..).is_some_and(|body| sum_of(body) == 0xffff))
}

/// One less to live, with the header's checksum. None if it has no more.
pub(crate) fn lower_ttl(packet: &mut [u8]) -> Option<()> {
    let v4 = packet.first()? >> 4 == 4;
    let at = if v4 { 8 } else { 7 };
    let ttl = *packet.get(at)?;
    let lower = ttl.checked_sub(1).filter(|left| *left > 0)?;
    put(packet, at, &[lower]);
    if v4 {
        let protocol = *packet.get(9)?;
        mend(packet, 10, &[ttl, protocol], &[lower, protocol], false);
    }
    Some(())
}

/// RFC 791 "don't fragment"; IPv6 routers never cut a packet.
pub(crate) fn may_not_be_cut(packet: &[u8]) -> bool {
    match packet.first().map(|octet| octet >> 4) {
        Some(4) => packet.get(6).is_some_and(|octet| octet & 0x40 != 0),
        _ => true,
    }
}

/// Cuts an IPv4 packet into fragments of at most `mtu` octets (RFC 791 3.2). A fragment may be cut again.
pub(crate) fn cut(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let Some(shape) = shape(packet) else { return Vec::new() };
    let (Some(head), Some(body)) = (packet.get(..shape.header), packet.get(shape.header..)) else {
        return Vec::new();
    };
    let room = (mtu.saturating_sub(shape.header) & !7).max(8);
    let field = word(packet, 6).unwrap_or(0);
    let (offset, last) = (usize::from(field & 0x1fff) * 8, field & 0x2000 == 0);
    let mut pieces = Vec::new();
    let mut at = 0;
    for piece in body.chunks(room) {
        let more = !(last && at + piece.len() == body.len());
        let mut fragment = [head, piece].concat();
        let total = fragment.len() as u16;
        put(&mut fragment, 2, &total.to_be_bytes());
        let field = (field & 0xc000) | u16::from(more) << 13 | ((offset + at) / 8) as u16;
        put(&mut fragment, 6, &field.to_be_bytes());
        put(&mut fragment, 10, &[0, 0]);
        let sum = fragment.get(..shape.header).map_or(0, sum_of);
        put(&mut fragment, 10, &(!sum).to_be_bytes());
        pieces.push(fragment);
        at += piece.len();
    }
    pieces
}

fn put(packet: &mut [u8], at: usize, new: &[u8]) {
    if let Some(place) = packet.get_mut(at..at + new.len()) {
        place.copy_from_slice(new);
    }
}

/// The one's complement sum of RFC 1071.
fn sum_of(data: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in data.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'). `optional`: a sum of zero means that there is none.
fn mend(packet: &mut [u8], at: usize, old: &[u8], new: &[u8], optional: bool) {
    // The quote of an error may end before its checksum.
    let Some(sum) = word(packet, at) else { return };
    if optional && sum == 0 {
        return;
    }
    let mut total = u32::from(!sum);
    for (old, new) in old.chunks(2).zip(new.chunks(2)) {
        let ([a, b], [c, d]) = (old, new) else { continue };
        total += u32::from(!u16::from_be_bytes([*a, *b])) + u32::from(u16::from_be_bytes([*c, *d]));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let mut sum = !(total as u16);
    if optional && sum == 0 {
        sum = 0xffff;
    }
    put(packet, at, &sum.to_be_bytes());
}
