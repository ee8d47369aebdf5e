//! UDP (RFC 768).

use crate::fields::*;
use crate::header::{Walk, plural};
use crate::ipv4::{Ends, checksum, transport_sum};
use crate::tree::{LayerLetter, Value};
use crate::{data, dhcp, dns};

pub(crate) fn udp(w: &mut Walk<'_>, start: usize, end: usize, ends: Ends<'_>) {
    let mut h = w.header(start, end);
    let from = h.uint(UDP_SRCPORT, 0, 2).map(|v| v as u16);
    let to = h.uint(UDP_DSTPORT, 2, 2).map(|v| v as u16);
    for (port, offset) in [(from, 0), (to, 2)] {
        if let Some(port) = port {
            h.hidden(UDP_PORT, offset, 2, Value::Uint(port.into()));
        }
    }
    let stated = h.uint(UDP_LENGTH, 4, 2).map(|v| v as usize);
    if stated.is_some_and(|v| v < 8 || (ends.whole && start + v > end)) {
        w.note(NOTE_BAD_LENGTH, "udp", start + 4, start + 6);
    }
    let stop = stated.map_or(end, |v| (start + v.max(8)).min(end));
    let mut wrong = false;
    if let Some(v) = h.u16(6) {
        // 0: the sender made none (IPv4 only, RFC 768).
        let good = (ends.whole && v != 0).then(|| transport_sum(w, 17, start, stop, ends) == 0xffff);
        if v == 0 {
            h.add(UDP_CHECKSUM, 6, 2, Value::Uint(0), || "0x0000 [zero-value ignored]".to_string());
            h.no_verdict(UDP_CHECKSUM_STATUS, 6);
        } else {
            checksum(&mut h, UDP_CHECKSUM, UDP_CHECKSUM_STATUS, 6, v, good);
        }
        wrong = good == Some(false);
        if wrong {
            w.note(NOTE_BAD_CHECKSUM, "udp", start + 6, start + 8);
        }
    }
    let context = w.context.udp().filter(|_| w.depth == 0);
    if let Some(stream) = context.map(|c| c.stream).or(w.context.quoted.filter(|_| w.depth > 0)) {
        h.derive(UDP_STREAM, 8, Value::Uint(stream.into()));
    }
    if let Some(c) = context.filter(|_| stop > start + 8) {
        h.open(UDP_TIMES, 0, 0, Value::None, String::new);
        h.derive(UDP_TIME_RELATIVE, 0, Value::Nanos(c.since_first));
        h.derive(UDP_TIME_DELTA, 0, Value::Nanos(c.since_previous));
        h.close();
        h.generated();
    }
    let short = h.short;
    let len = stop.saturating_sub(start + 8);
    if !short && len > 0 {
        h.add(UDP_PAYLOAD, 8, len, Value::Bytes, || format!("({len} byte{})", plural(len)));
    }
    let title = || match (from, to) {
        (Some(from), Some(to)) => format!("User Datagram Protocol, Src Port: {from}, Dst Port: {to}"),
        _ => "User Datagram Protocol".to_string(),
    };
    let (Some(from), Some(to), false) = (from, to, short) else {
        w.layer(LayerLetter::Transport, "udp", title, h, 8);
        if w.writes() {
            w.columns.set("UDP", "[Malformed Packet]");
        }
        return;
    };
    w.layer(LayerLetter::Transport, "udp", title, h, 8);
    let payload = w.slice(start + 8, stop);
    if w.writes() {
        w.columns.ports = Some((from, to));
        let bad = if wrong { " [UDP CHECKSUM INCORRECT]" } else { "" };
        w.columns.set("UDP", format!("{from} → {to} Len={len}{bad}"));
        w.columns.label(format!("len={len}"));
        w.columns.quote(payload);
    }
    let has = |port: u16| from == port || to == port;
    if payload.is_empty() {
        // Nothing to take apart.
    } else if has(53) {
        dns::dns(w, start + 8, stop, dns::Over::Udp);
    } else if has(5353) {
        dns::dns(w, start + 8, stop, dns::Over::Multicast);
    } else if (has(67) || has(68)) && dhcp::looks_like(payload) {
        dhcp::dhcp(w, start + 8, stop);
    } else {
        data::data(w, start + 8, stop);
    }
}
