//! A host that passes packets on: a router, with or without address translation and a packet filter. Hosts use the
//! filter, too.
//!
//! ```text
//! in ─▸ NAT (from outside) ─▸ for us? ─▸ filter In ─▸ sockets          sockets ─▸ filter Out ─▸ out
//!                              └ no ─▸ TTL ─▸ route ─▸ filter Forward ─▸ NAT (to outside) ─▸ MTU ─▸ out
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | here | the way of a packet through a router (RFC 1812 5) |
//! | `packet` | reading and changing addresses, ports, TTL and checksums |
//! | `nat` | the translation table |
//! | `filter` | the rules |

mod filter;
mod nat;
mod packet;

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

pub use filter::{ConnState, Direction, FilterAction, FilterRule};
pub use nat::{NatConfig, NatEntry, NatKind, PortForward};
pub use packet::Tuple;

use crate::call::CallId;
use crate::event::{DropReason, HostEvent, IfaceId};
use crate::host::Host;
use crate::icmp::Problem;
use crate::ip::{ETHERNET_LEN, Path};
use crate::time::Instant;
use filter::Filter;
pub(crate) use nat::Nat;
use nat::Verdict;
use packet::End;

/// What a host does with packets that pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forward {
    /// It passes packets on (RFC 1812), as Linux with `ip_forward`.
    on: bool,
    pub(crate) nat: Option<Nat>,
    pub(crate) filter: Filter,
    /// Where the later fragments of a translated packet go.
    fragments: BTreeMap<FragmentKey, (End, Ipv4Addr, Instant)>,
    /// The frame that is being handled, by the number its bringer gave it.
    pub(crate) tag: Option<u64>,
    /// The system call that is being made.
    pub(crate) call: Option<CallId>,
    /// The packet that is being handled has other ends than it came with.
    translated: bool,
}

/// Source, destination, protocol, identification.
type FragmentKey = (IpAddr, IpAddr, u8, u16);

/// RFC 791 3.2 and Linux `ipfrag_time`: how long fragments belong together.
const FRAGMENTS: Duration = Duration::from_secs(30);
/// Translated packets in fragments at a time. A choice.
const MAX_FRAGMENTED: usize = 64;

/// A firewall's rule with the number of packets it decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSnapshot {
    /// The rule.
    pub rule: FilterRule,
    /// Packets.
    pub packets: u64,
}

impl Host {
    /// Passes on packets that are not for this host, or no more.
    pub fn set_forwarding(&mut self, on: bool) {
        self.forward.on = on;
    }

    /// Translates addresses between the inside and this interface; none: no more. The table is empty then.
    pub fn set_nat(&mut self, config: Option<NatConfig>) {
        self.forward.nat = config.map(Nat::new);
    }

    /// Sets the firewall's rules; the first that fits a packet decides, and what no rule fits is accepted.
    pub fn set_firewall(&mut self, rules: Vec<FilterRule>) {
        self.forward.filter.set(rules);
    }

    /// The translation table.
    pub fn nat_table(&self) -> Vec<NatEntry> {
        self.forward.nat.iter().flat_map(Nat::entries).collect()
    }

    /// The firewall's rules, with what they did.
    pub fn firewall(&self) -> Vec<RuleSnapshot> {
        let rules = self.forward.filter.rules();
        rules.map(|(rule, packets)| RuleSnapshot { rule: rule.clone(), packets }).collect()
    }

    /// As [`Host::handle_frame`]; frames that pass the packet on unchanged are [`Origin::Passed`] with `tag`, see
    /// [`Host::poll_transmit_tagged`].
    pub fn handle_frame_tagged(&mut self, now: Instant, iface: IfaceId, frame: Bytes, tag: u64) {
        self.forward.tag = Some(tag);
        self.forward.translated = false;
        self.handle_frame(now, iface, frame);
        self.forward.tag = None;
    }

    /// A packet came in by `iface`, header and checksum are sound. Gives it back as it is from here on, if it is not
    /// dropped.
    pub(crate) fn before_routing(&mut self, now: Instant, iface: IfaceId, bytes: Bytes) -> Option<Bytes> {
        let Some(nat) = &self.forward.nat else { return Some(bytes) };
        let outside = nat.config.outside;
        let own = self.outside_address(outside)?;
        let tuple = packet::tuple(&bytes)?;
        if tuple.destination.ip() != IpAddr::V4(own) {
            return Some(bytes);
        }
        if iface == outside {
            return self.come_in(now, bytes);
        }
        // An inside host speaks to another by the outside address: "hairpinning" (RFC 4787 REQ-9).
        if !nat.has_mapping(tuple.protocol, tuple.destination.port()) {
            return Some(bytes);
        }
        let turned = self.go_out(now, bytes)?;
        self.come_in(now, turned)
    }

