//! TCP (RFC 9293): one connection as a pure state machine. Segments, calls and time go in; segments and notes of what
//! happened pile up in [`Tcb::out`] and [`Tcb::notes`] until the host takes them. A TCB knows no ports and no sockets.
//!
//! `input` is the RFC's "SEGMENT ARRIVES", `output` decides what may be sent, `recovery` repairs losses, `timers`
//! run out. Left out on purpose: urgent data, ECN, TCP Fast Open, RACK and PRR.

mod buffers;
mod congestion;
mod input;
mod options;
mod output;
mod params;
mod recovery;
mod rtt;
mod segment;
mod seq;
#[cfg(test)]
mod tests;
mod timers;

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;

use buffers::{OutOfOrder, RecvQueue, SendQueue};
use congestion::Congestion;
use recovery::{Recovery, Sent};
use rtt::Rtt;

pub(crate) use params::{Fail, Note, Params, Settings};
pub(crate) use segment::{Flags, Segment, reset_for};
pub(crate) use seq::Seq;

use crate::event::TimerKind;
use crate::snapshot::{TcbSnapshot, TcpState, TimerSnapshot};
use crate::time::Instant;

/// Our window scale: Linux chooses 7 for its largest receive buffer of 6 MiB.
const WINDOW_SCALE: u8 = 7;
/// Linux `TCP_MSS_DEFAULT`, RFC 9293 3.7.1: when the peer names none.
const DEFAULT_MSS: u32 = 536;
/// Linux `tcp_rmem[2]` is 6 MiB of memory, half of which may be announced as window.
const MAX_RECV_SPACE: usize = 3 << 20;
/// Linux `TCP_MAX_QUICKACKS`.
const QUICK_ACKS: u32 = 16;

/// Delayed acknowledgments (RFC 1122 4.2.3.2), as Linux does them.
#[derive(Clone, Debug, Default)]
struct AckPolicy {
    /// An ACK must go out now.
    now: bool,
    /// So many ACKs are still sent at once.
    quick: u32,
    /// Data flows both ways in turns: an ACK can ride on the answer.
    ping_pong: bool,
    /// When data came last.
    last_data: Option<Instant>,
}

/// The transmission control block.
#[derive(Clone, Debug)]
pub(crate) struct Tcb {
    params: Params,
    state: TcpState,

    snd_una: Seq,
    snd_nxt: Seq,
    snd_wnd: u32,
    snd_wl1: Seq,
    snd_wl2: Seq,
    /// The largest window the peer ever offered.
    max_window: u32,
    /// Sequence number of the first octet in `send_queue`.
    queue_seq: Seq,
    send_queue: SendQueue,
    /// The program has finished sending; a FIN follows the queue.
    fin_queued: bool,
    /// The program promised more (`MSG_MORE`).
    more: bool,
    /// The last segment sent that was not full ends here (Minshall's form of Nagle's rule).
    small_end: Option<Seq>,

    irs: Seq,
    rcv_nxt: Seq,
    /// Right edge of the window we announced; never moves left.
    rcv_adv: Seq,
    /// `rcv_nxt` of the last ACK we sent.
    rcv_acked: Seq,
    recv_queue: RecvQueue,
    out_of_order: OutOfOrder,
    /// Receive space in octets; grows with the speed of the connection unless `SO_RCVBUF` was set.
    recv_space: usize,
    /// Receive autotuning: octets the program read since the instant, and the measured round trip.
    copied: (Instant, usize),
    rcv_rtt: Option<Duration>,
    /// A duplicate to report first among the SACK blocks (RFC 2883).
    duplicate: Option<(Seq, Seq)>,
    acks: AckPolicy,

    /// MSS the peer announced, bounded by our path.
    peer_mss: u32,
    /// Size of the peer's segments, for delayed ACKs.
    rcv_mss: u32,
    /// Our and the peer's shift.
    scale: Option<(u8, u8)>,
    sack_ok: bool,
    timestamps: bool,
    ts_recent: u32,
    ts_recent_at: Instant,

