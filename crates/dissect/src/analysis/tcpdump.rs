//! The line that tcpdump(1) 4.99 prints for a packet with `-n`.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;

use super::options::Options;
use super::tcp::Segment;

/// Stands where the ranges of a SACK option go, which depend on the conversation.
pub(super) const SACK: &str = "<sack>";

/// First sequence numbers of each conversation: those of the lower end and of the higher.
#[derive(Clone, Debug, Default)]
pub(super) struct Relative {
    first: BTreeMap<(SocketAddr, SocketAddr), (u32, u32)>,
}

impl Relative {
    /// `IP 10.0.0.2.13401 > 10.0.0.80.80: Flags [S], seq 1000, win 64240, options [mss 1460], length 0`.
    pub(super) fn line(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        s: &Segment,
        urgent: u16,
        options: &Options,
    ) -> String {
        let (mut seq, mut ack) = (s.seq, s.ack);
        let has_ack = s.flags & 0x010 != 0;
        if has_ack {
            let forward = from <= to;
            let key = if forward { (from, to) } else { (to, from) };
            match self.first.get(&key) {
                Some((low, high)) if s.flags & 0x002 == 0 => {
                    let (own, other) = if forward { (low, high) } else { (high, low) };
                    seq = seq.wrapping_sub(*own);
                    ack = ack.wrapping_sub(*other);
                }
                _ => {
                    let (own, other) = (seq, ack.wrapping_sub(1));
                    self.first.insert(key, if forward { (own, other) } else { (other, own) });
                }
            }
        }
        let letters = [
            (0x001, 'F'),
            (0x002, 'S'),
            (0x004, 'R'),
            (0x008, 'P'),
            (0x010, '.'),
            (0x020, 'U'),
            (0x040, 'E'),
            (0x080, 'W'),
        ];
        let mut flags: String =
            letters.iter().filter(|(bit, _)| s.flags & bit != 0).map(|(_, letter)| *letter).collect();
        if flags.is_empty() {
            flags = "none".to_string();
        }
        let ip = if from.is_ipv4() { "IP" } else { "IP6" };
        let mut line =
            format!("{ip} {}.{} > {}.{}: Flags [{flags}]", from.ip(), from.port(), to.ip(), to.port());
        if s.len > 0 {
            line += &format!(", seq {seq}:{}", seq.wrapping_add(s.len));
        } else if s.flags & 0x007 != 0 {
            line += &format!(", seq {seq}");
        }
        if has_ack {
            line += &format!(", ack {ack}");
        }
        line += &format!(", win {}", s.window);
        if s.flags & 0x020 != 0 {
            line += &format!(", urg {urgent}");
        }
        if !options.tcpdump.is_empty() {
            let base = s.ack.wrapping_sub(ack);
            let edge = |v: u32| v.wrapping_sub(base);
            let ranges: String =
                options.sack.iter().map(|(l, r)| format!("{{{}:{}}}", edge(*l), edge(*r))).collect();
            let sack = format!("sack {} {ranges}", options.sack.len());
            line += &format!(", options [{}]", options.tcpdump.replace(SACK, &sack));
        }
        line + &format!(", length {}", s.len)
    }
}

/// The text behind `ICMP`.
pub(super) fn icmp(kind: u8, code: u8, octets: &[u8]) -> String {
    let word = |at: usize| octets.get(at..at + 2).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]));
    // The quoted packet begins at 8: protocol at 9, destination address at 16, then its ports.
    let dst = octets.get(24..28).and_then(|o| <[u8; 4]>::try_from(o).ok());
    let dst = dst.map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from);
    let protocol = octets.get(17).copied().unwrap_or(0);
    let inner = 8 + usize::from(octets.get(8).copied().unwrap_or(0) & 0x0f) * 4;
    let text = match (kind, code) {
        (0, _) => format!("echo reply, id {}, seq {}", word(4), word(6)),
        (8, _) => format!("echo request, id {}, seq {}", word(4), word(6)),
        (3, 0) => format!("net {dst} unreachable"),
        (3, 1) => format!("host {dst} unreachable"),
        (3, 2) => format!("{dst} protocol {protocol} unreachable"),
        (3, 3) => {
            let name = match protocol {
                6 => "tcp",
                17 => "udp",
                _ => "protocol",
            };
            format!("{dst} {name} port {} unreachable", word(inner + 2))
        }
        (3, 4) => format!("{dst} unreachable - need to frag (mtu {})", word(6)),
        (3, 10) => format!("host {dst} unreachable - admin prohibited"),
        (3, 13) => format!("host {dst} unreachable - admin prohibited filter"),
        (5, _) => format!("redirect {dst} to host {}", octets.get(4..8).map_or(String::new(), dotted)),
        (11, 0) => "time exceeded in-transit".to_string(),
        (11, 1) => "ip reassembly time exceeded".to_string(),
        _ => format!("type-#{kind}"),
    };
    format!("{text}, length {}", octets.len())
}

fn dotted(octets: &[u8]) -> String {
    octets.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}
