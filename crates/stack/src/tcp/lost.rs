//! How a loss is found where RACK (`rack`) does not do it: by three duplicate ACKs (RFC 5681, RFC 6582) or three SACKed
//! segments above a hole (RFC 6675); and how much reordering speaks against that.

use super::Tcb;
use super::ack::Ack;
use super::recovery::Phase;
use super::seq::Seq;
use crate::time::Instant;

impl Tcb {
    pub(super) fn uses_rack(&self) -> bool {
        self.sack_ok && self.params.sysctl.tcp_recovery & 1 != 0
    }

    /// Linux `tcp_force_fast_retransmit`.
    pub(super) fn is_far_ahead(&self) -> bool {
        let reach = self.loss.reordering.saturating_mul(self.mss());
        self.board.highest_sack(self.snd_una).gt(self.snd_una + reach)
    }

    /// Linux `tcp_identify_packet_loss`.
    pub(super) fn find_lost(&mut self, now: Instant, ack: &mut Ack) {
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
    pub(super) fn mark_lost_without_sack(&mut self, new: bool) {
        let recovering = self.loss.phase == Phase::Recovery;
        if (self.loss.phase < Phase::Recovery && self.board.sacked >= self.loss.reordering
            || recovering && new)
            && !self.board.list.front().is_some_and(|first| first.lost)
        {
            self.mark_lost(0);
        }
    }

    /// Linux `tcp_time_to_recover`.
    pub(super) fn is_time_to_recover(&self) -> bool {
        self.board.lost > 0
            || self.sack_ok && !self.uses_rack() && self.board.sacked + 1 > self.loss.reordering
    }

    /// RFC 6675's count, where RACK does not do it: what has three SACKed segments above it is lost.
    pub(super) fn count_lost(&mut self, do_lost: bool, fast: bool) {
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
    pub(super) fn add_duplicate(&mut self, duplicates: u32) {
        let before = self.board.sacked;
        self.board.sacked += duplicates;
        self.limit_duplicates();
        self.loss.delivered += self.board.sacked.saturating_sub(before);
    }

    pub(super) fn limit_duplicates(&mut self) {
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
}
