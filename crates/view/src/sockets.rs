//! The sockets of all hosts in the columns and spelling of ss(8).

use core::net::SocketAddr;
use core::time::Duration;

use socketlab_netsim::record::NodeId;
use socketlab_stack::{HostSnapshot, Instant, Pid, ProtocolKind, SocketSnapshot, TcbSnapshot, TcpState};

use crate::event::{HostRow, SocketRow, SocketsView, TcbView};
use crate::{keys, tables};

/// All sockets at an instant. `process`: a process's program and file; `conversation`: number of a pair of ends.
pub(crate) fn view<'a>(
    at: Instant,
    hosts: &[(NodeId, HostSnapshot)],
    process: impl Fn(Pid) -> Option<(Option<u32>, &'a str)>,
    conversation: impl Fn(u8, SocketAddr, SocketAddr) -> Option<u32>,
) -> SocketsView {
    let hosts = hosts.iter().map(|(node, state)| host(*node, state, &process, &conversation));
    SocketsView { at: at.as_nanos(), hosts: hosts.collect() }
}

/// One host.
pub(crate) fn host<'a>(
    node: NodeId,
    state: &HostSnapshot,
    process: &impl Fn(Pid) -> Option<(Option<u32>, &'a str)>,
    conversation: &impl Fn(u8, SocketAddr, SocketAddr) -> Option<u32>,
) -> HostRow {
    let sockets = state.sockets.iter().map(|s| row(s, process, conversation)).collect();
    HostRow { node: node.0, sockets, tables: tables::of_host(state) }
}

fn row<'a>(
    s: &SocketSnapshot,
    process: &impl Fn(Pid) -> Option<(Option<u32>, &'a str)>,
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
        program: s.owners.iter().find_map(|(pid, _)| process(*pid).and_then(|(program, _)| program)),
        conversation: ends.and_then(|(a, b)| conversation(number, a, b)),
        syn_queue: u32::try_from(s.syn_queue).unwrap_or(u32::MAX),
        in_accept_queue: s.waits_at.is_some() && s.state.is_some_and(|t| t != TcpState::SynReceived),
        recv_head: s.recv_head.clone(),
        recv_buffer: s.recv_buffer as u64,
        send_buffer: s.send_buffer as u64,
        tcb: s.tcb.as_ref().map(tcb),
        timers: s
            .timers
            .iter()
            .map(|t| (keys::timer_key(t.kind).to_string(), t.deadline.as_nanos()))
            .collect(),
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn tcb(t: &TcbSnapshot) -> TcbView {
    TcbView {
        iss: t.iss,
        snd_una: t.snd_una,
        snd_nxt: t.snd_nxt,
        snd_wnd: t.snd_wnd,
        irs: t.irs,
        rcv_nxt: t.rcv_nxt,
        rcv_wnd: t.rcv_wnd,
        cwnd: t.cwnd,
        ssthresh: t.ssthresh,
        srtt: t.srtt.map(nanos),
        rttvar: t.rttvar.map(nanos),
        rto: nanos(t.rto),
        backoff: t.backoff,
        dup_acks: t.dup_acks,
        in_recovery: t.in_recovery,
        sacked: t.sacked.clone(),
        out_of_order: t.out_of_order.clone(),
        snd_mss: t.snd_mss,
        rcv_mss: t.rcv_mss,
        window_scale: t.window_scale,
        sack_permitted: t.sack_permitted,
        timestamps: t.timestamps,
        retransmissions: t.retransmissions,
        bytes_sent: t.bytes_sent,
        bytes_received: t.bytes_received,
    }
}
