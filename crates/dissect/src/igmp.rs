//! IGMP (RFC 1112, RFC 2236, RFC 3376): who listens to which IPv4 group.

use crate::fields::*;
use crate::header::{Header, Walk, ones_sum};
use crate::ipv4::checksum;
use crate::tree::{LayerLetter, Value};

pub(crate) fn igmp(w: &mut Walk<'_>, start: usize, end: usize) {
    let mut h = w.header(start, end);
    let kind = h.u8(0);
    let max = h.u8(1).unwrap_or(0);
    // RFC 3376 7.1: a query tells its version by its length and its second octet.
    let version = match kind {
        Some(0x12) => 1,
        Some(0x11) if h.len() >= 12 => 3,
        Some(0x11) if max == 0 => 1,
        Some(0x22) => 3,
        _ => 2,
    };
    h.derive(IGMP_VERSION, 0, Value::Uint(version));
    h.number(IGMP_TYPE, 0, 1, |v| format!("{} (0x{v:02x})", type_name(v as u8)));
    if version == 1 || kind == Some(0x22) {
        h.bytes(IGMP_RESERVED, 1, 1);
    } else {
        // RFC 3376 4.1.1: from 128 on an exponent and a mantissa.
        let tenths = match max {
            v if v >= 128 && version == 3 => (u32::from(v & 0x0f) | 0x10) << ((v >> 4 & 7) + 3),
            v => u32::from(v),
        };
        h.add(IGMP_MAX_RESP, 1, 1, Value::Uint(tenths.into()), || {
            format!("{}.{} sec (0x{max:02x})", tenths / 10, tenths % 10)
        });
    }
    if let Some(v) = h.u16(2) {
        let good = ones_sum(&[w.slice(start, end)]) == 0xffff;
        checksum(&mut h, IGMP_CHECKSUM, IGMP_CHECKSUM_STATUS, 2, v, Some(good));
        if !good {
            w.note(NOTE_BAD_CHECKSUM, "igmp", start + 2, start + 4);
        }
    }
    let mut info = type_name(kind.unwrap_or(0)).to_string();
    match kind {
        Some(0x22) => {
            h.bytes(IGMP_RESERVED, 4, 2);
            let records = h.uint(IGMP_NUM_GRP_RECS, 6, 2).unwrap_or(0);
            if records == 0 {
                info += " - General query";
            }
            let mut at = 8;
            for _ in 0..records {
                if at + 8 > h.len() {
                    h.short = true;
                    break;
                }
                at = record(&mut h, at, &mut info);
            }
        }
        _ => {
            let group = h.ipv4(IGMP_MADDR, 4);
            let general = group.is_none_or(|g| g.is_unspecified());
            match (kind, group) {
                (Some(0x11), _) if version == 1 => {}
                (Some(0x11), _) if general => info += ", general",
                (Some(0x11), Some(group)) => info += &format!(", specific for group {group}"),
                (Some(0x16 | 0x17), Some(group)) => {
                    info += if kind == Some(0x16) { " group " } else { " " };
                    info += &group.to_string();
                }
                _ => {}
            }
            if version == 3 {
                let flags = h.u8(8).unwrap_or(0);
                let s = flags & 8 != 0;
                let word = if s {
                    "Suppress router side processing"
                } else {
                    "Do not suppress router side processing"
                };
                h.add(IGMP_S, 8, 1, Value::Bool(s), || word.to_string());
                h.add(IGMP_QRV, 8, 1, Value::Uint((flags & 7).into()), || (flags & 7).to_string());
                h.uint(IGMP_QQIC, 9, 1);
                let count = h.uint(IGMP_NUM_SRC, 10, 2).unwrap_or(0) as usize;
                let mut sources = Vec::new();
                for i in 0..count.min(h.len() / 4) {
                    sources.extend(h.ipv4(IGMP_SADDR, 12 + 4 * i).map(|a| a.to_string()));
                }
                if !sources.is_empty() {
                    let s = crate::header::plural(sources.len());
                    info += &format!(", source{s} {{{}}}", sources.join(", "));
                }
            }
        }
    }
    if w.writes() {
        let info = if h.short { "[Malformed Packet]".to_string() } else { info };
        w.columns.set(&format!("IGMPv{version}"), &*info);
        w.columns.label(info);
    }
    let len = h.len();
    w.layer(LayerLetter::Network, "igmp", || "Internet Group Management Protocol".to_string(), h, len);
}

/// A group record of a version 3 report (RFC 3376 4.2.4); answers where it ends.
fn record(h: &mut Header<'_>, at: usize, info: &mut String) -> usize {
    let kind = h.u8(at).unwrap_or(0);
    let aux = usize::from(h.u8(at + 1).unwrap_or(0)) * 4;
    let sources = usize::from(h.u16(at + 2).unwrap_or(0));
    let group = h.peek(at + 4, 4).map(crate::ipv4::address);
    let group = group.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED);
    let len = 8 + 4 * sources + aux;
    let word = match kind {
        1 => "Mode Is Include",
        2 => "Mode Is Exclude",
        3 => "Change To Include Mode",
        4 => "Change To Exclude Mode",
        5 => "Allow New Sources",
        6 => "Block Old Sources",
        _ => "Unknown",
    };
    let first: Vec<String> = (0..sources)
        .filter_map(|i| h.peek(at + 8 + 4 * i, 4))
        .map(|o| crate::ipv4::address(o).to_string())
        .collect();
    let list = first.join(", ");
    let s = crate::header::plural(first.len());
    let within = if s.is_empty() { "" } else { "in " };
    *info += &match (kind, first.is_empty()) {
        (1 | 3, true) => format!(" / Leave group {group}"),
        (2 | 4, true) => format!(" / Join group {group} for any sources"),
        (1 | 3, false) => format!(" / Join group {group} for source{s} {within}{{{list}}}"),
        (2 | 4, false) => format!(" / Join group {group}, for source{s} not {within}{{{list}}}"),
        (5, _) => format!(" / Group {group}, new source{s} {{{list}}}"),
        (6, _) => format!(" / Group {group}, block source{s} {{{list}}}"),
        _ => format!(" / Group {group}, {word}"),
    };
    h.open(LINE, at, len, Value::None, String::new);
    if let Some(f) = h.group() {
        f.label = format!("Group Record : {group}  {word}").into();
    }
    h.number(IGMP_RECORD_TYPE, at, 1, |v| format!("{word} ({v})"));
    h.uint(IGMP_AUX_LEN, at + 1, 1);
    h.uint(IGMP_NUM_SRC, at + 2, 2);
    h.ipv4(IGMP_MADDR, at + 4);
    for i in 0..first.len() {
        h.ipv4(IGMP_SADDR, at + 8 + 4 * i);
    }
    h.close();
    at + len
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        0x11 => "Membership Query",
        0x12 | 0x16 | 0x22 => "Membership Report",
        0x17 => "Leave Group",
        _ => "Unknown Type",
    }
}
