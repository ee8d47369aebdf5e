//! UDP (RFC 768) and TCP (RFC 9293) with its options.

use smoltcp::wire::TcpOption;

use crate::data;
use crate::header::{Header, Walk, field, flag, ones_sum};
use crate::keys::*;
use crate::network::Ends;
use crate::tree::{Field, LayerLetter};

pub(crate) fn udp(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let mut title = "User Datagram Protocol".to_string();
    if let Some(v) = h.u16(0) {
        title += &format!(", Src Port: {v}");
        h.add(UDP_SRCPORT, 0, 2, v.to_string());
    }
    if let Some(v) = h.u16(2) {
        title += &format!(", Dst Port: {v}");
        h.add(UDP_DSTPORT, 2, 2, v.to_string());
    }
    let stated = h.u16(4).map(usize::from);
    if let Some(v) = stated {
        h.add(UDP_LENGTH, 4, 2, v.to_string());
        if v < 8 || (ends.whole && start + v > end) {
            w.note(NOTE_BAD_LENGTH, "udp", start + 4, start + 6);
        }
    }
    let stop = stated.map_or(end, |v| (start + v.max(8)).min(end));
    if let Some(v) = h.u16(6) {
        h.add(UDP_CHECKSUM, 6, 2, format!("0x{v:04x}"));
        // 0: the sender made none (IPv4 only, RFC 768).
        let good = (ends.whole && v != 0).then(|| transport_sum(w, 17, start, stop, ends) == 0xffff);
        h.verdict(UDP_CHECKSUM_STATUS, 6, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "udp", start + 6, start + 8);
        }
    }
    let short = h.short;
    w.layer(LayerLetter::Transport, "udp", title, h, 8);
    if !short {
        data::data(w, start + 8, stop);
    }
}

/// Names of the flag bits from 0x001 up, as Wireshark abbreviates them.
const FLAGS: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];

/// `SYN, ACK`; `<None>` for no flag at all.
pub(crate) fn flag_names(flags: u16) -> String {
    let names: Vec<_> =
        FLAGS.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, n)| *n).collect();
    if names.is_empty() { "<None>".to_string() } else { names.join(", ") }
}

