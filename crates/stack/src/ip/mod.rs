//! IPv4 (RFC 791, RFC 1122 3): interfaces, routes, packets in and out.

mod input;
mod output;
mod reassembly;
mod route;

pub(crate) use input::{Arrived, NO_MAC, is_one_host};
pub(crate) use output::{DEFAULT_TTL, ETHERNET_LEN, Header};
pub(crate) use reassembly::Reassembly;
pub(crate) use route::{Iface, Route, Routes};
