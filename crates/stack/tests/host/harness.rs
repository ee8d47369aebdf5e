//! A link between hosts, under a rule that may lose, delay or copy frames, and programs as plain calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};
use socketlab_stack::*;

pub(crate) const PID: Pid = Pid(1);
pub(crate) const AF_INET: i32 = 2;
pub(crate) const STREAM: i32 = 1;
pub(crate) const DGRAM: i32 = 2;
pub(crate) const AF_INET6: i32 = 10;
pub(crate) const RAW: i32 = 3;
pub(crate) const SOL_SOCKET: i32 = 1;
pub(crate) const SO_REUSEADDR: i32 = 2;

/// What happens to a frame on the link: when each copy of it arrives.
pub(crate) type Fate = Vec<Duration>;
type Rule = Box<dyn FnMut(usize, &Bytes) -> Option<Fate>>;
type Damage = Box<dyn FnMut(Bytes) -> Bytes>;

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) delay: Duration,
    queue: BTreeMap<(Instant, u64), (usize, Bytes)>,
    next_frame: u64,
    next_call: u64,
    rule: Rule,
    damage: Damage,
    /// Every frame put on the link: when, by whom.
    pub(crate) log: Vec<(Instant, usize, Bytes)>,
    answers: BTreeMap<CallId, Result<Ret, Failure>>,
    pub(crate) events: Vec<(usize, HostEvent)>,
}

pub(crate) fn ip(host: usize) -> IpAddr {
    format!("10.0.0.{}", host + 1).parse().unwrap()
}

/// The IPv6 address of a host: `fd00::1` and so on.
pub(crate) fn ip6(host: usize) -> IpAddr {
    format!("fd00::{:x}", host + 1).parse().unwrap()
}

pub(crate) fn at(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(ip(host), port)
}

pub(crate) fn addr(text: &str) -> SockAddr {
    SockAddr::Ip(text.parse().unwrap())
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn errno(result: Result<Ret, Failure>) -> Errno {
    match result {
        Err(Failure::Errno(errno, _)) => errno,
        other => panic!("expected an errno, got {other:?}"),
    }
}

pub(crate) fn bytes(result: Result<Ret, Failure>) -> Bytes {
    match result {
        Ok(Ret::Data(data, _, _)) => data,
        other => panic!("expected data, got {other:?}"),
    }
}

pub(crate) fn mac(host: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host as u8 + 1])
}

