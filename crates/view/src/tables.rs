//! What nodes keep in tables, in the words of Linux's commands: interfaces, routes, neighbours, address translation,
//! packet filter, and what a switch has learnt.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socketlab_netsim::SwitchEntry;
use socketlab_netsim::record::NodeId;
use socketlab_stack::{FilterAction, FilterRule, HostSnapshot, IfaceId, Instant, IpCidr};

use crate::event::{HostRow, NodeTable};

fn table(key: &str, columns: &[&str], rows: Vec<Vec<String>>) -> NodeTable {
    NodeTable { key: key.to_string(), columns: columns.iter().map(ToString::to_string).collect(), rows }
}

/// What `bridge fdb` would print of a switch. `ports`: the name of the node behind each port.
pub(crate) fn of_switch(at: Instant, node: NodeId, entries: &[SwitchEntry], ports: &[String]) -> HostRow {
    // An age that changes with every look would make every look a change: whole seconds.
    let rows = entries.iter().map(|entry| {
        let port = ports.get(entry.port).cloned().unwrap_or_default();
        let age = at.saturating_since(entry.heard).as_secs();
        vec![entry.mac.to_string(), format!("{} {port}", entry.port + 1), format!("{age} s")]
    });
    let tables = vec![table("table-switch", &["column-mac", "column-port", "column-age"], rows.collect())];
    HostRow { node: node.0, sockets: Vec::new(), tables }
}

/// The first IP address, other than loopback and link-local ones, that a node's table of interfaces has: `10.0.0.11`.
pub(crate) fn first_address(tables: &[NodeTable]) -> Option<&str> {
    let interfaces = tables.iter().find(|table| table.key == "table-interfaces")?;
    let others = interfaces.rows.iter().filter(|row| row.first().is_some_and(|name| name != "lo"));
    let addresses = others.filter_map(|row| row.get(1)).flat_map(|addresses| addresses.split(", "));
    let mut plain = addresses.filter_map(|address| address.split('/').next());
    plain.find(|address| !address.is_empty() && !address.starts_with("fe80:"))
}

/// All tables of a host. What only routers have is left out where it is empty.
pub(crate) fn of_host(host: &HostSnapshot) -> Vec<NodeTable> {
    let name = |iface: IfaceId| host.ifaces.get(iface.0).map_or("", |i| i.name.as_str());
    let ifaces = host.ifaces.iter().map(|i| {
        let addresses: Vec<_> = i.addresses.iter().map(ToString::to_string).collect();
        let mac = if i.name == "lo" { String::new() } else { i.mac.to_string() };
        vec![i.name.clone(), addresses.join(", "), mac, i.mtu.to_string()]
    });
    let routes = host.routes.iter().map(|(network, via, iface)| {
        vec![destination(*network), via.map(|v| v.to_string()).unwrap_or_default(), name(*iface).to_string()]
    });
    let neighbours = host.neighbours.iter().map(|n| {
        let mac = n.mac.map(|m| m.to_string()).unwrap_or_default();
        vec![n.address.to_string(), name(n.iface).to_string(), mac, format!("{:?}", n.state).to_uppercase()]
    });
    let mut tables = vec![
        table(
            "table-interfaces",
            &["column-interface", "column-addresses", "column-mac", "column-mtu"],
            ifaces.collect(),
        ),
        table("table-routes", &["column-destination", "column-via", "column-interface"], routes.collect()),
        table(
            "table-neighbours",
            &["column-address", "column-interface", "column-mac", "column-state"],
            neighbours.collect(),
        ),
    ];
    let nat = host.nat.iter().map(|entry| {
        let inside = entry.inside.to_string();
        vec![protocol(entry.protocol), inside, entry.outside_port.to_string(), entry.peer.to_string()]
    });
    let forwards = host.port_forwards.iter().map(|forward| {
        vec![protocol(forward.protocol), forward.to.to_string(), forward.port.to_string(), "*".to_string()]
    });
    let nat: Vec<_> = forwards.chain(nat).collect();
    if !nat.is_empty() {
        let columns = ["column-protocol", "column-inside", "column-outside-port", "column-peer"];
        tables.push(table("table-nat", &columns, nat));
    }
    if !host.firewall.is_empty() {
        let rows = host.firewall.iter().map(|r| {
            let action = match r.rule.action {
                FilterAction::Accept => "ACCEPT",
                FilterAction::Drop => "DROP",
                FilterAction::Reject => "REJECT",
            };
            vec![r.packets.to_string(), action.to_string(), rule(&r.rule)]
        });
        tables.push(table(
            "table-firewall",
            &["column-packets", "column-action", "column-rule"],
            rows.collect(),
        ));
    }
    tables
}

/// A network as `ip route` writes it: masked, and everything as `default`.
fn destination(network: IpCidr) -> String {
    let len = u32::from(network.prefix_len);
    if len == 0 {
        return "default".to_string();
    }
    let masked = match network.address {
        IpAddr::V4(a) => {
            IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & u32::MAX.checked_shl(32 - len.min(32)).unwrap_or(0)))
        }
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(
            a.to_bits() & u128::MAX.checked_shl(128 - len.min(128)).unwrap_or(0),
        )),
    };
    format!("{masked}/{len}")
}

fn protocol(number: u8) -> String {
    match number {
        6 => "tcp".to_string(),
        17 => "udp".to_string(),
        1 => "icmp".to_string(),
        58 => "ipv6-icmp".to_string(),
        other => other.to_string(),
    }
}

/// A rule in iptables' words.
fn rule(rule: &FilterRule) -> String {
    let ports = |(first, last): (u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    };
    let mut words = vec![format!("{:?}", rule.direction).to_uppercase()];
    words.extend(rule.protocol.map(|p| format!("-p {}", protocol(p))));
    words.extend(rule.from.map(|from| format!("-s {}", destination(from))));
    words.extend(rule.to.map(|to| format!("-d {}", destination(to))));
    words.extend(rule.source_ports.map(|range| format!("--sport {}", ports(range))));
    words.extend(rule.ports.map(|range| format!("--dport {}", ports(range))));
    words.extend(rule.state.map(|state| format!("--ctstate {}", format!("{state:?}").to_uppercase())));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_masked_as_ip_route_prints_them() {
        let of = |text: &str, prefix_len: u8| {
            destination(IpCidr {
                address: text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                prefix_len,
            })
        };
        assert_eq!(of("10.0.0.80", 24), "10.0.0.0/24");
        assert_eq!(of("10.0.0.80", 32), "10.0.0.80/32");
        assert_eq!(of("0.0.0.0", 0), "default");
        assert_eq!(of("fd00::80", 64), "fd00::/64");
        assert_eq!(of("fd00::80", 128), "fd00::80/128");
    }
}
