//! The real side of a lab's gateway: this machine's own sockets, under the relay's policy. Each flow is a task; what
//! it has to say comes out of one queue.

use core::pin::pin;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use socketlab_netsim::{FlowId, GatewayEvent, GatewayFact, GatewayRequest, PortId};
use socketlab_policy::{Policy, Rule};
use socketlab_server::dial::{self, DialError, Names, Pins, SystemResolver};
use socketlab_server::echo::{self, EchoError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::far::{GRACE, News};

/// How long a target may take to answer. As the relay's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a target that was quiet may fail to answer. As the relay's.
const TARGET_TIMEOUT: Duration = Duration::from_secs(60);
/// Octets of a TCP flow that may be on their way between a task and the world, in each direction. A choice.
const WINDOW: u64 = 256 << 10;
/// The largest piece read at once.
const PIECE: usize = 16 << 10;
/// Longest datagram (RFC 768).
const DATAGRAM: usize = 65_535;

/// All flows of a run.
pub(crate) struct RealWorld {
    runtime: Runtime,
    policy: Arc<Policy>,
    pins: Arc<Pins>,
    /// Where ports for programs are opened, if anywhere.
    publish: Option<IpAddr>,
    flows: Flows,
    visitors: Arc<AtomicU32>,
    ports: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    tell: Sender<News>,
    news: Receiver<News>,
}

/// How the world's orders reach each flow's task.
#[derive(Clone, Default)]
struct Flows(Arc<Mutex<BTreeMap<FlowId, UnboundedSender<Order>>>>);

impl Flows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FlowId, UnboundedSender<Order>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, flow: FlowId, order: Order) {
        if let Some(task) = self.lock().get(&flow) {
            // A task that is over has told the world so.
            drop(task.send(order));
        }
    }

    fn add(&self, flow: FlowId) -> UnboundedReceiver<Order> {
        let (sender, orders) = unbounded_channel();
        self.lock().insert(flow, sender);
        orders
    }
}

/// From the world to a flow's task. That the queue is closed means: the flow is over.
enum Order {
    Data(Bytes),
    Finish,
    Consumed(u64),
    Reset,
}

impl RealWorld {
    /// No flow yet. Nothing may be reached but what `rules` name.
    pub(crate) fn new(rules: &[Rule], publish: Option<IpAddr>) -> Result<RealWorld> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
        let (tell, news) = channel();
        Ok(RealWorld {
            runtime,
            policy: Arc::new(Policy::new(rules.to_vec())),
            pins: Arc::default(),
            publish,
            flows: Flows::default(),
            visitors: Arc::default(),
            ports: Vec::new(),
            tasks: Vec::new(),
            tell,
            news,
        })
    }

    /// The next news, if there is any within `wait`.
    pub(crate) fn listen(&self, wait: Duration) -> Option<News> {
        self.news.recv_timeout(wait).ok()
    }

    /// Lets octets that the world has already given away go out.
    pub(crate) fn finish(self) {
        self.ports.iter().for_each(JoinHandle::abort);
        self.flows.lock().clear();
        let rest = async {
            for task in self.tasks {
                // A task that failed has nothing left to send.
                drop(task.await);
            }
        };
        drop(self.runtime.block_on(async { tokio::time::timeout(GRACE, rest).await }));
    }

    /// What the world asks.
    pub(crate) fn handle(&mut self, request: GatewayRequest) {
        match request {
            GatewayRequest::OpenTcp { flow, host, port } => {
                let (orders, task) = self.open(flow);
                self.tasks.push(self.runtime.spawn(task.tcp(host, port, orders)));
            }
            GatewayRequest::OpenUdp { flow, host, port } => {
                let (orders, task) = self.open(flow);
                self.tasks.push(self.runtime.spawn(task.udp(host, port, orders)));
            }
            GatewayRequest::Ping { flow, host } => {
                let task = self.task(flow);
                self.tasks.push(self.runtime.spawn(async move { task.ping(&host).await }));
            }
            GatewayRequest::LookUp { flow, host } => {
                let task = self.task(flow);
                self.tasks.push(self.runtime.spawn(async move { task.look_up(&host).await }));
            }
            GatewayRequest::Data { flow, bytes } => self.flows.order(flow, Order::Data(bytes)),
            GatewayRequest::Finish { flow } => self.flows.order(flow, Order::Finish),
            GatewayRequest::Consumed { flow, octets } => self.flows.order(flow, Order::Consumed(octets)),
            GatewayRequest::Close { flow, reset } => {
                if reset {
                    self.flows.order(flow, Order::Reset);
                }
                self.flows.lock().remove(&flow);
            }
            GatewayRequest::Listen { port, udp, number } => {
                let gate = Gate {
                    port,
                    flows: self.flows.clone(),
                    visitors: Arc::clone(&self.visitors),
                    policy: Arc::clone(&self.policy),
                    pins: Arc::clone(&self.pins),
                    tell: self.tell.clone(),
                };
                match self.publish {
                    Some(address) => {
                        let wish = SocketAddr::new(address, number);
                        self.ports.push(match udp {
                            false => self.runtime.spawn(gate.tcp(wish)),
                            true => self.runtime.spawn(gate.udp(wish)),
                        });
                    }
                    None => gate.refuse(
                        GatewayFact::NotAllowed,
                        "this lab has a port for real clients: --publish 127.0.0.1 opens it on this machine, \
                         --publish with another address of yours for other machines"
                            .to_owned(),
                    ),
                }
            }
        }
    }

    fn open(&mut self, flow: FlowId) -> (UnboundedReceiver<Order>, Task) {
        (self.flows.add(flow), self.task(flow))
    }

    fn task(&self, flow: FlowId) -> Task {
        let (policy, pins) = (Arc::clone(&self.policy), Arc::clone(&self.pins));
        Task { flow, policy, pins, tell: self.tell.clone() }
    }
}

