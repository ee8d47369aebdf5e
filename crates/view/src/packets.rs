//! The packet list: each packet once, in Wireshark's columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use socketlab_dissect::Expert;

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
    /// Wireshark's colour rule: `bad-tcp`, `rst`, `syn-fin`, `tcp`, `udp`, `icmp`, `arp`, or empty.
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
        "TCP" if flags & 0x004 != 0 => "rst",
        "TCP" if flags & 0x003 != 0 => "syn-fin",
        "TCP" => "tcp",
        "UDP" => "udp",
        _ => "",
    }
}
