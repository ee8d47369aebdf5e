//! Takes a header apart field by field, as far as its octets go.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

pub(crate) use crate::words::{hex, mac, mac_name, ones_sum, plural, preview};

use crate::columns::Columns;
use crate::context::{Context, Reassembled};
use crate::fields::{
    Def, Kind, NOTE_TRUNCATED, VALUE_BAD, VALUE_GOOD, VALUE_NOT_SET, VALUE_SET, VALUE_UNVERIFIED,
};
use crate::tree::{Dissection, Field, Layer, LayerLetter, Note, Source, Value, seconds};

/// What is wanted of a dissection: the tree costs more than the line of a packet list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Layers and fields.
    pub(crate) fields: bool,
    /// Their texts.
    pub(crate) texts: bool,
    /// Fields that only filters ask for, such as `ip.addr`.
    pub(crate) hidden: bool,
    /// The packet list's line.
    pub(crate) columns: bool,
}

impl Mode {
    pub(crate) const TREE: Mode = Mode { fields: true, texts: true, hidden: false, columns: false };
    pub(crate) const FILTER: Mode = Mode { fields: true, texts: false, hidden: true, columns: false };
    pub(crate) const COLUMNS: Mode = Mode { fields: false, texts: false, hidden: false, columns: true };
    #[cfg(test)]
    pub(crate) const ALL: Mode = Mode { fields: true, texts: true, hidden: true, columns: true };
}

/// A dissection under way. Positions are octets of the current source; `end` is where the layer above said it ends.
pub(crate) struct Walk<'a> {
    /// The source: the frame, or what was put together from several.
    pub(crate) octets: &'a [u8],
    /// Number of the source.
    pub(crate) source: usize,
    pub(crate) out: Dissection,
    /// Quoted inside so many ICMP errors.
    pub(crate) depth: u8,
    /// What the capture so far says about this frame.
    pub(crate) context: &'a Context,
    pub(crate) mode: Mode,
    pub(crate) columns: Columns,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(frame: &'a [u8], context: &'a Context, mode: Mode) -> Self {
        Walk {
            octets: frame,
            source: 0,
            out: Dissection::default(),
            depth: 0,
            context,
            mode,
            columns: Columns::default(),
        }
    }

    /// Octets `start..end`, cut where the source ends.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        let end = end.min(self.octets.len());
        self.octets.get(start.min(end)..end).unwrap_or_default()
    }

    pub(crate) fn note(&mut self, key: &'static str, protocol: &'static str, start: usize, end: usize) {
        let start = start.min(self.octets.len());
        self.out.notes.push(Note {
            key: Cow::Borrowed(key),
            protocol: Cow::Borrowed(protocol),
            start,
            end: end.min(self.octets.len()).max(start),
        });
    }

    pub(crate) fn header(&self, start: usize, end: usize) -> Header<'a> {
        Header {
            octets: self.slice(start, end),
            start,
            until: end.min(self.octets.len()).max(start.min(self.octets.len())),
            limit: self.octets.len(),
            mode: self.mode,
            fields: Vec::new(),
            open: Vec::new(),
            short: false,
        }
    }

    /// Whether columns are wanted: not for what an ICMP error quotes.
    pub(crate) fn writes(&self) -> bool {
        self.mode.columns && self.depth == 0
    }

    /// Closes a header of `len` octets.
    pub(crate) fn layer(
        &mut self,
        letter: LayerLetter,
        protocol: &'static str,
        title: impl FnOnce() -> String,
        mut header: Header<'a>,
        len: usize,
    ) {
        while !header.open.is_empty() {
            header.close();
        }
        let start = header.start.min(self.octets.len());
        let end = (header.start + len).min(self.octets.len()).max(start);
        if header.short {
            self.note(NOTE_TRUNCATED, protocol, header.start, end);
        }
        if self.mode.columns {
            self.columns.protocols.push(protocol);
        }
        if !self.mode.fields {
            return;
        }
        self.out.layers.push(Layer {
            letter,
            protocol: Cow::Borrowed(protocol),
            title: if self.mode.texts { title() } else { String::new() },
            source: self.source,
            start,
            end,
            until: header.until.max(end),
            fields: header.fields,
            depth: self.depth,
        });
    }

    /// Goes on in what was put together from several frames.
    pub(crate) fn inside(
        &mut self,
        what: &str,
        data: &'a Reassembled,
        dissect: impl FnOnce(&mut Self, usize),
    ) {
        let outer = (self.octets, self.source);
        if self.mode.fields {
            let title = format!("{what} ({} bytes)", data.octets.len());
            self.out.sources.push(Source { title, octets: data.octets.clone() });
        }
        self.source = self.out.sources.len();
        self.octets = &data.octets;
        dissect(self, data.octets.len());
        (self.octets, self.source) = outer;
    }
}

