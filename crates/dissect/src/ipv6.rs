//! IPv6 (RFC 8200) with its extension headers.

use core::net::{IpAddr, Ipv6Addr};

use crate::data;
use crate::fields::*;
use crate::header::{Header, Walk, hex};
use crate::ipv4::{Ends, Pieces, columns, dscp, ecn, pieces, protocol_name, traffic_class, upper};
use crate::tree::{LayerLetter, Value};

const V6_PIECES: Pieces = Pieces {
    group: IPV6_FRAGMENTS,
    piece: IPV6_FRAGMENT,
    count: IPV6_FRAGMENT_COUNT,
    len: IPV6_REASSEMBLED_LEN,
    word: "IPv6 Fragment",
};

/// A fragment header's contents.
struct Fragment {
    /// In units of 8 octets.
    offset: u16,
    more: bool,
    ident: u32,
}

/// Takes an IPv6 packet apart; answers where it ends.
pub(crate) fn ipv6(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    if let Some(v) = h.u32(0) {
        h.add(IPV6_VERSION, 0, 1, Value::Uint((v >> 28).into()), || (v >> 28).to_string());
        h.hidden(IP_VERSION, 0, 1, Value::Uint((v >> 28).into()));
        let class = (v >> 20) as u8;
        h.open(IPV6_TCLASS, 0, 4, Value::Uint(class.into()), || {
            format!("0x{class:02x} (DSCP: {}, ECN: {})", dscp(class >> 2).0, ecn(class).0)
        });
        traffic_class(&mut h, IPV6_DSCP, IPV6_ECN, 0, 4, class);
        h.close();
        let label = v & 0xf_ffff;
        h.add(IPV6_FLOW, 1, 3, Value::Uint(label.into()), || format!("0x{label:05x}"));
        if v >> 28 != 6 {
            w.note(NOTE_BAD_VERSION, "ipv6", start, start + 1);
        }
    }
    let payload = h.uint(IPV6_PLEN, 4, 2).map(|v| v as usize);
    let next = h.number(IPV6_NXT, 6, 1, |v| protocol_name(v as u8));
    let ttl = h.uint(IPV6_HLIM, 7, 1).unwrap_or(0) as u8;
    let mut ends: [Option<Ipv6Addr>; 2] = [None; 2];
    for (slot, def, offset) in [(0, IPV6_SRC, 8), (1, IPV6_DST, 24)] {
        ends[slot] = h.ipv6(def, offset);
        if let Some(a) = ends[slot] {
            h.hidden(IPV6_ADDR, offset, 16, Value::Ipv6(a));
        }
    }
    columns(w, ends[0].map(IpAddr::V6), ends[1].map(IpAddr::V6));
    let stated = start + 40 + payload.unwrap_or(0);
    let stop = stated.min(end);
    let Chain { next, offset, fragment, last_hop } =
        extensions(w, &mut h, next.unwrap_or(59) as u8, stop - start.min(stop));
    let packet = w.context.packet.as_deref();
    let packet = packet.filter(|_| fragment.is_some() && w.depth == 0 && w.source == 0);
    if let Some(packet) = packet {
        pieces(&mut h, packet, &V6_PIECES);
    }
    let short = h.short;
    let title = || match ends {
        [Some(src), Some(dst)] => format!("Internet Protocol Version 6, Src: {src}, Dst: {dst}"),
        _ => "Internet Protocol Version 6".to_string(),
    };
    w.layer(LayerLetter::Network, "ipv6", title, h, offset);
    if short {
        if w.writes() {
            w.columns.set("IPv6", "[Malformed Packet]");
        }
        return stop;
    }
    if stated > end && w.depth == 0 {
        w.note(NOTE_TRUNCATED, "ipv6", start + 4, start + 6);
    }
    // RFC 8200 8.1: the checksum is over the address that the packet goes to in the end.
    let dst = last_hop.map_or(w.slice(start + 24, start + 40), |at| w.slice(start + at, start + at + 16));
    if let Ok(dst) = <[u8; 16]>::try_from(dst) {
        columns(w, ends[0].map(IpAddr::V6), Some(IpAddr::V6(dst.into())));
    }
    let ends = Ends { addresses: [w.slice(start + 8, start + 24), dst], whole: stated <= end, ttl };
    let body = start + offset;
    if let Some(packet) = packet {
        w.note(NOTE_FRAGMENT, "ipv6", start + 40, body);
        w.inside("Reassembled IPv6", packet, |w, len| upper(w, next, Ends { whole: true, ..ends }, 0, len));
        return stop;
    }
    match fragment {
        // RFC 6946: a packet in a single "fragment" is whole.
        Some(Fragment { offset: 0, more: false, .. }) | None => upper(w, next, ends, body, stop),
        Some(f) => {
            w.note(NOTE_FRAGMENT, "ipv6", start + 40, body);
            if w.writes() {
                let more = if f.more { "y" } else { "n" };
                let at = u32::from(f.offset) * 8;
                let info = format!("IPv6 fragment (off={at} more={more} ident=0x{:08x} nxt={next})", f.ident);
                w.columns.set("IPv6", info);
                w.columns.label(format!("fragment off={at} len={}", stop.saturating_sub(body)));
            }
            if w.depth > 0 && f.offset == 0 {
                upper(w, next, Ends { whole: false, ..ends }, body, stop);
            } else {
                data::data(w, body, stop);
            }
        }
    }
    stop
}

