//! Puts a world together: nodes, links, programs. The lab file's crate is the usual caller.

use core::net::IpAddr;
use core::time::Duration;

use socketlab_stack::{FilterRule, IpCidr, MacAddr, NatKind, PortForward, Profile};

use crate::command::Deed;
use crate::link::LinkParams;
use crate::record::{LinkId, NodeId};
use crate::service::{Service, ServiceKind};
use crate::topology::{NodeKind, Topology, TopologyLink, TopologyNode};
use crate::world::World;

/// What a program reads from its standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// What the shell hands in by [`World::stdin`].
    #[default]
    Open,
    /// This text, then end of file.
    Text(String),
    /// Text at times after the program's start; an empty text is the end of file. Stays open otherwise.
    Typed(Vec<(Duration, String)>),
}

/// A program of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The node it runs on.
    pub node: NodeId,
    /// That node's name.
    pub host: String,
    /// Its main file.
    pub file: String,
    /// Arguments after the file's name.
    pub args: Vec<String>,
    /// When [`World::start`] starts it, after the beginning.
    pub start: Duration,
    /// Its standard input.
    pub stdin: Stdin,
    /// Stopped when all other programs have ended.
    pub forever: bool,
}

/// A name that programs use for something behind a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayName {
    /// The name in the lab: `relay`.
    pub name: String,
    /// What the relay is asked for instead: `127.0.0.1`.
    pub target: String,
}

/// A program's port that the real world can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The gateway.
    pub gateway: NodeId,
    /// The host with the program.
    pub host: NodeId,
    /// The program's port.
    pub port: u16,
    /// UDP instead of TCP.
    pub udp: bool,
    /// The real port that is wished for; 0: any.
    pub real: u16,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The node.
    pub node: NodeId,
    /// MAC address of its interface; unused at a switch.
    pub mac: MacAddr,
    /// Addresses of its interface; empty at a switch.
    pub addresses: Vec<IpCidr>,
}

/// RFC 1035 4.2.1.
const DNS_PORT: u16 = 53;

/// Collects the parts of a world.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    pub(crate) seed: u64,
    pub(crate) profile: Profile,
    pub(crate) topology: Topology,
    pub(crate) links: Vec<(End, End, LinkParams)>,
    pub(crate) catches: Vec<(LinkId, NodeId, u64, Deed)>,
    pub(crate) routes: Vec<(NodeId, IpCidr, Option<IpAddr>)>,
    pub(crate) gateway_names: Vec<(NodeId, Vec<GatewayName>)>,
    pub(crate) published: Vec<PublishedPort>,
    /// Hosts that announce their addresses when the world begins.
    pub(crate) announcers: Vec<NodeId>,
    pub(crate) programs: Vec<Program>,
    pub(crate) services: Vec<Service>,
    pub(crate) resolvers: Vec<(NodeId, IpAddr)>,
    pub(crate) nats: Vec<(NodeId, usize, NatKind, Vec<PortForward>)>,
    pub(crate) firewalls: Vec<(NodeId, Vec<FilterRule>)>,
}

impl WorldBuilder {
    /// Nothing yet. `seed` decides initial sequence numbers, ephemeral ports and the links' faults.
    pub fn new(seed: u64) -> Self {
        WorldBuilder {
            seed,
            profile: Profile::default(),
            topology: Topology::default(),
            links: Vec::new(),
            catches: Vec::new(),
            routes: Vec::new(),
            gateway_names: Vec::new(),
            published: Vec::new(),
            announcers: Vec::new(),
            programs: Vec::new(),
            services: Vec::new(),
            resolvers: Vec::new(),
            nats: Vec::new(),
            firewalls: Vec::new(),
        }
    }

    /// Another seed than the one it began with.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// What is connected to what so far.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The programs so far.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// How all stacks behave where the RFCs leave a choice. Linux if this is not called.
    pub fn profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    fn node(&mut self, name: &str, kind: NodeKind) -> NodeId {
        let id = NodeId(self.topology.nodes.len() as u32);
        self.topology.nodes.push(TopologyNode {
            name: name.to_owned(),
            kind,
            addresses: Vec::new(),
            lent: None,
            programs: Vec::new(),
            services: Vec::new(),
        });
        id
    }

