//! ICMPv6 (RFC 4443) with neighbour discovery (RFC 4861) and multicast listener discovery (RFC 2710, RFC 3810).

use core::net::Ipv6Addr;

use crate::fields::*;
use crate::header::{Header, Walk, mac};
use crate::icmp::DEEPEST;
use crate::icmpv6_options::options;
use crate::ipv4::{Ends, checksum, transport_sum};
use crate::tree::{LayerLetter, Value};
use crate::{data, ipv6};

pub(crate) fn icmpv6(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let kind = h.u8(0);
    h.number(ICMPV6_TYPE, 0, 1, |v| format!("{} ({v})", type_name(v as u8)));
    let code = h.u8(1);
    if let (Some(t), Some(c)) = (kind, code) {
        h.add(ICMPV6_CODE, 1, 1, Value::Uint(c.into()), || {
            code_name(t, c).map_or(c.to_string(), |name| format!("{c} ({name})"))
        });
    }
    if let Some(v) = h.u16(2) {
        let good = ends.whole.then(|| transport_sum(w, 58, start, end, ends) == 0xffff);
        checksum(&mut h, ICMPV6_CHECKSUM, ICMPV6_CHECKSUM_STATUS, 2, v, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "icmpv6", start + 2, start + 4);
        }
    }
    let mut info = type_name(kind.unwrap_or(0)).to_string();
    if let Some(reason) = kind.zip(code).and_then(|(t, c)| code_name(t, c)) {
        info += &format!(" ({reason})");
    }
    let all = end - start;
    let mut label = None;
    let len = match kind {
        Some(128 | 129) => {
            let ident = h.uint(ICMPV6_ECHO_IDENT, 4, 2).unwrap_or(0);
            let seq = h.uint(ICMPV6_ECHO_SEQ, 6, 2).unwrap_or(0);
            info = format!(
                "{} id=0x{ident:04x}, seq={seq}, hop limit={}",
                type_name(kind.unwrap_or(0)),
                ends.ttl
            );
            let word = if kind == Some(128) { "request" } else { "reply" };
            label = Some(format!("ping {word} seq={seq}"));
            if let Some(reply) = w.context.reply.filter(|_| w.depth == 0) {
                h.derive(ICMPV6_RESP_TO, 0, Value::Uint(reply.frame));
                h.derive(ICMPV6_RESPTIME, 0, Value::Nanos(reply.after));
                info += &format!(" (request in {})", reply.frame);
            }
            8
        }
        Some(2) => {
            h.uint(ICMPV6_MTU, 4, 4);
            8
        }
        Some(4) => {
            h.uint(ICMPV6_POINTER, 4, 4);
            8
        }
        Some(130) => {
            query(&mut h, all);
            all
        }
        Some(131 | 132) => {
            h.uint(ICMPV6_MLD_DELAY, 4, 2);
            h.bytes(ICMPV6_RESERVED, 6, 2);
            h.ipv6(ICMPV6_MLD_ADDRESS, 8);
            all
        }
        Some(133) => {
            h.bytes(ICMPV6_RESERVED, 4, 4);
            discovered(w, &mut h, 8, &mut info, " from ");
            all
        }
        Some(134) => {
            advertisement(&mut h);
            discovered(w, &mut h, 16, &mut info, " from ");
            all
        }
        Some(135) => {
            h.bytes(ICMPV6_RESERVED, 4, 4);
            if let Some(target) = h.ipv6(ICMPV6_NS_TARGET, 8) {
                info += &format!(" for {target}");
            }
            discovered(w, &mut h, 24, &mut info, " from ");
            all
        }
        Some(136) => {
            let words = neighbour_flags(&mut h);
            if let Some(target) = h.ipv6(ICMPV6_NA_TARGET, 8) {
                info += &format!(" {target} ({words})");
            }
            discovered(w, &mut h, 24, &mut info, " is at ");
            all
        }
        Some(137) => {
            h.bytes(ICMPV6_RESERVED, 4, 4);
            h.ipv6(ICMPV6_RD_TARGET, 8);
            h.ipv6(ICMPV6_RD_DST, 24);
            discovered(w, &mut h, 40, &mut info, " is at ");
            all
        }
        Some(143) => {
            h.bytes(ICMPV6_RESERVED, 4, 2);
            let records = h.uint(ICMPV6_MLDR_RECORDS, 6, 2).unwrap_or(0);
            let mut at = 8;
            for _ in 0..records {
                if at + 20 > h.len() {
                    h.short = true;
                    break;
                }
                at = report(&mut h, at);
            }
            all
        }
        _ => {
            h.bytes(ICMPV6_RESERVED, 4, 4);
            8
        }
    };
    if w.writes() {
        if h.short {
            info = "[Malformed Packet]".to_string();
        }
        w.columns.set("ICMPv6", &*info);
        w.columns.label(label.unwrap_or(info));
    }
    w.layer(LayerLetter::Network, "icmpv6", || "Internet Control Message Protocol v6".to_string(), h, len);
    let body = start + len;
    if matches!(kind, Some(1..=4)) && w.depth < DEEPEST && body < end {
        w.depth += 1;
        ipv6::ipv6(w, body, end);
        w.depth -= 1;
    } else if body < end {
        data::data(w, body, end);
    }
}

