//! Options of neighbour discovery (RFC 4861 4.6, RFC 8106): type, length in units of 8 octets, value.

use core::net::Ipv6Addr;

use crate::dns_record::{Name, name};
use crate::fields::*;
use crate::header::{Header, Walk, mac};
use crate::tree::Value;

/// The options from `at` on; answers the first Ethernet address among them.
pub(crate) fn options(w: &mut Walk<'_>, h: &mut Header<'_>, mut at: usize) -> Option<[u8; 6]> {
    let mut address = None;
    while at + 2 <= h.len() {
        let (Some(kind), Some(units)) = (h.u8(at), h.u8(at + 1)) else { break };
        let size = usize::from(units) * 8;
        if size == 0 || at + size > h.len() {
            w.note(NOTE_BAD_OPTION, "icmpv6", h.start + at, h.start + h.len());
            break;
        }
        let found = one(h, kind, units, at, size);
        address = address.or(found);
        at += size;
    }
    address
}

fn one(h: &mut Header<'_>, kind: u8, units: u8, at: usize, size: usize) -> Option<[u8; 6]> {
    let word = match kind {
        1 => "Source link-layer address",
        2 => "Target link-layer address",
        3 => "Prefix information",
        4 => "Redirected header",
        5 => "MTU",
        14 => "Nonce",
        24 => "Route Information",
        25 => "Recursive DNS Server",
        31 => "DNS Search List Option",
        _ => "Unknown",
    };
    let octets = h.peek(at, size).unwrap_or_default();
    let link = octets.get(2..8).and_then(|o| <[u8; 6]>::try_from(o).ok());
    let link = link.filter(|_| matches!(kind, 1 | 2) && size == 8);
    let v6 = |from: usize| {
        let octets = octets.get(from..from + 16).and_then(|o| <[u8; 16]>::try_from(o).ok());
        octets.map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from)
    };
    h.open(ICMPV6_OPT, at, size, Value::None, || match (kind, link) {
        (1 | 2, Some(link)) => format!("({word} : {})", mac(&link)),
        (3, _) if size == 32 => format!("({word} : {}/{})", v6(16), octets[2]),
        (5, _) if size == 8 => {
            format!("({word} : {})", u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]))
        }
        (25, _) if size >= 24 => format!("({word} {})", v6(8)),
        _ => format!("({word})"),
    });
    h.number(ICMPV6_OPT_TYPE, at, 1, |v| format!("{word} ({v})"));
    h.add(ICMPV6_OPT_LENGTH, at + 1, 1, Value::Uint(units.into()), || format!("{units} ({size} bytes)"));
    let infinite = |v: u64| match v {
        0xffff_ffff => format!("Infinity ({v})"),
        v => v.to_string(),
    };
    match (kind, link) {
        (1 | 2, Some(link)) => {
            h.mac(ICMPV6_OPT_LINKADDR, at + 2);
            let own = if kind == 1 { ICMPV6_OPT_SRC_LINKADDR } else { ICMPV6_OPT_TARGET_LINKADDR };
            h.hidden(own, at + 2, 6, Value::Mac(link));
        }
        (3, _) if size == 32 => {
            h.uint(ICMPV6_OPT_PREFIX_LEN, at + 2, 1);
            prefix_flags(h, at + 3, octets[3]);
            h.number(ICMPV6_OPT_VALID, at + 4, 4, infinite);
            h.number(ICMPV6_OPT_PREFERRED, at + 8, 4, infinite);
            h.add(ICMPV6_OPT_RESERVED, at + 12, 4, Value::None, String::new);
            h.ipv6(ICMPV6_OPT_PREFIX, at + 16);
        }
        (5, _) if size == 8 => {
            h.add(ICMPV6_OPT_RESERVED, at + 2, 2, Value::None, String::new);
            h.uint(ICMPV6_OPT_MTU, at + 4, 4);
        }
        (14, _) => {
            h.bytes(ICMPV6_OPT_NONCE, at + 2, size - 2);
        }
        (25, _) => {
            h.add(ICMPV6_OPT_RESERVED, at + 2, 2, Value::None, String::new);
            h.number(ICMPV6_OPT_RDNSS_LIFETIME, at + 4, 4, infinite);
            for i in 0..(size - 8) / 16 {
                h.ipv6(ICMPV6_OPT_RDNSS, at + 8 + 16 * i);
            }
        }
        (31, _) => search_list(h, at, size),
        _ => {}
    }
    h.close();
    link
}

fn prefix_flags(h: &mut Header<'_>, at: usize, flags: u8) {
    let bits = [
        (ICMPV6_OPT_PREFIX_FLAG_L, 0x80, "On-link flag(L)"),
        (ICMPV6_OPT_PREFIX_FLAG_A, 0x40, "Autonomous address-configuration flag(A)"),
        (ICMPV6_OPT_PREFIX_FLAG_R, 0x20, "Router address flag(R)"),
    ];
    h.open(ICMPV6_OPT_PREFIX_FLAG, at, 1, Value::Uint(flags.into()), || {
        let words: String = bits.iter().filter(|b| flags & b.1 != 0).map(|b| format!(", {}", b.2)).collect();
        format!("0x{flags:02x}{words}")
    });
    for (def, bit, _) in bits {
        h.flag(def, at, 1, flags & bit != 0);
    }
    let rest = flags & 0x1f;
    h.add(ICMPV6_OPT_PREFIX_FLAG_RSV, at, 1, Value::Uint(rest.into()), || rest.to_string());
    h.close();
}

/// Names of RFC 8106 5.2: as in DNS, without pointers, filled up with zeros.
fn search_list(h: &mut Header<'_>, at: usize, size: usize) {
    h.add(ICMPV6_OPT_RESERVED, at + 2, 2, Value::None, String::new);
    h.uint(ICMPV6_OPT_DNSSL_LIFETIME, at + 4, 4);
    let mut o = at + 8;
    let mut names = Vec::new();
    while o < at + size && h.u8(o).is_some_and(|v| v != 0) {
        let Some(Name { text, len, .. }) = name(h, at, o) else { break };
        if o + len > at + size {
            break;
        }
        h.add(ICMPV6_OPT_DNSSL, o, len, Value::Text(text.clone()), || text.clone());
        names.push(text);
        o += len;
    }
    if o < at + size {
        h.add(ICMPV6_OPT_PADDING, o, at + size - o, Value::None, String::new);
    }
    if let Some(group) = h.group() {
        group.value = format!("(DNS Search List Option {})", names.join(" "));
    }
}