    sent: VecDeque<Sent>,
    /// Some segment in `sent` is marked as SACKed or lost.
    marked: bool,
    recovery: Recovery,
    dup_acks: u32,
    rtt: Rtt,
    congestion: Congestion,
    /// Time-outs in a row without an answer.
    timeouts: u32,
    /// Window or keep-alive probes in a row without an answer.
    probes: u32,
    /// When a suspicious segment was last answered.
    challenged_at: Option<Instant>,
    /// When new data was last sent.
    sent_at: Option<Instant>,
    /// When the peer was last heard.
    heard_at: Instant,
    /// When the oldest unanswered segment was first sent.
    stalled_since: Option<Instant>,

    /// The peer's FIN has come, and all before it.
    fin_received: bool,
    /// No program owns the connection any more.
    orphan: bool,
    rtx_timer: Option<Instant>,
    persist_timer: Option<Instant>,
    ack_timer: Option<Instant>,
    keep_timer: Option<Instant>,
    /// TIME-WAIT, or FIN-WAIT-2 of an orphan.
    wait_timer: Option<Instant>,

    retransmissions: u64,
    bytes_sent: u64,
    bytes_received: u64,

    pub(crate) out: Vec<Segment>,
    pub(crate) notes: Vec<Note>,
}

impl Tcb {
    fn new(now: Instant, params: Params, state: TcpState) -> Tcb {
        let (iss, mss, profile) = (params.iss, params.mss, params.profile);
        // Linux announces whole segments only: 64240 for an MSS of 1460.
        let recv_space =
            params.settings.recv_buffer.map_or(65_535 / mss as usize * mss as usize, |size| size / 2);
        Tcb {
            state,
            snd_una: iss,
            snd_nxt: iss,
            snd_wnd: 0,
            snd_wl1: Seq(0),
            snd_wl2: Seq(0),
            max_window: 0,
            queue_seq: iss + 1,
            send_queue: SendQueue::default(),
            fin_queued: false,
            more: false,
            small_end: None,
            irs: Seq(0),
            rcv_nxt: Seq(0),
            rcv_adv: Seq(0),
            rcv_acked: Seq(0),
            recv_queue: RecvQueue::default(),
            out_of_order: OutOfOrder::default(),
            recv_space,
            copied: (now, 0),
            rcv_rtt: None,
            duplicate: None,
            acks: AckPolicy::default(),
            peer_mss: DEFAULT_MSS,
            rcv_mss: DEFAULT_MSS.min(mss),
            scale: None,
            sack_ok: false,
            timestamps: false,
            ts_recent: 0,
            ts_recent_at: now,
            sent: VecDeque::new(),
            marked: false,
            recovery: Recovery::Open,
            dup_acks: 0,
            rtt: Rtt::new(profile),
            congestion: Congestion::new(profile, mss),
            timeouts: 0,
            probes: 0,
            challenged_at: None,
            sent_at: None,
            heard_at: now,
            stalled_since: None,
            fin_received: false,
            orphan: false,
            rtx_timer: None,
            persist_timer: None,
            ack_timer: None,
            keep_timer: None,
            wait_timer: None,
            retransmissions: 0,
            bytes_sent: 0,
            bytes_received: 0,
            out: Vec::new(),
            notes: Vec::new(),
            params,
        }
    }

    /// Active OPEN: sends a SYN.
    pub(crate) fn connect(now: Instant, params: Params) -> Tcb {
        let mut tcb = Tcb::new(now, params, TcpState::Closed);
        tcb.enter(TcpState::SynSent);
        tcb.send_syn(now);
        tcb
    }

    /// A SYN reached a listener: answers it with SYN,ACK.
    pub(crate) fn accept(now: Instant, params: Params, syn: &Segment) -> Tcb {
        let mut tcb = Tcb::new(now, params, TcpState::Listen);
        tcb.take_syn(now, syn);
        if tcb.params.settings.recv_buffer.is_none() {
            // Linux `tcp_openreq_init_rwin`: whole segments of our own MSS, less the timestamps.
            let mss = tcb.params.mss as usize - if tcb.timestamps { 12 } else { 0 };
            tcb.recv_space = 65_535 / mss * mss;
        }
        tcb.enter(TcpState::SynReceived);
        tcb.send_syn(now);
        tcb
    }

    pub(crate) fn state(&self) -> TcpState {
        self.state
    }

