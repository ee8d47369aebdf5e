//! What is allowed in a lab and yet seldom meant: for the teacher who wrote it, before a class opens it.

use core::fmt;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use socketlab_netsim::{NodeId, NodeKind, Topology, World};
use socketlab_stack::IpCidr;

use crate::Lab;

/// Something that is seldom meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Line of `lab.toml`, from 1; 0 if it is about no line.
    pub line: u32,
    /// The field, such as `host[0].name`.
    pub field: String,
    /// In English.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "lab.toml: {}: {}", self.field, self.text),
            line => write!(f, "lab.toml:{line}: {}: {}", self.field, self.text),
        }
    }
}

/// Most routers on a way; a way with more goes in a circle. The TTL that packets begin with would allow as many.
const MOST_HOPS: usize = 64;

impl Lab {
    /// What is seldom meant. `files`: the programs' texts, by name.
    pub fn warnings(&self, files: &BTreeMap<String, String>) -> Vec<Warning> {
        let world = self.build(1);
        let mut warnings = self.unused_hosts(world.topology(), files);
        warnings.extend(self.unknown_addresses(world.topology()));
        warnings.extend(self.without_a_way(&world));
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }

    fn at(&self, name: &str, text: String) -> Warning {
        let (field, line) = self.nodes.get(name).cloned().unwrap_or_default();
        Warning { line, field, text }
    }

    /// Hosts on which nothing runs and that no program names.
    fn unused_hosts(&self, topology: &Topology, files: &BTreeMap<String, String>) -> Vec<Warning> {
        let args = self.programs().iter().flat_map(|program| &program.args);
        let texts: Vec<&String> = args.chain(files.values()).collect();
        let named = |word: &str| texts.iter().any(|text| has_word(text, word));
        let hosts = topology.nodes.iter().filter(|node| node.kind == NodeKind::Host);
        let idle = hosts.filter(|node| node.programs.is_empty() && node.services.is_empty());
        let unused =
            idle.filter(|node| !named(&node.name) && !node.addresses.iter().any(|a| named(&a.to_string())));
        let text = |name: &str| format!("nothing runs on \"{name}\", and no program names it");
        unused.map(|node| self.at(&node.name, text(&node.name))).collect()
    }

    /// Addresses in programs' arguments that nobody has.
    fn unknown_addresses(&self, topology: &Topology) -> Vec<Warning> {
        if topology.nodes.iter().any(|node| matches!(node.kind, NodeKind::Gateway | NodeKind::Lan)) {
            return Vec::new();
        }
        let known: BTreeSet<IpAddr> = topology.nodes.iter().flat_map(|node| node.addresses.clone()).collect();
        let mut warnings = Vec::new();
        for (program, (field, line)) in self.programs().iter().zip(&self.files) {
            for arg in &program.args {
                let address = arg.parse().or_else(|_| arg.parse().map(|a: core::net::SocketAddr| a.ip()));
                let Ok(address) = address else { continue };
                let special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
                if !special && !known.contains(&address) && !is_broadcast(address) {
                    let field = field.trim_end_matches(".file");
                    let text = format!("no node has the address {address}");
                    warnings.push(Warning { line: *line, field: format!("{field}.args"), text });
                }
            }
        }
        warnings
    }

    /// Hosts between which no packet finds its way, in neither direction.
    fn without_a_way(&self, world: &World) -> Vec<Warning> {
        let topology = world.topology();
        let ids = (0..topology.nodes.len() as u32).map(NodeId).zip(&topology.nodes);
        let busy: Vec<_> = ids
            .filter(|(_, node)| node.kind == NodeKind::Host)
            .filter(|(_, node)| !(node.programs.is_empty() && node.services.is_empty()))
            // A host without an address gets one when it runs.
            .filter(|(_, node)| !node.addresses.is_empty())
            .collect();
        let ways = Ways::new(world);
        let reaches = |from: NodeId, to: NodeId| {
            let node = topology.nodes.get(to.0 as usize);
            node.is_some_and(|node| node.addresses.iter().any(|address| ways.lead(from, *address)))
        };
        let mut warnings = Vec::new();
        for (place, (a, from)) in busy.iter().enumerate() {
            let cut = busy.iter().skip(place + 1).find(|(b, _)| !reaches(*a, *b) && !reaches(*b, *a));
            if let Some((_, to)) = cut {
                let text = format!("no packet finds a way between \"{}\" and \"{}\"", from.name, to.name);
                warnings.push(self.at(&from.name, text));
            }
        }
        warnings
    }
}

/// Where packets go.
struct Ways {
    /// Routes of each node: network, next hop, and the networks its own interfaces are in.
    routes: BTreeMap<NodeId, Vec<(IpCidr, Option<IpAddr>)>>,
    owners: BTreeMap<IpAddr, NodeId>,
    /// Which of them are on the same cable or switches, by link.
    segments: Vec<BTreeSet<NodeId>>,
    gateways: BTreeSet<NodeId>,
}

impl Ways {
    fn new(world: &World) -> Ways {
        let topology = world.topology();
        let (mut routes, mut owners, mut gateways) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for (id, node) in (0..).map(NodeId).zip(&topology.nodes) {
            owners.extend(node.addresses.iter().map(|address| (*address, id)));
            if node.kind == NodeKind::Gateway {
                gateways.insert(id);
            }
            if let Some(host) = world.host_snapshot(id) {
                let own = host.routes.into_iter().map(|(network, hop, _)| (network, hop));
                routes.insert(id, own.collect());
            }
        }
        // Links that meet in a switch or hub are one segment.
        let passes =
            |id: NodeId| matches!(topology.kind(id), Some(NodeKind::Switch | NodeKind::Hub | NodeKind::Lan));
        let mut segments: Vec<BTreeSet<NodeId>> = Vec::new();
        for link in &topology.links {
            let mut joined = BTreeSet::from([link.ends.0, link.ends.1]);
            segments.retain(|segment| {
                let meets = segment.iter().any(|node| passes(*node) && joined.contains(node));
                if meets {
                    joined.extend(segment);
                }
                !meets
            });
            segments.push(joined);
        }
        Ways { routes, owners, segments, gateways }
    }

    /// Whether a packet from this node comes to who has this address.
    fn lead(&self, from: NodeId, to: IpAddr) -> bool {
        let Some(goal) = self.owners.get(&to).copied() else { return false };
        let mut node = from;
        for _ in 0..MOST_HOPS {
            if node == goal {
                return true;
            }
            // A gateway takes packets for anybody; what it does with them is the real world's business.
            if node != from && self.gateways.contains(&node) {
                return false;
            }
            let routes = self.routes.get(&node).map(Vec::as_slice).unwrap_or_default();
            let fitting = routes.iter().filter(|(network, _)| network.contains(to));
            let Some((_, hop)) = fitting.max_by_key(|(network, _)| network.prefix_len) else { return false };
            let Some(next) = self.owners.get(&hop.unwrap_or(to)).copied() else { return false };
            if !self.segments.iter().any(|segment| segment.contains(&node) && segment.contains(&next)) {
                return false;
            }
            node = next;
        }
        false
    }
}

/// The last octet of a network's broadcast address; which network does not matter for a warning.
fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[3] == 255)
}

/// Whether a name stands in a text, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
