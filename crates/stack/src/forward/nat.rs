//! Network address and port translation (RFC 3022) as a home router does it: one outside address for all inside.
//! A mapping belongs to an inside address and port, whomever it speaks with (RFC 4787 REQ-1); who may answer is the
//! kind's rule. Left out: IPv6, which needs none, and protocols without ports other than ICMP echo.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::collections::BTreeMap;

use super::packet::{self, End, ICMP, TCP, Tuple, UDP};
use crate::event::IfaceId;
use crate::time::Instant;

/// Who may send to an inside address through its mapping (RFC 3489 5, RFC 4787 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// Only an address and port that was spoken to before: "port-restricted cone".
    #[default]
    PortRestricted,
    /// Anybody, as long as the mapping lives: "full cone".
    FullCone,
}

/// A port of the outside address that belongs to an inside server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Port at the outside address.
    pub port: u16,
    /// The inside server.
    pub to: SocketAddrV4,
}

/// How a router translates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// Who may answer.
    pub kind: NatKind,
    /// The interface to the outside; its first IPv4 address is the one that the outside sees.
    pub outside: IfaceId,
    /// Ports that belong to inside servers.
    pub forwards: Vec<PortForward>,
}

/// One conversation through a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatEntry {
    /// 6 TCP, 17 UDP, 1 ICMP.
    pub protocol: u8,
    /// The inside end. For ICMP the port is the echo's identifier.
    pub inside: SocketAddrV4,
    /// The port at the outside address that stands for it.
    pub outside_port: u16,
    /// The other end.
    pub peer: SocketAddrV4,
    /// When it is forgotten, unless it is used before.
    pub expires: Instant,
}

/// RFC 4787 REQ-5: at least two minutes.
const UDP_LIFE: Duration = Duration::from_secs(120);
/// RFC 5382 REQ-5: at least 2 h 4 min for an established connection, 4 min for one that opens or closes.
const TCP_LIFE: Duration = Duration::from_secs(7440);
const TCP_TRANSITORY: Duration = Duration::from_secs(240);
/// RFC 5508 REQ-1: at least 60 s.
const ICMP_LIFE: Duration = Duration::from_secs(60);
/// Conversations at a time. A choice; home routers have some thousands.
const MAX_ENTRIES: usize = 16_384;
/// Ports that are given out when the inside's own is taken.
const FIRST_FREE: u16 = 1024;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    protocol: u8,
    inside: SocketAddrV4,
    peer: SocketAddrV4,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    outside_port: u16,
    expires: Instant,
    /// TCP: the handshake is over.
    established: bool,
    /// TCP: FINs seen from the inside and from the outside, or a RST for both.
    finished: [bool; 2],
}

/// What a NAT did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has other ends now. `new`: a conversation began.
    Translated { new: bool },
    /// Nobody inside is meant.
    NoMapping,
    /// No port or no room is left, or the packet is of no kind that can be translated.
    Impossible,
}

/// A NAT's table.
#[derive(Clone, Debug)]
pub(crate) struct Nat {
    pub(crate) config: NatConfig,
    flows: BTreeMap<Key, Flow>,
    /// The outside port of an inside end, with how many conversations it has.
    mapped: BTreeMap<(u8, SocketAddrV4), (u16, usize)>,
    /// The inside end of an outside port.
    owners: BTreeMap<(u8, u16), SocketAddrV4>,
    /// No conversation ends before.
    check: Option<Instant>,
}

impl Nat {
    pub(crate) fn new(config: NatConfig) -> Nat {
        Nat { config, flows: BTreeMap::new(), mapped: BTreeMap::new(), owners: BTreeMap::new(), check: None }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = NatEntry> {
        self.flows.iter().map(|(key, flow)| NatEntry {
            protocol: key.protocol,
            inside: key.inside,
            outside_port: flow.outside_port,
            peer: key.peer,
            expires: flow.expires,
        })
    }

    /// When [`Nat::on_timer`] wants to be called.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.check
    }

    /// Forgets what was not used for long.
    pub(crate) fn on_timer(&mut self, now: Instant) {
        if self.check.is_none_or(|at| at > now) {
            return;
        }
        let old: Vec<Key> =
            self.flows.iter().filter(|(_, flow)| flow.expires <= now).map(|(key, _)| *key).collect();
        old.into_iter().for_each(|key| self.forget(key));
        self.check = self.flows.values().map(|flow| flow.expires).min();
    }

