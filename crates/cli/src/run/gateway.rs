//! The real side of a lab's gateway: this machine's own sockets, under the relay's policy. Each flow is a task; what
//! it has to say comes out of one queue.

use core::pin::pin;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use bytes::Bytes;
use socketlab_netsim::{FlowId, GatewayEvent, GatewayFact, GatewayRequest};
use socketlab_policy::{Policy, Rule};
use socketlab_server::dial::{self, DialError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How long a target may take to answer. As the relay's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last octets may take at the end of a run.
const GRACE: Duration = Duration::from_secs(2);
/// Octets of a TCP flow that may be on their way between a task and the world, in each direction. A choice.
const WINDOW: u64 = 256 << 10;
/// The largest piece read at once.
const PIECE: usize = 16 << 10;
/// Longest datagram (RFC 768).
const DATAGRAM: usize = 65_535;

/// What a flow's task has to say.
pub(crate) enum News {
    /// For the world.
    Event(GatewayEvent),
    /// For the person: why a connection was not opened.
    Refusal(String),
}

/// All flows of a run.
pub(crate) struct RealWorld {
    runtime: Runtime,
    policy: Arc<Policy>,
    flows: BTreeMap<FlowId, UnboundedSender<Order>>,
    tasks: Vec<JoinHandle<()>>,
    tell: Sender<News>,
    news: Receiver<News>,
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
    pub(crate) fn new(rules: &[Rule]) -> Result<RealWorld> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
        let (tell, news) = channel();
        Ok(RealWorld {
            runtime,
            policy: Arc::new(Policy::new(rules.to_vec())),
            flows: BTreeMap::new(),
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
        drop(self.flows);
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
        let order = |flows: &BTreeMap<FlowId, UnboundedSender<Order>>, flow, order| {
            if let Some(task) = flows.get(&flow) {
                // A task that is over has told the world so.
                drop(task.send(order));
            }
        };
        match request {
            GatewayRequest::OpenTcp { flow, host, port } => {
                let (orders, task) = self.open(flow);
                self.tasks.push(self.runtime.spawn(task.tcp(host, port, orders)));
            }
            GatewayRequest::OpenUdp { flow, host, port } => {
                let (orders, task) = self.open(flow);
                self.tasks.push(self.runtime.spawn(task.udp(host, port, orders)));
            }
            GatewayRequest::Data { flow, bytes } => order(&self.flows, flow, Order::Data(bytes)),
            GatewayRequest::Finish { flow } => order(&self.flows, flow, Order::Finish),
            GatewayRequest::Consumed { flow, octets } => order(&self.flows, flow, Order::Consumed(octets)),
            GatewayRequest::Close { flow, reset } => {
                if reset {
                    order(&self.flows, flow, Order::Reset);
                }
                self.flows.remove(&flow);
            }
        }
    }

    fn open(&mut self, flow: FlowId) -> (UnboundedReceiver<Order>, Task) {
        let (sender, orders) = unbounded_channel();
        self.flows.insert(flow, sender);
        (orders, Task { flow, policy: Arc::clone(&self.policy), tell: self.tell.clone() })
    }
}

/// One flow.
struct Task {
    flow: FlowId,
    policy: Arc<Policy>,
    tell: Sender<News>,
}

impl Task {
    fn say(&self, event: GatewayEvent) {
        // At the end of the run nobody listens any more.
        drop(self.tell.send(News::Event(event)));
    }

    fn failed(&self, error: &DialError) {
        let fact = match error {
            DialError::Denied { .. } => GatewayFact::NotAllowed,
            DialError::Unresolved(_) | DialError::LookupTimedOut(_) => GatewayFact::Unreachable,
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

    async fn tcp(self, host: String, port: u16, mut orders: UnboundedReceiver<Order>) {
        let flow = self.flow;
        let stream = match dial::tcp(&self.policy, &host, port, CONNECT_TIMEOUT).await {
            Ok((stream, _)) => stream,
            Err(error) => return self.failed(&error),
        };
        self.say(GatewayEvent::Opened { flow });
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
        let socket = match dial::udp(&self.policy, &host, port).await {
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
