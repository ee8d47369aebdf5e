//! NAT, firewalls, services, DNS: what refers to hosts by name once all have their addresses.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::collections::BTreeSet;

use socketlab_netsim::{DhcpPool, NodeId, Service, ServiceKind, WorldBuilder};
use socketlab_stack::{Direction, FilterRule, IpCidr, PortForward};

use super::routes::{Map, Outsides, cidr_or_everything, masked};
use super::wiring::{Nic, Wiring};
use crate::file::{File, FirewallEntry, HostEntry, Kind, NatEntry, Role, ServiceEntry};
use crate::read::{At, Reader};

/// How long a DHCP server lends an address if the file does not say; what home routers do.
const LEASE: Duration = Duration::from_secs(24 * 3600);

/// Finds the outside of every NAT: the link that the file names, else the one towards a gateway.
pub(super) fn outsides(
    reader: &mut Reader<'_>,
    entries: &[HostEntry],
    nics: &[Vec<Nic>],
    wiring: &Wiring,
) -> Outsides {
    let mut outsides = Outsides::new();
    for (number, entry) in entries.iter().enumerate() {
        let Some(NatEntry { line, outside, .. }) = entry.nat() else { continue };
        let own = nics.get(number).map_or(&[][..], Vec::as_slice);
        let neighbours: Vec<&str> =
            own.iter().filter_map(|nic| wiring.names.get(nic.neighbour)).map(String::as_str).collect();
        let found = match outside {
            Some(name) => neighbours.iter().position(|neighbour| *neighbour == name.value),
            None => {
                let gateways = entries.iter().zip(nics).filter(|(e, _)| e.is_gateway()).flat_map(|(_, n)| n);
                let near: BTreeSet<usize> = gateways.map(|nic| nic.network).collect();
                own.iter().position(|nic| near.contains(&nic.network))
            }
        };
        match found {
            Some(nic) => _ = outsides.insert(number, nic),
            None => {
                let line = outside.as_ref().map_or(*line, |name| name.line);
                let example = neighbours.last().copied().unwrap_or("internet");
                let names = neighbours.join(", ");
                let args = [("example", example), ("names", names.as_str())];
                reader.complain(line, &format!("{}.outside", entry.path), "lab-nat-outside", &args);
            }
        }
    }
    outsides
}

/// An address of a host by its name, or the address itself.
fn address_of(map: &Map<'_>, text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let entry = map.entries.iter().position(|entry| entry.name.value == text)?;
    let addresses = map.nics.get(entry)?.iter().flat_map(|nic| &nic.addresses);
    addresses.map(|cidr| cidr.address).min_by_key(IpAddr::is_ipv6)
}

fn missing_host(reader: &mut Reader<'_>, map: &Map<'_>, field: &str, name: &At<String>) {
    let names = map.entries.iter().map(|entry| entry.name.value.as_str());
    let keys = ("lab-missing-host", "lab-missing-host-near");
    reader.complain_missing(name.line, field, keys, &name.value, names);
}

/// Translation and filters.
pub(super) fn guard(reader: &mut Reader<'_>, builder: &mut WorldBuilder, map: &Map<'_>, wiring: &Wiring) {
    for (number, entry) in map.entries.iter().enumerate() {
        let node = NodeId(wiring.node_of(number) as u32);
        if let (Some(nat), Some(outside)) = (entry.nat(), map.outsides.get(&number)) {
            let mut forwards = Vec::new();
            for forward in &nat.forwards {
                let field = format!("{}.to", forward.path);
                let to = &forward.to;
                let split =
                    to.value.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
                let Some((host, port)) = split else {
                    reader.complain(to.line, &field, "lab-bad-endpoint", &[("value", &to.value)]);
                    continue;
                };
                match address_of(map, host) {
                    Some(IpAddr::V4(v4)) => forwards.push(PortForward {
                        protocol: forward.protocol,
                        port: forward.port,
                        to: SocketAddrV4::new(v4, port),
                    }),
                    Some(IpAddr::V6(_)) => {
                        reader.complain(to.line, &field, "lab-bad-endpoint", &[("value", &to.value)]);
                    }
                    None => {
                        let host = At { line: to.line, value: host.to_owned() };
                        missing_host(reader, map, &field, &host);
                    }
                }
            }
            builder.nat(node, *outside, nat.kind, forwards);
        }
        let usual = if matches!(entry.role, Role::Router(_)) { Direction::Forward } else { Direction::In };
        let rules: Vec<FilterRule> =
            entry.firewall.iter().filter_map(|rule| filter_rule(reader, map, rule, usual)).collect();
        if !rules.is_empty() {
            builder.firewall(node, rules);
        }
    }
}

