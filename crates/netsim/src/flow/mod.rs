//! A gateway's flows: a client's connection or datagrams on one side, the shell's real connection on the other, and
//! what holds each back when the other does not take more. The gateway's side towards the client is an ordinary
//! connection of its own stack, which answers in the name of any address.
//!
//! ```text
//! here   what a flow is; how it begins, what is heard of it, how it ends
//! pump   the connection to the client: calls, and octets both ways
//! ```

mod pump;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use socketlab_stack::{CallId, EchoRequest, Fd, Instant, Intercept, InterceptId, Pid, Refusal};

use crate::gateway::{FlowId, GatewayEvent, GatewayRequest};
use crate::queue::{Event, EventKey};
use crate::record::{GatewayFact, NodeId, RecordKind};
use crate::topology::NodeKind;
use crate::world::{Output, World};

/// What a flow's call to the gateway's own stack was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowCall {
    /// Octets from the client.
    Receive,
    /// Only whether there are any: the real side takes none at the moment.
    Look,
    /// Octets for the client.
    Send,
    /// The connection to a program's published port.
    Connect,
}

/// A conversation of a client with the real world.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) node: NodeId,
    /// The simulated end.
    pub(crate) client: SocketAddr,
    /// What the client thinks it talks to.
    pub(crate) target: SocketAddr,
    /// The real end as the program names it, for the trace: `relay:9007`.
    pub(crate) label: String,
    /// The real end as the relay is asked for it: `127.0.0.1:9007`.
    pub(crate) dialled: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Tcp(Tcp),
    Udp(Udp),
    /// An ICMP echo request that waits for its answer.
    Echo(EchoRequest),
    /// A name that is looked up.
    LookUp,
}

