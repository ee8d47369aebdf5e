//! The port to a shared LAN: an Ethernet that hosts of several labs share. Who carries the frames (a relay's room) is the
//! shell's business; so is who else is there.
//!
//! ```text
//! a frame reaches the port ▸ Output::Lan      LanEvent::Frame ▸ the port ▸ its links
//! ```

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use socketlab_stack::Instant;

use crate::link::Waiting;
use crate::node::Body;
use crate::record::{NodeId, PacketId};
use crate::world::World;

/// From the shell to the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LanEvent {
    /// The LAN is joined, or is not any more. While it is, virtual time must not run ahead of the wall clock, and a
    /// program that waits waits for somebody.
    Joined(bool),
    /// A frame from outside, from the destination address on.
    Frame(Bytes),
    /// The others' hosts: name and addresses, in place of those told before. The lab's own names come first.
    Names(Vec<(String, Vec<IpAddr>)>),
    /// A teacher ends a connection: a RST goes to the peer, the program gets `ECONNABORTED`.
    Reset {
        /// The host.
        node: NodeId,
        /// Its end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
}

impl World {
    /// News from a shared LAN, at the present virtual time (see [`World::advance_to`]). Frames for a world without
    /// such a port go nowhere.
    pub fn handle_lan(&mut self, event: LanEvent) {
        match event {
            LanEvent::Joined(joined) => self.lan_joined = joined,
            LanEvent::Names(names) => self.names.share(names),
            LanEvent::Frame(bytes) => self.frame_from_outside(&bytes),
            LanEvent::Reset { node, local, remote } => {
                let now = self.now;
                if let Some(host) = self.host_mut(node) {
                    host.host.reset_connection(now, local, remote);
                }
                self.drain(node, None, None);
            }
        }
        self.settle();
    }

    fn frame_from_outside(&mut self, bytes: &Bytes) {
        let now: Instant = self.now;
        let port = self.nodes.iter_mut().find_map(|node| match &mut node.body {
            Body::Lan(switch) => Some((switch, &node.ports)),
            _ => None,
        });
        let Some((switch, ports)) = port else { return };
        let outside = ports.len();
        let out = switch.forward(now, outside + 1, outside, bytes);
        let ends: Vec<_> = out.filter_map(|port| ports.get(port).copied()).collect();
        let packet = PacketId(self.next_packet);
        self.next_packet += 1;
        for ((link, side), first_hop) in
            ends.into_iter().zip(core::iter::once(true).chain(core::iter::repeat(false)))
        {
            let bytes = bytes.clone();
            self.send_on(link, side, Waiting { frame: None, packet, bytes, cause: None, first_hop });
        }
    }
}
