//! A server as one writes it with poll(2): it opens its sockets, waits for all of them at once, and serves whoever is
//! ready. What is said is the application's business.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use socketlab_stack::{Call, Failure, Fd, Ret, SockAddr};

use super::chat::Chat;
use super::dhcp::DhcpServer;
use super::dns::Zone;
use super::http::Site;
use super::{Cx, DhcpPool, Step, echo, set_flag};
use core::time::Duration;

const AF_INET: i32 = 2;
const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;
const SOL_SOCKET: i32 = 1;
const SO_REUSEADDR: i32 = 2;
pub(super) const SO_BROADCAST: i32 = 6;
const SO_BINDTODEVICE: i32 = 25;
const BACKLOG: i32 = 128;
const POLLIN: u16 = 1;
const POLLOUT: u16 = 4;

/// Octets read at once, and the longest datagram.
const CHUNK: usize = 65_535;
/// A connection is not read while so many octets wait to be sent on it. A choice.
const HIGH_WATER: usize = 64 * 1024;
/// One who never reads is put out when so many octets wait for it. A choice.
const MOST_WAITING: usize = 1 << 20;

/// What an application wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// Octets for a connection.
    Send(Fd, Bytes),
    /// A connection is to be closed, when all is sent.
    Close(Fd),
    /// A datagram.
    To(SocketAddr, Bytes),
}

/// The applications.
#[derive(Clone, Debug)]
pub(super) enum App {
    Dns(Zone),
    Dhcp(DhcpServer),
    Http(Site),
    Echo,
    Chat(Chat),
}

impl App {
    pub(super) fn dns(names: Vec<(String, IpAddr)>) -> App {
        App::Dns(Zone::new(names))
    }

    pub(super) fn dhcp(pool: DhcpPool, own: Ipv4Addr) -> App {
        App::Dhcp(DhcpServer::new(pool, own))
    }

    pub(super) fn http(host: &str, pages: Vec<(String, String)>) -> App {
        App::Http(Site::new(host, pages))
    }

    pub(super) fn chat() -> App {
        App::Chat(Chat::default())
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, from: SocketAddr, data: &Bytes) -> Vec<Out> {
        match self {
            App::Dns(zone) => {
                zone.answer(cx, from, data).map(|reply| Out::To(from, reply)).into_iter().collect()
            }
            App::Dhcp(server) => server.answer(cx, data).into_iter().collect(),
            App::Echo => vec![Out::To(from, data.clone())],
            App::Http(_) | App::Chat(_) => Vec::new(),
        }
    }

    /// What is to be sent because of something that no socket tells.
    fn look_again(&mut self, cx: &mut Cx<'_>) -> Vec<Out> {
        match self {
            App::Dns(zone) => zone.look_again(cx).into_iter().map(|(to, reply)| Out::To(to, reply)).collect(),
            _ => Vec::new(),
        }
    }

    fn opened(&mut self, connection: Fd) -> Vec<Out> {
        match self {
            App::Chat(chat) => chat.opened(connection),
            _ => Vec::new(),
        }
    }

    fn data(&mut self, connection: Fd, data: &Bytes) -> Vec<Out> {
        match self {
            App::Echo => echo::data(connection, data),
            App::Http(site) => site.data(connection, data),
            App::Chat(chat) => chat.data(connection, data),
            App::Dns(_) | App::Dhcp(_) => Vec::new(),
        }
    }

