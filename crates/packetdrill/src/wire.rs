//! Packets on the interpreter's side of the cable: bytes to [`Datagram`] and back.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Message,
    Icmpv4Packet, Icmpv6Message, Icmpv6Packet, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet,
    NdiscNeighborFlags, TcpPacket, TcpSeqNumber, UdpPacket,
};

use crate::packet::{Flags, TcpOption};

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// Octets of an IPv4 header without options.
const IPV4: usize = 20;
/// Octets of an IPv6 header.
const IPV6: usize = 40;
/// Octets of a TCP header without options.
const TCP: usize = 20;
/// Octets of a UDP header, and of an ICMP header.
const SHORT: usize = 8;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Who has this address?
    ArpRequest {
        asker: EthernetAddress,
        from: Ipv4Addr,
        wanted: Ipv4Addr,
    },
    /// The same by neighbour discovery (RFC 4861 4.3).
    Solicitation {
        asker: EthernetAddress,
        from: Ipv6Addr,
        wanted: Ipv6Addr,
    },
    Ip(Datagram),
    /// Nothing a script can speak of, such as multicast membership.
    Other,
}

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    /// The ECN field.
    pub(crate) ecn: u8,
    pub(crate) load: Load,
}

/// What is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Tcp(RawSegment),
    Udp { source: u16, destination: u16, data: Bytes },
    Icmp { kind: u8, code: u8, id: u16, mtu: u16, data: Bytes },
}

/// A TCP segment with the numbers of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawSegment {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) flags: Flags,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Vec<TcpOption>,
    pub(crate) data: Bytes,
}

/// The head of a packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuotedHead {
    Tcp { source: u16, destination: u16, seq: u32 },
    Udp { source: u16, destination: u16, len: u16 },
}

/// Reads a frame that the host sent. An error says what is malformed: the host must never send such a thing.
pub(crate) fn parse(frame: &Bytes) -> Result<Frame, String> {
    let ethernet =
        EthernetFrame::new_checked(frame.as_ref()).map_err(|_| "a frame shorter than its header")?;
    let payload = frame.slice(ETHERNET..);
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let packet = ArpPacket::new_checked(payload.as_ref()).map_err(|_| "a malformed ARP packet")?;
            match ArpRepr::parse(&packet) {
                Ok(ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Request,
                    source_hardware_addr,
                    source_protocol_addr,
                    target_protocol_addr,
                    ..
                }) => Ok(Frame::ArpRequest {
                    asker: source_hardware_addr,
                    from: source_protocol_addr,
                    wanted: target_protocol_addr,
                }),
                _ => Ok(Frame::Other),
            }
        }
        EthernetProtocol::Ipv4 => ipv4(&payload),
        EthernetProtocol::Ipv6 => ipv6(&payload, ethernet.src_addr()),
        _ => Ok(Frame::Other),
    }
}

fn ipv4(bytes: &Bytes) -> Result<Frame, String> {
    let ip = Ipv4Packet::new_checked(bytes.as_ref()).map_err(|_| "a malformed IPv4 header")?;
    if !ip.verify_checksum() {
        return Err("a wrong IPv4 checksum".to_owned());
    }
    if ip.more_frags() || ip.frag_offset() != 0 {
        return Err("a fragment, which a script cannot speak of".to_owned());
    }
    let payload = bytes.slice(usize::from(ip.header_len())..usize::from(ip.total_len()));
    let (source, destination) = (IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()));
    let load = match ip.next_header() {
        IpProtocol::Icmp => {
            let icmp = Icmpv4Packet::new_checked(payload.as_ref()).map_err(|_| "a malformed ICMP header")?;
            if !icmp.verify_checksum() {
                return Err("a wrong ICMP checksum".to_owned());
            }
            Load::Icmp {
                kind: icmp.msg_type().into(),
                code: icmp.msg_code(),
                id: icmp.echo_ident(),
                mtu: icmp.echo_seq_no(),
                data: payload.slice(SHORT..),
            }
        }
        protocol => match transport(protocol, &payload, (source.into(), destination.into()))? {
            Some(load) => load,
            None => return Ok(Frame::Other),
        },
    };
    Ok(Frame::Ip(Datagram { source, destination, ttl: ip.hop_limit(), ecn: ip.ecn(), load }))
}

