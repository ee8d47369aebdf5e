//! ICMP errors at datagram sockets: which ones a program hears of, and the error queue of `IP_RECVERR` and
//! `IPV6_RECVERR` (ip(7)).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::control::Control;
use super::poll::POLLERR;
use super::{Body, Socket};
use crate::call::Ret;
use crate::errno::{Cause, Errno};
use crate::event::SocketId;
use crate::host::Host;
use crate::icmp::Report;
use crate::ip::Fragment;
use crate::time::Instant;

/// `MSG_ERRQUEUE`, as recvmsg(2) sets it.
pub(super) const MSG_ERRQUEUE: i32 = 0x2000;
const MSG_TRUNC: i32 = 0x20;
/// Octets of a UDP and of an ICMP header.
const HEADER: usize = 8;
/// So many errors wait for a program; a choice (Linux counts them against `SO_RCVBUF`).
const MOST: usize = 128;

/// One entry of the error queue: `struct sock_extended_err`, and whom it is about.
#[derive(Clone, Debug)]
pub(crate) struct QueuedError {
    errno: Errno,
    cause: Cause,
    /// `SO_EE_ORIGIN_LOCAL` 1, `_ICMP` 2, `_ICMP6` 3.
    origin: u8,
    kind: u8,
    code: u8,
    info: u32,
    offender: Option<IpAddr>,
    /// Where the datagram was sent to.
    about: SocketAddr,
    /// What is quoted of it.
    data: Bytes,
}

impl QueuedError {
    fn control(&self, v6: bool) -> Control {
        let mut data = Vec::with_capacity(44);
        data.extend((self.errno as u32).to_le_bytes());
        data.extend([self.origin, self.kind, self.code, 0]);
        data.extend(self.info.to_le_bytes());
        data.extend([0; 4]);
        match (self.offender, v6) {
            (Some(IpAddr::V4(ip)), false) => {
                data.extend([2, 0, 0, 0]);
                data.extend(ip.octets());
            }
            (Some(ip), true) => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                data.extend([10, 0, 0, 0, 0, 0, 0, 0]);
                data.extend(ip.octets());
            }
            _ => {}
        }
        data.resize(if v6 { 44 } else { 32 }, 0);
        let (level, kind) = if v6 { (41, 25) } else { (0, 11) };
        Control { level, kind, data: data.into() }
    }
}

impl Socket {
    /// What `MSG_ERRQUEUE` reads: an ICMP error about `data`, which was sent to `about`.
    pub(super) fn queue_error(&mut self, report: &Report, about: SocketAddr, data: Bytes) {
        if self.errors.len() < MOST {
            self.errors.push_back(QueuedError {
                errno: report.errno,
                cause: report.cause.clone(),
                origin: if about.is_ipv6() { 3 } else { 2 },
                kind: report.kind.0,
                code: report.kind.1,
                info: report.too_big.unwrap_or(0),
                offender: Some(report.from),
                about,
                data,
            });
        }
    }
}

impl Host {
    /// An ICMP error is about a datagram of ours (Linux `__udp4_lib_err`).
    pub(crate) fn udp_error(
        &mut self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        report: &Report,
        quoted: &Bytes,
    ) {
        let holders = self.sockets.udp_ports.holders(local.port());
        let fits = |id: &SocketId| {
            self.sockets.get(*id).is_some_and(|socket| {
                Host::is_about(socket.local, local) && socket.peer.is_none_or(|other| other == peer)
            })
        };
        // The connected one first.
        let connected = |id: &&SocketId| self.sockets.get(**id).is_some_and(|s| s.peer.is_some());
        let found: Vec<SocketId> = holders.into_iter().filter(fits).collect();
        let Some(id) = found.iter().find(connected).or(found.first()).copied() else { return };
        if let Some(mtu) = report.too_big {
            self.lower_path_mtu(now, peer.ip(), mtu);
        }
        self.tell_socket(id, report, peer, quoted.slice(HEADER.min(quoted.len())..));
    }

    /// An ICMP error is about an echo request of ours (Linux `ping_err`).
    pub(crate) fn ping_error(&mut self, local: SocketAddr, to: IpAddr, report: &Report, quoted: &Bytes) {
        let Some(ident) = quoted.get(4..6).map(|o| u16::from_be_bytes([o[0], o[1]])) else { return };
        let local = SocketAddr::new(local.ip(), ident);
        let holders = self.sockets.ping_ports.holders(ident);
        let fits = |id: &SocketId| {
            self.sockets
                .get(*id)
                .is_some_and(|socket| Host::is_about(socket.local, local) && socket.is_v6() == to.is_ipv6())
        };
        if let Some(id) = holders.into_iter().find(fits) {
            self.tell_socket(id, report, SocketAddr::new(to, 0), quoted.clone());
        }
    }

