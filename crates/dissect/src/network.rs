//! IPv4 and IPv6.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::header::{Header, Walk, field, flag, ones_sum};
use crate::keys::*;
use crate::tree::LayerLetter;
use crate::{data, icmp, transport};

/// The pseudo header of TCP and UDP checksums (RFC 9293 3.1, RFC 8200 8.1) without length and protocol.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    /// Source and destination address, octet by octet.
    pub(crate) addresses: &'a [u8],
    /// All octets of the payload are here: not a fragment, not cut off.
    pub(crate) whole: bool,
}

/// Takes an IPv4 packet apart (RFC 791); answers where it ends.
pub(crate) fn ipv4(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    let first = h.u8(0);
    let header_len = first.map_or(20, |v| usize::from(v & 0x0f) * 4);
    if let Some(v) = first {
        h.add(IP_VERSION, 0, 1, (v >> 4).to_string());
        h.add(IP_HDR_LEN, 0, 1, format!("{header_len} bytes ({})", v & 0x0f));
        if v >> 4 != 4 {
            w.note(NOTE_BAD_VERSION, "ip", start, start + 1);
        }
        if header_len < 20 {
            w.note(NOTE_BAD_LENGTH, "ip", start, start + 1);
        }
    }
    if let Some(v) = h.u8(1) {
        let at = start + 1;
        let f = h.add(IP_DSFIELD, 1, 1, format!("0x{v:02x} (DSCP: {}, ECN: {})", dscp(v >> 2), ecn(v & 3)));
        f.children.push(field(IP_DSCP, at, at + 1, format!("{} ({})", dscp(v >> 2), v >> 2)));
        f.children.push(field(IP_ECN, at, at + 1, format!("{} ({})", ecn(v & 3), v & 3)));
    }
    let total = h.u16(2).map(usize::from);
    if let Some(v) = total {
        h.add(IP_LEN, 2, 2, v.to_string());
        if v < header_len {
            w.note(NOTE_BAD_LENGTH, "ip", start + 2, start + 4);
        }
    }
    if let Some(v) = h.u16(4) {
        h.add(IP_ID, 4, 2, format!("0x{v:04x} ({v})"));
    }
    let fragment = h.u16(6);
    if let Some(v) = fragment {
        let bits = v >> 13;
        let names = [(2, "Don't fragment"), (1, "More fragments")];
        let names: Vec<_> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
        let more = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
        let (a, b) = (start + 6, start + 7);
        let f = h.add(IP_FLAGS, 6, 1, format!("0x{bits:x}{more}"));
        f.children.push(flag(IP_FLAGS_RB, a, b, bits & 4 != 0));
        f.children.push(flag(IP_FLAGS_DF, a, b, bits & 2 != 0));
        f.children.push(flag(IP_FLAGS_MF, a, b, bits & 1 != 0));
        h.add(IP_FRAG_OFFSET, 6, 2, (u32::from(v & 0x1fff) * 8).to_string());
    }
    if let Some(v) = h.u8(8) {
        h.add(IP_TTL, 8, 1, v.to_string());
    }
    let protocol = h.u8(9);
    if let Some(v) = protocol {
        h.add(IP_PROTO, 9, 1, protocol_name(v));
    }
    if let Some(v) = h.u16(10) {
        h.add(IP_CHECKSUM, 10, 2, format!("0x{v:04x}"));
        let whole = w.octets(start, (start + header_len).min(end));
        let good = (header_len >= 20 && whole.len() == header_len).then(|| ones_sum(&[whole]) == 0xffff);
        h.verdict(IP_CHECKSUM_STATUS, 10, good);
        // A router lowers the TTL of what it forwards, so that a quoted header's checksum need not match.
        if good == Some(false) && w.depth == 0 {
            w.note(NOTE_BAD_CHECKSUM, "ip", start + 10, start + 12);
        }
    }
    let mut title = "Internet Protocol Version 4".to_string();
    for (def, offset, word) in [(IP_SRC, 12, "Src"), (IP_DST, 16, "Dst")] {
        if let Some(a) = h.u32(offset) {
            let a = Ipv4Addr::from_bits(a).to_string();
            title += &format!(", {word}: {a}");
            h.add(def, offset, 4, a);
        }
    }
    if header_len > 20 {
        ip_options(w, &mut h, header_len);
    }
    let short = h.short;
    w.layer(LayerLetter::Network, "ip", title, h, header_len.max(20));
    let body = start + header_len.max(20);
    let stated = start + total.unwrap_or(usize::MAX - start).max(header_len.max(20));
    // Segmentation offload leaves the length 0: then the frame's end counts.
    let stop = if total == Some(0) { end } else { stated.min(end) };
    if short || body >= end.min(w.frame.len()) {
        return stop;
    }
    if stated > end && total != Some(0) && w.depth == 0 {
        w.note(NOTE_TRUNCATED, "ip", start + 2, start + 4);
    }
    let offset = fragment.unwrap_or(0) & 0x1fff;
    let more = fragment.unwrap_or(0) & 0x2000 != 0;
    if offset != 0 || more {
        w.note(NOTE_FRAGMENT, "ip", start + 6, start + 8);
    }
    if offset != 0 {
        data::data(w, body, stop);
        return stop;
    }
    let ends = Ends {
        addresses: w.octets(start + 12, start + 20),
        whole: !more && (stated <= end || total == Some(0)),
    };
    upper(w, protocol.unwrap_or(255), ends, body, stop);
    stop
}

