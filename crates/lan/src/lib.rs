//! The shared LAN: an Ethernet whose stations are simulated hosts in several pages, joined at `/lan/ROOM` of a relay.
//! Here are the messages that member and relay exchange, the addresses that each member may give out, and the member's
//! side as a state machine. Sans-IO: messages come in, messages and events are polled out, time is an argument.
//!
//! ```text
//! binary message = one Ethernet frame, from the destination address on, without the frame check sequence
//! text message   = one JSON object with a `type`: [`ToRelay`] up, [`ToMember`] down
//! ```
//!
//! Frames alone are what v86 speaks to its relays: such a guest sends no text, is sent none, and is a member without
//! addresses of its own. Who sends [`ToRelay::Hello`] gets a name in the roster, a slice of the addresses, and the
//! room's clock. The whole protocol is written down in `docs/lan.md`.

pub mod client;
pub mod close;
pub mod message;
pub mod names;
pub mod slice;

pub use client::{Client, ClientEvent, Outgoing, Phase};
pub use message::{
    HostReport, LeftReason, LimitKind, Limits, MemberId, MemberInfo, PortReport, Proto, StreamReport,
    ToMember, ToRelay, Traffic,
};
pub use names::{host_names, label};
pub use slice::{Slice, SlotError};

/// What this implementation speaks.
pub const VERSION: u16 = 1;

/// Octets of the shortest frame that says where it goes: two addresses and a type.
pub const MIN_FRAME: usize = 14;

/// Octets of the longest frame: an IP packet of 1500 octets, the header, and a VLAN tag (IEEE 802.1Q).
pub const MAX_FRAME: usize = 1518;

/// Octets of the longest text message.
pub const MAX_TEXT: usize = 64 * 1024;

/// Characters in a room's name.
pub const MAX_ROOM: usize = 48;

/// Characters in a member's or host's name.
pub const MAX_NAME: usize = 32;

/// Whether a room may be called so: letters, digits, `-` and `_` of ASCII, as it stands in a path and in a subject of
/// a message bus.
pub fn is_room(name: &str) -> bool {
    (1..=MAX_ROOM).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}

/// A name that may be shown to others: no control characters, single blanks, at most [`MAX_NAME`] characters;
/// `None` if nothing is left.
pub fn tidy_name(name: &str) -> Option<String> {
    let words: Vec<&str> =
        name.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    // Marks that turn the direction of writing would let one name pass for another.
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let tidy: String = words.join(" ").chars().filter(|c| !hidden(*c)).take(MAX_NAME).collect();
    let tidy = tidy.trim().to_owned();
    (!tidy.is_empty()).then_some(tidy)
}

#[cfg(test)]
mod tests;
