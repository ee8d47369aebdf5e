//! Sockets as programs see them: descriptors, names, queues, options, readiness. What the protocols do with them is
//! in `tcp`, `udp`; here is what Linux's `net/socket.c` and `af_inet.c` do.

mod bind;
mod connect;
mod control;
mod data;
mod epoll;
mod errors;
mod files;
mod ip_options;
mod names;
mod options;
mod poll;
mod raw;
mod rights;
mod stream;
mod tcp_options;
mod unix;
mod unix_names;
mod wait;

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

pub use control::Control;

pub(crate) use bind::Ports;
pub(crate) use epoll::{Epoll, Watched};
pub(crate) use errors::QueuedError;
pub(crate) use files::Files;
pub(crate) use options::SocketOptions;
pub(crate) use poll::NEWS_IN;
use poll::{NEWS_ALL, NEWS_OUT};
pub(crate) use stream::HeldSyn;
pub(crate) use unix::Unix;
pub(crate) use wait::{Attempt, Pending};

use crate::call::{CallId, Fd, Pid};
use crate::errno::{Cause, Errno};
use crate::event::{IfaceId, SocketId};
use crate::rng::Mixer;
use crate::snapshot::TcpState;
use crate::spare::{AtRest, Spare};
use crate::tcp::{Note, Seq, Tcb};
use crate::time::Instant;

pub(crate) const AF_UNIX: i32 = 1;
pub(crate) const AF_INET: i32 = 2;
pub(crate) const AF_INET6: i32 = 10;
pub(crate) const SOCK_STREAM: i32 = 1;
pub(crate) const SOCK_DGRAM: i32 = 2;
pub(crate) const SOCK_RAW: i32 = 3;
pub(crate) const SOCK_SEQPACKET: i32 = 5;

/// One socket: what Linux calls the open file description and its `struct sock`.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) family: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
    /// Descriptors and blocked calls that hold it.
    pub(crate) refs: u32,
    /// Shared with others until it is changed.
    pub(crate) options: Arc<SocketOptions>,
    pub(crate) local: Option<SocketAddr>,
    /// bind(2) chose the port, so it stays when a connection ends.
    pub(crate) bound: bool,
    /// The port it had before a connect(2) that failed: getsockname(2) still shows it, as on Linux.
    pub(crate) stale_port: u16,
    pub(crate) peer: Option<SocketAddr>,
    /// `SO_ERROR`: what the next call hears, once.
    pub(crate) error: Option<Box<(Errno, Cause)>>,
    /// What `MSG_ERRQUEUE` reads.
    pub(crate) errors: Spare<VecDeque<QueuedError>>,
    pub(crate) shut_read: bool,
    pub(crate) shut_write: bool,
    /// Calls that sleep here, in the order they came.
    pub(crate) waiting: Spare<Vec<CallId>>,
    /// The epoll objects that watch it, each by one of its descriptors, in the order they are woken.
    pub(crate) watchers: Spare<Vec<(SocketId, Fd)>>,
    /// The entry of its TCB in the host's timers.
    pub(crate) deadline: Option<Instant>,
    pub(crate) body: Body,
}

/// What a socket is besides.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp(Box<Tcp>),
    Udp(Box<Datagrams>),
    /// An ICMP echo socket.
    Ping(Box<Datagrams>),
    Raw(Box<Datagrams>),
    Unix(Box<Unix>),
    /// No socket, but a file that is kept among them.
    Epoll(Box<Epoll>),
}

/// Linux's `socket->state`, which outlives the TCP state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Unconnected,
    Connecting,
    Connected,
}

/// A TCP socket: fresh, a listener, or an end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tcp {
    pub(crate) phase: Phase,
    pub(crate) tcb: Option<Tcb>,
    pub(crate) listener: Option<Box<Listener>>,
    /// The listener whose queue it stands in.
    pub(crate) waits_at: Option<SocketId>,
    /// Why the connection ended, for calls that come later.
    pub(crate) ended: Option<Box<Cause>>,
    /// An ICMP error that did not end the connection (Linux `sk_err_soft`).
    pub(crate) soft_error: Option<Box<(Errno, Cause)>>,
    /// The deadlines of its timers, as last told.
    pub(crate) timers: Spare<Deadlines>,
    /// Up to where the program was told that octets have come.
    pub(crate) told: Option<Seq>,
    /// Somebody found the send buffer full (Linux `SOCK_NOSPACE`).
    pub(crate) no_space: bool,
}

