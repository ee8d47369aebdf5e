//! ICMP (RFC 792) and ICMPv6 (RFC 4443): errors that we send, at Linux's pace, and errors that reach the socket they
//! are about. `v4` and `v6` hold what differs: the numbers, and the messages that are no errors.

mod limit;
mod v4;
mod v6;

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

pub(crate) use limit::Limits;
pub(crate) use v6::NDP_HOPS;

use crate::addr::{endpoint, zone};
use crate::errno::{Cause, Errno};
use crate::event::{DropReason, IfaceId};
use crate::host::{EchoRequest, Host, Intercept};
use crate::ip::{Arrived, Header, is_one_host, protocol, quoted_packet};
use crate::time::Instant;

/// Octets of an ICMP header.
pub(crate) const ICMP_LEN: usize = 8;
/// RFC 1812 4.3.2.3: an error quotes as much of the packet as fits in 576 octets.
const QUOTE_V4: usize = 576 - 20 - ICMP_LEN;
/// RFC 4443 2.4 (c): as much as fits in the smallest MTU.
const QUOTE_V6: usize = 1280 - 40 - ICMP_LEN;

/// Type and code of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8, pub(crate) u8);

/// What an error that we send is about, in either family's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No socket has the port.
    Port,
    /// No room here knows the protocol.
    UnknownProtocol,
    /// The neighbour does not answer.
    HostUnreachable,
    /// Fragments are missing.
    Reassembly,
    /// Something in the header; `pointer` is its place.
    Parameter { code: u8, pointer: usize },
    /// A router knows no way.
    NoRoute,
    /// A router found no time to live left.
    TimeExceeded,
    /// A packet is longer than the next link takes: its MTU.
    TooBig(u32),
    /// A packet filter's rule.
    Prohibited,
    /// What a gateway says, by the numbers of RFC 792.
    Told(Kind),
}

/// An error about a packet of ours, as the sockets hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) errno: Errno,
    /// A connected socket hears of it unasked (Linux `icmp_err_convert`: "fatal").
    pub(crate) hard: bool,
    pub(crate) cause: Cause,
    pub(crate) kind: Kind,
    /// Who says so.
    pub(crate) from: IpAddr,
    /// The MTU of the next link, in octets, if the packet was too big.
    pub(crate) too_big: Option<u32>,
}

impl Problem {
    /// Type, code, and the last four octets of the header.
    fn on_wire(self, v4: bool, next_header_at: usize) -> (Kind, u32) {
        let pointer = |place: usize| u32::try_from(place).unwrap_or(0);
        match (self, v4) {
            (Problem::Port, true) => (v4::PORT_UNREACHABLE, 0),
            (Problem::Port, false) => (v6::PORT_UNREACHABLE, 0),
            (Problem::UnknownProtocol, true) => (v4::PROTOCOL_UNREACHABLE, 0),
            (Problem::UnknownProtocol, false) => (v6::UNKNOWN_NEXT_HEADER, pointer(next_header_at)),
            (Problem::HostUnreachable, true) => (v4::HOST_UNREACHABLE, 0),
            (Problem::HostUnreachable, false) => (v6::ADDRESS_UNREACHABLE, 0),
            (Problem::Reassembly, true) => (v4::REASSEMBLY, 0),
            (Problem::Reassembly, false) => (v6::REASSEMBLY, 0),
            (Problem::Parameter { pointer: place, .. }, true) => (Kind(12, 0), pointer(place) << 24),
            (Problem::Parameter { code, pointer: place }, false) => (Kind(4, code), pointer(place)),
            (Problem::NoRoute, true) => (Kind(3, 0), 0),
            (Problem::NoRoute, false) => (Kind(1, 0), 0),
            (Problem::TimeExceeded, true) => (Kind(11, 0), 0),
            (Problem::TimeExceeded, false) => (Kind(3, 0), 0),
            // RFC 1191 4, RFC 4443 3.2.
            (Problem::TooBig(mtu), true) => (v4::FRAGMENTATION_NEEDED, mtu & 0xffff),
            (Problem::TooBig(mtu), false) => (v6::TOO_BIG, mtu),
            // RFC 1812 5.2.7.1, RFC 4443 3.1.
            (Problem::Prohibited, true) => (Kind(3, 13), 0),
            (Problem::Prohibited, false) => (Kind(1, 1), 0),
            (Problem::Told(kind), true) => (kind, 0),
            (Problem::Told(kind), false) => (v6::from_v4(kind), 0),
        }
    }
}

