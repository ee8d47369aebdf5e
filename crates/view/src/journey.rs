//! Hops joined to journeys: a packet from the node that made it to the one that takes it, over switches and routers.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Event, EventKind, FrameView, NodeKind, TopologyView};

/// What an event means for a packet's journey.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// It begins.
    Sent { frame: &'a FrameView },
    /// A hop begins: `done` links lie behind it.
    Hop { packet: u64, done: u32 },
    /// It has reached a node that takes it.
    Arrived { packet: u64, node: u32 },
    /// A node that had taken it dropped it.
    Refused { packet: u64, node: u32, reason: &'a str },
    /// It was lost on a link, or in a node on the way, `done` links and a half from its start.
    Lost { packet: u64, done: f64, reason: &'a str },
}

/// A frame on its link.
#[derive(Clone, Copy, Debug)]
struct Frame {
    packet: u64,
    to: u32,
    /// Links between the packet's maker and the start of this one.
    done: u32,
    target: Option<u32>,
}

/// Follows packets.
#[derive(Clone, Debug)]
pub(crate) struct Journeys {
    kinds: Vec<NodeKind>,
    neighbours: Vec<Vec<u32>>,
    /// Distances from each node asked about.
    known: BTreeMap<u32, Vec<Option<u32>>>,
    frames: BTreeMap<u64, Frame>,
    makers: BTreeMap<u64, u32>,
    order: VecDeque<u64>,
    /// The frame delivered last, so that a drop right behind it can be understood.
    last: Option<(u64, Frame)>,
}

/// Packets remembered: more than can be under way at once.
const PACKETS_KEPT: usize = 65_536;

impl Journeys {
    pub(crate) fn new(topology: &TopologyView) -> Self {
        let mut neighbours = vec![Vec::new(); topology.nodes.len()];
        for link in &topology.links {
            let (a, b) = link.ends;
            for (from, to) in [(a, b), (b, a)] {
                if let Some(list) = neighbours.get_mut(from as usize) {
                    list.push(to);
                }
            }
        }
        Journeys {
            kinds: topology.nodes.iter().map(|n| n.kind).collect(),
            neighbours,
            known: BTreeMap::new(),
            frames: BTreeMap::new(),
            makers: BTreeMap::new(),
            order: VecDeque::new(),
            last: None,
        }
    }

    fn is_switch(&self, node: u32) -> bool {
        matches!(self.kinds.get(node as usize), Some(NodeKind::Switch | NodeKind::Hub))
    }

    /// Links from one node to each other; `through`: which kinds pass packets on.
    fn distances(&self, from: u32, through: &[NodeKind]) -> Vec<Option<u32>> {
        let mut distance = vec![None; self.kinds.len()];
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((node, d)) = queue.pop_front() {
            let Some(slot) = distance.get_mut(node as usize).filter(|slot| slot.is_none()) else { continue };
            *slot = Some(d);
            let passes = node == from || self.kinds.get(node as usize).is_some_and(|k| through.contains(k));
            if passes && let Some(list) = self.neighbours.get(node as usize) {
                queue.extend(list.iter().map(|n| (*n, d + 1)));
            }
        }
        distance
    }

    /// Number of links between two nodes, 1 if that is unknown.
    pub(crate) fn hops(&mut self, from: u32, to: u32) -> u32 {
        if !self.known.contains_key(&from) {
            let through = [NodeKind::Switch, NodeKind::Hub, NodeKind::Router];
            self.known.insert(from, self.distances(from, &through));
        }
        self.known.get(&from).and_then(|d| d.get(to as usize).copied().flatten()).unwrap_or(1)
    }

    /// Who hears a broadcast of this node.
    pub(crate) fn hearers(&self, from: u32) -> Vec<u32> {
        let reached = self.distances(from, &[NodeKind::Switch, NodeKind::Hub]);
        (0u32..)
            .zip(reached)
            .filter(|(node, d)| d.is_some_and(|d| d > 0) && !self.is_switch(*node))
            .map(|(node, _)| node)
            .collect()
    }

    /// What this event means.
    pub(crate) fn push<'a>(&mut self, event: &'a Event) -> Option<Step<'a>> {
        match &event.kind {
            EventKind::FrameSent(frame) => {
                if frame.first_hop {
                    self.makers.insert(frame.packet, frame.from);
                    self.order.push_back(frame.packet);
                    if self.order.len() > PACKETS_KEPT
                        && let Some(old) = self.order.pop_front()
                    {
                        self.makers.remove(&old);
                    }
                }
                let maker = self.makers.get(&frame.packet).copied().unwrap_or(frame.from);
                let done = if maker == frame.from { 0 } else { self.hops(maker, frame.from) };
                let hop = Frame { packet: frame.packet, to: frame.to, done, target: frame.target };
                self.frames.insert(frame.frame, hop);
                if frame.first_hop {
                    return Some(Step::Sent { frame });
                }
                Some(Step::Hop { packet: frame.packet, done })
            }
            EventKind::FrameDelivered { frame } => {
                let hop = self.frames.remove(frame)?;
                self.last = Some((*frame, hop));
                let takes = match hop.target {
                    Some(target) => hop.to == target,
                    None => !self.is_switch(hop.to),
                };
                if takes {
                    return Some(Step::Arrived { packet: hop.packet, node: hop.to });
                }
                None
            }
            EventKind::FrameLost { frame, reason } => {
                let hop = self.frames.remove(frame)?;
                // A copy that a switch flooded into another direction is no loss.
                if hop.target.is_some_and(|t| hop.to != t && !self.leads_to(&hop, t)) {
                    return None;
                }
                Some(Step::Lost { packet: hop.packet, done: f64::from(hop.done) + 0.5, reason })
            }
            EventKind::Dropped { node, frame: Some(frame), reason } => {
                let (_, hop) = self.last.filter(|(last, hop)| last == frame && hop.to == *node)?;
                if reason == "drop-not-for-this-host"
                    || hop.target.is_some_and(|t| t != *node && !self.passes(*node))
                {
                    return None;
                }
                if hop.target.is_none_or(|t| t == *node) {
                    return Some(Step::Refused { packet: hop.packet, node: *node, reason });
                }
                Some(Step::Lost { packet: hop.packet, done: f64::from(hop.done + 1), reason })
            }
            _ => None,
        }
    }

    fn passes(&self, node: u32) -> bool {
        matches!(self.kinds.get(node as usize), Some(NodeKind::Switch | NodeKind::Hub | NodeKind::Router))
    }

    /// Whether the node this hop goes to lies on the way to the target.
    fn leads_to(&mut self, hop: &Frame, target: u32) -> bool {
        let Some(maker) = self.makers.get(&hop.packet).copied() else { return true };
        self.passes(hop.to) && self.hops(maker, target) == hop.done + 1 + self.hops(hop.to, target)
    }
}
