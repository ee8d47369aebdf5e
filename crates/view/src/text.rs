//! The views as text for a terminal: ladder, packet list, tcpdump lines.

use crate::event::Event;
use crate::ladder::Ladder;
use crate::packets::PacketList;

/// The ladder drawn with characters, `width` columns wide.
pub fn ladder(ladder: &Ladder, width: usize) -> String {
    let _ = (ladder, width);
    String::new()
}

/// The packet list in tshark's columns.
pub fn packets(list: &PacketList) -> String {
    let _ = list;
    String::new()
}

/// What `tcpdump -n` prints, each packet once. The time is that of the lab, from 00:00:00.
pub fn tcpdump(events: &[Event]) -> String {
    let _ = events;
    String::new()
}
