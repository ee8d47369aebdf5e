//! Undoing a reduction of the window that proves wrong: the original had arrived, not the retransmission (RFC 3522 by
//! timestamps, RFC 3708 by D-SACK).

use super::Tcb;
use super::ack::Ack;
use super::recovery::Phase;
use super::seq::Seq;
use crate::time::Instant;

impl Tcb {
    pub(super) fn arm_undo(&mut self) {
        self.loss.episode.undo = Some(self.snd_una);
        // None: no retransmission yet, so nothing that a D-SACK could speak of.
        self.loss.episode.undo_resent = (self.board.resent > 0).then_some(self.board.resent);
    }

    /// The ACK answers the original, not the retransmission (RFC 3522, Linux `tcp_packet_delayed`).
    pub(super) fn was_delayed(&self) -> bool {
        match (self.timestamps, self.last_echo, self.loss.episode.resent_since) {
            (_, _, None) => true,
            (true, Some(echo), Some(since)) => echo.lt(Seq(self.tsval(since))),
            _ => false,
        }
    }

    pub(super) fn may_undo(&self) -> bool {
        self.params.sysctl.tcp_undo
            && self.loss.episode.undo.is_some()
            && (self.loss.episode.undo_resent == Some(0) || self.was_delayed())
    }

    pub(super) fn undo_reduction(&mut self, unmark: bool) {
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

    pub(super) fn try_undo_by_dsack(&mut self, _now: Instant) -> bool {
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
    pub(super) fn try_undo_recovery(&mut self, _now: Instant, _ack: &Ack) -> bool {
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
    pub(super) fn must_stay(&mut self) -> bool {
        if self.snd_una == self.loss.high_seq && !self.sack_ok {
            if !self.board.any_resent() {
                self.loss.forget_resent_since();
            }
            return true;
        }
        false
    }

    pub(super) fn try_undo_partial(
        &mut self,
        _now: Instant,
        prior_una: Seq,
        _ack: &Ack,
        do_lost: &mut bool,
    ) -> bool {
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

    pub(super) fn try_undo_loss(&mut self, proven: bool) -> bool {
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
}
