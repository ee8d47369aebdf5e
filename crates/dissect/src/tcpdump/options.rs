//! Options of TCP and of DHCP.

use super::{Out, byte, ip4, long, word};
use crate::tcp_options::walk;

/// TCP options between `[` and `]`. `base`: what to subtract from the edges of SACK ranges.
pub(super) fn list(octets: &[u8], base: u32) -> String {
    let mut out = Vec::new();
    for option in walk(octets) {
        let Ok(o) = option else {
            out.push("bad opt".to_string());
            break;
        };
        let body = o.body();
        let hex = |body: &[u8]| body.iter().map(|v| format!("{v:02x}")).collect::<String>();
        out.push(match (o.kind, body.len()) {
            (0, _) => "eol".to_string(),
            (1, _) => "nop".to_string(),
            (2, 2) => format!("mss {}", o.u16(0).unwrap_or(0)),
            (3, 1) => format!("wscale {}", body[0]),
            (4, 0) => "sackOK".to_string(),
            (5, len) if !len.is_multiple_of(8) => "sack invalid sack".to_string(),
            (5, len) => {
                let ranges: String = o
                    .ranges()
                    .map(|(l, r)| format!("{{{}:{}}}", l.wrapping_sub(base), r.wrapping_sub(base)))
                    .collect();
                format!("sack {} {ranges}", len / 8)
            }
            (8, 8) => format!("TS val {} ecr {}", o.u32(0).unwrap_or(0), o.u32(4).unwrap_or(0)),
            (19, 16) => {
                format!("md5 shared secret not supplied with -M, can't check - {}", hex(body))
            }
            (28, 2) => {
                let v = o.u16(0).unwrap_or(0);
                let seconds = if v & 1 != 0 { u32::from(v >> 1) * 60 } else { u32::from(v >> 1) };
                format!("uto 0x{v:x} {seconds}")
            }
            (34, 0) => "tfo  cookiereq".to_string(),
            (34, _) => format!("tfo  cookie {}", hex(body)),
            (254, 2..) => format!("exp-{:04x}", o.u16(0).unwrap_or(0)),
            (kind, 0) => format!("unknown-{kind}"),
            (kind, _) => format!("unknown-{kind} 0x{}", hex(body)),
        });
        if o.kind == 0 {
            break;
        }
    }
    out.join(",")
}

/// DHCP options, one a line.
pub(super) fn dhcp(out: &mut Out<'_>, o: &[u8]) {
    let mut at = 0;
    while let Some(&code) = o.get(at) {
        if code == 0 {
            at += 1;
            continue;
        }
        if code == 255 {
            break;
        }
        let len = usize::from(byte(o, at + 1));
        let (name, shape) = shape(code);
        let name = if name.is_empty() { "Unknown" } else { name };
        out.put(format!("\n\t    {name} ({code}), length {len}: "));
        let Some(value) = o.get(at + 2..at + 2 + len) else { return out.put("[|bootp]") };
        match shape {
            'i' => {
                let list: Vec<_> = (0..len / 4).map(|i| ip4(value, 4 * i)).collect();
                out.put(list.join(","));
            }
            'a' => out.put(format!("\"{}\"", String::from_utf8_lossy(value))),
            'l' => {
                out.put((0..len / 4).map(|i| long(value, 4 * i).to_string()).collect::<Vec<_>>().join(","))
            }
            's' => {
                out.put((0..len / 2).map(|i| word(value, 2 * i).to_string()).collect::<Vec<_>>().join(","))
            }
            'm' => out.put(match byte(value, 0) {
                1 => "Discover",
                2 => "Offer",
                3 => "Request",
                4 => "Decline",
                5 => "ACK",
                6 => "NACK",
                7 => "Release",
                8 => "Inform",
                _ => "Unknown",
            }),
            'p' => {
                for (i, wanted) in value.iter().enumerate() {
                    // Four a line.
                    out.put(if i.is_multiple_of(4) { "\n\t      " } else { ", " });
                    let (name, _) = self::shape(*wanted);
                    match name {
                        "" => out.put(format!("Unknown ({wanted})")),
                        name => out.put(format!("{name} ({wanted})")),
                    }
                }
            }
            'c' if len < 2 => out.put("[ERROR: length < 2 bytes]"),
            'c' if byte(value, 0) == 0 => {
                out.put(format!("\"{}\"", String::from_utf8_lossy(value.get(1..).unwrap_or_default())));
            }
            'c' if byte(value, 0) == 1 => {
                out.put(format!("ether {}", crate::header::mac(value.get(1..).unwrap_or_default())));
            }
            'u' if len < 2 => out.put("[ERROR: length < 2 bytes]"),
            _ => {
                let words: Vec<_> = value.iter().map(ToString::to_string).collect();
                out.put(words.join("."));
            }
        }
        at += 2 + len;
    }
}

/// tcpdump's name of an option and how its value is printed.
fn shape(code: u8) -> (&'static str, char) {
    match code {
        1 => ("Subnet-Mask", 'i'),
        2 => ("Time-Zone", 'l'),
        3 => ("Default-Gateway", 'i'),
        6 => ("Domain-Name-Server", 'i'),
        12 => ("Hostname", 'a'),
        15 => ("Domain-Name", 'a'),
        26 => ("MTU", 's'),
        28 => ("BR", 'i'),
        33 => ("Static-Route", 'i'),
        42 => ("NTP", 'i'),
        43 => ("Vendor-Option", 'o'),
        50 => ("Requested-IP", 'i'),
        51 => ("Lease-Time", 'l'),
        53 => ("DHCP-Message", 'm'),
        54 => ("Server-ID", 'i'),
        55 => ("Parameter-Request", 'p'),
        56 => ("MSG", 'a'),
        57 => ("MSZ", 's'),
        58 => ("RN", 'l'),
        59 => ("RB", 'l'),
        60 => ("Vendor-Class", 'a'),
        61 => ("Client-ID", 'c'),
        66 => ("TFTP", 'a'),
        67 => ("BF", 'a'),
        77 => ("User-Class", 'u'),
        119 => ("Domain-Search", 'o'),
        121 => ("Classless-Static-Route", 'o'),
        _ => ("", 'o'),
    }
}