impl Host {
    /// Answers a packet with an error, unless RFC 1122 3.2.2 or RFC 4443 2.4 (e) forbids it, or the limit is reached.
    pub(crate) fn send_icmp_error(&mut self, now: Instant, problem: Problem, about: &Arrived) {
        if about.to_many || !is_one_host(about.source) || is_error(&about.packet) {
            return;
        }
        let (kind, rest) = problem.on_wire(about.source.is_ipv4(), about.next_header_at);
        if !self.is_own(about.source) && !self.icmp_limits.allow(now, about.source, kind) {
            return;
        }
        let from = self.is_own(about.destination).then_some(about.destination);
        let (to, packet) = (about.source, about.packet.clone());
        self.send_error_about(now, (kind, rest), from, (to, Some(about.iface)), &packet);
    }

    /// A router tells the sender of a packet why it went no further (RFC 1812 4.3.2.7, RFC 4443 2.4 (e)).
    pub(crate) fn send_router_error(&mut self, now: Instant, problem: Problem, packet: &Bytes) {
        // None for a fragment other than the first one.
        let Some((_, source, destination, _)) = quoted_packet(packet) else { return };
        if is_error(packet) || !is_one_host(source) || source.is_loopback() || destination.is_multicast() {
            return;
        }
        let (kind, rest) = problem.on_wire(source.is_ipv4(), 0);
        if self.icmp_limits.allow(now, source, kind) {
            self.send_error_about(now, (kind, rest), None, (source, None), packet);
        }
    }

    /// Gateway mode: keeps an echo request for an address that is not ours. `false`: it is for us.
    fn intercept_echo(&mut self, arrived: &Arrived) -> bool {
        let foreign = self.config.any_ip && !arrived.to_many && !self.is_own(arrived.destination);
        if foreign {
            self.intercepts.push_back(Intercept::Echo(EchoRequest {
                client: arrived.source,
                target: arrived.destination,
                tos: arrived.tos,
                message: arrived.payload.clone(),
                packet: arrived.packet.clone(),
            }));
        }
        foreign
    }

    /// Gateway mode: an error in the numbers of RFC 792 about `packet` to its sender.
    pub(crate) fn tell_error(&mut self, now: Instant, kind: Kind, to: IpAddr, packet: &Bytes) {
        let (kind, rest) = Problem::Told(kind).on_wire(to.is_ipv4(), 0);
        self.send_error_about(now, (kind, rest), None, (to, None), packet);
    }

    /// Sends an error about `packet` to its sender. `from`: our address, else the one on the way.
    fn send_error_about(
        &mut self,
        now: Instant,
        (kind, rest): (Kind, u32),
        from: Option<IpAddr>,
        (to, iface): (IpAddr, Option<IfaceId>),
        packet: &Bytes,
    ) {
        let iface = iface.filter(|_| crate::addr::needs_zone(to));
        let Some(from) = from.or_else(|| self.path(to, None, iface).ok().map(|path| path.source)) else {
            return;
        };
        let v4 = to.is_ipv4();
        let quote = packet.slice(..packet.len().min(if v4 { QUOTE_V4 } else { QUOTE_V6 }));
        let body = [&rest.to_be_bytes()[..], &quote].concat();
        // Linux `icmp_send`: precedence "internetwork control" (RFC 1812 4.3.2.5).
        let tos = if v4 { 0xc0 } else { 0 };
        let protocol = if v4 { protocol::ICMP } else { protocol::ICMPV6 };
        let header = Header { tos, iface, ..Header::new(from, to, protocol) };
        // Without a way back there is no error to deliver.
        let _ = self.send_icmp(now, &header, kind, &body);
    }

    /// Sends an ICMP message: type, code, checksum, then `body`.
    pub(crate) fn send_icmp(
        &mut self,
        now: Instant,
        header: &Header,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), crate::errno::Failure> {
        let ends = (header.source, header.destination);
        self.send_packet(now, header, 4 + body.len(), |out| emit(ends, kind, body, out))
    }