pub(crate) fn tcp(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let hints = w.hints;
    let mut h = w.header(start, end);
    let mut title = "Transmission Control Protocol".to_string();
    if let Some(v) = h.u16(0) {
        title += &format!(", Src Port: {v}");
        h.add(TCP_SRCPORT, 0, 2, v.to_string());
    }
    if let Some(v) = h.u16(2) {
        title += &format!(", Dst Port: {v}");
        h.add(TCP_DSTPORT, 2, 2, v.to_string());
    }
    let seq = h.u32(4);
    let ack = h.u32(8);
    let bits = h.u16(12);
    let header_len = bits.map_or(20, |v| usize::from(v >> 12) * 4);
    let flags = bits.unwrap_or(0) & 0x0fff;
    let len = bits.map(|_| (end - start).saturating_sub(header_len.max(20)));
    if let (Some(len), true) = (len, ends.whole) {
        h.derive(TCP_LEN, 12, len.to_string());
    }
    if let Some(v) = seq {
        title += &format!(", Seq: {}", hints.map_or(v, |t| t.seq));
        if let Some(t) = hints {
            h.add(TCP_SEQ, 4, 4, t.seq.to_string());
            h.add(TCP_SEQ_RAW, 4, 4, v.to_string());
            let phantom = u32::from(flags & 0x003 != 0);
            h.derive(TCP_NXTSEQ, 4, t.seq.wrapping_add(t.len).wrapping_add(phantom).to_string());
        } else {
            h.add(TCP_SEQ_RAW, 4, 4, v.to_string());
        }
    }
    if let Some(v) = ack {
        if flags & 0x010 != 0 {
            title += &format!(", Ack: {}", hints.map_or(v, |t| t.ack));
        }
        if let Some(t) = hints {
            h.add(TCP_ACK, 8, 4, t.ack.to_string());
        }
        h.add(TCP_ACK_RAW, 8, 4, v.to_string());
    }
    if let (Some(len), true) = (len, ends.whole) {
        title += &format!(", Len: {len}");
    }
    if bits.is_some() {
        h.add(TCP_HDR_LEN, 12, 1, format!("{header_len} bytes ({})", header_len / 4));
        if header_len < 20 || (ends.whole && start + header_len > end) {
            w.note(NOTE_BAD_LENGTH, "tcp", start + 12, start + 13);
        }
        tcp_flags(&mut h, flags);
    }
    if let Some(v) = h.u16(14) {
        h.add(TCP_WINDOW, 14, 2, v.to_string());
        if let Some(t) = hints {
            h.derive(TCP_WINDOW_SIZE, 14, t.window.to_string());
        }
    }
    if let Some(v) = h.u16(16) {
        h.add(TCP_CHECKSUM, 16, 2, format!("0x{v:04x}"));
        let good = ends.whole.then(|| transport_sum(w, 6, start, end, ends) == 0xffff);
        h.verdict(TCP_CHECKSUM_STATUS, 16, good);
        if good == Some(false) {
            w.note(NOTE_BAD_CHECKSUM, "tcp", start + 16, start + 18);
        }
    }
    if let Some(v) = h.u16(18) {
        h.add(TCP_URGENT, 18, 2, v.to_string());
    }
    if header_len > 20 && bits.is_some() {
        tcp_options(w, &mut h, header_len, end);
    }
    let short = h.short;
    w.layer(LayerLetter::Transport, "tcp", title, h, header_len.max(20));
    if !short {
        data::data(w, start + header_len.max(20), end);
    }
}

fn tcp_flags(h: &mut Header<'_>, flags: u16) {
    let (a, b) = (h.start + 12, h.start + 14);
    let f = h.add(TCP_FLAGS, 12, 2, format!("0x{flags:03x} ({})", flag_names(flags & 0x1ff)));
    f.children.push(flag(TCP_FLAGS_RES, a, a + 1, flags & 0xe00 != 0));
    let singles = [
        (TCP_FLAGS_AE, 0x100),
        (TCP_FLAGS_CWR, 0x080),
        (TCP_FLAGS_ECE, 0x040),
        (TCP_FLAGS_URG, 0x020),
        (TCP_FLAGS_ACK, 0x010),
        (TCP_FLAGS_PUSH, 0x008),
        (TCP_FLAGS_RESET, 0x004),
        (TCP_FLAGS_SYN, 0x002),
        (TCP_FLAGS_FIN, 0x001),
    ];
    for (def, bit) in singles {
        let start = if bit == 0x100 { a } else { a + 1 };
        let end = if bit == 0x100 { a + 1 } else { b };
        f.children.push(flag(def, start, end, flags & bit != 0));
    }
}

/// TCP options (RFC 9293 3.1, RFC 7323, RFC 2018), parsed by smoltcp where it knows them.
fn tcp_options(w: &mut Walk<'_>, h: &mut Header<'_>, header_len: usize, end: usize) {
    let from = h.start + 20;
    let octets = w.octets(from, (h.start + header_len).min(end));
    if octets.len() < header_len - 20 {
        h.short = true;
    }
    if octets.is_empty() {
        return;
    }
    let mut group = field(TCP_OPTIONS, from, from + octets.len(), String::new());
    let mut rest = octets;
    let mut names = Vec::new();
    while !rest.is_empty() {
        let at = from + octets.len() - rest.len();
        let Ok((after, option)) = TcpOption::parse(rest) else {
            w.note(NOTE_BAD_OPTION, "tcp", at, from + octets.len());
            break;
        };
        let stop = from + octets.len() - after.len();
        let (name, f) = tcp_option(option, w.octets(at, stop), at, stop);
        names.push(name);
        group.children.push(f);
        rest = after;
        if matches!(option, TcpOption::EndOfList) {
            break;
        }
    }
    group.value = format!("({} bytes) {}", octets.len(), names.join(", "));
    h.fields.push(group);
}

