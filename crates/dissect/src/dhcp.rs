//! DHCP (RFC 2131) with the options of RFC 2132 that networks use.

use crate::dns_record::{printable, span};
use crate::fields::*;
use crate::header::{Header, Walk, hex};
use crate::tree::{LayerLetter, Value};

/// Octets before the options: header and magic cookie.
const FIXED: usize = 240;

/// Whether it may be a message of BOOTP or DHCP: there is a whole header.
pub(crate) fn looks_like(payload: &[u8]) -> bool {
    payload.len() >= FIXED - 4
}

pub(crate) fn dhcp(w: &mut Walk<'_>, start: usize, end: usize) {
    let mut h = w.header(start, end);
    let op = h.number(DHCP_TYPE, 0, 1, |v| match v {
        1 => "Boot Request (1)".to_string(),
        2 => "Boot Reply (2)".to_string(),
        v => format!("Unknown ({v})"),
    });
    hardware(&mut h, DHCP_HW_TYPE, 1);
    let hw_len = h.uint(DHCP_HW_LEN, 2, 1);
    h.uint(DHCP_HOPS, 3, 1);
    let id = h.uint(DHCP_ID, 4, 4);
    h.uint(DHCP_SECS, 8, 2);
    if let Some(flags) = h.u16(10) {
        let broadcast = flags & 0x8000 != 0;
        let word = if broadcast { "Broadcast" } else { "Unicast" };
        h.open(DHCP_FLAGS, 10, 2, Value::Uint(flags.into()), || match broadcast {
            true => format!("0x{flags:04x}, Broadcast flag (Broadcast)"),
            false => format!("0x{flags:04x} (Unicast)"),
        });
        h.add(DHCP_FLAGS_BC, 10, 2, Value::Bool(broadcast), || word.to_string());
        let rest = flags & 0x7fff;
        h.add(DHCP_FLAGS_RESERVED, 10, 2, Value::Uint(rest.into()), || format!("0x{rest:04x}"));
        h.close();
    }
    for (i, def) in [DHCP_IP_CLIENT, DHCP_IP_YOUR, DHCP_IP_SERVER, DHCP_IP_RELAY].into_iter().enumerate() {
        h.ipv4(def, 12 + 4 * i);
    }
    if hw_len == Some(6) {
        h.mac(DHCP_MAC, 28);
        h.bytes(DHCP_MAC_PADDING, 34, 10);
    }
    name(&mut h, DHCP_SERVER, 44, 64);
    name(&mut h, DHCP_FILE, 108, 128);
    let cookie = h.u32(236);
    if let Some(v) = cookie {
        let address = core::net::Ipv4Addr::from_bits(v);
        h.add(DHCP_COOKIE, 236, 4, Value::Ipv4(address), || match v {
            0x6382_5363 => "DHCP".to_string(),
            _ => address.to_string(),
        });
    }
    let mut message = None;
    let mut at = FIXED;
    while cookie == Some(0x6382_5363) && at < h.len() {
        let Some(next) = option(&mut h, at, &mut message) else {
            w.note(NOTE_BAD_OPTION, "dhcp", start + at, end);
            break;
        };
        at = next;
    }
    let word = message.unwrap_or(if op == Some(2) { "Boot Reply" } else { "Boot Request" });
    if w.writes() {
        let id = id.unwrap_or(0);
        let info = match (message, op) {
            // Wireshark pads the word so that the numbers stand below each other.
            (Some(word), _) => format!("DHCP {word:8} - Transaction ID 0x{id:x}"),
            _ => format!("{word} - Transaction ID 0x{id:x}"),
        };
        w.columns.set(if message.is_some() { "DHCP" } else { "BOOTP" }, info);
        w.columns.label(match message {
            Some(word) => format!("DHCP {word}"),
            None => word.to_string(),
        });
    }
    let title = || match message {
        Some(word) => format!("Dynamic Host Configuration Protocol ({word})"),
        None => "Bootstrap Protocol".to_string(),
    };
    w.layer(LayerLetter::Application, "dhcp", title, h, end - start);
}

fn hardware(h: &mut Header<'_>, def: Def, at: usize) {
    h.number(def, at, 1, |v| match v {
        1 => "Ethernet (0x01)".to_string(),
        v => format!("Unknown (0x{v:02x})"),
    });
}

/// A text that ends with a zero octet, or is not given at all.
fn name(h: &mut Header<'_>, def: Def, at: usize, len: usize) {
    let Some(octets) = h.peek(at, len) else { return };
    let text = octets.split(|o| *o == 0).next().unwrap_or_default();
    let shown = printable(text);
    match shown.is_empty() {
        true => h.add(def, at, len, Value::Text(String::new()), || "not given".to_string()),
        false => h.add(def, at, len, Value::Text(shown.clone()), || shown),
    }
}

/// How an option's value is read.
enum Shape {
    Address,
    Addresses,
    Text,
    Number,
    Time,
    Other,
}