    fn outside_address(&self, outside: IfaceId) -> Option<Ipv4Addr> {
        let iface = self.ifaces.get(outside.0)?;
        nat::first_v4(iface.addresses.iter().map(|cidr| cidr.address))
    }

    /// From the outside to our address there: to whom inside is it?
    fn come_in(&mut self, now: Instant, bytes: Bytes) -> Option<Bytes> {
        if let Some(fragment) = self.later_fragment(now, &bytes, End::Destination) {
            return fragment;
        }
        let (before, mut changed) = (packet::tuple(&bytes)?, bytes.to_vec());
        let verdict = self.forward.nat.as_mut().map(|nat| nat.inbound(now, &mut changed))?;
        match verdict {
            Verdict::Translated { new } => Some(self.changed(now, &bytes, before, changed, new)),
            // The router's own: its sockets, ICMP to itself and about itself.
            _ if self.is_wanted_here(before.protocol, before.destination.port()) => Some(bytes),
            Verdict::NoMapping | Verdict::Impossible => {
                self.drop_packet(DropReason::NoMapping);
                None
            }
        }
    }

    /// From the inside to the outside: in our name.
    fn go_out(&mut self, now: Instant, bytes: Bytes) -> Option<Bytes> {
        if let Some(fragment) = self.later_fragment(now, &bytes, End::Source) {
            return fragment;
        }
        let outside = self.forward.nat.as_ref()?.config.outside;
        let own = self.outside_address(outside)?;
        let (before, mut changed) = (packet::tuple(&bytes)?, bytes.to_vec());
        let mut nat = self.forward.nat.take()?;
        let verdict = nat.outbound(now, own, &mut changed, |protocol, port| self.has_socket(protocol, port));
        self.forward.nat = Some(nat);
        match verdict {
            Verdict::Translated { new } => Some(self.changed(now, &bytes, before, changed, new)),
            Verdict::NoMapping | Verdict::Impossible => {
                self.drop_packet(DropReason::NoMapping);
                None
            }
        }
    }

    /// A packet has been translated: tells so, and remembers what its later fragments need.
    fn changed(&mut self, now: Instant, old: &[u8], before: Tuple, changed: Vec<u8>, new: bool) -> Bytes {
        self.forward.translated = true;
        if let Some(after) = packet::tuple(&changed) {
            let whole = packet::shape(old).is_none_or(|shape| !shape.fragment);
            let (end, ip) = if before.destination == after.destination {
                (End::Source, after.source.ip())
            } else {
                (End::Destination, after.destination.ip())
            };
            if let (false, IpAddr::V4(ip), Some(key)) = (whole, ip, fragment_key(old)) {
                self.forward.fragments.retain(|_, (.., until)| *until > now);
                if self.forward.fragments.len() < MAX_FRAGMENTED {
                    self.forward.fragments.insert(key, (end, ip, now + FRAGMENTS));
                }
            }
            self.events.push_back(HostEvent::Translated { before, after, new });
        }
        changed.into()
    }

    /// A fragment without ports goes where its first one went. None: it is none; `Some(None)`: nobody knows.
    fn later_fragment(&mut self, now: Instant, bytes: &Bytes, end: End) -> Option<Option<Bytes>> {
        packet::shape(bytes).filter(|shape| shape.later_fragment)?;
        let key = fragment_key(bytes)?;
        let known = self.forward.fragments.get(&key).filter(|(e, _, until)| *e == end && *until > now);
        let Some((_, ip, _)) = known.copied() else {
            self.drop_packet(DropReason::NoMapping);
            return Some(None);
        };
        let mut changed = bytes.to_vec();
        packet::set_end(&mut changed, end, SocketAddrV4::new(ip, 0));
        self.forward.translated = true;
        Some(Some(changed.into()))
    }

    fn has_socket(&self, protocol: u8, port: u16) -> bool {
        match protocol {
            packet::TCP => !self.sockets.tcp_ports.holders(port).is_empty(),
            packet::UDP => !self.sockets.udp_ports.holders(port).is_empty(),
            _ => false,
        }
    }

    fn is_wanted_here(&self, protocol: u8, port: u16) -> bool {
        !matches!(protocol, packet::TCP | packet::UDP) || self.has_socket(protocol, port)
    }

    /// Whether the filter lets a packet go on. Tells what it did, and the sender if the rule says so.
    pub(crate) fn filter_allows(&mut self, now: Instant, direction: Direction, bytes: &Bytes) -> bool {
        if self.forward.filter.is_empty() {
            return true;
        }
        let (action, rule) = self.forward.filter.decide(now, direction, bytes);
        if let Some(rule) = rule {
            self.events.push_back(HostEvent::Filtered { rule, direction, action });
        }
        if action == FilterAction::Reject && direction != Direction::Out {
            self.send_router_error(now, Problem::Prohibited, bytes);
        }
        if action != FilterAction::Accept {
            self.drop_packet(DropReason::Firewall);
        }
        action == FilterAction::Accept
    }

