//! The nodes: a host's stack with its wake-up, or a switch; and the way of frames, wake-ups, completions and events
//! in and out of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketlab_stack::{CallId, Host, HostEvent, IfaceId, Instant, NeighbourState, Origin};

use crate::link::Waiting;
use crate::queue::{Event, EventKey};
use crate::record::{FrameId, LinkId, NodeId, PacketId, RecordKind};
use crate::switch::Switch;
use crate::world::{Output, World};

/// A node with its ports: link and side of each, in the order of the lab's links.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) ports: Vec<(LinkId, usize)>,
    pub(crate) body: Body,
}

/// What a node is made of.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Switch(Switch),
    /// The port to a shared LAN: a switch with one port more, the last, that leads outside.
    Lan(Switch),
    /// Everything goes out by all other ports.
    Hub,
    /// A host or gateway.
    Host(Box<HostNode>),
}

/// A host in the world.
#[derive(Clone, Debug)]
pub(crate) struct HostNode {
    pub(crate) host: Host,
    /// The interface of each port.
    pub(crate) ifaces: Vec<IfaceId>,
    /// The port of each interface.
    pub(crate) ports: BTreeMap<IfaceId, usize>,
    /// When the host's own timers are due.
    pub(crate) wake: Option<EventKey>,
}

impl World {
    pub(crate) fn host(&self, node: NodeId) -> Option<&HostNode> {
        match self.nodes.get(node.0 as usize).map(|n| &n.body) {
            Some(Body::Host(host)) => Some(host),
            _ => None,
        }
    }

    pub(crate) fn host_mut(&mut self, node: NodeId) -> Option<&mut HostNode> {
        match self.nodes.get_mut(node.0 as usize).map(|n| &mut n.body) {
            Some(Body::Host(host)) => Some(host),
            _ => None,
        }
    }

    /// A frame's last bit has come to the end of its link.
    pub(crate) fn arrive(
        &mut self,
        link: LinkId,
        side: usize,
        frame: FrameId,
        packet: PacketId,
        bytes: Bytes,
    ) {
        self.in_flight -= 1;
        self.record(RecordKind::FrameDelivered { frame });
        let Some((node, port)) = self.links.get(link.0 as usize).map(|l| l.ends[side]) else { return };
        let now = self.now;
        let Some(Node { ports, body }) = self.nodes.get_mut(node.0 as usize) else { return };
        let out: Vec<usize> = match body {
            Body::Switch(switch) => switch.forward(now, ports.len(), port, &bytes).collect(),
            Body::Lan(switch) => {
                let outside = ports.len();
                let out: Vec<usize> = switch.forward(now, outside + 1, port, &bytes).collect();
                if out.contains(&outside) {
                    self.outputs.push_back(Output::Lan { bytes: bytes.clone() });
                }
                out
            }
            Body::Hub => (0..ports.len()).filter(|other| *other != port).collect(),
            Body::Host(host) => {
                let Some(iface) = host.ifaces.get(port).copied() else { return };
                host.host.handle_frame_tagged(now, iface, bytes, packet.0);
                self.drain(node, None, Some(frame));
                return;
            }
        };
        let ends: Vec<_> = out.into_iter().filter_map(|port| ports.get(port).copied()).collect();
        for (link, side) in ends {
            let bytes = bytes.clone();
            self.send_on(link, side, Waiting { frame: None, packet, bytes, cause: None, first_hop: false });
        }
    }

    /// A host's own timers are due.
    pub(crate) fn wake(&mut self, node: NodeId) {
        let now = self.now;
        if let Some(host) = self.host_mut(node) {
            host.wake = None;
            host.host.handle_timeout(now);
        }
        self.drain(node, None, None);
    }

    /// Takes out of a host all it has to give, after anything was done to it. `cause`: the system call that was made;
    /// `frame`: the frame that arrived.
    pub(crate) fn drain(&mut self, node: NodeId, cause: Option<CallId>, frame: Option<FrameId>) {
        let now = self.now;
        let mut frame = frame;
        loop {
            let Some(HostNode { host, ports, .. }) = self.host_mut(node) else { return };
            if let Some(event) = host.poll_event() {
                if let HostEvent::Loopback { packet: bytes } = event {
                    frame = Some(self.record_loopback(node, bytes, cause));
                } else {
                    self.record_host_event(node, event, frame);
                }
            } else if let Some((iface, bytes, origin)) = host.poll_transmit_tagged(now) {
                // What a host says to itself (`lo`) stays inside its stack.
                if let Some(port) = ports.get(&iface).copied() {
                    let (passed, cause) = match origin {
                        Some(Origin::Passed(packet)) => (Some(PacketId(packet)), cause),
                        Some(Origin::Call(call)) => (None, Some(call)),
                        None => (None, cause),
                    };
                    self.send_from(node, port, bytes, cause, passed);
                }
            } else if let Some((call, result)) = host.poll_completion() {
                self.completed(call, result);
            } else if let Some(intercept) = host.poll_intercept() {
                self.intercepted(node, intercept);
            } else {
                break;
            }
        }
        let Some(HostNode { host, wake, .. }) = self.host_mut(node) else { return };
        let due = host.poll_timeout().map(|at| at.max(now));
        if due == wake.map(|key| key.at) {
            return;
        }
        let old = wake.take();
        if let Some(old) = old {
            self.queue.cancel(old);
        }
        if let Some(at) = due {
            let key = self.queue.push(at, Event::HostTimer { node });
            if let Some(host) = self.host_mut(node) {
                host.wake = Some(key);
            }
        }
    }