impl Kind {
    /// The number of the protocol in an IP header.
    const fn protocol(&self) -> u8 {
        match self {
            Kind::Tcp(_) => 6,
            // DNS is over UDP.
            Kind::Udp(_) | Kind::LookUp => 17,
            Kind::Echo(_) => 1,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tcp {
    /// From outside: the socket that is being connected to the program's port, and the call that does it.
    pub(crate) connecting: Option<(Fd, Option<CallId>)>,
    /// The client's SYN, until it is answered.
    held: Option<InterceptId>,
    /// The connection to the client.
    pub(crate) fd: Option<Fd>,
    /// Octets that the real side takes.
    pub(crate) credit: u64,
    /// The call that waits for octets from the client.
    pub(crate) receiving: Option<CallId>,
    /// The client has sent octets, but there is no credit.
    data_waits: bool,
    /// The client sent its FIN.
    client_finished: bool,
    to_client: VecDeque<Bytes>,
    /// The call that waits for room in the client's window.
    sending: Option<CallId>,
    /// The real side sent its FIN.
    real_finished: bool,
    /// We passed that on.
    shut: bool,
    /// The real side is gone; close when all is passed on.
    closing: bool,
}

impl Tcp {
    /// A connection that began on the real side.
    pub(crate) fn from_outside(fd: Fd) -> Tcp {
        Tcp { connecting: Some((fd, None)), ..Tcp::default() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Udp {
    pub(crate) open: bool,
    /// Datagrams from before it was open.
    pub(crate) early: VecDeque<Bytes>,
    /// The first datagram, which an ICMP error must quote.
    pub(crate) first: Bytes,
    pub(crate) idle: EventKey,
    /// When the client last asked, if nothing has come back since.
    pub(crate) asked: Option<Instant>,
}

/// Datagrams kept while the real side is being opened. A choice.
const MAX_EARLY: usize = 64;
/// How long a quiet UDP flow is kept. RFC 4787 REQ-5 asks NATs for 2 min, Linux' conntrack takes 30 s for a question
/// without an answer; one minute is between the two.
pub(crate) const UDP_IDLE: Duration = Duration::from_secs(60);
/// How long an answer to a datagram is awaited in real time, if no program sleeps until it comes. A choice: what a
/// program that asks again and again gives a server (a DNS resolver: 5 s, resolv.conf(5)).
const UDP_AWAITED: Duration = Duration::from_secs(5);

/// How a fact is told to a client that waits for its SYN to be answered.
pub(crate) const fn refusal(fact: &GatewayFact) -> Refusal {
    match fact {
        GatewayFact::TimedOut => Refusal::Silence,
        GatewayFact::NotAllowed | GatewayFact::Throttled => icmp(PROHIBITED),
        GatewayFact::Unreachable => icmp(HOST_UNREACHABLE),
        GatewayFact::NoRelay => icmp(NET_UNREACHABLE),
        _ => Refusal::Reset,
    }
}

const fn icmp(code: u8) -> Refusal {
    Refusal::Icmp { kind: UNREACHABLE, code }
}

/// RFC 792: destination unreachable, and its codes (RFC 1812 5.2.7.1 for "prohibited").
pub(crate) const UNREACHABLE: u8 = 3;
const NET_UNREACHABLE: u8 = 0;
pub(crate) const HOST_UNREACHABLE: u8 = 1;
const PORT_UNREACHABLE: u8 = 3;
const PROHIBITED: u8 = 13;

/// The pseudo-process that owns a gateway's connections.
pub(crate) const fn gateway_pid(node: NodeId) -> Pid {
    Pid(0x8000_0000 | node.0)
}

impl World {
    /// The simulated connection of a gateway's flow: the lab's own end, what it talks to, and what that is in the real
    /// world, as the program names it (`relay:9007`). `None`: the flow is over.
    pub fn flow_ends(&self, flow: FlowId) -> Option<(SocketAddr, SocketAddr, &str)> {
        self.flows.get(&flow).map(|found| (found.client, found.target, found.label.as_str()))
    }

    /// A client wants to reach something that is not in the lab.
    pub(crate) fn intercepted(&mut self, node: NodeId, intercept: Intercept) {
        match intercept {
            Intercept::Syn { id, client, target } => self.intercepted_syn(node, id, client, target),
            Intercept::Datagram { client, target, data } => {
                self.intercepted_datagram(node, client, target, data);
            }
            Intercept::Echo(request) => self.intercepted_echo(node, request),
        }
    }

    fn intercepted_syn(&mut self, node: NodeId, id: InterceptId, client: SocketAddr, target: SocketAddr) {
        let now = self.now;
        let known = self.silent.contains(&(client, target));
        let real = self.names.real_target(target.ip()).filter(|_| !known);
        let Some((host, name)) = real else {
            let how = if known { Refusal::Silence } else { icmp(HOST_UNREACHABLE) };
            if let Some(gateway) = self.host_mut(node) {
                gateway.host.intercept_refuse(now, id, how);
            }
            return;
        };
        let flow = self.new_flow();
        let kind = Kind::Tcp(Tcp { held: Some(id), ..Tcp::default() });
        let (label, dialled) = (format!("{name}:{}", target.port()), format!("{host}:{}", target.port()));
        self.flows.insert(flow, Flow { node, client, target, label, dialled, kind });
        self.gateway_fact(flow, GatewayFact::Connecting);
        self.ask(GatewayRequest::OpenTcp { flow, host, port: target.port() });
    }

    fn intercepted_datagram(&mut self, node: NodeId, client: SocketAddr, target: SocketAddr, data: Bytes) {
        let now = self.now;
        let same = |f: &Flow| f.node == node && f.client == client && f.target == target;
        let known = self.flows.iter().find(|(_, f)| matches!(f.kind, Kind::Udp(_)) && same(f));
        let flow = match known.map(|(flow, _)| *flow) {
            Some(flow) => flow,
            None => {
                let Some((host, name)) = self.names.real_target(target.ip()) else {
                    self.refuse_datagram(node, client, target, &data, HOST_UNREACHABLE);
                    return;
                };
                let flow = self.new_flow();
                let idle = self.queue.push(now + UDP_IDLE, Event::FlowIdle { flow });
                let first = data.clone();
                let udp = Udp { open: false, early: VecDeque::new(), first, idle, asked: None };
                let (label, dialled) =
                    (format!("{name}:{}", target.port()), format!("{host}:{}", target.port()));
                self.flows.insert(flow, Flow { node, client, target, label, dialled, kind: Kind::Udp(udp) });
                self.gateway_fact(flow, GatewayFact::Connecting);
                self.ask(GatewayRequest::OpenUdp { flow, host, port: target.port() });
                flow
            }
        };
        self.udp_is_alive(flow);
        let Some(Flow { kind: Kind::Udp(udp), .. }) = self.flows.get_mut(&flow) else { return };
        udp.asked = Some(now);
        if udp.open {
            self.ask(GatewayRequest::Data { flow, bytes: data });
        } else if udp.early.len() < MAX_EARLY {
            udp.early.push_back(data);
        }
    }

    fn refuse_datagram(
        &mut self,
        node: NodeId,
        client: SocketAddr,
        target: SocketAddr,
        data: &[u8],
        code: u8,
    ) {
        let now = self.now;
        if let Some(gateway) = self.host_mut(node) {
            gateway.host.refuse_datagram(now, client, target, data, UNREACHABLE, code);
        }
    }

    /// A real connection is open or being opened, an answer to a datagram is awaited, or a shared LAN is joined: virtual time must not run
    /// ahead of the wall clock.
    pub fn real_time(&self) -> bool {
        self.flows.values().any(|flow| match &flow.kind {
            Kind::Tcp(_) | Kind::Echo(_) | Kind::LookUp => true,
            Kind::Udp(udp) => {
                udp.asked.is_some_and(|asked| self.now.saturating_since(asked) < UDP_AWAITED)
                    || self.somebody_waits_for(flow.client)
            }
        }) || self.awaits_visitors()
            || self.lan_joined
    }

    /// Whether a call sleeps at the UDP socket with this address. Behind a NAT nobody knows whose it is: any call.
    fn somebody_waits_for(&self, client: SocketAddr) -> bool {
        let owner = self.topology.nodes.iter().position(|node| node.addresses.contains(&client.ip()));
        let owner = owner.map(|node| NodeId(node as u32));
        match owner.filter(|node| self.topology.kind(*node) == Some(NodeKind::Host)) {
            Some(node) => self.host(node).is_some_and(|host| host.host.waits_for_datagram(client.port())),
            None => self.a_call_sleeps(),
        }
    }

    fn udp_is_alive(&mut self, flow: FlowId) {
        let at = self.now + UDP_IDLE;
        let Some(Flow { kind: Kind::Udp(udp), .. }) = self.flows.get_mut(&flow) else { return };
        self.queue.cancel(udp.idle);
        udp.idle = self.queue.push(at, Event::FlowIdle { flow });
    }

    /// A UDP flow was quiet for long: it is forgotten.
    pub(crate) fn flow_idle(&mut self, flow: FlowId) {
        self.gateway_fact(flow, GatewayFact::Closed);
        self.forget(flow);
        self.ask(GatewayRequest::Close { flow, reset: false });
    }

    pub(crate) fn new_flow(&mut self) -> FlowId {
        self.next_flow += 1;
        FlowId(self.next_flow)
    }

    pub(crate) fn ask(&mut self, request: GatewayRequest) {
        self.outputs.push_back(Output::Gateway(request));
    }

    pub(crate) fn gateway_fact(&mut self, flow: FlowId, fact: GatewayFact) {
        let Some(Flow { node, client, label, dialled, kind, .. }) = self.flows.get(&flow) else { return };
        let protocol = kind.protocol();
        let (node, client, target, dialled) = (*node, *client, label.clone(), dialled.clone());
        self.record(RecordKind::Gateway { node, protocol, client, target, dialled, fact });
    }

    pub(crate) fn forget(&mut self, flow: FlowId) -> Option<Flow> {
        let gone = self.flows.remove(&flow)?;
        if let Kind::Udp(udp) = &gone.kind {
            self.queue.cancel(udp.idle);
        }
        Some(gone)
    }

    /// News from the real side.
    pub(crate) fn gateway_event(&mut self, event: GatewayEvent) {
        match event {
            GatewayEvent::Opened { flow } => self.opened(flow),
            GatewayEvent::Failed { flow, fact } => self.failed(flow, fact),
            GatewayEvent::Addresses { flow, addresses } => self.looked_up_really(flow, addresses),
            GatewayEvent::Echoed { flow } => self.echoed(flow),
            GatewayEvent::Listening { port, address } => self.listening(port, address),
            GatewayEvent::NotListening { port, fact } => self.not_listening(port, fact),
            GatewayEvent::Accepted { port, flow, remote } => self.visited(port, flow, remote),
            GatewayEvent::Data { flow, bytes } => self.data_for_client(flow, bytes),
            GatewayEvent::Finished { flow } => {
                if let Some(tcp) = self.tcp_flow(flow) {
                    tcp.real_finished = true;
                }
                self.pump(flow);
            }
            GatewayEvent::Closed { flow, reset } => self.closed(flow, reset),
            GatewayEvent::Writable { flow, octets } => {
                if let Some(tcp) = self.tcp_flow(flow) {
                    tcp.credit = tcp.credit.saturating_add(octets);
                    tcp.data_waits = false;
                }
                self.pump(flow);
            }
        }
    }

    pub(crate) fn tcp_flow(&mut self, flow: FlowId) -> Option<&mut Tcp> {
        match self.flows.get_mut(&flow).map(|f| &mut f.kind) {
            Some(Kind::Tcp(tcp)) => Some(tcp),
            _ => None,
        }
    }

    fn opened(&mut self, flow: FlowId) {
        let now = self.now;
        let Some(Flow { node, kind, .. }) = self.flows.get_mut(&flow) else { return };
        let node = *node;
        match kind {
            Kind::Udp(udp) => {
                udp.open = true;
                let early = core::mem::take(&mut udp.early);
                self.gateway_fact(flow, GatewayFact::Connected);
                early.into_iter().for_each(|bytes| self.ask(GatewayRequest::Data { flow, bytes }));
            }
            Kind::Tcp(tcp) => {
                let Some(held) = tcp.held.take() else { return };
                self.gateway_fact(flow, GatewayFact::Connected);
                let gateway = self.host_mut(node);
                let fd = gateway.and_then(|g| g.host.intercept_accept(now, held, gateway_pid(node)));
                match self.tcp_flow(flow) {
                    Some(tcp) if fd.is_some() => tcp.fd = fd,
                    _ => {
                        // The client has given up meanwhile.
                        self.gateway_fact(flow, GatewayFact::Closed);
                        self.forget(flow);
                        self.ask(GatewayRequest::Close { flow, reset: true });
                    }
                }
                self.drain(node, None, None);
                self.pump(flow);
            }
            Kind::Echo(_) | Kind::LookUp => {}
        }
    }

    fn failed(&mut self, flow: FlowId, fact: GatewayFact) {
        let now = self.now;
        self.gateway_fact(flow, fact.clone());
        let Some(Flow { node, client, target, kind, label, .. }) = self.forget(flow) else { return };
        match kind {
            Kind::Tcp(Tcp { held: Some(held), .. }) => {
                let how = refusal(&fact);
                if how == Refusal::Silence {
                    self.silent.insert((client, target));
                }
                if let Some(gateway) = self.host_mut(node) {
                    gateway.host.intercept_refuse(now, held, how);
                }
            }
            // It was open already: what failed is the connection.
            Kind::Tcp(tcp) => self.reset_client(node, tcp),
            Kind::LookUp => self.not_looked_up(&label, &fact),
            Kind::Echo(request) => self.refuse_echo(node, &request, &fact),
            Kind::Udp(udp) => match refusal(&fact) {
                Refusal::Silence => {}
                Refusal::Icmp { code, .. } => self.refuse_datagram(node, client, target, &udp.first, code),
                Refusal::Reset => self.refuse_datagram(node, client, target, &udp.first, PORT_UNREACHABLE),
            },
        }
        self.drain(node, None, None);
    }

    fn data_for_client(&mut self, flow: FlowId, bytes: Bytes) {
        let now = self.now;
        let Some(Flow { node, client, target, kind, .. }) = self.flows.get_mut(&flow) else { return };
        let (node, client, target) = (*node, *client, *target);
        match kind {
            Kind::Tcp(tcp) => {
                if !bytes.is_empty() {
                    tcp.to_client.push_back(bytes);
                }
                self.pump(flow);
            }
            Kind::Echo(_) | Kind::LookUp => {}
            Kind::Udp(udp) => {
                udp.asked = None;
                self.udp_is_alive(flow);
                if let Some(gateway) = self.host_mut(node) {
                    gateway.host.send_datagram_from(now, target, client, &bytes);
                }
                self.drain(node, None, None);
            }
        }
    }

    fn closed(&mut self, flow: FlowId, reset: bool) {
        let fact = if reset { GatewayFact::Reset } else { GatewayFact::Closed };
        let Some(Flow { kind, .. }) = self.flows.get_mut(&flow) else { return };
        match kind {
            Kind::Tcp(tcp) if !reset && tcp.held.is_none() => {
                tcp.closing = true;
                tcp.real_finished = true;
                self.pump(flow);
            }
            Kind::Tcp(tcp) if tcp.held.is_some() => self.failed(flow, GatewayFact::Refused),
            Kind::LookUp => self.failed(flow, fact),
            _ => {
                self.gateway_fact(flow, fact);
                let Some(Flow { node, kind, .. }) = self.forget(flow) else { return };
                if let Kind::Tcp(tcp) = kind {
                    self.reset_client(node, tcp);
                }
            }
        }
    }
}
