//! A learning switch (IEEE 802.1D 7.8, 7.9): it learns which port a MAC address is behind, and floods what it does not
//! know. Left out: spanning tree, so that loops of switches must be kept out of a lab.

use core::time::Duration;
use std::collections::BTreeMap;

use socketlab_stack::{Instant, MacAddr};

/// How long an address that is not heard of is remembered (IEEE 802.1D table 7-5).
const AGEING: Duration = Duration::from_secs(300);

/// A switch's table: which port a MAC address was last heard on, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch {
    table: BTreeMap<MacAddr, (usize, Instant)>,
}

impl Switch {
    /// A frame came in by port `from` of `ports`: the ports it goes out by.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        ports: usize,
        from: usize,
        frame: &[u8],
    ) -> impl Iterator<Item = usize> + use<> {
        let destination = mac_at(frame, 0);
        if let Some(source) = mac_at(frame, 6).filter(|mac| !is_group(*mac)) {
            self.table.insert(source, (from, now));
        }
        let known = destination
            .filter(|mac| !is_group(*mac))
            .and_then(|mac| self.table.get(&mac))
            .filter(|(_, heard)| now.saturating_since(*heard) < AGEING)
            .map(|(port, _)| *port);
        // A frame too short to have a destination goes nowhere.
        let ports = if destination.is_some() { ports } else { 0 };
        (0..ports).filter(move |port| *port != from && known.is_none_or(|known| known == *port))
    }
}

impl Switch {
    /// What it knows at `now`: address, port, when it was last heard, in the order of the addresses.
    pub(crate) fn table(&self, now: Instant) -> Vec<SwitchEntry> {
        let fresh = self.table.iter().filter(|(_, (_, heard))| now.saturating_since(*heard) < AGEING);
        fresh.map(|(mac, (port, heard))| SwitchEntry { mac: *mac, port: *port, heard: *heard }).collect()
    }
}

/// A line of a switch's table. It is forgotten 300 s after it was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchEntry {
    /// The address.
    pub mac: MacAddr,
    /// The port it is behind, from 0 in the order of the switch's links.
    pub port: usize,
    /// When a frame of it last came in.
    pub heard: Instant,
}

fn mac_at(frame: &[u8], at: usize) -> Option<MacAddr> {
    frame.get(at..at + 6).and_then(|octets| octets.try_into().ok()).map(MacAddr)
}

/// Broadcast or multicast: the lowest bit of the first octet.
const fn is_group(mac: MacAddr) -> bool {
    mac.0[0] & 1 == 1
}
