//! Bytes of a frame → a tree of layers and fields with byte ranges, spelled as Wireshark spells them. Never fails: what
//! cannot be understood is left as data, with a note.
//!
//! [`dissect`] looks at one frame alone; [`Analysis`] follows the conversations of a capture and gives each frame its
//! line in a packet list (relative sequence numbers, retransmissions, ...).
//!
//! Left out: application protocols (their first octets are shown as text), IPv6 extension headers and reassembly.

mod analysis;
mod data;
#[cfg(test)]
mod frames;
mod header;
mod icmp;
mod keys;
mod link;
mod network;
#[cfg(test)]
mod tests;
mod transport;
mod tree;

pub use analysis::{Analysis, Expert, Summary, TcpSummary};
pub use data::is_text;
pub use header::preview;
pub use keys::{field_keys, note_keys, value_keys};
pub use tree::{Dissection, Field, Layer, LayerLetter, Note, Text};

/// What the bytes of an Ethernet frame say, as far as they can be understood.
pub fn dissect(frame: &[u8]) -> Dissection {
    dissect_with(frame, None)
}

/// As [`dissect`], with what the conversation says about a TCP segment: its relative numbers and scaled window.
pub fn dissect_with(frame: &[u8], segment: Option<&TcpSummary>) -> Dissection {
    let mut walk = header::Walk { frame, out: Dissection::default(), depth: 0, hints: segment };
    link::ethernet(&mut walk);
    walk.out
}
