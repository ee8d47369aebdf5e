//! Records of the trace made ready to travel: ids become names and indices, bytes get their packet-list line,
//! connections get numbers, causes become message keys.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use socketlab_dissect::{Analysis, Summary};
use socketlab_netsim::SwitchEntry;
use socketlab_netsim::record::{ExitStatus, NodeId, Record, RecordKind, Stream};
use socketlab_stack::{CallId, Cause, HostSnapshot, Instant, Pid, SocketId, TcpState};

use crate::event::{
    CallView, ConsoleStream, Event, EventKind, ExitView, FailureView, FrameView, GatewayView, HostRow,
    NodeKind, ProgramInfo, SocketsView, TopologyView,
};
use crate::notice::notice;
use crate::{keys, sockets, tables};

/// Packets whose line is kept for their next hops; older ones are taken apart again if they should still travel.
const PACKETS_KEPT: usize = 65_536;

/// Turns the records of one run, in order, into events.
#[derive(Clone, Debug)]
pub struct Ingest {
    seq: u64,
    programs: Vec<ProgramInfo>,
    /// Program and node of each process.
    pids: BTreeMap<Pid, (u32, u32)>,
    /// Built-in services, which are no program of the lab's list.
    services: BTreeMap<Pid, String>,
    owners: BTreeMap<IpAddr, u32>,
    gateway: Option<u32>,
    analysis: Analysis,
    packets: BTreeMap<u64, Packet>,
    /// Conversation of each connected TCP socket.
    sockets: BTreeMap<(NodeId, SocketId), u32>,
    /// Node of each call that has not returned.
    calls: BTreeMap<CallId, u32>,
}

/// What is known of a packet since its first hop.
#[derive(Clone, Debug)]
struct Packet {
    summary: Summary,
    target: Option<u32>,
}

