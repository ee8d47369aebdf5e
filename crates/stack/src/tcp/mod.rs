//! TCP (RFC 9293): one connection as a pure state machine. Segments, calls and time go in; segments and notes of what
//! happened pile up in [`Tcb::out`] and [`Tcb::notes`] until the host takes them. A TCB knows no ports and no sockets.
//!
//! `input` is the RFC's "SEGMENT ARRIVES", `ack` what an acknowledgment means, `recovery` and `rack` repair losses on the
//! list in `scoreboard`, `congestion` sizes the window, `output` decides what may be sent, `receive` which window to offer
//! and when to acknowledge, `timers` run out. Left out on purpose: TCP Fast Open, Multipath TCP, TCP-AO.

mod ack;
mod buffers;
mod congestion;
mod ecn;
mod info;
mod input;
mod lost;
mod options;
mod output;
mod params;
mod rack;
mod rare;
mod receive;
mod recovery;
mod resend;
mod rtt;
mod scoreboard;
mod segment;
mod seq;
#[cfg(test)]
mod tests;
mod timers;
mod undo;
mod urgent;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use buffers::{OutOfOrder, RecvQueue, SendQueue};
use congestion::Congestion;
use rare::Rare;
use receive::AckPolicy;
use recovery::Loss;
use rtt::Rtt;
use scoreboard::Scoreboard;
use timers::RtxTimer;

pub(crate) use info::info_without_connection;
pub(crate) use params::{Fail, Note, Params, Settings};
pub(crate) use segment::{Flags, Segment, reset_for};
pub(crate) use seq::Seq;
pub(crate) use timers::KINDS as TIMER_KINDS;
pub(crate) use urgent::OutOfBand;

use crate::snapshot::TcpState;
use crate::spare::Spare;
use crate::time::Instant;

/// Linux `TCP_MSS_DEFAULT`, RFC 9293 3.7.1: when the peer names none.
const DEFAULT_MSS: u32 = 536;

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
    send_queue: Spare<SendQueue>,
    /// The program has finished sending; a FIN follows the queue.
    fin_queued: bool,
    /// The program promised more (`MSG_MORE`).
    more: bool,
    /// The last segment sent that was not full ends here (Minshall's form of Nagle's rule).
    small_end: Option<Seq>,
    /// The segment that is being made bears data for the first time.
    fresh: bool,

    irs: Seq,
    rcv_nxt: Seq,
    /// Right edge of the window we announced; never moves left.
    rcv_adv: Seq,
    /// `rcv_nxt` of the last ACK we sent.
    rcv_acked: Seq,
    recv_queue: Spare<RecvQueue>,
    out_of_order: OutOfOrder,
    /// Receive space in octets; grows with the speed of the connection unless `SO_RCVBUF` was set.
    recv_space: usize,
    /// The largest window to offer, and the most to offer yet (Linux `window_clamp`, `rcv_ssthresh`).
    window_clamp: u32,
    rcv_ssthresh: u32,
    /// Receive autotuning: octets the program read since the instant, and in the round trip before.
    copied: (Instant, usize),
    copied_before: usize,
    /// The round trip as the receiver sees it, and what it is measured by.
    rcv_rtt: Option<Duration>,
    rcv_rtt_echo: Option<Seq>,
    rcv_round: Option<(Instant, Seq)>,
    acks: AckPolicy,

    /// MSS the peer announced, bounded by our path.
    peer_mss: u32,
    /// Size of the peer's segments, for delayed ACKs.
    rcv_mss: u32,
    /// The shift that we announce; and ours and the peer's, if agreed.
    our_scale: u8,
    scale: Option<(u8, u8)>,
    ecn: ecn::Ecn,
    sack_ok: bool,
    timestamps: bool,
    ts_recent: u32,
    ts_recent_at: Instant,
    /// TSecr of the last segment.
    last_echo: Option<Seq>,

    board: Spare<Scoreboard>,
    loss: Loss,
    rare: Spare<Rare>,
    rtt: Rtt,
    congestion: Congestion,
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
    rtx_timer: Option<(RtxTimer, Instant)>,
    ack_timer: Option<Instant>,

    bytes_sent: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segments_out: u32,
    segments_in: u32,
    data_segments_out: u32,
    data_segments_in: u32,

    pub(crate) out: Vec<Segment>,
    pub(crate) notes: Vec<Note>,
}

