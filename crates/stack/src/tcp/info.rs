//! The connection as others see it: the snapshot for teachers, and `struct tcp_info` for `TCP_INFO`.

use core::time::Duration;

use super::Tcb;
use super::recovery::Phase;
use super::timers::KINDS;
use crate::snapshot::{RecoveryPhase, TcbSnapshot, TcpState, TimerSnapshot};
use crate::time::Instant;

/// Size of Linux 6's `struct tcp_info` (`include/uapi/linux/tcp.h`).
const INFO_LEN: usize = 248;

impl Tcb {
    pub(crate) fn snapshot(&self) -> TcbSnapshot {
        let mss = self.mss();
        TcbSnapshot {
            iss: self.params.iss.0,
            snd_una: self.snd_una.0,
            snd_nxt: self.snd_nxt.0,
            snd_wnd: self.snd_wnd,
            snd_wl1: self.snd_wl1.0,
            snd_wl2: self.snd_wl2.0,
            snd_up: self.rare.snd_up.map(|up| up.0),
            irs: self.irs.0,
            rcv_nxt: self.rcv_nxt.0,
            rcv_wnd: self.announced_window(),
            rcv_up: self.rare.urgent.map(|mark| mark.seq().0),
            congestion_control: self.congestion.name(),
            cwnd: self.congestion.cwnd.saturating_mul(mss),
            ssthresh: match self.congestion.ssthresh {
                super::congestion::INFINITE.. => u32::MAX,
                segments => segments.saturating_mul(mss),
            },
            in_flight: self.board.in_flight().saturating_mul(mss),
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt(),
            rto: self.rtt.rto(),
            backoff: self.rtt.backoff,
            timeouts: self.rare.timeouts,
            probes: self.rare.probes,
            dup_acks: self.rare.dup_acks,
            in_recovery: self.loss.phase >= Phase::Recovery,
            phase: match self.loss.phase {
                Phase::Open => RecoveryPhase::Open,
                Phase::Disorder => RecoveryPhase::Disorder,
                Phase::Reduced => RecoveryPhase::Reduced,
                Phase::Recovery => RecoveryPhase::Recovery,
                Phase::Loss => RecoveryPhase::Loss,
            },
            recover: (self.loss.phase != Phase::Open).then_some(self.loss.high_seq.0),
            sacked: self.board.sacked_ranges(),
            lost_segments: self.board.lost,
            resent_segments: self.board.resent,
            out_of_order: self.out_of_order.ranges().iter().map(|(l, r)| (l.0, r.0)).collect(),
            snd_mss: mss,
            rcv_mss: self.rcv_mss,
            path_mtu: self.params.path_mtu,
            window_scale: self.scale,
            sack_permitted: self.sack_ok,
            timestamps: self.timestamps,
            ecn: self.ecn.agreed,
            delayed_ack: self.acks.ato,
            quick_acks: self.acks.quick,
            ping_pong: self.acks.ping_pong,
            retransmissions: self.rare.retransmissions,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
        }
    }

    pub(crate) fn timers(&self) -> Vec<TimerSnapshot> {
        let all = KINDS.into_iter().zip(self.deadlines());
        all.filter_map(|(kind, at)| at.map(|deadline| TimerSnapshot { kind, deadline })).collect()
    }

