//! Ethernet II and ARP.

use core::net::Ipv4Addr;

use crate::header::{Walk, mac};
use crate::keys::*;
use crate::network;
use crate::tree::LayerLetter;

/// Octets of an Ethernet II header.
const HEADER: usize = 14;

pub(crate) fn ethernet(w: &mut Walk<'_>) {
    let end = w.frame.len();
    let mut h = w.header(0, end);
    let name = |m: &[u8]| if m == [0xff; 6] { "Broadcast".to_string() } else { mac(m) };
    let dst = h.peek(0, 6);
    if let Some(m) = dst {
        h.add(ETH_DST, 0, 6, format!("{} ({})", name(m), mac(m)));
    }
    let src = h.peek(6, 6);
    if let Some(m) = src {
        h.add(ETH_SRC, 6, 6, format!("{} ({})", name(m), mac(m)));
    }
    let kind = h.u16(12);
    if let Some(kind) = kind {
        h.add(ETH_TYPE, 12, 2, ethertype(kind));
    }
    let title = match (src, dst) {
        (Some(s), Some(d)) => {
            format!("Ethernet II, Src: {} ({}), Dst: {} ({})", name(s), mac(s), name(d), mac(d))
        }
        _ => "Ethernet II".to_string(),
    };
    let place = w.out.layers.len();
    w.layer(LayerLetter::Link, "eth", title, h, HEADER);
    let Some(kind) = kind else { return };
    let used = match kind {
        0x0800 => network::ipv4(w, HEADER, end),
        0x86dd => network::ipv6(w, HEADER, end),
        0x0806 => arp(w, HEADER, end),
        _ => {
            w.note(NOTE_UNKNOWN, "eth", 12, 14);
            crate::data::data(w, HEADER, end);
            end
        }
    };
    if used < end {
        // Ethernet fills short frames up to 60 octets (IEEE 802.3, 4.2.3.3).
        let padding = crate::header::field(ETH_PADDING, used, end, hex(w.octets(used, end)));
        w.out.layers[place].fields.push(padding);
    }
}

/// Takes an ARP packet apart; answers where it ends.
fn arp(w: &mut Walk<'_>, start: usize, end: usize) -> usize {
    let mut h = w.header(start, end);
    let hardware = h.u16(0);
    if let Some(v) = hardware {
        h.add(ARP_HW_TYPE, 0, 2, if v == 1 { "Ethernet (1)".to_string() } else { v.to_string() });
    }
    let protocol = h.u16(2);
    if let Some(v) = protocol {
        h.add(ARP_PROTO_TYPE, 2, 2, ethertype(v));
    }
    let hw_size = h.u8(4);
    if let Some(v) = hw_size {
        h.add(ARP_HW_SIZE, 4, 1, v.to_string());
    }
    let proto_size = h.u8(5);
    if let Some(v) = proto_size {
        h.add(ARP_PROTO_SIZE, 5, 1, v.to_string());
    }
    let opcode = h.u16(6);
    let word = match opcode {
        Some(1) => "request",
        Some(2) => "reply",
        _ => "unknown",
    };
    if let Some(v) = opcode {
        h.add(ARP_OPCODE, 6, 2, format!("{word} ({v})"));
    }
    let title = format!("Address Resolution Protocol ({word})");
    if (hw_size, proto_size) == (Some(6), Some(4)) {
        for (def, offset) in [(ARP_SRC_HW, 8), (ARP_DST_HW, 18)] {
            if let Some(m) = h.peek(offset, 6) {
                h.add(def, offset, 6, mac(m));
            }
            let (def, offset) = if offset == 8 { (ARP_SRC_PROTO, 14) } else { (ARP_DST_PROTO, 24) };
            if let Some(a) = h.u32(offset) {
                h.add(def, offset, 4, Ipv4Addr::from_bits(a).to_string());
            }
        }
    } else if hw_size.is_some() && proto_size.is_some() {
        w.note(NOTE_UNKNOWN, "arp", start + 4, start + 6);
    }
    let len = 8 + 2 * (usize::from(hw_size.unwrap_or(6)) + usize::from(proto_size.unwrap_or(4)));
    w.layer(LayerLetter::Link, "arp", title, h, len);
    (start + len).min(end)
}

fn ethertype(kind: u16) -> String {
    match kind {
        0x0800 => "IPv4 (0x0800)".to_string(),
        0x0806 => "ARP (0x0806)".to_string(),
        0x86dd => "IPv6 (0x86dd)".to_string(),
        0x8100 => "802.1Q Virtual LAN (0x8100)".to_string(),
        _ => format!("Unknown (0x{kind:04x})"),
    }
}

/// Octets as hexadecimal digits without spaces, at most 32 of them and then `…`.
pub(crate) fn hex(octets: &[u8]) -> String {
    let mut out: String = octets.iter().take(32).map(|o| format!("{o:02x}")).collect();
    if octets.len() > 32 {
        out.push('…');
    }
    out
}
