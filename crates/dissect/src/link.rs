//! Frames, Ethernet II (and the length of IEEE 802.3), ARP (RFC 826).

use core::net::Ipv4Addr;

use crate::fields::*;
use crate::header::{Walk, mac, mac_name};
use crate::tree::{LayerLetter, Value};
use crate::{ipv4, ipv6};

/// Octets of an Ethernet II header.
const HEADER: usize = 14;
/// A type field up to this value is a length (IEEE 802.3 3.2.6).
const LONGEST: u16 = 1500;

pub(crate) fn ethernet(w: &mut Walk<'_>) {
    let end = w.octets.len();
    frame(w);
    let mut h = w.header(0, end);
    let mut ends = [None; 2];
    for (slot, offset, def, lg, ig) in
        [(0, 0, ETH_DST, ETH_DST_LG, ETH_DST_IG), (1, 6, ETH_SRC, ETH_SRC_LG, ETH_SRC_IG)]
    {
        let Some(a) = h.peek(offset, 6).and_then(|o| <[u8; 6]>::try_from(o).ok()) else { continue };
        ends[slot] = Some(a);
        h.open(def, offset, 6, Value::Mac(a), || format!("{} ({})", mac_name(&a), mac(&a)));
        h.hidden(ETH_ADDR, offset, 6, Value::Mac(a));
        // IEEE 802: the two lowest bits of the first octet.
        let local = a[0] & 2 != 0;
        let word = match local {
            true => "Locally administered address (this is NOT the factory default)",
            false => "Globally unique address (factory default)",
        };
        h.add(lg, offset, 3, Value::Bool(local), || word.to_string());
        h.hidden(ETH_LG, offset, 3, Value::Bool(local));
        let group = a[0] & 1 != 0;
        let word = if group { "Group address (multicast/broadcast)" } else { "Individual address (unicast)" };
        h.add(ig, offset, 3, Value::Bool(group), || word.to_string());
        h.hidden(ETH_IG, offset, 3, Value::Bool(group));
        h.close();
    }
    let kind = h.u16(12);
    if let Some(kind) = kind {
        if kind <= LONGEST {
            h.uint(ETH_LEN, 12, 2);
        } else {
            h.number(ETH_TYPE, 12, 2, |_| ethertype(kind));
        }
    }
    let [dst, src] = ends;
    if let (Some(src), Some(dst)) = (src, dst)
        && w.mode.columns
    {
        w.columns.source = mac_name(&src);
        w.columns.destination = mac_name(&dst);
        let protocol = kind.map_or_else(String::new, |kind| format!("0x{kind:04x}"));
        w.columns.set(&protocol, "Ethernet II");
        w.columns.label(protocol);
    }
    let place = w.out.layers.len();
    let title = || match (src, dst) {
        (Some(s), Some(d)) => {
            format!("Ethernet II, Src: {} ({}), Dst: {} ({})", mac_name(&s), mac(&s), mac_name(&d), mac(&d))
        }
        _ => "Ethernet II".to_string(),
    };
    w.layer(LayerLetter::Link, "eth", title, h, HEADER);
    let Some(kind) = kind else {
        if w.writes() {
            w.columns.set("Ethernet", "[Malformed Packet]");
        }
        return;
    };
    let used = match kind {
        0x0800 => ipv4::ipv4(w, HEADER, end),
        0x86dd => ipv6::ipv6(w, HEADER, end),
        0x0806 => arp(w, HEADER, end),
        _ => {
            w.note(NOTE_UNKNOWN, "eth", 12, 14);
            crate::data::data(w, HEADER, end);
            end
        }
    };
    if used < end && w.mode.fields {
        // Ethernet fills short frames up to 60 octets (IEEE 802.3, 4.2.3.3).
        let zeros = w.slice(used, end).iter().all(|o| *o == 0);
        let mut padding = w.header(used, end);
        padding.bytes(if zeros { ETH_PADDING } else { ETH_TRAILER }, 0, end - used);
        if let Some(layer) = w.out.layers.get_mut(place) {
            layer.fields.append(&mut padding.fields);
        }
    }
}

/// What filters may ask about the frame itself.
fn frame(w: &mut Walk<'_>) {
    if !w.mode.hidden {
        return;
    }
    let end = w.octets.len();
    let c = w.context;
    let mut h = w.header(0, end);
    h.hidden(FRAME_TIME_DELTA, 0, 0, Value::Nanos(c.since_previous));
    h.hidden(FRAME_TIME_RELATIVE, 0, 0, Value::Nanos(c.since_first));
    h.hidden(FRAME_NUMBER, 0, 0, Value::Uint(c.number));
    h.hidden(FRAME_LEN, 0, 0, Value::Uint(end as u64));
    h.hidden(FRAME_CAP_LEN, 0, 0, Value::Uint(end as u64));
    w.layer(LayerLetter::Link, "frame", || format!("Frame {}: {end} bytes", c.number), h, end);
    w.columns.protocols.clear();
}

