//! What an acknowledgment means for the sender (Linux `tcp_ack`): what it covers, what round trip it measures, and the
//! window it carries. What follows for lost segments is decided in `recovery`.

use core::time::Duration;

use super::Tcb;
use super::recovery::{Phase, Resend};
use super::segment::Segment;
use super::seq::Seq;
use crate::snapshot::TcpState;
use crate::time::Instant;

/// What one acknowledgment brought (Linux's `flag` and `struct tcp_sacktag_state`).
#[derive(Clone, Debug)]
pub(super) struct Ack {
    /// SND.UNA moved.
    pub(super) new: bool,
    /// Segments that the cumulative acknowledgment took off the list.
    pub(super) segments: u32,
    /// Segments that are known to have arrived by it.
    pub(super) delivered: u32,
    pub(super) syn_acked: bool,
    pub(super) data_sacked: bool,
    pub(super) has_data: bool,
    pub(super) window_changed: bool,
    pub(super) ece: bool,
    /// A segment that was sent more than once is covered.
    pub(super) resent_acked: bool,
    /// A segment that was sent once, before `high_seq`, is covered (F-RTO).
    pub(super) original_acked: bool,
    pub(super) dsack: bool,
    pub(super) dsack_of_probe: bool,
    /// What the peer SACKed stands first on the list: it has taken it back.
    pub(super) reneged: bool,
    /// A retransmission was found lost.
    pub(super) resent_lost: bool,
    /// When the first and the last of the segments sent once were sent.
    pub(super) first_acked: Option<Instant>,
    pub(super) last_acked: Option<Instant>,
    pub(super) first_sacked: Option<Instant>,
    pub(super) last_sacked: Option<Instant>,
    /// The lowest segment that came late.
    pub(super) reordered: Seq,
    /// The retransmission timer starts anew.
    pub(super) restart_timer: bool,
}

impl Tcb {
    /// Takes in the acknowledgment. False: the segment goes no further.
    pub(super) fn on_ack(&mut self, now: Instant, segment: &Segment) -> bool {
        if self.state == TcpState::SynReceived {
            if !(segment.ack.gt(self.snd_una) && segment.ack.le(self.snd_nxt)) {
                self.refuse(segment);
                return false;
            }
            // `TCP_DEFER_ACCEPT`: the third segment alone is passed over (Linux `tcp_check_req`).
            if self.rare.timeouts < self.defer_retries() && segment.seq_len() == 0 {
                self.rare.deferred = true;
                return false;
            }
            self.became_established(now);
        }
        if segment.ack.gt(self.snd_nxt) {
            self.challenge(now);
            return false;
        }
        let prior_una = self.snd_una;
        let old = segment.ack.lt(prior_una);
        // RFC 5961 5.2: too old to be a delayed one.
        if old && segment.ack.lt(prior_una - self.max_window) {
            self.challenge(now);
            return false;
        }
        let prior_delivered = self.loss.delivered;
        let prior_lost = self.loss.marked_lost;
        let mut ack = Ack {
            new: segment.ack.gt(prior_una),
            segments: 0,
            delivered: 0,
            syn_acked: false,
            data_sacked: false,
            has_data: segment.payload.len() > 0 || segment.flags.fin,
            window_changed: false,
            ece: segment.flags.ece && self.ecn.agreed,
            resent_acked: false,
            original_acked: false,
            dsack: false,
            dsack_of_probe: false,
            reneged: false,
            resent_lost: false,
            first_acked: None,
            last_acked: None,
            first_sacked: None,
            last_sacked: None,
            reordered: self.snd_nxt,
            restart_timer: false,
        };
        if old {
            // Only its SACK blocks may be news.
            if self.sack_ok && !segment.options.sack.is_empty() && !self.board.list.is_empty() {
                self.mark_sacked(now, segment, prior_una, &mut ack);
                self.loss.delivered += ack.delivered;
                let resend = self.recover(now, prior_una, &mut ack, 0);
                self.resend_after_ack(now, resend);
            }
            return true;
        }
        self.remember_timestamp(now, segment);
        if self.rare.probes > 0 {
            self.rare.probes = 0;
            self.rare.probing_since = None;
        }
        ack.window_changed = self.take_window(segment, ack.new);
        if ack.window_changed && self.rare.persist_timer.is_some() && self.snd_wnd > 0 {
            // The window opened: the back-off was about probes.
            self.rtt.backoff = 0;
            self.stop_persist_timer();
        }
        let had_in_flight = !self.board.list.is_empty();
        if self.sack_ok {
            self.mark_sacked(now, segment, prior_una, &mut ack);
        }
        if ack.new {
            self.take_new_ack(now, segment, prior_una, &mut ack);
        } else if had_in_flight {
            self.take_acked(now, segment, prior_una, &mut ack);
        }
        if had_in_flight {
            self.react(now, segment, prior_una, &mut ack, (prior_delivered, prior_lost));
        }
        if ack.new {
            self.after_new_ack(now, segment);
        }
        true
    }

