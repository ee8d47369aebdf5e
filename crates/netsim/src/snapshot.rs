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
    /// One host or gateway as it is now; none: the node has no stack.
    pub fn host_snapshot(&self, id: NodeId) -> Option<HostSnapshot> {
        self.host(id).map(|node| node.host.snapshot())
    }

    /// What a switch has learnt; none: the node is none.
    pub fn switch_table(&self, id: NodeId) -> Option<Vec<SwitchEntry>> {
        match &self.nodes.get(id.0 as usize)?.body {
            Body::Switch(switch) | Body::Lan(switch) => Some(switch.table(self.now)),
            _ => None,
        }
    }

    /// Links, by number, and the frames that somebody holds with the link of each.
    pub fn links(&self) -> (Vec<LinkSnapshot>, Vec<(FrameId, LinkId)>) {
        let links = self.links.iter().map(|link| LinkSnapshot {
            params: link.params,
            cut: link.cut,
            queued: (link.directions[0].queue.len(), link.directions[1].queue.len()),
        });
        (links.collect(), self.held.iter().map(|(frame, held)| (*frame, held.link)).collect())
    }

    /// The whole world as it is now.
    pub fn picture(&self) -> WorldSnapshot {
        let nodes = (0u32..).map(NodeId).zip(&self.nodes);
        let switches = nodes.filter_map(|(id, node)| match &node.body {
            Body::Switch(switch) | Body::Lan(switch) => Some((id, switch.table(self.now))),
            _ => None,
        });
        let (links, held) = self.links();
        WorldSnapshot { at: self.now, hosts: self.snapshot(), switches: switches.collect(), links, held }
    }
}
