//! IPv4 (RFC 791) with its options; what is common to both versions of IP.

use core::net::{IpAddr, Ipv4Addr};

use crate::context::Reassembled;
use crate::fields::*;
use crate::header::{Header, Walk, ones_sum};
use crate::tree::{LayerLetter, Value};
use crate::{data, icmp, icmpv6, igmp, tcp, udp};

/// What the layers above need of an IP header.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    /// Source and final destination, octet by octet: the pseudo header of checksums (RFC 9293 3.1, RFC 8200 8.1)
    /// without length and protocol.
    pub(crate) addresses: [&'a [u8]; 2],
    /// All octets of the payload are here: not a fragment, not cut off.
    pub(crate) whole: bool,
    /// Time to live, or hop limit.
    pub(crate) ttl: u8,
}

impl Ends<'_> {
    fn version(&self) -> &'static str {
        if self.addresses[0].len() == 4 { "IPv4" } else { "IPv6" }
    }
}

/// Takes an IPv4 packet apart; answers where it ends.
pub(crate) fn ipv4(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    let first = h.u8(0).unwrap_or(0x45);
    let header_len = usize::from(first & 0x0f) * 4;
    h.number(IP_VERSION, 0, 1, |_| (first >> 4).to_string());
    fix(&mut h, u64::from(first >> 4));
    h.number(IP_HDR_LEN, 0, 1, |_| format!("{header_len} bytes ({})", first & 0x0f));
    fix(&mut h, header_len as u64);
    if first >> 4 != 4 {
        w.note(NOTE_BAD_VERSION, "ip", start, start + 1);
    }
    if header_len < 20 {
        w.note(NOTE_BAD_LENGTH, "ip", start, start + 1);
    }
    if let Some(v) = h.u8(1) {
        let text = || format!("0x{v:02x} (DSCP: {}, ECN: {})", dscp(v >> 2).0, ecn(v & 3).0);
        h.open(IP_DSFIELD, 1, 1, Value::Uint(v.into()), text);
        traffic_class(&mut h, IP_DSCP, IP_ECN, 1, 1, v);
        h.close();
    }
    let total = h.uint(IP_LEN, 2, 2).map(|v| v as usize);
    if total.is_some_and(|v| v < header_len) {
        w.note(NOTE_BAD_LENGTH, "ip", start + 2, start + 4);
    }
    let ident = h.number(IP_ID, 4, 2, |v| format!("0x{v:04x} ({v})"));
    let fragment = h.u16(6);
    if let Some(v) = fragment {
        let bits = v >> 13;
        h.open(IP_FLAGS, 6, 1, Value::Uint(bits.into()), || {
            let names = [(2, ", Don't fragment"), (1, ", More fragments")];
            let names: String =
                names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
            format!("0x{bits:x}{names}")
        });
        h.flag(IP_FLAGS_RB, 6, 1, bits & 4 != 0);
        h.flag(IP_FLAGS_DF, 6, 1, bits & 2 != 0);
        h.flag(IP_FLAGS_MF, 6, 1, bits & 1 != 0);
        h.close();
        let units = u64::from(v & 0x1fff);
        h.add(IP_FRAG_OFFSET, 6, 2, Value::Uint(units), || (units * 8).to_string());
    }
    let ttl = h.uint(IP_TTL, 8, 1).unwrap_or(0) as u8;
    let protocol = h.u8(9);
    h.number(IP_PROTO, 9, 1, |v| protocol_name(v as u8));
    if let Some(v) = h.u16(10) {
        let whole = w.slice(start, (start + header_len).min(end));
        let good = (header_len >= 20 && whole.len() == header_len).then(|| ones_sum(&[whole]) == 0xffff);
        checksum(&mut h, IP_CHECKSUM, IP_CHECKSUM_STATUS, 10, v, good);
        // A router lowers the TTL of what it forwards, so that a quoted header's checksum need not match.
        if good == Some(false) && w.depth == 0 {
            w.note(NOTE_BAD_CHECKSUM, "ip", start + 10, start + 12);
        }
    }
    let mut ends = [None; 2];
    for (slot, def, offset) in [(0, IP_SRC, 12), (1, IP_DST, 16)] {
        ends[slot] = h.ipv4(def, offset);
        if let Some(a) = ends[slot] {
            h.hidden(IP_ADDR, offset, 4, Value::Ipv4(a));
        }
    }
    columns(w, ends[0].map(IpAddr::V4), ends[1].map(IpAddr::V4));
    if header_len > 20 {
        ip_options(w, &mut h, header_len);
    }
    let short = h.short;
    let body = start + header_len.max(20);
    let stated = start + total.unwrap_or(0).max(header_len);
    // Segmentation offload leaves 0: the packet is as long as the frame.
    let stop = if total == Some(0) { end } else { stated.min(end) };
    let units = fragment.unwrap_or(0) & 0x1fff;
    let more = fragment.unwrap_or(0) & 0x2000 != 0;
    let is_fragment = units != 0 || more;
    let packet = w.context.packet.as_deref().filter(|_| is_fragment && w.depth == 0 && w.source == 0);
    if let Some(packet) = packet {
        pieces(&mut h, packet, &V4_PIECES);
    }
    let title = || match ends {
        [Some(src), Some(dst)] => format!("Internet Protocol Version 4, Src: {src}, Dst: {dst}"),
        _ => "Internet Protocol Version 4".to_string(),
    };
    w.layer(LayerLetter::Network, "ip", title, h, header_len.max(20));
    if short || body > stop.min(w.octets.len()) {
        if w.writes() {
            w.columns.set("IPv4", "[Malformed Packet]");
        }
        return stop;
    }
    if stated > end && total != Some(0) && w.depth == 0 {
        w.note(NOTE_TRUNCATED, "ip", start + 2, start + 4);
    }
    let protocol = protocol.unwrap_or(255);
    let addresses = [w.slice(start + 12, start + 16), w.slice(start + 16, start + 20)];
    let ends = Ends { addresses, whole: false, ttl };
    if let Some(packet) = packet {
        w.note(NOTE_FRAGMENT, "ip", start + 6, start + 8);
        w.inside("Reassembled IPv4", packet, |w, len| {
            upper(w, protocol, Ends { whole: true, ..ends }, 0, len)
        });
        return stop;
    }
    if is_fragment {
        w.note(NOTE_FRAGMENT, "ip", start + 6, start + 8);
        if w.writes() {
            let name = protocol_name(protocol);
            let name = name.rsplit_once(' ').map_or(&*name, |(name, _)| name);
            let offset = u32::from(units) * 8;
            w.columns.set(
                "IPv4",
                format!(
                    "Fragmented IP protocol (proto={name} {protocol}, off={offset}, ID={:04x})",
                    ident.unwrap_or(0)
                ),
            );
            w.columns.label(format!("fragment off={offset} len={}", stop.saturating_sub(body)));
        }
        // What an ICMP error quotes of a first fragment has its ports all the same.
        if w.depth > 0 && units == 0 {
            upper(w, protocol, ends, body, stop);
        } else {
            data::data(w, body, stop);
        }
        return stop;
    }
    let whole = stated <= end || total == Some(0);
    upper(w, protocol, Ends { whole, ..ends }, body, stop);
    stop
}

