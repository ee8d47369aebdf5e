//! The line that tcpdump(1) 4.99 prints for a packet with `-n -t`, also with `-v` and `-S`.

mod domain;
mod icmp;
mod icmp6;
mod ip;
mod options;
mod transport;

use core::net::SocketAddr;
use std::collections::BTreeMap;

use crate::analysis::SegmentNumbers;
use crate::context::Context;
use crate::header::mac;

/// Flags of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-v`: the IP header's fields, checksums, options; several lines, the further ones indented.
    pub verbose: bool,
    /// `-S`: absolute sequence numbers.
    pub absolute: bool,
}

/// First sequence numbers of each conversation: those of the lower end and of the higher.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relative {
    first: BTreeMap<(SocketAddr, SocketAddr), (u32, u32)>,
}

impl Relative {
    /// What to subtract from sequence and acknowledgement number of a segment, if its conversation is known.
    pub(crate) fn push(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        s: &SegmentNumbers,
    ) -> Option<(u32, u32)> {
        if s.flags & 0x010 == 0 {
            return None;
        }
        let forward = from <= to;
        let key = if forward { (from, to) } else { (to, from) };
        match self.first.get(&key) {
            Some((low, high)) if s.flags & 0x002 == 0 => {
                Some(if forward { (*low, *high) } else { (*high, *low) })
            }
            _ => {
                let (own, other) = (s.seq, s.ack.wrapping_sub(1));
                self.first.insert(key, if forward { (own, other) } else { (other, own) });
                None
            }
        }
    }
}

/// What is printed for a frame, without its time.
pub fn line(frame: &[u8], context: &Context, options: Options) -> String {
    let mut out = Out { text: String::new(), context, options, quoted: false };
    let Some(header) = frame.get(..14) else { return "[|ether]".to_string() };
    let kind = u16::from_be_bytes([header[12], header[13]]);
    let body = &frame[14..];
    match kind {
        0x0800 => ip::v4(&mut out, body),
        0x86dd => ip::v6(&mut out, body),
        0x0806 => arp(&mut out, body),
        kind => {
            let (src, dst) = (mac(&header[6..12]), mac(&header[..6]));
            let what = match kind {
                0..=1500 => format!("802.3, length {kind}:"),
                _ => format!("ethertype Unknown (0x{kind:04x}), length {}: ", frame.len()),
            };
            out.text = format!("{src} > {dst}, {what}");
            dump(&mut out, body);
        }
    }
    out.text
}

/// What is being printed.
pub(crate) struct Out<'a> {
    pub(crate) text: String,
    pub(crate) context: &'a Context,
    pub(crate) options: Options,
    /// Inside an ICMP error: what the capture says is about the error, not about this.
    pub(crate) quoted: bool,
}

impl Out<'_> {
    pub(crate) fn put(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }
}

/// Two octets at a place; 0 where there are none.
pub(crate) fn word(octets: &[u8], at: usize) -> u16 {
    octets.get(at..at + 2).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]))
}

/// Four octets at a place.
pub(crate) fn long(octets: &[u8], at: usize) -> u32 {
    octets.get(at..at + 4).map_or(0, |o| u32::from_be_bytes([o[0], o[1], o[2], o[3]]))
}

pub(crate) fn byte(octets: &[u8], at: usize) -> u8 {
    octets.get(at).copied().unwrap_or(0)
}

pub(crate) fn ip4(octets: &[u8], at: usize) -> String {
    octets.get(at..at + 4).map_or(String::new(), |o| crate::ipv4::address(o).to_string())
}

pub(crate) fn ip6(octets: &[u8], at: usize) -> String {
    let octets = octets.get(at..at + 16).and_then(|o| <[u8; 16]>::try_from(o).ok());
    octets.map_or(String::new(), |o| core::net::Ipv6Addr::from(o).to_string())
}

/// Octets in hexadecimal and as text.
fn dump(out: &mut Out<'_>, octets: &[u8]) {
    for (i, line) in octets.chunks(16).enumerate() {
        let hex: Vec<String> =
            line.chunks(2).map(|pair| pair.iter().map(|o| format!("{o:02x}")).collect()).collect();
        let text: String =
            line.iter().map(|o| if o.is_ascii_graphic() { char::from(*o) } else { '.' }).collect();
        out.put(format!("\n\t0x{:04x}:  {:39}  {text}", 16 * i, hex.join(" ")));
    }
}

fn arp(out: &mut Out<'_>, o: &[u8]) {
    out.put("ARP, ");
    let (hw, proto) = (word(o, 0), word(o, 2));
    let (hw_len, proto_len) = (usize::from(byte(o, 4)), usize::from(byte(o, 5)));
    let plain = (hw, proto, hw_len, proto_len) == (1, 0x0800, 6, 4);
    if !plain || out.options.verbose {
        let hw = if hw == 1 { "Ethernet".to_string() } else { format!("Unknown Hardware ({hw})") };
        let proto = match proto {
            0x0800 => "IPv4".to_string(),
            _ => format!("Unknown Protocol (0x{proto:04x})"),
        };
        out.put(format!("{hw} (len {hw_len}), {proto} (len {proto_len}), "));
    }
    let op = word(o, 6);
    let target_mac = o.get(18..24).unwrap_or_default();
    match op {
        1 => {
            out.put(format!("Request who-has {}", ip4(o, 24)));
            if target_mac.iter().any(|v| *v != 0) {
                out.put(format!(" ({})", mac(target_mac)));
            }
            out.put(format!(" tell {}", ip4(o, 14)));
        }
        2 => out.put(format!("Reply {} is-at {}", ip4(o, 14), mac(o.get(8..14).unwrap_or_default()))),
        3 | 8 => {
            let word = if op == 3 { "Reverse" } else { "Inverse" };
            let own = mac(o.get(8..14).unwrap_or_default());
            out.put(format!("{word} Request who-is {} tell {own}", mac(target_mac)));
        }
        4 | 9 => {
            let word = if op == 4 { "Reverse" } else { "Inverse" };
            out.put(format!("{word} Reply {} at {}", mac(target_mac), ip4(o, 24)));
        }
        op => out.put(format!("Unknown ({op})")),
    }
    out.put(format!(", length {}", o.len()));
}
