//! Which way packets go: the routes that the file gives, and those that the lab finds for everybody else, so that a
//! lab without routes just works. Nobody finds a way into a network behind a NAT.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use socketlab_netsim::{NodeId, WorldBuilder};
use socketlab_stack::IpCidr;

use super::addresses::cidr;
use super::wiring::{Nic, Wiring};
use crate::file::{HostEntry, Role};
use crate::read::{At, Reader};

/// The interface of each NAT that leads outside, by entry.
pub(super) type Outsides = BTreeMap<usize, usize>;

/// Where a network lies, seen from some node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// The router that is next: its entry, and its interface on our side.
    router: usize,
    nic: usize,
    distance: usize,
}

/// All that is needed to find ways.
#[derive(Debug)]
pub(super) struct Map<'a> {
    pub(super) entries: &'a [HostEntry],
    pub(super) nics: &'a [Vec<Nic>],
    pub(super) outsides: &'a Outsides,
}

impl Map<'_> {
    /// The first router on the way from these networks to every network that is not one of them.
    pub(super) fn ways(&self, from: &BTreeSet<usize>, but: Option<usize>) -> BTreeMap<usize, Hop> {
        let mut found: BTreeMap<usize, Hop> = BTreeMap::new();
        let mut queue: VecDeque<(usize, Option<Hop>)> = from.iter().map(|network| (*network, None)).collect();
        while let Some((network, first)) = queue.pop_front() {
            for (router, entry) in self.entries.iter().enumerate() {
                if !matches!(entry.role, Role::Router(_)) || Some(router) == but {
                    continue;
                }
                let Some(nics) = self.nics.get(router) else { continue };
                let Some(near) = nics.iter().position(|nic| nic.network == network) else { continue };
                // Nobody outside knows the way in.
                if self.outsides.get(&router) == Some(&near) {
                    continue;
                }
                for nic in nics {
                    if from.contains(&nic.network) || found.contains_key(&nic.network) {
                        continue;
                    }
                    let hop = match first {
                        Some(hop) => Hop { distance: hop.distance + 1, ..hop },
                        None => Hop { router, nic: near, distance: 1 },
                    };
                    found.insert(nic.network, hop);
                    queue.push_back((nic.network, Some(hop)));
                }
            }
        }
        found
    }

    fn networks_of(&self, entry: usize) -> BTreeSet<usize> {
        self.nics.get(entry).into_iter().flatten().map(|nic| nic.network).collect()
    }

    fn addresses(&self, entry: usize, nic: usize) -> &[IpCidr] {
        self.nics.get(entry).and_then(|nics| nics.get(nic)).map_or(&[], |nic| nic.addresses.as_slice())
    }

    /// The gateway in one of these networks: entry and interface.
    fn gateway_in(&self, networks: &BTreeSet<usize>) -> Option<(usize, usize)> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.is_gateway()).find_map(|(number, _)| {
            let nics = self.nics.get(number)?;
            nics.iter().position(|nic| networks.contains(&nic.network)).map(|nic| (number, nic))
        })
    }

    /// The way to all that is not in the lab: a gateway, or the router that leads to the nearest one; without gateways
    /// the nearest router.
    fn way_out(&self, own: &BTreeSet<usize>, ways: &BTreeMap<usize, Hop>) -> Option<(usize, usize)> {
        if let Some(gateway) = self.gateway_in(own) {
            return Some(gateway);
        }
        let leads_out = ways
            .iter()
            .filter(|(network, _)| self.gateway_in(&BTreeSet::from([**network])).is_some())
            .min_by_key(|(_, hop)| hop.distance);
        let any = || ways.iter().min_by_key(|(_, hop)| (hop.distance, hop.router));
        leads_out.or_else(any).map(|(_, hop)| (hop.router, hop.nic))
    }

    /// The default router of a host in this network, as a DHCP server tells it.
    pub(super) fn router_in(&self, network: usize) -> Option<IpAddr> {
        let own = BTreeSet::from([network]);
        let (entry, nic) = self.way_out(&own, &self.ways(&own, None))?;
        self.addresses(entry, nic).iter().map(|cidr| cidr.address).find(IpAddr::is_ipv4)
    }

    /// Whether a node finds the way to an entry, and to which of its addresses.
    pub(super) fn reaches(&self, from: usize, to: usize) -> Option<IpAddr> {
        let own = self.networks_of(from);
        let ways = self.ways(&own, Some(from));
        let near = |nic: &&Nic| own.contains(&nic.network) || ways.contains_key(&nic.network);
        let nics = self.nics.get(to)?;
        let v4 = |nic: &Nic| nic.addresses.iter().map(|cidr| cidr.address).find(IpAddr::is_ipv4);
        nics.iter().filter(near).find_map(v4)
    }

    /// The networks that addresses in a network belong to: one for each family, or more if the file says so.
    fn prefixes(&self, network: usize) -> BTreeSet<IpCidr> {
        let nics = self.nics.iter().flatten().filter(|nic| nic.network == network);
        nics.flat_map(|nic| &nic.addresses).map(|cidr| masked(*cidr)).collect()
    }
}