/// Deadlines in the order of `TIMER_KINDS`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines(pub(crate) [Option<Instant>; 8]);

impl AtRest for Deadlines {
    const AT_REST: &'static Deadlines = &Deadlines([None; 8]);

    fn is_at_rest(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// The queues of listen(2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener {
    pub(crate) backlog: usize,
    /// Half open.
    pub(crate) syn_queue: BTreeSet<SocketId>,
    /// Ready for accept(2).
    pub(crate) accept_queue: VecDeque<SocketId>,
}

impl Listener {
    /// Linux `sk_acceptq_is_full`: one more than the backlog fits.
    pub(crate) fn is_full(&self) -> bool {
        self.accept_queue.len() > self.backlog
    }
}

/// A received datagram.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) data: Bytes,
    /// What it takes of the receive buffer.
    pub(crate) cost: usize,
    pub(crate) meta: Meta,
}

/// What ancillary data tells of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    /// Where it was sent to, and our own address there.
    pub(crate) to: IpAddr,
    pub(crate) own: IpAddr,
    pub(crate) iface: IfaceId,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
}

/// The queue of a UDP, ping or raw socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datagrams {
    pub(crate) queue: VecDeque<Datagram>,
    /// Sum of the costs.
    pub(crate) held: usize,
}

impl Socket {
    pub(crate) fn new(family: i32, kind: i32, protocol: i32, body: Body) -> Socket {
        Socket {
            family,
            kind,
            protocol,
            refs: 0,
            options: options::DEFAULT.clone(),
            local: None,
            bound: false,
            stale_port: 0,
            peer: None,
            error: None,
            errors: Spare::default(),
            shut_read: false,
            shut_write: false,
            waiting: Spare::default(),
            watchers: Spare::default(),
            deadline: None,
            body,
        }
    }

    pub(crate) fn set_error(&mut self, errno: Errno, cause: Cause) {
        self.error = Some(Box::new((errno, cause)));
    }

    pub(crate) fn take_error(&mut self) -> Option<(Errno, Cause)> {
        self.error.take().map(|error| *error)
    }

    pub(crate) fn tcp(&self) -> Option<&Tcp> {
        match &self.body {
            Body::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    pub(crate) fn tcp_mut(&mut self) -> Option<&mut Tcp> {
        match &mut self.body {
            Body::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    pub(crate) fn tcb(&self) -> Option<&Tcb> {
        self.tcp()?.tcb.as_ref()
    }

    pub(crate) fn tcb_mut(&mut self) -> Option<&mut Tcb> {
        self.tcp_mut()?.tcb.as_mut()
    }

    pub(crate) fn listener_mut(&mut self) -> Option<&mut Listener> {
        self.tcp_mut()?.listener.as_deref_mut()
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.body, Body::Tcp(_))
    }

    pub(crate) fn datagrams_mut(&mut self) -> Option<&mut Datagrams> {
        match &mut self.body {
            Body::Udp(queue) | Body::Ping(queue) | Body::Raw(queue) => Some(queue),
            Body::Tcp(_) | Body::Unix(_) | Body::Epoll(_) => None,
        }
    }

    /// Whether it sends and receives datagrams of IP.
    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self.body, Body::Udp(_) | Body::Ping(_) | Body::Raw(_))
    }
}

impl Tcp {
    /// What has happened since the program was last told, as events of poll(2).
    fn news(&mut self, notes: &[Note]) -> u16 {
        let Some(tcb) = &self.tcb else { return 0 };
        let mut news = 0;
        for note in notes {
            news |= match note {
                // In Linux the program's socket was closed when TIME-WAIT began.
                Note::State(TcpState::TimeWait, _) => 0,
                Note::State(..) | Note::Failed(_) => NEWS_ALL,
                Note::Urgent => NEWS_IN,
                Note::Retransmitted { .. } | Note::Timer(_) => 0,
            };
        }
        let expected = tcb.expected();
        if self.told.replace(expected) != Some(expected) && tcb.readable() >= tcb.recv_low().max(1) {
            news |= NEWS_IN;
        }
        if self.no_space && tcb.wakes_sender() {
            self.no_space = false;
            news |= NEWS_OUT;
        }
        news
    }