/// A real port that leads into the lab.
struct Gate {
    port: PortId,
    flows: Flows,
    visitors: Arc<AtomicU32>,
    policy: Arc<Policy>,
    pins: Arc<Pins>,
    tell: Sender<News>,
}

impl Gate {
    fn refuse(&self, fact: GatewayFact, sentence: String) {
        drop(self.tell.send(News::Refusal(sentence)));
        self.say(GatewayEvent::NotListening { port: self.port, fact });
    }

    fn failed(&self, wish: SocketAddr, error: &io::Error) {
        self.refuse(GatewayFact::Throttled, format!("no port for real clients at {wish}: {error}"));
    }

    fn say(&self, event: GatewayEvent) {
        drop(self.tell.send(News::Event(event)));
    }

    fn is_open(&self, address: SocketAddr, kind: &str) {
        drop(self.tell.send(News::Refusal(format!("real clients reach the lab at {address} ({kind})"))));
        self.say(GatewayEvent::Listening { port: self.port, address });
    }

    /// A new flow from outside, its task and its orders.
    fn visitor(&self, remote: SocketAddr) -> (Task, UnboundedReceiver<Order>) {
        let flow = FlowId::from_outside(self.visitors.fetch_add(1, Ordering::Relaxed));
        let orders = self.flows.add(flow);
        self.say(GatewayEvent::Accepted { port: self.port, flow, remote });
        let (policy, pins) = (Arc::clone(&self.policy), Arc::clone(&self.pins));
        (Task { flow, policy, pins, tell: self.tell.clone() }, orders)
    }

