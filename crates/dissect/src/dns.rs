//! DNS (RFC 1035) and multicast DNS (RFC 6762): over UDP, and over TCP with a length before each message.

use crate::context::Reply;
use crate::dns_record::{Name, name, record, type_long, type_name};
use crate::fields::*;
use crate::header::{Header, Walk};
use crate::tree::{LayerLetter, Value};

/// What carries a message.
#[derive(Clone, Copy)]
pub(crate) enum Over {
    /// UDP, port 53.
    Udp,
    /// UDP, port 5353.
    Multicast,
    /// TCP, behind two octets of length; with the query that this answers.
    Tcp(Option<Reply>),
}

/// Octets of the header.
pub(crate) const HEADER: usize = 12;

/// Identifier, and whether it is a response.
pub(crate) fn peek(message: &[u8]) -> Option<(u16, bool)> {
    let o = message.get(..HEADER)?;
    Some((u16::from_be_bytes([o[0], o[1]]), o[2] & 0x80 != 0))
}

pub(crate) fn dns(w: &mut Walk<'_>, start: usize, end: usize, over: Over) {
    let mut h = w.header(start, end);
    let multicast = matches!(over, Over::Multicast);
    let (protocol, column) = if multicast { ("mdns", "MDNS") } else { ("dns", "DNS") };
    // Positions inside a message count from behind the length.
    let base = match over {
        Over::Tcp(_) => {
            h.uint(DNS_LENGTH, 0, 2);
            2
        }
        _ => 0,
    };
    let reply = match over {
        Over::Tcp(reply) => reply,
        _ => w.context.udp().and_then(|c| c.reply).filter(|_| w.depth == 0),
    };
    let repeated = w.context.udp().is_some_and(|c| c.repeated);
    let id = h.uint(DNS_ID, base, 2);
    let Some(bits) = h.u16(base + 2) else {
        if w.writes() {
            w.columns.set(column, "[Malformed Packet]");
        }
        w.layer(LayerLetter::Application, protocol, || "Domain Name System".to_string(), h, end - start);
        return;
    };
    let response = bits & 0x8000 != 0;
    let opcode = opcode_name(bits >> 11 & 15);
    let rcode = rcode_name(bits & 15);
    let mut info = match response {
        true => format!("{opcode} response 0x{:04x}", id.unwrap_or(0)),
        false => format!("{opcode} 0x{:04x}", id.unwrap_or(0)),
    };
    if response && bits & 15 != 0 {
        info.push(' ');
        info += rcode;
    }
    flags(&mut h, base + 2, bits, opcode, rcode);
    let mut counts = [0; 4];
    let defs = [DNS_QUERIES, DNS_ANSWERS, DNS_AUTH_RR, DNS_ADD_RR];
    for (i, def) in defs.into_iter().enumerate() {
        counts[i] = h.uint(def, base + 4 + 2 * i, 2).unwrap_or(0);
    }
    let mut at = base + HEADER;
    let mut fine = !h.short;
    let lists = [DNS_QUERY_LIST, DNS_ANSWER_LIST, DNS_AUTH_LIST, DNS_ADD_LIST];
    for (i, (def, count)) in lists.into_iter().zip(counts).enumerate() {
        if count == 0 || !fine {
            continue;
        }
        let first = at;
        h.open(def, at, 0, Value::None, String::new);
        for _ in 0..count {
            let next = match i {
                0 => question(&mut h, base, at, multicast, &mut info),
                _ => record(&mut h, base, at, multicast, &mut info),
            };
            let Some(next) = next else {
                w.note(NOTE_BAD_NAME, protocol, start + at, end);
                fine = false;
                break;
            };
            at = next;
        }
        let limit = h.len();
        let place = h.start;
        if let Some(group) = h.group() {
            group.end = (place + at.min(limit)).max(group.start);
        }
        h.close();
        let _ = first;
    }
    if response {
        match reply {
            Some(reply) => {
                h.derive(DNS_RESPONSE_TO, 0, Value::Uint(reply.frame));
                h.derive(DNS_TIME, 0, Value::Nanos(reply.after));
            }
            None if !multicast && w.depth == 0 && w.context.number != 0 && !repeated => {
                h.derive(DNS_UNSOLICITED, 0, Value::Bool(true));
            }
            None => {}
        }
    }
    if w.writes() {
        if !fine {
            info += "[Malformed Packet]";
        }
        w.columns.set(column, &*info);
        w.columns.label(format!("{column} {info}"));
    }
    let word = if response { "response" } else { "query" };
    let title = || match multicast {
        true => format!("Multicast Domain Name System ({word})"),
        false => format!("Domain Name System ({word})"),
    };
    w.layer(LayerLetter::Application, protocol, title, h, end - start);
}

