//! The packet list: each packet once, in Wireshark's columns.

use serde::{Deserialize, Serialize};

use crate::event::Event;

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
}

impl PacketList {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let _ = event;
    }

    /// Rows, in the order of sending.
    pub fn rows(&self) -> &[PacketRow] {
        &self.rows
    }

    /// The row of a packet.
    pub fn row_of(&self, packet: u64) -> Option<&PacketRow> {
        let _ = packet;
        None
    }
}
