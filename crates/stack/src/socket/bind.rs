//! Names: bind(2), who conflicts with whom, and ephemeral ports.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

use super::Socket;
use crate::errno::{Cause, Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::rng;
use crate::snapshot::TcpState;

/// Linux `ip_local_port_range`.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Which sockets hold which local port, for one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    held: BTreeMap<u16, BTreeSet<SocketId>>,
    /// So many ephemeral ports were given out.
    given: u32,
}

impl Ports {
    /// Holders of a port, in the order they were made; at most a few are worth naming.
    pub(crate) fn holders(&self, port: u16) -> Vec<SocketId> {
        self.held.get(&port).map(|held| held.iter().copied().collect()).unwrap_or_default()
    }

    /// The first few holders of a port other than `not`.
    pub(crate) fn others(&self, port: u16, not: Option<SocketId>, most: usize) -> Vec<SocketId> {
        let held = self.held.get(&port).into_iter().flatten();
        held.copied().filter(|id| Some(*id) != not).take(most).collect()
    }

    pub(crate) fn take(&mut self, port: u16, id: SocketId) {
        self.held.entry(port).or_default().insert(id);
    }

    pub(crate) fn release(&mut self, port: u16, id: SocketId) {
        if let Some(held) = self.held.get_mut(&port) {
            held.remove(&id);
            if held.is_empty() {
                self.held.remove(&port);
            }
        }
    }

    fn is_free(&self, port: u16) -> bool {
        !self.held.contains_key(&port)
    }
}

impl Host {
    fn ports_of(&mut self, id: SocketId) -> Option<&mut Ports> {
        let tcp = self.sockets.get(id)?.is_tcp();
        Some(if tcp { &mut self.sockets.tcp_ports } else { &mut self.sockets.udp_ports })
    }

    /// Gives the socket its local name and takes the port.
    pub(crate) fn set_local(&mut self, id: SocketId, local: SocketAddr) {
        if let Some(ports) = self.ports_of(id) {
            ports.take(local.port(), id);
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = Some(local);
        }
    }

    /// Gives the port back. The name stays for those who ask later.
    pub(crate) fn release_port(&mut self, id: SocketId) {
        let Some(port) = self.sockets.get(id).and_then(|socket| socket.local).map(|local| local.port())
        else {
            return;
        };
        if let Some(ports) = self.ports_of(id) {
            ports.release(port, id);
        }
    }

    /// bind(2) for IP sockets.
    pub(crate) fn bind(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let SocketAddr::V4(v4) = addr else { return Err(Errno::EAFNOSUPPORT.into()) };
        // Linux checks the address before it looks whether the socket has a name.
        let ip = *v4.ip();
        if !ip.is_unspecified() && !self.is_own(ip) && !ip.is_multicast() && !self.is_broadcast(addr.ip()) {
            return Err(Failure::Errno(Errno::EADDRNOTAVAIL, Cause::NotMyAddress { addr: addr.ip() }));
        }
        if addr.port() != 0 && addr.port() < 1024 && !self.config.privileged_ports {
            return Err(Errno::EACCES.into());
        }
        let fresh = socket.tcp().is_none_or(|tcp| tcp.program_state() == TcpState::Closed);
        if !fresh || socket.local.is_some() {
            return Err(Errno::EINVAL.into());
        }
        let addr = if addr.port() == 0 {
            SocketAddr::new(addr.ip(), self.free_port(id)?)
        } else {
            self.check_conflict(id, addr)?;
            addr
        };
        self.set_local(id, addr);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.bound = true;
        }
        Ok(())
    }

    /// A port that nobody holds. As in Linux, bind(2) prefers odd ones and leaves the even ones to connect(2).
    pub(crate) fn free_port(&mut self, id: SocketId) -> Result<u16, Failure> {
        let seed = self.config.seed;
        let tcp = self.sockets.get(id).is_some_and(Socket::is_tcp);
        let ports = self.ports_of(id).ok_or(Errno::EBADF)?;
        ports.given += 1;
        let (first, last) = (u32::from(*EPHEMERAL.start()), u32::from(*EPHEMERAL.end()));
        let half = (last - first).div_ceil(2);
        let start = rng::hash(seed, &[u64::from(ports.given), u64::from(tcp)]) % u64::from(half);
        for parity in [1, 0] {
            for step in 0..half {
                let port = first + parity + 2 * ((start as u32 + step) % half);
                let port = u16::try_from(port).unwrap_or(*EPHEMERAL.end());
                if ports.is_free(port) {
                    return Ok(port);
                }
            }
        }
        Err(Errno::EADDRINUSE.into())
    }

    /// A port for connect(2) so that no other connection has the same four numbers (Linux `__inet_hash_connect`):
    /// successive connections to one peer get successive even ports.
    pub(crate) fn connect_port(&mut self, local: IpAddr, peer: SocketAddr) -> Result<u16, Failure> {
        let (first, last) = (u32::from(*EPHEMERAL.start()), u32::from(*EPHEMERAL.end()));
        let half = (last - first).div_ceil(2);
        let [a, b, c] = rng::endpoint(peer);
        let [d, e, _] = rng::endpoint(SocketAddr::new(local, 0));
        let start = (rng::hash(self.config.seed, &[a, b, c, d, e]) % u64::from(half)) as u32;
        let given = self.sockets.tcp_ports.given;
        self.sockets.tcp_ports.given += 1;
        for parity in [0, 1] {
            for step in 0..half {
                let port = first + parity + 2 * ((start + given + step) % half);
                let port = u16::try_from(port).unwrap_or(*EPHEMERAL.end());
                if self.sockets.tcp_ports.is_free(port) {
                    return Ok(port);
                }
            }
        }
        Err(Errno::EADDRNOTAVAIL.into())
    }

    /// Linux `inet_bind_conflict`: two sockets may share a port if their addresses differ, or if both asked for
    /// `SO_REUSEADDR` and (TCP) the other one does not listen, or if both asked for `SO_REUSEPORT`.
    pub(crate) fn check_conflict(&self, id: SocketId, addr: SocketAddr) -> Result<(), Failure> {
        let Some(socket) = self.sockets.get(id) else { return Err(Errno::EBADF.into()) };
        let ports = if socket.is_tcp() { &self.sockets.tcp_ports } else { &self.sockets.udp_ports };
        for other_id in ports.held.get(&addr.port()).into_iter().flatten().filter(|other| **other != id) {
            let Some(other) = self.sockets.get(*other_id) else { continue };
            let Some(held) = other.local else { continue };
            let overlap = held.ip() == addr.ip() || held.ip().is_unspecified() || addr.ip().is_unspecified();
            let state = other.tcp().map(super::Tcp::state);
            let both_reuse =
                socket.options.reuse_addr && other.options.reuse_addr && state != Some(TcpState::Listen);
            let both_share = socket.options.reuse_port && other.options.reuse_port;
            if overlap && !both_reuse && !both_share {
                let time_wait = state == Some(TcpState::TimeWait);
                return Err(Failure::Errno(
                    Errno::EADDRINUSE,
                    Cause::HeldBy { socket: *other_id, time_wait },
                ));
            }
        }
        Ok(())
    }
}