impl Walk<'_> {
    /// Dissects what a message carries in another form: octets that stand nowhere as they are.
    pub(crate) fn apart(&mut self, title: &str, octets: Vec<u8>, dissect: impl FnOnce(&mut Walk<'_>, usize)) {
        let mut inner = Walk::new(&octets, const { &Context::NONE }, self.mode);
        inner.columns = core::mem::take(&mut self.columns);
        inner.depth = self.depth;
        dissect(&mut inner, octets.len());
        let Walk { out, columns, .. } = inner;
        self.columns = columns;
        if !self.mode.fields {
            return;
        }
        let title = format!("{title} ({} bytes)", octets.len());
        self.out.sources.push(Source { title, octets });
        let source = self.out.sources.len();
        self.out.layers.extend(out.layers.into_iter().map(|l| Layer { source, ..l }));
    }
}

/// A header whose fields are being taken. Offsets count from its first octet.
pub(crate) struct Header<'a> {
    octets: &'a [u8],
    pub(crate) start: usize,
    until: usize,
    limit: usize,
    mode: Mode,
    pub(crate) fields: Vec<Field>,
    /// Groups that are still being filled, outermost first.
    open: Vec<Field>,
    /// Some field lay beyond the end.
    pub(crate) short: bool,
}

impl<'a> Header<'a> {
    /// For reading only: no fields are made.
    pub(crate) fn bare(octets: &'a [u8]) -> Self {
        Walk::new(octets, const { &Context::NONE }, Mode::COLUMNS).header(0, octets.len())
    }

