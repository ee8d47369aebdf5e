//! DNS: `1+ A? www.example.com. (33)`.

use super::Out;
use crate::dns_record::{Name, name, type_name};
use crate::header::Header;

pub(super) fn domain(out: &mut Out<'_>, o: &[u8], multicast: bool) {
    if o.len() < 12 {
        return out.put(format!("domain [length {} < 12] (invalid)", o.len()));
    }
    if message(out, o, multicast).is_none() {
        return out.put(" [|domain]");
    }
    out.put(format!(" ({})", o.len()));
}

fn message(out: &mut Out<'_>, o: &[u8], multicast: bool) -> Option<()> {
    let mut h = Header::bare(o);
    let id = h.u16(0)?;
    let bits = h.u16(2)?;
    let [questions, answers, authorities, additional] = [h.u16(4)?, h.u16(6)?, h.u16(8)?, h.u16(10)?];
    let op = operation(bits >> 11 & 15);
    let mut at = 12;
    if bits & 0x8000 == 0 {
        let plus = if bits & 0x0100 != 0 { "+" } else { "" };
        let percent = if bits & 0x0010 != 0 { "%" } else { "" };
        out.put(format!("{id}{op}{plus}{percent}"));
        if bits & 0x06cf != 0 {
            out.put(format!(" [b2&3=0x{bits:x}]"));
        }
        let odd = [(answers, 0, "a"), (questions, 1, "q"), (authorities, 0, "n"), (additional, 0, "au")];
        for (count, usual, word) in odd {
            if count != usual {
                out.put(format!(" [{count}{word}]"));
            }
        }
        for _ in 0..questions {
            at = question(out, &mut h, at, multicast)?;
        }
        return Some(());
    }
    let marks = [
        if bits & 0x0400 != 0 { "*" } else { "" },
        if bits & 0x0080 != 0 { "" } else { "-" },
        if bits & 0x0200 != 0 { "|" } else { "" },
        if bits & 0x0020 != 0 { "$" } else { "" },
    ];
    out.put(format!("{id}{op}{}{}", result(bits & 15), marks.concat()));
    if questions != 1 {
        out.put(format!(" [{questions}q]"));
    }
    for _ in 0..questions {
        at += name(&mut h, 0, at)?.len + 4;
    }
    out.put(format!(" {answers}/{authorities}/{additional}"));
    for i in 0..answers {
        if i > 0 {
            out.put(",");
        }
        at = record(out, &mut h, at, multicast)?;
    }
    Some(())
}

/// A name with its final point.
fn full(text: &str) -> String {
    if text == "<Root>" { ".".to_string() } else { format!("{text}.") }
}

fn question(out: &mut Out<'_>, h: &mut Header<'_>, at: usize, multicast: bool) -> Option<usize> {
    let Name { text, len, .. } = name(h, 0, at)?;
    let kind = h.u16(at + len)?;
    let bits = h.u16(at + len + 2)?;
    out.put(format!(" {}", kind_name(kind)));
    let class = if multicast { bits & 0x7fff } else { bits };
    if class != 1 {
        out.put(format!(" {}", class_name(class)));
    }
    if multicast {
        out.put(if bits & 0x8000 != 0 { " (QU)" } else { " (QM)" });
    }
    out.put(format!("? {}", full(&text)));
    Some(at + len + 4)
}

fn record(out: &mut Out<'_>, h: &mut Header<'_>, at: usize, multicast: bool) -> Option<usize> {
    let Name { text, len, .. } = name(h, 0, at)?;
    if out.options.verbose {
        out.put(format!(" {}", full(&text)));
    }
    let kind = h.u16(at + len)?;
    let bits = h.u16(at + len + 2)?;
    let size = usize::from(h.u16(at + len + 8)?);
    let data = at + len + 10;
    h.peek(data, size)?;
    let class = if multicast { bits & 0x7fff } else { bits };
    if class != 1 && kind != 41 {
        out.put(format!(" {}", class_name(class)));
    }
    if multicast && bits & 0x8000 != 0 {
        out.put(" (Cache flush)");
    }
    out.put(format!(" {}", kind_name(kind)));
    match kind {
        1 => out.put(format!(" {}", crate::ipv4::address(h.peek(data, 4)?))),
        28 => out.put(format!(" {}", super::ip6(h.peek(data, 16)?, 0))),
        2 | 5 | 12 | 39 => out.put(format!(" {}", full(&name(h, 0, data)?.text))),
        15 => {
            let text = full(&name(h, 0, data + 2)?.text);
            out.put(format!(" {text} {}", h.u16(data)?));
        }
        16 => {
            let mut o = data;
            while o < data + size {
                let len = usize::from(h.u8(o)?);
                out.put(format!(" \"{}\"", String::from_utf8_lossy(h.peek(o + 1, len)?)));
                o += 1 + len;
            }
        }
        33 => {
            let text = full(&name(h, 0, data + 6)?.text);
            out.put(format!(" {text}:{} {} {}", h.u16(data + 4)?, h.u16(data)?, h.u16(data + 2)?));
        }
        6 if out.options.verbose => {
            let mname = name(h, 0, data)?;
            let rname = name(h, 0, data + mname.len)?;
            let o = data + mname.len + rname.len;
            out.put(format!(" {} {}", full(&mname.text), full(&rname.text)));
            for i in 0..5 {
                out.put(format!(" {}", h.u32(o + 4 * i)?));
            }
        }
        41 => {
            out.put(format!(" UDPsize={class}"));
            if h.u16(at + len + 6)? & 0x8000 != 0 {
                out.put(" DO");
            }
        }
        _ => {}
    }
    Some(data + size)
}

fn kind_name(kind: u16) -> String {
    match kind {
        // Newer than tcpdump's table.
        64 | 65 | 257 => format!("Type{kind}"),
        kind => match type_name(kind) {
            name if name.starts_with("Unknown") => format!("Type{kind}"),
            name => name,
        },
    }
}

fn class_name(class: u16) -> String {
    match class {
        3 => "CHAOS".to_string(),
        4 => "HS".to_string(),
        255 => "ANY".to_string(),
        class => format!("(Class {class})"),
    }
}

fn operation(v: u16) -> &'static str {
    match v {
        1 => " inv_q",
        2 => " stat",
        3 => " op3",
        4 => " notify",
        5 => " update",
        6 => " op6",
        _ => "",
    }
}

fn result(v: u16) -> &'static str {
    match v {
        1 => " FormErr",
        2 => " ServFail",
        3 => " NXDomain",
        4 => " NotImp",
        5 => " Refused",
        6 => " YXDomain",
        7 => " YXRRSet",
        8 => " NXRRSet",
        9 => " NotAuth",
        10 => " NotZone",
        _ => "",
    }
}
