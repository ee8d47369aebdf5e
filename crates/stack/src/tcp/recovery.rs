//! How losses are repaired. The states are Linux's `tcp_ca_state`; the ways in and out are those of
//! `tcp_fastretrans_alert`: fast recovery (RFC 5681, RFC 6582, RFC 6675), proportional rate reduction (RFC 6937) and
//! time-outs with F-RTO (RFC 5682). Losses are found in `rack` and `lost`, reductions undone in `undo`.

use super::Tcb;
use super::ack::Ack;
use super::rack::{Rack, Widening};
use super::seq::Seq;
use crate::host::Profile;
use crate::spare::{AtRest, Spare};
use crate::time::Instant;

/// Where loss recovery stands (Linux `enum tcp_ca_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Duplicate ACKs or SACKs came; perhaps only reordering.
    Disorder,
    /// The window is reduced for another reason than a loss that is being repaired.
    Reduced,
    /// Fast recovery.
    Recovery,
    /// After a time-out.
    Loss,
}

/// What is sent again after an acknowledgment (Linux `REXMIT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resend {
    Nothing,
    Lost,
    /// F-RTO tries new data first.
    New,
}

/// The state of loss recovery.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    pub(super) phase: Phase,
    /// SND.NXT when the phase began.
    pub(super) high_seq: Seq,
    /// So many segments may come out of order before one counts as lost.
    pub(super) reordering: u32,
    /// Segments delivered, and segments marked as lost, since the connection began.
    pub(super) delivered: u32,
    pub(super) marked_lost: u32,
    pub(super) rack: Rack,
    pub(super) episode: Spare<Episode>,
}

/// What repairing losses leaves behind, and undoing that; a connection that never lost a segment has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Episode {
    /// SND.UNA when the reduction began that may be undone; and how many retransmissions speak against that.
    pub(super) undo: Option<Seq>,
    pub(super) undo_resent: Option<u32>,
    pub(super) prior_ssthresh: u32,
    pub(super) prior_cwnd: u32,
    pub(super) prr_delivered: u32,
    pub(super) prr_out: u32,
    /// When the first retransmission of this episode was sent.
    pub(super) resent_since: Option<Instant>,
    /// F-RTO is looking whether the time-out was wrong.
    pub(super) frto: bool,
    /// SND.NXT when a tail loss probe was sent, and whether it sent old data.
    pub(super) tlp_high: Option<Seq>,
    pub(super) tlp_resent: bool,
    pub(super) reordering_seen: u32,
    pub(super) dsacks: u32,
    pub(super) late: Widening,
}

impl AtRest for Episode {
    const AT_REST: &'static Episode = &Episode {
        undo: None,
        undo_resent: None,
        prior_ssthresh: 0,
        prior_cwnd: 0,
        prr_delivered: 0,
        prr_out: 0,
        resent_since: None,
        frto: false,
        tlp_high: None,
        tlp_resent: false,
        reordering_seen: 0,
        dsacks: 0,
        late: Widening::NONE,
    };

    fn is_at_rest(&self) -> bool {
        self == Episode::AT_REST
    }
}

impl Loss {
    pub(super) fn new(reordering: u32) -> Loss {
        Loss {
            phase: Phase::Open,
            high_seq: Seq(0),
            reordering,
            delivered: 0,
            marked_lost: 0,
            rack: Rack::default(),
            episode: Spare::default(),
        }
    }

    /// The window is held by the reduction, not by congestion avoidance.
    pub(super) fn reducing(&self) -> bool {
        matches!(self.phase, Phase::Reduced | Phase::Recovery)
    }

    /// A D-SACK for a segment that was sent again.
    pub(super) fn handle_duplicate(&mut self, end: Seq) {
        if let (Some(undo), Some(resent)) = (self.episode.undo, self.episode.undo_resent)
            && end.gt(undo)
        {
            self.episode.undo_resent = Some(resent.saturating_sub(1));
        }
    }

    /// A D-SACK for segments that have left the list.
    pub(super) fn forget_resent(&mut self, segments: u32, right: Seq, prior_una: Seq) {
        if let (Some(undo), Some(resent)) = (self.episode.undo, self.episode.undo_resent)
            && right.le(prior_una)
            && right.gt(undo)
        {
            self.episode.undo_resent = Some(resent.saturating_sub(segments));
        }
    }

    /// No retransmission is in flight any more.
    pub(super) fn forget_resent_since(&mut self) {
        if self.episode.resent_since.is_some() {
            self.episode.resent_since = None;
        }
    }

    pub(super) fn note_sent(&mut self, segments: u32) {
        if self.reducing() {
            self.episode.prr_out += segments;
        }
    }
}