fn ipv6(bytes: &Bytes, asker: EthernetAddress) -> Result<Frame, String> {
    let ip = Ipv6Packet::new_checked(bytes.as_ref()).map_err(|_| "a malformed IPv6 header")?;
    let payload = bytes.slice(IPV6..ip.total_len());
    let (from, to) = (ip.src_addr(), ip.dst_addr());
    let (source, destination) = (IpAddr::V6(from), IpAddr::V6(to));
    let load = match ip.next_header() {
        IpProtocol::Ipv6Frag => return Err("a fragment, which a script cannot speak of".to_owned()),
        IpProtocol::Icmpv6 => {
            let icmp =
                Icmpv6Packet::new_checked(payload.as_ref()).map_err(|_| "a malformed ICMPv6 header")?;
            if !icmp.verify_checksum(&from, &to) {
                return Err("a wrong ICMPv6 checksum".to_owned());
            }
            match icmp.msg_type() {
                Icmpv6Message::NeighborSolicit => {
                    return Ok(Frame::Solicitation { asker, from, wanted: icmp.target_addr() });
                }
                Icmpv6Message::DstUnreachable
                | Icmpv6Message::PktTooBig
                | Icmpv6Message::TimeExceeded
                | Icmpv6Message::ParamProblem
                | Icmpv6Message::EchoRequest
                | Icmpv6Message::EchoReply => {}
                _ => return Ok(Frame::Other),
            }
            let half = |at: usize| match payload.get(at..at + 2) {
                Some([a, b]) => u16::from_be_bytes([*a, *b]),
                _ => 0,
            };
            Load::Icmp {
                kind: icmp.msg_type().into(),
                code: icmp.msg_code(),
                id: half(4),
                mtu: half(6),
                data: payload.slice(SHORT.min(payload.len())..),
            }
        }
        protocol => match transport(protocol, &payload, (source.into(), destination.into()))? {
            Some(load) => load,
            None => return Ok(Frame::Other),
        },
    };
    let ecn = ip.traffic_class() & 3;
    Ok(Frame::Ip(Datagram { source, destination, ttl: ip.hop_limit(), ecn, load }))
}

/// TCP or UDP; none for another protocol.
fn transport(
    protocol: IpProtocol,
    payload: &Bytes,
    addresses: (IpAddress, IpAddress),
) -> Result<Option<Load>, String> {
    Ok(Some(match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload.as_ref()).map_err(|_| "a malformed TCP header")?;
            if !tcp.verify_checksum(&addresses.0, &addresses.1) {
                return Err("a wrong TCP checksum".to_owned());
            }
            Load::Tcp(RawSegment {
                source: tcp.src_port(),
                destination: tcp.dst_port(),
                flags: Flags {
                    fin: tcp.fin(),
                    syn: tcp.syn(),
                    rst: tcp.rst(),
                    psh: tcp.psh(),
                    ack: tcp.ack(),
                    urg: tcp.urg(),
                    ece: tcp.ece(),
                    cwr: tcp.cwr(),
                },
                seq: number(tcp.seq_number()),
                ack: number(tcp.ack_number()),
                window: tcp.window_len(),
                urgent: tcp.urgent_at(),
                options: options(tcp.options())?,
                data: payload.slice(usize::from(tcp.header_len())..),
            })
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload.as_ref()).map_err(|_| "a malformed UDP header")?;
            if !udp.verify_checksum(&addresses.0, &addresses.1) {
                return Err("a wrong UDP checksum".to_owned());
            }
            let data = payload.slice(SHORT..usize::from(udp.len()));
            Load::Udp { source: udp.src_port(), destination: udp.dst_port(), data }
        }
        _ => return Ok(None),
    }))
}