/// What the extension headers lead to.
struct Chain {
    /// The protocol behind them.
    next: u8,
    /// Where it begins.
    offset: usize,
    fragment: Option<Fragment>,
    /// Where the final destination stands, if the packet is routed by its source.
    last_hop: Option<usize>,
}

/// Walks over extension headers.
fn extensions(w: &mut Walk<'_>, h: &mut Header<'_>, mut next: u8, limit: usize) -> Chain {
    let mut at = 40;
    let mut fragment = None;
    let mut last_hop = None;
    while at + 8 <= limit && matches!(next, 0 | 43 | 44 | 60) {
        let Some(units) = h.u8(at + 1) else { break };
        // RFC 8200 4.3: in units of 8 octets, not counting the first.
        let len = if next == 44 { 8 } else { (usize::from(units) + 1) * 8 };
        if at + len > limit {
            w.note(NOTE_BAD_LENGTH, "ipv6", h.start + at, h.start + limit);
            break;
        }
        let Some(after) = h.u8(at) else { break };
        match next {
            0 => {
                let defs = [IPV6_HOPOPTS, IPV6_HOPOPTS_NXT, IPV6_HOPOPTS_LEN, IPV6_HOPOPTS_LEN_OCT];
                options(w, h, at, len, defs);
            }
            60 => {
                let defs = [IPV6_DSTOPTS, IPV6_DSTOPTS_NXT, IPV6_DSTOPTS_LEN, IPV6_DSTOPTS_LEN_OCT];
                options(w, h, at, len, defs);
            }
            43 => {
                let kind = h.u8(at + 2).unwrap_or(0);
                let word = match kind {
                    0 => "Source Route",
                    2 => "Type 2",
                    3 => "RPL Source Route",
                    4 => "Segment Routing",
                    _ => "Unknown",
                };
                h.open(IPV6_ROUTING, at, len, Value::None, || format!("({word})"));
                h.number(IPV6_ROUTING_NXT, at, 1, |v| protocol_name(v as u8));
                h.uint(IPV6_ROUTING_LEN, at + 1, 1);
                h.add(IPV6_ROUTING_LEN_OCT, at + 1, 1, Value::Uint(len as u64), || format!("{len} bytes"));
                h.generated();
                h.number(IPV6_ROUTING_TYPE, at + 2, 1, |v| format!("{word} ({v})"));
                let left = h.uint(IPV6_ROUTING_LEFT, at + 3, 1).unwrap_or(0);
                if matches!(kind, 0 | 2) && left > 0 && len >= 24 {
                    last_hop = Some(at + 8 + 16 * ((len - 8) / 16 - 1));
                }
                h.close();
            }
            _ => fragment = fragment_header(h, at),
        }
        next = after;
        at += len;
        if fragment.as_ref().is_some_and(|f| f.offset != 0) {
            break;
        }
    }
    Chain { next, offset: at, fragment, last_hop }
}