impl Tcb {
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.loss.phase = phase;
    }

    /// Linux `tcp_fastretrans_alert`. `duplicates`: 1 for a duplicate ACK (RFC 5681 2).
    pub(super) fn recover(&mut self, now: Instant, prior_una: Seq, ack: &mut Ack, duplicates: u32) -> Resend {
        let mut do_lost = duplicates > 0 || ack.data_sacked && self.is_far_ahead();
        if self.board.list.is_empty() {
            self.board.sacked = 0;
        }
        if ack.ece {
            self.loss.episode.prior_ssthresh = 0;
        }
        if ack.reneged && ack.new {
            // The peer may have thrown away what it SACKed: the timer will tell, soon.
            let soon = (self.rtt.srtt().unwrap_or_default() / 2).max(core::time::Duration::from_millis(10));
            self.set_rtx_timer(now, soon);
            ack.restart_timer = false;
            return Resend::Nothing;
        }
        match self.loss.phase {
            Phase::Open => self.loss.forget_resent_since(),
            phase if self.snd_una.ge(self.loss.high_seq) => match phase {
                Phase::Reduced if self.snd_una != self.loss.high_seq => {
                    self.end_reduction();
                    self.set_phase(Phase::Open);
                }
                Phase::Recovery => {
                    if !self.sack_ok {
                        self.board.sacked = 0;
                    }
                    if self.try_undo_recovery(now, ack) {
                        return Resend::Nothing;
                    }
                    self.end_reduction();
                }
                _ => {}
            },
            _ => {}
        }
        match self.loss.phase {
            Phase::Recovery => {
                if !ack.new {
                    if !self.sack_ok {
                        self.add_duplicate(duplicates);
                    }
                } else if self.try_undo_partial(now, prior_una, ack, &mut do_lost) {
                    return Resend::Nothing;
                }
                if self.try_undo_by_dsack(now) {
                    self.try_keep_open();
                }
                self.find_lost(now, ack);
                if self.loss.phase != Phase::Recovery {
                    if !self.is_time_to_recover() {
                        return Resend::Nothing;
                    }
                    self.enter_recovery(ack.ece);
                }
                self.count_lost(do_lost, false);
            }
            Phase::Loss => {
                let resend = self.process_loss(now, ack, duplicates);
                self.find_lost(now, ack);
                if self.loss.phase != Phase::Open && !ack.resent_lost {
                    self.count_lost(do_lost && self.loss.phase > Phase::Reduced, false);
                    return resend;
                }
                return self.recover_from_open(now, ack, duplicates, do_lost).max_with(resend);
            }
            _ => return self.recover_from_open(now, ack, duplicates, do_lost),
        }
        Resend::Lost
    }

    /// The states before fast recovery.
    fn recover_from_open(&mut self, now: Instant, ack: &mut Ack, duplicates: u32, do_lost: bool) -> Resend {
        if !self.sack_ok {
            if ack.new {
                self.board.sacked = 0;
            }
            self.add_duplicate(duplicates);
        }
        if self.loss.phase <= Phase::Disorder {
            self.try_undo_by_dsack(now);
        }
        self.find_lost(now, ack);
        if !self.is_time_to_recover() {
            if !self.board.any_resent() {
                self.loss.forget_resent_since();
            }
            if ack.ece {
                self.enter_reduced();
            }
            if self.loss.phase != Phase::Reduced {
                self.try_keep_open();
            }
            return Resend::Nothing;
        }
        self.enter_recovery(ack.ece);
        self.count_lost(do_lost, true);
        Resend::Lost
    }

    fn begin_reduction(&mut self) {
        self.loss.high_seq = self.snd_nxt;
        self.loss.episode.tlp_high = None;
        self.loss.episode.prior_cwnd = self.congestion.cwnd;
        self.loss.episode.prr_delivered = 0;
        self.loss.episode.prr_out = 0;
        let rfc = (self.params.profile == Profile::Rfc).then(|| self.board.out());
        self.congestion.reduce(rfc);
        self.ecn.queue_reduced();
    }

    pub(super) fn enter_recovery(&mut self, ece: bool) {
        self.loss.episode.prior_ssthresh = 0;
        self.arm_undo();
        if !self.loss.reducing() {
            if !ece {
                self.loss.episode.prior_ssthresh = self.congestion.current_ssthresh(false);
            }
            self.begin_reduction();
        }
        self.set_phase(Phase::Recovery);
        if !self.params.sysctl.tcp_prr {
            // RFC 6675 5 (4.2): cwnd = ssthresh at once.
            self.congestion.cwnd = self.congestion.ssthresh;
        }
    }

    /// Linux `tcp_enter_cwr`: congestion without a loss (ECN).
    fn enter_reduced(&mut self) {
        self.loss.episode.prior_ssthresh = 0;
        if self.loss.phase < Phase::Reduced {
            self.loss.episode.undo = None;
            self.begin_reduction();
            self.set_phase(Phase::Reduced);
        }
    }

    /// A tail loss probe has repaired a loss: the window is reduced once, and that is all.
    pub(super) fn reduce_for_probe(&mut self) {
        self.begin_reduction();
        self.set_phase(Phase::Reduced);
        self.end_reduction();
        self.try_keep_open();
    }

    fn end_reduction(&mut self) {
        let known = self.congestion.ssthresh < super::congestion::INFINITE;
        if known && (self.loss.phase == Phase::Reduced || self.loss.episode.undo.is_some()) {
            self.congestion.cwnd = self.congestion.ssthresh;
        }
    }

    /// RFC 6937 in Linux's form (`tcp_cwnd_reduction`).
    pub(super) fn reduce_in_proportion(&mut self, delivered: u32, lost: u32, new: bool) {
        if delivered == 0 || self.loss.episode.prior_cwnd == 0 || !self.params.sysctl.tcp_prr {
            return;
        }
        let in_flight = i64::from(self.board.in_flight());
        let ssthresh = i64::from(self.congestion.ssthresh);
        self.loss.episode.prr_delivered += delivered;
        let (prr_delivered, prr_out) =
            (i64::from(self.loss.episode.prr_delivered), i64::from(self.loss.episode.prr_out));
        let room = ssthresh - in_flight;
        let mut count = if room < 0 {
            let prior = i64::from(self.loss.episode.prior_cwnd);
            (ssthresh * prr_delivered + prior - 1) / prior - prr_out
        } else {
            let owed = (prr_delivered - prr_out).max(i64::from(delivered));
            room.min(owed + i64::from(new && lost == 0))
        };
        // The first retransmission goes in any case.
        count = count.max(i64::from(self.loss.episode.prr_out == 0));
        self.congestion.cwnd = u32::try_from(in_flight + count).unwrap_or(0);
    }

    /// Linux `tcp_try_keep_open`.
    pub(super) fn try_keep_open(&mut self) {
        let left = self.board.sacked + self.board.lost > 0 || self.board.any_resent();
        let phase = if left { Phase::Disorder } else { Phase::Open };
        if self.loss.phase != phase {
            self.set_phase(phase);
            self.loss.high_seq = self.snd_nxt;
        }
    }

    /// Linux `tcp_process_loss`: after a time-out, with F-RTO (RFC 5682 3.1).
    fn process_loss(&mut self, now: Instant, ack: &Ack, duplicates: u32) -> Resend {
        let recovered = self.snd_una.ge(self.loss.high_seq);
        if ack.new && self.try_undo_loss(false) {
            return Resend::Nothing;
        }
        if self.loss.episode.frto {
            // Step 3.b: what was never sent again has arrived: the time-out was wrong.
            if ack.original_acked && self.try_undo_loss(true) {
                return Resend::Nothing;
            }
            if self.snd_nxt.gt(self.loss.high_seq) {
                if ack.data_sacked || duplicates > 0 {
                    self.loss.episode.frto = false;
                }
            } else if ack.new && !recovered {
                self.loss.high_seq = self.snd_nxt;
                // Step 2.b: new data, to see what is acknowledged next.
                if self.has_unsent() && (self.snd_una + self.snd_wnd).gt(self.snd_nxt) {
                    return Resend::New;
                }
                self.loss.episode.frto = false;
            }
        }
        if recovered {
            self.try_undo_recovery(now, ack);
            return Resend::Nothing;
        }
        if !self.sack_ok {
            if self.snd_nxt.gt(self.loss.high_seq) && duplicates > 0 {
                self.add_duplicate(duplicates);
            } else if ack.new {
                self.board.sacked = 0;
            }
        }
        Resend::Lost
    }

    /// The retransmission timer ran out (Linux `tcp_enter_loss`).
    pub(super) fn on_timeout_for_recovery(&mut self, now: Instant) {
        let from_open = self.loss.phase < Phase::Recovery;
        let reneged = self.board.list.front().is_some_and(|first| first.sacked);
        if reneged {
            self.board.forget_sacked();
        } else if !self.sack_ok {
            self.board.sacked = 0;
        }
        for index in 0..self.board.list.len() {
            // RFC 8985 6.3: what was sent a moment ago is not lost yet.
            if index > 0 && !reneged && self.uses_rack() && self.is_recent(now, index) {
                continue;
            }
            self.mark_lost(index);
        }
        let again = self.rare.timeouts > 0;
        if self.loss.phase <= Phase::Disorder
            || !self.loss.high_seq.gt(self.snd_una)
            || self.loss.phase == Phase::Loss && !again
        {
            self.loss.episode.prior_ssthresh = self.congestion.current_ssthresh(self.loss.reducing());
            self.loss.episode.prior_cwnd = self.congestion.cwnd;
            let rfc = (self.params.profile == Profile::Rfc).then(|| self.board.out());
            self.congestion.reduce(rfc);
            self.arm_undo();
        }
        self.congestion.on_timeout();
        self.congestion.cwnd = self.board.in_flight() + 1;
        if self.loss.phase <= Phase::Disorder && self.board.sacked >= self.params.sysctl.tcp_reordering {
            self.loss.reordering = self.loss.reordering.min(self.params.sysctl.tcp_reordering);
        }
        self.set_phase(Phase::Loss);
        self.loss.high_seq = self.snd_nxt;
        self.loss.episode.tlp_high = None;
        self.ecn.queue_reduced();
        self.loss.episode.frto = self.params.sysctl.tcp_frto && (from_open || again);
        self.rare.dup_acks = 0;
    }
}

impl Resend {
    fn max_with(self, other: Resend) -> Resend {
        if self == Resend::Nothing { other } else { self }
    }
}
