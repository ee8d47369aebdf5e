//! ICMP (RFC 792): echo, errors that we send, and errors that reach the socket they are about.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet};

use crate::errno::{Cause, Errno};
use crate::event::DropReason;
use crate::host::Host;
use crate::ip::{Arrived, Header, is_one_host};
use crate::time::Instant;

/// Type and code of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8, pub(crate) u8);

pub(crate) const PROTOCOL_UNREACHABLE: Kind = Kind(3, 2);
pub(crate) const PORT_UNREACHABLE: Kind = Kind(3, 3);
const FRAGMENTATION_NEEDED: Kind = Kind(3, 4);

/// RFC 1812 4.3.2.3: an error quotes as much of the packet as fits in 576 octets.
const QUOTE: usize = 548;
/// Octets of the ICMP header.
const ICMP_LEN: usize = 8;

/// What an ICMP error means for a socket: its errno, and whether a connected UDP socket hears of it
/// (Linux `icmp_err_convert`). None: it is no error about a packet of ours.
fn meaning(kind: Kind) -> Option<(Errno, bool)> {
    use Errno::{
        ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
    };
    Some(match kind {
        Kind(3, 0 | 11) => (ENETUNREACH, false),
        Kind(3, 1 | 12) => (EHOSTUNREACH, false),
        Kind(3, 2) => (ENOPROTOOPT, true),
        Kind(3, 3) => (ECONNREFUSED, true),
        Kind(3, 4) => (EMSGSIZE, false),
        Kind(3, 5) => (EOPNOTSUPP, false),
        Kind(3, 6 | 9) => (ENETUNREACH, true),
        Kind(3, 7) => (EHOSTDOWN, true),
        Kind(3, _) => (EHOSTUNREACH, true),
        Kind(11, _) => (EHOSTUNREACH, false),
        Kind(12, _) => (EPROTO, true),
        _ => return None,
    })
}

impl Host {
    pub(crate) fn receive_icmp(&mut self, now: Instant, arrived: &Arrived) {
        let Ok(packet) = Icmpv4Packet::new_checked(arrived.payload.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        if !packet.verify_checksum() {
            return self.drop_packet(DropReason::BadChecksum);
        }
        match packet.msg_type() {
            Icmpv4Message::EchoRequest if self.is_own(arrived.destination) => self.answer_echo(now, arrived),
            Icmpv4Message::DstUnreachable | Icmpv4Message::TimeExceeded | Icmpv4Message::ParamProblem => {
                let kind = Kind(u8::from(packet.msg_type()), packet.msg_code());
                let quoted = arrived.payload.slice(ICMP_LEN.min(arrived.payload.len())..);
                // RFC 1191 4: the next hop's MTU stands in the last two octets of the header.
                let mtu =
                    arrived.payload.get(6..8).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]));
                self.receive_error(now, arrived.source, kind, mtu, &quoted);
            }
            _ => {}
        }
    }

    fn answer_echo(&mut self, now: Instant, arrived: &Arrived) {
        let header = Header::new(arrived.destination, arrived.source, IpProtocol::Icmp);
        let fill = |out: &mut [u8]| {
            out.copy_from_slice(&arrived.payload);
            let mut packet = Icmpv4Packet::new_unchecked(out);
            packet.set_msg_type(Icmpv4Message::EchoReply);
            packet.fill_checksum();
        };
        // Without a way back there is no reply; nobody here waits for one.
        let _ = self.send_packet(now, &header, arrived.payload.len(), fill);
    }

    /// Answers a packet with an error, unless RFC 1122 3.2.2 forbids it.
    pub(crate) fn send_icmp_error(&mut self, now: Instant, kind: Kind, about: &Arrived) {
        if about.to_many || !is_one_host(about.source) {
            return;
        }
        let own = self.is_own(about.destination).then_some(about.destination);
        self.send_error_about(now, kind, own, about.source, &about.packet);
    }

    /// Sends an error about `packet` to its sender. `from`: our address, else the one on the way.
    pub(crate) fn send_error_about(
        &mut self,
        now: Instant,
        kind: Kind,
        from: Option<Ipv4Addr>,
        to: Ipv4Addr,
        packet: &Bytes,
    ) {
        let Some(from) = from.or_else(|| self.path(to, None).ok().map(|path| path.source)) else { return };
        let quote = packet.slice(..packet.len().min(QUOTE));
        let fill = |out: &mut [u8]| {
            let mut icmp = Icmpv4Packet::new_unchecked(&mut *out);
            icmp.set_msg_type(Icmpv4Message::from(kind.0));
            icmp.set_msg_code(kind.1);
            if let Some(body) = out.get_mut(ICMP_LEN..) {
                body.copy_from_slice(&quote);
            }
            Icmpv4Packet::new_unchecked(out).fill_checksum();
        };
        let header = Header { tos: 0xc0, ..Header::new(from, to, IpProtocol::Icmp) };
        // Without a way back there is no error to deliver.
        let _ = self.send_packet(now, &header, ICMP_LEN + quote.len(), fill);
    }

    /// Somebody says that a packet of ours did not arrive: finds the socket by what is quoted of it.
    fn receive_error(&mut self, now: Instant, from: Ipv4Addr, kind: Kind, mtu: u16, quoted: &Bytes) {
        let Some((errno, hard)) = meaning(kind) else { return };
        let Some((protocol, local, peer, seq)) = quoted_endpoints(quoted) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let cause = match kind {
            PORT_UNREACHABLE => Cause::PortUnreachable { peer },
            Kind(kind, code) => Cause::Icmp { kind, code, from: IpAddr::V4(from) },
        };
        match protocol {
            IpProtocol::Tcp if kind == FRAGMENTATION_NEEDED => {
                self.tcp_too_big(now, local, peer, seq, mtu);
            }
            IpProtocol::Tcp => self.tcp_unreachable(now, local, peer, seq, (errno, cause)),
            IpProtocol::Udp if hard => self.udp_unreachable(local, peer, (errno, cause)),
            _ => {}
        }
    }

    /// Nobody answered for `next_hop`: as an ICMP host unreachable from ourselves.
    pub(crate) fn no_neighbour(&mut self, now: Instant, next_hop: Ipv4Addr, packet: &Bytes) {
        self.drop_packet(DropReason::NeighbourUnknown);
        if let Some((IpProtocol::Tcp, local, peer, seq)) = quoted_endpoints(packet) {
            let cause = Cause::NoNeighbour { next_hop: IpAddr::V4(next_hop) };
            self.tcp_unreachable(now, local, peer, seq, (Errno::EHOSTUNREACH, cause));
        }
    }
}

/// Protocol, source, destination and TCP sequence number of a quoted packet; RFC 792 promises 8 octets of payload.
fn quoted_endpoints(quoted: &Bytes) -> Option<(IpProtocol, SocketAddr, SocketAddr, u32)> {
    // The quote may be cut, so the total length is not checked.
    if quoted.len() < 20 {
        return None;
    }
    let packet = Ipv4Packet::new_unchecked(quoted.as_ref());
    let header_len = usize::from(packet.header_len());
    let head: [u8; 8] = quoted.get(header_len.max(20)..)?.get(..8)?.try_into().ok()?;
    if packet.version() != 4 || packet.frag_offset() != 0 {
        return None;
    }
    let [a, b, c, d, rest @ ..] = head;
    let local = SocketAddr::from((packet.src_addr(), u16::from_be_bytes([a, b])));
    let peer = SocketAddr::from((packet.dst_addr(), u16::from_be_bytes([c, d])));
    Some((packet.next_header(), local, peer, u32::from_be_bytes(rest)))
}
