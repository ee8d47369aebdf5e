//! Hosts through their front door: calls and frames in, answers and frames out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod fuzzed;
mod gateway;
mod groups;
mod harness;
mod ipv6;
mod loss;
mod mistakes;
mod property;
mod raw;
mod sockets;
mod strange;
mod tcp;
mod udp;
