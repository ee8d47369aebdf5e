//! smoltcp's host with its own TCP sockets as a [`Station`].

use std::collections::VecDeque;

use bytes::Bytes;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::net::{Nanos, Station};
use crate::work::Work;

const PORT: u16 = 80;

#[derive(Default)]
struct Cable {
    arrived: VecDeque<Bytes>,
    sent: VecDeque<Bytes>,
}

struct Arrived(Bytes);
struct Send<'a>(&'a mut VecDeque<Bytes>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Send<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame.into());
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Send<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Send<'_>)> {
        Some((Arrived(self.arrived.pop_front()?), Send(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Send<'_>> {
        Some(Send(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A host of smoltcp, and how far its program has got.
pub(crate) struct Theirs {
    iface: Interface,
    cable: Cable,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    work: Work,
    server: bool,
    next: usize,
    moved: u64,
    next_at: Nanos,
    chunk: Vec<u8>,
    scratch: Vec<u8>,
}

impl Theirs {
    /// Both ends of pair `n`. `buffer`: octets of each socket's buffers.
    pub(crate) fn pair(n: usize, work: Work, buffer: usize) -> [Theirs; 2] {
        let [.., a, b] = (n as u32).to_be_bytes();
        [1u8, 2].map(|end| {
            let mut cable = Cable::default();
            let address = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, a, b, end]));
            let mut config = Config::new(address);
            config.random_seed = (2 * n) as u64 + u64::from(end);
            let mut iface = Interface::new(config, &mut cable, Instant::ZERO);
            iface.update_ip_addrs(|addresses| {
                let _ = addresses.push(IpCidr::new(IpAddress::v4(10, a, b, end), 24));
            });
            let mut sockets = SocketSet::new(Vec::new());
            let mut handles = Vec::new();
            for k in 0..work.connections() {
                let buffer = || tcp::SocketBuffer::new(vec![0; buffer]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                if end == 2 {
                    let _ = socket.listen(PORT);
                } else {
                    let remote = (IpAddress::v4(10, a, b, 2), PORT);
                    let _ = socket.connect(iface.context(), remote, 40_000 + (k % 20_000) as u16);
                }
                handles.push(sockets.add(socket));
            }
            Theirs {
                iface,
                cable,
                sockets,
                handles,
                work,
                server: end == 2,
                next: 0,
                moved: 0,
                next_at: 0,
                chunk: vec![0x5a; 65_536],
                scratch: vec![0; 1 << 20],
            }
        })
    }

    fn step(&mut self, now: Nanos) {
        let at = instant(now);
        self.iface.poll(at, &mut self.cable, &mut self.sockets);
        if self.use_sockets(now) {
            self.iface.poll(at, &mut self.cable, &mut self.sockets);
        }
    }

    fn use_sockets(&mut self, now: Nanos) -> bool {
        match self.work {
            Work::Bulk { octets } => {
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handles[0]);
                let before = self.moved;
                if self.server {
                    while socket.can_recv() {
                        self.moved += socket.recv_slice(&mut self.scratch).unwrap_or(0) as u64;
                    }
                } else {
                    while socket.can_send() && self.moved < octets {
                        self.moved += socket.send_slice(&self.chunk).unwrap_or(0) as u64;
                    }
                }
                self.moved > before
            }
            Work::Trickle { every, octets, .. } => {
                let handle = self.handles[self.next % self.handles.len()];
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
                if self.server {
                    let can = socket.can_recv();
                    if can {
                        self.moved += socket.recv_slice(&mut self.scratch).unwrap_or(0) as u64;
                        self.next += 1;
                    }
                    return can;
                }
                if now < self.next_at || !socket.can_send() {
                    return false;
                }
                let _ = socket.send_slice(&self.chunk[..octets]);
                self.next += 1;
                self.next_at = now + every;
                true
            }
            Work::Fill { .. } | Work::Idle { .. } => false,
        }
    }
}

fn instant(now: Nanos) -> Instant {
    Instant::from_micros((now / 1_000) as i64)
}

impl Station for Theirs {
    fn handle_frame(&mut self, now: Nanos, frame: Bytes) {
        self.cable.arrived.push_back(frame);
        self.step(now);
    }

    fn handle_timeout(&mut self, now: Nanos) {
        self.step(now);
    }

    fn poll_transmit(&mut self, _now: Nanos) -> Option<Bytes> {
        self.cable.sent.pop_front()
    }

    fn poll_timeout(&mut self, now: Nanos) -> Option<Nanos> {
        let at = self.iface.poll_at(instant(now), &self.sockets);
        let own = at.map(|at| (at.total_micros().max(0) as u64 * 1_000).max(now + 1_000));
        let work = match self.work {
            Work::Trickle { .. } if !self.server && self.next_at > now => Some(self.next_at),
            _ => None,
        };
        [own, work].into_iter().flatten().min()
    }

    fn is_done(&self) -> bool {
        match self.work {
            Work::Bulk { octets } => !self.server || self.moved >= octets,
            _ => false,
        }
    }
}
