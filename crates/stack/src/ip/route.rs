//! Interfaces, the routing table (the longest prefix wins, RFC 1812 5.2.4.3), and which of a host's addresses a packet
//! leaves with (RFC 6724).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use crate::addr::{IpCidr, MacAddr};
use crate::errno::{Cause, Errno, Failure};
use crate::event::IfaceId;
use crate::host::Host;
use crate::time::Instant;

/// `lo` is always the first.
const LO: IfaceId = IfaceId(0);

/// One network interface.
#[derive(Clone, Debug)]
pub(crate) struct Iface {
    pub(crate) name: String,
    pub(crate) mac: MacAddr,
    pub(crate) addresses: Vec<IpCidr>,
    /// IPv6 addresses that duplicate address detection has not cleared yet (RFC 4862 5.4): not ours so far.
    pub(crate) tentative: Vec<IpCidr>,
    /// Until when an address from a router advertisement is valid; those not named are for ever.
    pub(crate) valid_until: BTreeMap<IpAddr, Instant>,
    /// Largest IP packet in octets.
    pub(crate) mtu: usize,
}

impl Iface {
    pub(crate) fn new(name: &str, mac: MacAddr, addresses: Vec<IpCidr>, mtu: usize) -> Iface {
        let (name, tentative, valid_until) = (name.to_owned(), Vec::new(), BTreeMap::new());
        Iface { name, mac, addresses, tentative, valid_until, mtu }
    }

    pub(crate) fn ipv4(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> {
        self.addresses.iter().filter_map(|cidr| match cidr.address {
            IpAddr::V4(address) => Some((address, cidr.prefix_len)),
            IpAddr::V6(_) => None,
        })
    }

    pub(crate) fn ipv6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.iter().filter_map(|cidr| match cidr.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    }

    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|cidr| cidr.address == ip)
    }

    /// Whether `ip` is the broadcast address of one of this interface's networks.
    pub(crate) fn is_broadcast(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip else { return false };
        self.ipv4().any(|(address, prefix)| {
            let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            prefix < 31 && ip.to_bits() == address.to_bits() | host_bits
        })
    }

    /// Our address for a packet to `to`, whose next hop is `next_hop`. IPv4: the one in the next hop's network. IPv6:
    /// RFC 6724 5, rules 1, 2 and 8: of the same scope, then with the longest common prefix.
    fn source_for(&self, to: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        let IpAddr::V6(v6) = to else {
            let near = self.addresses.iter().find(|cidr| cidr.address.is_ipv4() && cidr.contains(next_hop));
            return near
                .map(|cidr| cidr.address)
                .or_else(|| self.ipv4().next().map(|(address, _)| IpAddr::V4(address)));
        };
        let local = crate::addr::needs_zone(to);
        let fits = |own: &Ipv6Addr| {
            let common = (own.to_bits() ^ v6.to_bits()).leading_zeros();
            (own.is_unicast_link_local() == local, common)
        };
        // Of equals the first one.
        let mut best: Option<Ipv6Addr> = None;
        for own in self.ipv6() {
            if best.is_none_or(|best| fits(&own) > fits(&best)) {
                best = Some(own);
            }
        }
        best.map(IpAddr::V6)
    }
}

/// One route.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) network: IpCidr,
    pub(crate) next_hop: Option<IpAddr>,
    pub(crate) iface: IfaceId,
    /// Until when a route from a router advertisement is good; none: for ever.
    pub(crate) valid_until: Option<Instant>,
}

/// The routing table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes(Vec<Route>);

impl Routes {
    pub(crate) fn add(&mut self, route: Route) {
        self.0.push(route);
    }

    /// Drops all IPv4 routes by an interface.
    pub(crate) fn forget_v4(&mut self, iface: IfaceId) {
        self.0.retain(|route| route.iface != iface || route.network.address.is_ipv6());
    }

    /// Replaces the route to the same network by the same hop.
    pub(crate) fn renew(&mut self, route: Route) {
        self.remove(&route);
        self.0.push(route);
    }