/// An option; answers where the next one begins, or nothing if it is cut off.
fn option(h: &mut Header<'_>, at: usize, message: &mut Option<&'static str>) -> Option<usize> {
    let code = h.u8(at)?;
    let name = option_name(code);
    if code == 0 || code == 255 {
        // Wireshark gives both the number 0.
        h.open(DHCP_OPTION, at, 1, Value::Uint(0), || format!("({code}) {name}"));
        if code == 255 {
            h.uint(DHCP_END, at, 1);
        } else {
            h.bytes(DHCP_PADDING, at, 1);
        }
        h.close();
        // RFC 2132 3.2: nothing follows the end but padding.
        return Some(if code == 255 { usize::MAX } else { at + 1 });
    }
    let len = usize::from(h.u8(at + 1)?);
    let value = h.peek(at + 2, len)?;
    let address = value.first_chunk::<4>().filter(|_| len == 4).map(|o| core::net::Ipv4Addr::from(*o));
    let (def, shape) = option_shape(code);
    let kind = (code == 53).then(|| value.first().map_or("Unknown", |v| message_name(*v)));
    if let Some(kind) = kind {
        *message = Some(kind);
    }
    h.open(DHCP_OPTION, at, 2 + len, Value::Uint(code.into()), || match (kind, address, &shape) {
        (Some(kind), ..) => format!("({code}) {name} ({kind})"),
        (_, Some(address), Shape::Address) => format!("({code}) {name} ({address})"),
        _ => format!("({code}) {name}"),
    });
    h.uint(DHCP_OPTION_LENGTH, at + 1, 1);
    let listed = matches!(code, 55 | 61);
    if listed || !matches!(shape, Shape::Other) {
        h.hidden(DHCP_OPTION_VALUE, at + 2, len, Value::Bytes);
    }
    match shape {
        _ if kind.is_some() => {
            h.number(def, at + 2, 1, |v| format!("{} ({v})", message_name(v as u8)));
        }
        Shape::Address | Shape::Addresses => {
            for i in 0..len / 4 {
                h.ipv4(def, at + 2 + 4 * i);
            }
        }
        Shape::Text => {
            let text = printable(value);
            h.add(def, at + 2, len, Value::Text(text.clone()), || text);
        }
        Shape::Number => {
            h.uint(def, at + 2, len);
        }
        Shape::Time => {
            h.number(def, at + 2, len, |v| format!("({v}s) {}", span(v)));
        }
        Shape::Other if code == 55 => {
            for i in 0..len {
                let list = |v: u64| format!("({v}) {}", option_name(v as u8));
                h.number(DHCP_LIST_ITEM, at + 2 + i, 1, list);
            }
        }
        Shape::Other if code == 61 && len == 7 && value[0] == 1 => {
            hardware(h, DHCP_HW_TYPE, at + 2);
            h.mac(DHCP_MAC, at + 3);
        }
        Shape::Other if code == 61 => {
            let text = hex(value);
            h.add(LINE, at + 2, len, Value::None, || text);
        }
        Shape::Other => h.add(DHCP_OPTION_VALUE, at + 2, len, Value::Bytes, || hex(value)),
    }
    h.close();
    Some(at + 2 + len)
}

fn option_shape(code: u8) -> (Def, Shape) {
    match code {
        1 => (DHCP_SUBNET, Shape::Address),
        3 => (DHCP_ROUTER, Shape::Addresses),
        6 => (DHCP_DNS, Shape::Addresses),
        12 => (DHCP_HOSTNAME, Shape::Text),
        15 => (DHCP_DOMAIN, Shape::Text),
        26 => (DHCP_MTU, Shape::Number),
        28 => (DHCP_BROADCAST, Shape::Address),
        42 => (DHCP_NTP, Shape::Addresses),
        50 => (DHCP_REQUESTED_IP, Shape::Address),
        51 => (DHCP_LEASE, Shape::Time),
        53 => (DHCP_MESSAGE_TYPE, Shape::Number),
        54 => (DHCP_SERVER_ID, Shape::Address),
        56 => (DHCP_MESSAGE, Shape::Text),
        57 => (DHCP_MAX_SIZE, Shape::Number),
        58 => (DHCP_RENEWAL, Shape::Time),
        59 => (DHCP_REBINDING, Shape::Time),
        60 => (DHCP_VENDOR, Shape::Text),
        _ => (DHCP_OPTION_VALUE, Shape::Other),
    }
}

/// Wireshark's name of an option.
fn option_name(code: u8) -> &'static str {
    match code {
        0 => "Padding",
        1 => "Subnet Mask",
        2 => "Time Offset",
        3 => "Router",
        6 => "Domain Name Server",
        12 => "Host Name",
        15 => "Domain Name",
        26 => "Interface MTU",
        28 => "Broadcast Address",
        33 => "Static Route",
        42 => "Network Time Protocol Servers",
        43 => "Vendor-Specific Information",
        50 => "Requested IP Address",
        51 => "IP Address Lease Time",
        53 => "DHCP Message Type",
        54 => "DHCP Server Identifier",
        55 => "Parameter Request List",
        56 => "Message",
        57 => "Maximum DHCP Message Size",
        58 => "Renewal Time Value",
        59 => "Rebinding Time Value",
        60 => "Vendor class identifier",
        61 => "Client identifier",
        66 => "TFTP Server Name",
        67 => "Bootfile name",
        77 => "User Class Information",
        119 => "Domain Search",
        121 => "Classless Static Route",
        255 => "End",
        _ => "Unknown",
    }
}

fn message_name(v: u8) -> &'static str {
    match v {
        1 => "Discover",
        2 => "Offer",
        3 => "Request",
        4 => "Decline",
        5 => "ACK",
        6 => "NAK",
        7 => "Release",
        8 => "Inform",
        _ => "Unknown",
    }
}
