//! Who is joined with whom.

use std::collections::BTreeSet;

use socketlab_netsim::LinkParams;
use socketlab_stack::{IpCidr, MacAddr};

use crate::file::{File, HostEntry};
use crate::read::Reader;

/// Name of the switch that joins all hosts of a lab without links.
const DEFAULT_SWITCH: &str = "lan";

/// Node numbers are hosts, then switches, hubs, the port to a shared LAN, routers, gateways, each in the order of the file.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) names: Vec<String>,
    hosts: usize,
    switches: usize,
    hubs: usize,
    lans: usize,
    /// First and second node, how it behaves, and which of the file's links it is.
    pub(super) links: Vec<(usize, usize, LinkParams, Option<usize>)>,
}

/// The interface of a node at one of its links.
#[derive(Debug)]
pub(super) struct Nic {
    pub(super) network: usize,
    /// The node at the other end.
    pub(super) neighbour: usize,
    pub(super) addresses: Vec<IpCidr>,
    /// Given by a shared LAN.
    pub(super) mac: Option<MacAddr>,
}

impl Wiring {
    /// Nodes without addresses: where links meet.
    fn joints(&self) -> core::ops::Range<usize> {
        self.hosts..self.hosts + self.switches + self.hubs + self.lans
    }

    /// The port to a shared LAN.
    pub(super) fn lan(&self) -> Option<usize> {
        (self.lans > 0).then_some(self.hosts + self.switches + self.hubs)
    }

    /// The network that goes on in a shared LAN.
    pub(super) fn lan_network(&self) -> Option<usize> {
        let lan = self.lan()?;
        let link = self.links.iter().position(|(a, b, ..)| [*a, *b].contains(&lan))?;
        self.networks().get(link).copied()
    }

    /// A switch, hub or shared LAN: what meets there is one network.
    pub(super) fn joins(&self, node: usize) -> bool {
        self.joints().contains(&node)
    }

    pub(super) fn is_hub(&self, node: usize) -> bool {
        self.joins(node) && node >= self.hosts + self.switches && self.lan() != Some(node)
    }

    /// The node of an entry of [`File::nodes`].
    pub(super) fn node_of(&self, entry: usize) -> usize {
        if entry < self.hosts { entry } else { entry + self.joints().len() }
    }

    /// The entry of a node.
    pub(super) fn entry_of(&self, node: usize) -> usize {
        if node < self.hosts { node } else { node - self.joints().len() }
    }

    /// Number of the network that each link belongs to: links that meet at a switch or hub are one network.
    pub(super) fn networks(&self) -> Vec<usize> {
        let mut of_link: Vec<usize> = (0..self.links.len()).collect();
        for switch in self.joints() {
            let at: Vec<usize> = (0..self.links.len())
                .filter(|i| [self.links[*i].0, self.links[*i].1].contains(&switch))
                .collect();
            let joined: BTreeSet<usize> = at.iter().map(|i| of_link[*i]).collect();
            let Some(first) = joined.first().copied() else { continue };
            of_link.iter_mut().filter(|n| joined.contains(n)).for_each(|n| *n = first);
        }
        let numbers: BTreeSet<usize> = of_link.iter().copied().collect();
        of_link.iter().map(|n| numbers.range(..n).count()).collect()
    }

    /// The interfaces of each entry, in the order of its links, without addresses.
    pub(super) fn nics(&self, entries: &[HostEntry]) -> Vec<Vec<Nic>> {
        let networks = self.networks();
        let of = |entry: usize| {
            let node = self.node_of(entry);
            let own = self.links.iter().zip(&networks).filter(|((a, b, ..), _)| [*a, *b].contains(&node));
            own.map(|((a, b, ..), network)| {
                let neighbour = if *a == node { *b } else { *a };
                Nic { network: *network, neighbour, addresses: Vec::new(), mac: None }
            })
            .collect()
        };
        (0..entries.len()).map(of).collect()
    }
}

/// Reads the links.
pub(super) fn wire(reader: &mut Reader<'_>, file: &File) -> Wiring {
    let hosts = file.nodes.iter().take_while(|node| matches!(node.role, crate::file::Role::Host)).count();
    let mut switches: Vec<&str> = file.switches.iter().map(|switch| switch.value.as_str()).collect();
    if file.links.is_empty() && switches.is_empty() && file.hubs.is_empty() {
        switches.push(DEFAULT_SWITCH);
    }
    let hubs = file.hubs.iter().map(|hub| hub.value.as_str());
    let lans = file.lans.iter().map(|lan| lan.name.value.clone());
    let (own, others) = file.nodes.split_at(hosts);
    let node_name = |node: &HostEntry| node.name.value.clone();
    let names: Vec<String> = own
        .iter()
        .map(node_name)
        .chain(switches.iter().copied().chain(hubs).map(str::to_owned))
        .chain(lans)
        .chain(others.iter().map(node_name))
        .collect();
    let (switches, hubs, lans) = (switches.len(), file.hubs.len(), file.lans.len());
    let mut wiring = Wiring { names, hosts, switches, hubs, lans, links: Vec::new() };
    if file.links.is_empty() {
        // All are joined by the first switch or hub.
        let all = (0..file.nodes.len()).map(|entry| wiring.node_of(entry)).chain(wiring.lan());
        wiring.links = all.map(|node| (node, hosts, LinkParams::default(), None)).collect();
        return wiring;
    }
    // Which switches are joined already, by the lowest number among them.
    let mut group: Vec<usize> = (0..wiring.names.len()).collect();
    for (number, link) in file.links.iter().enumerate() {
        let mut ends = [None, None];
        for (end, name) in ends.iter_mut().zip(&link.between) {
            *end = wiring.names.iter().position(|known| *known == name.value);
            if end.is_none() {
                let names = wiring.names.iter().map(String::as_str);
                let keys = ("lab-missing-node", "lab-missing-node-near");
                reader.complain_missing(name.line, &link.path, keys, &name.value, names);
            }
        }
        let [Some(a), Some(b)] = ends else { continue };
        if wiring.joins(a) && wiring.joins(b) {
            if group[a] == group[b] {
                reader.complain(link.line, &link.path, "lab-switch-loop", &[]);
                continue;
            }
            let (from, to) = (group[b], group[a]);
            group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
        }
        wiring.links.push((a, b, link.params, Some(number)));
    }
    wiring
}
