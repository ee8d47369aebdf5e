//! ICMPv6 with neighbour and listener discovery.

use super::ip::{Carrier, should_be};
use super::{Out, byte, ip6, long, word};
use crate::dns_record::name;
use crate::header::{Header, mac};

pub(super) fn icmp6(out: &mut Out<'_>, o: &[u8], carrier: Carrier<'_>) {
    let Some([kind, code]) = o.first_chunk::<2>().copied() else {
        return out.put("ICMP6, length 0 (invalid)");
    };
    let verbose = out.options.verbose;
    if verbose && !carrier.fragment {
        let own = word(o, 2);
        out.put(match carrier.sum(58, o) {
            0xffff => "[icmp6 sum ok] ".to_string(),
            sum => format!("[bad icmp6 cksum 0x{own:04x} -> 0x{:04x}!] ", should_be(own, sum)),
        });
    }
    let name = match kind {
        1 => "destination unreachable".to_string(),
        2 => "packet too big".to_string(),
        3 => "time exceeded in-transit".to_string(),
        4 => "parameter problem".to_string(),
        128 => "echo request".to_string(),
        129 => "echo reply".to_string(),
        130 => "multicast listener query".to_string(),
        131 => "multicast listener report".to_string(),
        132 => "multicast listener done".to_string(),
        133 => "router solicitation".to_string(),
        134 => "router advertisement".to_string(),
        135 => "neighbor solicitation".to_string(),
        136 => "neighbor advertisement".to_string(),
        137 => "redirect".to_string(),
        143 => "multicast listener report v2".to_string(),
        kind => format!("unknown icmp6 type ({kind})"),
    };
    out.put(format!("ICMP6, {name}"));
    if verbose && matches!(kind, 133..=137) {
        out.put(format!(", length {}", o.len()));
    }
    match kind {
        1 => unreachable(out, o, code),
        2 => out.put(format!(", mtu {}", long(o, 4))),
        3 if code == 0 => out.put(format!(" for {}", ip6(o, 32))),
        3 if code == 1 => out.put(" (reassembly)"),
        3 => out.put(format!(", unknown code ({code})")),
        4 => {
            let word = match code {
                0 => "erroneous",
                1 => "next header",
                2 => "option",
                _ => "code",
            };
            out.put(format!(", {word} - octet {}", long(o, 4)));
        }
        128 | 129 => out.put(format!(", id {}, seq {}", word(o, 4), word(o, 6))),
        130 if o.len() >= 28 => query_v2(out, o),
        130..=132 => {
            out.put(format!("max resp delay: {} addr: {}", word(o, 4), ip6(o, 8)));
        }
        133 => options(out, o, 8),
        134 => advertisement(out, o),
        135 => {
            out.put(format!(", who has {}", ip6(o, 8)));
            options(out, o, 24);
        }
        136 => {
            out.put(format!(", tgt is {}", ip6(o, 8)));
            if verbose {
                let flags = byte(o, 4);
                let words = [(0x80, "router"), (0x40, "solicited"), (0x20, "override")];
                out.put(format!(", Flags [{}]", list(&words, flags)));
                options(out, o, 24);
            }
        }
        137 => {
            out.put(format!(", {} to {}", ip6(o, 24), ip6(o, 8)));
            options(out, o, 40);
        }
        143 => report_v2(out, o),
        _ => return out.put(format!(", length {}", o.len())),
    }
    if !verbose {
        out.put(format!(", length {}", o.len()));
    }
}

fn list(words: &[(u8, &str)], flags: u8) -> String {
    let set: Vec<_> = words.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word).collect();
    if set.is_empty() { "none".to_string() } else { set.join(", ") }
}

/// What could not be reached: the quoted packet begins at 8.
fn unreachable(out: &mut Out<'_>, o: &[u8], code: u8) {
    let dst = ip6(o, 32);
    match code {
        0 => out.put(format!(", unreachable route {dst}")),
        1 => out.put(format!(",  unreachable prohibited {dst}")),
        2 => out.put(format!(", beyond scope {dst}, source address {}", ip6(o, 16))),
        3 => out.put(format!(", unreachable address {dst}")),
        4 => {
            let (protocol, port) = (byte(o, 14), word(o, 50));
            out.put(match protocol {
                6 => format!(", unreachable port, {dst} tcp port {port}"),
                17 => format!(", unreachable port, {dst} udp port {port}"),
                _ => ", unreachable port[|icmp6]".to_string(),
            });
        }
        code => out.put(format!(", unknown unreach code ({code})")),
    }
}