/// The options, and the sender's Ethernet address among them.
fn discovered(w: &mut Walk<'_>, h: &mut Header<'_>, at: usize, info: &mut String, word: &str) {
    if let Some(address) = options(w, h, at) {
        *info += &format!("{word}{}", mac(&address));
    }
}

fn neighbour_flags(h: &mut Header<'_>) -> String {
    let Some(flags) = h.u32(4) else { return String::new() };
    let bits = [
        (ICMPV6_NA_FLAG_R, 31, "Router", "rtr"),
        (ICMPV6_NA_FLAG_S, 30, "Solicited", "sol"),
        (ICMPV6_NA_FLAG_O, 29, "Override", "ovr"),
    ];
    let set = |bit: u32| flags & (1 << bit) != 0;
    h.open(ICMPV6_NA_FLAG, 4, 4, Value::Uint(flags.into()), || {
        let words: String =
            bits.iter().filter(|b| set(b.1)).map(|(_, _, word, _)| format!(", {word}")).collect();
        format!("0x{flags:08x}{words}")
    });
    for (def, bit, ..) in bits {
        h.flag(def, 4, 4, set(bit));
    }
    let rest = flags & 0x1fff_ffff;
    h.add(ICMPV6_NA_FLAG_RSV, 4, 4, Value::Uint(rest.into()), || rest.to_string());
    h.close();
    bits.iter().filter(|b| set(b.1)).map(|b| b.3).collect::<Vec<_>>().join(", ")
}

/// The fixed part of a router advertisement (RFC 4861 4.2, RFC 4191 2.2).
fn advertisement(h: &mut Header<'_>) {
    h.uint(ICMPV6_RA_HOP_LIMIT, 4, 1);
    if let Some(flags) = h.u8(5) {
        let preference = flags >> 3 & 3;
        let word = ["Medium", "High", "Reserved", "Low"][usize::from(preference)];
        let bits = [
            (ICMPV6_RA_FLAG_M, 0x80, "Managed address configuration"),
            (ICMPV6_RA_FLAG_O, 0x40, "Other configuration"),
            (ICMPV6_RA_FLAG_H, 0x20, "Home Agent"),
        ];
        h.open(ICMPV6_RA_FLAG, 5, 1, Value::Uint(flags.into()), || {
            let words: String =
                bits.iter().filter(|b| flags & b.1 != 0).map(|b| format!(", {}", b.2)).collect();
            format!("0x{flags:02x}{words}, Prf (Default Router Preference): {word}")
        });
        for (def, bit, _) in bits {
            h.flag(def, 5, 1, flags & bit != 0);
        }
        h.add(ICMPV6_RA_FLAG_PRF, 5, 1, Value::Uint(preference.into()), || format!("{word} ({preference})"));
        h.flag(ICMPV6_RA_FLAG_P, 5, 1, flags & 4 != 0);
        h.add(ICMPV6_RA_FLAG_RSV, 5, 1, Value::Uint((flags & 3).into()), || (flags & 3).to_string());
        h.close();
    }
    h.uint(ICMPV6_RA_LIFETIME, 6, 2);
    h.uint(ICMPV6_RA_REACHABLE, 8, 4);
    h.uint(ICMPV6_RA_RETRANS, 12, 4);
}

