//! The trace as a capture file (pcapng, draft-ietf-opsawg-pcapng) for Wireshark and tshark, written as it comes.
//!
//! Each packet is written once, on the link by which it left the node that made it, so that a conversation through a
//! switch is not seen twice. The file has one interface for each link, and the names of the hosts. A frame's comment
//! is the line of the program that caused it. Four kinds of blocks are written, so this is shorter than a dependency
//! would be.

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use socketlab_stack::{CallId, Pid};

use crate::record::{FrameId, LossReason, NodeId, Record, RecordKind};
use crate::topology::{NodeKind, Topology, TopologyLink};

/// 2026-01-01 12:00:00 UTC in nanoseconds since 1970: when every lab begins (`python/socketlab/clock.py`).
const EPOCH_NS: u64 = 1_767_268_800_000_000_000;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;
const LINKTYPE_ETHERNET: u16 = 1;
const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_SPEED: u16 = 8;
const IF_TSRESOL: u16 = 9;
const NRB_END: u16 = 0;
const NRB_IPV4: u16 = 1;
const NRB_IPV6: u16 = 2;
/// An option's length is a number of 16 bits; a comment that is cut here still fits with its padding.
const LONGEST_OPTION: usize = 0xfff0;

/// Calls that are remembered after they have returned: a datagram may wait for its neighbour's address. A choice; one
/// that waits still longer has no comment.
const RECENT: usize = 1024;

/// A capture file in the making. What it remembers does not grow with the file: calls that have not returned or
/// have just done so, and frames that wait for their link.
#[derive(Clone, Debug)]
pub struct Capture {
    file: Vec<u8>,
    hosts: Vec<String>,
    /// Where each process runs.
    processes: BTreeMap<Pid, NodeId>,
    calls: BTreeMap<CallId, Cause>,
    /// The calls that returned last, oldest first.
    recent: VecDeque<CallId>,
    /// Frames in the links' queues that a call caused.
    queued: BTreeMap<FrameId, CallId>,
    /// The frame that was sent last: the next record says whether it got as far as its link.
    sent: Option<(FrameId, Vec<u8>)>,
}

/// A call that may cause frames.
#[derive(Clone, Debug)]
struct Cause {
    pid: Pid,
    comment: String,
    /// Its frames in the links' queues.
    queued: usize,
    returned: bool,
    /// It is among the calls that returned last.
    recent: bool,
}

impl Capture {
    /// The capture of a world from its beginning.
    pub fn new(topology: &Topology) -> Capture {
        let mut file = Vec::new();
        let mut header = Vec::new();
        header.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        header.extend(1u16.to_le_bytes());
        header.extend(0u16.to_le_bytes());
        // The section's length is not given.
        header.extend(u64::MAX.to_le_bytes());
        option(&mut header, SHB_USERAPPL, b"Socketlab");
        option(&mut header, OPT_END, b"");
        block(&mut file, SECTION_HEADER, &header);
        let mut used = BTreeMap::new();
        for link in &topology.links {
            let name = interface_name(topology, link);
            let times: &mut u32 = used.entry(name.clone()).or_default();
            *times += 1;
            let name = if *times == 1 { name } else { format!("{name}.{times}") };
            let mut body = Vec::new();
            body.extend(LINKTYPE_ETHERNET.to_le_bytes());
            body.extend(0u16.to_le_bytes());
            // No limit on a frame's length.
            body.extend(0u32.to_le_bytes());
            option(&mut body, IF_NAME, name.as_bytes());
            option(&mut body, IF_DESCRIPTION, description(topology, link).as_bytes());
            if let Some(rate) = link.rate_bits_per_s {
                option(&mut body, IF_SPEED, &rate.to_le_bytes());
            }
            // Nanoseconds: 10 to the power of -9.
            option(&mut body, IF_TSRESOL, &[9]);
            option(&mut body, OPT_END, b"");
            block(&mut file, INTERFACE_DESCRIPTION, &body);
        }
        let names = names(topology);
        if !names.is_empty() {
            block(&mut file, NAME_RESOLUTION, &names);
        }
        Capture {
            file,
            hosts: topology.nodes.iter().map(|node| node.name.clone()).collect(),
            processes: BTreeMap::new(),
            calls: BTreeMap::new(),
            recent: VecDeque::new(),
            queued: BTreeMap::new(),
            sent: None,
        }
    }

