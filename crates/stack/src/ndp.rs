//! Neighbour discovery (RFC 4861) and what a host makes of it for itself (RFC 4862): questions and answers about
//! neighbours, router advertisements, and what an interface does when it comes up. The table is `neighbour`.
//!
//! By default nothing is said when an interface comes up: its addresses are taken to be unique, as with optimistic
//! duplicate address detection (RFC 4429) that is never contradicted. With `HostConfig::announce` the host does all
//! that a real one does: gratuitous ARP, duplicate address detection, listener reports, router solicitation.
//!
//! Left out: redirects, and the link parameters of a router advertisement other than routes and prefixes.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use crate::addr::{IpCidr, MacAddr, solicited_node};
use crate::event::{DropReason, IfaceId};
use crate::host::Host;
use crate::icmp::{Kind, NDP_HOPS};
use crate::ip::{Arrived, Header, Iface, Route, protocol};
use crate::neighbour::News;
use crate::time::Instant;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const PREFIX: u8 = 3;

/// RFC 4861 4.4: "it answers your question", "replace what you knew".
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// `ff02::1` and `ff02::2`.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// RFC 4862 5.4: an address that nobody claims for so long is ours (`RETRANS_TIMER`).
const DETECTION: Duration = Duration::from_secs(1);
/// RFC 4861 10: `RTR_SOLICITATION_INTERVAL`, `MAX_RTR_SOLICITATIONS`.
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const SOLICITATIONS: u8 = 3;
/// RFC 4861 4.6.2: all bits one is for ever.
const FOR_EVER: u32 = u32::MAX;

/// What an interface still has to do, or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Say that the address is there: gratuitous ARP, or the question whether somebody else has it.
    Announce(IpAddr),
    /// Nobody claimed it.
    Cleared(Ipv6Addr),
    /// Ask for routers; so often still.
    Solicit(u8),
    /// A prefix is not advertised any more.
    Expire(IpAddr),
}

/// What interfaces still have to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoconf {
    due: BTreeSet<(Instant, IfaceId, Step)>,
}

impl Autoconf {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }
}

/// An option of a neighbour discovery message (RFC 4861 4.6).
fn options(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let (kind, len) = (*rest.first()?, 8 * usize::from(*rest.get(1)?));
        let body = rest.get(2..len)?;
        rest = rest.get(len..)?;
        Some((kind, body))
    })
}

fn link_address(rest: &[u8], wanted: u8) -> Option<MacAddr> {
    let (_, body) = options(rest).find(|(kind, _)| *kind == wanted)?;
    body.first_chunk().copied().map(MacAddr)
}

fn address_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    bytes.get(at..)?.first_chunk::<16>().copied().map(Ipv6Addr::from)
}

/// Four octets of flags, a target, and a link address.
fn message(flags: u8, target: Ipv6Addr, option: Option<(u8, MacAddr)>) -> Vec<u8> {
    let mut body = vec![flags, 0, 0, 0];
    body.extend(target.octets());
    push_link_address(&mut body, option);
    body
}

fn push_link_address(body: &mut Vec<u8>, option: Option<(u8, MacAddr)>) {
    if let Some((kind, mac)) = option {
        body.extend([kind, 1]);
        body.extend(mac.0);
    }
}

impl Host {
    /// A message of types 133 to 137 whose checksum and hop limit are right.
    pub(crate) fn receive_ndp(&mut self, now: Instant, arrived: &Arrived, kind: u8) {
        let body = arrived.payload.slice(4..);
        match kind {
            NEIGHBOUR_SOLICITATION => self.receive_solicitation(now, arrived, &body),
            NEIGHBOUR_ADVERTISEMENT => self.receive_advertisement(now, arrived, &body),
            ROUTER_ADVERTISEMENT => self.receive_router(now, arrived, &body),
            _ => {}
        }
    }

