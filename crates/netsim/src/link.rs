//! A link: delay, rate, a bounded queue, and what can go wrong with a frame on its way.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use socketlab_stack::{CallId, Instant};

use crate::command::{Deed, Held};
use crate::prng::Prng;
use crate::queue::Event;
use crate::record::{FrameId, LinkId, LossReason, NodeId, PacketId, RecordKind};
use crate::world::World;

/// A probability in parts per million, so that no engine decision hangs on a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Chance = Chance(0);

    /// So many times in a million; at most a million.
    pub const fn per_million(n: u32) -> Self {
        Chance(if n > 1_000_000 { 1_000_000 } else { n })
    }

    /// The probability times a million.
    pub const fn in_a_million(self) -> u32 {
        self.0
    }
}

/// How a link behaves, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkParams {
    /// Time a bit needs from end to end.
    pub delay: Duration,
    /// Up to this much more delay, drawn for each frame. Frames stay in order.
    pub jitter: Duration,
    /// Bits per second; none: a frame takes no time to send.
    pub rate_bits_per_s: Option<u64>,
    /// Frames that may wait for the link to become free; one more is dropped.
    pub queue: usize,
    /// A frame is lost.
    pub loss: Chance,
    /// A frame arrives twice.
    pub duplicate: Chance,
    /// A frame is held back so that later ones overtake it.
    pub reorder: Chance,
    /// One bit of a frame is flipped.
    pub corrupt: Chance,
    /// Largest IP packet in octets.
    pub mtu: usize,
}

impl Default for LinkParams {
    /// A cable: no delay, no limit, no faults, Ethernet's 1500 octets. The queue of 1000 is Linux' `txqueuelen`.
    fn default() -> Self {
        LinkParams {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate_bits_per_s: None,
            queue: 1000,
            loss: Chance::NEVER,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            corrupt: Chance::NEVER,
            mtu: 1500,
        }
    }
}

/// One frame for a link.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Its number, once it has one: since it came into the queue.
    pub(crate) frame: Option<FrameId>,
    pub(crate) packet: PacketId,
    pub(crate) bytes: Bytes,
    pub(crate) cause: Option<CallId>,
    /// The node that made the packet sends it, for the first time.
    pub(crate) first_hop: bool,
}

/// One direction of a link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direction {
    /// Until when the last frame is being sent.
    busy_until: Instant,
    /// Arrival of the latest frame: the next one may not overtake it.
    last_arrival: Instant,
    pub(crate) queue: VecDeque<Waiting>,
    /// Frames that have begun to leave so far.
    pub(crate) begun: u64,
    /// Frames to be caught, by that count.
    pub(crate) catches: Vec<(u64, Deed)>,
}

/// A link as the world keeps it. Side 0 and 1 are the ends.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Node and its port number at each side.
    pub(crate) ends: [(NodeId, usize); 2],
    pub(crate) params: LinkParams,
    pub(crate) directions: [Direction; 2],
    /// Nothing gets through.
    pub(crate) cut: bool,
}

/// Octets of an Ethernet header.
const ETHERNET_HEADER: usize = 14;

/// A frame held back by `reorder` comes at least so much later. A choice.
const LEAST_REORDER_DELAY: Duration = Duration::from_millis(1);

impl World {
    /// A node puts a frame on its link, from side `side`.
    pub(crate) fn send_on(&mut self, link: LinkId, side: usize, mut frame: Waiting) {
        let now = self.now;
        let Some(line) = self.links.get_mut(link.0 as usize) else { return };
        let Some(direction) = line.directions.get_mut(side) else { return };
        let lost = if line.cut {
            Some(LossReason::LinkCut)
        } else if frame.bytes.len() > line.params.mtu + ETHERNET_HEADER {
            Some(LossReason::TooBig)
        } else if direction.busy_until <= now && direction.queue.is_empty() {
            None
        } else if direction.queue.len() < line.params.queue {
            let at = direction.busy_until;
            let first = direction.queue.is_empty();
            let (id, packet, cause) = (FrameId(self.next_frame), frame.packet, frame.cause);
            let ahead = direction.queue.len() as u32;
            let from = line.ends[side].0;
            self.next_frame += 1;
            frame.frame = Some(id);
            direction.queue.push_back(frame);
            self.in_flight += 1;
            self.record(RecordKind::FrameQueued { frame: id, packet, link, from, ahead, cause });
            if first {
                self.queue.push(at, Event::LinkFree { link, side });
            }
            return;
        } else {
            Some(LossReason::QueueFull)
        };
        match lost {
            None => self.begin(link, side, frame),
            Some(reason) => {
                let id = self.record_frame(link, side, &mut frame, now);
                self.record(RecordKind::FrameLost { frame: id, reason });
            }
        }
    }