/// Takes an ARP packet apart; answers where it ends.
fn arp(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    h.number(ARP_HW_TYPE, 0, 2, |v| if v == 1 { "Ethernet (1)".to_string() } else { v.to_string() });
    h.number(ARP_PROTO_TYPE, 2, 2, |v| ethertype(v as u16));
    let hw_size = h.uint(ARP_HW_SIZE, 4, 1);
    let proto_size = h.uint(ARP_PROTO_SIZE, 5, 1);
    let opcode = h.u16(6);
    let word = match opcode {
        Some(1) => "request",
        Some(2) => "reply",
        Some(3) => "reverse request",
        Some(4) => "reverse reply",
        _ => "unknown",
    };
    h.number(ARP_OPCODE, 6, 2, |v| format!("{word} ({v})"));
    let plain = (hw_size, proto_size) == (Some(6), Some(4));
    let mut title = format!("Address Resolution Protocol ({word})");
    let mut info = format!("Unknown ARP opcode 0x{:04x}", opcode.unwrap_or(0));
    if plain {
        let sender = h.u32(14).map(Ipv4Addr::from_bits);
        let target = h.u32(24).map(Ipv4Addr::from_bits);
        let sender_mac = h.peek(8, 6);
        if let (Some(sender), Some(target), Some(sender_mac)) = (sender, target, sender_mac) {
            // RFC 5227 1.1: a probe asks from 0.0.0.0; an announcement names the same address twice.
            let same = sender == target;
            let asks = opcode == Some(1);
            let answers = opcode == Some(2);
            info = if asks && same {
                title = "Address Resolution Protocol (ARP Announcement)".to_string();
                h.derive(ARP_GRATUITOUS, 0, Value::Bool(true));
                h.derive(ARP_ANNOUNCEMENT, 0, Value::Bool(true));
                format!("ARP Announcement for {sender}")
            } else if asks && sender.is_unspecified() {
                title = "Address Resolution Protocol (ARP Probe)".to_string();
                h.derive(ARP_PROBE, 0, Value::Bool(true));
                format!("Who has {target}? (ARP Probe)")
            } else if asks {
                format!("Who has {target}? Tell {sender}")
            } else if answers && same {
                title = "Address Resolution Protocol (reply/gratuitous ARP)".to_string();
                h.derive(ARP_GRATUITOUS, 0, Value::Bool(true));
                format!("Gratuitous ARP for {sender} (Reply)")
            } else if matches!(opcode, Some(3 | 8)) {
                let target = h.peek(18, 6).unwrap_or_default();
                format!("Who is {}? Tell {}", mac(target), mac(sender_mac))
            } else if answers {
                format!("{sender} is at {}", mac(sender_mac))
            } else {
                info
            };
            if let Some((_, address)) = w.context.duplicate.filter(|_| asks) {
                info += &format!(" (duplicate use of {address} detected!)");
            }
            w.columns.target = Some(target.into());
        } else {
            info = "[Malformed Packet]".to_string();
        }
        for (offset, hw, proto) in [(8, ARP_SRC_HW, ARP_SRC_PROTO), (18, ARP_DST_HW, ARP_DST_PROTO)] {
            h.mac(hw, offset);
            h.ipv4(proto, offset + 6);
        }
        if let Some((frame, address)) = w.context.duplicate {
            h.open(ARP_DUPLICATE, 0, 0, Value::None, || address.to_string());
            h.derive(ARP_DUPLICATE_FRAME, 0, Value::Uint(frame));
            h.close();
            h.generated();
        }
    } else if hw_size.is_some() && proto_size.is_some() {
        w.note(NOTE_UNKNOWN, "arp", start + 4, start + 6);
    }
    let size = |v: Option<u64>, usual| v.map_or(usual, |v| v as usize);
    let len = 8 + 2 * (size(hw_size, 6) + size(proto_size, 4));
    if w.writes() {
        let protocol = match opcode {
            Some(3 | 4) => "RARP",
            Some(8 | 9) => "Inverse ARP",
            _ => "ARP",
        };
        w.columns.set(protocol, &*info);
        w.columns.label(info);
    }
    w.layer(LayerLetter::Link, "arp", || title, h, len);
    (start + len).min(end)
}

fn ethertype(kind: u16) -> String {
    let name = match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x86dd => "IPv6",
        0x8100 => "802.1Q Virtual LAN",
        _ => "Unknown",
    };
    format!("{name} (0x{kind:04x})")
}