    /// `struct tcp_info`, field by field as the kernel lays it out. `probing`, `backlog`, pacing and delivery rates,
    /// which need a clock of their own, read as zero.
    pub(crate) fn info(&self, now: Instant) -> Vec<u8> {
        let mss = self.mss();
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let since = |at: Option<Instant>| {
            at.map_or(0, |at| u32::try_from((now - at).as_millis()).unwrap_or(u32::MAX))
        };
        let (rcv_scale, snd_scale) = self.scale.unwrap_or((0, 0));
        let options = u8::from(self.timestamps)
            | u8::from(self.sack_ok) << 1
            | u8::from(self.scale.is_some()) << 2
            | u8::from(self.ecn.agreed) << 3;
        let small = |count: u32| u8::try_from(count).unwrap_or(u8::MAX);
        let mut info = Layout(Vec::with_capacity(INFO_LEN));
        info.u8(linux_state(self.state));
        info.u8(self.loss.phase as u8);
        info.u8(small(self.rare.timeouts));
        info.u8(small(self.rare.probes));
        info.u8(small(self.rtt.backoff));
        info.u8(options);
        info.u8(snd_scale & 0xf | rcv_scale << 4);
        info.u8(0);
        info.u32(micros(self.rtt.rto()));
        info.u32(micros(self.acks.ato));
        info.u32(mss);
        info.u32(self.rcv_mss);
        info.u32(self.board.out());
        info.u32(self.board.sacked);
        info.u32(self.board.lost);
        info.u32(self.board.resent);
        info.u32(0);
        info.u32(since(self.sent_at));
        info.u32(0);
        info.u32(since(self.acks.last_data));
        info.u32(since(Some(self.heard_at)));
        info.u32(self.params.path_mtu);
        info.u32(self.rcv_ssthresh);
        info.u32(self.rtt.srtt().map_or(0, micros));
        info.u32(self.rtt.rttvar().map_or(250_000, micros));
        info.u32(self.congestion.ssthresh);
        info.u32(self.congestion.cwnd);
        info.u32(self.params.mss - if self.timestamps { 12 } else { 0 });
        info.u32(self.loss.reordering);
        info.u32(self.rcv_rtt.map_or(0, micros));
        info.u32(u32::try_from(self.copied_before).unwrap_or(u32::MAX));
        info.u32(u32::try_from(self.rare.retransmissions).unwrap_or(u32::MAX));
        // Pacing: none.
        info.u64(u64::MAX);
        info.u64(u64::MAX);
        info.u64(self.bytes_acked);
        info.u64(self.bytes_received);
        info.u32(self.segments_out);
        info.u32(self.segments_in);
        info.u32(self.unsent());
        info.u32(self.rtt.min_rtt().map_or(u32::MAX, micros));
        info.u32(self.data_segments_in);
        info.u32(self.data_segments_out);
        // Delivery rate; time busy, limited by the window, limited by the buffer.
        (0..4).for_each(|_| info.u64(0));
        info.u32(self.loss.delivered);
        info.u32(0);
        info.u64(self.bytes_sent + self.rare.bytes_resent);
        info.u64(self.rare.bytes_resent);
        info.u32(self.loss.episode.dsacks);
        info.u32(self.loss.episode.reordering_seen);
        info.u32(self.rare.out_of_order_in);
        info.u32(self.snd_wnd);
        info.u32(self.announced_window());
        info.u32(0);
        info.u16(u16::try_from(self.rare.total_timeouts).unwrap_or(u16::MAX));
        info.u16(0);
        info.u32(0);
        info.0
    }
}

/// `struct tcp_info` of a socket without a connection: its state, for a listener how many wait to be accepted and how
/// many may, for a fresh socket what a connection would begin with (Linux `tcp_init_sock`).
pub(crate) fn info_without_connection(state: TcpState, queue: Option<(usize, usize)>) -> Vec<u8> {
    /// RFC 9293's 536, and Linux's `TCP_INFINITE_SSTHRESH`, `TCP_INIT_CWND` and `tcp_reordering`.
    const FRESH: [(usize, u32); 4] = [(16, 536), (76, 0x7fff_ffff), (80, 10), (88, 3)];
    let mut info = vec![0; INFO_LEN];
    if let Some(first) = info.first_mut() {
        *first = linux_state(state);
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let words = match queue {
        Some((waiting, most)) => vec![(24, count(waiting)), (28, count(most))],
        None => FRESH.to_vec(),
    };
    for (at, value) in words {
        if let Some(octets) = info.get_mut(at..at + 4) {
            octets.copy_from_slice(&value.to_le_bytes());
        }
    }
    info
}

/// `include/net/tcp_states.h`.
fn linux_state(state: TcpState) -> u8 {
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

/// A structure in memory, little-endian; the fields above lie as the compiler would align them.
struct Layout(Vec<u8>);

impl Layout {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}
