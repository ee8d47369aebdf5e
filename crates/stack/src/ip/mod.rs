//! IPv4 and IPv6 (RFC 791, RFC 1122 3, RFC 8200): interfaces, routes, packets in and out, fragments, path MTU. What is
//! the same in both families is written once; `input4` and `input6` read the two headers.

mod input;
mod input4;
mod input6;
mod output;
mod pmtu;
mod reassembly;
mod route;

pub(crate) use input::{Arrived, is_one_host, quoted_packet};
pub(crate) use output::{DEFAULT_TTL, ETHERNET_LEN, Fragment, Header, NO_MAC};
pub(crate) use pmtu::{LEAST_MTU_V6, PathMtus};
pub(crate) use reassembly::Reassembly;
pub(crate) use route::{Iface, Path, Route, Routes};

/// Protocol numbers (IANA), also values of IPv6's "next header".
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const NONE: u8 = 59;
    pub(crate) const DESTINATION: u8 = 60;
    /// `IPPROTO_RAW`: no protocol, packets that the program writes whole.
    pub(crate) const RAW: u8 = 255;
}