    fn forget(&mut self, key: Key) {
        self.flows.remove(&key);
        let place = (key.protocol, key.inside);
        let Some((port, count)) = self.mapped.get_mut(&place) else { return };
        *count -= 1;
        if *count == 0 {
            self.owners.remove(&(key.protocol, *port));
            self.mapped.remove(&place);
        }
    }

    /// A packet leaves for the outside, whose address here is `own`. `taken`: ports that the router itself uses.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        own: Ipv4Addr,
        bytes: &mut [u8],
        taken: impl Fn(u8, u16) -> bool,
    ) -> Verdict {
        if let Some(quote) = packet::quote_at(bytes) {
            return self.error_out(own, bytes, quote);
        }
        let Some((protocol, inside, peer)) = ends(bytes) else { return Verdict::Impossible };
        let key = Key { protocol, inside, peer };
        let known = self.flows.get(&key).map(|flow| flow.outside_port);
        let port = match known {
            Some(port) => port,
            None => {
                if self.flows.len() >= MAX_ENTRIES {
                    return Verdict::Impossible;
                }
                let Some(port) = self.port_for(key, taken) else { return Verdict::Impossible };
                self.open(now, key, port);
                port
            }
        };
        self.used(now, key, bytes, 0);
        packet::set_end(bytes, End::Source, SocketAddrV4::new(own, port));
        Verdict::Translated { new: known.is_none() }
    }

    /// A packet came from the outside to our address there.
    pub(crate) fn inbound(&mut self, now: Instant, bytes: &mut [u8]) -> Verdict {
        if let Some(quote) = packet::quote_at(bytes) {
            return self.error_in(bytes, quote);
        }
        let Some((protocol, peer, own)) = ends(bytes) else { return Verdict::NoMapping };
        // The peer of an echo has no port.
        let peer = if protocol == ICMP { SocketAddrV4::new(*peer.ip(), 0) } else { peer };
        let forward = self.forward_of(protocol, own.port());
        let inside = forward.or_else(|| self.owners.get(&(protocol, own.port())).copied());
        let Some(inside) = inside else { return Verdict::NoMapping };
        let key = Key { protocol, inside, peer };
        let known = self.flows.contains_key(&key);
        if !known {
            if forward.is_none() && self.config.kind == NatKind::PortRestricted {
                return Verdict::NoMapping;
            }
            if self.flows.len() >= MAX_ENTRIES {
                return Verdict::Impossible;
            }
            self.open(now, key, own.port());
        }
        self.used(now, key, bytes, 1);
        packet::set_end(bytes, End::Destination, inside);
        Verdict::Translated { new: !known }
    }

    /// Whether a packet for our outside address is for somebody inside.
    pub(crate) fn has_mapping(&self, protocol: u8, port: u16) -> bool {
        self.forward_of(protocol, port).is_some() || self.owners.contains_key(&(protocol, port))
    }

    fn forward_of(&self, protocol: u8, port: u16) -> Option<SocketAddrV4> {
        let found = self.config.forwards.iter().find(|f| (f.protocol, f.port) == (protocol, port));
        found.map(|forward| forward.to)
    }

    /// The outside port for a new conversation: the one its inside end has already, else the same number if it is
    /// free (as Linux keeps it), else the next free one.
    fn port_for(&self, key: Key, taken: impl Fn(u8, u16) -> bool) -> Option<u16> {
        let Key { protocol, inside, .. } = key;
        if let Some((port, _)) = self.mapped.get(&(protocol, inside)) {
            return Some(*port);
        }
        let served = self.config.forwards.iter().find(|f| f.protocol == protocol && f.to == inside);
        if let Some(forward) = served {
            return Some(forward.port);
        }
        let free = |port: u16| {
            !self.owners.contains_key(&(protocol, port))
                && self.forward_of(protocol, port).is_none()
                && !taken(protocol, port)
        };
        let wanted = inside.port();
        if free(wanted) {
            return Some(wanted);
        }
        let start = wanted.max(FIRST_FREE);
        (start..=u16::MAX).chain(FIRST_FREE..start).find(|port| free(*port))
    }

    fn open(&mut self, now: Instant, key: Key, outside_port: u16) {
        let expires = now + UDP_LIFE;
        let flow = Flow { outside_port, expires, established: false, finished: [false; 2] };
        self.flows.insert(key, flow);
        let (_, count) = self.mapped.entry((key.protocol, key.inside)).or_insert((outside_port, 0));
        *count += 1;
        self.owners.entry((key.protocol, outside_port)).or_insert(key.inside);
    }

    /// A packet of a conversation passes; `side` 0 from the inside, 1 from the outside.
    fn used(&mut self, now: Instant, key: Key, bytes: &[u8], side: usize) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let life = match key.protocol {
            TCP => {
                let flags = packet::tcp_flags(bytes).unwrap_or(0);
                flow.established |= flags & (SYN | ACK) == ACK;
                if flags & SYN != 0 {
                    flow.finished = [false; 2];
                }
                if flags & FIN != 0 {
                    flow.finished[side] = true;
                }
                if flags & RST != 0 {
                    flow.finished = [true; 2];
                }
                let open = flow.established && flow.finished != [true; 2];
                if open { TCP_LIFE } else { TCP_TRANSITORY }
            }
            UDP => UDP_LIFE,
            _ => ICMP_LIFE,
        };
        flow.expires = now + life;
        self.check = Some(self.check.map_or(flow.expires, |at| at.min(flow.expires)));
    }

    /// An ICMP error from the outside about a packet that we translated (RFC 5508 REQ-3, REQ-4).
    fn error_in(&mut self, bytes: &mut [u8], quote: usize) -> Verdict {
        if !packet::icmp_is_sound(bytes) {
            return Verdict::NoMapping;
        }
        let Some((protocol, own, peer)) = bytes.get(quote..).and_then(ends) else {
            return Verdict::NoMapping;
        };
        let peer = if protocol == ICMP { SocketAddrV4::new(*peer.ip(), 0) } else { peer };
        let forward = self.forward_of(protocol, own.port());
        let Some(inside) = forward.or_else(|| self.owners.get(&(protocol, own.port())).copied()) else {
            return Verdict::NoMapping;
        };
        if !self.flows.contains_key(&Key { protocol, inside, peer }) {
            return Verdict::NoMapping;
        }
        if let Some(quoted) = bytes.get_mut(quote..) {
            packet::set_end(quoted, End::Source, inside);
        }
        packet::fill_icmp_checksum(bytes);
        packet::set_end(bytes, End::Destination, SocketAddrV4::new(*inside.ip(), 0));
        Verdict::Translated { new: false }
    }

    /// An ICMP error from the inside about a packet that came through us.
    fn error_out(&mut self, own: Ipv4Addr, bytes: &mut [u8], quote: usize) -> Verdict {
        if !packet::icmp_is_sound(bytes) {
            return Verdict::Impossible;
        }
        let Some((protocol, peer, inside)) = bytes.get(quote..).and_then(ends) else {
            return Verdict::Impossible;
        };
        let Some(flow) = self.flows.get(&Key { protocol, inside, peer }).copied() else {
            return Verdict::Impossible;
        };
        if let Some(quoted) = bytes.get_mut(quote..) {
            packet::set_end(quoted, End::Destination, SocketAddrV4::new(own, flow.outside_port));
        }
        packet::fill_icmp_checksum(bytes);
        packet::set_end(bytes, End::Source, SocketAddrV4::new(own, 0));
        Verdict::Translated { new: false }
    }
}

/// Protocol, source and destination of an IPv4 packet that can be translated. An echo's peer has port 0.
fn ends(bytes: &[u8]) -> Option<(u8, SocketAddrV4, SocketAddrV4)> {
    let Tuple { protocol, source, destination } = packet::tuple(bytes)?;
    let shape = packet::shape(bytes)?;
    if !matches!(protocol, TCP | UDP | ICMP) || shape.later_fragment {
        return None;
    }
    let v4 = |end: SocketAddr| match end {
        SocketAddr::V4(v4) => Some(v4),
        SocketAddr::V6(_) => None,
    };
    let (source, mut destination) = (v4(source)?, v4(destination)?);
    if protocol == ICMP {
        match bytes.get(shape.header) {
            // A request: the identifier is the sender's.
            Some(8) => destination.set_port(0),
            Some(0) => {}
            _ => return None,
        }
    }
    Some((protocol, source, destination))
}

/// The outside address, from the interface's own list.
pub(crate) fn first_v4(addresses: impl IntoIterator<Item = IpAddr>) -> Option<Ipv4Addr> {
    addresses.into_iter().find_map(|address| match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    })
}