    /// RFC 4861 7.2.3, 7.2.4.
    fn receive_solicitation(&mut self, now: Instant, arrived: &Arrived, body: &[u8]) {
        let (iface, source) = (arrived.iface, arrived.source);
        let Some(target) = address_at(body, 4).filter(|target| !target.is_multicast()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let Some(link) = self.ifaces.get(iface.0) else { return };
        let (mac, ours) = (link.mac, link.has(IpAddr::V6(target)));
        if source.is_unspecified() {
            // Somebody asks whether the address is free.
            self.claimed_by_another(iface, target);
            if ours {
                self.advertise(now, (iface, mac), target, ALL_NODES, OVERRIDE, true);
            }
            return;
        }
        if !ours {
            return;
        }
        if let Some(theirs) = link_address(body.get(20..).unwrap_or_default(), SOURCE_LINK_ADDRESS) {
            let news =
                News { mac: Some(theirs), answered: false, overrides: true, casts_doubt: true, create: true };
            self.learn(now, (iface, source), news);
        }
        // Linux: who was asked alone is known already, so the answer need not name the MAC address.
        let to_all = arrived.to_many;
        let flags = if to_all { SOLICITED | OVERRIDE } else { SOLICITED };
        if let IpAddr::V6(to) = source {
            self.advertise(now, (iface, mac), target, to, flags, to_all);
        }
    }

    fn advertise(
        &mut self,
        now: Instant,
        (iface, mac): (IfaceId, MacAddr),
        target: Ipv6Addr,
        to: Ipv6Addr,
        flags: u8,
        with_mac: bool,
    ) {
        let body = message(flags, target, with_mac.then_some((TARGET_LINK_ADDRESS, mac)));
        self.send_ndp(now, iface, NEIGHBOUR_ADVERTISEMENT, target, to, &body);
    }

    /// RFC 4861 7.2.5.
    fn receive_advertisement(&mut self, now: Instant, arrived: &Arrived, body: &[u8]) {
        let (Some(flags), Some(target)) = (body.first().copied(), address_at(body, 4)) else {
            return self.drop_packet(DropReason::Malformed);
        };
        if flags & SOLICITED != 0 && arrived.to_many {
            return self.drop_packet(DropReason::Malformed);
        }
        self.claimed_by_another(arrived.iface, target);
        let news = News {
            mac: link_address(body.get(20..).unwrap_or_default(), TARGET_LINK_ADDRESS),
            answered: flags & SOLICITED != 0,
            overrides: flags & OVERRIDE != 0,
            casts_doubt: true,
            create: false,
        };
        self.learn(now, (arrived.iface, IpAddr::V6(target)), news);
    }

    /// RFC 4861 6.3.4, RFC 4862 5.5.3.
    fn receive_router(&mut self, now: Instant, arrived: &Arrived, body: &[u8]) {
        let IpAddr::V6(router) = arrived.source else { return };
        let Some(head) = body.first_chunk::<12>().filter(|_| router.is_unicast_link_local()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let iface = arrived.iface;
        let until =
            |seconds: u32| (seconds != FOR_EVER).then(|| now + Duration::from_secs(u64::from(seconds)));
        let rest = body.get(12..).unwrap_or_default();
        let lifetime = u32::from(u16::from_be_bytes([head[2], head[3]]));
        let everything = IpCidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_len: 0 };
        let next_hop = Some(IpAddr::V6(router));
        let route = Route { network: everything, next_hop, iface, valid_until: until(lifetime) };
        if lifetime == 0 {
            self.routes.remove(&route);
        } else {
            self.routes.renew(route);
        }
        self.autoconf.due.retain(|(_, other, step)| *other != iface || !matches!(step, Step::Solicit(_)));
        if let Some(mac) = link_address(rest, SOURCE_LINK_ADDRESS) {
            let news =
                News { mac: Some(mac), answered: false, overrides: true, casts_doubt: true, create: true };
            self.learn(now, (iface, arrived.source), news);
        }
        let prefixes = options(rest).filter(|(kind, _)| *kind == PREFIX);
        for (_, body) in prefixes {
            let (Some([prefix_len, flags]), Some(valid), Some(prefix)) = (
                body.first_chunk::<2>().copied(),
                body.get(2..).and_then(|rest| rest.first_chunk::<4>()).map(|o| u32::from_be_bytes(*o)),
                address_at(body, 14),
            ) else {
                return self.drop_packet(DropReason::Malformed);
            };
            if prefix.is_unicast_link_local() || prefix_len > 128 {
                continue;
            }
            let network = IpCidr { address: IpAddr::V6(prefix), prefix_len };
            let route = Route { network, next_hop: None, iface, valid_until: until(valid) };
            if flags & 0x80 != 0 && valid == 0 {
                self.routes.remove(&route);
            } else if flags & 0x80 != 0 {
                self.routes.renew(route);
            }
            if flags & 0x40 != 0 && prefix_len == 64 {
                self.address_from_prefix(now, iface, prefix, until(valid));
            }
        }
    }

    /// Makes an address of an advertised prefix, or keeps it for longer.
    fn address_from_prefix(
        &mut self,
        now: Instant,
        iface: IfaceId,
        prefix: Ipv6Addr,
        until: Option<Instant>,
    ) {
        let Some(link) = self.ifaces.get_mut(iface.0) else { return };
        let bits = prefix.to_bits() >> 64 << 64 | u128::from(link.mac.interface_id());
        let ip = Ipv6Addr::from_bits(bits);
        let address = IpAddr::V6(ip);
        let cidr = IpCidr { address, prefix_len: 64 };
        let known = link.has(address) || link.tentative.contains(&cidr);
        if let Some(old) = link.valid_until.remove(&address) {
            self.autoconf.due.remove(&(old, iface, Step::Expire(address)));
        }
        if let Some(until) = until {
            if until <= now {
                link.addresses.retain(|own| own.address != address);
                return;
            }
            link.valid_until.insert(address, until);
            self.autoconf.due.insert((until, iface, Step::Expire(address)));
        }
        if known {
            return;
        }
        if self.config.announce {
            link.tentative.push(cidr);
            self.autoconf.due.insert((now, iface, Step::Announce(address)));
        } else {
            link.addresses.push(cidr);
        }
    }

    /// Duplicate address detection failed: the address is never used.
    fn claimed_by_another(&mut self, iface: IfaceId, ip: Ipv6Addr) {
        let Some(link) = self.ifaces.get_mut(iface.0) else { return };
        let before = link.tentative.len();
        link.tentative.retain(|cidr| cidr.address != IpAddr::V6(ip));
        if link.tentative.len() < before {
            self.autoconf.due.retain(|(_, other, step)| (*other, *step) != (iface, Step::Cleared(ip)));
            self.drop_packet(DropReason::DuplicateAddress);
        }
    }

    /// Asks for a neighbour: in its group, or itself alone (RFC 4861 7.2.2, 7.3.3).
    pub(crate) fn ask_by_ndp(
        &mut self,
        iface: IfaceId,
        ip: Ipv6Addr,
        source: Ipv6Addr,
        who: Option<MacAddr>,
    ) {
        let Some(mac) = self.ifaces.get(iface.0).map(|iface| iface.mac) else { return };
        let to = if who.is_some() { ip } else { solicited_node(ip) };
        let body = message(0, ip, Some((SOURCE_LINK_ADDRESS, mac)));
        self.send_ndp(self.clock, iface, NEIGHBOUR_SOLICITATION, source, to, &body);
    }

    fn send_ndp(
        &mut self,
        now: Instant,
        iface: IfaceId,
        kind: u8,
        source: Ipv6Addr,
        to: Ipv6Addr,
        body: &[u8],
    ) {
        let header = Header {
            ttl: NDP_HOPS,
            iface: Some(iface),
            loops: false,
            ..Header::new(source.into(), to.into(), protocol::ICMPV6)
        };
        // On a link without a way there is nobody to ask.
        let _ = self.send_icmp(now, &header, Kind(kind, 0), body);
    }

    /// An interface came up. Its addresses are usable at once, unless they have to be announced first.
    pub(crate) fn bring_up(&mut self, iface: IfaceId, link: &mut Iface) {
        if !self.config.announce {
            return;
        }
        let (v6, v4) = link.addresses.drain(..).partition(|cidr| cidr.address.is_ipv6());
        (link.tentative, link.addresses) = (v6, v4);
        for cidr in link.addresses.iter().chain(&link.tentative) {
            self.autoconf.due.insert((Instant::ZERO, iface, Step::Announce(cidr.address)));
        }
    }

    /// Does what is due.
    pub(crate) fn run_autoconf(&mut self, now: Instant) {
        while let Some((at, iface, step)) = self.autoconf.due.first().copied().filter(|(at, ..)| *at <= now) {
            self.autoconf.due.remove(&(at, iface, step));
            match step {
                Step::Announce(IpAddr::V4(ip)) => self.ask_by_arp(iface, ip, ip, None),
                Step::Announce(IpAddr::V6(ip)) => {
                    self.report_solicited_node(now, iface, ip);
                    let body = message(0, ip, None);
                    let (none, to) = (Ipv6Addr::UNSPECIFIED, solicited_node(ip));
                    self.send_ndp(now, iface, NEIGHBOUR_SOLICITATION, none, to, &body);
                    self.autoconf.due.insert((now + DETECTION, iface, Step::Cleared(ip)));
                }
                Step::Cleared(ip) => self.address_cleared(now, iface, ip),
                Step::Solicit(left) => self.solicit_routers(now, iface, left),
                Step::Expire(address) => {
                    if let Some(link) = self.ifaces.get_mut(iface.0) {
                        link.valid_until.remove(&address);
                        link.addresses.retain(|cidr| cidr.address != address);
                    }
                }
            }
        }
    }

    fn address_cleared(&mut self, now: Instant, iface: IfaceId, ip: Ipv6Addr) {
        let Some(link) = self.ifaces.get_mut(iface.0) else { return };
        let Some(at) = link.tentative.iter().position(|cidr| cidr.address == IpAddr::V6(ip)) else { return };
        let cidr = link.tentative.remove(at);
        link.addresses.push(cidr);
        if ip.is_unicast_link_local() {
            self.autoconf.due.insert((now, iface, Step::Solicit(SOLICITATIONS)));
        }
    }

    fn solicit_routers(&mut self, now: Instant, iface: IfaceId, left: u8) {
        let Some(link) = self.ifaces.get(iface.0) else { return };
        let mac = link.mac;
        let Some(source) = link.ipv6().find(Ipv6Addr::is_unicast_link_local) else { return };
        let mut body = vec![0; 4];
        push_link_address(&mut body, Some((SOURCE_LINK_ADDRESS, mac)));
        self.send_ndp(now, iface, ROUTER_SOLICITATION, source, ALL_ROUTERS, &body);
        if left > 1 {
            self.autoconf.due.insert((now + SOLICITATION_INTERVAL, iface, Step::Solicit(left - 1)));
        }
    }
}
