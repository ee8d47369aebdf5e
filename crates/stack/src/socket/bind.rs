//! Names: bind(2), who conflicts with whom, and ephemeral ports.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::Body;
use crate::addr::{with_port, zone};
use crate::call::Pid;
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
    held: BTreeSet<(u16, SocketId)>,
    /// So many ephemeral ports were given out.
    given: u32,
}

impl Ports {
    /// Holders of a port, in the order they were made; at most a few are worth naming.
    pub(crate) fn holders(&self, port: u16) -> Vec<SocketId> {
        self.of(port).collect()
    }

    fn of(&self, port: u16) -> impl Iterator<Item = SocketId> {
        let held = self.held.range((port, SocketId(0))..=(port, SocketId(u32::MAX)));
        held.map(|(_, id)| *id)
    }

    /// The first few holders of a port other than `not`.
    pub(crate) fn others(&self, port: u16, not: Option<SocketId>, most: usize) -> Vec<SocketId> {
        self.of(port).filter(|id| Some(*id) != not).take(most).collect()
    }

    pub(crate) fn take(&mut self, port: u16, id: SocketId) {
        self.held.insert((port, id));
    }

    pub(crate) fn release(&mut self, port: u16, id: SocketId) {
        self.held.remove(&(port, id));
    }

    fn is_free(&self, port: u16) -> bool {
        self.of(port).next().is_none()
    }
}

impl Host {
    fn ports_of(&mut self, id: SocketId) -> Option<&mut Ports> {
        match self.sockets.get(id)?.body {
            Body::Tcp(_) => Some(&mut self.sockets.tcp_ports),
            Body::Udp(_) => Some(&mut self.sockets.udp_ports),
            Body::Ping(_) => Some(&mut self.sockets.ping_ports),
            Body::Raw(_) | Body::Unix(_) | Body::Epoll(_) => None,
        }
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

    /// bind(2) for IP sockets (Linux `__inet_bind`, `__inet6_bind`, `raw_bind`, `ping_bind`).
    pub(crate) fn bind(&mut self, pid: Pid, id: SocketId, addr: SocketAddr) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let addr = self.inward(socket, addr, Errno::EINVAL)?;
        let (v6, tcp) = (addr.is_ipv6(), socket.is_tcp());
        let raw = matches!(socket.body, Body::Raw(_));
        let ports = !raw && !matches!(socket.body, Body::Ping(_));
        let refused = ports && (1..1024).contains(&addr.port()) && !self.is_privileged(pid);
        let fresh = socket.tcp().is_none_or(|tcp| tcp.program_state() == TcpState::Closed);
        let taken = !fresh || socket.local.is_some() && !raw;
        // Linux looks at an IPv4 address before it looks at the port and whether the socket has a name; at an IPv6
        // address, after that.
        if !v6 {
            self.check_bindable(addr)?;
        } else if addr.ip().is_multicast() && tcp {
            return Err(Errno::EINVAL.into());
        }
        if refused {
            return Err(Errno::EACCES.into());
        }
        if taken {
            return Err(Errno::EINVAL.into());
        }
        if v6 {
            self.check_bindable(addr)?;
        }
        if raw {
            // The place of the port shows the protocol.
            let protocol = u16::try_from(socket.protocol).unwrap_or(0);
            self.set_local(id, with_port(addr, protocol));
        } else if addr.port() == 0 {
            let port = self.free_port(id)?;
            self.set_local(id, with_port(addr, port));
        } else {
            self.check_conflict(id, addr)?;
            self.set_local(id, addr);
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.bound = true;
        }
        Ok(())
    }

    /// Whether the address is one that a socket may have: one's own, or one to many.
    fn check_bindable(&self, addr: SocketAddr) -> Result<(), Failure> {
        let ip = addr.ip();
        if Host::lacks_zone(addr) {
            return Err(Errno::EINVAL.into());
        }
        let zone = zone(addr);
        if zone.is_some_and(|zone| zone.0 >= self.ifaces.len()) {
            return Err(Errno::ENODEV.into());
        }
        let own = match zone.and_then(|zone| self.ifaces.get(zone.0)) {
            Some(link) => link.has(ip),
            None => self.is_own(ip),
        };
        if ip.is_unspecified() || own || ip.is_multicast() || self.is_broadcast(ip) {
            return Ok(());
        }
        Err(Failure::Errno(Errno::EADDRNOTAVAIL, Cause::NotMyAddress { addr: ip }))
    }

    /// A port that nobody holds. As in Linux, bind(2) prefers odd ones and leaves the even ones to connect(2).
    pub(crate) fn free_port(&mut self, id: SocketId) -> Result<u16, Failure> {
        let seed = self.config.seed;
        let body = self.sockets.get(id).map(|socket| &socket.body);
        let (tcp, ping) = (matches!(body, Some(Body::Tcp(_))), matches!(body, Some(Body::Ping(_))));
        let ports = self.ports_of(id).ok_or(Errno::EBADF)?;
        ports.given += 1;
        if ping {
            // Linux `ping_get_port`: one after the other.
            let next = (0..=u16::MAX).map(|step| (ports.given as u16).wrapping_add(step));
            return next
                .into_iter()
                .find(|port| *port != 0 && ports.is_free(*port))
                .ok_or(Errno::EADDRINUSE.into());
        }
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
        let ports = match socket.body {
            Body::Tcp(_) => &self.sockets.tcp_ports,
            Body::Udp(_) => &self.sockets.udp_ports,
            // Linux lets ping sockets share a number (`INET_PROTOSW_REUSE`).
            _ => return Ok(()),
        };
        for other_id in ports.of(addr.port()).filter(|other| *other != id) {
            let Some(other) = self.sockets.get(other_id) else { continue };
            let Some(held) = other.local else { continue };
            let overlap = overlap((addr, socket.options.ip.v6only), (held, other.options.ip.v6only));
            let state = other.tcp().map(super::Tcp::state);
            let both_reuse =
                socket.options.reuse_addr && other.options.reuse_addr && state != Some(TcpState::Listen);
            let both_share = socket.options.reuse_port && other.options.reuse_port;
            if overlap && !both_reuse && !both_share {
                let time_wait = state == Some(TcpState::TimeWait);
                return Err(Failure::Errno(Errno::EADDRINUSE, Cause::HeldBy { socket: other_id, time_wait }));
            }
        }
        Ok(())
    }
}

/// Whether two names stand for a common address (Linux `ipv6_rcv_saddr_equal`). `::` stands for IPv4 addresses as well,
/// unless the socket is for IPv6 only.
fn overlap((a, a_only): (SocketAddr, bool), (b, b_only): (SocketAddr, bool)) -> bool {
    let covers = |any: IpAddr, only: bool, other: IpAddr| match any {
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified() && !(only && other.is_ipv4()),
    };
    let same_zone = zone(a).is_none() || zone(b).is_none() || zone(a) == zone(b);
    a.ip() == b.ip() && same_zone || covers(a.ip(), a_only, b.ip()) || covers(b.ip(), b_only, a.ip())
}