    /// An ICMP error is about a packet that a raw socket may have sent (Linux `raw_err`, `rawv6_err`).
    pub(crate) fn raw_error(
        &mut self,
        now: Instant,
        protocol: u8,
        (local, to): (IpAddr, IpAddr),
        report: &Report,
        packet: &Bytes,
        payload: &Bytes,
    ) {
        for id in self.sockets.raw.clone() {
            let Some(socket) = self.sockets.get(id) else { continue };
            let peer = socket.peer.map(|peer| peer.ip());
            let about = socket.protocol == i32::from(protocol)
                && socket.is_v6() == to.is_ipv6()
                && Host::is_about(socket.local, SocketAddr::new(local, 0))
                && peer.is_none_or(|peer| peer == to);
            if !about || peer.is_none() && !socket.options.ip.recverr(to.is_ipv6()) {
                continue;
            }
            if let Some(mtu) = report.too_big {
                self.lower_path_mtu(now, to, mtu);
            }
            let quoted = match self.sockets.get(id) {
                Some(socket) if socket.options.ip.header_included => packet,
                _ => payload,
            };
            self.tell_socket(id, report, SocketAddr::new(to, 0), quoted.clone());
        }
    }

    /// Puts an error where the program finds it. Unasked it hears only what is hard, and only if it is connected
    /// (RFC 1122 4.1.3.3).
    fn tell_socket(&mut self, id: SocketId, report: &Report, about: SocketAddr, data: Bytes) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let v6 = about.is_ipv6();
        let discovers = !matches!(socket.options.ip.fragment(v6), Fragment::Dont | Fragment::Omit);
        // Linux: who does not discover path MTUs does not hear of them.
        if report.too_big.is_some() && !discovers {
            return;
        }
        let hard = report.hard || report.too_big.is_some();
        if socket.options.ip.recverr(v6) {
            socket.queue_error(report, about, data);
        } else if !hard || socket.peer.is_none() {
            return;
        }
        socket.set_error(report.errno, report.cause.clone());
        self.wake_for(id, POLLERR);
    }

    /// A datagram is too long for its way (Linux `ip_local_error`).
    pub(super) fn local_error(&mut self, id: SocketId, to: SocketAddr, mtu: usize) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        // Linux names no port for an unconnected IPv4 socket.
        let about = match (to, socket.peer) {
            (SocketAddr::V4(v4), None) => SocketAddr::new((*v4.ip()).into(), 0),
            _ => to,
        };
        if socket.options.ip.recverr(to.is_ipv6()) && socket.errors.len() < MOST {
            socket.errors.push_back(QueuedError {
                errno: Errno::EMSGSIZE,
                cause: Cause::Rule,
                origin: 1,
                kind: 0,
                code: 0,
                info: u32::try_from(mtu).unwrap_or(u32::MAX),
                offender: None,
                about,
                data: Bytes::new(),
            });
        }
    }

    /// recvmsg(2) with `MSG_ERRQUEUE`: the oldest error. None: there is none.
    pub(super) fn take_queued_error(&mut self, id: SocketId, len: usize, room: usize) -> Option<Ret> {
        let socket = self.sockets.get_mut(id)?;
        let error = socket.errors.pop_front()?;
        // Linux `sock_dequeue_err_skb`: SO_ERROR is the next one's.
        socket.error = socket.errors.front().map(|next| Box::new((next.errno, next.cause.clone())));
        socket.errors.settle();
        let v6 = error.about.is_ipv6();
        let mut flags = MSG_ERRQUEUE;
        if error.data.len() > len {
            flags |= MSG_TRUNC;
        }
        let (control, cut) = super::control::fit(vec![error.control(v6)], room);
        let data = error.data.slice(..error.data.len().min(len));
        let from = socket.outward(error.about);
        Some(Ret::Message { data, from: Some(from), flags: flags | cut, control })
    }

    /// Whether a socket of this kind has an error queue at all.
    pub(super) fn has_error_queue(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| !matches!(socket.body, Body::Unix(_)))
    }
}
