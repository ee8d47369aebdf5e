//! ICMP and IGMP.

use super::ip::{quoted_v4, should_be};
use super::{Out, byte, ip4, long, word};
use crate::header::ones_sum;

pub(super) fn icmp(out: &mut Out<'_>, o: &[u8], fragment: bool) {
    let Some([kind, code]) = o.first_chunk::<2>().copied() else { return out.put("[|icmp]") };
    // The quoted packet begins at 8: protocol at 17, destination address at 24, then its ports.
    let dst = ip4(o, 24);
    let quoted = byte(o, 17);
    let port = word(o, 8 + usize::from(byte(o, 8) & 0x0f) * 4 + 2);
    let text = match (kind, code) {
        (0, _) => format!("echo reply, id {}, seq {}", word(o, 4), word(o, 6)),
        (8, _) => format!("echo request, id {}, seq {}", word(o, 4), word(o, 6)),
        (3, 0) => format!("net {dst} unreachable"),
        (3, 1) => format!("host {dst} unreachable"),
        (3, 2) => format!("{dst} protocol {quoted} unreachable"),
        (3, 3) => match quoted {
            6 => format!("{dst} tcp port {port} unreachable"),
            17 => format!("{dst} udp port {port} unreachable"),
            _ => format!("{dst} protocol {quoted} port {port} unreachable"),
        },
        (3, 4) => match word(o, 6) {
            0 => format!("{dst} unreachable - need to frag"),
            mtu => format!("{dst} unreachable - need to frag (mtu {mtu})"),
        },
        (3, 5) => format!("{dst} unreachable - source route failed"),
        (3, 6) => format!("net {dst} unreachable - unknown"),
        (3, 7) => format!("host {dst} unreachable - unknown"),
        (3, 8) => format!("{dst} unreachable - source host isolated"),
        (3, 9) => format!("net {dst} unreachable - admin prohibited"),
        (3, 10) => format!("host {dst} unreachable - admin prohibited"),
        (3, 11) => format!("net {dst} unreachable - tos prohibited"),
        (3, 12) => format!("host {dst} unreachable - tos prohibited"),
        (3, 13) => format!("host {dst} unreachable - admin prohibited filter"),
        (3, 14) => format!("host {dst} unreachable - host precedence violation"),
        (3, 15) => format!("host {dst} unreachable - precedence cutoff"),
        (3, code) => format!("{dst} unreachable - #{code}"),
        (5, 0) => format!("redirect {dst} to net {}", ip4(o, 4)),
        (5, 1) => format!("redirect {dst} to host {}", ip4(o, 4)),
        (5, 2) => format!("redirect-tos {dst} to net {}", ip4(o, 4)),
        (5, 3) => format!("redirect-tos {dst} to host {}", ip4(o, 4)),
        (5, code) => format!("redirect-#{code} {dst} to {}", ip4(o, 4)),
        (11, 0) => "time exceeded in-transit".to_string(),
        (11, 1) => "ip reassembly time exceeded".to_string(),
        (11, code) => format!("time exceeded-#{code}"),
        (12, 0) => format!("parameter problem - octet {}", byte(o, 4)),
        (12, code) => format!("parameter problem - code {code}"),
        (4, _) => "source quench".to_string(),
        (9, _) => "router advertisement".to_string(),
        (10, _) => "router solicitation".to_string(),
        (13, _) => format!("time stamp query id {} seq {}", word(o, 4), word(o, 6)),
        (kind, _) => format!("type-#{kind}"),
    };
    out.put(format!("ICMP {text}, length {}", o.len()));
    if !out.options.verbose {
        return;
    }
    let sum = ones_sum(&[o]);
    if sum != 0xffff && !fragment {
        let own = word(o, 2);
        out.put(format!(" (wrong icmp cksum {own:x} (->{:x})!)", should_be(own, sum)));
    }
    if matches!(kind, 3 | 4 | 5 | 11 | 12) {
        let quote = o.get(8..).unwrap_or_default();
        let end = usize::from(word(quote, 2)).min(quote.len());
        out.put("\n\tIP ");
        let outer = out.quoted;
        out.quoted = true;
        quoted_v4(out, quote.get(..end).unwrap_or_default());
        out.quoted = outer;
    }
}

pub(super) fn igmp(out: &mut Out<'_>, o: &[u8]) {
    let Some(kind) = o.first() else { return out.put("[|igmp]") };
    let len = o.len();
    let odd = |out: &mut Out<'_>| {
        if len != 8 {
            out.put(format!(" [len {len}]"));
        }
    };
    match kind {
        0x11 if len >= 12 => query_v3(out, o),
        0x11 => {
            out.put("igmp query");
            match byte(o, 1) {
                0 => out.put(" v1"),
                100 => out.put(" v2"),
                max => out.put(format!(" v2 [max resp time {max}]")),
            }
            if long(o, 4) != 0 {
                out.put(format!(" [gaddr {}]", ip4(o, 4)));
            }
            odd(out);
        }
        0x12 => {
            out.put(format!("igmp v1 report {}", ip4(o, 4)));
            odd(out);
        }
        0x16 => out.put(format!("igmp v2 report {}", ip4(o, 4))),
        0x17 => out.put(format!("igmp leave {}", ip4(o, 4))),
        0x22 => report_v3(out, o),
        kind => out.put(format!("igmp-{kind}")),
    }
    if out.options.verbose && len >= 4 && ones_sum(&[o]) != 0xffff {
        out.put(format!(" bad igmp cksum {:x}!", word(o, 2)));
    }
}

fn query_v3(out: &mut Out<'_>, o: &[u8]) {
    out.put("igmp query v3");
    let code = byte(o, 1);
    // RFC 3376 4.1.1, in tenths of a second.
    let tenths = match code {
        v if v < 128 => u32::from(v),
        v => (u32::from(v & 0x0f) | 0x10) << ((v >> 4 & 7) + 3),
    };
    if code != 100 {
        out.put(" [max resp time ");
        if tenths < 600 {
            out.put(format!("{}.{}s", tenths / 10, tenths % 10));
        } else {
            let seconds = tenths / 10;
            out.put(format!("{}m{}s", seconds / 60, seconds % 60));
        }
        out.put("]");
    }
    if long(o, 4) == 0 {
        return;
    }
    out.put(format!(" [gaddr {}", ip4(o, 4)));
    if word(o, 10) > 0 {
        out.put(format!(", {} source(s)", word(o, 10)));
    }
    out.put("]");
}

fn report_v3(out: &mut Out<'_>, o: &[u8]) {
    out.put("igmp v3 report");
    if o.len() < 16 && o.len() != 8 || !o.len().is_multiple_of(4) {
        return out.put(format!(" [invalid len {}]", o.len()));
    }
    let count = word(o, 6);
    out.put(format!(", {count} group record(s)"));
    if !out.options.verbose {
        return;
    }
    let mut at = 8;
    for _ in 0..count {
        if at + 8 > o.len() {
            return out.put(" [invalid number of groups]");
        }
        let word_of = match byte(o, at) {
            1 => "is_in".to_string(),
            2 => "is_ex".to_string(),
            3 => "to_in".to_string(),
            4 => "to_ex".to_string(),
            5 => "allow".to_string(),
            6 => "block".to_string(),
            kind => format!(" [v3-report-#{kind}]"),
        };
        let sources = usize::from(word(o, at + 2));
        out.put(format!(" [gaddr {} {word_of}, {sources} source(s)]", ip4(o, at + 4)));
        at += 8 + 4 * sources;
    }
}
