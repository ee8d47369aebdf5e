//! The neighbour table: which MAC address an IPv4 neighbour has (RFC 826), and packets that wait for the answer
//! (RFC 1122 2.3.2.2). Entries do not age in this version.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use smoltcp::wire::{ArpHardware, ArpOperation, ArpPacket, EthernetProtocol};

use crate::addr::MacAddr;
use crate::event::IfaceId;
use crate::time::Instant;

/// Linux `mcast_solicit`: so many questions.
const TRIES: u32 = 3;
/// Linux `retrans_time_ms`: one question a second (RFC 1122 2.3.2.1).
const INTERVAL: Duration = Duration::from_secs(1);
/// So many packets wait for one neighbour; a choice (Linux counts 212,992 octets).
const QUEUE: usize = 64;

/// One neighbour.
#[derive(Clone, Debug)]
pub(crate) enum Neighbour {
    Known(MacAddr),
    /// Asked for; `waiting` are frames without a destination address.
    Asked {
        tries: u32,
        next: Instant,
        source: Ipv4Addr,
        waiting: VecDeque<Vec<u8>>,
    },
}

/// What to do with a frame for a neighbour.
pub(crate) enum Resolved {
    /// Send it to this address.
    To(MacAddr, Vec<u8>),
    /// It waits; ask now if told so.
    Waits { ask: bool },
}

/// What the neighbour table's timer brought up.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Questions to ask again: interface, neighbour, our address.
    pub(crate) ask: Vec<(IfaceId, Ipv4Addr, Ipv4Addr)>,
    /// Frames whose neighbour never answered.
    pub(crate) failed: Vec<(Ipv4Addr, Vec<u8>)>,
}

/// All neighbours of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours {
    table: BTreeMap<(IfaceId, Ipv4Addr), Neighbour>,
    /// Open questions by the moment they are due.
    due: BTreeSet<(Instant, (IfaceId, Ipv4Addr))>,
}

impl Neighbours {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, Option<MacAddr>)> {
        self.table.iter().map(|((_, ip), neighbour)| match neighbour {
            Neighbour::Known(mac) => (*ip, Some(*mac)),
            Neighbour::Asked { .. } => (*ip, None),
        })
    }

    /// Finds the address for `frame`, or keeps it until an answer comes.
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        key: (IfaceId, Ipv4Addr),
        source: Ipv4Addr,
        frame: Vec<u8>,
    ) -> Resolved {
        match self.table.get_mut(&key) {
            Some(Neighbour::Known(mac)) => Resolved::To(*mac, frame),
            Some(Neighbour::Asked { waiting, .. }) => {
                if waiting.len() >= QUEUE {
                    waiting.pop_front();
                }
                waiting.push_back(frame);
                Resolved::Waits { ask: false }
            }
            None => {
                let waiting = VecDeque::from([frame]);
                self.due.insert((now + INTERVAL, key));
                self.table.insert(key, Neighbour::Asked { tries: 1, next: now + INTERVAL, source, waiting });
                Resolved::Waits { ask: true }
            }
        }
    }

    /// A neighbour told its address. `create`: it spoke to us, so remember it even if we never asked.
    /// Returns the frames that waited for it.
    pub(crate) fn learn(
        &mut self,
        key: (IfaceId, Ipv4Addr),
        mac: MacAddr,
        create: bool,
    ) -> VecDeque<Vec<u8>> {
        if !create && !self.table.contains_key(&key) {
            return VecDeque::new();
        }
        match self.table.insert(key, Neighbour::Known(mac)) {
            Some(Neighbour::Asked { waiting, next, .. }) => {
                self.due.remove(&(next, key));
                waiting
            }
            _ => VecDeque::new(),
        }
    }

    /// The earliest moment at which a question is asked again, or given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Runs what is due.
    pub(crate) fn on_timer(&mut self, now: Instant) -> Due {
        let Due { mut ask, mut failed } = Due::default();
        while let Some(&(at, key)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            let Some(Neighbour::Asked { tries, next, source, waiting }) = self.table.get_mut(&key) else {
                continue;
            };
            if *tries < TRIES {
                *tries += 1;
                *next = now + INTERVAL;
                self.due.insert((*next, key));
                ask.push((key.0, key.1, *source));
            } else {
                failed.extend(waiting.drain(..).map(|frame| (key.1, frame)));
                self.table.remove(&key);
            }
        }
        Due { ask, failed }
    }
}

/// An ARP message as this stack uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arp {
    pub(crate) request: bool,
    pub(crate) sender: (MacAddr, Ipv4Addr),
    pub(crate) target: (MacAddr, Ipv4Addr),
}

/// Octets of an ARP message for Ethernet and IPv4.
pub(crate) const ARP_LEN: usize = 28;

impl Arp {
    pub(crate) fn parse(bytes: &Bytes) -> Option<Arp> {
        let packet = ArpPacket::new_checked(bytes.as_ref()).ok()?;
        if packet.hardware_type() != ArpHardware::Ethernet || packet.protocol_type() != EthernetProtocol::Ipv4
        {
            return None;
        }
        let request = match packet.operation() {
            ArpOperation::Request => true,
            ArpOperation::Reply => false,
            ArpOperation::Unknown(_) => return None,
        };
        let mac = |bytes: &[u8]| bytes.try_into().ok().map(MacAddr);
        let ip = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
        Some(Arp {
            request,
            sender: (mac(packet.source_hardware_addr())?, ip(packet.source_protocol_addr())?),
            target: (mac(packet.target_hardware_addr())?, ip(packet.target_protocol_addr())?),
        })
    }

    /// Writes it into `out`, [`ARP_LEN`] octets.
    pub(crate) fn emit(&self, out: &mut [u8]) {
        let mut packet = ArpPacket::new_unchecked(out);
        packet.set_hardware_type(ArpHardware::Ethernet);
        packet.set_protocol_type(EthernetProtocol::Ipv4);
        packet.set_hardware_len(6);
        packet.set_protocol_len(4);
        packet.set_operation(if self.request { ArpOperation::Request } else { ArpOperation::Reply });
        packet.set_source_hardware_addr(&self.sender.0.0);
        packet.set_source_protocol_addr(&self.sender.1.octets());
        packet.set_target_hardware_addr(&self.target.0.0);
        packet.set_target_protocol_addr(&self.target.1.octets());
    }
}