fn filter_rule(
    reader: &mut Reader<'_>,
    map: &Map<'_>,
    rule: &FirewallEntry,
    usual: Direction,
) -> Option<FilterRule> {
    let mut place = |name: &str, text: &Option<At<String>>| -> Result<Option<IpCidr>, ()> {
        let Some(text) = text else { return Ok(None) };
        if let Some(address) = address_of(map, &text.value) {
            let prefix_len = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Some(IpCidr { address, prefix_len }));
        }
        if let Some(network) = cidr_or_everything(&text.value) {
            return Ok(Some(masked(network)));
        }
        let field = format!("{}.{name}", rule.path);
        reader.complain(text.line, &field, "lab-bad-place", &[("value", &text.value)]);
        Err(())
    };
    let (from, to) = (place("from", &rule.from), place("to", &rule.to));
    Some(FilterRule {
        direction: rule.direction.unwrap_or(usual),
        protocol: rule.protocol,
        from: from.ok()?,
        to: to.ok()?,
        source_ports: rule.source_ports,
        ports: rule.ports,
        state: rule.state,
        action: rule.action,
    })
}

/// Services, and which DNS server everybody asks.
pub(super) fn serve(
    reader: &mut Reader<'_>,
    builder: &mut WorldBuilder,
    map: &Map<'_>,
    wiring: &Wiring,
    file: &File,
) {
    let mut dns_hosts = Vec::new();
    let mut dhcp_networks = BTreeSet::new();
    for service in &file.services {
        let field = format!("{}.host", service.path);
        let host = map.entries.iter().position(|entry| entry.name.value == service.host.value);
        let Some(host) = host.filter(|host| !map.entries[*host].is_gateway()) else {
            missing_host(reader, map, &field, &service.host);
            continue;
        };
        let (usual, kind) = match service.kind {
            Kind::Dns => {
                dns_hosts.push(host);
                (53, dns(reader, map, service))
            }
            Kind::Dhcp => {
                dhcp_networks.extend(map.nics.get(host).into_iter().flatten().map(|nic| nic.network));
                (67, dhcp(reader, map, service, host, file))
            }
            Kind::Http => (80, Some(http(service))),
            Kind::Echo => (7, Some(ServiceKind::Echo)),
            Kind::Chat => (5000, Some(ServiceKind::Chat)),
        };
        if let Some(kind) = kind {
            let node = NodeId(wiring.node_of(host) as u32);
            builder.service(Service { node, port: service.port.unwrap_or(usual), kind });
        }
    }
    for (number, entry) in map.entries.iter().enumerate() {
        let node = NodeId(wiring.node_of(number) as u32);
        if let Some(line) = entry.dhcp {
            let network = map.nics.get(number).and_then(|nics| nics.first()).map(|nic| nic.network);
            if network.is_none_or(|network| !dhcp_networks.contains(&network)) {
                let field = format!("{}.address", entry.path);
                reader.complain(line, &field, "lab-no-dhcp", &[("name", &entry.name.value)]);
            }
            builder.service(Service { node, port: 68, kind: ServiceKind::DhcpClient { port: 0 } });
        }
        match &entry.dns {
            Some(dns) if dns.value == "none" => {}
            Some(dns) => match address_of(map, &dns.value) {
                Some(address) => builder.resolver(node, address),
                None => missing_host(reader, map, &format!("{}.dns", entry.path), dns),
            },
            // The DHCP server tells which one.
            None if entry.dhcp.is_some() => {}
            None => {
                if let Some(address) = dns_hosts.iter().find_map(|dns| map.reaches(number, *dns)) {
                    builder.resolver(node, address);
                }
            }
        }
    }
}

