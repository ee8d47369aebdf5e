//! One packet: octets to a typed value or a precise error, and back.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ext::Ext;

/// A stream within one WebSocket. Chosen by the client, non-zero; zero is the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The connection itself: CONTINUE with the initial credit, CLOSE of everything, INFO.
    pub const CONNECTION: StreamId = StreamId(0);
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// An octet stream with credit from client to server.
    Tcp,
    /// Datagrams: one DATA packet each, no credit.
    Udp,
}

impl StreamKind {
    /// The number on the wire.
    pub fn to_wire(self) -> u8 {
        match self {
            StreamKind::Tcp => 1,
            StreamKind::Udp => 2,
        }
    }

    pub(crate) fn from_wire(stream: StreamId, kind: u8) -> Result<StreamKind, ParseError> {
        match kind {
            1 => Ok(StreamKind::Tcp),
            2 => Ok(StreamKind::Udp),
            kind => Err(ParseError::UnknownStreamType { stream, kind }),
        }
    }

    /// `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            StreamKind::Tcp => "tcp",
            StreamKind::Udp => "udp",
        }
    }
}

/// Why a stream (or the connection) was closed. Any octet is legal; the constants are the specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub u8);

impl Reason {
    /// Unspecified or unknown.
    pub const UNSPECIFIED: Reason = Reason(0x01);
    /// Voluntary: a side has finished. Also what a target's FIN becomes: Wisp has no half-close.
    pub const VOLUNTARY: Reason = Reason(0x02);
    /// A network error after the stream was open (a reset, for instance).
    pub const NETWORK_ERROR: Reason = Reason(0x03);
    /// Version 2 handshake: the extensions do not fit.
    pub const INCOMPATIBLE: Reason = Reason(0x04);
    /// CONNECT was invalid.
    pub const INVALID: Reason = Reason(0x41);
    /// The host is unreachable or its name does not resolve.
    pub const UNREACHABLE: Reason = Reason(0x42);
    /// Nobody answered in time.
    pub const TIMED_OUT: Reason = Reason(0x43);
    /// The target refused the connection.
    pub const REFUSED: Reason = Reason(0x44);
    /// No data moved for too long.
    pub const TRANSFER_TIMED_OUT: Reason = Reason(0x47);
    /// The relay's policy does not allow this destination.
    pub const BLOCKED: Reason = Reason(0x48);
    /// The relay's limits are reached.
    pub const THROTTLED: Reason = Reason(0x49);
    /// The client met an unexpected error.
    pub const CLIENT_ERROR: Reason = Reason(0x81);
    /// Version 2 handshake: user name or password are wrong.
    pub const BAD_PASSWORD: Reason = Reason(0xc0);
    /// Version 2 handshake: the signature is wrong, or its key unknown.
    pub const BAD_SIGNATURE: Reason = Reason(0xc1);
    /// Version 2 handshake: credentials are required and were not given.
    pub const CREDENTIALS_REQUIRED: Reason = Reason(0xc2);

    /// A few words in English, for logs.
    pub fn text(self) -> &'static str {
        match self {
            Reason::UNSPECIFIED => "unspecified",
            Reason::VOLUNTARY => "finished",
            Reason::NETWORK_ERROR => "network error",
            Reason::INCOMPATIBLE => "incompatible extensions",
            Reason::INVALID => "invalid request",
            Reason::UNREACHABLE => "unreachable or unresolvable",
            Reason::TIMED_OUT => "connect timed out",
            Reason::REFUSED => "refused",
            Reason::TRANSFER_TIMED_OUT => "transfer timed out",
            Reason::BLOCKED => "blocked by the relay's policy",
            Reason::THROTTLED => "over the relay's limits",
            Reason::CLIENT_ERROR => "client error",
            Reason::BAD_PASSWORD => "wrong user name or password",
            Reason::BAD_SIGNATURE => "wrong signature",
            Reason::CREDENTIALS_REQUIRED => "credentials required",
            _ => "unknown reason",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x} {}", self.0, self.text())
    }
}

/// An extension named in INFO (version 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Which extension; unknown ones are to be skipped.
    pub id: u8,
    /// Its own octets.
    pub metadata: Bytes,
}