fn fragment_header(h: &mut Header<'_>, at: usize) -> Option<Fragment> {
    let word = h.u16(at + 2)?;
    let ident = h.u32(at + 4)?;
    h.open(IPV6_FRAGHDR, at, 8, Value::None, String::new);
    h.number(IPV6_FRAGHDR_NXT, at, 1, |v| protocol_name(v as u8));
    h.uint(IPV6_FRAGHDR_RESERVED, at + 1, 1);
    let (offset, more) = (word >> 3, word & 1 != 0);
    h.add(IPV6_FRAGHDR_OFFSET, at + 2, 2, Value::Uint(offset.into()), || {
        format!("{offset} ({} bytes)", u32::from(offset) * 8)
    });
    let bits = word >> 1 & 3;
    h.add(IPV6_FRAGHDR_BITS, at + 2, 2, Value::Uint(bits.into()), || bits.to_string());
    h.add(IPV6_FRAGHDR_MORE, at + 2, 2, Value::Bool(more), || if more { "Yes" } else { "No" }.to_string());
    h.uint(IPV6_FRAGHDR_IDENT, at + 4, 4);
    h.close();
    Some(Fragment { offset, more, ident })
}

/// A header of options (RFC 8200 4.2): hop-by-hop or destination.
fn options(w: &mut Walk<'_>, h: &mut Header<'_>, at: usize, len: usize, defs: [Def; 4]) {
    let [group, next, units, octets] = defs;
    h.open(group, at, len, Value::None, String::new);
    h.number(next, at, 1, |v| protocol_name(v as u8));
    h.uint(units, at + 1, 1);
    h.add(octets, at + 1, 1, Value::Uint(len as u64), || format!("{len} bytes"));
    h.generated();
    let mut o = at + 2;
    while o < at + len {
        let Some(kind) = h.u8(o) else { break };
        let size = if kind == 0 { 1 } else { 2 + usize::from(h.u8(o + 1).unwrap_or(0)) };
        if o + size > at + len {
            w.note(NOTE_BAD_OPTION, "ipv6", h.start + o, h.start + at + len);
            break;
        }
        let name = match kind {
            0 => "Pad1",
            1 => "PadN",
            5 => "Router Alert",
            0xc2 => "Jumbo Payload",
            _ => "Unknown",
        };
        h.open(IPV6_OPT, o, size, Value::None, || name.to_string());
        h.open(IPV6_OPT_TYPE, o, 1, Value::Uint(kind.into()), || format!("{name} (0x{kind:02x})"));
        let action = kind >> 6;
        let word = [
            "Skip and continue",
            "Discard",
            "Discard and send ICMP Parameter Problem",
            "Discard and send ICMP if not multicast",
        ];
        h.add(IPV6_OPT_ACTION, o, 1, Value::Uint(action.into()), || {
            format!("{} ({action})", word[usize::from(action)])
        });
        let change = kind & 0x20 != 0;
        let may = if change { "Yes" } else { "No" };
        h.add(IPV6_OPT_CHANGE, o, 1, Value::Bool(change), || may.to_string());
        h.add(IPV6_OPT_REST, o, 1, Value::Uint((kind & 0x1f).into()), || format!("0x{:02x}", kind & 0x1f));
        h.close();
        if kind != 0 {
            h.uint(IPV6_OPT_LENGTH, o + 1, 1);
        }
        match kind {
            1 => {
                let rest = h.peek(o + 2, size - 2).unwrap_or_default();
                let typed = if rest.is_empty() { Value::None } else { Value::Bytes };
                h.add(IPV6_OPT_PADN, o + 2, size - 2, typed, || match rest {
                    [] => "<none>".to_string(),
                    rest => hex(rest),
                });
            }
            5 if size == 4 => {
                h.number(IPV6_OPT_ROUTER_ALERT, o + 2, 2, |v| match v {
                    0 => "MLD (0)".to_string(),
                    1 => "RSVP (1)".to_string(),
                    2 => "Active Networks (2)".to_string(),
                    v => format!("Unknown ({v})"),
                });
            }
            _ => {}
        }
        h.close();
        o += size;
    }
    h.close();
}
