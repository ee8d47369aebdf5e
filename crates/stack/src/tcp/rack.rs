//! RACK-TLP (RFC 8985): a segment is lost when one sent sufficiently later has arrived; and when the last segments of a
//! flight may be lost, so that nothing later could tell, a probe asks after two round trips.

use core::time::Duration;

use super::Tcb;
use super::ack::Ack;
use super::output::Push;
use super::recovery::Phase;
use super::seq::Seq;
use super::timers::RtxTimer;
use crate::event::TimerKind;
use crate::time::Instant;

/// Linux `TCP_RACK_RECOVERY_THRESH`: a wider window is kept for so many recoveries.
const KEEP_WIDE: u32 = 16;
/// Linux `TCP_TIMEOUT_MIN_US`.
const LEAST_TIMEOUT: Duration = Duration::from_millis(2);

/// RACK's state (RFC 8985 5.2).
#[derive(Clone, Debug, Default)]
pub(super) struct Rack {
    /// When the newest segment that has arrived was sent, and where it ends.
    at: Instant,
    end: Seq,
    rtt: Duration,
    /// It moved since losses were last looked for.
    pub(super) advanced: bool,
}

/// How much wider than at first the window for late segments is: D-SACKs showed that it was too narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Widening {
    /// A D-SACK came since the window was last set.
    pub(super) dsack_seen: bool,
    /// Quarters of the least round trip that a segment may be late.
    steps: u32,
    persist: u32,
    last_delivered: u32,
}

impl Widening {
    pub(super) const NONE: Widening = Widening { dsack_seen: false, steps: 0, persist: 0, last_delivered: 0 };

    pub(super) fn persist_more(&mut self) {
        self.persist = (self.persist + 1).min(KEEP_WIDE);
    }

    pub(super) fn persist_less(&mut self) {
        self.persist = self.persist.saturating_sub(1);
    }
}

impl Rack {
    fn sent_after(&self, at: Instant, end: Seq) -> bool {
        self.at > at || self.at == at && self.end.gt(end)
    }
}

impl Tcb {
    /// RFC 8985 6.2 step 2: a segment has arrived.
    pub(super) fn rack_advance(&mut self, now: Instant, was_resent: bool, end: Seq, at: Instant) {
        let rtt = now - at;
        if was_resent && self.rtt.min_rtt().is_some_and(|least| rtt < least) {
            // Too fast: it answers an earlier transmission.
            return;
        }
        let rack = &mut self.loss.rack;
        rack.advanced = true;
        rack.rtt = rtt;
        if at > rack.at || at == rack.at && end.gt(rack.end) {
            (rack.at, rack.end) = (at, end);
        }
    }

    /// RFC 8985 6.2 step 4: how late a segment may be.
    fn reordering_window(&self) -> Duration {
        if self.loss.episode.reordering_seen == 0
            && (self.loss.phase >= Phase::Recovery || self.board.sacked >= self.loss.reordering)
        {
            return Duration::ZERO;
        }
        let least = self.rtt.min_rtt().unwrap_or_default();
        (least / 4 * self.loss.episode.late.steps.max(1)).min(self.rtt.srtt().unwrap_or_default())
    }

    /// Linux `tcp_rack_update_reo_wnd`: D-SACKs show that the window was too narrow.
    pub(super) fn update_reordering_window(&mut self, prior_delivered: u32) {
        let delivered = self.loss.delivered;
        if !self.loss.episode.late.dsack_seen && self.loss.episode.late.steps <= 1 {
            return;
        }
        let late = &mut self.loss.episode.late;
        if prior_delivered < late.last_delivered {
            late.dsack_seen = false;
        }
        if late.dsack_seen {
            late.steps = (late.steps.max(1) + 1).min(0xff);
            late.dsack_seen = false;
            late.last_delivered = delivered;
            late.persist = KEEP_WIDE;
        } else if late.persist == 0 {
            late.steps = 1;
        }
    }

    /// RFC 8985 6.2 step 5. How long until the next segment would count as lost; zero: none is waited for.
    fn rack_detect(&mut self, now: Instant) -> Duration {
        let window = self.reordering_window();
        let mut longest = Duration::ZERO;
        for index in 0..self.board.list.len() {
            let Some(segment) = self.board.list.get(index) else { break };
            if segment.sacked || segment.lost && !segment.resent {
                continue;
            }
            if !self.loss.rack.sent_after(segment.at, segment.end()) {
                // Never sent again, and later than the newest that has arrived: so are all after it.
                if !segment.was_resent() && self.board.resent == 0 {
                    break;
                }
                continue;
            }
            let left = (self.loss.rack.rtt + window).saturating_sub(now - segment.at);
            if left.is_zero() {
                self.mark_lost(index);
            } else {
                longest = longest.max(left);
            }
        }
        longest
    }