impl Net {
    pub(crate) fn with(configs: Vec<HostConfig>) -> Net {
        let hosts = configs
            .into_iter()
            .enumerate()
            .map(|(index, config)| {
                let mut host = Host::new(config);
                let address = IpCidr { address: ip(index), prefix_len: 24 };
                let v6 = IpCidr { address: ip6(index), prefix_len: 64 };
                host.add_interface("eth0", mac(index), &[address, v6], 1500);
                host
            })
            .collect();
        Net {
            now: Instant::ZERO,
            hosts,
            delay: ms(5),
            queue: BTreeMap::new(),
            next_frame: 0,
            next_call: 1,
            rule: Box::new(|_, _| None),
            damage: Box::new(|frame| frame),
            log: Vec::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Two hosts, 10.0.0.1 and 10.0.0.2, on one link of 5 ms.
    pub(crate) fn new() -> Net {
        Net::with(vec![
            HostConfig { name: "a".into(), seed: 1, ..HostConfig::default() },
            HostConfig { name: "b".into(), seed: 2, ..HostConfig::default() },
        ])
    }

    /// From now on, the rule decides about frames: `None` is the ordinary delay.
    pub(crate) fn rule(&mut self, rule: impl FnMut(usize, &Bytes) -> Option<Fate> + 'static) {
        self.rule = Box::new(rule);
    }

    /// From now on, each copy of a frame arrives as this makes it.
    pub(crate) fn damage(&mut self, damage: impl FnMut(Bytes) -> Bytes + 'static) {
        self.damage = Box::new(damage);
    }

    /// Puts the frames a host has made on the link, and collects answers and events.
    pub(crate) fn drain(&mut self, host: usize) {
        while let Some((_, frame)) = self.hosts[host].poll_transmit(self.now) {
            self.log.push((self.now, host, frame.clone()));
            let fate = (self.rule)(host, &frame).unwrap_or_else(|| vec![self.delay]);
            for delay in fate {
                self.inject_after(host, frame.clone(), delay);
            }
        }
        while let Some((id, result)) = self.hosts[host].poll_completion() {
            assert!(self.answers.insert(id, result).is_none(), "a call is answered once");
        }
        while let Some(event) = self.hosts[host].poll_event() {
            self.events.push((host, event));
        }
    }

    fn inject_after(&mut self, from: usize, frame: Bytes, delay: Duration) {
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            self.next_frame += 1;
            let arrives = (self.damage)(frame.clone());
            self.queue.insert((self.now + delay, self.next_frame), (to, arrives));
        }
    }

    /// The only frame in flight becomes another one.
    pub(crate) fn replace_in_flight(&mut self, frame: Bytes) {
        assert_eq!(self.queue.len(), 1);
        for (_, old) in self.queue.values_mut() {
            *old = frame.clone();
        }
    }

    /// One event: the next frame or timer. False if there is none before `until`.
    pub(crate) fn step(&mut self, until: Instant) -> bool {
        let frame = self.queue.first_key_value().map(|((at, _), _)| *at);
        let timer =
            self.hosts.iter().enumerate().filter_map(|(i, h)| h.poll_timeout().map(|at| (at, i))).min();
        let next = [frame, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        if frame == Some(next) {
            let (_, (to, frame)) = self.queue.pop_first().unwrap();
            self.hosts[to].handle_frame(self.now, IfaceId(1), frame);
            self.drain(to);
        } else if let Some((_, host)) = timer {
            self.hosts[host].handle_timeout(self.now);
            self.drain(host);
        }
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until nothing is left to happen; fails if that takes longer than `most`.
    pub(crate) fn run_dry(&mut self, most: Duration) {
        let until = self.now + most;
        while self.step(until) {}
        let left: Vec<_> = self.hosts.iter().filter_map(Host::poll_timeout).collect();
        assert!(self.queue.is_empty() && left.is_empty(), "still busy after {most:?}: {left:?}");
    }

    /// Begins a call that may block.
    pub(crate) fn start(&mut self, host: usize, call: Call) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        if let Outcome::Done(result) = self.hosts[host].call(self.now, PID, id, call) {
            self.answers.insert(id, result);
        }
        self.drain(host);
        id
    }

    pub(crate) fn answer(&mut self, id: CallId) -> Option<Result<Ret, Failure>> {
        self.answers.remove(&id)
    }

    /// Lets time pass until the call is answered, at most an hour.
    pub(crate) fn wait(&mut self, id: CallId) -> Result<Ret, Failure> {
        let until = self.now + Duration::from_secs(3600);
        loop {
            if let Some(answer) = self.answer(id) {
                return answer;
            }
            assert!(self.step(until), "call {id:?} is never answered");
        }
    }

    pub(crate) fn call(&mut self, host: usize, call: Call) -> Result<Ret, Failure> {
        let id = self.start(host, call);
        self.wait(id)
    }

    /// A call that must be over at once.
    pub(crate) fn now(&mut self, host: usize, call: Call) -> Result<Ret, Failure> {
        let id = self.start(host, call);
        self.answer(id).expect("the call must not block")
    }

    pub(crate) fn socket(&mut self, host: usize, kind: i32) -> Fd {
        match self.now(host, Call::Socket { family: AF_INET, kind, protocol: 0 }) {
            Ok(Ret::Fd(fd)) => fd,
            other => panic!("socket: {other:?}"),
        }
    }

    pub(crate) fn open(&mut self, host: usize, family: i32, kind: i32, protocol: i32) -> Fd {
        match self.now(host, Call::Socket { family, kind, protocol }) {
            Ok(Ret::Fd(fd)) => fd,
            other => panic!("socket: {other:?}"),
        }
    }

    pub(crate) fn send_to(&mut self, host: usize, fd: Fd, data: &[u8], to: &str) -> Result<Ret, Failure> {
        let data = Bytes::copy_from_slice(data);
        self.now(host, Call::SendTo { fd, data, flags: 0, addr: addr(to), timeout: None })
    }

    /// A neighbour's state in a host's table.
    pub(crate) fn neighbour(&self, host: usize, of: IpAddr) -> Option<NeighbourState> {
        let table = self.hosts[host].snapshot_at(self.now).neighbours;
        table.into_iter().find(|entry| entry.address == of).map(|entry| entry.state)
    }

    pub(crate) fn bind(&mut self, host: usize, fd: Fd, to: &str) -> Result<Ret, Failure> {
        self.now(host, Call::Bind { fd, addr: addr(to) })
    }

    pub(crate) fn listener(&mut self, host: usize, port: u16, backlog: i32) -> Fd {
        let fd = self.socket(host, STREAM);
        self.bind(host, fd, &format!("0.0.0.0:{port}")).unwrap();
        self.now(host, Call::Listen { fd, backlog }).unwrap();
        fd
    }

    pub(crate) fn connect(&mut self, host: usize, fd: Fd, to: SocketAddr) -> Result<Ret, Failure> {
        self.call(host, Call::Connect { fd, addr: SockAddr::Ip(to), timeout: None })
    }

    pub(crate) fn accept(&mut self, host: usize, fd: Fd) -> Fd {
        match self.call(host, Call::Accept { fd, timeout: None }) {
            Ok(Ret::Accepted(fd, _)) => fd,
            other => panic!("accept: {other:?}"),
        }
    }

    /// A connection from host 0 to port 80 of host 1: (client, server, listener).
    pub(crate) fn pair(&mut self) -> (Fd, Fd, Fd) {
        let listener = self.listener(1, 80, 5);
        let client = self.socket(0, STREAM);
        self.connect(0, client, at(1, 80)).unwrap();
        let server = self.accept(1, listener);
        (client, server, listener)
    }

    pub(crate) fn send(&mut self, host: usize, fd: Fd, data: &[u8]) -> Result<Ret, Failure> {
        let data = Bytes::copy_from_slice(data);
        self.call(host, Call::Send { fd, data, flags: 0, timeout: None })
    }

    pub(crate) fn recv(&mut self, host: usize, fd: Fd, len: usize) -> Result<Ret, Failure> {
        self.call(host, Call::Recv { fd, len, flags: 0, timeout: None })
    }

    /// recv(2) with MSG_DONTWAIT.
    pub(crate) fn try_recv(&mut self, host: usize, fd: Fd, len: usize) -> Result<Ret, Failure> {
        self.now(host, Call::Recv { fd, len, flags: 0x40, timeout: None })
    }

    pub(crate) fn close(&mut self, host: usize, fd: Fd) {
        self.now(host, Call::Close { fd }).unwrap();
    }

    pub(crate) fn shutdown(&mut self, host: usize, fd: Fd, how: i32) -> Result<Ret, Failure> {
        self.now(host, Call::Shutdown { fd, how })
    }

    pub(crate) fn set_option(&mut self, host: usize, fd: Fd, level: i32, name: i32, value: &[i32]) {
        let value: Vec<u8> = value.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.now(host, Call::SetSockOpt { fd, level, name, value: value.into() }).unwrap();
    }

    pub(crate) fn option(&mut self, host: usize, fd: Fd, level: i32, name: i32) -> i32 {
        match self.now(host, Call::GetSockOpt { fd, level, name, len: 4 }) {
            Ok(Ret::Opt(bytes)) => i32::from_le_bytes(bytes.as_ref().try_into().unwrap()),
            other => panic!("getsockopt: {other:?}"),
        }
    }

    /// Events of poll(2) now, asking for all.
    pub(crate) fn poll(&mut self, host: usize, fd: Fd) -> u16 {
        match self.now(host, Call::Poll { fds: vec![(fd, 0x2fff)], timeout: Some(Duration::ZERO) }) {
            Ok(Ret::Ready(ready)) => ready.first().map_or(0, |(_, events)| *events),
            other => panic!("poll: {other:?}"),
        }
    }

    pub(crate) fn socket_snapshot(&self, host: usize, fd: Fd) -> SocketSnapshot {
        let id = self.hosts[host].socket_of(PID, fd).expect("an open descriptor");
        self.hosts[host].snapshot().sockets.into_iter().find(|socket| socket.id == id).unwrap()
    }

    pub(crate) fn state(&self, host: usize, fd: Fd) -> TcpState {
        self.socket_snapshot(host, fd).state.unwrap()
    }

    /// States of all TCP sockets of a host that no program owns.
    pub(crate) fn kernel_states(&self, host: usize) -> Vec<TcpState> {
        let sockets = self.hosts[host].snapshot().sockets;
        sockets.into_iter().filter(|s| s.owners.is_empty()).filter_map(|s| s.state).collect()
    }

    /// TCP segments on the link since frame `from` of the log, as `0 SYN`, `1 SYN,ACK`, `0 PSH,ACK 5`.
    pub(crate) fn segments(&self, from: usize) -> Vec<String> {
        self.log[from..].iter().filter_map(|(_, host, frame)| describe(*host, frame)).collect()
    }
}

/// The TCP payload length and flags of a frame.
pub(crate) fn describe(host: usize, frame: &Bytes) -> Option<String> {
    let ethernet = EthernetFrame::new_checked(frame.as_ref()).unwrap();
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
    assert!(ip.verify_checksum());
    if ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
    assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    let mut flags = Vec::new();
    for (on, name) in
        [(tcp.syn(), "SYN"), (tcp.fin(), "FIN"), (tcp.rst(), "RST"), (tcp.psh(), "PSH"), (tcp.ack(), "ACK")]
    {
        if on {
            flags.push(name);
        }
    }
    let len = tcp.payload().len();
    Some(if len > 0 {
        format!("{host} {} {len}", flags.join(","))
    } else {
        format!("{host} {}", flags.join(","))
    })
}

/// A small generator for tests (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
