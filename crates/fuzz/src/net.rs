//! Two hosts on a perfect wire: every frame arrives, whole, in order, a millisecond later.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use arbitrary::Unstructured;
use bytes::Bytes;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};
use socketlab_stack::{
    Call, CallId, Failure, Fd, Host, HostConfig, IfaceId, Instant, IpCidr, MacAddr, Outcome, Pid, Ret,
    SockAddr, SocketSnapshot,
};

pub(crate) const PID: Pid = Pid(1);
pub(crate) const AF_INET: i32 = 2;
pub(crate) const AF_INET6: i32 = 10;
pub(crate) const STREAM: i32 = 1;
pub(crate) const DGRAM: i32 = 2;
pub(crate) const RAW: i32 = 3;
pub(crate) const MTU: usize = 1500;
const DELAY: Duration = Duration::from_millis(1);

/// Frames one input may put on the wire; then it is cut. An input must not take for ever.
const MOST_FRAMES: usize = 20_000;

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) hosts: [Host; 2],
    queue: VecDeque<(Instant, usize, Bytes)>,
    /// The last frames on the wire, by whom, to be changed and sent again.
    pub(crate) log: VecDeque<(usize, Bytes)>,
    frames: usize,
    /// Programs write no headers themselves: every frame of a host must be sound.
    sound: bool,
    /// A host that gets no frames.
    pub(crate) unplugged: Option<usize>,
    next_call: u64,
    answers: BTreeMap<CallId, Result<Ret, Failure>>,
}

/// IPv4 address of a host: 10.0.0.1, 10.0.0.2.
pub(crate) fn v4(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host as u8 + 1)
}

/// IPv6 address of a host: fd00::1, fd00::2.
pub(crate) fn v6(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host as u16 + 1)
}

pub(crate) fn mac(host: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host as u8 + 1])
}

pub(crate) fn at(ip: impl Into<IpAddr>, port: u16) -> SockAddr {
    SockAddr::Ip(SocketAddr::new(ip.into(), port))
}

/// Up to so many octets of an input.
pub(crate) fn octets<'a>(u: &mut Unstructured<'a>, most: usize) -> arbitrary::Result<&'a [u8]> {
    let len = u.int_in_range(0..=most)?;
    u.bytes(len.min(u.len()))
}

impl Net {
    /// `sound`: no program writes to raw sockets, so every frame that goes out is checked.
    pub(crate) fn new(sound: bool) -> Net {
        let hosts = [0, 1].map(|index| {
            let mut host = Host::new(HostConfig { seed: index as u64 + 1, ..HostConfig::default() });
            let v4 = IpCidr { address: v4(index).into(), prefix_len: 24 };
            let v6 = IpCidr { address: v6(index).into(), prefix_len: 64 };
            host.add_interface("eth0", mac(index), &[v4, v6], MTU);
            host
        });
        Net {
            now: Instant::ZERO,
            hosts,
            queue: VecDeque::new(),
            log: VecDeque::new(),
            frames: 0,
            sound,
            unplugged: None,
            next_call: 1,
            answers: BTreeMap::new(),
        }
    }

    fn drain(&mut self, host: usize) {
        while let Some((_, frame)) = self.hosts[host].poll_transmit(self.now) {
            if self.sound {
                check_frame(&frame);
            }
            self.frames += 1;
            if self.log.len() == 32 {
                self.log.pop_front();
            }
            self.log.push_back((host, frame.clone()));
            if self.frames < MOST_FRAMES && self.unplugged != Some(1 - host) {
                self.queue.push_back((self.now + DELAY, 1 - host, frame));
            }
        }
        while let Some((id, result)) = self.hosts[host].poll_completion() {
            assert!(self.answers.insert(id, result).is_none(), "a call is answered once");
        }
        while self.hosts[host].poll_event().is_some() {}
    }

    /// A frame that nobody sent arrives at a host.
    pub(crate) fn inject(&mut self, to: usize, frame: Bytes) {
        self.hosts[to].handle_frame(self.now, IfaceId(1), frame);
        self.drain(to);
    }

