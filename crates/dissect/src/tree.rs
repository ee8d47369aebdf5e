//! The tree a dissection is made of: layers, fields, byte ranges.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::fields::Kind;

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

/// A field's value, as filters compare it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// The field is there; that is all.
    #[default]
    None,
    /// A number.
    Uint(u64),
    /// A number that may be negative.
    Int(i64),
    /// Set or not.
    Bool(bool),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// An Ethernet address.
    Mac([u8; 6]),
    /// The octets that the field covers.
    Bytes,
    /// Text.
    Text(String),
    /// A time span in nanoseconds.
    Nanos(u64),
}

/// One field of a header, or a group of fields, or a fact derived from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Wireshark's filter name, such as `tcp.srcport`; empty when Wireshark has none.
    pub name: Text,
    /// Key of the label in the page's texts, such as `field-tcp-srcport`; empty when the label is not a word but part
    /// of the packet (a header line). See [`crate::field_keys`].
    pub key: Text,
    /// English label, as Wireshark spells it: `Source Port`.
    pub label: Text,
    /// The value as shown: `13401`, `0x018 (PSH, ACK)`.
    pub value: String,
    /// Key in the page's texts if the value is a word (`value-set`, see [`crate::value_keys`]), else empty.
    pub value_key: Text,
    /// The value as filters compare it.
    pub typed: Value,
    /// First octet in the layer's source.
    pub start: usize,
    /// One past the last octet. Equal to `start` for derived facts.
    pub end: usize,
    /// Not in the bytes but worked out from them; shown in square brackets.
    pub generated: bool,
    /// Parts: flags of a flag field, options of a header.
    pub children: Vec<Field>,
}

impl Field {
    /// The bare value as `tshark -T fields` prints it and as a filter takes it: `13401`, `0x0018`, `10.0.0.2`.
    /// `octets`: those of the source that the field's layer lies in.
    pub fn bare(&self, octets: &[u8]) -> String {
        let kind = crate::fields::all().find(|d| d.name == self.name).map_or(Kind::None, |d| d.kind);
        match &self.typed {
            Value::None => String::new(),
            Value::Uint(v) => match kind {
                Kind::Hex2 => format!("0x{v:02x}"),
                Kind::Hex4 => format!("0x{v:04x}"),
                Kind::Hex6 => format!("0x{v:06x}"),
                Kind::Hex8 => format!("0x{v:08x}"),
                _ => v.to_string(),
            },
            Value::Int(v) => v.to_string(),
            Value::Bool(v) => u8::from(*v).to_string(),
            Value::Ipv4(v) => v.to_string(),
            Value::Ipv6(v) => v.to_string(),
            Value::Mac(v) => crate::header::mac(v),
            Value::Bytes => {
                let octets = octets.get(self.start..self.end).unwrap_or_default();
                octets.iter().map(|o| format!("{o:02x}")).collect::<Vec<_>>().join(":")
            }
            Value::Text(v) => v.clone(),
            Value::Nanos(v) if kind == Kind::Millis => {
                let text = format!("{}.{:06}", v / 1_000_000, v % 1_000_000);
                text.trim_end_matches('0').trim_end_matches('.').to_string()
            }
            Value::Nanos(v) => seconds(*v),
        }
    }
}

/// Nanoseconds as seconds with nine decimals.
pub(crate) fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// One protocol's header (or the data at the end).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Which layer of TCP/IP.
    pub letter: LayerLetter,
    /// Wireshark's name of the protocol: `eth`, `arp`, `ip`, `ipv6`, `icmp`, `icmpv6`, `igmp`, `udp`, `tcp`, `dns`,
    /// `mdns`, `dhcp`, `http`, `data-text-lines`, `data`.
    pub protocol: Text,
    /// Wireshark's title line: `Transmission Control Protocol, Src Port: 13402, Dst Port: 80, Seq: 1, Ack: 1, Len: 9`.
    pub title: String,
    /// Where its octets are: 0 the frame, N the Nth of [`Dissection::sources`] (counted from 1).
    pub source: usize,
    /// First octet of the header in its source.
    pub start: usize,
    /// One past the last octet of the header.
    pub end: usize,
    /// One past the last octet that the layer below handed to this protocol: header and all it carries.
    pub until: usize,
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
    /// First octet it is about, in the source that the protocol's layer lies in.
    pub start: usize,
    /// One past the last octet it is about.
    pub end: usize,
}

/// Octets that were put together from several frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `Reassembled TCP (69 bytes)`.
    pub title: String,
    /// The octets.
    pub octets: Vec<u8>,
}

/// What the bytes of a frame say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dissection {
    /// Layers, link first.
    pub layers: Vec<Layer>,
    /// What was odd.
    pub notes: Vec<Note>,
    /// What else the layers lie in, beside the frame.
    pub sources: Vec<Source>,
}

impl Dissection {
    /// The innermost field whose octets of the frame hold `offset`: what a click on a byte selects. Layer index and
    /// path of field indices.
    pub fn field_at(&self, offset: usize) -> Option<(usize, Vec<usize>)> {
        let holds = |l: &Layer| l.source == 0 && l.start <= offset && offset < l.end;
        let layer = self.layers.iter().rposition(holds)?;
        let mut path = Vec::new();
        let mut fields = &self.layers[layer].fields;
        while let Some(i) = fields.iter().position(|f| f.start <= offset && offset < f.end) {
            path.push(i);
            fields = &fields[i].children;
        }
        Some((layer, path))
    }

    /// The octets that a layer lies in.
    pub fn source<'a>(&'a self, layer: &Layer, frame: &'a [u8]) -> &'a [u8] {
        match layer.source {
            0 => frame,
            n => self.sources.get(n - 1).map_or(&[], |s| &s.octets),
        }
    }
}