impl Tcb {
    fn new(now: Instant, params: Params, state: TcpState) -> Tcb {
        let (iss, mss, profile) = (params.iss, params.mss, params.profile);
        let recv_space = params.settings.recv_buffer.unwrap_or(params.sysctl.tcp_rmem[1]) / 2;
        Tcb {
            state,
            snd_una: iss,
            snd_nxt: iss,
            snd_wnd: 0,
            snd_wl1: Seq(0),
            snd_wl2: Seq(0),
            max_window: 0,
            queue_seq: iss + 1,
            send_queue: Spare::default(),
            fin_queued: false,
            more: false,
            small_end: None,
            fresh: false,
            irs: Seq(0),
            rcv_nxt: Seq(0),
            rcv_adv: Seq(0),
            rcv_acked: Seq(0),
            recv_queue: Spare::default(),
            out_of_order: OutOfOrder::default(),
            recv_space,
            window_clamp: u32::MAX,
            rcv_ssthresh: 0,
            copied: (now, 0),
            copied_before: 0,
            rcv_rtt: None,
            rcv_rtt_echo: None,
            rcv_round: None,
            acks: AckPolicy::default(),
            peer_mss: DEFAULT_MSS,
            rcv_mss: DEFAULT_MSS.min(mss),
            our_scale: 0,
            scale: None,
            ecn: ecn::Ecn::default(),
            sack_ok: false,
            timestamps: false,
            ts_recent: 0,
            ts_recent_at: now,
            last_echo: None,
            board: Spare::default(),
            rare: Spare::default(),
            loss: Loss::new(params.sysctl.tcp_reordering),
            rtt: Rtt::new(profile, params.sysctl.rto_min),
            congestion: Congestion::new(&params, mss, now),
            sent_at: None,
            heard_at: now,
            stalled_since: None,
            fin_received: false,
            orphan: false,
            rtx_timer: None,
            ack_timer: None,
            bytes_sent: 0,
            bytes_acked: 0,
            bytes_received: 0,
            segments_out: 0,
            segments_in: 0,
            data_segments_out: 0,
            data_segments_in: 0,
            out: Vec::new(),
            notes: Vec::new(),
            params,
        }
    }

    /// Active OPEN: sends a SYN.
    pub(crate) fn connect(now: Instant, params: Params) -> Tcb {
        let mut tcb = Tcb::new(now, params, TcpState::Closed);
        tcb.our_scale = tcb.choose_scale();
        tcb.choose_first_window();
        tcb.enter(TcpState::SynSent);
        tcb.send_syn(now);
        tcb
    }

    /// A SYN reached a listener: answers it with SYN,ACK.
    pub(crate) fn accept(now: Instant, params: Params, syn: &Segment) -> Tcb {
        let mut tcb = Tcb::new(now, params, TcpState::Listen);
        tcb.take_syn(now, syn);
        tcb.choose_first_window();
        tcb.enter(TcpState::SynReceived);
        tcb.send_syn(now);
        tcb
    }

    pub(crate) fn state(&self) -> TcpState {
        self.state
    }

    /// Gives back the room of what is over.
    pub(crate) fn settle(&mut self) {
        self.send_queue.settle();
        self.recv_queue.settle();
        self.board.settle();
        self.rare.settle();
        self.loss.episode.settle();
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
        self.board.clear();
        self.stop_timers();
    }

    fn fail(&mut self, why: Fail) {
        self.notes.push(Note::Failed(why));
        self.close();
    }

    // What the program does.

    /// Takes octets to send, as many as there is room for. `more` (`MSG_MORE`): a segment that is not full waits for
    /// what comes next. `urgent` (`MSG_OOB`): the last octet is urgent.
    pub(crate) fn send(&mut self, now: Instant, data: &Bytes, (more, urgent): (bool, bool)) -> usize {
        self.more = more;
        if self.board.list.is_empty()
            && self.params.sysctl.tcp_slow_start_after_idle
            && let Some(at) = self.sent_at
        {
            self.congestion.after_idle(now, now - at, self.rtt.rto());
        }
        let mut taken = 0;
        loop {
            let part = (data.len() - taken).min(self.send_room()).min(self.room_below_mark());
            if part == 0 {
                break;
            }
            self.send_queue.push(data.slice(taken..taken + part));
            taken += part;
            if urgent && taken == data.len() {
                self.mark_urgent();
            }
            self.output(now);
        }
        self.more = false;
        taken
    }