    pub(crate) fn state(&self) -> TcpState {
        match (&self.listener, &self.tcb) {
            (Some(_), _) => TcpState::Listen,
            (None, Some(tcb)) => tcb.state(),
            (None, None) => TcpState::Closed,
        }
    }

    /// As the program sees it: Linux moves TIME-WAIT into a socket of its own and closes the program's.
    pub(crate) fn program_state(&self) -> TcpState {
        match self.state() {
            TcpState::TimeWait => TcpState::Closed,
            state => state,
        }
    }
}

/// All sockets of a host and the tables that find them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets {
    /// By number, from `first` on. Numbers are never used again; the front is cut off when it is empty.
    table: VecDeque<Option<Box<Socket>>>,
    first: u32,
    pub(crate) files: BTreeMap<Pid, Files>,
    pub(crate) tcp_ports: Ports,
    pub(crate) udp_ports: Ports,
    /// Numbers of ping sockets.
    pub(crate) ping_ports: Ports,
    /// Raw sockets, in the order they were made.
    pub(crate) raw: BTreeSet<SocketId>,
    /// Connections by local and remote end, which stand in the sockets. Looked up only, never walked.
    connections: HashTable<SocketId>,
    /// Descriptors that are in messages.
    pub(crate) in_flight: usize,
    /// AF_UNIX names: paths, and abstract ones with a zero first. A path outlives its socket.
    pub(crate) unix_names: BTreeMap<Vec<u8>, SocketId>,
    /// Listeners by port.
    pub(crate) listeners: BTreeMap<u16, BTreeSet<SocketId>>,
}

impl Sockets {
    pub(crate) fn insert(&mut self, socket: Socket) -> SocketId {
        let id = SocketId(self.first + u32::try_from(self.table.len()).unwrap_or(0));
        self.table.push_back(Some(Box::new(socket)));
        id
    }

    fn place(&self, id: SocketId) -> usize {
        id.0.checked_sub(self.first).map_or(usize::MAX, |index| index as usize)
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Socket> {
        self.table.get(self.place(id))?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let place = self.place(id);
        self.table.get_mut(place)?.as_deref_mut()
    }

    /// The connection between these two ends.
    pub(crate) fn connection(&self, local: SocketAddr, peer: SocketAddr) -> Option<SocketId> {
        let hash = hash_of(Some(local), Some(peer));
        let found = self.connections.find(hash, |id| {
            self.get(*id).is_some_and(|socket| socket.local == Some(local) && socket.peer == Some(peer))
        });
        found.copied()
    }

    /// From now on segments between the socket's two ends are for it, and no other one.
    pub(crate) fn connect(&mut self, id: SocketId) {
        let Some((local, peer)) = self.get(id).and_then(|socket| Some((socket.local?, socket.peer?))) else {
            return;
        };
        if let Some(old) = self.connection(local, peer) {
            self.disconnect(old);
        }
        let mut table = core::mem::take(&mut self.connections);
        let of = |id: &SocketId| self.get(*id).map_or(0, |socket| hash_of(socket.local, socket.peer));
        table.insert_unique(of(&id), id, of);
        self.connections = table;
    }

    /// The opposite of [`Sockets::connect`]; to be called before the socket loses one of its names.
    pub(crate) fn disconnect(&mut self, id: SocketId) {
        let Some(socket) = self.get(id) else { return };
        let hash = hash_of(socket.local, socket.peer);
        if let Ok(entry) = self.connections.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        let ids = (self.first..).map(SocketId);
        ids.zip(&self.table).filter_map(|(id, socket)| Some((id, socket.as_deref()?)))
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let place = self.place(id);
        let removed = self.table.get_mut(place)?.take()?;
        while self.table.front().is_some_and(Option::is_none) {
            self.table.pop_front();
            self.first += 1;
        }
        Some(*removed)
    }
}

fn hash_of(local: Option<SocketAddr>, peer: Option<SocketAddr>) -> u64 {
    let mut hasher = Mixer::default();
    (local, peer).hash(&mut hasher);
    hasher.finish()
}
