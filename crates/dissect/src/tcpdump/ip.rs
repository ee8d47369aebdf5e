//! IPv4 and IPv6 with what they carry.

use super::{Out, byte, ip4, ip6, long, word};
use super::{icmp, icmp6, transport};
use crate::header::ones_sum;

/// The packet that a transport header lies in.
#[derive(Clone, Copy)]
pub(super) struct Carrier<'a> {
    /// From the IP header on.
    pub(super) packet: &'a [u8],
    pub(super) version: u8,
    /// More fragments follow, or came before.
    pub(super) fragment: bool,
    /// Extension headers stand between: addresses are not printed again.
    pub(super) extended: bool,
    /// Octets of the payload as the header says.
    pub(super) reported: usize,
    /// Where the final destination of an IPv6 packet stands.
    dst: usize,
}

impl Carrier<'_> {
    /// The sum over pseudo header and segment; 0xffff if its checksum is right.
    pub(super) fn sum(&self, protocol: u8, octets: &[u8]) -> u16 {
        let (src, dst) = match self.version {
            4 => (self.packet.get(12..16), self.packet.get(16..20)),
            _ => (self.packet.get(8..24), self.packet.get(self.dst..self.dst + 16)),
        };
        let len = u32::try_from(octets.len()).unwrap_or(0).to_be_bytes();
        ones_sum(&[src.unwrap_or_default(), dst.unwrap_or_default(), &len, &[0, protocol], octets])
    }

    fn addresses(&self) -> (String, String) {
        match self.version {
            4 => (ip4(self.packet, 12), ip4(self.packet, 16)),
            _ => (ip6(self.packet, 8), ip6(self.packet, 24)),
        }
    }

    /// For a header that is cut off before its ports.
    pub(super) fn short(&self, protocol: &str) -> String {
        let (src, dst) = self.addresses();
        format!("{src} > {dst}:  [|{protocol}]")
    }

    /// `10.0.0.2.13401 > 10.0.0.80.80: `.
    pub(super) fn ports(&self, from: u16, to: u16) -> String {
        let (src, dst) = self.addresses();
        match self.extended {
            true => format!("{from} > {to}: "),
            false => format!("{src}.{from} > {dst}.{to}: "),
        }
    }
}

/// The checksum that would be right, where `sum` is what there is with `own`.
pub(super) fn should_be(own: u16, sum: u16) -> u16 {
    let mut v = u32::from(own) + u32::from(!sum);
    v = (v & 0xffff) + (v >> 16);
    // One's complement zero has two forms.
    (v + (v >> 16)) as u16
}

pub(super) fn v4(out: &mut Out<'_>, o: &[u8]) {
    out.put("IP ");
    quoted_v4(out, o);
}