    /// `TCP_NOTSENT_LOWAT`: as long as so much was never sent, no new buffer is begun; the last one is filled up (Linux
    /// `sk_stream_memory_free`).
    fn room_below_mark(&self) -> usize {
        let low = self.params.settings.notsent_lowat.unwrap_or(self.params.sysctl.tcp_notsent_lowat);
        if low == u32::MAX {
            return usize::MAX;
        }
        let mss = self.mss();
        let buffer = ((self.max_window / 2).min(65_535) / mss).max(1) * mss;
        let (unsent, filled) = (self.unsent(), self.unsent() % buffer);
        if unsent >= low && filled == 0 {
            return 0;
        }
        (buffer - filled) as usize
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
            let segments = self.congestion.cwnd.max(self.loss.reordering + 1).max(10) as usize;
            let [_, least, most] = self.params.sysctl.tcp_wmem;
            (2 * segments * segment_memory).max(least).min(most)
        })
    }

    /// Whether poll(2) shows the connection as writable: a third of the buffer is free.
    pub(crate) fn writable(&self) -> bool {
        let low = self.params.settings.notsent_lowat.unwrap_or(self.params.sysctl.tcp_notsent_lowat);
        self.send_room() >= self.send_queue.len() / 2 && self.send_room() > 0 && self.unsent() < low
    }

    /// Octets in the send buffer that were never sent.
    pub(crate) fn unsent(&self) -> u32 {
        self.queue_end().since(self.snd_nxt)
    }

    pub(crate) fn readable(&self) -> usize {
        self.readable_octets()
    }

    /// The next octet expected from the peer.
    pub(crate) fn expected(&self) -> Seq {
        self.rcv_nxt
    }

    /// Everything from the peer has come, and its FIN.
    pub(crate) fn peer_finished(&self) -> bool {
        self.fin_received
    }

    pub(crate) fn peek(&self, len: usize) -> Bytes {
        let mark = usize::from(self.recv_queue.len() > self.readable());
        let data = self.recv_queue.peek(self.octets_before_mark(len).saturating_add(mark));
        data.slice(mark.min(data.len())..)
    }

    /// Octets that recv(2) may give now, and wait no longer (`SO_RCVLOWAT`).
    pub(crate) fn recv_low(&self) -> usize {
        self.params.settings.recv_low as usize
    }

    pub(crate) fn recv(&mut self, now: Instant, len: usize) -> Bytes {
        self.skip_urgent();
        let len = self.octets_before_mark(len);
        let data = if self.recv_queue.is_empty() { Bytes::new() } else { self.recv_queue.take(len) };
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
        if self.rare.keep_timer.is_some() {
            self.rare.keep_timer = None;
        }
        let reset = reset || !self.recv_queue.is_empty();
        self.recv_queue = Spare::default();
        match self.state {
            TcpState::Closed | TcpState::SynSent => self.close(),
            TcpState::TimeWait => {}
            _ if reset => self.abort(now),
            TcpState::FinWait2 => self.wait_in_fin_wait_2(now, None),
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

    pub(crate) fn settings_mut(&mut self) -> &mut Arc<Settings> {
        &mut self.params.settings
    }

    /// Settings changed: what was held back may go now.
    pub(crate) fn apply_settings(&mut self, now: Instant) {
        if let Some(size) = self.params.settings.recv_buffer {
            self.recv_space = size / 2;
        }
        if let Some(clamp) = self.params.settings.window_clamp {
            self.window_clamp = clamp;
            self.rcv_ssthresh = self.rcv_ssthresh.min(clamp);
        }
        if self.congestion.name() != self.params.congestion().name() {
            self.congestion.choose(self.params.congestion(), self.params.sysctl.hystart);
        }
        let idle = self.params.keep_idle();
        let wanted = self.params.settings.keepalive && self.synchronized();
        // Linux `tcp_sock_set_keepidle_locked`: counted from what was heard last.
        let first = (self.heard_at + idle).max(now);
        self.rare.keep_timer =
            wanted.then(|| self.rare.keep_timer.filter(|_| self.rare.probes > 0).unwrap_or(first));
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

    /// It is in TIME-WAIT, and timestamps tell its segments from those of a new connection (RFC 6191).
    pub(crate) fn can_be_told_from_newer(&self) -> bool {
        self.state == TcpState::TimeWait && self.timestamps
    }

    /// Whether connect(2) may take its place unasked: for over a second nothing came.
    pub(crate) fn may_be_replaced(&self, now: Instant) -> bool {
        self.can_be_told_from_newer() && now - self.ts_recent_at > Duration::from_secs(1)
    }

    pub(crate) fn synchronized(&self) -> bool {
        !matches!(self.state, TcpState::Closed | TcpState::Listen | TcpState::SynSent | TcpState::SynReceived)
    }

    /// `TCP_DEFER_ACCEPT`: the third segment of the handshake is not enough, there must be data. So many
    /// retransmissions of the SYN,ACK cover the time that the program gave (Linux `secs_to_retrans`).
    pub(super) fn defer_retries(&self) -> u32 {
        let mut covered = 0;
        let mut retries = 0;
        let mut timeout = 1;
        while covered < self.params.settings.defer_accept && retries < 255 {
            covered += timeout;
            timeout = (2 * timeout).min(120);
            retries += 1;
        }
        retries
    }

    /// `TCP_QUICKACK`.
    pub(crate) fn set_quick_ack(&mut self, now: Instant, on: bool) {
        self.acks.ping_pong = !on;
        if on {
            self.acks.pushed = true;
            self.update_window(now, 1);
        }
    }

    pub(crate) fn quick_ack(&self) -> bool {
        !self.acks.ping_pong
    }

    pub(crate) fn window_clamp(&self) -> u32 {
        self.window_clamp
    }

    pub(crate) fn congestion_name(&self) -> &'static str {
        self.congestion.name()
    }
}
