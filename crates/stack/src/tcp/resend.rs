//! Sending again: what is lost, as far as the window allows; and what was too long for the way, in pieces (RFC 1191).

use super::recovery::{Phase, Resend};
use super::scoreboard::Sent;
use super::{Note, Tcb};
use crate::snapshot::TcpState;
use crate::time::Instant;

impl Tcb {
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
