//! Bytes of a frame → a tree of layers and fields with byte ranges, spelled as Wireshark spells them. Never fails: what
//! cannot be understood is left as data, with a note.
//!
//! [`Analysis`] follows a capture frame by frame. It gives each frame its line in a packet list and its [`Context`]:
//! what the frames before say about it (relative numbers, retransmissions, the rest of a message in several segments).
//! With frame and context, [`dissect_with`] makes the tree at any time, [`Filter`] says whether a display filter's
//! expression holds, and [`tcpdump::line`] what tcpdump(1) prints. [`dissect`] looks at one frame alone.
//!
//! Left out: what can only be known from later frames (Wireshark's second pass).

mod analysis;
mod columns;
mod context;
mod data;
mod dhcp;
mod dns;
mod dns_record;
mod fields;
mod filter;
#[cfg(test)]
mod frames;
mod header;
mod http;
mod http_frame;
mod icmp;
mod icmpv6;
mod icmpv6_options;
mod igmp;
mod ipv4;
mod ipv6;
mod link;
#[cfg(test)]
mod oracle;
mod tcp;
mod tcp_options;
pub mod tcpdump;
#[cfg(test)]
mod tests;
mod tree;
mod udp;
mod words;

pub use analysis::{Analysis, Expert, Summary};
pub use context::{
    App, Context, Message, Piece, Reassembled, Reply, TcpContext, TcpSummary, Transport, UdpContext,
};
pub use data::is_text;
pub use fields::{Kind, field_keys, filter_fields, note_keys, value_keys};
pub use filter::{Filter, FilterError, FilterProblem, filter_keys};
pub use tree::{Dissection, Field, Layer, LayerLetter, Note, Source, Text, Value};
pub use words::preview;

use header::{Mode, Walk};

/// What the bytes of an Ethernet frame say, as far as they can be understood.
pub fn dissect(frame: &[u8]) -> Dissection {
    dissect_with(frame, &Context::default())
}

/// As [`dissect`], with what the capture says about the frame.
pub fn dissect_with(frame: &[u8], context: &Context) -> Dissection {
    walk(frame, context, Mode::TREE)
}

fn walk(frame: &[u8], context: &Context, mode: Mode) -> Dissection {
    let mut walk = Walk::new(frame, context, mode);
    link::ethernet(&mut walk);
    walk.out
}
