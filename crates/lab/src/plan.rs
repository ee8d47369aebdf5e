//! What the tables of a lab file mean together: who is joined with whom, who has which address, and the world that
//! comes of it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use socketlab_netsim::{End, GatewayName, LinkParams, NodeId, Program, WorldBuilder};
use socketlab_stack::{IpCidr, MacAddr};

use crate::file::{File, HostEntry};
use crate::read::{At, Reader};

/// Name of the switch that joins all hosts of a lab without links.
const DEFAULT_SWITCH: &str = "lan";
/// Prefix length of every IPv6 network that the lab makes (RFC 4291 2.5.4).
const V6_PREFIX: u8 = 64;

/// Who is joined with whom: node numbers are hosts, then switches, then gateways, each in the order of the file.
#[derive(Debug)]
struct Wiring {
    names: Vec<String>,
    hosts: usize,
    switches: usize,
    links: Vec<(usize, usize, LinkParams)>,
}

impl Wiring {
    fn is_switch(&self, node: usize) -> bool {
        (self.hosts..self.hosts + self.switches).contains(&node)
    }

    /// Number of the network that each end of each link belongs to: links that meet at a switch are one network.
    fn networks(&self) -> Vec<usize> {
        let mut of_link: Vec<usize> = (0..self.links.len()).collect();
        for switch in self.hosts..self.hosts + self.switches {
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
}

/// The interface of a host at one of its links.
#[derive(Debug)]
struct Nic {
    network: usize,
    addresses: Vec<IpCidr>,
}

/// Turns a file into a world's parts. Problems go to the reader; the parts are then not used.
pub(crate) fn plan(reader: &mut Reader<'_>, file: &File) -> WorldBuilder {
    let wiring = wire(reader, file);
    let networks = wiring.networks();
    let entries: Vec<&HostEntry> = file.hosts.iter().chain(&file.gateways).collect();
    let first_gateway = wiring.hosts + wiring.switches;
    let node_of =
        |entry: usize| if entry < wiring.hosts { entry } else { entry - wiring.hosts + first_gateway };

    // A host's interfaces, in the order of its links.
    let mut nics: Vec<Vec<Nic>> = (0..entries.len())
        .map(|entry| {
            let node = node_of(entry);
            let own = wiring.links.iter().zip(&networks).filter(|((a, b, _), _)| [*a, *b].contains(&node));
            own.map(|(_, network)| Nic { network: *network, addresses: Vec::new() }).collect()
        })
        .collect();
    let mut owners: BTreeMap<IpAddr, String> = BTreeMap::new();
    for (entry, nics) in entries.iter().zip(&mut nics) {
        given_addresses(reader, entry, nics, &mut owners);
    }
    give_addresses(reader, &entries, &mut nics, &mut owners);
    give_ipv6(&entries, &mut nics, &mut owners);

    let mut builder = WorldBuilder::new(0);
    for (node, name) in wiring.names.iter().enumerate() {
        if node < wiring.hosts {
            builder.host(name);
        } else if wiring.is_switch(node) {
            builder.switch(name);
        } else {
            let real = &file.gateways[node - first_gateway].real;
            let names =
                real.iter().map(|(name, target)| GatewayName { name: name.clone(), target: target.clone() });
            builder.gateway(name, names.collect());
        }
    }
    let mut macs = Macs::default();
    let mut next_nic = vec![0; entries.len()];
    for (a, b, params) in &wiring.links {
        let [a, b] = [*a, *b].map(|node| {
            let id = NodeId(node as u32);
            if wiring.is_switch(node) {
                return End { node: id, mac: MacAddr::default(), addresses: Vec::new() };
            }
            let entry = if node < wiring.hosts { node } else { node - first_gateway + wiring.hosts };
            let nic = nics[entry].get(next_nic[entry]);
            next_nic[entry] += 1;
            let network = nic.map_or(0, |nic| nic.network);
            let addresses = nic.map(|nic| nic.addresses.clone()).unwrap_or_default();
            End { node: id, mac: macs.next(network, addresses.first().map(|cidr| cidr.address)), addresses }
        });
        builder.link(a, b, *params);
    }
    for (entry, host) in file.hosts.iter().enumerate() {
        if host.announce {
            builder.announce(NodeId(entry as u32));
        }
        let gateways = &nics[file.hosts.len()..];
        route(reader, &mut builder, NodeId(entry as u32), host, &nics[entry], gateways);
    }
    let hosts: Vec<&str> = file.hosts.iter().map(|host| host.name.value.as_str()).collect();
    for (number, gateway) in file.gateways.iter().enumerate() {
        let node = NodeId((first_gateway + number) as u32);
        crate::publish::plan(reader, &mut builder, node, &gateway.published, &hosts);
    }
    for entry in &file.programs {
        let Some(node) = file.hosts.iter().position(|host| host.name.value == entry.host.value) else {
            let names = file.hosts.iter().map(|host| host.name.value.as_str());
            let keys = ("lab-missing-host", "lab-missing-host-near");
            let field = format!("{}.host", entry.path);
            reader.complain_missing(entry.host.line, &field, keys, &entry.host.value, names);
            continue;
        };
        builder.program(Program {
            node: NodeId(node as u32),
            host: entry.host.value.clone(),
            file: entry.file.value.clone(),
            args: entry.args.clone(),
            start: entry.start,
            stdin: entry.stdin.clone(),
            forever: entry.forever,
        });
    }
    builder
}

fn wire(reader: &mut Reader<'_>, file: &File) -> Wiring {
    let host_names = file.hosts.iter().map(|host| &host.name.value);
    let mut switches: Vec<&str> = file.switches.iter().map(|switch| switch.value.as_str()).collect();
    if file.links.is_empty() && switches.is_empty() {
        switches.push(DEFAULT_SWITCH);
    }
    let gateway_names = file.gateways.iter().map(|gateway| gateway.name.value.as_str());
    let names: Vec<String> = host_names
        .map(String::as_str)
        .chain(switches.iter().copied())
        .chain(gateway_names)
        .map(str::to_owned)
        .collect();
    let (hosts, switches) = (file.hosts.len(), switches.len());
    let mut wiring = Wiring { names, hosts, switches, links: Vec::new() };
    if file.links.is_empty() {
        let others = (0..hosts).chain(hosts + switches..wiring.names.len());
        wiring.links = others.map(|node| (node, hosts, LinkParams::default())).collect();
        return wiring;
    }
    // Which switches are joined already, by the lowest number among them.
    let mut group: Vec<usize> = (0..wiring.names.len()).collect();
    for link in &file.links {
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
        if wiring.is_switch(a) && wiring.is_switch(b) {
            if group[a] == group[b] {
                reader.complain(link.line, &link.path, "lab-switch-loop", &[]);
                continue;
            }
            let (from, to) = (group[b], group[a]);
            group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
        }
        wiring.links.push((a, b, link.params));
    }
    wiring
}

/// Reads the addresses that the file gives a host, and gives each to one of its interfaces: the first IPv4 address to
/// the first interface and so on, IPv6 likewise; those left over to the last.
fn given_addresses(
    reader: &mut Reader<'_>,
    entry: &HostEntry,
    nics: &mut [Nic],
    owners: &mut BTreeMap<IpAddr, String>,
) {
    let mut next = [0, 0];
    for At { line, value } in &entry.addresses {
        let field = format!("{}.address", entry.path);
        let Some(cidr) = cidr(value) else {
            reader.complain(*line, &field, "lab-bad-address", &[("value", value)]);
            continue;
        };
        if let Some(owner) = owners.get(&cidr.address) {
            let address = cidr.address.to_string();
            reader.complain(
                *line,
                &field,
                "lab-duplicate-address",
                &[("address", &address), ("name", owner)],
            );
            continue;
        }
        owners.insert(cidr.address, entry.name.value.clone());
        let place = &mut next[usize::from(cidr.address.is_ipv6())];
        let last = nics.len().saturating_sub(1);
        if let Some(nic) = nics.get_mut((*place).min(last)) {
            nic.addresses.push(cidr);
        }
        *place += 1;
    }
}

/// `10.0.0.80/24`; without a prefix length that of the networks this product makes itself.
fn cidr(text: &str) -> Option<IpCidr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.trim().parse().ok()?;
    let (usual, most) = if address.is_ipv4() { (24, 32) } else { (V6_PREFIX, 128) };
    let prefix_len = prefix.map_or(Some(usual), |prefix| prefix.trim().parse().ok())?;
    let unusable = address.is_unspecified() || address.is_multicast() || address.is_loopback();
    (prefix_len <= most && !unusable).then_some(IpCidr { address, prefix_len })
}

/// Gives every interface without an address one of its network: that of the first address given there, else
/// 10.0.N.0/24, where N is the network's number.
fn give_addresses(
    reader: &mut Reader<'_>,
    entries: &[&HostEntry],
    nics: &mut [Vec<Nic>],
    owners: &mut BTreeMap<IpAddr, String>,
) {
    let mut networks: BTreeMap<usize, (Ipv4Addr, u8)> = BTreeMap::new();
    for nic in nics.iter().flatten() {
        let first = nic.addresses.iter().find_map(|cidr| match cidr.address {
            IpAddr::V4(v4) => Some((v4, cidr.prefix_len)),
            IpAddr::V6(_) => None,
        });
        if let Some(first) = first {
            networks.entry(nic.network).or_insert(first);
        }
    }
    for (entry, nics) in entries.iter().zip(nics.iter_mut()) {
        for nic in nics.iter_mut().filter(|nic| nic.addresses.is_empty()) {
            let own = Ipv4Addr::new(10, 0, u8::try_from(nic.network).unwrap_or(u8::MAX), 0);
            let (member, prefix_len) = *networks.entry(nic.network).or_insert((own, 24));
            let host_bits = 32 - u32::from(prefix_len.min(32));
            let base = u64::from(member.to_bits()) >> host_bits << host_bits;
            // The first and the last address of a network are not for hosts (RFC 1122 3.2.1.3).
            let free = (base + 1..base + (1_u64 << host_bits).saturating_sub(1))
                .filter_map(|bits| u32::try_from(bits).ok().map(Ipv4Addr::from_bits))
                .find(|v4| !owners.contains_key(&IpAddr::V4(*v4)));
            match free {
                Some(v4) => {
                    owners.insert(IpAddr::V4(v4), entry.name.value.clone());
                    nic.addresses.push(IpCidr { address: IpAddr::V4(v4), prefix_len });
                }
                None => {
                    let network = format!("{}/{prefix_len}", Ipv4Addr::from_bits(base as u32));
                    reader.complain(
                        entry.name.line,
                        &entry.path,
                        "lab-network-full",
                        &[("network", &network)],
                    );
                }
            }
        }
    }
}

/// Gives every interface without an IPv6 address one of its network: that of the first such address given there, else
/// fd00:0:0:N::/64. The rest of it shows the host's part of the IPv4 address in decimal digits: 10.0.0.80 is fd00::80.
fn give_ipv6(entries: &[&HostEntry], nics: &mut [Vec<Nic>], owners: &mut BTreeMap<IpAddr, String>) {
    let mut networks: BTreeMap<usize, u128> = BTreeMap::new();
    for nic in nics.iter().flatten() {
        let given = nic.addresses.iter().find_map(|cidr| match cidr.address {
            IpAddr::V6(v6) if cidr.prefix_len == V6_PREFIX && !v6.is_unicast_link_local() => Some(v6),
            _ => None,
        });
        if let Some(v6) = given {
            networks.entry(nic.network).or_insert(v6.to_bits() >> 64);
        }
    }
    for (entry, nics) in entries.iter().zip(nics) {
        for nic in nics.iter_mut().filter(|nic| !nic.addresses.iter().any(|cidr| cidr.address.is_ipv6())) {
            let own = (0xfd00_u128 << 48) | nic.network as u128;
            let prefix = *networks.entry(nic.network).or_insert(own) << 64;
            let readable = nic.addresses.first().map_or(0, |cidr| readable_part(*cidr));
            // 64 bits are never all taken.
            let parts = core::iter::once(readable).filter(|part| *part != 0).chain(1..);
            let free = parts.map(|part| IpAddr::V6(Ipv6Addr::from_bits(prefix | u128::from(part))));
            if let Some(address) = free.into_iter().find(|address| !owners.contains_key(address)) {
                owners.insert(address, entry.name.value.clone());
                nic.addresses.push(IpCidr { address, prefix_len: V6_PREFIX });
            }
        }
    }
}

/// The octets of an IPv4 address that its network leaves to the host, each as a group of decimal digits.
fn readable_part(cidr: IpCidr) -> u64 {
    let IpAddr::V4(v4) = cidr.address else { return 0 };
    let network_octets = usize::from(cidr.prefix_len / 8);
    v4.octets().iter().skip(network_octets).fold(0, |part, octet| {
        let (hundreds, tens, ones) = (octet / 100, octet / 10 % 10, octet % 10);
        part << 16 | u64::from(hundreds) << 8 | u64::from(tens) << 4 | u64::from(ones)
    })
}

/// A host's default route: the one it is given, or a gateway in one of its networks.
fn route(
    reader: &mut Reader<'_>,
    builder: &mut WorldBuilder,
    node: NodeId,
    host: &HostEntry,
    nics: &[Nic],
    gateways: &[Vec<Nic>],
) {
    let everything = |v6: bool| IpCidr {
        address: if v6 { IpAddr::from([0; 16]) } else { IpAddr::from([0; 4]) },
        prefix_len: 0,
    };
    match &host.default_route {
        Some(route) if route.value == "on-link" => {
            builder.route(node, everything(false), None);
            builder.route(node, everything(true), None);
        }
        Some(At { line, value }) => {
            let mut own = nics.iter().flat_map(|nic| &nic.addresses);
            let next_hop = value.parse::<IpAddr>().ok().filter(|hop| own.any(|cidr| cidr.contains(*hop)));
            match next_hop {
                Some(hop) => builder.route(node, everything(hop.is_ipv6()), Some(hop)),
                None => {
                    let networks: Vec<String> =
                        nics.iter().flat_map(|nic| &nic.addresses).map(ToString::to_string).collect();
                    let (networks, field) = (networks.join(", "), format!("{}.default_route", host.path));
                    reader.complain(
                        *line,
                        &field,
                        "lab-bad-route",
                        &[("value", value), ("networks", &networks)],
                    );
                }
            }
        }
        None => {
            let own: BTreeSet<usize> = nics.iter().map(|nic| nic.network).collect();
            let near = gateways.iter().flatten().find(|nic| own.contains(&nic.network));
            let own = near.map(|nic| nic.addresses.as_slice()).unwrap_or_default();
            for v6 in [false, true] {
                let address = own.iter().map(|cidr| cidr.address).find(|address| address.is_ipv6() == v6);
                if let Some(address) = address {
                    builder.route(node, everything(v6), Some(address));
                }
            }
        }
    }
}

/// Gives out MAC addresses.
#[derive(Debug, Default)]
struct Macs {
    given: BTreeSet<MacAddr>,
}

impl Macs {
    /// A locally administered address that shows whose it is: the network's number, then the last octet of the IPv4
    /// address in decimal digits, so that 10.0.0.80 is 02:00:00:00:00:80.
    fn next(&mut self, network: usize, address: Option<IpAddr>) -> MacAddr {
        let last = match address {
            Some(IpAddr::V4(v4)) => v4.octets()[3],
            _ => 0,
        };
        let readable = MacAddr([2, 0, 0, network as u8, last / 100, ((last / 10 % 10) << 4) | (last % 10)]);
        let mut mac = readable;
        let mut number: u16 = 0;
        while last == 0 && number == 0 || !self.given.insert(mac) {
            number += 1;
            let [high, low] = number.to_be_bytes();
            mac = MacAddr([2, 0, 1, network as u8, high, low]);
        }
        mac
    }
}
