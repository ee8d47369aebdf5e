//! TCP (RFC 9293): one connection as a pure state machine. Segments, calls and time go in; segments and notes of what
//! happened pile up in [`Tcb::out`] and [`Tcb::notes`] until the host takes them. A TCB knows no ports and no sockets.
//!
//! `program` is the side of the system calls, `input` the RFC's "SEGMENT ARRIVES", `ack` what an acknowledgment means.
//! `recovery` repairs losses on the list in `scoreboard`: `rack` and `lost` find them, `resend` sends again, `undo` takes
//! back what was wrong. `congestion` sizes the window, `output` decides what may be sent, `receive` which window to offer
//! and when to acknowledge, `timers` run out; `rare` holds what most connections never need. Left out on purpose: TCP Fast Open, Multipath TCP, TCP-AO.

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
mod program;
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
pub(crate) use segment::{Segment, reset_for};
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
    /// Size of the send buffer in octets of memory; grows with the congestion window unless `SO_SNDBUF` was set.
    send_memory: u32,
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
        let send_memory = u32::try_from(params.sysctl.tcp_wmem[1]).unwrap_or(u32::MAX);
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
            send_memory,
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
}