    /// The next record. Frames that a full queue or too small an MTU kept off their link are left out: nobody could
    /// have captured them.
    pub fn push(&mut self, record: &Record) {
        let held_back = |frame: FrameId| {
            matches!(&record.kind, RecordKind::FrameLost { frame: f, reason: LossReason::QueueFull | LossReason::TooBig }
                if *f == frame)
        };
        if let Some((frame, body)) = self.sent.take()
            && !held_back(frame)
        {
            block(&mut self.file, ENHANCED_PACKET, &body);
        }
        match &record.kind {
            RecordKind::ProcessStarted { node, pid, .. } | RecordKind::ServiceStarted { node, pid, .. } => {
                self.processes.insert(*pid, *node);
            }
            RecordKind::ProcessExited { pid, .. } => {
                self.processes.remove(pid);
                self.calls.retain(|_, cause| cause.pid != *pid || cause.queued > 0);
                self.calls
                    .values_mut()
                    .filter(|cause| cause.pid == *pid)
                    .for_each(|cause| cause.returned = true);
            }
            RecordKind::CallEntered { call, pid, name, args, place, .. } => {
                let host = self.processes.get(pid).and_then(|node| self.hosts.get(node.0 as usize));
                let host = host.map_or("", String::as_str);
                let comment = match place.as_str() {
                    "" => format!("{host}: {name}({args})"),
                    place => format!("{host}: {place}: {name}({args})"),
                };
                self.calls
                    .insert(*call, Cause { pid: *pid, comment, queued: 0, returned: false, recent: false });
            }
            RecordKind::CallReturned { call, .. } => {
                if let Some(cause) = self.calls.get_mut(call) {
                    (cause.returned, cause.recent) = (true, true);
                    self.recent.push_back(*call);
                }
                if self.recent.len() > RECENT
                    && let Some(call) = self.recent.pop_front()
                {
                    if let Some(cause) = self.calls.get_mut(&call) {
                        cause.recent = false;
                    }
                    self.forget(call);
                }
            }
            RecordKind::FrameQueued { frame, cause: Some(call), .. } => {
                if let Some(cause) = self.calls.get_mut(call) {
                    cause.queued += 1;
                    self.queued.insert(*frame, *call);
                }
            }
            RecordKind::FrameSent { frame, link, bytes, cause, first_hop, .. } => {
                if *first_hop {
                    let comment = cause.and_then(|call| self.calls.get(&call)).map(|cause| &*cause.comment);
                    self.sent = Some((*frame, packet(record.at.as_nanos(), link.0, bytes, comment)));
                }
                self.left_queue(*frame);
            }
            // One that was taken out of its queue by hand.
            RecordKind::FrameLost { frame, .. } | RecordKind::FrameDelivered { frame } => {
                self.left_queue(*frame);
            }
            _ => {}
        }
    }

    /// What has been written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.file)
    }

    /// All that [`Capture::take`] has not taken, to the end of the file.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some((_, body)) = self.sent.take() {
            block(&mut self.file, ENHANCED_PACKET, &body);
        }
        self.file
    }

    fn left_queue(&mut self, frame: FrameId) {
        let Some(call) = self.queued.remove(&frame) else { return };
        if let Some(cause) = self.calls.get_mut(&call) {
            cause.queued -= 1;
        }
        self.forget(call);
    }

    /// Forgets a call that causes nothing any more.
    fn forget(&mut self, call: CallId) {
        let over = |cause: &Cause| cause.returned && !cause.recent && cause.queued == 0;
        if self.calls.get(&call).is_some_and(over) {
            self.calls.remove(&call);
        }
    }
}

/// The frames among `records` as a pcapng file, in the order in which they were sent.
pub fn pcapng(topology: &Topology, records: &[Record]) -> Vec<u8> {
    let mut capture = Capture::new(topology);
    records.iter().for_each(|record| capture.push(record));
    capture.finish()
}

fn node_name(topology: &Topology, node: NodeId) -> &str {
    topology.nodes.get(node.0 as usize).map_or("", |node| &node.name)
}

/// `client-switch`
fn interface_name(topology: &Topology, link: &TopologyLink) -> String {
    format!("{}-{}", node_name(topology, link.ends.0), node_name(topology, link.ends.1))
}

/// `client eth0 (10.0.0.1, fd00::1) to switch port1`
fn description(topology: &Topology, link: &TopologyLink) -> String {
    let end = |node: NodeId, interface: &str| {
        let addresses = topology.nodes.get(node.0 as usize).map_or(&[][..], |node| &node.addresses);
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        match addresses.is_empty() {
            true => format!("{} {interface}", node_name(topology, node)),
            false => format!("{} {interface} ({})", node_name(topology, node), addresses.join(", ")),
        }
    };
    format!("{} to {}", end(link.ends.0, &link.interfaces.0), end(link.ends.1, &link.interfaces.1))
}

/// Addresses and names of all hosts, as the body of a name resolution block.
fn names(topology: &Topology) -> Vec<u8> {
    let mut body = Vec::new();
    for node in &topology.nodes {
        if matches!(node.kind, NodeKind::Switch | NodeKind::Hub | NodeKind::Lan) {
            continue;
        }
        for address in &node.addresses {
            let (kind, mut value) = match address {
                IpAddr::V4(v4) => (NRB_IPV4, v4.octets().to_vec()),
                IpAddr::V6(v6) => (NRB_IPV6, v6.octets().to_vec()),
            };
            value.extend(node.name.as_bytes());
            value.push(0);
            option(&mut body, kind, &value);
        }
    }
    if !body.is_empty() {
        option(&mut body, NRB_END, b"");
    }
    body
}

/// The body of an enhanced packet block.
fn packet(at: u64, interface: u32, bytes: &[u8], comment: Option<&str>) -> Vec<u8> {
    let time = EPOCH_NS + at;
    let length = bytes.len() as u32;
    let mut body = Vec::with_capacity(bytes.len() + 64);
    body.extend(interface.to_le_bytes());
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(length.to_le_bytes());
    padded(&mut body, bytes);
    if let Some(comment) = comment {
        option(&mut body, OPT_COMMENT, comment.as_bytes());
        option(&mut body, OPT_END, b"");
    }
    body
}

/// A block: type, total length, body, total length again.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() + 12) as u32;
    file.extend(kind.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(body);
    file.extend(length.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..LONGEST_OPTION).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

/// Bytes, then zeros up to a multiple of four octets.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}