    /// The peer has sent all it will, or is gone.
    fn ended(&mut self, connection: Fd) -> Vec<Out> {
        match self {
            App::Http(site) => site.ended(connection),
            App::Chat(chat) => chat.ended(connection),
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Connection {
    out: VecDeque<Bytes>,
    waiting: usize,
    /// The peer has sent all it will.
    ended: bool,
    /// To be closed when all is sent.
    closing: bool,
}

/// What it does next.
#[derive(Clone, Debug)]
enum Work {
    Open { stream: bool },
    Option(Fd, i32),
    Device(Fd),
    Bind(Fd),
    Listen(Fd),
    Poll,
    Accept(Fd),
    Datagram(Fd),
    Receive(Fd),
    Send(Fd),
    SendTo(SocketAddr, Bytes),
    Close(Fd),
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Reactor {
    app: App,
    port: u16,
    device: Option<String>,
    listener: Option<Fd>,
    datagrams: Option<Fd>,
    connections: BTreeMap<Fd, Connection>,
    todo: VecDeque<Work>,
    doing: Option<Work>,
}

impl Reactor {
    fn new(port: u16, app: App, streams: &[bool]) -> Reactor {
        Reactor {
            app,
            port,
            device: None,
            listener: None,
            datagrams: None,
            connections: BTreeMap::new(),
            todo: streams.iter().map(|stream| Work::Open { stream: *stream }).collect(),
            doing: None,
        }
    }

    pub(super) fn udp(port: u16, app: App) -> Reactor {
        Reactor::new(port, app, &[false])
    }

    pub(super) fn tcp(port: u16, app: App) -> Reactor {
        Reactor::new(port, app, &[true])
    }

    pub(super) fn both(port: u16, app: App) -> Reactor {
        Reactor::new(port, app, &[true, false])
    }

    /// Datagrams, also to all, on one interface alone.
    pub(super) fn on(port: u16, device: String, app: App) -> Reactor {
        Reactor { device: Some(device), ..Reactor::new(port, app, &[false]) }
    }

    /// It sleeps in poll(2), and has questions that wait for the real world.
    pub(super) fn waits_for_real_world(&self) -> bool {
        matches!(self.doing, Some(Work::Poll)) && matches!(&self.app, App::Dns(zone) if zone.is_waiting())
    }

    /// Goes on with the answer to its last call.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>, answer: Option<Result<Ret, Failure>>) -> Step {
        if let (Some(work), Some(answer)) = (self.doing.take(), answer)
            && !self.done(cx, work, answer)
        {
            return Step::Over;
        }
        let out = self.app.look_again(cx);
        self.apply(out);
        loop {
            let work = self.todo.pop_front().unwrap_or(Work::Poll);
            if let Some(call) = self.call_for(&work) {
                self.doing = Some(work);
                return Step::Call(call);
            }
        }
    }

    /// The call that a piece of work is; none: it needs none any more.
    fn call_for(&mut self, work: &Work) -> Option<Call> {
        let timeout = Some(Duration::ZERO);
        Some(match work {
            Work::Open { stream } => {
                let kind = if *stream { SOCK_STREAM } else { SOCK_DGRAM };
                Call::Socket { family: AF_INET, kind, protocol: 0 }
            }
            Work::Option(fd, name) => set_flag(*fd, *name),
            Work::Device(fd) => device_call(*fd, self.device.as_deref().unwrap_or_default()),
            Work::Bind(fd) => {
                let addr = SockAddr::Ip((Ipv4Addr::UNSPECIFIED, self.port).into());
                Call::Bind { fd: *fd, addr }
            }
            Work::Listen(fd) => Call::Listen { fd: *fd, backlog: BACKLOG },
            Work::Poll => Call::Poll { fds: self.poll_list(), timeout: None },
            Work::Accept(fd) => Call::Accept { fd: *fd, timeout },
            Work::Datagram(fd) | Work::Receive(fd) => Call::Recv { fd: *fd, len: CHUNK, flags: 0, timeout },
            Work::Send(fd) => {
                let data = self.connections.get(fd)?.out.front()?.clone();
                Call::Send { fd: *fd, data, flags: 0, timeout }
            }
            Work::SendTo(to, data) => {
                let (fd, addr) = (self.datagrams?, SockAddr::Ip(*to));
                Call::SendTo { fd, data: data.clone(), flags: 0, addr, timeout }
            }
            Work::Close(fd) => {
                self.connections.remove(fd)?;
                Call::Close { fd: *fd }
            }
        })
    }

    fn poll_list(&self) -> Vec<(Fd, u16)> {
        let own = self.listener.iter().chain(&self.datagrams).map(|fd| (*fd, POLLIN));
        let connections = self.connections.iter().map(|(fd, connection)| {
            let reads = !connection.ended && !connection.closing && connection.waiting < HIGH_WATER;
            let writes = !connection.out.is_empty();
            (*fd, if reads { POLLIN } else { 0 } | if writes { POLLOUT } else { 0 })
        });
        own.chain(connections).collect()
    }

    /// The answer to a piece of work. False: the service cannot go on.
    fn done(&mut self, cx: &mut Cx<'_>, work: Work, answer: Result<Ret, Failure>) -> bool {
        match (work, answer) {
            (Work::Open { stream }, Ok(Ret::Fd(fd))) => {
                if stream {
                    self.listener = Some(fd);
                    self.todo.push_front(Work::Listen(fd));
                } else {
                    self.datagrams = Some(fd);
                }
                self.todo.push_front(Work::Bind(fd));
                if self.device.is_some() {
                    self.todo.push_front(Work::Device(fd));
                    self.todo.push_front(Work::Option(fd, SO_BROADCAST));
                }
                if stream {
                    self.todo.push_front(Work::Option(fd, SO_REUSEADDR));
                }
            }
            // Somebody has the port already, or the like.
            (Work::Open { .. } | Work::Bind(_) | Work::Listen(_) | Work::Device(_), Err(_)) => return false,
            (Work::Poll, Ok(Ret::Ready(ready))) => {
                for (fd, events) in ready {
                    if Some(fd) == self.listener {
                        self.todo.push_back(Work::Accept(fd));
                    } else if Some(fd) == self.datagrams {
                        self.todo.push_back(Work::Datagram(fd));
                    } else {
                        if events & POLLOUT != 0 {
                            self.todo.push_back(Work::Send(fd));
                        }
                        if events & !POLLOUT != 0 {
                            self.todo.push_back(Work::Receive(fd));
                        }
                    }
                }
            }
            (Work::Poll, Err(_)) => return false,
            (Work::Accept(_), Ok(Ret::Accepted(fd, _))) => {
                self.connections.insert(fd, Connection::default());
                let out = self.app.opened(fd);
                self.apply(out);
            }
            (Work::Datagram(_), Ok(Ret::Data(data, Some(SockAddr::Ip(from)), _))) => {
                let out = self.app.datagram(cx, from, &data);
                self.apply(out);
            }
            (Work::Receive(fd), Ok(Ret::Data(data, ..))) if !data.is_empty() => {
                let out = self.app.data(fd, &data);
                self.apply(out);
            }
            (Work::Receive(fd), Ok(_)) => {
                if let Some(connection) = self.connections.get_mut(&fd) {
                    connection.ended = true;
                }
                let out = self.app.ended(fd);
                self.apply(out);
                self.apply(vec![Out::Close(fd)]);
            }
            (Work::Send(fd), Ok(Ret::Len(n))) => {
                let Some(connection) = self.connections.get_mut(&fd) else { return true };
                connection.waiting -= n.min(connection.waiting);
                if let Some(front) = connection.out.front_mut() {
                    front.advance(n.min(front.len()));
                    if front.is_empty() {
                        connection.out.pop_front();
                    }
                }
                if !connection.out.is_empty() {
                    // The next poll tells when there is room.
                } else if connection.closing {
                    self.todo.push_back(Work::Close(fd));
                }
            }
            (Work::Receive(fd) | Work::Send(fd), Err(failure)) if !is_not_yet(&failure) => {
                let out = self.app.ended(fd);
                self.apply(out);
                self.todo.push_back(Work::Close(fd));
            }
            _ => {}
        }
        true
    }

    fn apply(&mut self, out: Vec<Out>) {
        for out in out {
            match out {
                Out::To(to, data) => self.todo.push_back(Work::SendTo(to, data)),
                Out::Send(fd, data) => {
                    let Some(connection) = self.connections.get_mut(&fd).filter(|c| !c.closing) else {
                        continue;
                    };
                    let first = connection.out.is_empty();
                    connection.waiting += data.len();
                    if !data.is_empty() {
                        connection.out.push_back(data);
                    }
                    if connection.waiting > MOST_WAITING {
                        self.todo.push_back(Work::Close(fd));
                    } else if first {
                        self.todo.push_back(Work::Send(fd));
                    }
                }
                Out::Close(fd) => {
                    let Some(connection) = self.connections.get_mut(&fd) else { continue };
                    connection.closing = true;
                    if connection.out.is_empty() {
                        self.todo.push_back(Work::Close(fd));
                    }
                }
            }
        }
    }
}

/// `SO_BINDTODEVICE`: an interface's name.
pub(super) fn device_call(fd: Fd, device: &str) -> Call {
    let value = Bytes::copy_from_slice(device.as_bytes());
    Call::SetSockOpt { fd, level: SOL_SOCKET, name: SO_BINDTODEVICE, value }
}

fn is_not_yet(failure: &Failure) -> bool {
    matches!(failure, Failure::Errno(socketlab_stack::Errno::EAGAIN, _))
}
