//! The sockets of all hosts in the columns and spelling of ss(8).

use core::net::SocketAddr;
use core::time::Duration;

use socketlab_netsim::record::NodeId;
use socketlab_stack::{HostSnapshot, Instant, Pid, ProtocolKind, SocketSnapshot, TcbSnapshot, TcpState};

use crate::event::{HostRow, SocketRow, SocketsView, TcpNumbers};
use crate::keys;

/// All sockets at an instant. `process`: a process's program and file; `conversation`: number of a pair of ends.
pub(crate) fn view<'a>(
    at: Instant,
    hosts: &[(NodeId, HostSnapshot)],
    process: impl Fn(Pid) -> Option<(u32, &'a str)>,
    conversation: impl Fn(u8, SocketAddr, SocketAddr) -> Option<u32>,
) -> SocketsView {
    let hosts = hosts.iter().map(|(node, host)| HostRow {
        node: node.0,
        sockets: host.sockets.iter().map(|s| row(s, &process, &conversation)).collect(),
        neighbours: host
            .neighbours
            .iter()
            .map(|n| (n.address.to_string(), n.mac.map(|m| m.to_string()).unwrap_or_default()))
            .collect(),
    });
    SocketsView { at: at.as_nanos(), hosts: hosts.collect() }
}

fn row<'a>(
    s: &SocketSnapshot,
    process: &impl Fn(Pid) -> Option<(u32, &'a str)>,
    conversation: &impl Fn(u8, SocketAddr, SocketAddr) -> Option<u32>,
) -> SocketRow {
    let netid = match s.protocol {
        ProtocolKind::Tcp => "tcp",
        ProtocolKind::Udp => "udp",
        ProtocolKind::Ping => "icmp",
        ProtocolKind::Raw => "raw",
        ProtocolKind::UnixStream => "u_str",
        ProtocolKind::UnixDatagram => "u_dgr",
    };
    let state = match (s.state, s.peer) {
        (Some(state), _) => state.ss_name(),
        (None, Some(_)) => TcpState::Established.ss_name(),
        (None, None) => TcpState::Closed.ss_name(),
    };
    let number = match s.protocol {
        ProtocolKind::Tcp => 6,
        ProtocolKind::Udp => 17,
        _ => 0,
    };
    let ends = s.local.zip(s.peer);
    let owners: Vec<_> = s
        .owners
        .iter()
        .filter_map(|(pid, fd)| process(*pid).map(|(_, file)| format!("{file} fd={}", fd.0)))
        .collect();
    SocketRow {
        socket: s.id.0,
        netid: netid.to_string(),
        state: state.to_string(),
        recv_q: s.recv_queue as u64,
        send_q: s.send_queue as u64,
        local: s.local.map_or_else(|| "*:*".to_string(), |a| address(a, "*")),
        peer: peer(s),
        process: owners.join(", "),
        program: s.owners.iter().find_map(|(pid, _)| process(*pid).map(|(program, _)| program)),
        conversation: ends.and_then(|(a, b)| conversation(number, a, b)),
        syn_queue: u32::try_from(s.syn_queue).unwrap_or(u32::MAX),
        in_accept_queue: s.waits_at.is_some() && s.state.is_some_and(|t| t != TcpState::SynReceived),
        recv_head: s.recv_head.clone(),
        tcb: s.tcb.as_ref().map(tcb).unwrap_or_default(),
        timers: s
            .timers
            .iter()
            .map(|t| (keys::timer_key(t.kind).to_string(), t.deadline.as_nanos()))
            .collect(),
        numbers: s.tcb.as_ref().map(numbers),
    }
}

/// What graphs draw of a TCB.
fn numbers(t: &TcbSnapshot) -> TcpNumbers {
    let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    TcpNumbers {
        cwnd: t.cwnd,
        ssthresh: (t.ssthresh != u32::MAX).then_some(t.ssthresh),
        in_flight: t.snd_nxt.wrapping_sub(t.snd_una),
        snd_wnd: t.snd_wnd,
        rcv_wnd: t.rcv_wnd,
        srtt: t.srtt.map(nanos),
        rto: nanos(t.rto),
        retransmissions: t.retransmissions,
    }
}

/// `10.0.0.80:80`, `[fd00::1]:80`; port 0 as `zero`.
fn address(a: SocketAddr, zero: &str) -> String {
    let port = if a.port() == 0 { zero.to_string() } else { a.port().to_string() };
    match a {
        SocketAddr::V4(a) => format!("{}:{port}", a.ip()),
        SocketAddr::V6(a) => format!("[{}]:{port}", a.ip()),
    }
}

/// The other end; for a socket without one `0.0.0.0:*` or `[::]:*`, as ss does.
fn peer(s: &SocketSnapshot) -> String {
    match (s.peer, s.local) {
        (Some(peer), _) => address(peer, "*"),
        (None, Some(SocketAddr::V4(_))) => "0.0.0.0:*".to_string(),
        (None, Some(SocketAddr::V6(_))) => "[::]:*".to_string(),
        (None, None) => "*:*".to_string(),
    }
}

/// A sequence number with its distance from the first one: `305419907 (1)`.
fn sequence(value: u32, first: u32) -> String {
    format!("{value} ({})", value.wrapping_sub(first))
}

fn ms(d: Duration) -> String {
    format!("{}.{:03} ms", d.as_millis(), d.subsec_micros() % 1000)
}

/// The TCB's fields: RFC 9293 3.3.1 first, then RFC 5681, RFC 6298 and the options.
fn tcb(t: &TcbSnapshot) -> Vec<(String, String)> {
    let ranges = |r: &[(u32, u32)], first: u32| {
        let r: Vec<_> =
            r.iter().map(|(a, b)| format!("{}-{}", a.wrapping_sub(first), b.wrapping_sub(first))).collect();
        r.join(" ")
    };
    let mut rows = vec![
        ("SND.UNA", sequence(t.snd_una, t.iss)),
        ("SND.NXT", sequence(t.snd_nxt, t.iss)),
        ("SND.WND", t.snd_wnd.to_string()),
        ("ISS", t.iss.to_string()),
        ("RCV.NXT", sequence(t.rcv_nxt, t.irs)),
        ("RCV.WND", t.rcv_wnd.to_string()),
        ("IRS", t.irs.to_string()),
        ("cwnd", t.cwnd.to_string()),
        ("ssthresh", t.ssthresh.to_string()),
        ("RTO", ms(t.rto)),
    ];
    if let (Some(srtt), Some(rttvar)) = (t.srtt, t.rttvar) {
        rows.extend([("SRTT", ms(srtt)), ("RTTVAR", ms(rttvar))]);
    }
    rows.extend([("SMSS", t.snd_mss.to_string()), ("RMSS", t.rcv_mss.to_string())]);
    if let Some((own, other)) = t.window_scale {
        rows.push(("wscale", format!("{own},{other}")));
    }
    let optional = [
        ("backoff", t.backoff.to_string(), t.backoff > 0),
        ("dup_acks", t.dup_acks.to_string(), t.dup_acks > 0),
        ("sacked", ranges(&t.sacked, t.iss), !t.sacked.is_empty()),
        ("out_of_order", ranges(&t.out_of_order, t.irs), !t.out_of_order.is_empty()),
        ("retransmissions", t.retransmissions.to_string(), t.retransmissions > 0),
    ];
    rows.extend(optional.into_iter().filter(|(.., shown)| *shown).map(|(name, value, _)| (name, value)));
    rows.extend([("bytes_sent", t.bytes_sent.to_string()), ("bytes_received", t.bytes_received.to_string())]);
    rows.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}