    async fn tcp(self, wish: SocketAddr) {
        let bound = async {
            let listener = TcpListener::bind(wish).await?;
            let address = listener.local_addr()?;
            Ok::<_, io::Error>((listener, address))
        };
        let (listener, address) = match bound.await {
            Ok(bound) => bound,
            Err(error) => return self.failed(wish, &error),
        };
        self.is_open(address, "TCP");
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let (task, orders) = self.visitor(remote);
                    tokio::spawn(task.carry(stream, orders));
                }
                // No descriptor left, for instance: others may be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn udp(self, wish: SocketAddr) {
        let bound = async {
            let socket = UdpSocket::bind(wish).await?;
            let address = socket.local_addr()?;
            Ok::<_, io::Error>((Arc::new(socket), address))
        };
        let (socket, address) = match bound.await {
            Ok(bound) => bound,
            Err(error) => return self.failed(wish, &error),
        };
        self.is_open(address, "UDP");
        let mut known: BTreeMap<SocketAddr, FlowId> = BTreeMap::new();
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // An error tells of an earlier datagram that nobody took.
            let Ok((octets, remote)) = socket.recv_from(&mut buffer).await else { continue };
            // The world forgets who was quiet for long.
            known.retain(|_, flow| self.flows.lock().contains_key(flow));
            let flow = match known.get(&remote) {
                Some(flow) => *flow,
                None => {
                    let (task, mut orders) = self.visitor(remote);
                    known.insert(remote, task.flow);
                    let socket = Arc::clone(&socket);
                    tokio::spawn(async move {
                        while let Some(order) = orders.recv().await {
                            if let Order::Data(bytes) = order {
                                // Lost, as datagrams are.
                                drop(socket.send_to(&bytes, remote).await);
                            }
                        }
                    });
                    task.flow
                }
            };
            let bytes = Bytes::copy_from_slice(buffer.get(..octets).unwrap_or_default());
            self.say(GatewayEvent::Data { flow, bytes });
        }
    }
}

/// One flow.
struct Task {
    flow: FlowId,
    policy: Arc<Policy>,
    pins: Arc<Pins>,
    tell: Sender<News>,
}

impl Task {
    fn say(&self, event: GatewayEvent) {
        // At the end of the run nobody listens any more.
        drop(self.tell.send(News::Event(event)));
    }

