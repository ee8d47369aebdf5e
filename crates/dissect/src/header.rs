//! Takes a header apart field by field, as far as its octets go.

use std::borrow::Cow;

use crate::keys::{Def, NOTE_TRUNCATED, VALUE_BAD, VALUE_GOOD, VALUE_NOT_SET, VALUE_SET, VALUE_UNVERIFIED};
use crate::tree::{Dissection, Field, Layer, LayerLetter, Note};

/// A dissection under way. Positions are octets of the whole frame; `end` is where the layer above said it ends.
pub(crate) struct Walk<'a> {
    pub(crate) frame: &'a [u8],
    pub(crate) out: Dissection,
    /// Quoted inside so many ICMP errors.
    pub(crate) depth: u8,
    /// What the conversation says about this segment.
    pub(crate) hints: Option<&'a crate::TcpSummary>,
}

impl<'a> Walk<'a> {
    /// Octets `start..end`, cut where the frame ends.
    pub(crate) fn octets(&self, start: usize, end: usize) -> &'a [u8] {
        let end = end.min(self.frame.len());
        self.frame.get(start.min(end)..end).unwrap_or_default()
    }

    pub(crate) fn note(&mut self, key: &'static str, protocol: &'static str, start: usize, end: usize) {
        self.out.notes.push(Note {
            key: Cow::Borrowed(key),
            protocol: Cow::Borrowed(protocol),
            start,
            end: end.min(self.frame.len()).max(start),
        });
    }

    pub(crate) fn header(&self, start: usize, end: usize) -> Header<'a> {
        Header { octets: self.octets(start, end), start, fields: Vec::new(), short: false }
    }

    /// Closes a header of `len` octets.
    pub(crate) fn layer(
        &mut self,
        letter: LayerLetter,
        protocol: &'static str,
        title: String,
        header: Header<'a>,
        len: usize,
    ) {
        let end = (header.start + len).min(self.frame.len()).max(header.start);
        if header.short {
            self.note(NOTE_TRUNCATED, protocol, header.start, end);
        }
        self.out.layers.push(Layer {
            letter,
            protocol: Cow::Borrowed(protocol),
            title,
            start: header.start,
            end,
            fields: header.fields,
            depth: self.depth,
        });
    }
}

/// A header whose fields are being taken. Offsets count from its first octet.
pub(crate) struct Header<'a> {
    octets: &'a [u8],
    pub(crate) start: usize,
    pub(crate) fields: Vec<Field>,
    /// Some field lay beyond the end.
    pub(crate) short: bool,
}

impl<'a> Header<'a> {
    /// `len` octets at `offset`; remembers if they are not there.
    pub(crate) fn peek(&mut self, offset: usize, len: usize) -> Option<&'a [u8]> {
        let octets = self.octets.get(offset..offset + len);
        self.short |= octets.is_none();
        octets
    }

    pub(crate) fn u8(&mut self, offset: usize) -> Option<u8> {
        self.peek(offset, 1).map(|o| o[0])
    }

    pub(crate) fn u16(&mut self, offset: usize) -> Option<u16> {
        self.peek(offset, 2).map(|o| u16::from_be_bytes([o[0], o[1]]))
    }

    pub(crate) fn u32(&mut self, offset: usize) -> Option<u32> {
        self.peek(offset, 4).map(|o| u32::from_be_bytes([o[0], o[1], o[2], o[3]]))
    }

    /// Adds a field of `len` octets at `offset`.
    pub(crate) fn add(
        &mut self,
        def: Def,
        offset: usize,
        len: usize,
        value: impl Into<String>,
    ) -> &mut Field {
        let start = self.start + offset;
        self.push(field(def, start, start + len, value))
    }

    /// Adds a fact that is derived, not in the octets.
    pub(crate) fn derive(&mut self, def: Def, offset: usize, value: impl Into<String>) -> &mut Field {
        let at = self.start + offset;
        let mut f = field(def, at, at, value);
        f.generated = true;
        self.push(f)
    }

    /// Adds the derived verdict about a checksum; `None`: it could not be checked.
    pub(crate) fn verdict(&mut self, def: Def, offset: usize, good: Option<bool>) {
        let (key, english) = match good {
            Some(true) => VALUE_GOOD,
            Some(false) => VALUE_BAD,
            None => VALUE_UNVERIFIED,
        };
        self.derive(def, offset, english).value_key = Cow::Borrowed(key);
    }

    fn push(&mut self, field: Field) -> &mut Field {
        let at = self.fields.len();
        self.fields.push(field);
        &mut self.fields[at]
    }
}

/// A field without parts.
pub(crate) fn field(def: Def, start: usize, end: usize, value: impl Into<String>) -> Field {
    Field {
        name: Cow::Borrowed(def.name),
        key: Cow::Borrowed(def.key),
        label: Cow::Borrowed(def.label),
        value: value.into(),
        value_key: Cow::Borrowed(""),
        start,
        end,
        generated: false,
        children: Vec::new(),
    }
}

/// A flag.
pub(crate) fn flag(def: Def, start: usize, end: usize, set: bool) -> Field {
    let (key, english) = if set { VALUE_SET } else { VALUE_NOT_SET };
    let mut f = field(def, start, end, english);
    f.value_key = Cow::Borrowed(key);
    f
}

/// `02:00:00:00:00:11`.
pub(crate) fn mac(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect::<Vec<_>>().join(":")
}

/// The one's complement sum over all parts, each of which but the last has an even length (RFC 1071). A block that
/// holds its own right checksum sums up to 0xffff.
pub(crate) fn ones_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum as u16
}

/// Octets as text in double quotes: UTF-8 where it is, escapes elsewhere, at most `max` characters and then `…`.
pub fn preview(octets: &[u8], max: usize) -> String {
    let mut out = String::from("\"");
    let mut count = 0;
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if count == max {
                return out + "…\"";
            }
            count += 1;
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for octet in chunk.invalid() {
            if count == max {
                return out + "…\"";
            }
            count += 1;
            out.push_str(&format!("\\x{octet:02x}"));
        }
    }
    out.push('"');
    out
}
