//! The way from the lab's gateways to the relay: flows of the world become Wisp streams over one WebSocket, which is
//! opened when the first flow asks for it and again, later and later, after it was lost. Sans-IO: the page's lab worker
//! has the browser's WebSocket, `socketlab run --relay` one of its own. Time counts from any fixed point.

#[cfg(test)]
mod tests;

mod questions;
mod sockets;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use socketlab_netsim::{FlowId, GatewayEvent, GatewayFact, GatewayRequest, PortId};
pub use socketlab_wisp::Reason;
pub use socketlab_wisp::TcpInfo;
use socketlab_wisp::{Client, ClientEvent, ClientOptions, Question, StreamId, StreamKind};

use questions::Questions;
use sockets::Watch;

/// First wait before a lost relay is tried again; doubles up to [`LONGEST_RETRY`]. Choices.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(16);

/// The relay looks at the code only; who is there, it writes into its log by the code's own name.
const USER: &str = "page";

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayJob {
    /// Open a new WebSocket.
    Connect,
    /// Send this as one binary message.
    Send(Bytes),
    /// Tell the world.
    Tell(GatewayEvent),
    /// Show the person how the connection is.
    Show(Link),
    /// Tell the person.
    Say(String),
    /// Tell the person why the relay ends the connection: it wants a class code, or is being stopped.
    Dismissed(Reason),
    /// What the relay's kernel says of a flow's real socket; see [`Relay::watch_sockets`].
    Socket {
        /// Whose.
        flow: FlowId,
        /// What it says.
        info: Box<TcpInfo>,
    },
}

/// How the connection to the relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Trying.
    Connecting,
    /// Open.
    Open,
    /// Lost.
    Lost {
        /// Wait before the next try, in milliseconds.
        retry_ms: u32,
    },
    /// Ended by the relay, which would not let us in again: not tried before [`Relay::set_code`].
    TurnedAway(TurnedAway),
}

/// Why a relay does not let us in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// It wants a class code.
    CodeWanted,
    /// That was not its class code.
    WrongCode,
    /// The class code has been withdrawn.
    Withdrawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Unused,
    Connecting,
    Open,
    Lost { retry_at: Duration },
    TurnedAway,
}

/// See the module's text.
#[derive(Debug)]
pub struct Relay {
    socket: Socket,
    client: Client,
    streams: BTreeMap<FlowId, (StreamId, StreamKind)>,
    flows: BTreeMap<StreamId, FlowId>,
    /// The lab's ports: whether UDP, the number that is wished for, and the stream if it is asked for.
    ports: BTreeMap<PortId, (bool, u16, Option<StreamId>)>,
    /// Peers of UDP ports.
    peers: BTreeMap<FlowId, (StreamId, SocketAddr)>,
    questions: Questions,
    visitors: u32,
    watch: Watch,
    /// The class code, said as Wisp's password: then the relay can say what is wrong with it, which it cannot while
    /// the WebSocket is being opened.
    code: Option<String>,
    /// The relay has just said that it will not let us in.
    turned_away: Option<TurnedAway>,
    next_retry: Duration,
    jobs: VecDeque<RelayJob>,
}

impl Default for Relay {
    fn default() -> Self {
        Relay {
            socket: Socket::Unused,
            client: Client::new(),
            streams: BTreeMap::new(),
            flows: BTreeMap::new(),
            ports: BTreeMap::new(),
            peers: BTreeMap::new(),
            questions: Questions::default(),
            visitors: 0,
            watch: Watch::default(),
            code: None,
            turned_away: None,
            next_retry: FIRST_RETRY,
            jobs: VecDeque::new(),
        }
    }
}