    /// The link can take the next frame of its queue.
    pub(crate) fn link_free(&mut self, link: LinkId, side: usize) {
        let direction = self.links.get_mut(link.0 as usize).and_then(|l| l.directions.get_mut(side));
        let Some(frame) = direction.and_then(|d| d.queue.pop_front()) else { return };
        self.in_flight -= 1;
        self.begin(link, side, frame);
        let direction = self.links.get(link.0 as usize).and_then(|l| l.directions.get(side));
        if let Some(at) = direction.filter(|d| !d.queue.is_empty()).map(|d| d.busy_until) {
            self.queue.push(at, Event::LinkFree { link, side });
        }
    }

    /// The first bit of a frame leaves.
    fn begin(&mut self, link: LinkId, side: usize, mut frame: Waiting) {
        let now = self.now;
        let Some(line) = self.links.get_mut(link.0 as usize) else { return };
        let Some(direction) = line.directions.get_mut(side) else { return };
        let params = line.params;
        let jitter = u64::try_from(params.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = if jitter == 0 { 0 } else { self.prng.below(jitter.saturating_add(1)) };

        direction.begun += 1;
        let begun = direction.begun;
        let caught = direction.catches.iter().position(|(number, _)| *number == begun);
        let caught = caught.map(|place| direction.catches.swap_remove(place).1);
        direction.busy_until = now + params.sending_time(frame.bytes.len());
        let mut arrives = direction.busy_until + params.delay + Duration::from_nanos(jitter);
        arrives = arrives.max(direction.last_arrival);
        if self.prng.happens(params.reorder) {
            arrives += params.delay.max(LEAST_REORDER_DELAY);
        } else {
            direction.last_arrival = arrives;
        }
        if self.prng.happens(params.corrupt) {
            frame.bytes = flip_a_bit(&frame.bytes, &mut self.prng);
        }
        let lost = self.prng.happens(params.loss);
        let twice = self.prng.happens(params.duplicate);

        let id = self.record_frame(link, side, &mut frame, arrives);
        let held = |frame: &Waiting| Held { link, side, packet: frame.packet, bytes: frame.bytes.clone() };
        if caught == Some(Deed::Hold) {
            return self.hold(id, held(&frame));
        }
        self.in_flight += 1;
        let reason = match (caught, lost) {
            (Some(Deed::Drop), _) => Some(LossReason::DroppedByHand),
            (_, true) => Some(LossReason::Random),
            _ => None,
        };
        if let Some(reason) = reason {
            // Half-way, so that one sees it go and not arrive.
            let at = now + arrives.saturating_since(now) / 2;
            self.queue.push(at, Event::Lose { frame: id, reason, way: Box::new(held(&frame)) });
            return;
        }
        let (packet, bytes) = (frame.packet, frame.bytes.clone());
        self.queue.push(arrives, Event::Arrive { link, side: 1 - side, frame: id, packet, bytes });
        if twice {
            (frame.frame, frame.first_hop) = (None, false);
            let id = self.record_frame(link, side, &mut frame, arrives);
            self.in_flight += 1;
            let Waiting { packet, bytes, .. } = frame;
            self.queue.push(arrives, Event::Arrive { link, side: 1 - side, frame: id, packet, bytes });
        }
    }

    fn record_frame(&mut self, link: LinkId, side: usize, frame: &mut Waiting, arrives: Instant) -> FrameId {
        let id = frame.frame.unwrap_or(FrameId(self.next_frame));
        self.next_frame = self.next_frame.max(id.0 + 1);
        let end = |side: usize| self.links.get(link.0 as usize).map_or(NodeId(0), |l| l.ends[side].0);
        let (from, to) = (end(side), end(1 - side));
        let Waiting { packet, cause, first_hop, .. } = *frame;
        let bytes = frame.bytes.clone();
        self.packets_sent += u64::from(first_hop);
        self.record(RecordKind::FrameSent {
            frame: id,
            packet,
            link,
            from,
            to,
            arrives,
            bytes,
            cause,
            first_hop,
        });
        id
    }
}

impl LinkParams {
    /// How long a frame takes to send: its octets from the destination address on, without preamble and checksum.
    fn sending_time(&self, octets: usize) -> Duration {
        match self.rate_bits_per_s {
            Some(rate) if rate > 0 => {
                let nanos = octets as u128 * 8 * 1_000_000_000 / u128::from(rate);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            _ => Duration::ZERO,
        }
    }
}

fn flip_a_bit(bytes: &Bytes, prng: &mut Prng) -> Bytes {
    let mut changed = bytes.to_vec();
    let bit = prng.below(changed.len() as u64 * 8);
    if let Some(octet) = changed.get_mut((bit / 8) as usize) {
        *octet ^= 1 << (bit % 8);
    }
    changed.into()
}