    fn enter(&mut self, state: TcpState) {
        if state != self.state {
            self.notes.push(Note::State(self.state, state));
            self.state = state;
        }
    }

    /// Ends the connection here and now.
    fn close(&mut self) {
        self.enter(TcpState::Closed);
        self.sent.clear();
        self.stop_timers();
    }

    fn fail(&mut self, why: Fail) {
        self.notes.push(Note::Failed(why));
        self.close();
    }

    // What the program does.

    /// Takes octets to send, as many as there is room for. `more` (`MSG_MORE`): a segment that is not full waits for
    /// what comes next.
    pub(crate) fn send(&mut self, now: Instant, data: &Bytes, more: bool) -> usize {
        self.more = more;
        let taken = data.len().min(self.send_room());
        self.send_queue.push(data.slice(..taken));
        if taken > 0 {
            self.output(now);
        }
        taken
    }

    /// Free octets in the send buffer.
    pub(crate) fn send_room(&self) -> usize {
        self.send_buffer().saturating_sub(self.send_queue.len())
    }

    /// Size of the send buffer. Linux `tcp_sndbuf_expand`: memory for two windows of segments, each with its heads
    /// in a block of a power of two; 4 MiB (`tcp_wmem[2]`) at most.
    pub(crate) fn send_buffer(&self) -> usize {
        /// Linux `MAX_TCP_HEADER` and `struct skb_shared_info`.
        const HEADS: usize = 640;
        /// Linux `struct sk_buff`, aligned.
        const BUFFER_HEAD: usize = 256;
        self.params.settings.send_buffer.unwrap_or_else(|| {
            let segment_memory = (self.mss() as usize + HEADS).next_power_of_two() + BUFFER_HEAD;
            let segments = (self.congestion.cwnd / self.mss().max(1)).max(10) as usize;
            (2 * segments * segment_memory).clamp(16_384, 4 << 20)
        })
    }

    /// Whether poll(2) shows the connection as writable: a third of the buffer is free.
    pub(crate) fn writable(&self) -> bool {
        self.send_room() >= self.send_queue.len() / 2 && self.send_room() > 0
    }

    pub(crate) fn readable(&self) -> usize {
        self.recv_queue.len()
    }

    /// Everything from the peer has come, and its FIN.
    pub(crate) fn peer_finished(&self) -> bool {
        self.fin_received
    }

    pub(crate) fn peek(&self, len: usize) -> Bytes {
        self.recv_queue.peek(len)
    }

    pub(crate) fn recv(&mut self, now: Instant, len: usize) -> Bytes {
        let data = self.recv_queue.take(len);
        self.tune_recv_space(now, data.len());
        self.update_window(now, data.len());
        data
    }

    /// The program has finished sending: FIN follows what is queued.
    pub(crate) fn finish(&mut self, now: Instant) {
        match self.state {
            TcpState::SynSent => self.close(),
            TcpState::Established | TcpState::SynReceived => {
                self.fin_queued = true;
                self.enter(TcpState::FinWait1);
                self.output(now);
            }
            TcpState::CloseWait => {
                self.fin_queued = true;
                self.enter(TcpState::LastAck);
                self.output(now);
            }
            _ => {}
        }
    }

    /// The last descriptor is closed. `reset`: unread data, or `SO_LINGER` with zero.
    pub(crate) fn release(&mut self, now: Instant, reset: bool) {
        self.orphan = true;
        self.keep_timer = None;
        let reset = reset || self.recv_queue.len() > 0;
        self.recv_queue.clear();
        match self.state {
            TcpState::Closed | TcpState::SynSent => self.close(),
            TcpState::TimeWait => {}
            _ if reset => self.abort(now),
            TcpState::FinWait2 => self.wait_timer = Some(now + self.params.settings.fin_timeout),
            _ => self.finish(now),
        }
    }

    /// ABORT: a RST, and it is over.
    pub(crate) fn abort(&mut self, now: Instant) {
        if !matches!(self.state, TcpState::Closed | TcpState::SynSent | TcpState::TimeWait) {
            let flags = Flags { rst: true, ack: true, ..Flags::default() };
            self.push_segment(now, self.snd_nxt, flags, Bytes::new().into());
        }
        self.out_of_order.clear();
        self.close();
    }

