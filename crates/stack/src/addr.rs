//! Addresses as a host uses them: MAC, network with prefix length, and what a program passes to `bind` or `connect`.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// An IEEE 802 MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
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
    Unix(String),
}
