//! How losses are repaired. The states are Linux's `tcp_ca_state`; the ways in and out are those of
//! `tcp_fastretrans_alert`: fast recovery (RFC 5681, RFC 6582, RFC 6675), proportional rate reduction (RFC 6937),
//! time-outs with F-RTO (RFC 5682), and undoing a reduction that proves wrong (RFC 3522, RFC 3708). How a loss is found
//! is in `rack`, or here by RFC 6675's count of three for the profile `rfc`.

use super::ack::Ack;
use super::rack::{Rack, Widening};
use super::scoreboard::Sent;
use super::seq::Seq;
use super::{Note, Tcb};
use crate::host::Profile;
use crate::snapshot::TcpState;
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
    fn set_phase(&mut self, phase: Phase) {
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

    fn uses_rack(&self) -> bool {
        self.sack_ok && self.params.sysctl.tcp_recovery & 1 != 0
    }

    /// Linux `tcp_force_fast_retransmit`.
    fn is_far_ahead(&self) -> bool {
        let reach = self.loss.reordering.saturating_mul(self.mss());
        self.board.highest_sack(self.snd_una).gt(self.snd_una + reach)
    }

    /// Linux `tcp_identify_packet_loss`.
    fn find_lost(&mut self, now: Instant, ack: &mut Ack) {
        if self.board.list.is_empty() {
            return;
        }
        if !self.sack_ok {
            self.mark_lost_without_sack(ack.new);
        } else if self.uses_rack() {
            let resent = self.board.resent;
            if self.rack_mark_lost(now) {
                ack.restart_timer = false;
            }
            ack.resent_lost |= resent > self.board.resent;
        }
    }

    pub(super) fn mark_lost(&mut self, index: usize) {
        let before = (self.board.lost, self.board.resent);
        self.board.mark_lost(index);
        if before != (self.board.lost, self.board.resent) {
            self.loss.marked_lost = self.loss.marked_lost.wrapping_add(1);
        }
    }

    /// RFC 6582: the first segment, after three duplicate ACKs or a partial one.
    fn mark_lost_without_sack(&mut self, new: bool) {
        let recovering = self.loss.phase == Phase::Recovery;
        if (self.loss.phase < Phase::Recovery && self.board.sacked >= self.loss.reordering
            || recovering && new)
            && !self.board.list.front().is_some_and(|first| first.lost)
        {
            self.mark_lost(0);
        }
    }

    /// Linux `tcp_time_to_recover`.
    fn is_time_to_recover(&self) -> bool {
        self.board.lost > 0
            || self.sack_ok && !self.uses_rack() && self.board.sacked + 1 > self.loss.reordering
    }

    /// RFC 6675's count, where RACK does not do it: what has three SACKed segments above it is lost.
    fn count_lost(&mut self, do_lost: bool, fast: bool) {
        if self.uses_rack() || !self.sack_ok || !do_lost {
            return;
        }
        let above = self.board.sacked.saturating_sub(self.loss.reordering);
        let first_only = self.board.sacked < self.loss.reordering;
        if first_only && !fast {
            return;
        }
        let mut seen = 0;
        for index in 0..self.board.list.len() {
            let Some(segment) = self.board.list.get(index) else { break };
            seen += u32::from(segment.sacked);
            if seen > above {
                break;
            }
            if !segment.sacked && !segment.lost {
                self.mark_lost(index);
            }
            if first_only {
                break;
            }
        }
    }

    /// Linux `tcp_add_reno_sack`: without SACK a duplicate ACK stands for a segment that has arrived.
    fn add_duplicate(&mut self, duplicates: u32) {
        let before = self.board.sacked;
        self.board.sacked += duplicates;
        self.limit_duplicates();
        self.loss.delivered += self.board.sacked.saturating_sub(before);
    }

    fn limit_duplicates(&mut self) {
        let out = self.board.out();
        let holes = self.board.lost.max(1).min(out);
        if self.board.sacked + holes > out {
            self.board.sacked = out - holes;
            self.loss.reordering = self.loss.reordering.max(out.min(self.params.sysctl.tcp_max_reordering));
        }
    }

    /// Linux `tcp_remove_reno_sacks`: an ACK for several segments eats up the duplicates before it.
    pub(super) fn take_off_duplicates(&mut self, ack: &mut Ack) {
        ack.delivered += ack.segments.saturating_sub(self.board.sacked).max(1);
        self.board.sacked = self.board.sacked.saturating_sub(ack.segments - 1);
        let out = self.board.out();
        let holes = self.board.lost.max(1).min(out);
        self.board.sacked = self.board.sacked.min(out - holes);
        if ack.resent_acked {
            ack.original_acked = false;
        }
    }

    /// Segments came out of order (Linux `tcp_check_sack_reordering`).
    pub(super) fn check_reordering(&mut self, ack: &Ack) {
        let highest = self.board.highest_sack(self.snd_una);
        if ack.data_sacked
            && (self.loss.phase != Phase::Loss || self.loss.episode.undo.is_some())
            && ack.reordered.lt(highest)
        {
            self.handle_reordering(ack.reordered, highest);
        }
    }

    pub(super) fn handle_reordering(&mut self, low: Seq, highest: Seq) {
        let distance = highest.since(low).div_ceil(self.mss());
        if distance > self.loss.reordering {
            self.loss.reordering = distance.min(self.params.sysctl.tcp_max_reordering);
        }
        self.loss.episode.reordering_seen += 1;
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

    fn arm_undo(&mut self) {
        self.loss.episode.undo = Some(self.snd_una);
        // None: no retransmission yet, so nothing that a D-SACK could speak of.
        self.loss.episode.undo_resent = (self.board.resent > 0).then_some(self.board.resent);
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
    fn try_keep_open(&mut self) {
        let left = self.board.sacked + self.board.lost > 0 || self.board.any_resent();
        let phase = if left { Phase::Disorder } else { Phase::Open };
        if self.loss.phase != phase {
            self.set_phase(phase);
            self.loss.high_seq = self.snd_nxt;
        }
    }

    // Undoing a reduction.

    /// The ACK answers the original, not the retransmission (RFC 3522, Linux `tcp_packet_delayed`).
    fn was_delayed(&self) -> bool {
        match (self.timestamps, self.last_echo, self.loss.episode.resent_since) {
            (_, _, None) => true,
            (true, Some(echo), Some(since)) => echo.lt(Seq(self.tsval(since))),
            _ => false,
        }
    }

    fn may_undo(&self) -> bool {
        self.params.sysctl.tcp_undo
            && self.loss.episode.undo.is_some()
            && (self.loss.episode.undo_resent == Some(0) || self.was_delayed())
    }

    fn undo_reduction(&mut self, unmark: bool) {
        if unmark {
            self.board.unmark_lost();
        }
        if self.loss.episode.prior_ssthresh > 0 {
            self.congestion.cwnd = self.congestion.cwnd.max(self.loss.episode.prior_cwnd);
            if self.loss.episode.prior_ssthresh > self.congestion.ssthresh {
                self.congestion.ssthresh = self.loss.episode.prior_ssthresh;
                self.ecn.withdraw_reduced();
            }
        }
        self.loss.episode.undo = None;
        self.loss.rack.advanced = true;
    }

    fn try_undo_by_dsack(&mut self, _now: Instant) -> bool {
        let undo = self.params.sysctl.tcp_undo
            && self.loss.episode.undo.is_some()
            && self.loss.episode.undo_resent == Some(0);
        if undo {
            self.loss.episode.late.persist_more();
            self.undo_reduction(false);
        }
        undo
    }

    /// Fast recovery is over. True: without SACK the state stays until more is acknowledged (RFC 6582 4.1).
    fn try_undo_recovery(&mut self, _now: Instant, _ack: &Ack) -> bool {
        if self.may_undo() {
            self.undo_reduction(false);
        }
        if self.must_stay() {
            return true;
        }
        self.set_phase(Phase::Open);
        self.loss.episode.late.persist_less();
        false
    }

    /// Linux `tcp_is_non_sack_preventing_reopen`.
    fn must_stay(&mut self) -> bool {
        if self.snd_una == self.loss.high_seq && !self.sack_ok {
            if !self.board.any_resent() {
                self.loss.forget_resent_since();
            }
            return true;
        }
        false
    }

    fn try_undo_partial(&mut self, _now: Instant, prior_una: Seq, _ack: &Ack, do_lost: &mut bool) -> bool {
        if self.params.sysctl.tcp_undo && self.loss.episode.undo.is_some() && self.was_delayed() {
            // The hole was filled by a segment that came late, not by the retransmission.
            let highest = self.board.highest_sack(self.snd_una);
            if prior_una.lt(highest) {
                self.handle_reordering(prior_una, highest);
            }
            if self.board.resent > 0 {
                return true;
            }
            if !self.board.any_resent() {
                self.loss.forget_resent_since();
            }
            self.undo_reduction(true);
            self.try_keep_open();
        } else {
            *do_lost = self.is_far_ahead();
        }
        false
    }

    fn try_undo_loss(&mut self, proven: bool) -> bool {
        if !proven && !self.may_undo() {
            return false;
        }
        self.undo_reduction(true);
        self.rare.timeouts = 0;
        if self.must_stay() {
            return true;
        }
        if proven || self.sack_ok {
            self.set_phase(Phase::Open);
        }
        true
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

    /// RFC 1191: packets of more than `mtu` octets do not get through. What was too long is cut and sent again (Linux
    /// `tcp_simple_retransmit`); the congestion window has done nothing wrong.
    pub(crate) fn reduce_mtu(&mut self, now: Instant, mtu: u32) {
        /// Linux `min_pmtu`.
        const LEAST: u32 = 552;
        let mtu = mtu.max(LEAST);
        if mtu >= self.params.path_mtu || !self.synchronized() {
            return;
        }
        self.params.path_mtu = mtu;
        let size = self.mss();
        if !self.board.list.is_empty() && self.board.cut(size) {
            if self.loss.phase != Phase::Loss {
                self.loss.high_seq = self.snd_nxt;
                self.loss.episode.prior_ssthresh = 0;
                self.loss.episode.undo = None;
                self.congestion.ssthresh = self.congestion.current_ssthresh(false);
                self.set_phase(Phase::Loss);
            }
            self.retransmit_lost(now);
        }
        self.output(now);
    }

    // Sending again.

    pub(super) fn resend_after_ack(&mut self, now: Instant, resend: Resend) {
        if resend == Resend::Nothing || self.state == TcpState::SynSent {
            return;
        }
        if resend == Resend::New {
            self.send_unsent(now);
            if self.snd_nxt.gt(self.loss.high_seq) {
                return;
            }
            self.loss.episode.frto = false;
        }
        self.retransmit_lost(now);
    }

    /// Sends lost segments again, as the congestion window allows (Linux `tcp_xmit_retransmit_queue`).
    pub(super) fn retransmit_lost(&mut self, now: Instant) {
        let mut index = 0;
        while self.board.resent < self.board.lost {
            // RFC 6675 5 (4.3), RFC 6582 3.2 (3): without proportional reduction the first one goes in any case.
            let first = self.board.list.front().is_some_and(|first| first.lost && !first.resent);
            let forced = index == 0 && first && !self.params.sysctl.tcp_prr;
            if self.board.in_flight() >= self.congestion.cwnd && !forced {
                break;
            }
            let Some(segment) = self.board.list.get(index) else { break };
            if segment.lost && !segment.sacked && !segment.resent {
                if !self.resend(now, index) {
                    break;
                }
                self.loss.note_sent(1);
                if index == 0 && !self.reordering_timer_runs() {
                    self.set_rtx_timer(now, self.rtt.rto());
                }
            }
            index += 1;
        }
    }

    /// Sends the segment at `index` again, and counts it as in flight. False: it does not fit the window.
    pub(super) fn resend(&mut self, now: Instant, index: usize) -> bool {
        if !self.resend_uncounted(now, index) {
            return false;
        }
        if let Some(segment) = self.board.list.get_mut(index)
            && !segment.resent
        {
            segment.resent = true;
            self.board.resent += 1;
        }
        self.loss.episode.resent_since.get_or_insert(now);
        *self.loss.episode.undo_resent.get_or_insert(0) += 1;
        true
    }

    /// Sends the segment at `index` again (Linux `__tcp_retransmit_skb`).
    pub(super) fn resend_uncounted(&mut self, now: Instant, index: usize) -> bool {
        let room = (self.snd_una + self.snd_wnd)
            .since(self.board.list.get(index).map_or(self.snd_una, |segment| segment.seq));
        if room == 0 && index > 0 {
            return false;
        }
        let most = self.mss().min(room.max(1));
        if self.params.sysctl.tcp_retrans_collapse && room > 0 {
            self.board.collapse(index, most);
        }
        let Some(segment) = self.board.list.get_mut(index) else { return false };
        segment.transmissions += 1;
        segment.at = now;
        let segment: Sent = segment.clone();
        self.rare.retransmissions += 1;
        self.rare.bytes_resent += u64::from(segment.len);
        self.notes.push(Note::Retransmitted {
            seq: segment.seq,
            len: segment.len,
            attempt: segment.transmissions - 1,
        });
        self.transmit(now, &segment);
        true
    }
}

impl Resend {
    fn max_with(self, other: Resend) -> Resend {
        if self == Resend::Nothing { other } else { self }
    }
}
