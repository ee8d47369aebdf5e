//! TCP and UDP, and HTTP as tcpdump sees it: text in a segment.

use super::ip::{Carrier, should_be};
use super::{Out, byte, domain, long, options, word};
use crate::header::mac;

pub(super) fn tcp(out: &mut Out<'_>, o: &[u8], carrier: Carrier<'_>) {
    if o.len() < 4 {
        return out.put(carrier.short("tcp"));
    }
    let (from, to) = (word(o, 0), word(o, 2));
    out.put(carrier.ports(from, to));
    if o.len() < 20 {
        return out.put("[|tcp]");
    }
    let header = usize::from(byte(o, 12) >> 4) * 4;
    if header < 20 {
        let len = (o.len() as u32).wrapping_sub(header as u32);
        return out.put(format!(" tcp {len} [bad hdr length {header} - too short, < 20]"));
    }
    let flags = byte(o, 13);
    let letters = [
        (0x01, 'F'),
        (0x02, 'S'),
        (0x04, 'R'),
        (0x08, 'P'),
        (0x10, '.'),
        (0x20, 'U'),
        (0x40, 'E'),
        (0x80, 'W'),
    ];
    let shown: String = letters.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, l)| *l).collect();
    out.put(format!("Flags [{}]", if shown.is_empty() { "none" } else { &shown }));
    if header > o.len() {
        return out.put(format!(" [bad hdr length {header} - too long, > {}]", o.len()));
    }
    if out.options.verbose && !carrier.fragment {
        let own = word(o, 16);
        let sum = carrier.sum(6, o);
        out.put(match sum {
            0xffff => format!(", cksum 0x{own:04x} (correct)"),
            sum => format!(", cksum 0x{own:04x} (incorrect -> 0x{:04x})", should_be(own, sum)),
        });
    }
    let (mut seq, mut ack) = (long(o, 4), long(o, 8));
    let base = out.context.tcp().and_then(|c| c.dump);
    let base = base.filter(|_| !out.options.absolute && !out.quoted);
    if let Some((own, other)) = base {
        (seq, ack) = (seq.wrapping_sub(own), ack.wrapping_sub(other));
    }
    let len = o.len() - header;
    if len > 0 {
        out.put(format!(", seq {seq}:{}", seq.wrapping_add(len as u32)));
    } else if flags & 0x07 != 0 {
        out.put(format!(", seq {seq}"));
    }
    if flags & 0x10 != 0 {
        out.put(format!(", ack {ack}"));
    }
    out.put(format!(", win {}", word(o, 14)));
    if flags & 0x20 != 0 {
        out.put(format!(", urg {}", word(o, 18)));
    }
    if header > 20 {
        // Where the conversation begins in the capture, ranges are relative already, though nothing else is.
        let first = flags & 0x10 != 0 && base.is_none() && !out.options.absolute && !out.quoted;
        let other = base.map_or(if first { long(o, 8).wrapping_sub(1) } else { 0 }, |(_, other)| other);
        out.put(format!(", options [{}]", options::list(&o[20..header], other)));
    }
    out.put(format!(", length {len}"));
    let payload = &o[header..];
    if payload.is_empty() {
        return;
    }
    if flags & 0x04 != 0 && out.options.verbose {
        let text: String = payload.iter().map(|c| shown_char(*c)).collect();
        return out.put(format!(" [RST {text}]"));
    }
    if [from, to].iter().any(|p| matches!(p, 80 | 8080)) {
        out.put(": ");
        http(out, payload);
    } else if from == 53 || to == 53 {
        over_tcp(out, payload);
    }
}

fn shown_char(c: u8) -> char {
    if c.is_ascii_graphic() || c == b' ' { char::from(c) } else { '.' }
}

/// DNS over TCP: only where a message is exactly one segment.
fn over_tcp(out: &mut Out<'_>, o: &[u8]) {
    if o.len() < 2 {
        return out.put(format!(" [DNS over TCP: length {} < 2] (invalid)", o.len()));
    }
    let (stated, len) = (usize::from(word(o, 0)), o.len() - 2);
    if stated != len {
        return out.put(format!(" [prefix length({stated}) != length({len})] (invalid)"));
    }
    out.put(" ");
    domain::domain(out, &o[2..], false);
}

pub(super) fn udp(out: &mut Out<'_>, o: &[u8], carrier: Carrier<'_>) {
    if o.len() < 4 {
        return out.put(carrier.short("udp"));
    }
    let (from, to) = (word(o, 0), word(o, 2));
    out.put(carrier.ports(from, to));
    if o.len() < 8 {
        return out.put(format!("truncated-udp {}", o.len()));
    }
    let stated = usize::from(word(o, 4));
    if stated < 8 {
        return out.put(format!("truncated-udplength {stated}"));
    }
    let len = (stated - 8).min(o.len() - 8);
    let payload = &o[8..8 + len];
    // For IPv4 tcpdump checks only with -vv.
    if out.options.verbose && !carrier.fragment && carrier.version == 6 {
        let own = word(o, 6);
        out.put(match carrier.sum(17, &o[..8 + len]) {
            0xffff => "[udp sum ok] ".to_string(),
            sum => format!("[bad udp cksum 0x{own:04x} -> 0x{:04x}!] ", should_be(own, sum)),
        });
    }
    let has = |port: u16| from == port || to == port;
    if has(53) {
        domain::domain(out, payload, false);
    } else if has(5353) {
        domain::domain(out, payload, true);
    } else if has(67) || has(68) {
        bootp(out, payload);
    } else if stated > carrier.reported && !carrier.fragment {
        out.put(format!("UDP, bad length {} > {}", stated - 8, carrier.reported.saturating_sub(8)));
    } else {
        out.put(format!("UDP, length {}", stated - 8));
    }
}

