//! Hosts through their front door: calls and frames in, answers and frames out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod gateway;
mod harness;
mod loss;
mod mistakes;
mod sockets;
mod tcp;
mod udp;