    /// Time passes.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        // Each timer that runs out is a step: a host that asks to be woken for nothing would never end.
        for _ in 0..200_000 {
            let frame = self.queue.front().map(|(at, ..)| *at);
            let timer =
                [0, 1].into_iter().filter_map(|i| self.hosts[i].poll_timeout().map(|at| (at, i))).min();
            let next = frame.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if frame == Some(next) {
                let Some((_, to, frame)) = self.queue.pop_front() else { return };
                self.inject(to, frame);
            } else if let Some((_, host)) = timer {
                self.hosts[host].handle_timeout(self.now);
                self.drain(host);
            }
        }
        panic!("timers and frames without end within {time:?}");
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

    /// The process of a host ends.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].kill(self.now, PID);
        self.drain(host);
    }

    pub(crate) fn answer(&mut self, id: CallId) -> Option<Result<Ret, Failure>> {
        self.answers.remove(&id)
    }

    /// A call that must be over within ten seconds.
    pub(crate) fn call(&mut self, host: usize, call: Call) -> Result<Ret, Failure> {
        let id = self.start(host, call);
        for _ in 0..1000 {
            if let Some(answer) = self.answer(id) {
                return answer;
            }
            self.run(Duration::from_millis(10));
        }
        panic!("call {id:?} is never answered");
    }

    pub(crate) fn socket(&mut self, host: usize, family: i32, kind: i32, protocol: i32) -> Fd {
        match self.call(host, Call::Socket { family, kind, protocol }) {
            Ok(Ret::Fd(fd)) => fd,
            other => panic!("socket: {other:?}"),
        }
    }

    pub(crate) fn bound(&mut self, host: usize, family: i32, kind: i32, addr: SockAddr) -> Fd {
        let fd = self.socket(host, family, kind, 0);
        self.call(host, Call::Bind { fd, addr }).unwrap();
        fd
    }

    pub(crate) fn listener(&mut self, host: usize, family: i32, addr: SockAddr) -> Fd {
        let fd = self.bound(host, family, STREAM, addr);
        self.call(host, Call::Listen { fd, backlog: 8 }).unwrap();
        fd
    }

    /// A connection from host 0 to a listener of host 1: both ends.
    pub(crate) fn pair(&mut self, listener: Fd, addr: SockAddr) -> (Fd, Fd) {
        let client = self.socket(0, AF_INET, STREAM, 0);
        self.call(0, Call::Connect { fd: client, addr, timeout: None }).unwrap();
        match self.call(1, Call::Accept { fd: listener, timeout: None }) {
            Ok(Ret::Accepted(server, _)) => (client, server),
            other => panic!("accept: {other:?}"),
        }
    }

    /// recv(2) with MSG_DONTWAIT.
    pub(crate) fn try_recv(&mut self, host: usize, fd: Fd, len: usize) -> Option<Bytes> {
        match self.call(host, Call::Recv { fd, len, flags: 0x40, timeout: None }) {
            Ok(Ret::Data(data, ..)) => Some(data),
            _ => None,
        }
    }

    pub(crate) fn snapshot(&self, host: usize, fd: Fd) -> Option<SocketSnapshot> {
        let id = self.hosts[host].socket_of(PID, fd)?;
        self.hosts[host].snapshot().sockets.into_iter().find(|socket| socket.id == id)
    }
}

/// What a host puts on the wire is sound whatever came in: lengths, checksums, the link's MTU.
fn check_frame(frame: &[u8]) {
    let ethernet = EthernetFrame::new_checked(frame).unwrap();
    assert!(ethernet.payload().len() <= MTU, "longer than the link takes: {}", ethernet.payload().len());
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
            assert!(ip.verify_checksum(), "a wrong IPv4 checksum goes out");
            if !ip.more_frags() && ip.frag_offset() == 0 {
                let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
                check_transport(ip.next_header(), ip.payload(), from, to);
            }
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(ethernet.payload()).unwrap();
            let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
            check_transport(ip.next_header(), ip.payload(), from, to);
        }
        _ => {}
    }
}

fn check_transport(
    protocol: IpProtocol,
    octets: &[u8],
    from: smoltcp::wire::IpAddress,
    to: smoltcp::wire::IpAddress,
) {
    match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(octets).unwrap();
            assert!(tcp.verify_checksum(&from, &to), "a wrong TCP checksum goes out");
            crate::options::check_written(tcp.options());
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(octets).unwrap();
            assert!(udp.verify_checksum(&from, &to), "a wrong UDP checksum goes out");
        }
        _ => {}
    }
}