/// Without the word before it.
pub(super) fn quoted_v4(out: &mut Out<'_>, o: &[u8]) {
    let header = usize::from(byte(o, 0) & 0x0f) * 4;
    if o.len() < 20 {
        return out.put(" [|ip]");
    }
    if header < 20 {
        return out.put(format!("bad-hlen {header}"));
    }
    let total = usize::from(word(o, 2));
    if o.len() < total && !out.quoted {
        out.put(format!("truncated-ip - {} bytes missing! ", total - o.len()));
    }
    if total < header && total != 0 {
        return out.put(format!("bad-len {total}"));
    }
    let end = if total == 0 { o.len() } else { total.min(o.len()) };
    let protocol = byte(o, 9);
    let bits = word(o, 6);
    let offset = usize::from(bits & 0x1fff) * 8;
    if out.options.verbose {
        let tos = byte(o, 1);
        out.put(format!("(tos 0x{tos:x}"));
        out.put(["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(tos & 3)]);
        if byte(o, 8) >= 1 {
            out.put(format!(", ttl {}", byte(o, 8)));
        }
        let flags = [(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];
        let flags: Vec<_> = flags.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
        let flags = if flags.is_empty() { "none".to_string() } else { flags.join(", ") };
        out.put(format!(
            ", id {}, offset {offset}, flags [{flags}], proto {} ({protocol}), length {total}",
            word(o, 4),
            name(protocol)
        ));
        if header > 20 {
            let list = options(o.get(20..header).unwrap_or_default());
            out.put(format!(", options ({list})"));
        }
        let own = word(o, 10);
        let sum = ones_sum(&[o.get(..header).unwrap_or_default()]);
        if header <= o.len() && sum != 0xffff {
            out.put(format!(", bad cksum {own:x} (->{:x})!", should_be(own, sum)));
        }
        out.put(")\n    ");
    }
    let (src, dst) = (ip4(o, 12), ip4(o, 16));
    if offset != 0 {
        return out.put(format!("{src} > {dst}: ip-proto-{protocol}"));
    }
    if !matches!(protocol, 6 | 17) {
        out.put(format!("{src} > {dst}: "));
    }
    let carrier = Carrier {
        packet: o,
        version: 4,
        fragment: bits & 0x2000 != 0,
        extended: false,
        reported: total.saturating_sub(header),
        dst: 16,
    };
    upper(out, protocol, carrier, o.get(header..end).unwrap_or_default());
}

/// Short names of IPv4 options.
fn options(o: &[u8]) -> String {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(&kind) = o.get(at) {
        let len = if kind < 2 { 1 } else { usize::from(byte(o, at + 1)) };
        names.push(match kind {
            0 => "EOL".to_string(),
            1 => "NOP".to_string(),
            7 => "RR".to_string(),
            68 => "timestamp".to_string(),
            130 => "SEC".to_string(),
            131 => "LSRR".to_string(),
            137 => "SSRR".to_string(),
            148 => "RA".to_string(),
            _ => format!("unknown {kind}"),
        });
        if len == 0 || kind == 0 {
            break;
        }
        at += len;
    }
    names.join(",")
}

pub(super) fn v6(out: &mut Out<'_>, o: &[u8]) {
    out.put("IP6 ");
    if o.len() < 40 {
        return out.put("[|ip6]");
    }
    let payload = usize::from(word(o, 4));
    let mut next = byte(o, 6);
    if o.len() < 40 + payload {
        out.put(format!("truncated-ip6 - {} bytes missing!", 40 + payload - o.len()));
    }
    let verbose = out.options.verbose;
    if verbose {
        let flow = long(o, 0) & 0x0fff_ffff;
        out.put("(");
        if flow >> 20 != 0 {
            out.put(format!("class 0x{:02x}, ", flow >> 20));
        }
        if flow & 0xf_ffff != 0 {
            out.put(format!("flowlabel 0x{:05x}, ", flow & 0xf_ffff));
        }
        out.put(format!(
            "hlim {}, next-header {} ({next}) payload length: {payload}) ",
            byte(o, 7),
            name(next)
        ));
    }
    out.put(format!("{} > {}: ", ip6(o, 8), ip6(o, 24)));
    let end = (40 + payload).min(o.len());
    let mut carrier =
        Carrier { packet: o, version: 6, fragment: false, extended: false, reported: payload, dst: 24 };
    let mut at = 40;
    loop {
        let rest = o.get(at..end).unwrap_or_default();
        let units = usize::from(byte(rest, 1));
        let len = match next {
            0 | 60 => {
                out.put(if next == 0 { "HBH " } else { "DSTOPT " });
                if verbose {
                    extension_options(out, rest.get(2..(units + 1) * 8).unwrap_or_default());
                }
                (units + 1) * 8
            }
            43 => {
                routing(out, rest, units);
                if byte(rest, 3) > 0 && units >= 2 {
                    carrier.dst = at + 8 * units - 8;
                }
                (units + 1) * 8
            }
            44 => {
                let bits = word(rest, 2);
                let body = rest.len().saturating_sub(8);
                let ident = if verbose { format!("0x{:08x}:", long(rest, 4)) } else { String::new() };
                out.put(format!("frag ({ident}{}|{body})", bits & 0xfff8));
                if bits & 0xfff8 != 0 {
                    return;
                }
                out.put(" ");
                carrier.fragment = true;
                8
            }
            59 => return out.put("no next header"),
            _ => break,
        };
        if rest.len() < 8 {
            return out.put("[|ip6]");
        }
        carrier.extended = true;
        carrier.reported = carrier.reported.saturating_sub(len);
        next = byte(rest, 0);
        at += len;
    }
    if !carrier.extended && matches!(next, 6 | 17) {
        // The line begins with the addresses and their ports.
        let addresses = format!("{} > {}: ", ip6(o, 8), ip6(o, 24));
        out.text.truncate(out.text.len() - addresses.len());
    }
    upper(out, next, carrier, o.get(at..end).unwrap_or_default());
}

fn extension_options(out: &mut Out<'_>, o: &[u8]) {
    let mut at = 0;
    while let Some(&kind) = o.get(at) {
        match kind {
            0 => out.put("(pad1)"),
            1 => out.put("(padn)"),
            5 => out.put(format!("(rtalert: 0x{:04x})", word(o, at + 2))),
            kind => out.put(format!("(opt_type 0x{kind:02x}: len={})", byte(o, at + 1))),
        }
        out.put(" ");
        at += if kind == 0 { 1 } else { 2 + usize::from(byte(o, at + 1)) };
    }
}

fn routing(out: &mut Out<'_>, o: &[u8], units: usize) {
    let kind = byte(o, 2);
    out.put(format!("RT6 (len={units}, type={kind}"));
    if kind == 0 {
        out.put(" [Deprecated]");
    }
    out.put(format!(", segleft={}", byte(o, 3)));
    if matches!(kind, 0 | 2) {
        if out.options.verbose {
            out.put(format!(", rsv=0x{:x}", long(o, 4)));
        }
        for i in 0..units / 2 {
            out.put(format!(", [{i}]{}", ip6(o, 8 + 16 * i)));
        }
    }
    out.put(") ");
}

fn upper(out: &mut Out<'_>, protocol: u8, carrier: Carrier<'_>, o: &[u8]) {
    match (protocol, carrier.version) {
        (1, 4) => icmp::icmp(out, o, carrier.fragment),
        (2, 4) => icmp::igmp(out, o),
        (6, _) => transport::tcp(out, o, carrier),
        (17, _) => transport::udp(out, o, carrier),
        (58, 6) => icmp6::icmp6(out, o, carrier),
        (protocol, _) => out.put(format!(" ip-proto-{protocol} {}", o.len())),
    }
}

fn name(protocol: u8) -> &'static str {
    match protocol {
        0 => "Options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6",
        43 => "Routing",
        44 => "Fragment",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        60 => "DSTOPT",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => "unknown",
    }
}