impl Relay {
    /// What a gateway asks for.
    pub fn handle_request(&mut self, now: Duration, request: GatewayRequest) {
        match request {
            GatewayRequest::OpenTcp { flow, host, port } => {
                self.open(now, flow, StreamKind::Tcp, &host, port)
            }
            GatewayRequest::OpenUdp { flow, host, port } => {
                self.open(now, flow, StreamKind::Udp, &host, port)
            }
            GatewayRequest::Ping { flow, host } => self.question(flow, Question::Ping { host }),
            GatewayRequest::LookUp { flow, host } => self.question(flow, Question::Lookup { host }),
            GatewayRequest::Data { flow, bytes } => match self.streams.get(&flow) {
                Some(&(stream, StreamKind::Tcp)) => {
                    let taken = self.client.send(stream, &bytes);
                    debug_assert_eq!(taken, bytes.len(), "the world keeps within its credit");
                }
                Some(&(stream, StreamKind::Udp)) => {
                    self.client.send_datagram(stream, &bytes);
                }
                None => {
                    if let Some(&(stream, peer)) = self.peers.get(&flow) {
                        self.client.send_datagram_to(stream, peer, &bytes);
                    }
                }
            },
            GatewayRequest::Listen { port, udp, number } => {
                self.ports.insert(port, (udp, number, None));
                if self.socket == Socket::Unused {
                    self.connect();
                }
                self.ask_for_ports();
            }
            GatewayRequest::Finish { flow } => {
                if let Some(&(stream, _)) = self.streams.get(&flow) {
                    // Before: once both sides have finished, there is no socket left to ask for.
                    self.ask_socket(flow);
                    self.client.finish(now, stream);
                }
            }
            GatewayRequest::Close { flow, reset } => {
                self.peers.remove(&flow);
                self.questions.forget(flow);
                if let Some((stream, kind)) = self.streams.remove(&flow) {
                    self.flows.remove(&stream);
                    if reset {
                        self.ask_stream(flow, stream, kind);
                        self.client.abort(stream, Reason::NETWORK_ERROR);
                    } else {
                        self.client.close(stream, Reason::VOLUNTARY);
                    }
                }
            }
            GatewayRequest::Consumed { flow, octets } => {
                if let Some(&(stream, _)) = self.streams.get(&flow) {
                    self.client.consumed(stream, octets);
                }
            }
        }
        self.plan(now);
        self.work_off();
    }

    /// The world is gone, and with it all flows; the WebSocket stays.
    pub fn hang_up(&mut self) {
        for (stream, _) in std::mem::take(&mut self.streams).into_values() {
            self.client.abort(stream, Reason::NETWORK_ERROR);
        }
        for (_, _, stream) in std::mem::take(&mut self.ports).into_values() {
            if let Some(stream) = stream {
                self.client.close(stream, Reason::VOLUNTARY);
            }
        }
        self.peers.clear();
        self.flows.clear();
        self.questions.clear();
        self.watch.clear();
        self.work_off();
    }

    /// Says this class code from now on, and tries at once if the relay did not let us in before.
    pub fn set_code(&mut self, code: Option<String>) {
        self.code = code;
        match self.socket {
            Socket::Unused | Socket::Lost { .. } => self.client = self.new_client(),
            Socket::TurnedAway => {
                self.client = self.new_client();
                self.connect();
            }
            // Who is in, or on the way, is let in by what was said before.
            Socket::Connecting | Socket::Open => {}
        }
        self.work_off();
    }

    fn new_client(&self) -> Client {
        let password = self.code.clone().map(|code| (USER.to_owned(), code));
        Client::with_options(ClientOptions { password, ..ClientOptions::default() })
    }

    /// The run is over: flows are closed once what the world has given them has gone out, and ports given back. See
    /// [`Relay::is_quiet`].
    pub fn finish(&mut self) {
        for (stream, _) in std::mem::take(&mut self.streams).into_values() {
            self.client.close(stream, Reason::VOLUNTARY);
        }
        // What is left has nothing to send.
        self.hang_up();
    }

    /// Nothing waits for the relay: neither to be sent nor for room there.
    pub fn is_quiet(&self) -> bool {
        self.socket != Socket::Open || self.client.is_quiet()
    }

    /// Asks for the ports that are not asked for yet, unless there is no relay to ask: then when there is one again.
    fn ask_for_ports(&mut self) {
        if matches!(self.socket, Socket::Lost { .. } | Socket::TurnedAway) {
            return;
        }
        let mut refused = Vec::new();
        for (port, (udp, number, stream)) in &mut self.ports {
            if stream.is_none() {
                let kind = if *udp { StreamKind::Udp } else { StreamKind::Tcp };
                match self.client.listen(kind, *number) {
                    Ok(asked) => *stream = Some(asked),
                    Err(_) => refused.push(*port),
                }
            }
        }
        for port in refused {
            self.ports.remove(&port);
            self.tell(GatewayEvent::NotListening { port, fact: GatewayFact::NotAllowed });
        }
    }

    fn port_of(&self, stream: StreamId) -> Option<PortId> {
        self.ports.iter().find(|(_, (_, _, asked))| *asked == Some(stream)).map(|(port, _)| *port)
    }

    fn new_visitor(&mut self, port: PortId, remote: SocketAddr) -> FlowId {
        self.visitors = self.visitors.wrapping_add(1);
        let flow = FlowId::from_outside(self.visitors);
        self.tell(GatewayEvent::Accepted { port, flow, remote });
        flow
    }

