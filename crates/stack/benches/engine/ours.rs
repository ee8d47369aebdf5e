//! Our host as a [`Station`], with a program that makes plain system calls.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use socketlab_stack::{
    Call, CallId, Fd, Host, HostConfig, IfaceId, Instant, IpCidr, MacAddr, Outcome, Pid, Ret, SockAddr,
};

use crate::net::{Nanos, Station};
use crate::work::Work;

const PID: Pid = Pid(1);
const PORT: u16 = 80;

/// A host, and how far its program has got.
pub(crate) struct Ours {
    pub(crate) host: Host,
    calls: u64,
    work: Work,
    server: bool,
    peer: SocketAddr,
    listener: Option<Fd>,
    pub(crate) connections: Vec<Fd>,
    wanted: usize,
    next: usize,
    moved: u64,
    next_at: Nanos,
    /// Events are kept, as a trace does, or thrown away.
    pub(crate) events: Option<Vec<socketlab_stack::HostEvent>>,
    chunk: Bytes,
}

impl Ours {
    /// Both ends of pair `n` of stations.
    pub(crate) fn pair(n: usize, work: Work, trace: bool) -> [Ours; 2] {
        let address = |end: u8| {
            let [.., a, b] = (n as u32).to_be_bytes();
            Ipv4Addr::new(10, a, b, end)
        };
        [1u8, 2].map(|end| {
            let mut host =
                Host::new(HostConfig { seed: (2 * n) as u64 + u64::from(end), ..HostConfig::default() });
            let own = IpCidr { address: IpAddr::V4(address(end)), prefix_len: 24 };
            let [.., a, b] = (n as u32).to_be_bytes();
            host.add_interface("eth0", MacAddr([2, 0, 0, a, b, end]), &[own], 1500);
            Ours {
                host,
                calls: 0,
                work,
                server: end == 2,
                peer: SocketAddr::from((address(3 - end), PORT)),
                listener: None,
                connections: Vec::new(),
                wanted: work.connections(),
                next: 0,
                moved: 0,
                next_at: 0,
                events: trace.then(Vec::new),
                chunk: Bytes::from_static(&[0x5a; 65_536]),
            }
        })
    }

    fn call(&mut self, now: Nanos, call: Call) -> Option<Ret> {
        self.calls += 1;
        match self.host.call(Instant::from_nanos(now), PID, CallId(self.calls), call) {
            Outcome::Done(Ok(ret)) => Some(ret),
            _ => None,
        }
    }

    fn begin(&mut self, now: Nanos) {
        let socket = Call::Socket { family: 2, kind: 1, protocol: 0 };
        if self.server {
            let Some(Ret::Fd(fd)) = self.call(now, socket) else { return };
            let any = SockAddr::Ip(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
            self.call(now, Call::Bind { fd, addr: any });
            self.call(now, Call::Listen { fd, backlog: 4096 });
            self.listener = Some(fd);
            return;
        }
        for _ in 0..self.wanted {
            let Some(Ret::Fd(fd)) = self.call(now, socket.clone()) else { return };
            let timeout = Some(Duration::ZERO);
            self.call(now, Call::Connect { fd, addr: SockAddr::Ip(self.peer), timeout });
            self.connections.push(fd);
        }
    }

    /// Goes on as far as it can without blocking.
    fn go_on(&mut self, now: Nanos) {
        let timeout = Some(Duration::ZERO);
        while let Some(fd) = self.listener.filter(|_| self.connections.len() < self.wanted) {
            let Some(Ret::Accepted(fd, _)) = self.call(now, Call::Accept { fd, timeout }) else { break };
            self.connections.push(fd);
        }
        match self.work {
            Work::Bulk { octets } if self.server => {
                let Some(&fd) = self.connections.first() else { return };
                while let Some(Ret::Data(data, ..)) =
                    self.call(now, Call::Recv { fd, len: 1 << 20, flags: 0, timeout })
                {
                    self.moved += data.len() as u64;
                    if data.is_empty() || self.moved >= octets {
                        break;
                    }
                }
            }
            Work::Bulk { octets } => {
                let Some(&fd) = self.connections.first() else { return };
                while self.moved < octets {
                    let data = self.chunk.clone();
                    match self.call(now, Call::Send { fd, data, flags: 0, timeout }) {
                        Some(Ret::Len(len)) => self.moved += len as u64,
                        _ => break,
                    }
                }
            }
            Work::Trickle { every, octets, .. } => self.trickle(now, every, octets),
            Work::Fill { octets, .. } if !self.server => {
                while self.next < self.connections.len() {
                    let fd = self.connections[self.next];
                    let data = self.chunk.slice(..octets);
                    if self.call(now, Call::Send { fd, data, flags: 0, timeout }).is_none() {
                        break;
                    }
                    self.next += 1;
                }
            }
            Work::Fill { .. } | Work::Idle { .. } => {}
        }
    }

    /// One message at a time, by one connection after the other.
    fn trickle(&mut self, now: Nanos, every: Nanos, octets: usize) {
        let timeout = Some(Duration::ZERO);
        if self.server {
            // What has come last, first: as a program finds it by epoll.
            let Some(&fd) = self.connections.get(self.next % self.wanted.max(1)) else { return };
            while let Some(Ret::Data(data, ..)) =
                self.call(now, Call::Recv { fd, len: 65_536, flags: 0, timeout })
            {
                self.moved += data.len() as u64;
                if data.is_empty() {
                    break;
                }
                self.next += 1;
            }
            return;
        }
        if now < self.next_at || self.connections.is_empty() {
            return;
        }
        let fd = self.connections[self.next % self.connections.len()];
        let data = self.chunk.slice(..octets);
        if self.call(now, Call::Send { fd, data, flags: 0, timeout }).is_some() {
            self.next += 1;
            self.next_at = now + every;
        }
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.host.poll_event() {
            if let Some(events) = &mut self.events {
                events.push(event);
            }
        }
        while self.host.poll_completion().is_some() {}
    }
}

impl Station for Ours {
    fn handle_frame(&mut self, now: Nanos, frame: Bytes) {
        self.host.handle_frame(Instant::from_nanos(now), IfaceId(1), frame);
        self.go_on(now);
        self.drain_events();
    }

    fn handle_timeout(&mut self, now: Nanos) {
        if now == 0 && self.listener.is_none() && self.connections.is_empty() {
            self.begin(now);
        }
        self.host.handle_timeout(Instant::from_nanos(now));
        self.go_on(now);
        self.drain_events();
    }

    fn poll_transmit(&mut self, now: Nanos) -> Option<Bytes> {
        self.host.poll_transmit(Instant::from_nanos(now)).map(|(_, frame)| frame)
    }

    fn poll_timeout(&mut self, _now: Nanos) -> Option<Nanos> {
        let own = self.host.poll_timeout().map(Instant::as_nanos);
        let work = match self.work {
            Work::Trickle { .. } if !self.server && self.next_at > 0 => Some(self.next_at),
            _ => None,
        };
        [own, work].into_iter().flatten().min()
    }

    fn is_done(&self) -> bool {
        match self.work {
            Work::Bulk { octets } => !self.server || self.moved >= octets,
            Work::Fill { .. } | Work::Idle { .. } => false,
            Work::Trickle { .. } => false,
        }
    }
}
