//! Names at the system call's door. Inside, an IPv4 address is an IPv4 address whichever family its socket has, and an
//! IPv6 address has a scope id exactly if it means nothing without one. At the door an `AF_INET6` socket's program sees
//! IPv4 addresses mapped (`::ffff:10.0.0.1`, RFC 4291 2.5.5.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{AF_INET6, Socket};
use crate::addr::{SockAddr, endpoint, needs_zone, zone};
use crate::errno::{Cause, Errno, Failure};
use crate::event::IfaceId;
use crate::host::Host;

impl Socket {
    pub(crate) fn is_v6(&self) -> bool {
        self.family == AF_INET6
    }

    /// All bits zero in the socket's family: what a socket without a name is bound to.
    pub(crate) fn any(&self) -> IpAddr {
        if self.is_v6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    }

    /// The address it is bound to, if that is a certain one.
    pub(crate) fn bound_ip(&self) -> Option<IpAddr> {
        self.local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified())
    }

    /// The certain address it is bound to, as a source for `to`. One of the other family cannot be (Linux
    /// `ip6_dst_lookup_tail`, `ip6_datagram_connect`).
    pub(crate) fn bound_for(&self, to: IpAddr) -> Result<Option<IpAddr>, Failure> {
        match (self.bound_ip(), to) {
            (Some(IpAddr::V6(_)), IpAddr::V4(_)) => {
                Err(Failure::Errno(Errno::ENETUNREACH, Cause::NoRoute { to }))
            }
            (Some(IpAddr::V4(_)), IpAddr::V6(_)) => Err(Errno::EAFNOSUPPORT.into()),
            (bound, _) => Ok(bound),
        }
    }

    /// A name as its program sees it.
    pub(crate) fn outward(&self, addr: SocketAddr) -> SockAddr {
        SockAddr::Ip(match addr {
            SocketAddr::V4(v4) if self.is_v6() => {
                SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            other => other,
        })
    }

    /// Whether it may hear of packets from `from` to `to` that came in by `iface`: more is more specific (Linux
    /// `compute_score`). None: they are not for it.
    pub(crate) fn fit(&self, from: SocketAddr, to: SocketAddr, iface: IfaceId) -> Option<u32> {
        let local = self.local?;
        let mut score = 1;
        match (to.ip(), self.is_v6()) {
            (IpAddr::V4(_), true) if self.options.ip.v6only => return None,
            (IpAddr::V4(_), true) => {}
            (IpAddr::V4(_), false) => score += 1,
            (IpAddr::V6(_), true) => {}
            (IpAddr::V6(_), false) => return None,
        }
        if !local.ip().is_unspecified() {
            let same_zone = zone(local).is_none_or(|zone| zone == iface);
            if local.ip() != to.ip() || !same_zone {
                return None;
            }
            score += 4;
        }
        if let Some(peer) = self.peer {
            if peer.ip() != from.ip() || peer.port() != from.port() {
                return None;
            }
            score += 4;
        }
        if let Some(device) = self.options.ip.device {
            if device != iface {
                return None;
            }
            score += 4;
        }
        Some(score)
    }
}

impl Host {
    /// A name from a program, as the tables hold it. `errno`: what Linux says to an IPv4 address on a socket that is for
    /// IPv6 only. The unspecified address stays what it is.
    pub(crate) fn inward(
        &self,
        socket: &Socket,
        addr: SocketAddr,
        errno: Errno,
    ) -> Result<SocketAddr, Failure> {
        let v6 = match (addr, socket.is_v6()) {
            (SocketAddr::V4(_), false) => return Ok(addr),
            (SocketAddr::V6(v6), true) => v6,
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        if let Some(v4) = v6.ip().to_ipv4_mapped() {
            let refused = Failure::Errno(errno, Cause::NoRoute { to: v4.into() });
            return if socket.options.ip.v6only { Err(refused) } else { Ok((v4, v6.port()).into()) };
        }
        let ip = IpAddr::V6(*v6.ip());
        Ok(match zone(addr).filter(|_| needs_zone(ip)).or(socket.options.ip.device) {
            Some(iface) => endpoint(ip, v6.port(), iface),
            None => SocketAddr::new(ip, v6.port()),
        })
    }

    /// Whether an address means something only with an interface, and none was named.
    pub(crate) fn lacks_zone(addr: SocketAddr) -> bool {
        needs_zone(addr.ip()) && zone(addr).is_none()
    }
}

/// The unspecified address as a destination is this host, as in Linux.
pub(crate) fn own_if_unspecified(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, addr.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, addr.port()).into(),
        _ => addr,
    }
}
