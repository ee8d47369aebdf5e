//! TCP (RFC 9293), with what the conversation says about a segment.

use crate::analysis::Expert;
use crate::context::{App, Message, TcpContext, TcpSummary};
use crate::fields::*;
use crate::header::{Header, Walk, plural};
use crate::ipv4::{Ends, Pieces, checksum, pieces, transport_sum};
use crate::tree::{LayerLetter, Value};
use crate::{data, dns, http, http_frame, tcp_options};

/// Names of the flag bits from 0x001 up, as Wireshark abbreviates them.
const FLAGS: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];

const TCP_PIECES: Pieces = Pieces {
    group: TCP_SEGMENTS,
    piece: TCP_SEGMENT,
    count: TCP_SEGMENT_COUNT,
    len: TCP_REASSEMBLED_LEN,
    word: "Reassembled TCP Segment",
};

/// `SYN, ACK`; `<None>` for no flag at all.
pub(crate) fn flag_names(flags: u16) -> String {
    let names: Vec<_> =
        FLAGS.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, n)| *n).collect();
    if names.is_empty() { "<None>".to_string() } else { names.join(", ") }
}

pub(crate) fn tcp<'a>(w: &mut Walk<'a>, start: usize, end: usize, ends: Ends<'a>) {
    let mut h = w.header(start, end);
    let from = h.uint(TCP_SRCPORT, 0, 2).map(|v| v as u16);
    let to = h.uint(TCP_DSTPORT, 2, 2).map(|v| v as u16);
    for (port, offset) in [(from, 0), (to, 2)] {
        if let Some(port) = port {
            h.hidden(TCP_PORT, offset, 2, Value::Uint(port.into()));
        }
    }
    let context = w.context.tcp().filter(|_| w.depth == 0);
    if let Some(stream) =
        context.map(|c| c.stream).or(w.context.quoted.filter(|_| w.depth > 0 && end >= start + 20))
    {
        h.derive(TCP_STREAM, 0, Value::Uint(stream.into()));
    }
    if let Some(c) = context {
        h.derive_as(TCP_COMPLETENESS, 0, Value::Uint(c.completeness.into()), || completeness(c.completeness));
    }
    let seq = h.u32(4);
    let ack = h.u32(8);
    let bits = h.u16(12);
    let header_len = bits.map_or(20, |v| usize::from(v >> 12) * 4);
    let flags = bits.unwrap_or(0) & 0x0fff;
    let len = bits.map(|_| (end - start).saturating_sub(header_len.max(20)));
    if let (Some(len), true) = (len, ends.whole) {
        h.derive(TCP_LEN, 0, Value::Uint(len as u64));
    }
    numbers(&mut h, context, seq, ack, flags);
    if bits.is_some() {
        h.add(TCP_HDR_LEN, 12, 1, Value::Uint(header_len as u64), || {
            format!("{header_len} bytes ({})", header_len / 4)
        });
        if header_len < 20 || (ends.whole && start + header_len > end) {
            w.note(NOTE_BAD_LENGTH, "tcp", start + 12, start + 13);
        }
        tcp_flags(&mut h, flags);
    }
    let window = h.uint(TCP_WINDOW, 14, 2);
    if let (Some(c), Some(_)) = (context, window) {
        h.add(TCP_WINDOW_SIZE, 14, 2, Value::Uint(c.numbers.window.into()), || c.numbers.window.to_string());
        h.generated();
        if let Some(scale) = c.scale {
            h.add(TCP_WINDOW_SCALE, 14, 2, Value::Int(scale.into()), || match scale {
                -1 => "-1 (unknown)".to_string(),
                -2 => "-2 (no window scaling used)".to_string(),
                v => v.to_string(),
            });
            h.generated();
        }
    }
    let mut wrong = false;
    if let Some(v) = h.u16(16) {
        let good = ends.whole.then(|| transport_sum(w, 6, start, end, ends) == 0xffff);
        checksum(&mut h, TCP_CHECKSUM, TCP_CHECKSUM_STATUS, 16, v, good);
        wrong = good == Some(false);
        if wrong {
            w.note(NOTE_BAD_CHECKSUM, "tcp", start + 16, start + 18);
        }
    }
    let urgent = h.uint(TCP_URGENT, 18, 2).unwrap_or(0);
    let options = match bits {
        Some(_) if header_len > 20 => {
            let relative = context.map_or(0, |c| ack.unwrap_or(0).wrapping_sub(c.numbers.ack));
            tcp_options::options(w, &mut h, header_len, end, relative)
        }
        _ => String::new(),
    };
    if let Some(c) = context {
        h.open(TCP_TIMES, 0, 0, Value::None, String::new);
        h.derive(TCP_TIME_RELATIVE, 0, Value::Nanos(c.since_first));
        h.derive(TCP_TIME_DELTA, 0, Value::Nanos(c.since_previous));
        h.close();
        h.generated();
        analysis(&mut h, c);
    }
    let short = h.short;
    let body = start + header_len.max(20);
    let payload = len.unwrap_or(0);
    if !short && payload > 0 && ends.whole {
        h.add(TCP_PAYLOAD, header_len, payload, Value::Bytes, || {
            format!("({payload} byte{})", plural(payload))
        });
    }
    if let Some(c) = context {
        segments(&mut h, c, header_len, payload);
    }
    let seq_shown = context.map_or(seq, |c| Some(c.numbers.seq));
    let ack_shown = context.map_or(ack, |c| Some(c.numbers.ack));
    let title = || {
        let mut title = "Transmission Control Protocol".to_string();
        if let (Some(from), Some(to)) = (from, to) {
            title += &format!(", Src Port: {from}, Dst Port: {to}");
        }
        if let Some(seq) = seq_shown {
            title += &format!(", Seq: {seq}");
        }
        if let (Some(ack), true) = (ack_shown, flags & TcpSummary::ACK != 0) {
            title += &format!(", Ack: {ack}");
        }
        if let (Some(len), true) = (len, ends.whole) {
            title += &format!(", Len: {len}");
        }
        title
    };
    w.layer(LayerLetter::Transport, "tcp", title, h, header_len.max(20));
    if w.writes() {
        match (from, to, context, short) {
            (Some(from), Some(to), Some(c), false) => {
                w.columns.ports = Some((from, to));
                columns(w, (from, to), c, urgent, &options, wrong);
                w.columns.label(label(&c.numbers, &c.expert));
                if payload > 0 {
                    let octets = w.slice(body, end);
                    w.columns.quote(octets);
                }
            }
            _ => w.columns.set("TCP", "[Malformed Packet]"),
        }
    }
    if short || payload == 0 && context.is_none_or(|c| c.messages.is_empty()) {
        return;
    }
    match context {
        Some(c) => messages(w, c, body, end),
        None => data::data(w, body, end),
    }
}

