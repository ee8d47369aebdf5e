//! Interfaces and the routing table: the longest prefix wins (RFC 1812 5.2.4.3).

use core::net::{IpAddr, Ipv4Addr};

use crate::addr::{IpCidr, MacAddr};
use crate::event::IfaceId;

/// One network interface.
#[derive(Clone, Debug)]
pub(crate) struct Iface {
    pub(crate) name: String,
    pub(crate) mac: MacAddr,
    pub(crate) addresses: Vec<IpCidr>,
    /// Largest IP packet in octets.
    pub(crate) mtu: usize,
}

impl Iface {
    pub(crate) fn ipv4(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> {
        self.addresses.iter().filter_map(|cidr| match cidr.address {
            IpAddr::V4(address) => Some((address, cidr.prefix_len)),
            IpAddr::V6(_) => None,
        })
    }

    pub(crate) fn has(&self, ip: Ipv4Addr) -> bool {
        self.ipv4().any(|(address, _)| address == ip)
    }

    /// Whether `ip` is the broadcast address of one of this interface's networks.
    pub(crate) fn is_broadcast(&self, ip: Ipv4Addr) -> bool {
        self.ipv4().any(|(address, prefix)| {
            let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            prefix < 31 && ip.to_bits() == address.to_bits() | host_bits
        })
    }
}

/// One route.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) network: IpCidr,
    pub(crate) next_hop: Option<IpAddr>,
    pub(crate) iface: IfaceId,
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// The route with the longest prefix; of equals, the one added first.
    pub(crate) fn lookup(&self, to: IpAddr) -> Option<&Route> {
        let mut best: Option<&Route> = None;
        for route in self.0.iter().filter(|route| route.network.contains(to)) {
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
    pub(crate) next_hop: Ipv4Addr,
    /// Our address on that way.
    pub(crate) source: Ipv4Addr,
    pub(crate) mtu: usize,
    /// The destination is a broadcast address.
    pub(crate) broadcast: bool,
}