/// The network itself: 10.0.1.0/24 for 10.0.1.2/24.
pub(super) fn masked(cidr: IpCidr) -> IpCidr {
    let prefix = u32::from(cidr.prefix_len);
    let address = match cidr.address {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::from((v4.to_bits() & !host).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::from((v6.to_bits() & !host).to_be_bytes())
        }
    };
    IpCidr { address, prefix_len: cidr.prefix_len }
}

fn everything(v6: bool) -> IpCidr {
    IpCidr { address: if v6 { IpAddr::from([0; 16]) } else { IpAddr::from([0; 4]) }, prefix_len: 0 }
}

/// Gives every node its routes.
pub(super) fn give(reader: &mut Reader<'_>, builder: &mut WorldBuilder, map: &Map<'_>, wiring: &Wiring) {
    for (number, entry) in map.entries.iter().enumerate() {
        let node = NodeId(wiring.node_of(number) as u32);
        let nics = map.nics.get(number).map_or(&[][..], Vec::as_slice);
        if entry.default_route.is_some() || !entry.routes.is_empty() {
            given(reader, builder, node, entry, nics);
            continue;
        }
        let own = map.networks_of(number);
        let ways = map.ways(&own, Some(number));
        // A gateway has the real world behind it, and a router answers for what nobody knows.
        let out = match entry.role {
            Role::Gateway(_) => None,
            Role::Router(_) => {
                map.way_out(&own, &ways).filter(|_| map.entries.iter().any(HostEntry::is_gateway))
            }
            Role::Host => map.way_out(&own, &ways),
        };
        if let Some((next, nic)) = out {
            for v6 in [false, true] {
                let mut hops = map.addresses(next, nic).iter().map(|cidr| cidr.address);
                if let Some(hop) = hops.find(|hop| hop.is_ipv6() == v6) {
                    builder.route(node, everything(v6), Some(hop));
                }
            }
        }
        for (network, hop) in &ways {
            if out == Some((hop.router, hop.nic)) {
                continue;
            }
            for prefix in map.prefixes(*network) {
                let mut hops = map.addresses(hop.router, hop.nic).iter().map(|cidr| cidr.address);
                if let Some(hop) = hops.find(|hop| hop.is_ipv6() == prefix.address.is_ipv6()) {
                    builder.route(node, prefix, Some(hop));
                }
            }
        }
    }
}

/// The routes that the file gives a node, and no others.
fn given(reader: &mut Reader<'_>, builder: &mut WorldBuilder, node: NodeId, entry: &HostEntry, nics: &[Nic]) {
    let neighbour = |reader: &mut Reader<'_>, field: String, At { line, value }: &At<String>| {
        let mut own = nics.iter().flat_map(|nic| &nic.addresses);
        let hop = value.parse::<IpAddr>().ok().filter(|hop| own.any(|cidr| cidr.contains(*hop)));
        if hop.is_none() {
            let networks: Vec<String> =
                nics.iter().flat_map(|nic| &nic.addresses).map(ToString::to_string).collect();
            let networks = networks.join(", ");
            reader.complain(*line, &field, "lab-bad-route", &[("value", value), ("networks", &networks)]);
        }
        hop
    };
    match &entry.default_route {
        Some(route) if route.value == "on-link" => {
            builder.route(node, everything(false), None);
            builder.route(node, everything(true), None);
        }
        Some(route) if route.value == "none" => {}
        Some(route) => {
            if let Some(hop) = neighbour(reader, format!("{}.default_route", entry.path), route) {
                builder.route(node, everything(hop.is_ipv6()), Some(hop));
            }
        }
        None => {}
    }
    for route in &entry.routes {
        let network = cidr_or_everything(&route.to.value);
        if network.is_none() {
            let field = format!("{}.to", route.path);
            reader.complain(route.to.line, &field, "lab-bad-network", &[("value", &route.to.value)]);
        }
        let hop = neighbour(reader, format!("{}.via", route.path), &route.via);
        if let (Some(network), Some(hop)) = (network, hop) {
            builder.route(node, masked(network), Some(hop));
        }
    }
}

/// `10.0.2.0/24`, `0.0.0.0/0`.
pub(super) fn cidr_or_everything(text: &str) -> Option<IpCidr> {
    match text.trim() {
        "0.0.0.0/0" => Some(everything(false)),
        "::/0" => Some(everything(true)),
        other => cidr(other),
    }
}