    fn names(&self) -> Names<'_> {
        Names { resolver: &SystemResolver, pins: &self.pins }
    }

    async fn ping(&self, host: &str) {
        let flow = self.flow;
        let fact = match echo::ping(self.names(), &self.policy, host).await {
            Ok(_) => return self.say(GatewayEvent::Echoed { flow }),
            Err(EchoError::Host(error)) => return self.failed(&error),
            Err(error) => {
                drop(self.tell.send(News::Refusal(error.to_string())));
                match error {
                    EchoError::Silent(_) => GatewayFact::TimedOut,
                    EchoError::NotLet => GatewayFact::NotAllowed,
                    _ => GatewayFact::Unreachable,
                }
            }
        };
        self.say(GatewayEvent::Failed { flow, fact });
    }

    async fn look_up(&self, host: &str) {
        let flow = self.flow;
        match dial::look_up(self.names(), &self.policy, host).await {
            Ok(addresses) => self.say(GatewayEvent::Addresses { flow, addresses }),
            Err(DialError::Unresolved(_)) => {
                self.say(GatewayEvent::Failed { flow, fact: GatewayFact::NoSuchName });
            }
            // Refused once more, with its port, when it is connected to.
            Err(DialError::Denied { .. }) => {
                self.say(GatewayEvent::Failed { flow, fact: GatewayFact::NotAllowed });
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &DialError) {
        let fact = match error {
            DialError::Denied { .. } => GatewayFact::NotAllowed,
            DialError::Unresolved(_) | DialError::LookupFailed(..) | DialError::LookupTimedOut(_) => {
                GatewayFact::Unreachable
            }
            DialError::TimedOut(..) => GatewayFact::TimedOut,
            DialError::Failed(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                GatewayFact::Refused
            }
            DialError::Failed(_, error) if error.kind() == io::ErrorKind::TimedOut => GatewayFact::TimedOut,
            DialError::Failed(..) => GatewayFact::Unreachable,
        };
        drop(self.tell.send(News::Refusal(error.to_string())));
        self.say(GatewayEvent::Failed { flow: self.flow, fact });
    }

    async fn tcp(self, host: String, port: u16, orders: UnboundedReceiver<Order>) {
        let flow = self.flow;
        let stream = match dial::tcp(self.names(), &self.policy, &host, port, CONNECT_TIMEOUT).await {
            Ok((stream, _)) => stream,
            Err(error) => return self.failed(&error),
        };
        self.say(GatewayEvent::Opened { flow });
        self.carry(stream, orders).await;
    }

    /// Octets both ways, until both sides have ended.
    async fn carry(self, stream: TcpStream, mut orders: UnboundedReceiver<Order>) {
        let flow = self.flow;
        dial::keep_alive(&stream, TARGET_TIMEOUT);
        self.say(GatewayEvent::Writable { flow, octets: WINDOW });
        let (read, write) = stream.into_split();
        let (to_writer, pieces) = unbounded_channel();
        let (to_reader, credit) = unbounded_channel();
        let mut sending = pin!(self.send(write, pieces));
        let mut receiving = pin!(self.receive(read, credit));
        let (mut all_sent, mut all_received) = (false, false);
        loop {
            // One direction may be over while the other goes on.
            let result = tokio::select! {
                result = &mut sending, if !all_sent => {
                    all_sent = true;
                    result
                }
                result = &mut receiving, if !all_received => {
                    all_received = true;
                    result
                }
                order = orders.recv() => {
                    match order {
                        Some(Order::Data(bytes)) => drop(to_writer.send(Some(bytes))),
                        Some(Order::Finish) => drop(to_writer.send(None)),
                        Some(Order::Consumed(octets)) => drop(to_reader.send(octets)),
                        Some(Order::Reset) => return,
                        None => break,
                    }
                    Ok(())
                }
            };
            if result.is_err() {
                return self.say(GatewayEvent::Closed { flow, reset: true });
            }
        }
        // The flow is over for the world; what it gave us still goes out.
        drop(to_writer);
        if !all_sent {
            drop(sending.await);
        }
    }

    /// Writes what comes, until its end (`None`).
    async fn send(
        &self,
        mut write: OwnedWriteHalf,
        mut pieces: UnboundedReceiver<Option<Bytes>>,
    ) -> io::Result<()> {
        while let Some(Some(bytes)) = pieces.recv().await {
            write.write_all(&bytes).await?;
            self.say(GatewayEvent::Writable { flow: self.flow, octets: bytes.len() as u64 });
        }
        write.shutdown().await
    }

    /// Reads as much as the world has room for, to the end.
    async fn receive(&self, mut read: OwnedReadHalf, mut credit: UnboundedReceiver<u64>) -> io::Result<()> {
        let mut room = WINDOW;
        let mut buffer = vec![0; PIECE];
        loop {
            while let Ok(more) = credit.try_recv() {
                room += more;
            }
            if room == 0 {
                match credit.recv().await {
                    Some(more) => room += more,
                    None => return Ok(()),
                }
                continue;
            }
            let most = PIECE.min(usize::try_from(room).unwrap_or(PIECE));
            let octets = read.read(buffer.get_mut(..most).unwrap_or_default()).await?;
            if octets == 0 {
                self.say(GatewayEvent::Finished { flow: self.flow });
                return Ok(());
            }
            room -= octets as u64;
            let bytes = Bytes::copy_from_slice(buffer.get(..octets).unwrap_or_default());
            self.say(GatewayEvent::Data { flow: self.flow, bytes });
        }
    }

    async fn udp(self, host: String, port: u16, mut orders: UnboundedReceiver<Order>) {
        let flow = self.flow;
        let socket = match dial::udp(self.names(), &self.policy, &host, port).await {
            Ok((socket, _)) => socket,
            Err(error) => return self.failed(&error),
        };
        self.say(GatewayEvent::Opened { flow });
        let mut buffer = vec![0; DATAGRAM];
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    // A datagram that cannot be sent is lost, as datagrams are.
                    Some(Order::Data(bytes)) => drop(socket.send(&bytes).await),
                    Some(Order::Finish | Order::Consumed(_)) => {}
                    Some(Order::Reset) | None => return,
                },
                received = socket.recv(&mut buffer) => match received {
                    Ok(octets) => {
                        let bytes = Bytes::copy_from_slice(buffer.get(..octets).unwrap_or_default());
                        self.say(GatewayEvent::Data { flow, bytes });
                    }
                    // An ICMP error for an earlier datagram.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(_) => {
                        self.say(GatewayEvent::Closed { flow, reset: true });
                        return;
                    }
                },
            }
        }
    }
}