/// Methods that tcpdump takes for the beginning of a request.
const METHODS: [&str; 25] = [
    "GET", "PUT", "COPY", "HEAD", "LOCK", "MOVE", "POLL", "POST", "BCOPY", "BMOVE", "MKCOL", "TRACE",
    "LABEL", "MERGE", "DELETE", "SEARCH", "UNLOCK", "REPORT", "UPDATE", "NOTIFY", "BDELETE", "CONNECT",
    "OPTIONS", "CHECKIN", "PROPFIND",
];

fn http(out: &mut Out<'_>, o: &[u8]) {
    out.put("HTTP");
    let (first, rest) = token(o, 0);
    let method = METHODS.iter().any(|m| first.eq_ignore_ascii_case(m.as_bytes()));
    let (second, _) = token(o, rest);
    let code = !first.is_empty() && second.len() == 3 && second.iter().all(u8::is_ascii_digit);
    if !method && !code {
        return;
    }
    if !out.options.verbose {
        out.put(": ");
        text_line(out, o, 0, "");
        return;
    }
    out.put(format!(", length: {}", o.len()));
    let mut at = 0;
    while at < o.len() {
        match text_line(out, o, at, "\n\t") {
            Some(next) => at = next,
            None => break,
        }
    }
}

/// A word, and where the next one begins.
fn token(o: &[u8], at: usize) -> (&[u8], usize) {
    let rest = o.get(at..).unwrap_or_default();
    let len = rest.iter().take_while(|c| c.is_ascii_graphic()).count();
    let blanks = rest[len..].iter().take_while(|c| **c == b' ').count();
    // A word ends with a blank or the line; 128 is tcpdump's limit.
    let ended = rest.get(len).is_none_or(|c| b" \t\r\n".contains(c));
    if ended && len < 128 { (&rest[..len], at + len + blanks) } else { (&[], at) }
}

/// A line of printable text; answers where the next one begins. What is not text at all is left out.
fn text_line(out: &mut Out<'_>, o: &[u8], start: usize, before: &str) -> Option<usize> {
    let rest = &o[start..];
    let len = rest.iter().take_while(|c| c.is_ascii_graphic() || matches!(c, b' ' | b'\t')).count();
    let text = String::from_utf8_lossy(&rest[..len]);
    match rest[len..] {
        [b'\n', ..] => {
            out.put(format!("{before}{text}"));
            Some(start + len + 1)
        }
        [b'\r', b'\n', ..] => {
            out.put(format!("{before}{text}"));
            Some(start + len + 2)
        }
        [] => {
            out.put(format!("{before}{text} [|http]"));
            None
        }
        _ => None,
    }
}

/// DHCP, in one line or with all options.
fn bootp(out: &mut Out<'_>, o: &[u8]) {
    out.put("BOOTP/DHCP, ");
    if o.len() < 236 {
        return out.put("[|bootp]");
    }
    let ethernet = (byte(o, 1), byte(o, 2)) == (1, 6);
    match byte(o, 0) {
        1 if ethernet => out.put(format!("Request from {}", mac(&o[28..34]))),
        1 => out.put("Request"),
        2 => out.put("Reply"),
        op => out.put(format!("unknown ({op})")),
    }
    out.put(format!(", length {}", o.len()));
    if !out.options.verbose {
        return;
    }
    if byte(o, 3) != 0 {
        out.put(format!(", hops {}", byte(o, 3)));
    }
    out.put(format!(", xid 0x{:x}", long(o, 4)));
    if word(o, 8) != 0 {
        out.put(format!(", secs {}", word(o, 8)));
    }
    let flags = word(o, 10);
    out.put(format!(", Flags [{}]", if flags & 0x8000 != 0 { "Broadcast" } else { "none" }));
    if flags & 0x7fff != 0 {
        out.put(format!(" (0x{flags:04x})"));
    }
    for (at, name) in [(12, "Client"), (16, "Your"), (20, "Server"), (24, "Gateway")] {
        if long(o, at) != 0 {
            out.put(format!("\n\t  {name}-IP {}", super::ip4(o, at)));
        }
    }
    if ethernet {
        out.put(format!("\n\t  Client-Ethernet-Address {}", mac(&o[28..34])));
    }
    for (at, len, name) in [(44, 64, "sname"), (108, 128, "file")] {
        let text = o[at..at + len].split(|c| *c == 0).next().unwrap_or_default();
        if !text.is_empty() {
            out.put(format!("\n\t  {name} \"{}\"", String::from_utf8_lossy(text)));
        }
    }
    if long(o, 236) == 0x6382_5363 {
        out.put("\n\t  Vendor-rfc1048 Extensions\n\t    Magic Cookie 0x63825363");
        options::dhcp(out, o.get(240..).unwrap_or_default());
    }
}
