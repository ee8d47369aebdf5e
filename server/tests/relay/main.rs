//! The relay through its front door, on loopback: what it carries, whom it lets in, and clients that others wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod abuse;
mod behind;
mod common;
mod faults;
mod front_door;
mod lan;
mod ours;
mod peers;
mod process;
mod refusals;
mod safety;
mod teacher;
mod wisp;