/// A Wisp packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Client: open a stream.
    Connect {
        /// Its new number.
        stream: StreamId,
        /// TCP or UDP.
        kind: StreamKind,
        /// Destination port.
        port: u16,
        /// Destination name or address, as the client wrote it: not checked here.
        host: String,
    },
    /// Octets, or one datagram.
    Data {
        /// Whose.
        stream: StreamId,
        /// They share the message's memory.
        bytes: Bytes,
    },
    /// Server: the client may now send so many DATA packets on this stream. Sets the credit, does not add to it.
    Continue {
        /// Which stream, or zero: the initial credit of every stream.
        stream: StreamId,
        /// Packets, not octets.
        credit: u32,
    },
    /// The stream is over in both directions.
    Close {
        /// Which stream, or zero: all of them.
        stream: StreamId,
        /// Why.
        reason: Reason,
    },
    /// Version 2 handshake.
    Info {
        /// Should be zero.
        stream: StreamId,
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
        /// In the order of the packet.
        extensions: Vec<Extension>,
    },
    /// A packet of our extension: legal only when both sides have named it.
    Ext {
        /// Which stream, listener or question; zero: the connection.
        stream: StreamId,
        /// What it says.
        body: Ext,
    },
}

/// Octets before the payload: type and stream.
pub const HEADER_LEN: usize = 5;

const CONNECT: u8 = 0x01;
const DATA: u8 = 0x02;
const CONTINUE: u8 = 0x03;
const CLOSE: u8 = 0x04;
const INFO: u8 = 0x05;

/// Why a message is not a Wisp packet. Offsets are octets from the start of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The message ends inside a field.
    #[error("{field} at offset {offset} needs the message to have {needed} octets, it has {len}")]
    Truncated {
        /// The field that is cut off or missing.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// Octets the message needs at least.
        needed: usize,
        /// Octets it has.
        len: usize,
    },
    /// Octets after the last field.
    #[error("{extra} octets too many at offset {offset}")]
    TooLong {
        /// Where the packet should have ended.
        offset: usize,
        /// How many there are.
        extra: usize,
    },
    /// No such packet type.
    #[error("unknown packet type 0x{kind:02x} at offset 0")]
    UnknownType {
        /// What the type octet says.
        kind: u8,
    },
    /// An address of our extension that is of no known family.
    #[error("unknown address family {family} at offset {offset}")]
    UnknownFamily {
        /// Where the family stands.
        offset: usize,
        /// What it says.
        family: u8,
    },
    /// A question of our extension that is not known.
    #[error("unknown question 0x{kind:02x} at offset 5")]
    UnknownQuestion {
        /// The question's number.
        stream: StreamId,
        /// What its kind says.
        kind: u8,
    },
    /// CONNECT or LISTEN for something that is neither TCP nor UDP.
    #[error("unknown stream type 0x{kind:02x} at offset 5")]
    UnknownStreamType {
        /// The stream that was to be opened.
        stream: StreamId,
        /// What the stream type octet says.
        kind: u8,
    },
    /// A host or a sentence is not UTF-8.
    #[error("text is not UTF-8 at offset {offset}")]
    HostNotUtf8 {
        /// The stream that was to be opened.
        stream: StreamId,
        /// The first octet that is wrong.
        offset: usize,
    },
}

impl ParseError {
    /// Where in the message it went wrong.
    pub fn offset(&self) -> usize {
        match *self {
            ParseError::Truncated { offset, .. }
            | ParseError::TooLong { offset, .. }
            | ParseError::UnknownFamily { offset, .. }
            | ParseError::HostNotUtf8 { offset, .. } => offset,
            ParseError::UnknownType { .. } => 0,
            ParseError::UnknownStreamType { .. } | ParseError::UnknownQuestion { .. } => HEADER_LEN,
        }
    }

    /// The one stream that the error concerns, when the rest of the connection can go on.
    pub fn stream(&self) -> Option<StreamId> {
        match *self {
            ParseError::UnknownStreamType { stream, .. }
            | ParseError::HostNotUtf8 { stream, .. }
            | ParseError::UnknownQuestion { stream, .. } => Some(stream),
            _ => None,
        }
    }
}

