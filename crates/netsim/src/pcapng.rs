//! The trace as a capture file (pcapng, draft-ietf-opsawg-pcapng) for Wireshark and tshark.
//!
//! Each packet is written once, as it left the node that made it, so that a conversation through a switch is not
//! seen twice. The file has one interface for each node and link it left by. A frame's comment is the line of the
//! program that caused it. Only three kinds of blocks are written, so this is shorter than a dependency would be.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{LossReason, Record, RecordKind};
use crate::topology::{NodeKind, Topology};

/// 2026-01-01 12:00:00 UTC in nanoseconds since 1970: when every lab begins (`python/socketlab/clock.py`).
const EPOCH_NS: u64 = 1_767_268_800_000_000_000;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;
const LINKTYPE_ETHERNET: u16 = 1;
const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;

/// Whether [`pcapng`] looks at a record: a shell that wants a capture later keeps these.
pub const fn is_in_capture(record: &Record) -> bool {
    matches!(
        record.kind,
        RecordKind::FrameSent { .. } | RecordKind::FrameLost { .. } | RecordKind::CallEntered { .. }
    )
}

/// The frames among `records` as a pcapng file, in the order in which they were sent. Frames that a full queue or too
/// small an MTU kept off their link are left out: nobody could have captured them.
pub fn pcapng(topology: &Topology, records: &[Record]) -> Vec<u8> {
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

    let mut interfaces = Vec::new();
    for (number, link) in (0u32..).zip(&topology.links) {
        for (node, interface) in [(link.ends.0, &link.interfaces.0), (link.ends.1, &link.interfaces.1)] {
            let Some(node_facts) = topology.nodes.get(node.0 as usize) else { continue };
            if matches!(node_facts.kind, NodeKind::Switch | NodeKind::Hub | NodeKind::Lan) {
                continue;
            }
            interfaces.push((number, node));
            let mut body = Vec::new();
            body.extend(LINKTYPE_ETHERNET.to_le_bytes());
            body.extend(0u16.to_le_bytes());
            // No limit on a frame's length.
            body.extend(0u32.to_le_bytes());
            option(&mut body, IF_NAME, format!("{}:{interface}", node_facts.name).as_bytes());
            // Nanoseconds: 10 to the power of -9.
            option(&mut body, IF_TSRESOL, &[9]);
            option(&mut body, OPT_END, b"");
            block(&mut file, INTERFACE_DESCRIPTION, &body);
        }
    }

    let mut places = BTreeMap::new();
    let mut never_sent = BTreeSet::new();
    for record in records {
        match &record.kind {
            RecordKind::CallEntered { call, name, args, place, .. } if !place.is_empty() => {
                places.insert(*call, (place, name, args));
            }
            RecordKind::FrameLost { frame, reason: LossReason::QueueFull | LossReason::TooBig } => {
                never_sent.insert(*frame);
            }
            _ => {}
        }
    }
    let mut seen = BTreeSet::new();
    for record in records {
        let RecordKind::FrameSent { frame, packet, link, from, bytes, cause, .. } = &record.kind else {
            continue;
        };
        let Some(interface) = interfaces.iter().position(|&(l, node)| l == link.0 && node == *from) else {
            continue;
        };
        if never_sent.contains(frame) || !seen.insert(*packet) {
            continue;
        }
        let time = EPOCH_NS + record.at.as_nanos();
        let length = bytes.len() as u32;
        let mut body = Vec::new();
        body.extend((interface as u32).to_le_bytes());
        body.extend(((time >> 32) as u32).to_le_bytes());
        body.extend((time as u32).to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(length.to_le_bytes());
        padded(&mut body, bytes);
        if let Some((place, name, args)) = cause.and_then(|call| places.get(&call)) {
            option(&mut body, OPT_COMMENT, format!("{place}: {name}({args})").as_bytes());
            option(&mut body, OPT_END, b"");
        }
        block(&mut file, ENHANCED_PACKET, &body);
    }
    file
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
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

/// Bytes, then zeros up to a multiple of four octets.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}