/// A listener query of version 1 (24 octets) or 2.
fn query(h: &mut Header<'_>, len: usize) {
    let second = len >= 28;
    h.uint(if second { ICMPV6_MLD_CODE } else { ICMPV6_MLD_DELAY }, 4, 2);
    h.bytes(ICMPV6_RESERVED, 6, 2);
    h.ipv6(ICMPV6_MLD_ADDRESS, 8);
    if !second {
        return;
    }
    if let Some(flags) = h.u8(24) {
        h.open(ICMPV6_MLD_FLAG, 24, 1, Value::Uint(flags.into()), || format!("0x{flags:02x}"));
        let s = flags & 8 != 0;
        let word = if s { "True" } else { "False" };
        h.add(ICMPV6_MLD_FLAG_S, 24, 1, Value::Bool(s), || word.to_string());
        h.add(ICMPV6_MLD_FLAG_QRV, 24, 1, Value::Uint((flags & 7).into()), || (flags & 7).to_string());
        h.add(ICMPV6_MLD_FLAG_RSV, 24, 1, Value::Uint((flags >> 4).into()), || (flags >> 4).to_string());
        h.close();
    }
    h.uint(ICMPV6_MLD_QQI, 25, 1);
    let count = h.uint(ICMPV6_MLD_SOURCES, 26, 2).unwrap_or(0) as usize;
    for i in 0..count.min(len / 16) {
        h.ipv6(ICMPV6_MLD_SOURCE, 28 + 16 * i);
    }
}

/// A record of a version 2 report (RFC 3810 5.2); answers where it ends.
fn report(h: &mut Header<'_>, at: usize) -> usize {
    let kind = h.u8(at).unwrap_or(0);
    let aux = usize::from(h.u8(at + 1).unwrap_or(0)) * 4;
    let sources = usize::from(h.u16(at + 2).unwrap_or(0));
    let group = h.peek(at + 4, 16).and_then(|o| <[u8; 16]>::try_from(o).ok()).map(Ipv6Addr::from);
    let word = match kind {
        1 => "Include",
        2 => "Exclude",
        3 => "Changed to include",
        4 => "Changed to exclude",
        5 => "Allow new sources",
        6 => "Block old sources",
        _ => "Unknown",
    };
    let len = 20 + 16 * sources + aux;
    h.open(ICMPV6_MAR, at, len, Value::None, || {
        format!("{word}: {}", group.unwrap_or(Ipv6Addr::UNSPECIFIED))
    });
    h.number(ICMPV6_MAR_TYPE, at, 1, |v| format!("{word} ({v})"));
    h.uint(ICMPV6_MAR_AUX, at + 1, 1);
    h.uint(ICMPV6_MAR_SOURCES, at + 2, 2);
    h.ipv6(ICMPV6_MAR_ADDRESS, at + 4);
    for i in 0..sources.min(h.len() / 16) {
        h.ipv6(ICMPV6_MAR_SOURCE, at + 20 + 16 * i);
    }
    h.close();
    at + len
}

/// Wireshark's name of an ICMPv6 type.
fn type_name(kind: u8) -> &'static str {
    match kind {
        1 => "Destination Unreachable",
        2 => "Packet Too Big",
        3 => "Time Exceeded",
        4 => "Parameter Problem",
        128 => "Echo (ping) request",
        129 => "Echo (ping) reply",
        130 => "Multicast Listener Query",
        131 => "Multicast Listener Report",
        132 => "Multicast Listener Done",
        133 => "Router Solicitation",
        134 => "Router Advertisement",
        135 => "Neighbor Solicitation",
        136 => "Neighbor Advertisement",
        137 => "Redirect",
        143 => "Multicast Listener Report Message v2",
        _ => "Unknown",
    }
}

/// Wireshark's name of an ICMPv6 code.
fn code_name(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "Administratively prohibited",
        (1, 2) => "Beyond scope of source address",
        (1, 3) => "Address unreachable",
        (1, 4) => "Port unreachable",
        (1, 5) => "Source address failed ingress/egress policy",
        (1, 6) => "Reject route to destination",
        (3, 0) => "hop limit exceeded in transit",
        (3, 1) => "fragment reassembly time exceeded",
        (4, 0) => "erroneous header field encountered",
        (4, 1) => "unrecognized Next Header type encountered",
        (4, 2) => "unrecognized IPv6 option encountered",
        _ => return None,
    })
}
