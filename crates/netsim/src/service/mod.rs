//! Built-in services: programs in Rust that use the same calls as students' programs, at the same price, and leave the
//! same records. Each is a state machine, so that a world with services can be cloned.
//!
//! ```text
//! here      who runs; calls out, answers in
//! reactor   a server as one writes it with poll(2): sockets, connections, what is still to be sent
//! dns, dhcp, http, echo, chat   what is said
//! lookup    getaddrinfo(3) with a DNS server: the resolver inside a student's program
//! dhclient  the DHCP client of a host
//! ```

mod chat;
mod dhclient;
mod dhcp;
mod dns;
mod echo;
mod http;
mod lookup;
mod reactor;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use socketlab_stack::{Call, CallId, Cause, Failure, Fd, Instant, IpCidr, Outcome, Pid, Ret};

pub(crate) use lookup::{Lookup, Question};

use crate::abi::{Reply, Request, Shape};
use crate::names::{Foreign, Found, Names};
use crate::process::Caller;
use crate::python;
use crate::queue::Event;
use crate::record::{NodeId, RecordKind};
use crate::world::World;
use dhclient::DhcpClient;
use reactor::{App, Reactor};

/// A built-in service of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The node it runs on.
    pub node: NodeId,
    /// Its port; that of the protocol, usually.
    pub port: u16,
    /// What it does.
    pub kind: ServiceKind,
}

/// What a service does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Answers for the names of all hosts of the lab, and for these. With a gateway in the lab also for foreign names.
    Dns {
        /// More names, with their addresses.
        names: Vec<(String, IpAddr)>,
    },
    /// Gives out addresses.
    Dhcp(DhcpPool),
    /// A web server with these pages: path and text.
    Http {
        /// Path, and what is there.
        pages: Vec<(String, String)>,
    },
    /// RFC 862, over TCP and UDP.
    Echo,
    /// A room in which every line goes to all others. The first line is one's name.
    Chat,
    /// Asks for an address for this interface (counted from 0), before the host's programs start.
    DhcpClient {
        /// Which of the node's links.
        port: usize,
    },
}

/// What a DHCP server gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpPool {
    /// The interface it serves: `eth0`.
    pub interface: String,
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix_len: u8,
    /// Default router.
    pub router: Option<Ipv4Addr>,
    /// DNS server.
    pub dns: Option<Ipv4Addr>,
    /// How long an address is lent.
    pub lease: Duration,
}

impl ServiceKind {
    /// Its name in a lab file: `dns`.
    pub const fn name(&self) -> &'static str {
        match self {
            ServiceKind::Dns { .. } => "dns",
            ServiceKind::Dhcp(_) => "dhcp",
            ServiceKind::Http { .. } => "http",
            ServiceKind::Echo => "echo",
            ServiceKind::Chat => "chat",
            ServiceKind::DhcpClient { .. } => "dhclient",
        }
    }

    /// What it is called where a program would have its file: `dns server`.
    pub const fn process_name(&self) -> &'static str {
        match self {
            ServiceKind::Dns { .. } => "dns server",
            ServiceKind::Dhcp(_) => "dhcp server",
            ServiceKind::Http { .. } => "http server",
            ServiceKind::Echo => "echo server",
            ServiceKind::Chat => "chat server",
            ServiceKind::DhcpClient { .. } => "dhcp client",
        }
    }
}

/// What a service wants next.
#[derive(Debug)]
pub(crate) enum Step {
    /// This call.
    Call(Call),
    /// To be left alone for a while. Nothing waits for it.
    Sleep(Duration),
    /// Its interface is to have this address; then on.
    Configure(Lease),
    /// The lookup is over: this is the program's answer.
    Answer(Reply),
    /// Nothing more.
    Over,
}

/// An address that was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Which of the node's links.
    pub(crate) port: usize,
    /// None: it is taken away.
    pub(crate) address: Option<IpCidr>,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) dns: Option<Ipv4Addr>,
    pub(crate) server: Ipv4Addr,
    pub(crate) time: Duration,
}