/// The number of a field whose octets hold other bits too.
fn fix(h: &mut Header<'_>, v: u64) {
    if let Some(f) = h.fields.last_mut() {
        f.typed = Value::Uint(v);
    }
}

/// Addresses in the packet list.
pub(crate) fn columns(w: &mut Walk<'_>, src: Option<IpAddr>, dst: Option<IpAddr>) {
    if let (Some(src), Some(dst)) = (src, dst)
        && w.writes()
    {
        w.columns.source = src.to_string();
        w.columns.destination = dst.to_string();
        w.columns.target = Some(dst);
    }
}

/// A checksum, and whether it is right.
pub(crate) fn checksum(h: &mut Header<'_>, def: Def, status: Def, offset: usize, v: u16, good: Option<bool>) {
    let word = match good {
        Some(true) => "correct",
        Some(false) => "incorrect",
        None => "unverified",
    };
    h.add(def, offset, 2, Value::Uint(v.into()), || format!("0x{v:04x} [{word}]"));
    h.verdict(status, offset, good);
}

/// The names of the fields that tell what a packet was put together from.
pub(crate) struct Pieces {
    /// All pieces.
    pub(crate) group: Def,
    pub(crate) piece: Def,
    pub(crate) count: Def,
    pub(crate) len: Def,
    pub(crate) word: &'static str,
}

const V4_PIECES: Pieces = Pieces {
    group: IP_FRAGMENTS,
    piece: IP_FRAGMENT,
    count: IP_FRAGMENT_COUNT,
    len: IP_REASSEMBLED_LEN,
    word: "IPv4 Fragment",
};

