//! A picture of the whole world at one instant: hosts, switches, links. Nothing here refers back into the world, and
//! two worlds in the same state give equal pictures.

use socketlab_stack::{HostSnapshot, Instant};

use crate::link::LinkParams;
use crate::node::Body;
use crate::record::{FrameId, LinkId, NodeId};
use crate::switch::SwitchEntry;
use crate::world::World;

/// The world at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldSnapshot {
    /// When.
    pub at: Instant,
    /// Hosts, routers and gateways.
    pub hosts: Vec<(NodeId, HostSnapshot)>,
    /// What each switch has learnt.
    pub switches: Vec<(NodeId, Vec<SwitchEntry>)>,
    /// Links, by number.
    pub links: Vec<LinkSnapshot>,
    /// Frames that somebody holds, and the link of each.
    pub held: Vec<(FrameId, LinkId)>,
}

/// A link at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// How it behaves.
    pub params: LinkParams,
    /// Nothing gets through.
    pub cut: bool,
    /// Frames that wait at its first and at its second end.
    pub queued: (usize, usize),
}

impl World {
    /// The whole world as it is now.
    pub fn picture(&self) -> WorldSnapshot {
        let nodes = (0u32..).map(NodeId).zip(&self.nodes);
        let switches = nodes.filter_map(|(id, node)| match &node.body {
            Body::Switch(switch) => Some((id, switch.table(self.now))),
            _ => None,
        });
        let links = self.links.iter().map(|link| LinkSnapshot {
            params: link.params,
            cut: link.cut,
            queued: (link.directions[0].queue.len(), link.directions[1].queue.len()),
        });
        WorldSnapshot {
            at: self.now,
            hosts: self.snapshot(),
            switches: switches.collect(),
            links: links.collect(),
            held: self.held.iter().map(|(frame, held)| (*frame, held.link)).collect(),
        }
    }
}