/// IPv4 options (RFC 791 3.1): copied flag, class and number in the first octet, then the length.
fn ip_options(w: &mut Walk<'_>, h: &mut Header<'_>, header_len: usize) {
    let Some(octets) = h.peek(20, header_len - 20) else { return };
    let start = h.start + 20;
    let mut options = field(IP_OPTIONS, start, start + octets.len(), format!("{} bytes", octets.len()));
    let mut at = 0;
    while let Some(&kind) = octets.get(at) {
        let len = match kind {
            0 | 1 => 1,
            _ => usize::from(octets.get(at + 1).copied().unwrap_or(0)),
        };
        if len < 1 || (kind > 1 && len < 2) || at + len > octets.len() {
            w.note(NOTE_BAD_OPTION, "ip", start + at, start + octets.len());
            break;
        }
        let name = match kind {
            0 => "End of Options List (EOL)",
            1 => "No Operation (NOP)",
            7 => "Record Route",
            68 => "Time Stamp",
            131 => "Loose Source Route",
            137 => "Strict Source Route",
            148 => "Router Alert",
            _ => "Unknown",
        };
        options.children.push(field(IP_OPT, start + at, start + at + len, format!("{name} ({kind})")));
        at += len;
        if kind == 0 {
            break;
        }
    }
    h.fields.push(options);
}

/// Takes an IPv6 packet apart (RFC 8200); answers where it ends. Extension headers are left as data.
pub(crate) fn ipv6(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    if let Some(v) = h.u32(0) {
        h.add(IPV6_VERSION, 0, 1, (v >> 28).to_string());
        h.add(IPV6_TCLASS, 0, 2, format!("0x{:02x}", (v >> 20) & 0xff));
        h.add(IPV6_FLOW, 1, 3, format!("0x{:05x}", v & 0xf_ffff));
        if v >> 28 != 6 {
            w.note(NOTE_BAD_VERSION, "ipv6", start, start + 1);
        }
    }
    let payload = h.u16(4).map(usize::from);
    if let Some(v) = payload {
        h.add(IPV6_PLEN, 4, 2, v.to_string());
    }
    let next = h.u8(6);
    if let Some(v) = next {
        h.add(IPV6_NXT, 6, 1, protocol_name(v));
    }
    if let Some(v) = h.u8(7) {
        h.add(IPV6_HLIM, 7, 1, v.to_string());
    }
    let mut title = "Internet Protocol Version 6".to_string();
    for (def, offset, word) in [(IPV6_SRC, 8, "Src"), (IPV6_DST, 24, "Dst")] {
        if let Some(octets) = h.peek(offset, 16)
            && let Ok(octets) = <[u8; 16]>::try_from(octets)
        {
            let a = Ipv6Addr::from(octets).to_string();
            title += &format!(", {word}: {a}");
            h.add(def, offset, 16, a);
        }
    }
    let short = h.short;
    w.layer(LayerLetter::Network, "ipv6", title, h, 40);
    let stated = start + 40 + payload.unwrap_or(0);
    let stop = stated.min(end);
    if short {
        return stop;
    }
    if stated > end && w.depth == 0 {
        w.note(NOTE_TRUNCATED, "ipv6", start + 4, start + 6);
    }
    let ends = Ends { addresses: w.octets(start + 8, start + 40), whole: stated <= end };
    upper(w, next.unwrap_or(59), ends, start + 40, stop);
    stop
}

/// The protocol inside an IP packet.
fn upper(w: &mut Walk<'_>, protocol: u8, ends: Ends<'_>, start: usize, end: usize) {
    if start >= end {
        return;
    }
    match protocol {
        1 => icmp::icmp(w, start, end, ends),
        6 => transport::tcp(w, start, end, ends),
        17 => transport::udp(w, start, end, ends),
        58 => icmp::icmpv6(w, start, end, ends),
        _ => {
            w.note(NOTE_UNKNOWN, "ip", start, end);
            data::data(w, start, end);
        }
    }
}

/// `TCP (6)`.
pub(crate) fn protocol_name(protocol: u8) -> String {
    let name = match protocol {
        0 => "IPv6 Hop-by-Hop Option",
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        44 => "Fragment Header for IPv6",
        58 => "ICMPv6",
        59 => "No Next Header for IPv6",
        _ => "Unknown",
    };
    format!("{name} ({protocol})")
}

fn dscp(value: u8) -> String {
    match value {
        0 => "CS0".to_string(),
        46 => "EF PHB".to_string(),
        v if v % 8 == 0 => format!("CS{}", v / 8),
        _ => "Unknown".to_string(),
    }
}

fn ecn(value: u8) -> &'static str {
    ["Not-ECT", "ECT(1)", "ECT(0)", "CE"][usize::from(value & 3)]
}
