//! ICMP (RFC 792) with the packet it quotes, and the common messages of ICMPv6 (RFC 4443, RFC 4861).

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::header::{Walk, field, mac, ones_sum};
use crate::keys::*;
use crate::network::{self, Ends};
use crate::tree::LayerLetter;
use crate::{data, link};

/// Quotes inside quotes are not opened: an ICMP error is never sent about an ICMP error (RFC 1122 3.2.2).
const DEEPEST: u8 = 2;

pub(crate) fn icmp(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let kind = h.u8(0);
    if let Some(v) = kind {
        h.add(ICMP_TYPE, 0, 1, format!("{v} ({})", type_name(v)));
    }
    let code = h.u8(1);
    if let (Some(t), Some(c)) = (kind, code) {
        let value = code_name(t, c).map_or(c.to_string(), |name| format!("{c} ({name})"));
        h.add(ICMP_CODE, 1, 1, value);
    }
    if let Some(v) = h.u16(2) {
        h.add(ICMP_CHECKSUM, 2, 2, format!("0x{v:04x}"));
        let good = ends.whole.then(|| ones_sum(&[w.octets(start, end)]) == 0xffff);
        h.verdict(ICMP_CHECKSUM_STATUS, 2, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "icmp", start + 2, start + 4);
        }
    }
    match kind {
        Some(0 | 8) => {
            if let Some(v) = h.u16(4) {
                h.add(ICMP_IDENT, 4, 2, format!("{v} (0x{v:04x})"));
            }
            if let Some(v) = h.u16(6) {
                h.add(ICMP_SEQ, 6, 2, format!("{v} (0x{v:04x})"));
            }
        }
        Some(3) if code == Some(4) => {
            if let Some(v) = h.u16(4) {
                h.add(ICMP_UNUSED, 4, 2, format!("{v:04x}"));
            }
            if let Some(v) = h.u16(6) {
                h.add(ICMP_MTU, 6, 2, v.to_string());
            }
        }
        Some(5) => {
            if let Some(v) = h.u32(4) {
                h.add(ICMP_GATEWAY, 4, 4, Ipv4Addr::from_bits(v).to_string());
            }
        }
        _ => {
            if let Some(v) = h.u32(4) {
                h.add(ICMP_UNUSED, 4, 4, format!("{v:08x}"));
            }
        }
    }
    w.layer(LayerLetter::Network, "icmp", "Internet Control Message Protocol".to_string(), h, 8);
    let body = start + 8;
    if matches!(kind, Some(3 | 4 | 5 | 11 | 12)) && w.depth < DEEPEST && body < end {
        w.depth += 1;
        let hints = w.hints.take();
        network::ipv4(w, body, end);
        w.hints = hints;
        w.depth -= 1;
    } else {
        data::data(w, body, end);
    }
}

pub(crate) fn icmpv6(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let kind = h.u8(0);
    if let Some(v) = kind {
        h.add(ICMPV6_TYPE, 0, 1, format!("{} ({v})", type_name_v6(v)));
    }
    let code = h.u8(1);
    if let (Some(t), Some(c)) = (kind, code) {
        let value = code_name_v6(t, c).map_or(c.to_string(), |name| format!("{c} ({name})"));
        h.add(ICMPV6_CODE, 1, 1, value);
    }
    if let Some(v) = h.u16(2) {
        h.add(ICMPV6_CHECKSUM, 2, 2, format!("0x{v:04x}"));
        let good = ends.whole.then(|| {
            let len = u32::try_from(end - start).unwrap_or(0).to_be_bytes();
            ones_sum(&[ends.addresses, &len, &[0, 58], w.octets(start, end)]) == 0xffff
        });
        h.verdict(ICMPV6_CHECKSUM_STATUS, 2, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "icmpv6", start + 2, start + 4);
        }
    }
    let mut len = 8;
    match kind {
        Some(128 | 129) => {
            if let Some(v) = h.u16(4) {
                h.add(ICMPV6_ECHO_IDENT, 4, 2, format!("0x{v:04x}"));
            }
            if let Some(v) = h.u16(6) {
                h.add(ICMPV6_ECHO_SEQ, 6, 2, v.to_string());
            }
        }
        Some(2) => {
            if let Some(v) = h.u32(4) {
                h.add(ICMPV6_MTU, 4, 4, v.to_string());
            }
        }
        Some(135 | 136) => {
            if let Some(v) = h.u32(4) {
                h.add(ICMPV6_RESERVED, 4, 4, format!("{v:08x}"));
            }
            if let Some(octets) = h.peek(8, 16)
                && let Ok(octets) = <[u8; 16]>::try_from(octets)
            {
                h.add(ICMPV6_TARGET, 8, 16, Ipv6Addr::from(octets).to_string());
            }
            len = end - start;
            let mut at = 24;
            // Options of RFC 4861 4.6: type, length in units of 8 octets.
            while start + at + 2 <= end {
                let (Some(t), Some(units)) = (h.u8(at), h.u8(at + 1)) else { break };
                let size = usize::from(units) * 8;
                if size == 0 || start + at + size > end {
                    w.note(NOTE_BAD_OPTION, "icmpv6", start + at, end);
                    break;
                }
                let name = match t {
                    1 => "Source link-layer address (1)".to_string(),
                    2 => "Target link-layer address (2)".to_string(),
                    _ => format!("Unknown ({t})"),
                };
                let address = (matches!(t, 1 | 2) && size == 8).then(|| h.peek(at + 2, 6)).flatten();
                let from = start + at;
                let option = h.add(ICMPV6_OPT, at, size, name);
                if let Some(octets) = address {
                    option.children.push(field(ICMPV6_OPT_LINKADDR, from + 2, from + 8, mac(octets)));
                }
                at += size;
            }
        }
        _ => {
            if let Some(v) = h.u32(4) {
                h.add(ICMPV6_RESERVED, 4, 4, link::hex(&v.to_be_bytes()));
            }
        }
    }
    w.layer(LayerLetter::Network, "icmpv6", "Internet Control Message Protocol v6".to_string(), h, len);
    let body = start + len;
    if matches!(kind, Some(1..=4)) && w.depth < DEEPEST && body < end {
        w.depth += 1;
        let hints = w.hints.take();
        network::ipv6(w, body, end);
        w.hints = hints;
        w.depth -= 1;
    } else if body < end {
        data::data(w, body, end);
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
        11 => "Time-to-live exceeded",
        12 => "Parameter problem",
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
        (3, 9) => "Network administratively prohibited",
        (3, 10) => "Host administratively prohibited",
        (3, 13) => "Communication administratively filtered",
        (5, 0) => "Redirect for network",
        (5, 1) => "Redirect for host",
        (11, 0) => "Time to live exceeded in transit",
        (11, 1) => "Fragment reassembly time exceeded",
        _ => return None,
    })
}

/// Wireshark's name of an ICMPv6 type.
pub(crate) fn type_name_v6(kind: u8) -> &'static str {
    match kind {
        1 => "Destination Unreachable",
        2 => "Packet Too Big",
        3 => "Time Exceeded",
        4 => "Parameter Problem",
        128 => "Echo (ping) request",
        129 => "Echo (ping) reply",
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
pub(crate) fn code_name_v6(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "Administratively prohibited",
        (1, 3) => "Address unreachable",
        (1, 4) => "Port unreachable",
        (3, 0) => "hop limit exceeded in transit",
        (3, 1) => "fragment reassembly time exceeded",
        _ => return None,
    })
}
