//! Addresses as a host uses them: MAC, network with prefix length, and what a program passes to `bind` or `connect`.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::event::IfaceId;

/// An IEEE 802 MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

    /// The MAC address that a multicast group's packets go to (RFC 1112 6.4, RFC 2464 7).
    pub(crate) fn of_group(group: IpAddr) -> MacAddr {
        match group {
            IpAddr::V4(ip) => {
                let [_, b, c, d] = ip.octets();
                MacAddr([1, 0, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(ip) => {
                let [.., a, b, c, d] = ip.octets();
                MacAddr([0x33, 0x33, a, b, c, d])
            }
        }
    }

    /// The interface identifier that an Ethernet interface makes of its address: EUI-64 with the universal bit turned
    /// (RFC 4291 appendix A), as the last 64 bits of an address.
    pub const fn interface_id(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The link-local address that belongs to it (RFC 4862 5.3): `fe80::` and the interface identifier.
    pub const fn link_local(self) -> Ipv6Addr {
        Ipv6Addr::from_bits((0xfe80_u128 << 112) | self.interface_id() as u128)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address with the length of its network prefix, such as `10.0.0.80/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpCidr {
    /// The address itself, not masked.
    pub address: IpAddr,
    /// Length of the network prefix in bits: at most 32 for IPv4, 128 for IPv6.
    pub prefix_len: u8,
}

impl IpCidr {
    /// Whether `other` lies in this network.
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32u32.saturating_sub(u32::from(self.prefix_len));
                shift >= 32 || (a.to_bits() ^ b.to_bits()) >> shift == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix_len));
                shift >= 128 || (a.to_bits() ^ b.to_bits()) >> shift == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for IpCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// What a program hands to `bind`, `connect` or `sendto`, and gets back from `accept` or `getsockname`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SockAddr {
    /// `AF_INET` or `AF_INET6`: IP address and port.
    Ip(SocketAddr),
    /// `AF_UNIX`: a path; empty for an unnamed socket (see unix(7)).
    Unix(Vec<u8>),
}

/// Addresses that mean something only together with an interface (RFC 4007): link-local ones, and groups of link or
/// interface scope.
pub(crate) fn needs_zone(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip.is_multicast() && matches!(ip.octets()[1] & 0xf, 1 | 2)
        }
    }
}

/// The interface that an address names by its scope id. Linux counts interfaces from 1.
pub(crate) fn zone(addr: SocketAddr) -> Option<IfaceId> {
    match addr {
        SocketAddr::V6(v6) => (v6.scope_id() as usize).checked_sub(1).map(IfaceId),
        SocketAddr::V4(_) => None,
    }
}

/// An end as the tables of sockets hold it: with a scope id where the address needs one, never a flow label.
pub(crate) fn endpoint(ip: IpAddr, port: u16, iface: IfaceId) -> SocketAddr {
    match ip {
        IpAddr::V6(v6) if needs_zone(ip) => {
            SocketAddr::V6(SocketAddrV6::new(v6, port, 0, u32::try_from(iface.0 + 1).unwrap_or(0)))
        }
        _ => SocketAddr::new(ip, port),
    }
}

/// The same address with another port.
pub(crate) fn with_port(mut addr: SocketAddr, port: u16) -> SocketAddr {
    addr.set_port(port);
    addr
}

/// The group that neighbours of `ip` are asked in (RFC 4291 2.7.1): `ff02::1:ff` and the last 24 bits.
pub(crate) fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(PREFIX | (ip.to_bits() & 0xff_ffff))
}

/// All bits zero, in the family of `like`.
pub(crate) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