fn tcp_option(option: TcpOption<'_>, octets: &[u8], at: usize, stop: usize) -> (&'static str, Field) {
    let mut parts = Vec::new();
    let (name, def, value) = match option {
        TcpOption::EndOfList => ("EOL", TCP_OPT_EOL, String::new()),
        TcpOption::NoOperation => ("NOP", TCP_OPT_NOP, String::new()),
        TcpOption::MaxSegmentSize(mss) => ("MSS", TCP_OPT_MSS, format!("{mss} bytes")),
        TcpOption::WindowScale(shift) => (
            "WS",
            TCP_OPT_WS,
            format!("{shift} (×{})", 1u32.checked_shl(u32::from(shift.min(14))).unwrap_or(1)),
        ),
        TcpOption::SackPermitted => ("SACK_PERM", TCP_OPT_SACK_PERM, String::new()),
        // smoltcp keeps three ranges only; without timestamps there can be four.
        TcpOption::SackRange(_) => {
            let mut text = Vec::new();
            for (i, (left, right)) in sack_ranges(octets).enumerate() {
                let edge = at + 2 + 8 * i;
                parts.push(field(TCP_OPT_SACK_LE, edge, edge + 4, left.to_string()));
                parts.push(field(TCP_OPT_SACK_RE, edge + 4, edge + 8, right.to_string()));
                text.push(format!("{left}-{right}"));
            }
            ("SACK", TCP_OPT_SACK, text.join(" "))
        }
        TcpOption::TimeStamp { tsval, tsecr } => {
            parts.push(field(TCP_OPT_TSVAL, at + 2, at + 6, tsval.to_string()));
            parts.push(field(TCP_OPT_TSECR, at + 6, at + 10, tsecr.to_string()));
            ("TS", TCP_OPT_TS, format!("TSval {tsval}, TSecr {tsecr}"))
        }
        TcpOption::Unknown { kind, data } => {
            ("Unknown", TCP_OPT_OTHER, format!("{kind}: {}", crate::link::hex(data)))
        }
    };
    let mut f = field(def, at, stop, value);
    if !matches!(option, TcpOption::EndOfList | TcpOption::NoOperation) {
        let kind = match option {
            TcpOption::MaxSegmentSize(_) => 2,
            TcpOption::WindowScale(_) => 3,
            TcpOption::SackPermitted => 4,
            TcpOption::SackRange(_) => 5,
            TcpOption::TimeStamp { .. } => 8,
            TcpOption::Unknown { kind, .. } => kind,
            TcpOption::EndOfList | TcpOption::NoOperation => 0,
        };
        f.children.push(field(OPT_KIND, at, at + 1, kind.to_string()));
        f.children.push(field(OPT_LEN, at + 1, at + 2, (stop - at).to_string()));
        f.children.extend(parts);
    }
    (name, f)
}

/// Sum over pseudo header and segment: 0xffff if the checksum in it is right.
fn transport_sum(w: &Walk<'_>, protocol: u8, start: usize, end: usize, ends: Ends<'_>) -> u16 {
    let len = u32::try_from(end - start).unwrap_or(0).to_be_bytes();
    ones_sum(&[ends.addresses, &len, &[0, protocol], w.octets(start, end)])
}

/// The ranges of a SACK option, given with its kind and length (RFC 2018).
pub(crate) fn sack_ranges(option: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let edge = |o: &[u8]| u32::from_be_bytes([o[0], o[1], o[2], o[3]]);
    option.get(2..).unwrap_or_default().chunks_exact(8).map(move |o| (edge(&o[..4]), edge(&o[4..])))
}