    /// `len` octets at `offset`; remembers if they are not there.
    pub(crate) fn peek(&mut self, offset: usize, len: usize) -> Option<&'a [u8]> {
        let octets = offset.checked_add(len).and_then(|end| self.octets.get(offset..end));
        self.short |= octets.is_none();
        octets
    }

    /// How many octets there are.
    pub(crate) fn len(&self) -> usize {
        self.octets.len()
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

    fn make(&self, def: Def, offset: usize, len: usize, typed: Value, value: String) -> Field {
        let start = (self.start + offset).min(self.limit);
        Field {
            name: Cow::Borrowed(def.name),
            key: Cow::Borrowed(def.key),
            label: Cow::Borrowed(def.label),
            value,
            value_key: Cow::Borrowed(""),
            typed,
            start,
            end: (start + len).min(self.limit),
            generated: false,
            children: Vec::new(),
        }
    }

    fn push(&mut self, field: Field) {
        match self.open.last_mut() {
            Some(group) => group.children.push(field),
            None => self.fields.push(field),
        }
    }

    /// Adds a field of `len` octets at `offset`, with the text to show.
    pub(crate) fn add(
        &mut self,
        def: Def,
        offset: usize,
        len: usize,
        typed: Value,
        text: impl FnOnce() -> String,
    ) {
        if self.mode.fields {
            let text = if self.mode.texts { text() } else { String::new() };
            self.push(self.make(def, offset, len, typed, text));
        }
    }

    /// Adds a field whose text follows from its value.
    pub(crate) fn plain(&mut self, def: Def, offset: usize, len: usize, typed: Value) {
        if self.mode.fields {
            let text = if self.mode.texts { self.text(def, offset, len, &typed) } else { String::new() };
            self.push(self.make(def, offset, len, typed, text));
        }
    }

    fn text(&self, def: Def, offset: usize, len: usize, value: &Value) -> String {
        match value {
            Value::None => String::new(),
            Value::Uint(v) => match def.kind {
                Kind::Hex2 => format!("0x{v:02x}"),
                Kind::Hex4 => format!("0x{v:04x}"),
                Kind::Hex6 => format!("0x{v:06x}"),
                Kind::Hex8 => format!("0x{v:08x}"),
                _ => v.to_string(),
            },
            Value::Int(v) => v.to_string(),
            Value::Bool(v) => if *v { "True" } else { "False" }.to_string(),
            Value::Ipv4(v) => v.to_string(),
            Value::Ipv6(v) => v.to_string(),
            Value::Mac(v) => format!("{0} ({0})", mac(v)),
            Value::Bytes => hex(self.octets.get(offset..offset + len).unwrap_or_default()),
            Value::Text(v) => v.clone(),
            Value::Nanos(v) if def.kind == Kind::Millis => {
                format!("{}.{:03} ms", v / 1_000_000, v / 1_000 % 1_000)
            }
            Value::Nanos(v) => format!("{} seconds", seconds(*v)),
        }
    }

    /// A number of 1, 2, 3, 4 or more octets.
    pub(crate) fn uint(&mut self, def: Def, offset: usize, len: usize) -> Option<u64> {
        let v = self.peek(offset, len)?.iter().fold(0u64, |v, o| v << 8 | u64::from(*o));
        self.plain(def, offset, len, Value::Uint(v));
        Some(v)
    }

    /// As [`Header::uint`], with another text.
    pub(crate) fn number(
        &mut self,
        def: Def,
        offset: usize,
        len: usize,
        text: impl FnOnce(u64) -> String,
    ) -> Option<u64> {
        let v = self.peek(offset, len)?.iter().fold(0u64, |v, o| v << 8 | u64::from(*o));
        self.add(def, offset, len, Value::Uint(v), || text(v));
        Some(v)
    }

    pub(crate) fn ipv4(&mut self, def: Def, offset: usize) -> Option<Ipv4Addr> {
        let a = Ipv4Addr::from_bits(self.u32(offset)?);
        self.plain(def, offset, 4, Value::Ipv4(a));
        Some(a)
    }

    pub(crate) fn ipv6(&mut self, def: Def, offset: usize) -> Option<Ipv6Addr> {
        let octets = self.peek(offset, 16)?;
        let a = Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?);
        self.plain(def, offset, 16, Value::Ipv6(a));
        Some(a)
    }

    pub(crate) fn mac(&mut self, def: Def, offset: usize) -> Option<[u8; 6]> {
        let octets = <[u8; 6]>::try_from(self.peek(offset, 6)?).ok()?;
        self.add(def, offset, 6, Value::Mac(octets), || format!("{} ({})", mac_name(&octets), mac(&octets)));
        Some(octets)
    }

    pub(crate) fn bytes(&mut self, def: Def, offset: usize, len: usize) -> Option<&'a [u8]> {
        let octets = self.peek(offset, len)?;
        self.plain(def, offset, len, Value::Bytes);
        Some(octets)
    }

    /// A flag; shown as `Set` or `Not set`.
    pub(crate) fn flag(&mut self, def: Def, offset: usize, len: usize, set: bool) {
        if self.mode.fields {
            let (key, english) = if set { VALUE_SET } else { VALUE_NOT_SET };
            let mut f = self.make(def, offset, len, Value::Bool(set), english.to_string());
            f.value_key = Cow::Borrowed(key);
            self.push(f);
        }
    }

    /// A fact that is derived, not in the octets.
    pub(crate) fn derive(&mut self, def: Def, offset: usize, typed: Value) {
        if self.mode.fields {
            let text = if self.mode.texts { self.text(def, offset, 0, &typed) } else { String::new() };
            self.derive_as(def, offset, typed, || text);
        }
    }

    /// As [`Header::derive`], with another text.
    pub(crate) fn derive_as(&mut self, def: Def, offset: usize, typed: Value, text: impl FnOnce() -> String) {
        if self.mode.fields {
            let text = if self.mode.texts { text() } else { String::new() };
            let mut f = self.make(def, offset, 0, typed, text);
            f.generated = true;
            self.push(f);
        }
    }

    /// The field added last was worked out, though it has octets.
    pub(crate) fn generated(&mut self) {
        let last = match self.open.last_mut() {
            Some(group) => group.children.last_mut(),
            None => self.fields.last_mut(),
        };
        if let Some(f) = last {
            f.generated = true;
        }
    }

    /// The derived verdict about a checksum; `None`: it could not be checked.
    pub(crate) fn verdict(&mut self, def: Def, offset: usize, good: Option<bool>) {
        if !self.mode.fields {
            return;
        }
        let ((key, english), number) = match good {
            Some(true) => (VALUE_GOOD, 1),
            Some(false) => (VALUE_BAD, 0),
            None => (VALUE_UNVERIFIED, 2),
        };
        let mut f = self.make(def, offset, 0, Value::Uint(number), english.to_string());
        f.value_key = Cow::Borrowed(key);
        f.generated = true;
        self.push(f);
    }

    /// The verdict where there is no checksum at all.
    pub(crate) fn no_verdict(&mut self, def: Def, offset: usize) {
        if self.mode.fields {
            let (key, _) = crate::fields::VALUE_NONE;
            let mut f = self.make(def, offset, 0, Value::Uint(3), "Not present".to_string());
            f.value_key = Cow::Borrowed(key);
            f.generated = true;
            self.push(f);
        }
    }

    /// A field for filters only.
    pub(crate) fn hidden(&mut self, def: Def, offset: usize, len: usize, typed: Value) {
        if self.mode.hidden {
            self.plain(def, offset, len, typed);
        }
    }

    /// Begins a group: what is added until [`Header::close`] is part of it.
    pub(crate) fn open(
        &mut self,
        def: Def,
        offset: usize,
        len: usize,
        typed: Value,
        text: impl FnOnce() -> String,
    ) {
        if self.mode.fields {
            let text = if self.mode.texts { text() } else { String::new() };
            self.open.push(self.make(def, offset, len, typed, text));
        }
    }

    /// Ends the group begun last.
    pub(crate) fn close(&mut self) {
        if let Some(group) = self.open.pop() {
            self.push(group);
        }
    }

    /// Changes the group begun last.
    pub(crate) fn group(&mut self) -> Option<&mut Field> {
        self.open.last_mut()
    }

    /// Whether fields are made at all.
    pub(crate) fn makes_fields(&self) -> bool {
        self.mode.fields
    }

    /// Whether texts are made.
    pub(crate) fn makes_texts(&self) -> bool {
        self.mode.texts
    }
}
