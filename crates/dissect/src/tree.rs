//! The tree a dissection is made of: layers, fields, byte ranges.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Text that is mostly known at compile time.
pub type Text = Cow<'static, str>;

/// The TCP/IP layer a protocol belongs to, with the letter that stands for it on screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the layers' names")]
pub enum LayerLetter {
    Application,
    Transport,
    Network,
    Link,
}

impl LayerLetter {
    /// `A`, `T`, `N` or `L`.
    pub const fn letter(self) -> char {
        match self {
            LayerLetter::Application => 'A',
            LayerLetter::Transport => 'T',
            LayerLetter::Network => 'N',
            LayerLetter::Link => 'L',
        }
    }
}

/// One field of a header, or a group of fields, or a fact derived from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Wireshark's filter name, such as `tcp.srcport`; empty when Wireshark has none.
    pub name: Text,
    /// Key of the label in the page's texts, such as `field-tcp-srcport`. See [`crate::field_keys`].
    pub key: Text,
    /// English label, as Wireshark spells it: `Source Port`.
    pub label: Text,
    /// The value as shown: `13401`, `0x018 (PSH, ACK)`.
    pub value: String,
    /// Key in the page's texts if the value is a word (`value-set`, see [`crate::value_keys`]), else empty.
    pub value_key: Text,
    /// First octet in the frame.
    pub start: usize,
    /// One past the last octet. Equal to `start` for derived facts.
    pub end: usize,
    /// Not in the bytes but worked out from them; shown in square brackets.
    pub generated: bool,
    /// Parts: flags of a flag field, options of a header.
    pub children: Vec<Field>,
}

/// One protocol's header (or the data at the end).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Which layer of TCP/IP.
    pub letter: LayerLetter,
    /// Wireshark's name of the protocol: `eth`, `arp`, `ip`, `ipv6`, `icmp`, `icmpv6`, `udp`, `tcp`, `data`.
    pub protocol: Text,
    /// Wireshark's title line: `Transmission Control Protocol, Src Port: 13402, Dst Port: 80, Seq: 1, Ack: 1, Len: 9`.
    pub title: String,
    /// First octet of the header in the frame.
    pub start: usize,
    /// One past the last octet of the header.
    pub end: usize,
    /// Fields, in the order of the bytes.
    pub fields: Vec<Field>,
    /// How deep it is quoted: 0 for the packet itself, 1 inside an ICMP error.
    pub depth: u8,
}

/// What is odd about a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Key of the sentence in the page's texts: `note-truncated`, `note-bad-checksum`, ...
    /// See [`crate::note_keys`].
    pub key: Text,
    /// Protocol it is about: `tcp`.
    pub protocol: Text,
    /// First octet it is about.
    pub start: usize,
    /// One past the last octet it is about.
    pub end: usize,
}

/// What the bytes of a frame say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dissection {
    /// Layers, link first.
    pub layers: Vec<Layer>,
    /// What was odd.
    pub notes: Vec<Note>,
}

impl Dissection {
    /// The innermost field whose octets hold `offset`: what a click on a byte selects. Layer index and path of field
    /// indices.
    pub fn field_at(&self, offset: usize) -> Option<(usize, Vec<usize>)> {
        let layer = self.layers.iter().rposition(|l| l.start <= offset && offset < l.end)?;
        let mut path = Vec::new();
        let mut fields = &self.layers[layer].fields;
        while let Some(i) = fields.iter().position(|f| f.start <= offset && offset < f.end) {
            path.push(i);
            fields = &fields[i].children;
        }
        Some((layer, path))
    }
}
