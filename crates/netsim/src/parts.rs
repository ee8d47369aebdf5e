//! From a builder's lists to nodes and links that work.

use core::net::IpAddr;

use socketlab_stack::{Host, HostConfig, IfaceId, NatConfig};

use crate::builder::{End, Program, WorldBuilder};
use crate::link::{Direction, Link};
use crate::names::Names;
use crate::node::{Body, HostNode, Node};
use crate::prng::Prng;
use crate::record::{LinkId, NodeId};
use crate::service::Service;
use crate::switch::Switch;
use crate::topology::{NodeKind, Topology};

/// What a world is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) prng: Prng,
    pub(crate) topology: Topology,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) names: Names,
    pub(crate) programs: Vec<Program>,
    pub(crate) services: Vec<Service>,
}

/// Puts the parts together.
pub(crate) fn assemble(builder: WorldBuilder) -> Parts {
    let WorldBuilder {
        seed,
        profile,
        topology,
        links: lines,
        catches,
        routes,
        gateway_names,
        programs,
        services,
        resolvers,
        announcers,
        nats,
        firewalls,
        published: _,
    } = builder;
    let mut prng = Prng::new(seed);
    let mut nodes: Vec<Node> = topology
        .nodes
        .iter()
        .zip(0..)
        .map(|(node, number)| {
            let body = match node.kind {
                NodeKind::Switch => Body::Switch(Switch::default()),
                NodeKind::Lan => Body::Lan(Switch::default()),
                NodeKind::Hub => Body::Hub,
                NodeKind::Host | NodeKind::Router | NodeKind::Gateway => {
                    let host = Host::new(HostConfig {
                        name: node.name.clone(),
                        profile,
                        seed: prng.next(),
                        any_ip: node.kind == NodeKind::Gateway,
                        privileged_ports: true,
                        announce: announcers.contains(&NodeId(number)),
                    });
                    Body::Host(Box::new(HostNode {
                        host,
                        ifaces: Vec::new(),
                        ports: Default::default(),
                        wake: None,
                    }))
                }
            };
            Node { ports: Vec::new(), body }
        })
        .collect();

    let mut links = Vec::new();
    for (number, (a, b, params)) in lines.iter().enumerate() {
        let id = LinkId(number as u32);
        let names = topology.links.get(number).map(|l| &l.interfaces);
        let ends = [(a, names.map(|n| &n.0)), (b, names.map(|n| &n.1))];
        let ports = ends.map(|(end, name)| attach(&mut nodes, end, name, params.mtu));
        for (side, (end, _)) in ends.iter().enumerate() {
            if let Some(node) = nodes.get_mut(end.node.0 as usize) {
                node.ports.push((id, side));
            }
        }
        // Both ends on one node: its second port comes after its first.
        let second = ports[1] + usize::from(a.node == b.node);
        links.push(Link {
            ends: [(a.node, ports[0]), (b.node, second)],
            params: *params,
            directions: [Direction::default(), Direction::default()],
            cut: false,
        });
    }

    for (id, node) in (0u32..).zip(&mut nodes) {
        if let (Body::Host(host), Some(NodeKind::Router)) = (&mut node.body, topology.kind(NodeId(id))) {
            host.host.set_forwarding(true);
        }
    }
    for (node, port, kind, forwards) in nats {
        if let Some(Node { body: Body::Host(host), .. }) = nodes.get_mut(node.0 as usize)
            && let Some(outside) = host.ifaces.get(port).copied()
        {
            host.host.set_nat(Some(NatConfig { kind, outside, forwards }));
        }
    }
    for (node, rules) in firewalls {
        if let Some(Node { body: Body::Host(host), .. }) = nodes.get_mut(node.0 as usize) {
            host.host.set_firewall(rules);
        }
    }

    for (link, from, nth, deed) in catches {
        let line: Option<&mut Link> = links.get_mut(link.0 as usize);
        let side = line.as_ref().and_then(|l| l.ends.iter().position(|(end, _)| *end == from));
        if let (Some(line), Some(side)) = (line, side) {
            line.directions[side].catches.push((nth, deed));
        }
    }

    for (node, network, next_hop) in routes {
        if let Some(Node { body: Body::Host(host), .. }) = nodes.get_mut(node.0 as usize) {
            let iface = outgoing(&lines, node, host, next_hop);
            if let Some(iface) = iface {
                host.host.add_route(network, next_hop, iface);
            }
        }
    }

    let hosts = topology
        .nodes
        .iter()
        .zip(0u32..)
        .filter(|(node, _)| !matches!(node.kind, NodeKind::Switch | NodeKind::Hub | NodeKind::Lan))
        .map(|(node, id)| (NodeId(id), node.name.clone(), node.addresses.clone()))
        .collect();
    let names = Names::new(hosts, gateway_names.into_iter().next(), resolvers);
    Parts { prng, topology, nodes, links, names, programs, services }
}

/// Gives a node the interface of a link's end. Returns the port's number.
fn attach(nodes: &mut [Node], end: &End, name: Option<&String>, mtu: usize) -> usize {
    let Some(node) = nodes.get_mut(end.node.0 as usize) else { return 0 };
    let port = node.ports.len();
    if let Body::Host(host) = &mut node.body {
        let name = name.map_or("eth", String::as_str);
        let iface = host.host.add_interface(name, end.mac, &end.addresses, mtu);
        host.ifaces.push(iface);
        host.ports.insert(iface, port);
    }
    port
}

/// The interface whose network holds the next hop; the first one if there is no next hop.
fn outgoing(
    lines: &[(End, End, crate::link::LinkParams)],
    node: NodeId,
    host: &HostNode,
    next_hop: Option<IpAddr>,
) -> Option<IfaceId> {
    let own = lines.iter().flat_map(|(a, b, _)| [a, b]).filter(|end| end.node == node);
    let position = match next_hop {
        None => Some(0),
        Some(hop) => {
            own.enumerate().find(|(_, e)| e.addresses.iter().any(|c| c.contains(hop))).map(|(i, _)| i)
        }
    };
    position.and_then(|i| host.ifaces.get(i)).copied()
}