/// smoltcp keeps sequence numbers signed; the bits are the same.
fn number(seq: TcpSeqNumber) -> u32 {
    u32::from_ne_bytes(seq.0.to_ne_bytes())
}

/// The options of a TCP header, one by one (RFC 9293 3.2). smoltcp reads three SACK blocks at most and drops padding;
/// a script sees all of it.
fn options(mut bytes: &[u8]) -> Result<Vec<TcpOption>, String> {
    let word = |bytes: &[u8]| bytes.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
    let mut found = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            0 => {
                found.push(TcpOption::Eol);
                return Ok(found);
            }
            1 => {
                found.push(TcpOption::Nop);
                bytes = rest;
                continue;
            }
            _ => {}
        }
        let len = rest.first().map_or(0, |l| usize::from(*l));
        let Some(body) = bytes.get(2..len) else {
            return Err(format!("TCP option {kind} with length {len}"));
        };
        found.push(match (kind, body) {
            (2, [a, b]) => TcpOption::Mss(u16::from_be_bytes([*a, *b])),
            (3, [shift]) => TcpOption::WindowScale(*shift),
            (4, []) => TcpOption::SackPermitted,
            (5, _) if body.len() % 8 == 0 => {
                TcpOption::Sack(body.chunks_exact(8).map(|c| (word(&c[..4]), word(&c[4..]))).collect())
            }
            (8, _) if body.len() == 8 => {
                TcpOption::Timestamp { val: word(&body[..4]), ecr: word(&body[4..]) }
            }
            (2..=5 | 8, _) => return Err(format!("TCP option {kind} with length {len}")),
            _ => TcpOption::Unknown(kind),
        });
        bytes = &bytes[len..];
    }
    Ok(found)
}