/// `3 IPv4 Fragments (3008 bytes): #12(1480), #13(1480), #14(48)`.
pub(crate) fn pieces(h: &mut Header<'_>, whole: &Reassembled, names: &Pieces) {
    let count = whole.pieces.len();
    h.open(names.group, 0, 0, Value::None, || {
        let list: Vec<_> = whole.pieces.iter().map(|p| format!("#{}({})", p.frame, p.len)).collect();
        let many = crate::header::plural(count);
        let bytes = whole.octets.len();
        format!(
            "{count} {}{many} ({bytes} byte{}): {}",
            names.word,
            crate::header::plural(bytes),
            list.join(", ")
        )
    });
    for p in &whole.pieces {
        h.derive_as(names.piece, 0, Value::Uint(p.frame), || match p.len {
            0 => format!("{} (no data)", p.frame),
            len => format!(
                "{}, payload: {}-{} ({len} byte{})",
                p.frame,
                p.start,
                p.start + len - 1,
                crate::header::plural(len as usize)
            ),
        });
    }
    h.derive(names.count, 0, Value::Uint(count as u64));
    h.derive(names.len, 0, Value::Uint(whole.octets.len() as u64));
    h.close();
    h.generated();
}

/// IPv4 options (RFC 791 3.1): copied flag, class and number in the first octet, then the length.
fn ip_options(w: &mut Walk<'_>, h: &mut Header<'_>, header_len: usize) {
    let Some(octets) = h.peek(20, header_len - 20) else { return };
    let start = h.start + 20;
    h.open(IP_OPTIONS, 20, octets.len(), Value::None, String::new);
    let mut at = 0;
    let mut names = Vec::new();
    while let Some(&kind) = octets.get(at) {
        let len = match kind {
            0 | 1 => 1,
            _ => usize::from(octets.get(at + 1).copied().unwrap_or(0)),
        };
        if len < 1 || (kind > 1 && len < 2) || at + len > octets.len() {
            w.note(NOTE_BAD_OPTION, "ip", start + at, start + octets.len());
            break;
        }
        let (def, name, number) = match kind {
            0 => (IP_OPTION_EOL, "End of Options List (EOL)", "End of Option List (EOL)"),
            1 => (IP_OPTION_NOP, "No Operation (NOP)", "No Operation (NOP)"),
            7 => (IP_OPTION_RR, "Record Route", "Record route"),
            68 => (IP_OPTION_TS, "Time Stamp", "Time stamp"),
            131 => (IP_OPTION_LSR, "Loose Source Route", "Loose source route"),
            137 => (IP_OPTION_SSR, "Strict Source Route", "Strict source route"),
            148 => (IP_OPTION_RA, "Router Alert", "Router Alert"),
            _ => (IP_OPTION_OTHER, "Unknown", "Unknown"),
        };
        names.push(name);
        let offset = 20 + at;
        let alert = octets.get(at + 2..at + 4).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]));
        let alert_word = if alert == 0 { "Router shall examine packet" } else { "Reserved" };
        h.open(def, offset, len, Value::Bytes, || match (kind, len) {
            (0 | 1, _) => String::new(),
            (148, 4) => format!("(4 bytes): {alert_word} ({alert})"),
            _ => format!("({len} bytes)"),
        });
        h.open(IP_OPT_TYPE, offset, 1, Value::Uint(kind.into()), || kind.to_string());
        let copied = kind & 0x80 != 0;
        let copy = if copied { "Yes" } else { "No" };
        h.add(IP_OPT_COPY, offset, 1, Value::Bool(copied), || copy.to_string());
        let class = kind >> 5 & 3;
        let word =
            ["Control", "Reserved for future use", "Debugging and measurement", "Reserved for future use"];
        h.add(IP_OPT_CLASS, offset, 1, Value::Uint(class.into()), || {
            format!("{} ({class})", word[usize::from(class)])
        });
        h.add(IP_OPT_NUMBER, offset, 1, Value::Uint((kind & 0x1f).into()), || {
            format!("{number} ({})", kind & 0x1f)
        });
        h.close();
        if kind > 1 {
            h.uint(IP_OPT_LEN, offset + 1, 1);
            if matches!(kind, 7 | 68 | 131 | 137) && len > 2 {
                h.uint(IP_OPT_PTR, offset + 2, 1);
            }
            if kind == 148 && len == 4 {
                h.number(IP_OPT_RA, offset + 2, 2, |v| format!("{alert_word} ({v})"));
            }
        }
        h.close();
        at += len;
        if kind == 0 {
            break;
        }
    }
    if let Some(group) = h.group() {
        names.retain(|n| !n.starts_with("End of"));
        group.value = format!("({} bytes), {}", octets.len(), names.join(", "));
    }
    h.close();
}