/// What a service may look at.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) names: &'a mut Names,
    /// Facts for the trace.
    pub(crate) notes: Vec<RecordKind>,
    /// Names to look up in the real world, and for whom.
    pub(crate) asks: Vec<(SocketAddr, String)>,
}

impl Cx<'_> {
    /// What is known of a name that is none of the lab's; asks the real world if that is nothing.
    fn foreign(&mut self, asker: SocketAddr, name: &str) -> Foreign {
        if self.names.stands_in(name) {
            return match self.names.foreign(name) {
                Found::Addresses(found) => {
                    Foreign::Addresses(found.into_iter().map(|(_, address)| address).collect())
                }
                Found::New { gateway, address } => {
                    self.notes.push(RecordKind::NameResolved {
                        node: gateway,
                        name: name.to_owned(),
                        address,
                    });
                    Foreign::Addresses(vec![address])
                }
                Found::Error(_) | Found::Ask(_) => Foreign::NoSuchName,
            };
        }
        let found = self.names.ask_foreign(self.now, name);
        if found == Foreign::Ask {
            self.asks.push((asker, name.to_owned()));
        }
        found
    }
}

/// What thinks.
#[derive(Clone, Debug)]
enum Brain {
    Reactor(Box<Reactor>),
    Client(Box<DhcpClient>),
    Lookup(Box<Lookup>),
}

/// A service that runs, or a lookup inside a program.
#[derive(Clone, Debug)]
pub(crate) struct Servant {
    node: NodeId,
    pid: Pid,
    tid: u32,
    place: String,
    brain: Brain,
    /// The call it waits for, and whether that ends by itself.
    call: Option<(CallId, bool)>,
    answer: Option<(CallId, Result<Ret, Failure>)>,
    /// A DHCP client that has no answer yet.
    configuring: bool,
}

/// What a call costs, as for programs.
const CALL_COST: Duration = Duration::from_micros(10);

/// The octet string of the only option that services set besides integers.
pub(crate) fn set_flag(fd: Fd, name: i32) -> Call {
    const SOL_SOCKET: i32 = 1;
    Call::SetSockOpt {
        fd,
        level: SOL_SOCKET,
        name,
        value: bytes::Bytes::copy_from_slice(&1i32.to_le_bytes()),
    }
}

impl World {
    /// Starts the lab's services, at time zero.
    pub(crate) fn start_services(&mut self) {
        for number in 0..self.services.len() {
            self.next_pid += 1;
            let pid = Pid(self.next_pid);
            let Some(Service { node, port, kind }) = self.services.get(number).cloned() else { continue };
            let names = self.topology.nodes.get(node.0 as usize).map(|n| n.name.clone()).unwrap_or_default();
            let own = self.address_of(node);
            let place = kind.process_name();
            let brain = match kind {
                ServiceKind::DhcpClient { port } => {
                    let host = self.host(node).map(|h| h.host.snapshot());
                    let iface = host.and_then(|h| h.ifaces.get(port + 1).cloned());
                    let Some(iface) = iface else { continue };
                    Brain::Client(Box::new(DhcpClient::new(port, iface.name, iface.mac)))
                }
                ServiceKind::Dns { names } => Brain::Reactor(Box::new(Reactor::udp(port, App::dns(names)))),
                ServiceKind::Dhcp(pool) => {
                    let interface = pool.interface.clone();
                    Brain::Reactor(Box::new(Reactor::on(port, interface, App::dhcp(pool, own))))
                }
                ServiceKind::Http { pages } => {
                    Brain::Reactor(Box::new(Reactor::tcp(port, App::http(&names, pages))))
                }
                ServiceKind::Echo => Brain::Reactor(Box::new(Reactor::both(port, App::Echo))),
                ServiceKind::Chat => Brain::Reactor(Box::new(Reactor::tcp(port, App::chat()))),
            };
            let configuring = matches!(brain, Brain::Client(_));
            self.new_servant(node, (pid, 1), place.to_owned(), brain, configuring);
            let Some(kind) = self.services.get(number).map(|s| s.kind.name()) else { continue };
            self.records.push(crate::record::Record {
                at: self.now,
                kind: RecordKind::ServiceStarted { node, pid, kind },
            });
        }
    }