/// Sequence and acknowledgement number, relative if the conversation is known.
fn numbers(h: &mut Header<'_>, context: Option<&TcpContext>, seq: Option<u32>, ack: Option<u32>, flags: u16) {
    if let Some(v) = seq {
        if let Some(n) = context.map(|c| &c.numbers) {
            h.add(TCP_SEQ, 4, 4, Value::Uint(n.seq.into()), || {
                format!("{}    (relative sequence number)", n.seq)
            });
            h.plain(TCP_SEQ_RAW, 4, 4, Value::Uint(v.into()));
            let phantom = u32::from(flags & (TcpSummary::SYN | TcpSummary::FIN) != 0);
            let next = n.seq.wrapping_add(n.len).wrapping_add(phantom);
            h.derive_as(TCP_NXTSEQ, 0, Value::Uint(next.into()), || {
                format!("{next}    (relative sequence number)")
            });
        } else {
            h.plain(TCP_SEQ_RAW, 4, 4, Value::Uint(v.into()));
        }
    }
    if let Some(v) = ack {
        let has_ack = flags & TcpSummary::ACK != 0;
        if let Some(n) = context.map(|c| &c.numbers) {
            let shown = if has_ack { n.ack } else { v };
            h.add(TCP_ACK, 8, 4, Value::Uint(shown.into()), || match has_ack {
                true => format!("{shown}    (relative ack number)"),
                false => shown.to_string(),
            });
        }
        h.plain(TCP_ACK_RAW, 8, 4, Value::Uint(v.into()));
    }
}

fn tcp_flags(h: &mut Header<'_>, flags: u16) {
    h.open(TCP_FLAGS, 12, 2, Value::Uint(flags.into()), || {
        format!("0x{flags:03x} ({})", flag_names(flags & 0x1ff))
    });
    h.flag(TCP_FLAGS_RES, 12, 1, flags & 0xe00 != 0);
    h.flag(TCP_FLAGS_AE, 12, 1, flags & 0x100 != 0);
    let singles = [
        (TCP_FLAGS_CWR, 0x080),
        (TCP_FLAGS_ECE, 0x040),
        (TCP_FLAGS_URG, 0x020),
        (TCP_FLAGS_ACK, TcpSummary::ACK),
        (TCP_FLAGS_PUSH, TcpSummary::PSH),
        (TCP_FLAGS_RESET, TcpSummary::RST),
        (TCP_FLAGS_SYN, TcpSummary::SYN),
        (TCP_FLAGS_FIN, TcpSummary::FIN),
    ];
    for (def, bit) in singles {
        h.flag(def, 13, 1, flags & bit != 0);
    }
    let letters: String = "RRRACEUAPRSF"
        .chars()
        .enumerate()
        .map(|(i, letter)| if flags & (0x800 >> i) != 0 { letter } else { '·' })
        .collect();
    h.add(TCP_FLAGS_STR, 12, 2, Value::Text(letters.clone()), || letters);
    h.generated();
    h.close();
}