    /// Somebody says that a packet of ours did not arrive: finds the socket by what is quoted of it.
    fn receive_error(&mut self, now: Instant, arrived: &Arrived, kind: Kind, info: u32, quoted: &Bytes) {
        let v4 = arrived.source.is_ipv4();
        let meaning = if v4 { v4::meaning(kind) } else { v6::meaning(kind) };
        let Some((errno, hard)) = meaning else { return };
        let Some((protocol, source, destination, payload)) = quoted_packet(quoted) else {
            return self.drop_packet(DropReason::Malformed);
        };
        if source.is_ipv4() != v4 {
            return self.drop_packet(DropReason::Malformed);
        }
        let port = |at: usize| payload.get(at..at + 2).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]));
        let local = endpoint(source, port(0), arrived.iface);
        let peer = endpoint(destination, port(2), arrived.iface);
        let is_port = kind == if v4 { v4::PORT_UNREACHABLE } else { v6::PORT_UNREACHABLE };
        let cause = match self.silent_neighbour {
            Some(next_hop) => Cause::NoNeighbour { next_hop },
            None if is_port => Cause::PortUnreachable { peer },
            None => Cause::Icmp { kind: kind.0, code: kind.1, from: arrived.source },
        };
        let too_big = (kind == if v4 { v4::FRAGMENTATION_NEEDED } else { v6::TOO_BIG }).then_some(info);
        let report = Report { errno, hard, cause, kind, from: arrived.source, too_big };
        // RFC 792 promises 8 octets.
        let enough = payload.len() >= 8;
        match protocol {
            protocol::TCP if enough => {
                let seq = payload.get(4..8).and_then(|octets| octets.first_chunk());
                let seq = seq.map_or(0, |octets| u32::from_be_bytes(*octets));
                match too_big {
                    Some(mtu) => self.tcp_too_big(now, local, peer, seq, mtu),
                    None => self.tcp_unreachable(now, (local, peer), seq, &report, &payload),
                }
            }
            protocol::UDP if enough => self.udp_error(now, local, peer, &report, &payload),
            protocol::ICMP | protocol::ICMPV6 if enough => {
                // A way that is too narrow for an echo is too narrow for all.
                if let Some(mtu) = too_big {
                    self.lower_path_mtu(now, destination, mtu);
                }
                self.ping_error(local, destination, &report, &payload);
            }
            _ => {}
        }
        self.raw_error(now, protocol, (source, destination), &report, quoted, &payload);
    }

    /// Nobody answered for `next_hop`. As Linux does, we tell ourselves by an ICMP message through `lo`, which a raw
    /// socket hears, too: "From 10.0.0.1 Destination Host Unreachable".
    pub(crate) fn no_neighbour(&mut self, now: Instant, next_hop: IpAddr, packet: &Bytes) {
        self.drop_packet(DropReason::NeighbourUnknown);
        let Some((_, source, ..)) = quoted_packet(packet) else { return };
        if !self.is_own(source) {
            return self.send_router_error(now, Problem::HostUnreachable, packet);
        }
        if is_error(packet) {
            return;
        }
        let (kind, rest) = Problem::HostUnreachable.on_wire(source.is_ipv4(), 0);
        let before = self.loopback.len();
        self.send_error_about(now, (kind, rest), Some(source), (source, None), packet);
        if self.loopback.len() > before
            && let Some((iface, message)) = self.loopback.pop_back()
        {
            self.silent_neighbour = Some(next_hop);
            self.receive_packet(now, iface, message);
            self.silent_neighbour = None;
        }
    }

    /// A router told how much fits. Returns the path MTU from now on, if that is news.
    pub(crate) fn lower_path_mtu(&mut self, now: Instant, to: IpAddr, mtu: u32) -> Option<usize> {
        let known = self.path(to, None, None).ok()?.mtu;
        self.path_mtus.lower(now, to, usize::try_from(mtu).unwrap_or(usize::MAX), known)
    }

    /// Whether a socket that is bound to `own` may hear of a packet from `local`.
    pub(crate) fn is_about(own: Option<SocketAddr>, local: SocketAddr) -> bool {
        own.is_none_or(|own| own.ip() == local.ip() || own.ip().is_unspecified())
            && own.is_none_or(|own| zone(own).is_none_or(|z| zone(local).is_none_or(|other| z == other)))
    }
}

/// The type of an echo reply.
pub(crate) const fn echo_reply(v4: bool) -> Kind {
    Kind(if v4 { v4::ECHO_REPLY } else { v6::ECHO_REPLY }, 0)
}

/// Whether a packet is itself an ICMP error, or one that is cut so short that nobody can tell.
fn is_error(packet: &Bytes) -> bool {
    match quoted_packet(packet) {
        Some((protocol::ICMP, .., payload)) => match payload.first() {
            Some(kind) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            None => true,
        },
        Some((protocol::ICMPV6, .., payload)) => {
            payload.first().is_none_or(|kind| *kind < 128 || *kind == 137)
        }
        _ => false,
    }
}

/// Writes a message with its checksum into `out`, 4 octets longer than `body`.
pub(crate) fn emit((source, destination): (IpAddr, IpAddr), kind: Kind, body: &[u8], out: &mut [u8]) {
    if let Some((head, rest)) = out.split_at_mut_checked(4) {
        head.copy_from_slice(&[kind.0, kind.1, 0, 0]);
        rest.copy_from_slice(body);
    }
    let sum = match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => checksum_v6(source, destination, out),
        _ => checksum(0, out),
    };
    if let Some(field) = out.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071) of `data`, with `start` already added up. Zero for data that holds its own.
pub(crate) fn checksum(start: u32, data: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in data.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of an ICMPv6 message, with the pseudo header of RFC 8200 8.1.
pub(crate) fn checksum_v6(source: Ipv6Addr, destination: Ipv6Addr, data: &[u8]) -> u16 {
    let words = source.segments().into_iter().chain(destination.segments());
    let start = words.map(u32::from).sum::<u32>() + data.len() as u32 + u32::from(protocol::ICMPV6);
    checksum(start, data)
}