    /// Round trip, recovery and congestion window after an acknowledgment while something was in flight.
    fn react(
        &mut self,
        now: Instant,
        segment: &Segment,
        prior_una: Seq,
        ack: &mut Ack,
        (prior_delivered, prior_lost): (u32, u32),
    ) {
        self.measure(now, segment, ack);
        if ack.segments > 0 {
            ack.restart_timer = true;
            if !self.sack_ok {
                self.take_off_duplicates(ack);
            }
        }
        self.loss.delivered += ack.delivered;
        self.check_reordering(ack);
        self.update_reordering_window(prior_delivered);
        if self.loss.episode.tlp_high.is_some() {
            self.handle_probe_ack(segment.ack, ack);
        }
        let duplicates =
            u32::from(!ack.new && !ack.has_data && !ack.window_changed && ack.segments == 0 && !ack.dsack);
        let dubious = duplicates > 0
            || !(ack.has_data || ack.window_changed || ack.segments > 0)
            || ack.data_sacked
            || ack.ece
            || ack.dsack
            || self.loss.phase != Phase::Open;
        let mut resend = Resend::Nothing;
        if dubious {
            if duplicates > 0 && self.state != TcpState::SynSent {
                self.rare.dup_acks += 1;
            }
            resend = self.recover(now, prior_una, ack, duplicates);
        }
        if ack.new && self.rare.dup_acks > 0 {
            self.rare.dup_acks = 0;
        }
        if ack.restart_timer {
            self.restart_rtx_timer(now);
        }
        let delivered = self.loss.delivered - prior_delivered;
        if self.loss.reducing() {
            let lost = self.loss.marked_lost.wrapping_sub(prior_lost);
            self.reduce_in_proportion(delivered, lost, ack.new);
        } else if self.may_grow(ack) {
            self.congestion.on_ack(now, delivered);
        }
        self.resend_after_ack(now, resend);
    }

    /// Linux `tcp_may_raise_cwnd`.
    fn may_grow(&self, ack: &Ack) -> bool {
        let reordering = self.loss.reordering > self.params.sysctl.tcp_reordering;
        ack.segments > 0 && !ack.syn_acked || reordering && ack.data_sacked
    }

    /// RFC 9293 3.10.7.4: SND.WND, SND.WL1, SND.WL2. Whether the window changed.
    fn take_window(&mut self, segment: &Segment, new: bool) -> bool {
        let shift = self.scale.map_or(0, |(_, theirs)| theirs);
        let window = u32::from(segment.window) << shift;
        let newer = self.snd_wl1.lt(segment.seq)
            || self.snd_wl1 == segment.seq && (self.snd_wl2.lt(segment.ack) || window > self.snd_wnd);
        let changed = window != self.snd_wnd;
        if newer || new || self.snd_wl1 == segment.seq && self.snd_wl2 == segment.ack {
            self.snd_wnd = window;
            self.snd_wl1 = segment.seq;
            self.snd_wl2 = segment.ack;
            self.max_window = self.max_window.max(window);
        }
        changed
    }

    fn take_new_ack(&mut self, now: Instant, segment: &Segment, prior_una: Seq, ack: &mut Ack) {
        let data_end = segment.ack.min(self.queue_end());
        let octets = data_end.since(self.queue_seq);
        if octets > 0 {
            self.send_queue.release(octets as usize);
        }
        self.queue_seq += octets;
        self.bytes_acked += u64::from(octets);
        self.snd_una = segment.ack;
        if self.rare.snd_up.is_some_and(|end| end.le(segment.ack)) {
            self.rare.snd_up = None;
        }
        self.take_acked(now, segment, prior_una, ack);
        if self.rare.timeouts > 0 {
            self.rare.timeouts = 0;
        }
        self.stalled_since = (!self.board.list.is_empty()).then_some(now);
    }

    /// A round trip, from the segments' own clocks or from the timestamp that came back (RFC 7323 4.1; Linux
    /// `tcp_ack_update_rtt`).
    fn measure(&mut self, now: Instant, segment: &Segment, ack: &mut Ack) {
        let karn = ack.first_acked.filter(|_| !ack.resent_acked);
        let mut sample = karn.or(ack.first_sacked).map(|at| now - at);
        let mut last = karn.and(ack.last_acked).map(|at| now - at);
        if let Some(at) = ack.last_sacked {
            last = Some(now - at);
        }
        if sample.is_none()
            && ack.segments > 0
            && let (true, Some((_, echo))) = (self.timestamps, segment.options.timestamps)
        {
            let millis = self.tsval(now).wrapping_sub(echo);
            if echo != 0 && millis < 1 << 24 {
                sample = Some(Duration::from_millis(u64::from(millis)));
                last = sample;
            }
        }
        let Some(sample) = sample else { return };
        let last = last.unwrap_or(sample);
        self.rtt.note_min(last);
        self.rtt.measure(sample, self.snd_una, self.snd_nxt);
        self.rtt.backoff = 0;
        let sacked_later = ack.first_sacked.is_some()
            && self.board.list.front().is_some_and(|first| sample > now - first.at);
        ack.restart_timer |= ack.segments == 0 && sacked_later;
        if ack.segments > 0 {
            self.congestion.on_round_trip(now, last, self.snd_una, self.snd_nxt);
        }
    }

    /// Our FIN may have been acknowledged.
    fn after_new_ack(&mut self, now: Instant, segment: &Segment) {
        let fin_acked = self.fin_queued && self.snd_una == self.snd_nxt && !self.has_unsent();
        if !fin_acked {
            return;
        }
        match self.state {
            TcpState::FinWait1 => {
                self.enter(TcpState::FinWait2);
                if self.orphan {
                    self.wait_in_fin_wait_2(now, Some(segment));
                }
            }
            TcpState::Closing => self.enter_time_wait(now),
            TcpState::LastAck => self.close(),
            _ => {}
        }
    }
}