impl Ingest {
    /// At the start of a run.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo]) -> Self {
        let mut owners = BTreeMap::new();
        let mut gateway = None;
        for (node, facts) in (0u32..).zip(&topology.nodes) {
            for address in &facts.addresses {
                let address = address.split('/').next().unwrap_or_default();
                if let Ok(address) = address.parse() {
                    owners.insert(address, node);
                }
            }
            if facts.kind == NodeKind::Gateway && gateway.is_none() {
                gateway = Some(node);
            }
        }
        Ingest {
            seq: 0,
            programs: programs.to_vec(),
            pids: BTreeMap::new(),
            services: BTreeMap::new(),
            owners,
            gateway,
            analysis: Analysis::new(),
            packets: BTreeMap::new(),
            sockets: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// The next record.
    pub fn ingest(&mut self, record: &Record) -> Event {
        let at = record.at.as_nanos();
        let kind = self.kind(at, &record.kind);
        let seq = self.seq;
        self.seq += 1;
        Event { seq, at, kind }
    }

    /// The sockets of all hosts, as ss(8) would show them.
    pub fn sockets(&self, at: Instant, hosts: &[(NodeId, HostSnapshot)]) -> SocketsView {
        sockets::view(
            at,
            hosts,
            |pid| self.process(pid),
            |protocol, a, b| self.analysis.conversation(protocol, a, b),
        )
    }

    /// One host as the tables show it.
    pub fn host(&self, node: NodeId, host: &HostSnapshot) -> HostRow {
        let conversation = |protocol, a, b| self.analysis.conversation(protocol, a, b);
        sockets::host(node, host, &|pid| self.process(pid), &conversation)
    }

    /// One switch as the tables show it. `ports`: the name of the node behind each of its ports.
    pub fn switch(&self, at: Instant, node: NodeId, table: &[SwitchEntry], ports: &[String]) -> HostRow {
        tables::of_switch(at, node, table, ports)
    }

    /// Index and file name of a process's program; a built-in service has a name alone.
    fn process(&self, pid: Pid) -> Option<(Option<u32>, &str)> {
        if let Some(name) = self.services.get(&pid) {
            return Some((None, name));
        }
        let (program, _) = self.pids.get(&pid)?;
        Some((Some(*program), &self.programs.get(*program as usize)?.file))
    }

    fn program(&self, pid: Pid) -> u32 {
        self.pids.get(&pid).map_or(u32::MAX, |(program, _)| *program)
    }

    fn kind(&mut self, at: u64, kind: &RecordKind) -> EventKind {
        if let RecordKind::ServiceStarted { node, pid, kind } = kind {
            self.pids.insert(*pid, (CallView::NO_PROGRAM, node.0));
            let name = if *kind == "dhclient" { "dhcp client".to_owned() } else { format!("{kind} server") };
            self.services.insert(*pid, name);
        }
        if let Some(notice) = notice(at, kind) {
            return EventKind::Notice(Box::new(notice));
        }
        match kind {
            RecordKind::FrameSent { .. } => self.frame(at, kind),
            RecordKind::FrameDelivered { frame } => EventKind::FrameDelivered { frame: frame.0 },
            RecordKind::FrameLost { frame, reason } => {
                EventKind::FrameLost { frame: frame.0, reason: keys::loss_key(*reason).to_string() }
            }
            RecordKind::Demux { node, frame, chosen, passed_over } => EventKind::Demux {
                node: node.0,
                frame: frame.0,
                socket: chosen.map(|s| s.0),
                passed_over: passed_over.iter().map(|s| s.0).collect(),
            },
            RecordKind::Dropped { node, frame, reason } => EventKind::Dropped {
                node: node.0,
                frame: frame.map(|f| f.0),
                reason: keys::drop_key(*reason).to_string(),
            },
            RecordKind::TcpState { node, socket, local, peer, from, to } => {
                let conversation = self.tcp_state(*node, *socket, *local, *peer, *to);
                EventKind::TcpState {
                    node: node.0,
                    socket: socket.0,
                    local: local.to_string(),
                    peer: peer.map(|p| p.to_string()),
                    from: from.name().to_string(),
                    to: to.name().to_string(),
                    conversation,
                }
            }
            RecordKind::Retransmitted { node, socket, seq, len, attempt } => EventKind::Retransmitted {
                node: node.0,
                socket: socket.0,
                seq: *seq,
                len: u32::try_from(*len).unwrap_or(u32::MAX),
                attempt: *attempt,
            },
            RecordKind::TimerFired { node, socket, timer } => EventKind::TimerFired {
                node: node.0,
                socket: socket.0,
                timer: keys::timer_key(*timer).to_string(),
            },
            RecordKind::ProcessStarted { node, pid, program } => {
                let program = u32::try_from(*program).unwrap_or(u32::MAX);
                self.pids.insert(*pid, (program, node.0));
                EventKind::ProgramStarted { program, node: node.0 }
            }
            RecordKind::ProcessExited { pid, status } => EventKind::ProgramExited {
                program: self.program(*pid),
                status: match status {
                    ExitStatus::Exited(status) => ExitView::Exited(*status),
                    ExitStatus::Killed => ExitView::Killed,
                },
            },
            RecordKind::CallEntered { call, pid, tid, name, args, socket, place } => {
                let (program, node) = self.pids.get(pid).copied().unwrap_or((u32::MAX, u32::MAX));
                self.calls.insert(*call, node);
                EventKind::CallEntered(Box::new(CallView {
                    call: call.0,
                    program,
                    node,
                    tid: *tid,
                    name: (*name).to_string(),
                    args: args.clone(),
                    place: place.clone(),
                    conversation: socket.and_then(|s| self.sockets.get(&(NodeId(node), s)).copied()),
                    socket: socket.map(|s| s.0),
                }))
            }
            RecordKind::CallReturned { call, result, failure, made, .. } => {
                let failure = failure.as_ref().map(|(errno, cause)| failure_view(errno, cause));
                let node = self.calls.remove(call).map(NodeId);
                let conversation = node.zip(*made).and_then(|socket| self.sockets.get(&socket).copied());
                EventKind::CallReturned {
                    call: call.0,
                    result: result.clone(),
                    failure,
                    made: made.map(|s| s.0),
                    conversation,
                }
            }
            RecordKind::Console { pid, stream, text } => EventKind::Console {
                program: self.program(*pid),
                stream: match stream {
                    Stream::Stdin => ConsoleStream::Stdin,
                    Stream::Stdout => ConsoleStream::Stdout,
                    Stream::Stderr => ConsoleStream::Stderr,
                },
                text: text.clone(),
            },
            RecordKind::Gateway { node, protocol, client, target, dialled, fact } => {
                EventKind::Gateway(Box::new(GatewayView {
                    node: node.0,
                    protocol: match protocol {
                        1 => "ICMP",
                        17 => "UDP",
                        _ => "TCP",
                    }
                    .to_string(),
                    client: client.to_string(),
                    target: target.clone(),
                    dialled: dialled.clone(),
                    fact: keys::gateway_key(fact).to_string(),
                }))
            }
            RecordKind::NameResolved { node, name, address } => {
                EventKind::NameResolved { node: node.0, name: name.clone(), address: address.to_string() }
            }
            RecordKind::Deadlock { waiting } => {
                EventKind::Deadlock { waiting: waiting.iter().map(|c| c.0).collect() }
            }
            // All others are notices.
            _ => EventKind::Notice(Box::default()),
        }
    }

    fn tcp_state(
        &mut self,
        node: NodeId,
        socket: SocketId,
        local: SocketAddr,
        peer: Option<SocketAddr>,
        to: TcpState,
    ) -> Option<u32> {
        let peer = peer?;
        if let Some(known) = self.sockets.get(&(node, socket)) {
            return Some(*known);
        }
        // The SYN itself is recorded after the state.
        let conversation = match to {
            TcpState::SynSent => Some(self.analysis.announce(local, peer)),
            _ => self.analysis.conversation(6, local, peer),
        };
        if let Some(conversation) = conversation {
            self.sockets.insert((node, socket), conversation);
        }
        conversation
    }

    fn frame(&mut self, at: u64, kind: &RecordKind) -> EventKind {
        let RecordKind::FrameSent { frame, packet, link, from, to, arrives, bytes, cause, .. } = kind else {
            return EventKind::Deadlock { waiting: Vec::new() };
        };
        let first_hop = !self.packets.contains_key(&packet.0);
        if first_hop {
            let summary = self.analysis.push(at, bytes);
            let target = self.target(&summary, bytes);
            if self.packets.len() == PACKETS_KEPT {
                self.packets.pop_first();
            }
            self.packets.insert(packet.0, Packet { summary, target });
        }
        let (summary, target) =
            self.packets.get(&packet.0).map(|p| (p.summary.clone(), p.target)).unwrap_or_default();
        EventKind::FrameSent(Box::new(FrameView {
            frame: frame.0,
            packet: packet.0,
            link: link.0,
            from: from.0,
            to: to.0,
            arrives: arrives.as_nanos(),
            bytes: bytes.to_vec(),
            first_hop,
            protocol: summary.protocol,
            source: summary.source,
            destination: summary.destination,
            ports: summary.ports,
            info: summary.info,
            label: summary.label,
            cause: cause.map(|c| c.0),
            conversation: summary.conversation,
            target,
            tcp: summary.tcp,
            expert: summary.expert,
            tcpdump: summary.tcpdump,
            context: summary.context,
        }))
    }

    /// The node that a packet is for in the end; a destination outside the lab is the gateway's.
    fn target(&self, summary: &Summary, bytes: &[u8]) -> Option<u32> {
        let address = summary.target?;
        let owner = self.owners.get(&address).copied();
        // The lowest bit of the first octet marks a group address (IEEE 802).
        let group = bytes.first().is_some_and(|o| o & 1 != 0);
        if group && summary.protocol != "ARP" && summary.protocol != "ICMPv6" {
            return None;
        }
        if group { owner } else { owner.or(self.gateway) }
    }
}

fn failure_view(errno: &str, cause: &Cause) -> FailureView {
    let (key, args) = keys::cause_key(cause);
    FailureView { errno: errno.to_string(), cause: key.to_string(), args }
}
