//! Questions of the lab to the real world that are no connections: an ICMP echo, which a real one answers, and a name,
//! which the real world's resolver looks up.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use socketlab_stack::{EchoRequest, Refusal};

use crate::flow::{Flow, HOST_UNREACHABLE, Kind, UNREACHABLE, refusal};
use crate::gateway::{FlowId, GatewayRequest};
use crate::names::{Found, Names};
use crate::record::{GatewayFact, NodeId, RecordKind};
use crate::world::World;

/// RFC 1035 4.2.1.
const DNS_PORT: u16 = 53;

impl World {
    /// Somebody pings an address that is not in the lab: the real side does, too, and the answer waits for its answer.
    pub(crate) fn intercepted_echo(&mut self, node: NodeId, request: EchoRequest) {
        let (client, target) = (SocketAddr::new(request.client, 0), SocketAddr::new(request.target, 0));
        let Some((host, name)) = self.names.real_target(request.target) else {
            let now = self.now;
            if let Some(gateway) = self.host_mut(node) {
                gateway.host.refuse_echo(now, &request, UNREACHABLE, HOST_UNREACHABLE);
            }
            return;
        };
        let flow = self.new_flow();
        // As a rule for it is written.
        let dialled = format!("{host}/icmp");
        self.flows
            .insert(flow, Flow { node, client, target, label: name, dialled, kind: Kind::Echo(request) });
        self.gateway_fact(flow, GatewayFact::Pinging);
        self.ask(GatewayRequest::Ping { flow, host });
    }

    /// The real answer came.
    pub(crate) fn echoed(&mut self, flow: FlowId) {
        let now = self.now;
        if !matches!(self.flows.get(&flow), Some(Flow { kind: Kind::Echo(_), .. })) {
            return;
        }
        self.gateway_fact(flow, GatewayFact::Echoed);
        let Some(Flow { node, kind: Kind::Echo(request), .. }) = self.forget(flow) else { return };
        if let Some(gateway) = self.host_mut(node) {
            gateway.host.answer_echo_from(now, &request);
        }
        self.drain(node, None, None);
    }

    /// No answer will come.
    pub(crate) fn refuse_echo(&mut self, node: NodeId, request: &EchoRequest, fact: &GatewayFact) {
        let now = self.now;
        let code = match refusal(fact) {
            Refusal::Icmp { code, .. } => code,
            Refusal::Reset => HOST_UNREACHABLE,
            // As in the real world.
            Refusal::Silence => return,
        };
        if let Some(gateway) = self.host_mut(node) {
            gateway.host.refuse_echo(now, request, UNREACHABLE, code);
        }
    }

    /// A DNS server in the lab does not know a name: the real world is asked.
    pub(crate) fn look_up_really(&mut self, asker: SocketAddr, name: String) {
        let Some(node) = self.names.gateway() else { return };
        let flow = self.new_flow();
        let target = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DNS_PORT);
        let (label, dialled, host) = (name.clone(), name.clone(), name);
        self.flows.insert(flow, Flow { node, client: asker, target, label, dialled, kind: Kind::LookUp });
        self.gateway_fact(flow, GatewayFact::LookingUp);
        self.ask(GatewayRequest::LookUp { flow, host });
    }

    /// The real world knows the name.
    pub(crate) fn looked_up_really(&mut self, flow: FlowId, addresses: Vec<IpAddr>) {
        if !matches!(self.flows.get(&flow), Some(Flow { kind: Kind::LookUp, .. })) {
            return;
        }
        self.gateway_fact(flow, GatewayFact::LookedUp);
        let Some(Flow { label, .. }) = self.forget(flow) else { return };
        let good: Vec<IpAddr> = addresses.into_iter().filter(|ip| self.is_elsewhere(*ip)).collect();
        if good.is_empty() {
            self.stand_in_for(&label);
        } else {
            self.names.found(self.now, &label, good);
        }
        self.wake_resolvers();
    }

    /// The real world has no answer to the question for a name. Where nobody tells, a stand-in does: who connects to it
    /// hears why, and a relay may open by name what it does not look up.
    pub(crate) fn not_looked_up(&mut self, name: &str, fact: &GatewayFact) {
        match fact {
            GatewayFact::NoSuchName => self.names.not_found(self.now, name, false),
            GatewayFact::NotAllowed | GatewayFact::NoRelay => self.stand_in_for(name),
            _ => self.names.not_found(self.now, name, true),
        }
        self.wake_resolvers();
    }

    fn stand_in_for(&mut self, name: &str) {
        if let Found::New { gateway, address } = self.names.foreign(name) {
            self.record(RecordKind::NameResolved { node: gateway, name: name.to_owned(), address });
        }
    }

    /// An address that means the same in the lab as in the real world: none of the lab's own networks.
    fn is_elsewhere(&self, ip: IpAddr) -> bool {
        let special = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || Names::is_stand_in(ip);
        let hosts = (0..self.nodes.len() as u32).filter_map(|node| self.host(NodeId(node)));
        let taken = self.topology.nodes.iter().any(|node| node.addresses.contains(&ip));
        !special && !taken && !hosts.into_iter().any(|node| node.host.is_on_link(ip))
    }
}
