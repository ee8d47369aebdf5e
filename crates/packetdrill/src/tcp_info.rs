//! The fields of Linux's `struct tcp_info` (tcp(7)), as far as a host's snapshot knows them, and the constants that
//! go with them.

use core::time::Duration;

use socketlab_stack::{SocketSnapshot, TcbSnapshot, TcpState};

/// `include/net/tcp_states.h`, `include/uapi/linux/tcp.h`.
const CONSTANTS: &[(&str, i128)] = &[
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCP_INFINITE_SSTHRESH", 0x7fff_ffff),
];

/// The value of a name in a piece of code. `socket`: the connection's, if it still has one.
pub(crate) fn value(name: &str, socket: Option<&SocketSnapshot>) -> Option<i128> {
    if let Some((_, number)) = CONSTANTS.iter().find(|(n, _)| *n == name) {
        return Some(*number);
    }
    if name == "tcpi_state" {
        return Some(state(socket.and_then(|s| s.state).unwrap_or(TcpState::Closed)));
    }
    field(name, socket?.tcb.as_ref()?)
}

fn state(state: TcpState) -> i128 {
    match state {
        TcpState::Established => 1,
        TcpState::SynSent => 2,
        TcpState::SynReceived => 3,
        TcpState::FinWait1 => 4,
        TcpState::FinWait2 => 5,
        TcpState::TimeWait => 6,
        TcpState::Closed => 7,
        TcpState::CloseWait => 8,
        TcpState::LastAck => 9,
        TcpState::Listen => 10,
        TcpState::Closing => 11,
    }
}

fn field(name: &str, tcb: &TcbSnapshot) -> Option<i128> {
    let micros = |time: Duration| i128::try_from(time.as_micros()).ok();
    let mss = tcb.snd_mss.max(1);
    Some(match name {
        "tcpi_options" => {
            i128::from(tcb.timestamps)
                | i128::from(tcb.sack_permitted) << 1
                | i128::from(tcb.window_scale.is_some()) << 2
        }
        // Linux: the shift of the windows we receive, then that of the windows we send.
        "tcpi_rcv_wscale" => tcb.window_scale.map_or(0, |(ours, _)| ours.into()),
        "tcpi_snd_wscale" => tcb.window_scale.map_or(0, |(_, theirs)| theirs.into()),
        "tcpi_rto" => micros(tcb.rto)?,
        "tcpi_rtt" => micros(tcb.srtt.unwrap_or_default())?,
        "tcpi_rttvar" => micros(tcb.rttvar.unwrap_or_default())?,
        "tcpi_backoff" => tcb.backoff.into(),
        "tcpi_snd_mss" => tcb.snd_mss.into(),
        "tcpi_rcv_mss" => tcb.rcv_mss.into(),
        "tcpi_snd_cwnd" => (tcb.cwnd / mss).into(),
        "tcpi_snd_ssthresh" if tcb.ssthresh >= 0x7fff_ffff => 0x7fff_ffff,
        "tcpi_snd_ssthresh" => (tcb.ssthresh / mss).into(),
        "tcpi_unacked" => tcb.snd_nxt.wrapping_sub(tcb.snd_una).div_ceil(mss).into(),
        "tcpi_sacked" => tcb.sacked.iter().map(|(l, r)| i128::from(r.wrapping_sub(*l).div_ceil(mss))).sum(),
        "tcpi_total_retrans" => tcb.retransmissions.into(),
        "tcpi_snd_wnd" => tcb.snd_wnd.into(),
        "tcpi_rcv_wnd" => tcb.rcv_wnd.into(),
        "tcpi_bytes_received" => tcb.bytes_received.into(),
        "tcpi_bytes_sent" => tcb.bytes_sent.into(),
        _ => return None,
    })
}