/// Reads fields in order and remembers where it is.
pub(crate) struct Reader<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let offset = self.at;
        let found = self.message.get(offset..).and_then(|rest| rest.first_chunk::<N>()).copied();
        let needed = offset.saturating_add(N);
        let len = self.message.len();
        let octets = found.ok_or(ParseError::Truncated { field, offset, needed, len })?;
        self.at = needed;
        Ok(octets)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.take::<1>(field).map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.take(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.take(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, ParseError> {
        self.take(field).map(u64::from_le_bytes)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.message.get(self.at..).unwrap_or_default();
        self.at = self.message.len();
        rest
    }

    /// All that is left, as text of this stream.
    pub(crate) fn text(&mut self, stream: StreamId) -> Result<String, ParseError> {
        let offset = self.at;
        let text = std::str::from_utf8(self.rest())
            .map_err(|e| ParseError::HostNotUtf8 { stream, offset: offset + e.valid_up_to() })?;
        Ok(text.to_owned())
    }

    pub(crate) fn end(&self) -> Result<(), ParseError> {
        match self.message.len().saturating_sub(self.at) {
            0 => Ok(()),
            extra => Err(ParseError::TooLong { offset: self.at, extra }),
        }
    }
}

impl Packet {
    /// Reads one whole message. Never panics, whatever the octets are.
    pub fn parse(message: Bytes) -> Result<Packet, ParseError> {
        let mut reader = Reader { message: &message, at: 0 };
        let kind = reader.u8("packet type")?;
        let stream = StreamId(reader.u32("stream id")?);
        match kind {
            CONNECT => {
                let stream_type = reader.u8("stream type")?;
                let port = reader.u16("port")?;
                let kind = StreamKind::from_wire(stream, stream_type)?;
                let host = reader.text(stream)?;
                Ok(Packet::Connect { stream, kind, port, host })
            }
            DATA => Ok(Packet::Data { stream, bytes: message.slice(HEADER_LEN..) }),
            CONTINUE => {
                let credit = reader.u32("buffer remaining")?;
                reader.end()?;
                Ok(Packet::Continue { stream, credit })
            }
            CLOSE => {
                let reason = Reason(reader.u8("close reason")?);
                reader.end()?;
                Ok(Packet::Close { stream, reason })
            }
            INFO => {
                let major = reader.u8("major version")?;
                let minor = reader.u8("minor version")?;
                let mut extensions = Vec::new();
                while reader.at < message.len() {
                    let id = reader.u8("extension id")?;
                    let length = reader.u32("extension length")?;
                    let offset = reader.at;
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let needed = offset.saturating_add(length);
                    if needed > message.len() {
                        let field = "extension metadata";
                        return Err(ParseError::Truncated { field, offset, needed, len: message.len() });
                    }
                    extensions.push(Extension { id, metadata: message.slice(offset..needed) });
                    reader.at = needed;
                }
                Ok(Packet::Info { stream, major, minor, extensions })
            }
            kind => match Ext::parse(kind, stream, &mut reader)? {
                Some(body) => Ok(Packet::Ext { stream, body }),
                None => Err(ParseError::UnknownType { kind }),
            },
        }
    }

    /// The message for this packet. An extension of 4 GiB or more cannot be written and is a bug of the caller.
    pub fn emit(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN + 8);
        match self {
            Packet::Connect { stream, kind, port, host } => {
                header(&mut out, CONNECT, *stream);
                out.put_u8(kind.to_wire());
                out.put_u16_le(*port);
                out.put_slice(host.as_bytes());
            }
            Packet::Data { stream, bytes } => return emit_data(*stream, bytes),
            Packet::Continue { stream, credit } => {
                header(&mut out, CONTINUE, *stream);
                out.put_u32_le(*credit);
            }
            Packet::Close { stream, reason } => {
                header(&mut out, CLOSE, *stream);
                out.put_u8(reason.0);
            }
            Packet::Info { stream, major, minor, extensions } => {
                header(&mut out, INFO, *stream);
                out.put_slice(&[*major, *minor]);
                for extension in extensions {
                    let length = u32::try_from(extension.metadata.len());
                    out.put_u8(extension.id);
                    out.put_u32_le(length.expect("extension metadata is shorter than 4 GiB"));
                    out.put_slice(&extension.metadata);
                }
            }
            Packet::Ext { stream, body } => {
                header(&mut out, body.packet_type(), *stream);
                body.emit(&mut out);
            }
        }
        out.freeze()
    }

    /// The stream it speaks of.
    pub fn stream(&self) -> StreamId {
        match *self {
            Packet::Connect { stream, .. }
            | Packet::Data { stream, .. }
            | Packet::Continue { stream, .. }
            | Packet::Close { stream, .. }
            | Packet::Info { stream, .. }
            | Packet::Ext { stream, .. } => stream,
        }
    }
}

fn header(out: &mut BytesMut, kind: u8, stream: StreamId) {
    out.put_u8(kind);
    out.put_u32_le(stream.0);
}

/// The message of a DATA packet, without a [`Bytes`] to begin with.
pub fn emit_data(stream: StreamId, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    header(&mut out, DATA, stream);
    out.put_slice(payload);
    out.freeze()
}

/// The first octets of a DATA packet; the payload follows. For senders that read straight behind it.
pub fn data_header(stream: StreamId) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = stream.0.to_le_bytes();
    [DATA, a, b, c, d]
}
