//! One TCP segment, typed: what a header says, and its payload.

use core::net::SocketAddr;

use bytes::Bytes;
use smoltcp::wire::{IpAddress, TcpPacket, TcpSeqNumber};

use super::options::Options;
use super::seq::Seq;

/// The control bits that this stack uses (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) fin: bool,
    pub(crate) syn: bool,
    pub(crate) rst: bool,
    pub(crate) psh: bool,
    pub(crate) ack: bool,
    pub(crate) urg: bool,
    pub(crate) ece: bool,
    pub(crate) cwr: bool,
}

/// A segment without its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) seq: Seq,
    /// The acknowledgment number; means something only with the ACK bit.
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// The window field as it stands in the header, not scaled.
    pub(crate) window: u16,
    /// The urgent pointer; means something only with the URG bit.
    pub(crate) urgent: u16,
    /// The ECN field of its IP header (RFC 3168 5): routers may mark it, and one has.
    pub(crate) capable: bool,
    pub(crate) congested: bool,
    pub(crate) options: Options,
    pub(crate) payload: Payload,
}

/// The payload: pieces of what the program sent, shared with its buffer until the frame is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    first: Bytes,
    /// Seldom: the writes of a program are often longer than a segment.
    more: Vec<Bytes>,
    len: usize,
}

impl Payload {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            let len = piece.len();
            if self.len == 0 {
                self.first = piece;
            } else {
                self.more.push(piece);
            }
            self.len += len;
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        core::iter::once(&self.first).chain(&self.more)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The octet at this place.
    pub(crate) fn octet(&self, mut index: usize) -> Option<u8> {
        self.pieces().find_map(|piece| {
            let found = piece.get(index).copied();
            index = index.saturating_sub(piece.len());
            found
        })
    }

    fn copy_to(&self, out: &mut [u8]) {
        let mut at = 0;
        for piece in self.pieces() {
            if let Some(place) = out.get_mut(at..at + piece.len()) {
                place.copy_from_slice(piece);
            }
            at += piece.len();
        }
    }

    /// The one piece a received segment has.
    pub(crate) fn to_bytes(&self) -> Bytes {
        if self.more.is_empty() {
            return self.first.clone();
        }
        self.pieces().flatten().copied().collect()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        let mut payload = Payload::default();
        payload.push(bytes);
        payload
    }
}

impl Segment {
    /// Length in sequence space: octets, and one each for SYN and FIN.
    pub(crate) fn seq_len(&self) -> u32 {
        self.payload.len() as u32 + u32::from(self.flags.syn) + u32::from(self.flags.fin)
    }

    /// The sequence number after the last one this segment takes.
    pub(crate) fn end(&self) -> Seq {
        self.seq + self.seq_len()
    }

    /// Reads a segment. `None` if its header is broken; checksums are the caller's.
    pub(crate) fn parse(bytes: &Bytes) -> Option<Segment> {
        let packet = TcpPacket::new_checked(bytes.as_ref()).ok()?;
        let flags = Flags {
            fin: packet.fin(),
            syn: packet.syn(),
            rst: packet.rst(),
            psh: packet.psh(),
            ack: packet.ack(),
            urg: packet.urg(),
            ece: packet.ece(),
            cwr: packet.cwr(),
        };
        Some(Segment {
            seq: Seq(packet.seq_number().0 as u32),
            ack: Seq(packet.ack_number().0 as u32),
            flags,
            window: packet.window_len(),
            urgent: packet.urgent_at(),
            capable: false,
            congested: false,
            options: Options::parse(packet.options()),
            payload: bytes.slice(usize::from(packet.header_len())..).into(),
        })
    }

    /// Length on the wire in octets: header, options, payload.
    pub(crate) fn wire_len(&self) -> usize {
        20 + self.options.len() + self.payload.len()
    }

    /// Writes it with its checksum into `out`, which is [`Segment::wire_len`] octets long.
    pub(crate) fn emit(&self, from: SocketAddr, to: SocketAddr, out: &mut [u8]) {
        let header_len = 20 + self.options.len();
        let mut packet = TcpPacket::new_unchecked(out);
        packet.set_src_port(from.port());
        packet.set_dst_port(to.port());
        packet.set_seq_number(TcpSeqNumber(self.seq.0 as i32));
        packet.set_ack_number(TcpSeqNumber(if self.flags.ack { self.ack.0 as i32 } else { 0 }));
        packet.clear_flags();
        packet.set_header_len(header_len as u8);
        packet.set_fin(self.flags.fin);
        packet.set_syn(self.flags.syn);
        packet.set_rst(self.flags.rst);
        packet.set_psh(self.flags.psh);
        packet.set_ack(self.flags.ack);
        packet.set_urg(self.flags.urg);
        packet.set_ece(self.flags.ece);
        packet.set_cwr(self.flags.cwr);
        packet.set_window_len(self.window);
        packet.set_urgent_at(self.urgent);
        self.options.emit(packet.options_mut());
        self.payload.copy_to(packet.payload_mut());
        packet.fill_checksum(&IpAddress::from(from.ip()), &IpAddress::from(to.ip()));
    }
}

/// The RST that answers a segment for which there is no connection (RFC 9293 3.10.7.1). None for a RST.
pub(crate) fn reset_for(segment: &Segment) -> Option<Segment> {
    if segment.flags.rst {
        return None;
    }
    let flags = Flags { rst: true, ..Flags::default() };
    Some(if segment.flags.ack {
        Segment { seq: segment.ack, flags, ..Segment::default() }
    } else {
        Segment { ack: segment.end(), flags: Flags { ack: true, ..flags }, ..Segment::default() }
    })
}
