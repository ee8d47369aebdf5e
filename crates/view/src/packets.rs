//! The packet list: each packet once, in Wireshark's columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use socketlab_dissect::{Expert, Filter, FilterError};

use crate::event::{Event, EventKind, FrameView};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketRow {
    /// Number, from 1.
    pub number: u64,
    /// The packet.
    pub packet: u64,
    /// `seq` of the event that holds its bytes.
    pub event: u64,
    /// When it was sent, in nanoseconds.
    pub at: u64,
    /// Source.
    pub source: String,
    /// Destination.
    pub destination: String,
    /// Protocol.
    pub protocol: String,
    /// Length of the frame in octets.
    pub length: u32,
    /// Info.
    pub info: String,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
    /// Wireshark's colour rule: `bad-tcp`, `rst`, `syn-fin`, `http`, `tcp`, `udp`, `icmp`, `arp`, or empty.
    pub colour: String,
    /// It was lost on its way: message key of the reason.
    pub lost: Option<String>,
}

/// The list so far.
#[derive(Clone, Debug, Default)]
pub struct PacketList {
    rows: Vec<PacketRow>,
    by_packet: BTreeMap<u64, usize>,
    /// Packet of each frame that is under way.
    frames: BTreeMap<u64, u64>,
}

impl PacketList {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match &event.kind {
            EventKind::FrameSent(f) => {
                self.frames.insert(f.frame, f.packet);
                if f.first_hop {
                    self.by_packet.insert(f.packet, self.rows.len());
                    self.rows.push(row(self.rows.len() as u64 + 1, event, f));
                }
            }
            EventKind::FrameDelivered { frame } => {
                self.frames.remove(frame);
            }
            EventKind::FrameLost { frame, reason } => {
                let packet = self.frames.remove(frame);
                let row = packet.and_then(|p| self.by_packet.get(&p)).and_then(|i| self.rows.get_mut(*i));
                if let Some(row) = row {
                    row.lost = Some(reason.clone());
                }
            }
            _ => {}
        }
    }

    /// Rows, in the order of sending.
    pub fn rows(&self) -> &[PacketRow] {
        &self.rows
    }

    /// The rows `range`: what a window shows.
    pub fn window(&self, range: core::ops::Range<usize>) -> &[PacketRow] {
        let end = range.end.min(self.rows.len());
        self.rows.get(range.start.min(end)..end).unwrap_or_default()
    }

    /// Where a packet's row stands.
    pub fn position(&self, packet: u64) -> Option<usize> {
        self.by_packet.get(&packet).copied()
    }

    /// The row of a packet.
    pub fn row_of(&self, packet: u64) -> Option<&PacketRow> {
        self.rows.get(*self.by_packet.get(&packet)?)
    }
}

fn row(number: u64, event: &Event, f: &FrameView) -> PacketRow {
    PacketRow {
        number,
        packet: f.packet,
        event: event.seq,
        at: event.at,
        source: f.source.clone(),
        destination: f.destination.clone(),
        protocol: f.protocol.clone(),
        length: u32::try_from(f.bytes.len()).unwrap_or(u32::MAX),
        info: f.info.clone(),
        conversation: f.conversation,
        colour: colour(f).to_string(),
        lost: None,
    }
}

/// The first of Wireshark's default colouring rules that fits.
fn colour(f: &FrameView) -> &'static str {
    let harmless = |e: &Expert| matches!(e, Expert::WindowUpdate | Expert::KeepAlive | Expert::KeepAliveAck);
    let flags = f.tcp.as_ref().map_or(0, |t| t.flags);
    if f.expert.iter().any(|e| !harmless(e)) {
        return "bad-tcp";
    }
    match f.protocol.as_str() {
        "ARP" => "arp",
        "ICMP" | "ICMPv6" => "icmp",
        "HTTP" => "http",
        "TCP" if flags & 0x004 != 0 => "rst",
        "TCP" if flags & 0x003 != 0 => "syn-fin",
        "TCP" => "tcp",
        "UDP" | "DNS" | "MDNS" | "DHCP" => "udp",
        _ => "",
    }
}

/// The rows that a display filter lets through, looked at a part at a time, so that a long list does not stop the page.
#[derive(Clone, Debug)]
pub struct Shown {
    filter: Filter,
    /// Positions of rows that fit.
    rows: Vec<u32>,
    /// Rows looked at so far.
    looked: usize,
}

impl Shown {
    /// With a filter's expression; an empty one lets everything through.
    ///
    /// # Errors
    /// What cannot be understood of the expression, and where.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        Ok(Shown { filter: Filter::new(expression)?, rows: Vec::new(), looked: 0 })
    }

    /// Looks at up to `most` further rows of the list; answers whether all were looked at. `frame`: the frame of an
    /// event, by the event's `seq`.
    pub fn advance<'a>(
        &mut self,
        list: &PacketList,
        most: usize,
        frame: impl Fn(u64) -> Option<&'a FrameView>,
    ) -> bool {
        let end = list.rows.len().min(self.looked.saturating_add(most));
        for (i, row) in list.rows.iter().enumerate().take(end).skip(self.looked) {
            let fits = self.filter.is_empty()
                || frame(row.event).is_some_and(|f| self.filter.matches(&f.bytes, &f.context));
            if fits {
                self.rows.push(u32::try_from(i).unwrap_or(u32::MAX));
            }
        }
        self.looked = end;
        end == list.rows.len()
    }

    /// How many rows fit so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none fits so far.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows `range` of those that fit: what a window shows.
    pub fn window<'a>(
        &'a self,
        list: &'a PacketList,
        range: core::ops::Range<usize>,
    ) -> impl Iterator<Item = &'a PacketRow> {
        let end = range.end.min(self.rows.len());
        let rows = self.rows.get(range.start.min(end)..end).unwrap_or_default();
        rows.iter().filter_map(|i| list.rows.get(*i as usize))
    }

    /// Where a row of the list stands among those that fit.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.binary_search(&u32::try_from(row).ok()?).ok()
    }
}