    /// A packet leaves a host: a new one, or one that it passes on.
    fn send_from(
        &mut self,
        node: NodeId,
        port: usize,
        bytes: Bytes,
        cause: Option<CallId>,
        passed: Option<PacketId>,
    ) {
        let first_hop = passed.is_none();
        let packet = passed.unwrap_or(PacketId(self.next_packet));
        self.next_packet = self.next_packet.max(packet.0 + 1);
        let end = self.nodes.get(node.0 as usize).and_then(|n| n.ports.get(port)).copied();
        if let Some((link, side)) = end {
            self.send_on(link, side, Waiting { frame: None, packet, bytes, cause, first_hop });
        }
    }

    fn record_loopback(&mut self, node: NodeId, bytes: Bytes, cause: Option<CallId>) -> FrameId {
        let (frame, packet) = (FrameId(self.next_frame), PacketId(self.next_packet));
        self.next_frame += 1;
        self.next_packet += 1;
        self.record(RecordKind::Loopback { node, frame, packet, bytes, cause });
        frame
    }

    fn record_host_event(&mut self, node: NodeId, event: HostEvent, frame: Option<FrameId>) {
        let kind = match event {
            HostEvent::TcpState { socket, local, peer, from, to } => {
                RecordKind::TcpState { node, socket, local, peer, from, to }
            }
            HostEvent::Loopback { .. } => return,
            HostEvent::Demux(demux) => {
                // A copy of its own broadcast that a host hears came in no frame.
                let Some(frame) = frame else { return };
                RecordKind::Demux { node, frame, chosen: demux.chosen, passed_over: demux.passed_over }
            }
            HostEvent::Filtered { rule, direction, action } => {
                RecordKind::Filtered { node, frame, rule: rule as u32, direction, action }
            }
            HostEvent::Translated { before, after, new } => {
                RecordKind::Translated { node, frame, ends: Box::new((before, after)), new }
            }
            HostEvent::Dropped { reason } => RecordKind::Dropped { node, frame, reason },
            HostEvent::Retransmitted { socket, seq, len, attempt } => {
                RecordKind::Retransmitted { node, socket, seq, len, attempt }
            }
            HostEvent::TimerSet { socket, timer, deadline } => {
                RecordKind::TimerSet { node, socket, timer, deadline }
            }
            HostEvent::TimerFired { socket, timer } => {
                if timer == socketlab_stack::TimerKind::Persist {
                    self.probes_in_vain += 1;
                }
                RecordKind::TimerFired { node, socket, timer }
            }
        };
        self.record(kind);
    }

    /// Whether some host's timer can still change something for a program: not so TIME-WAIT and its like.
    pub(crate) fn a_timer_matters(&self) -> bool {
        use socketlab_stack::TimerKind::{FinWait2, KeepAlive, Persist, TimeWait};
        self.nodes.iter().any(|node| {
            let Body::Host(host) = &node.body else { return false };
            if host.wake.is_none() {
                return false;
            }
            let snapshot = host.host.snapshot();
            let asked = snapshot.neighbours.iter().any(|entry| entry.state == NeighbourState::Incomplete);
            let mut timers = snapshot.sockets.iter().flat_map(|socket| &socket.timers);
            let matters = timers.any(|timer| match timer.kind {
                TimeWait | FinWait2 | KeepAlive => false,
                Persist => self.probes_in_vain < MAX_PROBES_IN_VAIN,
                _ => true,
            });
            asked || matters
        })
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.queue.next_at().map(|at| at.max(self.now))
    }
}

/// Window probes without any program moving, after which both ends wait for each other for good. A choice: enough
/// for lost window updates on a bad link.
const MAX_PROBES_IN_VAIN: u32 = 8;