    /// True: the reordering timer was set.
    pub(super) fn rack_mark_lost(&mut self, now: Instant) -> bool {
        if !core::mem::take(&mut self.loss.rack.advanced) {
            return false;
        }
        let wait = self.rack_detect(now);
        if !wait.is_zero() {
            self.rtx_timer = Some((RtxTimer::Reordering, now + wait + LEAST_TIMEOUT));
        }
        !wait.is_zero()
    }

    /// Sent so recently that it cannot be lost yet.
    pub(super) fn is_recent(&self, now: Instant, index: usize) -> bool {
        self.board.list.get(index).is_some_and(|segment| now - segment.at < self.loss.rack.rtt)
    }

    /// The reordering timer ran out (Linux `tcp_rack_reo_timeout`).
    pub(super) fn on_reordering_timer(&mut self, now: Instant) {
        let in_flight = self.board.in_flight();
        let lost = self.loss.marked_lost;
        self.rack_detect(now);
        if in_flight != self.board.in_flight() {
            if self.loss.phase != Phase::Recovery {
                self.enter_recovery(false);
                self.reduce_in_proportion(1, self.loss.marked_lost.wrapping_sub(lost), false);
            }
            self.retransmit_lost(now);
        }
        if !matches!(self.rtx_timer, Some((RtxTimer::Rto, _))) {
            self.rearm_rto(now);
        }
    }

    // Tail loss probes (RFC 8985 7).

    /// Sets the probe's timer in place of the retransmission timer, if a probe makes sense. `advancing`: the
    /// retransmission timer would start anew now.
    pub(super) fn schedule_probe(&mut self, now: Instant, advancing: bool) -> bool {
        if !matches!(self.params.sysctl.tcp_early_retrans, 3 | 4)
            || self.board.list.is_empty()
            || !self.sack_ok
            || !matches!(self.loss.phase, Phase::Open | Phase::Reduced)
            || !self.synchronized()
        {
            return false;
        }
        let mut timeout = match self.rtt.srtt() {
            // The peer may delay its ACK of a single segment.
            Some(srtt) if self.board.out() == 1 => 2 * srtt + self.params.sysctl.rto_min,
            Some(srtt) => 2 * srtt + LEAST_TIMEOUT,
            None => Duration::from_secs(1),
        };
        let rto = if advancing { Some(self.rtt.rto()) } else { self.rto_left(now) };
        if let Some(rto) = rto.filter(|rto| !rto.is_zero()) {
            timeout = timeout.min(rto);
        }
        self.rtx_timer = Some((RtxTimer::Probe, now + timeout));
        true
    }

    /// How long until the first segment has been in flight for an RTO.
    pub(super) fn rto_left(&self, now: Instant) -> Option<Duration> {
        let first = self.board.list.front()?;
        Some((first.at + self.rtt.rto()) - now)
    }

    /// The probe's timer ran out: new data, else the last segment again (Linux `tcp_send_loss_probe`).
    pub(super) fn on_probe_timer(&mut self, now: Instant) {
        self.notes.push(super::Note::Timer(TimerKind::LossProbe));
        if self.loss.episode.tlp_high.is_none() && !self.board.list.is_empty() {
            self.loss.episode.tlp_resent = false;
            let sent = if self.has_unsent() && self.send_next(now, Push::Probe) {
                true
            } else {
                let last = self.board.list.len() - 1;
                self.loss.episode.tlp_resent = self.resend_uncounted(now, last);
                self.loss.episode.tlp_resent
            };
            if sent {
                self.loss.episode.tlp_high = Some(self.snd_nxt);
                self.set_rtx_timer(now, self.rtt.rto());
                return;
            }
        }
        self.rearm_rto(now);
    }

    /// Linux `tcp_process_tlp_ack`: has the probe repaired a loss?
    pub(super) fn handle_probe_ack(&mut self, number: Seq, ack: &Ack) {
        let Some(high) = self.loss.episode.tlp_high.filter(|high| number.ge(*high)) else { return };
        if !self.loss.episode.tlp_resent || ack.dsack_of_probe {
            self.loss.episode.tlp_high = None;
        } else if number.gt(high) {
            self.reduce_for_probe();
        } else if !(ack.new || ack.has_data || ack.window_changed || ack.segments > 0 || ack.data_sacked) {
            // A duplicate ACK: both the original and the probe arrived.
            self.loss.episode.tlp_high = None;
        }
    }
}