fn advertisement(out: &mut Out<'_>, o: &[u8]) {
    if !out.options.verbose {
        return;
    }
    let flags = byte(o, 5);
    let words = [(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")];
    let preference = ["medium", "high", "*reserved*", "low"][usize::from(flags >> 3 & 3)];
    out.put(format!(
        "\n\thop limit {}, Flags [{}], pref {preference}, router lifetime {}s, reachable time {}ms, retrans timer {}ms",
        byte(o, 4),
        list(&words, flags),
        word(o, 6),
        long(o, 8),
        long(o, 12)
    ));
    options(out, o, 16);
}

fn lifetime(v: u32) -> String {
    if v == u32::MAX { "infinity".to_string() } else { format!("{v}s") }
}

fn options(out: &mut Out<'_>, o: &[u8], mut at: usize) {
    if !out.options.verbose {
        return;
    }
    while at + 2 <= o.len() {
        let (kind, units) = (byte(o, at), usize::from(byte(o, at + 1)));
        let Some(own) = o.get(at..at + 8 * units).filter(|own| !own.is_empty()) else {
            return out.put("[|icmp6]");
        };
        let name = match kind {
            1 => "source link-address",
            2 => "destination link-address",
            3 => "prefix info",
            4 => "redirected header",
            5 => "mtu",
            25 => "rdnss",
            31 => "dnssl",
            _ => "unknown",
        };
        out.put(format!("\n\t  {name} option ({kind}), length {} ({units}): ", 8 * units));
        match kind {
            1 | 2 => out.put(mac(&own[2..])),
            3 if units == 4 => {
                let flags = [(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
                out.put(format!(
                    "{}/{}, Flags [{}], valid time {}, pref. time {}",
                    ip6(own, 16),
                    own[2],
                    list(&flags, own[3]),
                    lifetime(long(own, 4)),
                    lifetime(long(own, 8))
                ));
            }
            5 => out.put(format!(" {}", long(own, 4))),
            25 => {
                out.put(format!(" lifetime {}s,", long(own, 4)));
                for i in 0..(units - 1) / 2 {
                    out.put(format!(" addr: {}", ip6(own, 8 + 16 * i)));
                }
            }
            31 => {
                out.put(format!(" lifetime {}s, domain(s):", long(own, 4)));
                let mut h = Header::bare(own);
                let mut place = 8;
                while own.get(place).is_some_and(|v| *v != 0) {
                    let Some(n) = name_at(&mut h, place) else { break };
                    out.put(format!(" {}.", n.0));
                    place += n.1;
                }
            }
            _ => {}
        }
        at += 8 * units;
    }
}

fn name_at(h: &mut Header<'_>, at: usize) -> Option<(String, usize)> {
    name(h, 0, at).map(|n| (n.text, n.len))
}

fn query_v2(out: &mut Out<'_>, o: &[u8]) {
    out.put(" v2");
    let code = word(o, 4);
    // RFC 3810 5.1.3.
    let delay = match code {
        v if v < 32_768 => u32::from(v),
        v => (u32::from(v & 0x0fff) | 0x1000) << ((v >> 12 & 7) + 3),
    };
    if out.options.verbose {
        out.put(match delay {
            0..1000 => format!(" [max resp delay={delay}ms]"),
            _ => format!(" [max resp delay={delay}]"),
        });
    }
    out.put(format!(" [gaddr {}", ip6(o, 8)));
    if out.options.verbose {
        let flags = byte(o, 24);
        if flags & 8 != 0 {
            out.put(" sflag");
        }
        if flags & 7 != 0 {
            out.put(format!(" robustness={}", flags & 7));
        }
        let qqi = match byte(o, 25) {
            v if v < 128 => u32::from(v),
            v => (u32::from(v & 0x0f) | 0x10) << ((v >> 4 & 7) + 3),
        };
        out.put(format!(" qqi={qqi}"));
    }
    if word(o, 26) > 0 {
        out.put(format!(", {} source(s)", word(o, 26)));
    }
    out.put("]");
}

fn report_v2(out: &mut Out<'_>, o: &[u8]) {
    let count = word(o, 6);
    out.put(format!(", {count} group record(s)"));
    if !out.options.verbose {
        return;
    }
    let mut at = 8;
    for _ in 0..count {
        if at + 20 > o.len() {
            return out.put(" [invalid number of groups]");
        }
        let kind = match byte(o, at) {
            1 => "is_in".to_string(),
            2 => "is_ex".to_string(),
            3 => "to_in".to_string(),
            4 => "to_ex".to_string(),
            5 => "allow".to_string(),
            6 => "block".to_string(),
            kind => format!(" [v2-report-#{kind}]"),
        };
        let sources = usize::from(word(o, at + 2));
        out.put(format!(" [gaddr {} {kind}, {sources} source(s)]", ip6(o, at + 4)));
        at += 20 + 16 * sources;
    }
}