/// The protocol inside an IP packet.
pub(crate) fn upper<'a>(w: &mut Walk<'a>, protocol: u8, ends: Ends<'a>, start: usize, end: usize) {
    if start >= end {
        if w.writes() {
            match protocol {
                59 => w.columns.set("IPv6", "IPv6 no next header"),
                _ => w.columns.set(ends.version(), ""),
            }
        }
        return;
    }
    match protocol {
        1 => icmp::icmp(w, start, end, ends),
        2 => igmp::igmp(w, start, end),
        6 => tcp::tcp(w, start, end, ends),
        17 => udp::udp(w, start, end, ends),
        58 => icmpv6::icmpv6(w, start, end, ends),
        59 => {
            w.columns.set("IPv6", "IPv6 no next header");
            data::data(w, start, end);
        }
        _ => {
            w.note(NOTE_UNKNOWN, "ip", start, end);
            if w.writes() {
                w.columns.set(ends.version(), protocol_name(protocol));
            }
            data::data(w, start, end);
        }
    }
}

/// Sum over pseudo header and segment: 0xffff if the checksum in it is right.
pub(crate) fn transport_sum(w: &Walk<'_>, protocol: u8, start: usize, end: usize, ends: Ends<'_>) -> u16 {
    let len = u32::try_from(end - start).unwrap_or(0).to_be_bytes();
    let [src, dst] = ends.addresses;
    ones_sum(&[src, dst, &len, &[0, protocol], w.slice(start, end)])
}

/// `TCP (6)`.
pub(crate) fn protocol_name(protocol: u8) -> String {
    let name = match protocol {
        0 => "IPv6 Hop-by-Hop Option",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6",
        43 => "Routing Header for IPv6",
        44 => "Fragment Header for IPv6",
        47 => "Generic Routing Encapsulation",
        50 => "Encap Security Payload",
        51 => "Authentication Header",
        58 => "ICMPv6",
        59 => "No Next Header for IPv6",
        60 => "Destination Options for IPv6",
        89 => "OSPF IGP",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => "Unknown",
    };
    format!("{name} ({protocol})")
}

/// The two parts of the octet that RFC 2474 and RFC 3168 divide, at the same place in the header.
pub(crate) fn traffic_class(h: &mut Header<'_>, d: Def, e: Def, offset: usize, len: usize, v: u8) {
    h.add(d, offset, len, Value::Uint((v >> 2).into()), || format!("{} ({})", dscp(v >> 2).1, v >> 2));
    h.add(e, offset, len, Value::Uint((v & 3).into()), || format!("{} ({})", ecn(v & 3).1, v & 3));
}

/// Short and long name of a differentiated services codepoint (RFC 2474, RFC 2597, RFC 3246, RFC 5865).
pub(crate) fn dscp(value: u8) -> (String, String) {
    let both = |short: &str, long: &str| (short.to_string(), long.to_string());
    match value {
        0 => both("CS0", "Default"),
        44 => both("VOICE-ADMIT", "Voice Admit"),
        46 => both("EF PHB", "Expedited Forwarding"),
        v if v % 8 == 0 => (format!("CS{}", v / 8), format!("Class Selector {}", v / 8)),
        v if (10..=38).contains(&v) && v % 2 == 0 => {
            let class = format!("{}{}", v / 8, v % 8 / 2);
            (format!("AF{class}"), format!("Assured Forwarding {class}"))
        }
        _ => both("Unknown", "Unknown"),
    }
}

/// Short and long name of the congestion bits (RFC 3168).
pub(crate) fn ecn(value: u8) -> (&'static str, &'static str) {
    match value & 3 {
        0 => ("Not-ECT", "Not ECN-Capable Transport"),
        1 => ("ECT(1)", "ECN-Capable Transport codepoint '01'"),
        2 => ("ECT(0)", "ECN-Capable Transport codepoint '10'"),
        _ => ("CE", "Congestion Experienced"),
    }
}

/// For an IPv4 address in four octets.
pub(crate) fn address(octets: &[u8]) -> Ipv4Addr {
    <[u8; 4]>::try_from(octets).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)
}