    /// A host.
    pub fn host(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Host)
    }

    /// A host says at the beginning what a real one says when its cable is plugged in: gratuitous ARP, duplicate
    /// address detection, multicast listener reports, router solicitation. Others are silent until a program speaks.
    pub fn announce(&mut self, node: NodeId) {
        self.announcers.push(node);
    }

    /// A learning switch.
    pub fn switch(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Switch)
    }

    /// A hub.
    pub fn hub(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Hub)
    }

    /// The port to a shared LAN. A world has one at most; see [`World::handle_lan`].
    pub fn lan(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Lan)
    }

    /// A router: it passes packets on.
    pub fn router(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Router)
    }

    /// A router translates addresses. `outside`: which of its links, from 0, leads to the outside.
    pub fn nat(&mut self, node: NodeId, outside: usize, kind: NatKind, forwards: Vec<PortForward>) {
        self.nats.push((node, outside, kind, forwards));
    }

    /// The packet filter of a host or router.
    pub fn firewall(&mut self, node: NodeId, rules: Vec<FilterRule>) {
        self.firewalls.push((node, rules));
    }

    /// A gateway to the real world.
    pub fn gateway(&mut self, name: &str, names: Vec<GatewayName>) -> NodeId {
        let id = self.node(name, NodeKind::Gateway);
        self.gateway_names.push((id, names));
        id
    }

    /// Lets the real world reach a program's port, through a gateway.
    pub fn publish(&mut self, port: PublishedPort) {
        self.published.push(port);
    }

    /// Joins two nodes. A node gets its interfaces in the order of its links: `eth0`, `eth1`, ...
    pub fn link(&mut self, a: End, b: End, params: LinkParams) -> LinkId {
        let id = LinkId(self.links.len() as u32);
        let interfaces = (self.interface_name(a.node), self.interface_name(b.node));
        for end in [&a, &b] {
            if let Some(node) = self.topology.nodes.get_mut(end.node.0 as usize) {
                node.addresses.extend(end.addresses.iter().map(|cidr| cidr.address));
                node.addresses.sort_by_key(IpAddr::is_ipv6);
            }
        }
        self.topology.links.push(TopologyLink {
            ends: (a.node, b.node),
            interfaces,
            delay: params.delay,
            rate_bits_per_s: params.rate_bits_per_s,
        });
        self.links.push((a, b, params));
        id
    }

    /// Catches the `nth` frame (from 1) that leaves `from` by this link.
    pub fn catch(&mut self, link: LinkId, from: NodeId, nth: u64, deed: Deed) {
        self.catches.push((link, from, nth, deed));
    }

    fn interface_name(&self, node: NodeId) -> String {
        let taken = self.links.iter().flat_map(|(a, b, _)| [a.node, b.node]).filter(|n| *n == node).count();
        match self.topology.nodes.get(node.0 as usize).map(|n| n.kind) {
            Some(NodeKind::Switch | NodeKind::Hub | NodeKind::Lan) => format!("port{}", taken + 1),
            _ => format!("eth{taken}"),
        }
    }

    /// A route of a host. `next_hop` none: everything in `network` is on the first interface's link.
    pub fn route(&mut self, node: NodeId, network: IpCidr, next_hop: Option<IpAddr>) {
        self.routes.push((node, network, next_hop));
    }

    /// A program; its place in the order of these calls is its number.
    pub fn program(&mut self, program: Program) -> usize {
        let number = self.programs.len();
        if let Some(node) = self.topology.nodes.get_mut(program.node.0 as usize) {
            node.programs.push(number);
        }
        self.programs.push(program);
        number
    }

    /// A built-in service. It starts with the world.
    pub fn service(&mut self, service: Service) {
        if let Some(node) = self.topology.nodes.get_mut(service.node.0 as usize) {
            node.services.push((service.kind.name(), service.port));
        }
        self.services.push(service);
    }

    /// Programs on this node ask this DNS server for names; without it they find them in their hosts file.
    pub fn resolver(&mut self, node: NodeId, server: IpAddr) {
        self.resolvers.push((node, server));
    }

    /// The world at time zero, with nothing started.
    pub fn build(mut self) -> World {
        for (node, _) in self.gateway_names.clone() {
            // A gateway is the resolver of those behind it, as home routers are.
            if !self.services.iter().any(|own| own.node == node && own.port == DNS_PORT) {
                let kind = ServiceKind::Dns { names: Vec::new() };
                self.service(Service { node, port: DNS_PORT, kind });
            }
        }
        World::new(self)
    }
}
