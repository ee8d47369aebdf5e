//! Ports of programs that the real world can reach: the gateway asks the shell for a real port, and opens a connection
//! to the program for each real one, in the name of the real peer. To the program it is an ordinary client: accept(2)
//! returns the address that the peer has in the real world. Peers on the relay's own machine are the exception: what
//! they are called there (127.0.0.1) means something else on every host, so they get a stand-in address.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use bytes::Bytes;
use socketlab_stack::{Call, Failure, Ret, SockAddr};

use crate::builder::PublishedPort;
use crate::flow::{Flow, FlowCall, Kind, Tcp, UDP_IDLE, Udp, gateway_pid};
use crate::gateway::{FlowId, GatewayRequest, PortId};
use crate::names::Found;
use crate::queue::Event;
use crate::record::{GatewayFact, NodeId, RecordKind};
use crate::world::World;

/// A published port and how it is.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    port: PublishedPort,
    /// It was asked for, or is open.
    wanted: bool,
}

impl Published {
    pub(crate) fn new(port: PublishedPort) -> Published {
        Published { port, wanted: false }
    }
}

impl World {
    /// Asks for the lab's real ports.
    pub(crate) fn publish_ports(&mut self) {
        for number in 0..self.published.len() {
            let Some(published) = self.published.get_mut(number) else { continue };
            published.wanted = true;
            let PublishedPort { udp, real, .. } = published.port;
            self.ask(GatewayRequest::Listen { port: PortId(number as u32), udp, number: real });
        }
    }

    /// Somebody may come from outside, and a program is there to serve them: virtual time follows the wall clock.
    pub(crate) fn awaits_visitors(&self) -> bool {
        self.published.iter().any(|published| published.wanted)
            && self.a_call_sleeps()
            && !(self.auto_stop && self.only_servers_left())
    }

    fn published_port(&self, port: PortId) -> Option<(PublishedPort, SocketAddr)> {
        let published = self.published.get(port.0 as usize)?.port.clone();
        let node = self.topology.nodes.get(published.host.0 as usize)?;
        let own = self.names.of_host(&node.name);
        let address = own.into_iter().chain(node.addresses.iter().copied()).find(IpAddr::is_ipv4)?;
        let address = SocketAddr::new(address, published.port);
        Some((published, address))
    }

    fn port_fact(&mut self, port: PortId, label: String, fact: GatewayFact) {
        let Some((published, client)) = self.published_port(port) else { return };
        let (node, protocol) = (published.gateway, if published.udp { 17 } else { 6 });
        let (target, dialled) = (label.clone(), label);
        self.record(RecordKind::Gateway { node, protocol, client, target, dialled, fact });
    }

    pub(crate) fn listening(&mut self, port: PortId, address: SocketAddr) {
        self.port_fact(port, address.to_string(), GatewayFact::Published);
    }

    pub(crate) fn not_listening(&mut self, port: PortId, fact: GatewayFact) {
        if let Some(published) = self.published.get_mut(port.0 as usize) {
            published.wanted = false;
            let label = match published.port.real {
                0 => "a port of the relay".to_owned(),
                number => format!("port {number} of the relay"),
            };
            self.port_fact(port, label, fact);
        }
    }

    /// Somebody connected to a published port, or sent it a first datagram.
    pub(crate) fn visited(&mut self, port: PortId, flow: FlowId, remote: SocketAddr) {
        let now = self.now;
        let found = self.published_port(port).filter(|_| !self.flows.contains_key(&flow));
        let Some((published, client)) = found else {
            return self.ask(GatewayRequest::Close { flow, reset: true });
        };
        let node = published.gateway;
        let Some(ip) = self.seen_as(node, remote.ip()) else {
            return self.ask(GatewayRequest::Close { flow, reset: true });
        };
        let target = SocketAddr::new(ip, remote.port());
        let (label, dialled) = (remote.to_string(), remote.to_string());
        if published.udp {
            let idle = self.queue.push(now + UDP_IDLE, Event::FlowIdle { flow });
            let (early, first) = (VecDeque::new(), Bytes::new());
            let udp = Udp { open: true, early, first, idle, asked: None };
            self.flows.insert(flow, Flow { node, client, target, label, dialled, kind: Kind::Udp(udp) });
            return self.gateway_fact(flow, GatewayFact::Accepted);
        }
        let gateway = self.host_mut(node);
        let Some(fd) = gateway.and_then(|g| g.host.foreign_socket(now, target, gateway_pid(node))) else {
            return self.ask(GatewayRequest::Close { flow, reset: true });
        };
        let tcp = Tcp::from_outside(fd);
        self.flows.insert(flow, Flow { node, client, target, label, dialled, kind: Kind::Tcp(tcp) });
        self.gateway_fact(flow, GatewayFact::Accepted);
        let call = Call::Connect { fd, addr: SockAddr::Ip(client), timeout: None };
        self.flow_call(node, flow, FlowCall::Connect, call);
        self.drain(node, None, None);
    }

    /// The program's host has answered.
    pub(crate) fn visitor_connected(&mut self, flow: FlowId, result: Result<Ret, Failure>) {
        let Some(tcp) = self.tcp_flow(flow) else { return };
        let Some((fd, _)) = tcp.connecting.take() else { return };
        match result {
            Ok(_) => {
                tcp.fd = Some(fd);
                self.gateway_fact(flow, GatewayFact::Connected);
                self.pump(flow);
            }
            Err(_) => {
                tcp.connecting = Some((fd, None));
                self.gateway_fact(flow, GatewayFact::Refused);
                if let Some(Flow { node, kind: Kind::Tcp(tcp), .. }) = self.forget(flow) {
                    self.close_client(node, &tcp);
                }
                self.ask(GatewayRequest::Close { flow, reset: true });
            }
        }
    }

    /// The address that a peer has in the lab: its own, unless that means something else there.
    fn seen_as(&mut self, gateway: NodeId, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        let taken = self.topology.nodes.iter().any(|node| node.addresses.contains(&ip));
        let near = self.host(gateway).is_some_and(|node| node.host.is_on_link(ip));
        if ip.is_ipv4() && !ip.is_loopback() && !ip.is_unspecified() && !taken && !near {
            return Some(ip);
        }
        // The lab's programs are reached over IPv4 here; others have a name that stands for them.
        let name = ip.to_string().replace(':', "-").trim_matches('-').to_owned();
        match self.names.foreign(&name) {
            Found::Addresses(found) => found.first().map(|(_, address)| *address),
            Found::New { gateway, address } => {
                self.record(RecordKind::NameResolved { node: gateway, name, address });
                Some(address)
            }
            _ => None,
        }
    }
}