    /// The network said that this cannot work (ICMP, no neighbour).
    pub(crate) fn give_up(&mut self) {
        self.close();
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.params.settings
    }

    /// Settings changed: what was held back may go now.
    pub(crate) fn apply_settings(&mut self, now: Instant) {
        if let Some(size) = self.params.settings.recv_buffer {
            self.recv_space = size / 2;
        }
        let idle = self.params.settings.keep_idle;
        let wanted = self.params.settings.keepalive && self.synchronized();
        // Linux `tcp_sock_set_keepidle_locked`: counted from what was heard last.
        let first = (self.heard_at + idle).max(now);
        self.keep_timer = wanted.then(|| self.keep_timer.filter(|_| self.probes > 0).unwrap_or(first));
        self.output(now);
    }

    /// The peer's octets that were acknowledged, but not read: Recv-Q. And ours not acknowledged: Send-Q.
    pub(crate) fn queues(&self) -> (usize, usize) {
        (self.recv_queue.len(), self.send_queue.len())
    }

    pub(crate) fn recv_buffer(&self) -> usize {
        self.recv_space
    }

    /// Segment size without options: what `TCP_MAXSEG` reads.
    pub(crate) fn max_segment(&self) -> u32 {
        self.mss()
    }

    /// Whether a segment of ours with this sequence number may be in flight.
    pub(crate) fn has_in_flight(&self, seq: Seq) -> bool {
        self.snd_una.le(seq) && seq.lt(self.snd_nxt)
    }

    /// Whether a SYN on a connection in TIME-WAIT may open a new one (RFC 6191, RFC 9293 3.10.7.4).
    pub(crate) fn may_be_reopened_by(&self, syn: &Segment) -> bool {
        if self.state != TcpState::TimeWait || syn.flags.ack || syn.flags.rst || !syn.flags.syn {
            return false;
        }
        let newer = match syn.options.timestamps {
            Some((tsval, _)) if self.timestamps => Seq(tsval).gt(Seq(self.ts_recent)),
            _ => false,
        };
        newer || syn.seq.gt(self.rcv_nxt)
    }

    /// Up to here the peer has everything of ours: `SND.UNA`.
    pub(crate) fn acknowledged(&self) -> Seq {
        self.snd_una
    }

    fn synchronized(&self) -> bool {
        !matches!(self.state, TcpState::Closed | TcpState::Listen | TcpState::SynSent | TcpState::SynReceived)
    }

    pub(crate) fn snapshot(&self) -> TcbSnapshot {
        TcbSnapshot {
            iss: self.params.iss.0,
            snd_una: self.snd_una.0,
            snd_nxt: self.snd_nxt.0,
            snd_wnd: self.snd_wnd,
            irs: self.irs.0,
            rcv_nxt: self.rcv_nxt.0,
            rcv_wnd: self.rcv_adv.since(self.rcv_nxt),
            cwnd: self.congestion.cwnd,
            ssthresh: self.congestion.ssthresh,
            srtt: self.rtt.srtt,
            rttvar: self.rtt.rttvar,
            rto: self.rtt.rto(),
            backoff: self.rtt.backoff,
            dup_acks: self.dup_acks,
            in_recovery: !matches!(self.recovery, Recovery::Open),
            sacked: self.sacked_ranges(),
            out_of_order: self.out_of_order.ranges().iter().map(|(l, r)| (l.0, r.0)).collect(),
            snd_mss: self.mss(),
            rcv_mss: self.rcv_mss,
            window_scale: self.scale,
            sack_permitted: self.sack_ok,
            timestamps: self.timestamps,
            retransmissions: self.retransmissions,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
        }
    }

    pub(crate) fn timers(&self) -> Vec<TimerSnapshot> {
        let wait = if self.state == TcpState::TimeWait { TimerKind::TimeWait } else { TimerKind::FinWait2 };
        [
            (TimerKind::Retransmission, self.rtx_timer),
            (TimerKind::Persist, self.persist_timer),
            (TimerKind::DelayedAck, self.ack_timer),
            (TimerKind::KeepAlive, self.keep_timer),
            (wait, self.wait_timer),
        ]
        .into_iter()
        .filter_map(|(kind, at)| at.map(|deadline| TimerSnapshot { kind, deadline }))
        .collect()
    }
}