fn flags(h: &mut Header<'_>, at: usize, bits: u16, opcode: &'static str, rcode: &'static str) {
    let response = bits & 0x8000 != 0;
    h.open(DNS_FLAGS, at, 2, Value::Uint(bits.into()), || match response {
        true => format!("0x{bits:04x} {opcode} response, {rcode}"),
        false => format!("0x{bits:04x} {opcode}"),
    });
    let mut flag = |def: Def, bit: u16, yes: &str, no: &str| {
        let set = bits & bit != 0;
        h.add(def, at, 2, Value::Bool(set), || if set { yes } else { no }.to_string());
    };
    flag(DNS_RESPONSE, 0x8000, "Message is a response", "Message is a query");
    let number = bits >> 11 & 15;
    h.add(DNS_OPCODE, at, 2, Value::Uint(number.into()), || format!("{opcode} ({number})"));
    let mut flag = |def: Def, bit: u16, yes: &str, no: &str| {
        let set = bits & bit != 0;
        h.add(def, at, 2, Value::Bool(set), || if set { yes } else { no }.to_string());
    };
    if response {
        let words = ("Server is an authority for domain", "Server is not an authority for domain");
        flag(DNS_AUTHORITATIVE, 0x0400, words.0, words.1);
    }
    flag(DNS_TRUNCATED, 0x0200, "Message is truncated", "Message is not truncated");
    flag(DNS_RECDESIRED, 0x0100, "Do query recursively", "Don't do query recursively");
    if response {
        let words = ("Server can do recursive queries", "Server can't do recursive queries");
        flag(DNS_RECAVAIL, 0x0080, words.0, words.1);
    }
    flag(DNS_Z, 0x0040, "reserved - incorrect!", "reserved (0)");
    if response {
        let yes = "Answer/authority portion was authenticated by the server";
        let no = "Answer/authority portion was not authenticated by the server";
        flag(DNS_AUTHENTICATED, 0x0020, yes, no);
    } else if bits & 0x0020 != 0 {
        flag(DNS_AD, 0x0020, "Set", "Not set");
    }
    flag(DNS_CHECKDISABLE, 0x0010, "Acceptable", "Unacceptable");
    if response {
        let number = bits & 15;
        h.add(DNS_RCODE, at, 2, Value::Uint(number.into()), || format!("{rcode} ({number})"));
    }
    h.close();
}

/// A question; answers where it ends, or nothing if its name is malformed.
fn question(h: &mut Header<'_>, base: usize, at: usize, multicast: bool, info: &mut String) -> Option<usize> {
    let Name { text, len, labels } = name(h, base, at)?;
    let kind = h.u16(at + len)?;
    let bits = h.u16(at + len + 2)?;
    let class = if multicast { bits & 0x7fff } else { bits };
    *info += &format!(" {} {text}", type_name(kind));
    if multicast {
        // RFC 6762 5.4: the highest bit asks for a unicast answer.
        *info += if bits & 0x8000 != 0 { ", \"QU\" question" } else { ", \"QM\" question" };
    }
    h.open(LINE, at, len + 4, Value::None, String::new);
    if let Some(f) = h.group() {
        f.label = format!("{text}: type {}, class {}", type_name(kind), class_name(class)).into();
    }
    h.add(DNS_QRY_NAME, at, len, Value::Text(text.clone()), || text.clone());
    h.add(DNS_QRY_NAME_LEN, at, len, Value::Uint(text_len(&text)), || text_len(&text).to_string());
    h.generated();
    h.add(DNS_LABELS, at, len, Value::Uint(labels), || labels.to_string());
    h.generated();
    h.number(DNS_QRY_TYPE, at + len, 2, |v| format!("{} ({v})", type_long(v as u16)));
    h.add(DNS_QRY_CLASS, at + len + 2, 2, Value::Uint(class.into()), || {
        format!("{} (0x{class:04x})", class_name(class))
    });
    if multicast {
        let unicast = bits & 0x8000 != 0;
        let word = if unicast { "True" } else { "False" };
        h.add(DNS_QU, at + len + 2, 2, Value::Bool(unicast), || word.to_string());
    }
    h.close();
    Some(at + len + 4)
}

/// Characters of a name as Wireshark counts them: the root has none.
fn text_len(text: &str) -> u64 {
    if text == "<Root>" { 0 } else { text.len() as u64 }
}

fn opcode_name(opcode: u16) -> &'static str {
    match opcode {
        0 => "Standard query",
        1 => "Inverse query",
        2 => "Server status request",
        4 => "Zone change notification",
        5 => "Dynamic update",
        6 => "DNS Stateful operations",
        _ => "Unknown operation",
    }
}

fn rcode_name(rcode: u16) -> &'static str {
    match rcode {
        0 => "No error",
        1 => "Format error",
        2 => "Server failure",
        3 => "No such name",
        4 => "Not implemented",
        5 => "Refused",
        6 => "Name exists",
        7 => "RRset exists",
        8 => "RRset does not exist",
        9 => "Not authoritative",
        10 => "Name out of zone",
        _ => "Unknown error",
    }
}

pub(crate) fn class_name(class: u16) -> &'static str {
    match class {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        _ => "Unknown",
    }
}
