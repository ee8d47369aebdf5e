//! Every field that a dissection can hold: its filter name, what kind of value it has, its label in English (Wireshark's
//! spelling) and the key of that label in the page's texts.

mod application;
mod link;
mod network;
mod transport;

pub(crate) use application::*;
pub(crate) use link::*;
pub(crate) use network::*;
pub(crate) use transport::*;

/// What kind of value a field has, and how Wireshark prints it as a bare value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only there or not there.
    None,
    /// A number.
    Dec,
    /// A number that may be negative.
    Signed,
    /// A number in hexadecimal, with two digits.
    Hex2,
    /// With four digits.
    Hex4,
    /// With six digits.
    Hex6,
    /// With eight digits.
    Hex8,
    /// Set or not set.
    Bool,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet address.
    Mac,
    /// Text.
    Text,
    /// Octets.
    Bytes,
    /// A time span, in seconds.
    Time,
    /// A time span, in milliseconds.
    Millis,
    /// The number of a frame.
    Frame,
}

/// What a field is called: in filters, in the page's texts, in English.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Def {
    /// Wireshark's filter name; empty when it has none.
    pub(crate) name: &'static str,
    /// Key in the page's texts.
    pub(crate) key: &'static str,
    /// Wireshark's label.
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
}

macro_rules! fields {
    ($($id:ident = $name:literal, $kind:ident, $key:literal, $label:literal;)*) => {
        $(pub(crate) const $id: super::Def =
            super::Def { name: $name, key: $key, label: $label, kind: super::Kind::$kind };)*
        pub(super) const ALL: &[super::Def] = &[$($id),*];
    };
}
use fields;

/// Protocols: what a filter may name alone. With the word a person would use.
pub(crate) const PROTOCOLS: &[(&str, &str)] = &[
    ("frame", "Frame"),
    ("eth", "Ethernet"),
    ("arp", "Address Resolution Protocol"),
    ("ip", "Internet Protocol Version 4"),
    ("ipv6", "Internet Protocol Version 6"),
    ("icmp", "Internet Control Message Protocol"),
    ("icmpv6", "Internet Control Message Protocol v6"),
    ("igmp", "Internet Group Management Protocol"),
    ("udp", "User Datagram Protocol"),
    ("tcp", "Transmission Control Protocol"),
    ("dns", "Domain Name System"),
    ("mdns", "Multicast Domain Name System"),
    ("dhcp", "Dynamic Host Configuration Protocol"),
    ("http", "Hypertext Transfer Protocol"),
    ("data-text-lines", "Line-based text data"),
    ("data", "Data"),
];

/// All fields, in the order of the layers; some names stand twice.
pub(crate) fn all() -> impl Iterator<Item = &'static Def> {
    [link::ALL, network::ALL, transport::ALL, application::ALL].into_iter().flatten()
}

/// Filter name, English label and kind of every field that can be named in a filter, sorted by name, each once: what a
/// page may offer while somebody types.
pub fn filter_fields() -> Vec<(&'static str, &'static str, Kind)> {
    let mut fields: Vec<_> =
        all().filter(|d| !d.name.is_empty()).map(|d| (d.name, d.label, d.kind)).collect();
    fields.extend(PROTOCOLS.iter().map(|(name, label)| (*name, *label, Kind::None)));
    fields.sort_by_key(|(name, ..)| *name);
    fields.dedup_by_key(|(name, ..)| *name);
    fields
}

/// Keys of all field labels with their English text (Wireshark's).
pub fn field_keys() -> Vec<(&'static str, &'static str)> {
    all().filter(|d| !d.key.is_empty()).map(|d| (d.key, d.label)).collect()
}

/// Keys of all notes with their English text.
pub fn note_keys() -> &'static [(&'static str, &'static str)] {
    &[
        (NOTE_TRUNCATED, "The frame ends before this header does"),
        (NOTE_BAD_LENGTH, "A length field contradicts the number of octets there are"),
        (NOTE_BAD_CHECKSUM, "The checksum does not match the octets"),
        (NOTE_BAD_OPTION, "An option is malformed"),
        (NOTE_BAD_VERSION, "The version number is not the one the layer below announced"),
        (NOTE_BAD_NAME, "A name is malformed"),
        (NOTE_FRAGMENT, "A fragment: the rest of the packet travels in other frames"),
        (NOTE_SEGMENT, "Part of a longer message: the rest of it travels in other frames"),
        (NOTE_UNKNOWN, "A protocol that is not taken apart here"),
    ]
}

pub(crate) const NOTE_TRUNCATED: &str = "note-truncated";
pub(crate) const NOTE_BAD_LENGTH: &str = "note-bad-length";
pub(crate) const NOTE_BAD_CHECKSUM: &str = "note-bad-checksum";
pub(crate) const NOTE_BAD_OPTION: &str = "note-bad-option";
pub(crate) const NOTE_BAD_VERSION: &str = "note-bad-version";
pub(crate) const NOTE_BAD_NAME: &str = "note-bad-name";
pub(crate) const NOTE_FRAGMENT: &str = "note-fragment";
pub(crate) const NOTE_SEGMENT: &str = "note-segment";
pub(crate) const NOTE_UNKNOWN: &str = "note-unknown-protocol";

/// Keys of all values that are words, with their English text. See [`crate::Field::value_key`].
pub fn value_keys() -> &'static [(&'static str, &'static str)] {
    &[VALUE_SET, VALUE_NOT_SET, VALUE_GOOD, VALUE_BAD, VALUE_UNVERIFIED, VALUE_NONE]
}

pub(crate) const VALUE_SET: (&str, &str) = ("value-set", "Set");
pub(crate) const VALUE_NOT_SET: (&str, &str) = ("value-not-set", "Not set");
pub(crate) const VALUE_GOOD: (&str, &str) = ("value-good", "Good");
pub(crate) const VALUE_BAD: (&str, &str) = ("value-bad", "Bad");
pub(crate) const VALUE_UNVERIFIED: (&str, &str) = ("value-unverified", "Unverified");
pub(crate) const VALUE_NONE: (&str, &str) = ("value-none", "None");
