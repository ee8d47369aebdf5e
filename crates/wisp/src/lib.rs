//! Wisp: many TCP and UDP streams over one WebSocket. The codec and both ends' bookkeeping, shared by the page (which
//! is a client) and the relay (which is a server). Sans-IO: messages come in, messages and events are polled out, time
//! is an argument.
//!
//! Source: MercuryWorkshop/wisp-protocol, version 1. One Wisp packet is one *binary WebSocket message*, which may arrive
//! in several frames: give this crate whole messages.
//!
//! ```text
//! packet   = type:u8  stream_id:u32le  payload...
//! 0x01 CONNECT   stream_type:u8 (1 TCP, 2 UDP)  port:u16le  host:utf8 to the end       client to server
//! 0x02 DATA      octets to the end (UDP: one packet is one datagram)                   both ways
//! 0x03 CONTINUE  buffer_remaining:u32le, counted in packets                            server to client
//! 0x04 CLOSE     reason:u8                                                             both ways
//! 0x05 INFO      major:u8 minor:u8 (id:u8 len:u32le metadata[len])*                    version 2 only
//! ```
//!
//! Left out: the version 2 handshake and its extensions. INFO is parsed and emitted, so that adding them touches
//! [`Client`] and [`Server`] only.

pub mod client;
pub mod packet;
pub mod server;

pub use client::{Client, ClientEvent, OpenError};
pub use packet::{Extension, Packet, ParseError, Reason, StreamId, StreamKind};
pub use server::{Limits, Refused, Request, Server, StreamKey, Violation};

#[cfg(test)]
mod tests;