    /// Whether there is a rule at all.
    pub(crate) fn has_firewall(&self) -> bool {
        !self.forward.filter.is_empty()
    }

    /// Whether packets for others are taken in.
    pub(crate) fn forwards(&self) -> bool {
        self.forward.on
    }

    /// A packet that is for somebody else (RFC 1812 5.2.1, 5.3).
    pub(crate) fn forward_packet(&mut self, now: Instant, from: IfaceId, bytes: Bytes) {
        let Some(tuple) = packet::tuple(&bytes) else { return self.drop_packet(DropReason::Malformed) };
        let (source, destination) = (tuple.source.ip(), tuple.destination.ip());
        if !may_be_forwarded(source) || !may_be_forwarded(destination) {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        let mut changed = bytes.to_vec();
        if packet::lower_ttl(&mut changed).is_none() {
            self.drop_packet(DropReason::TtlExpired);
            return self.send_router_error(now, Problem::TimeExceeded, &bytes);
        }
        let Ok(way) = self.path(destination, None, None) else {
            self.drop_packet(DropReason::NoRoute);
            return self.send_router_error(now, Problem::NoRoute, &bytes);
        };
        // RFC 2644: a broadcast to a network is not passed on.
        if way.broadcast {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        let mut packet_out = Bytes::from(changed);
        if !self.filter_allows(now, Direction::Forward, &packet_out) {
            return;
        }
        let outside = self.forward.nat.as_ref().map(|nat| nat.config.outside);
        if outside == Some(way.iface) && outside != Some(from) && destination.is_ipv4() {
            match self.go_out(now, packet_out) {
                Some(changed) => packet_out = changed,
                None => return,
            }
        }
        if packet_out.len() > way.link_mtu {
            if packet::may_not_be_cut(&packet_out) {
                self.drop_packet(DropReason::TooBig);
                return self.send_router_error(now, Problem::TooBig(way.link_mtu as u32), &bytes);
            }
            for piece in packet::cut(&packet_out, way.link_mtu) {
                self.pass_on(now, &way, &piece);
            }
            return;
        }
        self.pass_on(now, &way, &packet_out);
    }

    /// Hands a packet to the link. The room for its Ethernet header bears the number of the frame it came in, until
    /// the header is written: it may have to wait for its neighbour.
    fn pass_on(&mut self, now: Instant, way: &Path, bytes: &[u8]) {
        let mut frame = vec![0; ETHERNET_LEN];
        let tag = self.forward.tag.filter(|_| !self.forward.translated);
        if let Some(tag) = tag {
            Origin::Passed(tag).mark(&mut frame);
        }
        frame.extend_from_slice(bytes);
        self.send_to_neighbour(now, way.iface, way.next_hop, way.source, frame);
    }
}

/// RFC 1812 5.3.7: neither everybody, nobody, this host nor this link.
fn may_be_forwarded(ip: IpAddr) -> bool {
    let here = match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    !here && !ip.is_unspecified() && !ip.is_multicast()
}

fn fragment_key(bytes: &[u8]) -> Option<FragmentKey> {
    let tuple = packet::tuple(bytes)?;
    let id =
        bytes.get(4..6).and_then(|octets| octets.first_chunk()).map(|octets| u16::from_be_bytes(*octets))?;
    Some((tuple.source.ip(), tuple.destination.ip(), tuple.protocol, id))
}

/// Where a frame that a host sends comes from, if that is known. It is kept in the room for the Ethernet header until
/// that is written, since a frame may have to wait for its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It passes on the packet of the frame that its bringer gave this number: see [`Host::handle_frame_tagged`].
    Passed(u64),
    /// It was made during this system call.
    Call(CallId),
}

impl Origin {
    /// Notes it in a frame without a header.
    pub(crate) fn mark(self, frame: &mut [u8]) {
        let mark = match self {
            Origin::Passed(tag) => (tag << 1) + 1,
            Origin::Call(call) => (call.0 << 1) + 2,
        };
        if let Some(room) = frame.get_mut(..8) {
            room.copy_from_slice(&mark.to_be_bytes());
        }
    }

    /// What was noted.
    pub(crate) fn of(frame: &[u8]) -> Option<Origin> {
        let room = frame.get(..8).and_then(|octets| octets.first_chunk())?;
        let mark = u64::from_be_bytes(*room).checked_sub(1)?;
        Some(if mark & 1 == 0 { Origin::Passed(mark >> 1) } else { Origin::Call(CallId(mark >> 1)) })
    }
}