    /// The WebSocket is open.
    pub fn handle_open(&mut self) {
        self.socket = Socket::Open;
        self.next_retry = FIRST_RETRY;
        self.jobs.push_back(RelayJob::Show(Link::Open));
        self.work_off();
    }

    /// A binary message came. One that is no Wisp packet is skipped: the relay may be newer than we are.
    pub fn handle_message(&mut self, now: Duration, message: Bytes) {
        let _skipped = self.client.handle_message(now, message);
        self.work_off();
        self.plan(now);
    }

    /// The WebSocket has closed, or could not be opened.
    pub fn handle_lost(&mut self, now: Duration) {
        let link = match self.turned_away.take() {
            Some(why) => {
                self.socket = Socket::TurnedAway;
                Link::TurnedAway(why)
            }
            None => {
                let wait = self.next_retry;
                self.next_retry = (wait * 2).min(LONGEST_RETRY);
                self.socket = Socket::Lost { retry_at: now + wait };
                Link::Lost { retry_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX) }
            }
        };
        self.client.handle_lost();
        self.work_off();
        self.client = self.new_client();
        self.ports.values_mut().for_each(|(_, _, stream)| *stream = None);
        self.peers.clear();
        self.watch.clear();
        for flow in self.questions.lost() {
            self.tell(GatewayEvent::Failed { flow, fact: GatewayFact::NoRelay });
        }
        self.jobs.push_back(RelayJob::Show(link));
    }

    /// When to call [`Relay::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.socket {
            Socket::Lost { retry_at } => Some(retry_at),
            Socket::Open => [self.client.poll_timeout(), self.watch.next].into_iter().flatten().min(),
            _ => self.client.poll_timeout(),
        }
    }

    /// Time has come to `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.socket {
            Socket::Lost { retry_at } if retry_at <= now => self.connect(),
            Socket::Lost { .. } => {}
            _ => self.client.handle_timeout(now),
        }
        self.ask_sockets(now);
        self.work_off();
    }

    /// The next thing for the shell to do.
    pub fn poll_job(&mut self) -> Option<RelayJob> {
        self.jobs.pop_front()
    }

    fn connect(&mut self) {
        self.socket = Socket::Connecting;
        self.ask_for_ports();
        self.jobs.push_back(RelayJob::Show(Link::Connecting));
        self.jobs.push_back(RelayJob::Connect);
    }

    fn open(&mut self, now: Duration, flow: FlowId, kind: StreamKind, host: &str, port: u16) {
        if self.socket == Socket::Unused {
            self.connect();
        }
        let host = self.questions.name_for(host);
        let stream = match (self.socket, kind) {
            // Between two tries there is no relay to ask.
            (Socket::Lost { .. } | Socket::TurnedAway, _) => None,
            (_, StreamKind::Tcp) => self.client.open_tcp(now, &host, port).ok(),
            (_, StreamKind::Udp) => self.client.open_udp(&host, port).ok(),
        };
        match stream {
            Some(stream) => {
                self.streams.insert(flow, (stream, kind));
                self.flows.insert(stream, flow);
            }
            None => self.tell(GatewayEvent::Failed { flow, fact: GatewayFact::NoRelay }),
        }
    }

    fn tell(&mut self, event: GatewayEvent) {
        self.jobs.push_back(RelayJob::Tell(event));
    }

    fn work_off(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.handle_event(event);
        }
        while self.socket == Socket::Open
            && let Some(message) = self.client.poll_message()
        {
            self.jobs.push_back(RelayJob::Send(message));
        }
    }

    fn handle_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Opened { stream } => {
                let Some(&flow) = self.flows.get(&stream) else { return };
                self.tell(GatewayEvent::Opened { flow });
                self.ask_socket(flow);
                let octets = self.client.room(stream) as u64;
                if octets > 0 {
                    self.tell(GatewayEvent::Writable { flow, octets });
                }
            }
            ClientEvent::Writable { stream, octets } => {
                let Some(&flow) = self.flows.get(&stream) else { return };
                self.tell(GatewayEvent::Writable { flow, octets: octets as u64 });
            }
            ClientEvent::Data { stream, bytes } => {
                let Some(&flow) = self.flows.get(&stream) else { return };
                self.tell(GatewayEvent::Data { flow, bytes });
            }
            ClientEvent::Listening { stream, local } => {
                if let Some(port) = self.port_of(stream) {
                    self.tell(GatewayEvent::Listening { port, address: local });
                }
            }
            ClientEvent::Accepted { listener, stream, remote, .. } => {
                let Some(port) = self.port_of(listener) else { return };
                let flow = self.new_visitor(port, remote);
                self.streams.insert(flow, (stream, StreamKind::Tcp));
                self.flows.insert(stream, flow);
                let octets = self.client.room(stream) as u64;
                self.tell(GatewayEvent::Writable { flow, octets });
            }
            ClientEvent::Datagram { stream, from, bytes } => {
                let Some(port) = self.port_of(stream) else { return };
                let known =
                    self.peers.iter().find(|(_, peer)| **peer == (stream, from)).map(|(flow, _)| *flow);
                let flow = known.unwrap_or_else(|| self.new_visitor(port, from));
                self.peers.insert(flow, (stream, from));
                self.tell(GatewayEvent::Data { flow, bytes });
            }
            ClientEvent::Closed { stream, reason, .. } if self.port_of(stream).is_some() => {
                let Some(port) = self.port_of(stream) else { return };
                // Lost with the relay: asked for again when it is back.
                if !self.client.is_ended() {
                    self.ports.remove(&port);
                    let fact = match reason {
                        Reason::INCOMPATIBLE => GatewayFact::NotAllowed,
                        reason => fact(reason).unwrap_or(GatewayFact::Unreachable),
                    };
                    self.tell(GatewayEvent::NotListening { port, fact });
                }
            }
            ClientEvent::Closed { stream, reason, opened } => {
                let Some(flow) = self.flows.remove(&stream) else { return };
                self.streams.remove(&flow);
                match (self.client.is_ended(), reason) {
                    (true, _) => {
                        self.tell(GatewayEvent::Failed { flow, fact: GatewayFact::NoRelay });
                    }
                    // A relay that does not say when a stream is open: it was, since its target has finished.
                    (_, Reason::VOLUNTARY) if !opened => {
                        self.tell(GatewayEvent::Opened { flow });
                        self.tell(GatewayEvent::Closed { flow, reset: false });
                    }
                    _ => self.tell(match fact(reason) {
                        Some(fact) => GatewayEvent::Failed { flow, fact },
                        None if !opened => GatewayEvent::Failed { flow, fact: GatewayFact::Unreachable },
                        None => GatewayEvent::Closed { flow, reset: reason != Reason::VOLUNTARY },
                    }),
                }
            }
            // The fact itself follows; here is the reason in words.
            ClientEvent::Trouble { text, .. } | ClientEvent::Motd { text } => {
                self.jobs.push_back(RelayJob::Say(text));
            }
            ClientEvent::Finished { stream } => {
                let Some(&flow) = self.flows.get(&stream) else { return };
                self.tell(GatewayEvent::Finished { flow });
            }
            // The WebSocket closes next.
            ClientEvent::Ended { reason } => {
                if !matches!(self.socket, Socket::Lost { .. } | Socket::TurnedAway) {
                    self.turned_away = turned_away(reason);
                    self.jobs.push_back(RelayJob::Dismissed(reason));
                }
            }
            ClientEvent::Ready { .. } => self.ask(),
            ClientEvent::Answered { question, answer } => {
                if !self.told_socket(question, &answer) {
                    self.answered(question, answer);
                }
            }
            // Said again by [`RelayJob::Socket`].
            ClientEvent::Addresses { .. } => {}
        }
    }
}

/// Reasons to end the whole connection after which the same code is not let in again.
fn turned_away(reason: Reason) -> Option<TurnedAway> {
    match reason {
        Reason::CREDENTIALS_REQUIRED => Some(TurnedAway::CodeWanted),
        Reason::BAD_PASSWORD | Reason::BAD_SIGNATURE => Some(TurnedAway::WrongCode),
        Reason::BLOCKED => Some(TurnedAway::Withdrawn),
        _ => None,
    }
}

/// What a refusal means, in the world's words. A stream may count as open when it comes: UDP always does.
fn fact(reason: Reason) -> Option<GatewayFact> {
    match reason {
        Reason::REFUSED => Some(GatewayFact::Refused),
        Reason::TIMED_OUT => Some(GatewayFact::TimedOut),
        Reason::BLOCKED => Some(GatewayFact::NotAllowed),
        Reason::THROTTLED => Some(GatewayFact::Throttled),
        Reason::UNREACHABLE | Reason::INVALID => Some(GatewayFact::Unreachable),
        _ => None,
    }
}
