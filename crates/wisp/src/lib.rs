//! Wisp: many TCP and UDP streams over one WebSocket. The codec and both ends' bookkeeping, shared by the page (which
//! is a client) and the relay (which is a server). Sans-IO: messages come in, messages and events are polled out, time
//! is an argument.
//!
//! Source: MercuryWorkshop/wisp-protocol, version 1.2 and version 2 draft 6. One Wisp packet is one *binary WebSocket message*, which may arrive
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
//! Version 2's handshake and extensions are in [`info`]; our own extension (listen, accept, half-close, credit in both
//! directions, errno, addresses) in [`ext`], byte by byte in `docs/relay-protocol.md`.

pub mod client;
pub mod event;
pub mod ext;
pub mod info;
pub mod packet;
pub mod server;

pub use client::Client;
pub use event::{ClientEvent, OpenError};
pub use ext::{Answer, Ext, Question, ServerTerms, TcpInfo};
pub use info::{ClientOptions, Credentials, Hello, Offer, PasswordLayout, Signer};
pub use packet::{Extension, Packet, ParseError, Reason, StreamId, StreamKind};
pub use server::{Limits, Refused, Request, Server, StreamKey, Violation};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_v2;