/// How much of a conversation was seen: `Incomplete, DATA (15)`.
fn completeness(v: u8) -> String {
    let word = match v {
        1 => ", SYN_SENT",
        3 => ", CLIENT_ESTABLISHED",
        7 => ", ESTABLISHED",
        15 => ", DATA",
        31 | 63 => return format!("Complete, WITH_DATA ({v})"),
        23 | 55 => return format!("Complete, NO_DATA ({v})"),
        47 => return format!("Complete, WITH_DATA ({v})"),
        39 => return format!("Complete, NO_DATA ({v})"),
        _ => "",
    };
    format!("Incomplete{word} ({v})")
}

/// `13401 → 80 [SYN] Seq=0 Win=64240 Len=0 MSS=1460`, with what is remarkable before it.
fn columns(
    w: &mut Walk<'_>,
    (from, to): (u16, u16),
    c: &TcpContext,
    urgent: u64,
    options: &str,
    wrong: bool,
) {
    let n = &c.numbers;
    let mut prefix = String::new();
    for e in &c.expert {
        prefix.push_str(&e.text());
        prefix.push(' ');
    }
    w.columns.info = prefix;
    w.columns.fence = w.columns.info.len();
    let mut line = format!("{from} → {to} [{}] Seq={}", flag_names(n.flags & 0x1ff), n.seq);
    if n.flags & TcpSummary::ACK != 0 {
        line += &format!(" Ack={}", n.ack);
    }
    line += &format!(" Win={}", n.window);
    if wrong {
        line += " [TCP CHECKSUM INCORRECT]";
    }
    if n.flags & 0x020 != 0 {
        line += &format!(" Urg={urgent}");
    }
    line += &format!(" Len={}", n.len);
    line += options;
    w.columns.set("TCP", line);
}

/// `PSH, ACK seq=1 ack=1 len=9`, with what is remarkable before it.
fn label(n: &TcpSummary, expert: &[Expert]) -> String {
    let mut label = String::new();
    for e in expert {
        label.push_str(e.text().replace("TCP ", "").trim());
        label.push(' ');
    }
    let flags = n.flags & 0x1ff;
    label += &flag_names(flags);
    if flags & (TcpSummary::FIN | TcpSummary::SYN | TcpSummary::RST) != 0 || n.len > 0 {
        label += &format!(" seq={}", n.seq);
    }
    if flags & TcpSummary::ACK != 0 {
        label += &format!(" ack={}", n.ack);
    }
    if n.len > 0 {
        label += &format!(" len={}", n.len);
    }
    label
}

/// What Wireshark calls SEQ/ACK analysis.
fn analysis(h: &mut Header<'_>, c: &TcpContext) {
    let flags: Vec<Def> = c.expert.iter().filter_map(|e| flag_of(*e)).collect();
    let dup = c.expert.iter().find_map(|e| match e {
        Expert::DupAck(frame, count) => Some((*frame, *count)),
        _ => None,
    });
    let known = c.acks.is_some() || c.in_flight.is_some() || c.since_push.is_some();
    if !known && flags.is_empty() {
        return;
    }
    h.open(TCP_ANALYSIS, 0, 0, Value::None, String::new);
    if let Some(acks) = c.acks {
        h.derive(TCP_ACKS_FRAME, 0, Value::Uint(acks.frame));
        h.derive(TCP_ACK_RTT, 0, Value::Nanos(acks.after));
    }
    if let Some(rtt) = c.first_rtt {
        h.derive(TCP_INITIAL_RTT, 0, Value::Nanos(rtt));
    }
    if let Some(v) = c.in_flight {
        h.derive(TCP_BYTES_IN_FLIGHT, 0, Value::Uint(v.into()));
    }
    if let Some(v) = c.since_push {
        h.derive(TCP_PUSH_BYTES, 0, Value::Uint(v.into()));
    }
    if !flags.is_empty() {
        h.open(TCP_ANALYSIS_FLAGS, 0, 0, Value::None, String::new);
        for def in flags {
            h.derive(def, 0, Value::None);
            if matches!(def.name, n if n == TCP_FAST_RETRANSMISSION.name || n == TCP_SPURIOUS.name) {
                h.hidden(TCP_RETRANSMISSION, 0, 0, Value::None);
            }
        }
        if let Some(repeats) = c.repeats {
            h.derive(TCP_RTO, 0, Value::Nanos(repeats.after));
            h.derive(TCP_RTO_FRAME, 0, Value::Uint(repeats.frame));
        }
        h.close();
        h.generated();
    }
    if let Some((frame, count)) = dup {
        h.derive(TCP_DUP_ACK_NUM, 0, Value::Uint(count.into()));
        h.derive(TCP_DUP_ACK_FRAME, 0, Value::Uint(frame));
    }
    h.close();
    h.generated();
}

