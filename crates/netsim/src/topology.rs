//! What is connected to what, as plain data for whoever draws it or prints it.

use core::net::IpAddr;
use core::time::Duration;

use crate::link::LinkParams;
use crate::record::{LinkId, NodeId};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum NodeKind {
    Host,
    Switch,
    /// Sends every frame out by all other ports. Collisions are left out: its links are full duplex.
    Hub,
    Router,
    Gateway,
    /// The port to a shared LAN: hosts of other labs are behind it.
    Lan,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyNode {
    /// Its name in the lab file.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its IP addresses, IPv4 first; empty for a switch.
    pub addresses: Vec<IpAddr>,
    /// The address that a DHCP server has lent it; it is among `addresses`.
    pub lent: Option<IpAddr>,
    /// The programs that run on it, by their place in the lab file.
    pub programs: Vec<usize>,
    /// The built-in services on it: names and ports.
    pub services: Vec<(&'static str, u16)>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyLink {
    /// The two nodes it joins.
    pub ends: (NodeId, NodeId),
    /// Interface names at the two ends (`eth0`), as a capture file calls them; `port1` at a switch.
    pub interfaces: (String, String),
    /// One-way delay.
    pub delay: Duration,
    /// Rate in bits per second; none: unlimited.
    pub rate_bits_per_s: Option<u64>,
}

/// The whole lab. A [`NodeId`] and a [`LinkId`](crate::LinkId) are indices into these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Nodes, in the order of the lab file: hosts, switches, routers, gateways.
    pub nodes: Vec<TopologyNode>,
    /// Links.
    pub links: Vec<TopologyLink>,
}

impl Topology {
    /// What a node is.
    pub fn kind(&self, node: NodeId) -> Option<NodeKind> {
        self.nodes.get(node.0 as usize).map(|node| node.kind)
    }

    /// A node has another lent address, or none any more. Lent addresses stand after the others.
    pub(crate) fn set_lent_address(&mut self, node: NodeId, address: Option<IpAddr>) {
        if let Some(node) = self.nodes.get_mut(node.0 as usize) {
            let old = core::mem::replace(&mut node.lent, address);
            node.addresses.retain(|a| Some(*a) != old);
            node.addresses.extend(address);
            node.addresses.sort_by_key(IpAddr::is_ipv6);
        }
    }

    /// A link behaves differently from now on.
    pub(crate) fn set_link(&mut self, link: LinkId, params: &LinkParams) {
        if let Some(line) = self.links.get_mut(link.0 as usize) {
            (line.delay, line.rate_bits_per_s) = (params.delay, params.rate_bits_per_s);
        }
    }
}
