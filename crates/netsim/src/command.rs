//! What a teacher does to the network while it runs: change a link, cut and mend it, catch one frame and hold, drop or
//! edit it. Each command leaves a record, so that a trace tells what was done and when.

use bytes::Bytes;
use thiserror::Error;

use crate::link::LinkParams;
use crate::queue::Event;
use crate::record::{FrameId, LinkId, LossReason, NodeId, PacketId, RecordKind};
use crate::world::World;

/// Something done to the network from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The link behaves like this from now on. Frames under way keep the arrival they have.
    SetLink {
        /// The link.
        link: LinkId,
        /// All its parameters.
        params: LinkParams,
    },
    /// Cuts a link: what is under way or queued on it is lost, and all that is sent later. The nodes do not notice, as
    /// when the cable breaks behind a media converter.
    Cut {
        /// The link.
        link: LinkId,
    },
    /// Mends a link that was cut.
    Mend {
        /// The link.
        link: LinkId,
    },
    /// Takes a frame that is under way or queued off its link, until it is released or dropped.
    Hold {
        /// The frame.
        frame: FrameId,
    },
    /// Lets a frame that is held arrive now.
    Release {
        /// The frame.
        frame: FrameId,
    },
    /// Loses a frame that is under way, queued or held.
    Drop {
        /// The frame.
        frame: FrameId,
    },
    /// Puts other octets in the place of a frame's, under way, queued or held. Checksums are the caller's.
    Edit {
        /// The frame.
        frame: FrameId,
        /// From the destination MAC address on.
        bytes: Bytes,
    },
    /// Does this to the `nth` frame from now on (1: the next) that leaves `from` by this link.
    Catch {
        /// The link.
        link: LinkId,
        /// The sending node.
        from: NodeId,
        /// Which frame, counted from 1.
        nth: u64,
        /// What is done to it.
        deed: Deed,
    },
}

/// What is done to a frame that is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Deed {
    Hold,
    Drop,
}

/// What a command changed, for the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields say it; see `Command`")]
pub enum Change {
    Link { link: LinkId, before: LinkParams, after: LinkParams },
    Cut { link: LinkId },
    Mended { link: LinkId },
    Held { frame: FrameId },
    Released { frame: FrameId },
    Edited { frame: FrameId, before: Bytes, after: Bytes },
    WillCatch { link: LinkId, from: NodeId, nth: u64, deed: Deed },
}

/// Why a command did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// There is no such link, or the node is not at its end.
    #[error("there is no such link")]
    NoLink,
    /// The frame is neither under way nor queued nor held.
    #[error("the frame is not under way")]
    NoFrame,
    /// Only a frame that is held can be released.
    #[error("the frame is not held")]
    NotHeld,
    /// A frame has at least its Ethernet header (14 octets) and at most what the link carries.
    #[error("a frame has 14 octets at least, and at most what its link carries")]
    BadLength,
}

/// A frame that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) link: LinkId,
    /// The end it left by.
    pub(crate) side: usize,
    pub(crate) packet: PacketId,
    pub(crate) bytes: Bytes,
}

/// The least a frame has: two addresses and a type.
const ETHERNET_HEADER: usize = 14;