fn flag_of(e: Expert) -> Option<Def> {
    Some(match e {
        Expert::Retransmission => TCP_RETRANSMISSION,
        Expert::FastRetransmission => TCP_FAST_RETRANSMISSION,
        Expert::SpuriousRetransmission => TCP_SPURIOUS,
        Expert::OutOfOrder => TCP_OUT_OF_ORDER,
        Expert::PreviousSegmentNotCaptured => TCP_LOST_SEGMENT,
        Expert::AckedUnseenSegment => TCP_ACK_LOST,
        Expert::DupAck(..) => TCP_DUP_ACK,
        Expert::ZeroWindow => TCP_ZERO_WINDOW,
        Expert::ZeroWindowProbe => TCP_ZERO_WINDOW_PROBE,
        Expert::ZeroWindowProbeAck => TCP_ZERO_WINDOW_PROBE_ACK,
        Expert::WindowFull => TCP_WINDOW_FULL,
        Expert::WindowUpdate => TCP_WINDOW_UPDATE,
        Expert::KeepAlive => TCP_KEEP_ALIVE,
        Expert::KeepAliveAck => TCP_KEEP_ALIVE_ACK,
        Expert::PortNumbersReused => TCP_REUSED_PORTS,
    })
}

/// Which parts of the payload belong to messages of several segments.
fn segments(h: &mut Header<'_>, c: &TcpContext, header_len: usize, payload: usize) {
    if c.opaque {
        if payload == 0 || !c.expert.contains(&Expert::Retransmission) {
            return;
        }
        h.add(TCP_SEGMENT_DATA, header_len, payload, Value::Bytes, || {
            format!("({payload} byte{})", plural(payload))
        });
        return;
    }
    for m in &c.messages {
        let len = m.end.saturating_sub(m.start) as usize;
        if m.protocol == App::Dns && !m.open {
            let all = m.whole.as_ref().map_or(len, |whole| whole.octets.len());
            h.add(TCP_PDU_SIZE, 0, 0, Value::Uint(all as u64), || all.to_string());
            h.generated();
        }
        if (m.open || m.whole.is_some()) && len > 0 {
            h.add(TCP_SEGMENT_DATA, header_len + m.start as usize, len, Value::Bytes, || {
                format!("({len} byte{})", plural(len))
            });
        }
        if let Some(whole) = &m.whole {
            pieces(h, whole, &TCP_PIECES);
        }
    }
}

/// What the payload says.
fn messages<'a>(w: &mut Walk<'a>, c: &'a TcpContext, body: usize, end: usize) {
    if c.opaque {
        return;
    }
    for (i, m) in c.messages.iter().enumerate() {
        let to = (body + m.end as usize).min(end);
        let from = (body + m.start as usize).min(to);
        if m.open {
            open(w, m, i == 0, from, to);
            continue;
        }
        match &m.whole {
            Some(whole) => w.inside("Reassembled TCP", whole, |w, len| message(w, m, 0, len)),
            None => message(w, m, from, to),
        }
        // Requests stand one behind the other; a DNS message takes the place of the one before.
        if w.writes() && m.protocol == App::Http {
            w.columns.fence = w.columns.info.len();
        }
    }
}

fn message(w: &mut Walk<'_>, m: &Message, from: usize, to: usize) {
    match m.protocol {
        App::Data => data::data(w, from, to),
        App::Http => http::http(w, m, from, to),
        App::HttpContinuation => http::continuation(w, from, to),
        App::Dns => dns::dns(w, from, to, dns::Over::Tcp(m.reply)),
    }
}

/// A part of a message that goes on.
fn open(w: &mut Walk<'_>, m: &Message, first: bool, from: usize, to: usize) {
    w.note(NOTE_SEGMENT, "tcp", from, to);
    // At a port of HTTP, text without an end of line is taken for the beginning of a request. It is shown all the same.
    if m.protocol == App::Http && m.head.is_none() && http_frame::first_word(w.slice(from, to)).is_none() {
        data::data(w, from, to);
    }
    if !w.writes() || !first {
        return;
    }
    if let Some(head) = &m.head {
        w.columns.set("TCP", format!("{head} "));
    }
    w.columns.info.push_str(" [TCP segment of a reassembled PDU]");
}