    fn address_of(&self, node: NodeId) -> Ipv4Addr {
        let addresses = self.topology.nodes.get(node.0 as usize).map(|n| n.addresses.as_slice());
        let v4 = addresses.unwrap_or_default().iter().find_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        });
        v4.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    fn new_servant(
        &mut self,
        node: NodeId,
        (pid, tid): (Pid, u32),
        place: String,
        brain: Brain,
        configuring: bool,
    ) -> u32 {
        let number = self.next_servant;
        self.next_servant += 1;
        let servant = Servant { node, pid, tid, place, brain, call: None, answer: None, configuring };
        self.servants.insert(number, servant);
        self.queue.push(self.now, Event::Serve { servant: number });
        number
    }

    /// The resolver inside a program begins to ask a DNS server.
    pub(crate) fn new_lookup(
        &mut self,
        node: NodeId,
        (pid, tid): (Pid, u32),
        place: String,
        lookup: Lookup,
    ) -> u32 {
        self.new_servant(node, (pid, tid), place, Brain::Lookup(Box::new(lookup)), false)
    }

    /// A service's call is answered, or it begins.
    pub(crate) fn serve(&mut self, number: u32) {
        let Some(mut servant) = self.servants.remove(&number) else { return };
        let answer = servant.answer.take();
        if let Some((call, result)) = &answer {
            self.record_servants_return(&servant, *call, result);
        }
        let mut cx = Cx { now: self.now, names: &mut self.names, notes: Vec::new(), asks: Vec::new() };
        let answer = answer.map(|(_, result)| result);
        let step = match &mut servant.brain {
            Brain::Reactor(reactor) => reactor.resume(&mut cx, answer),
            Brain::Client(client) => client.resume(&mut cx, answer),
            Brain::Lookup(lookup) => lookup.resume(answer),
        };
        let Cx { notes, asks, .. } = cx;
        for note in notes {
            self.record(note);
        }
        for (asker, name) in asks {
            self.look_up_really(asker, name);
        }
        match step {
            Step::Call(call) => {
                self.servants.insert(number, servant);
                self.servants_call(number, call);
            }
            Step::Sleep(time) => {
                let at = self.now + time;
                self.servants.insert(number, servant);
                self.queue.push(at, Event::Rest { servant: number });
            }
            Step::Configure(lease) => {
                servant.configuring = false;
                let node = servant.node;
                self.servants.insert(number, servant);
                self.configure(node, lease);
                self.queue.push(self.now, Event::Serve { servant: number });
            }
            Step::Answer(reply) => self.looked_up(servant.pid, servant.tid, reply),
            Step::Over => {
                if servant.configuring {
                    self.start_those_who_wait(servant.node);
                }
            }
        }
    }

    fn servants_call(&mut self, number: u32, call: Call) {
        let Some(servant) = self.servants.get(&number) else { return };
        let (node, pid, tid, place) = (servant.node, servant.pid, servant.tid, servant.place.clone());
        let id = CallId(self.next_call);
        self.next_call += 1;
        let request = Request::Kernel(call.clone(), Shape::Plain);
        let socket = request.fd().and_then(|fd| self.host(node).and_then(|h| h.host.socket_of(pid, fd)));
        let (name, args) = (call.name(), request.args());
        self.record(RecordKind::CallEntered { call: id, pid, tid, name, args, socket, place });
        let bounded = request.timeout().is_some();
        let now = self.now;
        let Some(host) = self.host_mut(node) else { return };
        let outcome = host.host.call(now, pid, id, call);
        if let Some(servant) = self.servants.get_mut(&number) {
            match outcome {
                Outcome::Done(result) => {
                    servant.answer = Some((id, result));
                    self.queue.push(now + CALL_COST, Event::Serve { servant: number });
                }
                Outcome::Blocked => {
                    servant.call = Some((id, bounded));
                    self.calls.insert(id, Caller::Servant(number));
                }
            }
        }
        self.drain(node, Some(id), None);
    }

    /// The stack has answered a service's call.
    pub(crate) fn servant_completed(&mut self, number: u32, call: CallId, result: Result<Ret, Failure>) {
        let Some(servant) = self.servants.get_mut(&number) else { return };
        servant.call = None;
        servant.answer = Some((call, result));
        self.queue.push(self.now + CALL_COST, Event::Serve { servant: number });
    }

    /// The real world has answered: DNS servers whose clients wait for that look again.
    pub(crate) fn wake_resolvers(&mut self) {
        let waiting =
            self.servants.iter().filter_map(|(number, servant)| match (&servant.brain, servant.call) {
                (Brain::Reactor(reactor), Some((call, _))) if reactor.waits_for_real_world() => {
                    Some((*number, servant.node, call))
                }
                _ => None,
            });
        let now = self.now;
        for (number, node, call) in waiting.collect::<Vec<_>>() {
            self.calls.remove(&call);
            if let Some(host) = self.host_mut(node) {
                host.host.cancel(now, call);
            }
            self.servant_completed(number, call, Ok(Ret::Ready(Vec::new())));
        }
    }

    fn record_servants_return(&mut self, servant: &Servant, call: CallId, result: &Result<Ret, Failure>) {
        let reply = Reply::of(result, Shape::Plain);
        let cause = match result {
            Err(Failure::Errno(_, cause)) => cause.clone(),
            _ => Cause::Rule,
        };
        let made = match result {
            Ok(Ret::Fd(fd) | Ret::Accepted(fd, _)) => Some(*fd),
            _ => None,
        };
        let made =
            made.and_then(|fd| self.host(servant.node).and_then(|h| h.host.socket_of(servant.pid, fd)));
        let failure = reply.error.map(|name| (name, cause));
        self.record(RecordKind::CallReturned { call, result: python::repr(&reply.value), failure, made });
    }

    /// Whether some service's work goes on by itself, and a program waits for it: a lookup, a host that asks for its
    /// address.
    pub(crate) fn a_servant_works(&self) -> bool {
        self.servants.values().any(|servant| {
            servant.configuring
                || matches!(servant.brain, Brain::Lookup(_))
                    && servant.call.is_none_or(|(_, bounded)| bounded)
        })
    }

    /// Whether a host still asks for its address.
    pub(crate) fn is_configuring(&self, node: NodeId) -> bool {
        self.servants.values().any(|servant| servant.configuring && servant.node == node)
    }

    /// A program's lookup is broken off: the program was interrupted, or is over.
    pub(crate) fn drop_lookup(&mut self, number: u32) {
        let Some(servant) = self.servants.remove(&number) else { return };
        let now = self.now;
        if let Some((call, _)) = servant.call {
            self.calls.remove(&call);
            if let Some(host) = self.host_mut(servant.node) {
                host.host.cancel(now, call);
            }
        }
        if let Brain::Lookup(lookup) = &servant.brain
            && let Some(fd) = lookup.fd()
        {
            let id = CallId(self.next_call);
            self.next_call += 1;
            if let Some(host) = self.host_mut(servant.node) {
                host.host.call(now, servant.pid, id, Call::Close { fd });
            }
            self.drain(servant.node, None, None);
        }
    }

    /// A host has an address now, or has lost it.
    fn configure(&mut self, node: NodeId, lease: Lease) {
        let Lease { port, address, router, dns, server, time } = lease;
        let now = self.now;
        if let Some(host) = self.host_mut(node)
            && let Some(iface) = host.ifaces.get(port).copied()
        {
            let addresses: Vec<IpCidr> = address.into_iter().collect();
            host.host.configure_v4(now, iface, &addresses, router);
        }
        self.topology.set_lent_address(node, address.map(|cidr| cidr.address));
        self.names.lent(node, address.map(|cidr| cidr.address), dns.map(IpAddr::V4));
        self.record(RecordKind::Configured { node, port, address, router, dns, server, time });
        self.drain(node, None, None);
        self.start_those_who_wait(node);
    }

    fn start_those_who_wait(&mut self, node: NodeId) {
        let waiting = core::mem::take(&mut self.unconfigured);
        let (now, rest) = waiting.into_iter().partition(|(_, n)| *n == node);
        self.unconfigured = rest;
        for (pid, _) in now {
            self.queue.push(self.now, Event::Start { pid });
        }
    }
}