impl World {
    /// Does something to the network, at the present instant.
    ///
    /// # Errors
    /// If it is about a link or frame that is not there; nothing has happened then.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::SetLink { link, params } => self.set_link(link, params)?,
            Command::Cut { link } => self.cut(link)?,
            Command::Mend { link } => {
                let line = self.links.get_mut(link.0 as usize).ok_or(CommandError::NoLink)?;
                if core::mem::take(&mut line.cut) {
                    self.changed(Change::Mended { link });
                }
            }
            Command::Hold { frame } => {
                if !self.held.contains_key(&frame) {
                    let held = self.take_off(frame).ok_or(CommandError::NoFrame)?;
                    self.hold(frame, held);
                }
            }
            Command::Release { frame } => {
                let Held { link, side, packet, bytes } =
                    self.held.remove(&frame).ok_or(CommandError::NotHeld)?;
                self.changed(Change::Released { frame });
                self.in_flight += 1;
                self.queue.push(self.now, Event::Arrive { link, side: 1 - side, frame, packet, bytes });
            }
            Command::Drop { frame } => {
                let held = self.held.remove(&frame);
                held.or_else(|| self.take_off(frame)).ok_or(CommandError::NoFrame)?;
                self.record(RecordKind::FrameLost { frame, reason: LossReason::DroppedByHand });
            }
            Command::Edit { frame, bytes } => self.edit(frame, bytes)?,
            Command::Catch { link, from, nth, deed } => {
                let side = self.side_of(link, from).ok_or(CommandError::NoLink)?;
                self.catch(link, side, nth.max(1), deed);
                self.changed(Change::WillCatch { link, from, nth: nth.max(1), deed });
            }
        }
        self.settle();
        Ok(())
    }

    fn changed(&mut self, change: Change) {
        self.record(RecordKind::Changed { change: Box::new(change) });
    }

    fn set_link(&mut self, link: LinkId, params: LinkParams) -> Result<(), CommandError> {
        let line = self.links.get_mut(link.0 as usize).ok_or(CommandError::NoLink)?;
        let before = core::mem::replace(&mut line.params, params);
        let ends = line.ends;
        if before == params {
            return Ok(());
        }
        if before.mtu != params.mtu {
            for (node, port) in ends {
                if let Some(host) = self.host_mut(node)
                    && let Some(iface) = host.ifaces.get(port).copied()
                {
                    host.host.set_mtu(iface, params.mtu);
                }
            }
        }
        self.topology.set_link(link, &params);
        self.changed(Change::Link { link, before, after: params });
        Ok(())
    }

    fn cut(&mut self, link: LinkId) -> Result<(), CommandError> {
        let line = self.links.get_mut(link.0 as usize).ok_or(CommandError::NoLink)?;
        if core::mem::replace(&mut line.cut, true) {
            return Ok(());
        }
        let queued: Vec<FrameId> =
            line.directions.iter_mut().flat_map(|d| d.queue.drain(..)).filter_map(|w| w.frame).collect();
        self.changed(Change::Cut { link });
        let gone = self.queue.take_all(|event| match event {
            Event::Arrive { link: l, frame, .. } if *l == link => Some(*frame),
            _ => None,
        });
        // Those with a loss of their own ahead (`Event::Lose`) meet it.
        for frame in gone.into_iter().chain(queued) {
            self.in_flight -= 1;
            self.record(RecordKind::FrameLost { frame, reason: LossReason::LinkCut });
        }
        Ok(())
    }

    /// Which end of a link a node is.
    fn side_of(&self, link: LinkId, node: NodeId) -> Option<usize> {
        self.links.get(link.0 as usize)?.ends.iter().position(|(end, _)| *end == node)
    }

    pub(crate) fn catch(&mut self, link: LinkId, side: usize, nth: u64, deed: Deed) {
        let direction = self.links.get_mut(link.0 as usize).and_then(|l| l.directions.get_mut(side));
        if let Some(direction) = direction {
            let number = direction.begun + nth;
            direction.catches.push((number, deed));
        }
    }

    pub(crate) fn hold(&mut self, frame: FrameId, held: Held) {
        self.held.insert(frame, held);
        self.changed(Change::Held { frame });
    }

    /// Takes a frame off its link or out of its queue.
    fn take_off(&mut self, frame: FrameId) -> Option<Held> {
        let arriving = self.queue.take(|event| {
            matches!(event, Event::Arrive { frame: f, .. } | Event::Lose { frame: f, .. } if *f == frame)
        });
        let held = match arriving {
            Some(Event::Arrive { link, side, packet, bytes, .. }) => {
                Held { link, side: 1 - side, packet, bytes }
            }
            Some(Event::Lose { way, .. }) => *way,
            _ => {
                let (link, side, place) = self.queued(frame)?;
                let direction = self.links.get_mut(link.0 as usize)?.directions.get_mut(side)?;
                let waiting = direction.queue.remove(place)?;
                Held { link, side, packet: waiting.packet, bytes: waiting.bytes }
            }
        };
        self.in_flight -= 1;
        Some(held)
    }

    /// Where a frame waits for its link.
    fn queued(&self, frame: FrameId) -> Option<(LinkId, usize, usize)> {
        for (number, link) in (0u32..).zip(&self.links) {
            for (side, direction) in link.directions.iter().enumerate() {
                if let Some(place) = direction.queue.iter().position(|w| w.frame == Some(frame)) {
                    return Some((LinkId(number), side, place));
                }
            }
        }
        None
    }

    fn edit(&mut self, frame: FrameId, after: Bytes) -> Result<(), CommandError> {
        let fits = |world: &World, link: LinkId| {
            let mtu = world.links.get(link.0 as usize).map_or(0, |l| l.params.mtu);
            (ETHERNET_HEADER..=mtu + ETHERNET_HEADER).contains(&after.len())
        };
        let link = self.where_is(frame).ok_or(CommandError::NoFrame)?;
        if !fits(self, link) {
            return Err(CommandError::BadLength);
        }
        let place = if let Some(held) = self.held.get_mut(&frame) {
            Some(&mut held.bytes)
        } else if let Some((link, side, place)) = self.queued(frame) {
            let direction = self.links.get_mut(link.0 as usize).and_then(|l| l.directions.get_mut(side));
            direction.and_then(|d| d.queue.get_mut(place)).map(|waiting| &mut waiting.bytes)
        } else {
            self.queue.find_mut(|event| match event {
                Event::Arrive { frame: f, bytes, .. } if *f == frame => Some(bytes),
                Event::Lose { frame: f, way, .. } if *f == frame => Some(&mut way.bytes),
                _ => None,
            })
        };
        let before = core::mem::replace(place.ok_or(CommandError::NoFrame)?, after.clone());
        self.changed(Change::Edited { frame, before, after });
        Ok(())
    }

    fn where_is(&mut self, frame: FrameId) -> Option<LinkId> {
        if let Some(held) = self.held.get(&frame) {
            return Some(held.link);
        }
        if let Some((link, ..)) = self.queued(frame) {
            return Some(link);
        }
        self.queue
            .find_mut(|event| match event {
                Event::Arrive { frame: f, link, .. } if *f == frame => Some(link),
                Event::Lose { frame: f, way, .. } if *f == frame => Some(&mut way.link),
                _ => None,
            })
            .copied()
    }
}