/// Options as they stand in a header, padded to a multiple of four octets with "end of list".
pub(crate) fn emit_options(options: &[TcpOption]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for option in options {
        match option {
            TcpOption::Eol => bytes.push(0),
            TcpOption::Nop => bytes.push(1),
            TcpOption::Mss(mss) => {
                bytes.extend([2, 4]);
                bytes.extend(mss.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => bytes.extend([3, 3, *shift]),
            TcpOption::SackPermitted => bytes.extend([4, 2]),
            TcpOption::Sack(blocks) => {
                bytes.extend([5, u8::try_from(2 + 8 * blocks.len()).unwrap_or(u8::MAX)]);
                for (left, right) in blocks {
                    bytes.extend(left.to_be_bytes());
                    bytes.extend(right.to_be_bytes());
                }
            }
            TcpOption::Timestamp { val, ecr } => {
                bytes.extend([8, 10]);
                bytes.extend(val.to_be_bytes());
                bytes.extend(ecr.to_be_bytes());
            }
            TcpOption::Unknown(kind) => bytes.extend([*kind, 2]),
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The frame that carries `datagram` from one station to the other.
pub(crate) fn emit(from: EthernetAddress, to: EthernetAddress, datagram: &Datagram) -> Bytes {
    let addresses = (IpAddress::from(datagram.source), IpAddress::from(datagram.destination));
    let v6 = datagram.source.is_ipv6();
    let (protocol, payload) = match &datagram.load {
        Load::Tcp(segment) => (IpProtocol::Tcp, tcp(segment, addresses)),
        Load::Udp { source, destination, data } => {
            let mut bytes = vec![0; SHORT + data.len()];
            let mut udp = UdpPacket::new_unchecked(&mut bytes[..]);
            udp.set_src_port(*source);
            udp.set_dst_port(*destination);
            udp.set_len(u16::try_from(SHORT + data.len()).unwrap_or(u16::MAX));
            udp.payload_mut().copy_from_slice(data);
            udp.fill_checksum(&addresses.0, &addresses.1);
            (IpProtocol::Udp, bytes)
        }
        Load::Icmp { kind, code, id, mtu, data } => {
            let mut bytes = vec![0; SHORT];
            bytes.extend_from_slice(data);
            let mut icmp = Icmpv4Packet::new_unchecked(&mut bytes[..]);
            icmp.set_msg_type(Icmpv4Message::from(*kind));
            icmp.set_msg_code(*code);
            icmp.set_echo_ident(*id);
            icmp.set_echo_seq_no(*mtu);
            match (datagram.source, datagram.destination) {
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    Icmpv6Packet::new_unchecked(&mut bytes[..]).fill_checksum(&source, &destination);
                    (IpProtocol::Icmpv6, bytes)
                }
                _ => {
                    icmp.fill_checksum();
                    (IpProtocol::Icmp, bytes)
                }
            }
        }
    };
    let mut bytes = vec![0; ETHERNET];
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.set_src_addr(from);
    ethernet.set_dst_addr(to);
    ethernet.set_ethertype(if v6 { EthernetProtocol::Ipv6 } else { EthernetProtocol::Ipv4 });
    bytes.extend(ip_header(datagram, protocol, payload.len()));
    bytes.extend(payload);
    bytes.into()
}

fn ip_header(datagram: &Datagram, protocol: IpProtocol, payload: usize) -> Vec<u8> {
    match (datagram.source, datagram.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0; IPV4];
            let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
            ip.set_version(4);
            ip.set_header_len(20);
            ip.set_total_len(u16::try_from(IPV4 + payload).unwrap_or(u16::MAX));
            ip.set_dont_frag(true);
            ip.set_hop_limit(datagram.ttl);
            ip.set_ecn(datagram.ecn);
            ip.set_next_header(protocol);
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
            ip.fill_checksum();
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0; IPV6];
            let mut ip = Ipv6Packet::new_unchecked(&mut bytes[..]);
            ip.set_version(6);
            ip.set_traffic_class(datagram.ecn);
            ip.set_payload_len(u16::try_from(payload).unwrap_or(u16::MAX));
            ip.set_hop_limit(datagram.ttl);
            ip.set_next_header(protocol);
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
            bytes
        }
        _ => Vec::new(),
    }
}

fn tcp(segment: &RawSegment, addresses: (IpAddress, IpAddress)) -> Vec<u8> {
    let options = emit_options(&segment.options);
    let header = TCP + options.len();
    let mut bytes = vec![0; header + segment.data.len()];
    let mut tcp = TcpPacket::new_unchecked(&mut bytes[..]);
    tcp.set_src_port(segment.source);
    tcp.set_dst_port(segment.destination);
    tcp.set_seq_number(signed(segment.seq));
    tcp.set_ack_number(signed(segment.ack));
    tcp.clear_flags();
    let flags = segment.flags;
    tcp.set_fin(flags.fin);
    tcp.set_syn(flags.syn);
    tcp.set_rst(flags.rst);
    tcp.set_psh(flags.psh);
    tcp.set_ack(flags.ack);
    tcp.set_urg(flags.urg);
    tcp.set_ece(flags.ece);
    tcp.set_cwr(flags.cwr);
    tcp.set_header_len(u8::try_from(header).unwrap_or(60));
    tcp.set_window_len(segment.window);
    tcp.set_urgent_at(segment.urgent);
    tcp.options_mut().copy_from_slice(&options);
    tcp.payload_mut().copy_from_slice(&segment.data);
    tcp.fill_checksum(&addresses.0, &addresses.1);
    bytes
}

fn signed(seq: u32) -> TcpSeqNumber {
    TcpSeqNumber(i32::from_ne_bytes(seq.to_ne_bytes()))
}

/// The answer to an ARP request: `wanted` is at `here`.
pub(crate) fn arp_reply(
    here: EthernetAddress,
    wanted: Ipv4Addr,
    asker: EthernetAddress,
    from: Ipv4Addr,
) -> Bytes {
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: here,
        source_protocol_addr: wanted,
        target_hardware_addr: asker,
        target_protocol_addr: from,
    };
    let mut bytes = vec![0; ETHERNET + reply.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.set_src_addr(here);
    ethernet.set_dst_addr(asker);
    ethernet.set_ethertype(EthernetProtocol::Arp);
    reply.emit(&mut ArpPacket::new_unchecked(ethernet.payload_mut()));
    bytes.into()
}

/// What an ICMP error carries: the IP header of the packet it is about and eight octets more (RFC 792).
pub(crate) fn quote(source: IpAddr, destination: IpAddr, head: QuotedHead) -> Bytes {
    let (protocol, eight, payload) = match head {
        QuotedHead::Tcp { source, destination, seq } => {
            let mut eight = [source.to_be_bytes(), destination.to_be_bytes()].concat();
            eight.extend(seq.to_be_bytes());
            (IpProtocol::Tcp, eight, TCP)
        }
        QuotedHead::Udp { source, destination, len } => {
            let parts = [source, destination, len.saturating_add(8), 0];
            (IpProtocol::Udp, parts.iter().flat_map(|p| p.to_be_bytes()).collect(), SHORT + usize::from(len))
        }
    };
    // The load plays no part in the header that is quoted.
    let load = Load::Udp { source: 0, destination: 0, data: Bytes::new() };
    let mut bytes = ip_header(&Datagram { source, destination, ttl: 64, ecn: 0, load }, protocol, payload);
    bytes.extend(eight);
    bytes.into()
}

/// The answer to a neighbour solicitation: `wanted` is at `here` (RFC 4861 4.4).
pub(crate) fn advertisement(
    here: EthernetAddress,
    wanted: Ipv6Addr,
    asker: EthernetAddress,
    from: Ipv6Addr,
) -> Bytes {
    // Header, target, and the option with our station's address.
    let mut load = vec![0; 24];
    load.extend([2, 1]);
    load.extend(here.0);
    let mut icmp = Icmpv6Packet::new_unchecked(&mut load[..]);
    icmp.set_msg_type(Icmpv6Message::NeighborAdvert);
    icmp.set_msg_code(0);
    icmp.set_neighbor_flags(NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE);
    icmp.set_target_addr(wanted);
    icmp.fill_checksum(&wanted, &from);
    let datagram = Datagram {
        source: wanted.into(),
        destination: from.into(),
        ttl: 255,
        ecn: 0,
        load: Load::Udp { source: 0, destination: 0, data: Bytes::new() },
    };
    let mut bytes = vec![0; ETHERNET];
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.set_src_addr(here);
    ethernet.set_dst_addr(asker);
    ethernet.set_ethertype(EthernetProtocol::Ipv6);
    bytes.extend(ip_header(&datagram, IpProtocol::Icmpv6, load.len()));
    bytes.extend(load);
    bytes.into()
}

/// Reads what an ICMP error is about.
pub(crate) fn parse_quote(data: &Bytes) -> Option<QuotedHead> {
    let (protocol, len) = match data.first()? >> 4 {
        4 => (IpProtocol::from(*data.get(9)?), IPV4),
        _ => (IpProtocol::from(*data.get(6)?), IPV6),
    };
    let eight = data.get(len..len + 8)?;
    let half = |i: usize| u16::from_be_bytes([eight[i], eight[i + 1]]);
    match protocol {
        IpProtocol::Tcp => Some(QuotedHead::Tcp {
            source: half(0),
            destination: half(2),
            seq: u32::from(half(4)) << 16 | u32::from(half(6)),
        }),
        IpProtocol::Udp => {
            Some(QuotedHead::Udp { source: half(0), destination: half(2), len: half(4).saturating_sub(8) })
        }
        _ => None,
    }
}
