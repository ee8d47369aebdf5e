//! ICMP (RFC 792) with the packet it quotes.

use crate::data;
use crate::fields::*;
use crate::header::{Walk, ones_sum};
use crate::ipv4::{self, Ends, checksum};
use crate::tree::{LayerLetter, Value};

/// Quotes inside quotes are not opened: an ICMP error is never sent about an ICMP error (RFC 1122 3.2.2).
pub(crate) const DEEPEST: u8 = 2;

pub(crate) fn icmp(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let kind = h.u8(0);
    h.number(ICMP_TYPE, 0, 1, |v| format!("{v} ({})", type_name(v as u8)));
    let code = h.u8(1);
    if let (Some(t), Some(c)) = (kind, code) {
        h.add(ICMP_CODE, 1, 1, Value::Uint(c.into()), || {
            code_name(t, c).map_or(c.to_string(), |name| format!("{c} ({name})"))
        });
    }
    if let Some(v) = h.u16(2) {
        let good = ends.whole.then(|| ones_sum(&[w.slice(start, end)]) == 0xffff);
        checksum(&mut h, ICMP_CHECKSUM, ICMP_CHECKSUM_STATUS, 2, v, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "icmp", start + 2, start + 4);
        }
    }
    let mut echo = None;
    match kind {
        Some(0 | 8 | 13 | 14) => {
            let ident = h.u16(4);
            let seq = h.u16(6);
            if let (Some(ident), Some(seq)) = (ident, seq) {
                echo = Some((ident, seq));
                let fields = [
                    (ICMP_IDENT, 4, ident),
                    (ICMP_IDENT_LE, 4, ident.swap_bytes()),
                    (ICMP_SEQ, 6, seq),
                    (ICMP_SEQ_LE, 6, seq.swap_bytes()),
                ];
                for (def, offset, v) in fields {
                    h.add(def, offset, 2, Value::Uint(v.into()), || format!("{v} (0x{v:04x})"));
                }
            }
            if let Some(reply) = w.context.reply.filter(|_| w.depth == 0) {
                h.derive(ICMP_RESP_TO, 0, Value::Uint(reply.frame));
                h.derive(ICMP_RESPTIME, 0, Value::Nanos(reply.after));
            }
        }
        Some(3) if code == Some(4) => {
            h.bytes(ICMP_UNUSED, 4, 2);
            h.uint(ICMP_MTU, 6, 2);
        }
        Some(5) => {
            h.ipv4(ICMP_GATEWAY, 4);
        }
        Some(12) => {
            h.uint(ICMP_POINTER, 4, 1);
            h.bytes(ICMP_UNUSED, 5, 3);
        }
        Some(3 | 11) => {
            h.bytes(ICMP_UNUSED, 4, 4);
        }
        _ => {}
    }
    if w.writes() {
        columns(w, kind, code, echo, ends.ttl, h.short);
    }
    w.layer(LayerLetter::Network, "icmp", || "Internet Control Message Protocol".to_string(), h, 8);
    if matches!(kind, Some(13 | 14)) {
        return;
    }
    let body = start + 8;
    // A redirect is about the header and the 8 octets that RFC 792 asks for.
    let end = match kind {
        Some(5) => {
            end.min(body + usize::from(w.slice(body, body + 1).first().map_or(5, |o| o & 0x0f)) * 4 + 8)
        }
        _ => end,
    };
    if matches!(kind, Some(3 | 4 | 5 | 11 | 12)) && w.depth < DEEPEST && body < end {
        w.depth += 1;
        ipv4::ipv4(w, body, end);
        w.depth -= 1;
    } else {
        data::data(w, body, end);
    }
}

fn columns(
    w: &mut Walk<'_>,
    kind: Option<u8>,
    code: Option<u8>,
    echo: Option<(u16, u16)>,
    ttl: u8,
    short: bool,
) {
    let (Some(kind), Some(code), false) = (kind, code, short) else {
        w.columns.set("ICMP", "[Malformed Packet]");
        return;
    };
    if let Some((ident, seq)) = echo {
        let word = if kind == 8 { "request " } else { "reply   " };
        let what = match kind {
            13 | 14 => format!("{:20}", type_name(kind)),
            _ => format!("Echo (ping) {word}"),
        };
        let mut info = format!("{what} id=0x{ident:04x}, seq={seq}/{}, ttl={ttl}", seq.swap_bytes());
        if let Some(reply) = w.context.reply {
            info += &format!(" (request in {})", reply.frame);
        }
        w.columns.set("ICMP", info);
        w.columns.label(format!("ping {} seq={seq}", word.trim()));
        return;
    }
    let name = type_name(kind);
    match code_name(kind, code) {
        Some(reason) => {
            w.columns.set("ICMP", format!("{name:20} ({reason})"));
            w.columns.label(reason);
        }
        None => {
            w.columns.set("ICMP", if kind == 10 { format!("{name:20}") } else { name.to_string() });
            w.columns.label(name);
        }
    }
}

/// Wireshark's name of an ICMP type.
pub(crate) fn type_name(kind: u8) -> &'static str {
    match kind {
        0 => "Echo (ping) reply",
        3 => "Destination unreachable",
        4 => "Source quench (flow control)",
        5 => "Redirect",
        8 => "Echo (ping) request",
        9 => "Router advertisement",
        10 => "Router solicitation",
        11 => "Time-to-live exceeded",
        12 => "Parameter problem",
        13 => "Timestamp request",
        14 => "Timestamp reply",
        _ => "Unknown",
    }
}

/// Wireshark's name of an ICMP code.
pub(crate) fn code_name(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (3, 0) => "Network unreachable",
        (3, 1) => "Host unreachable",
        (3, 2) => "Protocol unreachable",
        (3, 3) => "Port unreachable",
        (3, 4) => "Fragmentation needed",
        (3, 5) => "Source route failed",
        (3, 6) => "Destination network unknown",
        (3, 7) => "Destination host unknown",
        (3, 8) => "Source host isolated",
        (3, 9) => "Network administratively prohibited",
        (3, 10) => "Host administratively prohibited",
        (3, 11) => "Network unreachable for TOS",
        (3, 12) => "Host unreachable for TOS",
        (3, 13) => "Communication administratively filtered",
        (3, 14) => "Host precedence violation",
        (3, 15) => "Precedence cutoff in effect",
        (5, 0) => "Redirect for network",
        (5, 1) => "Redirect for host",
        (5, 2) => "Redirect for TOS and network",
        (5, 3) => "Redirect for TOS and host",
        (11, 0) => "Time to live exceeded in transit",
        (11, 1) => "Fragment reassembly time exceeded",
        (12, 0) => "Pointer indicates the error",
        (12, 1) => "Required option missing",
        (12, 2) => "Bad length",
        _ => return None,
    })
}