    pub(crate) fn remove(&mut self, route: &Route) {
        self.0.retain(|old| {
            (old.network, old.next_hop, old.iface) != (route.network, route.next_hop, route.iface)
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// The route with the longest prefix, by `iface` if one is named; of equals, the one added first.
    pub(crate) fn lookup(&self, now: Instant, to: IpAddr, iface: Option<IfaceId>) -> Option<&Route> {
        let mut best: Option<&Route> = None;
        let usable = |route: &&Route| {
            iface.is_none_or(|iface| route.iface == iface)
                && route.valid_until.is_none_or(|until| until > now)
                && route.network.contains(to)
        };
        for route in self.0.iter().filter(usable) {
            if best.is_none_or(|best| route.network.prefix_len > best.network.prefix_len) {
                best = Some(route);
            }
        }
        best
    }
}

/// The way to a destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) iface: IfaceId,
    pub(crate) next_hop: IpAddr,
    /// Our address on that way.
    pub(crate) source: IpAddr,
    /// Largest packet on the whole way, as far as we know (RFC 1191, RFC 8201).
    pub(crate) mtu: usize,
    /// Largest packet on the first link.
    pub(crate) link_mtu: usize,
    /// The destination is a broadcast address.
    pub(crate) broadcast: bool,
}

impl Host {
    /// One of this host's own addresses, or anything in 127.0.0.0/8.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) if v4.is_loopback() => true,
            _ => self.ifaces.iter().any(|iface| iface.has(ip)),
        }
    }

    /// Whether `to` is a broadcast address of a link.
    pub(crate) fn is_broadcast(&self, to: IpAddr) -> bool {
        match to {
            IpAddr::V4(ip) => ip.is_broadcast() || self.ifaces.iter().any(|iface| iface.is_broadcast(to)),
            IpAddr::V6(_) => false,
        }
    }

    /// The way to `to`. `source`: the address the socket is bound to, which finds the link for packets to many.
    /// `iface`: the only interface that may be used (a scope id, `IP_MULTICAST_IF`, `SO_BINDTODEVICE`).
    pub(crate) fn path(
        &self,
        to: IpAddr,
        source: Option<IpAddr>,
        iface: Option<IfaceId>,
    ) -> Result<Path, Failure> {
        let no_route = || Failure::Errno(Errno::ENETUNREACH, Cause::NoRoute { to });
        if self.is_own(to) {
            let source = match to {
                IpAddr::V4(v4) if v4.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                _ => to,
            };
            let mtu = self.ifaces.first().map_or(65_536, |lo| lo.mtu);
            return Ok(Path { iface: LO, next_hop: to, source, mtu, link_mtu: mtu, broadcast: false });
        }
        let everybody = to == IpAddr::V4(Ipv4Addr::BROADCAST);
        let to_many = everybody || to.is_multicast();
        let mut iface = iface;
        if let (true, None, Some(source)) = (to_many && to.is_ipv4(), iface, source) {
            iface = self.ifaces.iter().position(|iface| iface.has(source)).map(IfaceId);
        }
        let (out, next_hop) = match iface {
            // IPv6 has a multicast route on every link; the first one is used.
            None if to.is_multicast() && to.is_ipv6() => (IfaceId(1), to),
            Some(iface) if to_many => (iface, to),
            _ => match (self.routes.lookup(self.clock, to, iface), iface) {
                (Some(route), _) => (route.iface, route.next_hop.unwrap_or(to)),
                // Linux `ip_route_output_key`: "assume that the destination is on link".
                (None, Some(iface)) if to.is_ipv4() && iface != LO => (iface, to),
                _ => return Err(no_route()),
            },
        };
        let link = self.ifaces.get(out.0).ok_or_else(no_route)?;
        let own = source.filter(|source| to_many && link.has(*source));
        // A host without an address may speak to many: to ask for one (RFC 1122 3.2.1.3, RFC 2131 4.1), or whether one is
        // free (RFC 4862 5.4.2).
        let nobody =
            to_many.then(|| crate::addr::unspecified(to)).filter(|none| everybody || source == Some(*none));
        let source = own.or_else(|| link.source_for(to, next_hop)).or(nobody).ok_or_else(no_route)?;
        let link_mtu = link.mtu;
        let mtu = self.path_mtus.get(self.clock, to).map_or(link_mtu, |mtu| mtu.min(link_mtu));
        let broadcast = everybody || link.is_broadcast(to);
        Ok(Path { iface: out, next_hop, source, mtu, link_mtu, broadcast })
    }
}