fn dns(reader: &mut Reader<'_>, map: &Map<'_>, service: &ServiceEntry) -> Option<ServiceKind> {
    let mut names = Vec::new();
    for (name, text) in &service.names {
        match address_of(map, &text.value) {
            Some(address) => names.push((name.clone(), address)),
            None => missing_host(reader, map, &format!("{}.names", service.path), text),
        }
    }
    Some(ServiceKind::Dns { names })
}

fn http(service: &ServiceEntry) -> ServiceKind {
    let page = |(path, text): &(String, At<String>)| {
        let path = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
        (path, text.value.clone())
    };
    ServiceKind::Http { pages: service.pages.iter().map(page).collect() }
}

/// What a DHCP server gives out: the range that the file names, else the upper half of its network.
fn dhcp(
    reader: &mut Reader<'_>,
    map: &Map<'_>,
    service: &ServiceEntry,
    host: usize,
    file: &File,
) -> Option<ServiceKind> {
    let nics = map.nics.get(host)?;
    let v4 = |nic: &Nic| {
        nic.addresses.iter().find_map(|cidr| match cidr.address {
            IpAddr::V4(v4) => Some((v4, cidr.prefix_len)),
            IpAddr::V6(_) => None,
        })
    };
    let field = format!("{}.range", service.path);
    let range = match &service.range {
        None => None,
        Some(text) => {
            let ends = text.value.split_once('-').and_then(|(first, last)| {
                let ends: (Ipv4Addr, Ipv4Addr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                (ends.0 <= ends.1).then_some(ends)
            });
            if ends.is_none() {
                reader.complain(text.line, &field, "lab-bad-range", &[("value", &text.value)]);
                return None;
            }
            ends.map(|ends| (ends, text))
        }
    };
    let outside = map.outsides.get(&host).copied();
    let serves = |(place, nic): &(usize, &Nic)| match (&range, v4(nic)) {
        (Some(((first, last), _)), Some((own, prefix_len))) => {
            let network = IpCidr { address: own.into(), prefix_len };
            network.contains((*first).into()) && network.contains((*last).into())
        }
        (None, Some(_)) => Some(*place) != outside,
        (_, None) => false,
    };
    let Some((place, nic)) = nics.iter().enumerate().find(serves) else {
        let (line, value) = range.map_or((service.line, ""), |(_, text)| (text.line, text.value.as_str()));
        reader.complain(line, &field, "lab-bad-range", &[("value", value)]);
        return None;
    };
    let (own, prefix_len) = v4(nic)?;
    let (first, last) = match range {
        Some((ends, _)) => ends,
        None => {
            let host = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
            let base = own.to_bits() & !host;
            let middle = base + host / 2 + 1;
            (Ipv4Addr::from_bits(middle), Ipv4Addr::from_bits((base + host).saturating_sub(1).max(middle)))
        }
    };
    let mut told = |name: &str, text: &Option<At<String>>| -> Option<Ipv4Addr> {
        let text = text.as_ref()?;
        match address_of(map, &text.value) {
            Some(IpAddr::V4(v4)) => Some(v4),
            _ => {
                missing_host(reader, map, &format!("{}.{name}", service.path), text);
                None
            }
        }
    };
    let only_v4 = |address: Option<IpAddr>| match address {
        Some(IpAddr::V4(v4)) => Some(v4),
        _ => None,
    };
    let (router, server) = (told("router", &service.router), told("dns", &service.dns));
    let dns_host = || {
        let mut services = file.services.iter().filter(|service| service.kind == Kind::Dns);
        services.find_map(|dns| {
            let entry = map.entries.iter().position(|entry| entry.name.value == dns.host.value)?;
            // What the server reaches, its clients do.
            if entry == host { Some(own.into()) } else { map.reaches(host, entry) }
        })
    };
    Some(ServiceKind::Dhcp(DhcpPool {
        interface: format!("eth{place}"),
        first,
        last,
        prefix_len,
        router: router.or_else(|| only_v4(map.router_in(nic.network))),
        dns: server.or_else(|| only_v4(dns_host())),
        lease: service.lease.unwrap_or(LEASE),
    }))
}
