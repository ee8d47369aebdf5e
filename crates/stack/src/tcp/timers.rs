//! What happens when a connection's timers run out (RFC 6298 5, RFC 8985 7, RFC 9293 3.8).

use core::time::Duration;

use super::rtt::MAX_RTO;
use super::segment::{Flags, Payload, Segment};
use super::{Fail, Note, Tcb};
use crate::event::TimerKind;
use crate::host::Profile;
use crate::snapshot::TcpState;
use crate::time::Instant;

/// What the one timer of the retransmission queue is about, as in Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RtxTimer {
    Rto,
    /// A tail loss probe (RFC 8985 7).
    Probe,
    /// RACK waits for a segment that may only be late.
    Reordering,
}

/// The timers that can run, for snapshots and events.
pub(crate) const KINDS: [TimerKind; 8] = [
    TimerKind::Retransmission,
    TimerKind::LossProbe,
    TimerKind::Reordering,
    TimerKind::Persist,
    TimerKind::DelayedAck,
    TimerKind::KeepAlive,
    TimerKind::TimeWait,
    TimerKind::FinWait2,
];

impl Tcb {
    /// The deadline of each timer, in the order of [`KINDS`].
    pub(crate) fn deadlines(&self) -> [Option<Instant>; 8] {
        let rtx = |kind| self.rtx_timer.filter(|(k, _)| *k == kind).map(|(_, at)| at);
        let time_wait = self.state == TcpState::TimeWait;
        [
            rtx(RtxTimer::Rto),
            rtx(RtxTimer::Probe),
            rtx(RtxTimer::Reordering),
            self.rare.persist_timer,
            self.ack_timer,
            self.rare.keep_timer,
            self.rare.wait_timer.filter(|_| time_wait),
            self.rare.wait_timer.filter(|_| !time_wait),
        ]
    }

    /// The earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let rtx = self.rtx_timer.map(|(_, at)| at);
        [rtx, self.rare.persist_timer, self.ack_timer, self.rare.keep_timer, self.rare.wait_timer]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs what is due.
    pub(crate) fn on_timers(&mut self, now: Instant) {
        if is_due(self.rare.wait_timer, now) {
            self.rare.wait_timer = None;
            let kind =
                if self.state == TcpState::TimeWait { TimerKind::TimeWait } else { TimerKind::FinWait2 };
            self.notes.push(Note::Timer(kind));
            self.close();
            return;
        }
        if is_due(self.ack_timer, now) {
            self.ack_timer = None;
            self.notes.push(Note::Timer(TimerKind::DelayedAck));
            self.on_ack_timer();
        }
        if let Some((kind, _)) = self.rtx_timer.filter(|(_, at)| *at <= now) {
            self.rtx_timer = None;
            match kind {
                RtxTimer::Rto => self.on_retransmission_timer(now),
                RtxTimer::Probe => self.on_probe_timer(now),
                RtxTimer::Reordering => {
                    self.notes.push(Note::Timer(TimerKind::Reordering));
                    self.on_reordering_timer(now);
                }
            }
        }
        if is_due(self.rare.persist_timer, now) {
            self.rare.persist_timer = None;
            self.on_persist_timer(now);
        }
        if is_due(self.rare.keep_timer, now) {
            self.rare.keep_timer = None;
            self.on_keepalive_timer(now);
        }
        if self.state != TcpState::Closed {
            self.output(now);
        }
    }

    pub(super) fn stop_timers(&mut self) {
        self.rtx_timer = None;
        self.ack_timer = None;
        self.rare.persist_timer = None;
        self.rare.keep_timer = None;
        self.rare.wait_timer = None;
        self.acks.now = false;
    }

    /// RFC 9293 3.4.2: 2 MSL. Linux fixes it at 60 s; the RFC's MSL is 2 min.
    pub(super) fn time_wait(&self) -> Duration {
        match self.params.profile {
            Profile::Linux => Duration::from_secs(60),
            Profile::Rfc => Duration::from_secs(240),
        }
    }

    /// The retransmission timer runs out after this time; sooner, if `TCP_USER_TIMEOUT` ends before (Linux
    /// `tcp_clamp_rto_to_user_timeout`).
    pub(super) fn set_rtx_timer(&mut self, now: Instant, after: Duration) {
        self.rtx_timer = Some((RtxTimer::Rto, now + after));
    }

    /// Linux `tcp_rearm_rto`, RFC 6298 (5.2), (5.3).
    pub(super) fn rearm_rto(&mut self, now: Instant) {
        if self.board.list.is_empty() {
            self.rtx_timer = None;
            return;
        }
        let mut rto = self.rtt.rto();
        if matches!(self.rtx_timer, Some((RtxTimer::Probe | RtxTimer::Reordering, _))) {
            rto = self.rto_left(now).unwrap_or(rto).max(Duration::from_micros(1));
        }
        self.set_rtx_timer(now, rto);
    }

    /// Something was acknowledged (Linux `tcp_set_xmit_timer`).
    pub(super) fn restart_rtx_timer(&mut self, now: Instant) {
        if !self.schedule_probe(now, true) {
            self.rearm_rto(now);
        }
    }

    pub(super) fn reordering_timer_runs(&self) -> bool {
        matches!(self.rtx_timer, Some((RtxTimer::Reordering, _)))
    }

    /// RFC 6298 (5.1) and the persist timer of RFC 9293 3.8.6.1: never both.
    pub(super) fn set_send_timers(&mut self, now: Instant) {
        if !self.board.list.is_empty() {
            self.stop_persist_timer();
            if self.rtx_timer.is_none() {
                self.set_rtx_timer(now, self.rtt.rto());
            }
            return;
        }
        self.rtx_timer = None;
        if self.has_unsent() && self.synchronized() && self.state != TcpState::TimeWait {
            if self.rare.persist_timer.is_none() {
                self.rare.persist_timer = Some(now + self.rtt.rto());
            }
        } else {
            self.stop_persist_timer();
        }
    }

    pub(super) fn stop_persist_timer(&mut self) {
        if self.rare.persist_timer.is_some() {
            self.rare.persist_timer = None;
        }
    }

    /// How many time-outs in a row the state bears.
    fn retries(&self) -> u32 {
        let sysctl = &self.params.sysctl;
        match self.state {
            TcpState::SynSent => {
                self.params.settings.syn_retries.unwrap_or(sysctl.tcp_syn_retries)
                    + sysctl.tcp_syn_linear_timeouts
            }
            TcpState::SynReceived => self
                .params
                .settings
                .syn_retries
                .unwrap_or(sysctl.tcp_synack_retries)
                .max(self.defer_retries()),
            _ if self.orphan => sysctl.tcp_orphan_retries,
            _ => sysctl.tcp_retries2,
        }
    }

    /// Retransmissions went unanswered for too long (Linux `retransmits_timed_out`): as long as so many time-outs would
    /// take that begin at the least RTO, whatever the RTO of this connection is.
    fn has_timed_out(&self, now: Instant) -> bool {
        let limit = self.params.settings.user_timeout;
        if !self.synchronized() {
            return self.rare.timeouts >= self.retries();
        }
        if !limit.is_zero() {
            return self.rare.timeouts > 0 && self.stalled_since.is_some_and(|since| now - since >= limit);
        }
        if self.params.profile == Profile::Rfc {
            return self.rare.timeouts >= self.retries();
        }
        let retries = self.retries();
        let base = Duration::from_millis(200);
        let doubling = (MAX_RTO.as_millis() / base.as_millis()).ilog2();
        let mut model = base * ((2u32 << retries.min(doubling)) - 1);
        model += MAX_RTO * retries.saturating_sub(doubling);
        self.rare.timeouts > 0 && self.loss.episode.resent_since.is_some_and(|since| now - since >= model)
    }

    /// RFC 6298 (5.4) to (5.7), Linux `tcp_retransmit_timer`.
    fn on_retransmission_timer(&mut self, now: Instant) {
        if self.board.list.is_empty() {
            return;
        }
        self.notes.push(Note::Timer(TimerKind::Retransmission));
        // A peer that has closed its window is alive: it is asked again and again, as in the persist state.
        let closed = self.snd_wnd == 0 && self.synchronized() && !self.orphan;
        let silent = now - self.heard_at > 2 * MAX_RTO;
        if closed && silent && self.has_timed_out(now) || !closed && self.has_timed_out(now) {
            return self.fail(Fail::TimedOut { transmissions: self.rare.timeouts + 1 });
        }
        if self.synchronized() {
            self.on_timeout_for_recovery(now);
        }
        self.rare.timeouts += 1;
        self.rare.total_timeouts += 1;
        if self.synchronized() {
            if !self.resend(now, 0) {
                self.resend_uncounted(now, 0);
            }
        } else if !self.rare.deferred || self.rare.timeouts >= self.defer_retries() {
            self.resend_uncounted(now, 0);
        }
        let linear = self.state == TcpState::SynSent
            && self.rare.timeouts <= self.params.sysctl.tcp_syn_linear_timeouts;
        if !linear {
            self.rtt.backoff += 1;
        }
        self.set_rtx_timer(now, self.rtt.rto());
        // The end comes when the option says, not with the next try.
        let limit = self.params.settings.user_timeout;
        if let Some(since) = self.stalled_since.filter(|_| !limit.is_zero() && self.synchronized())
            && let Some((_, at)) = &mut self.rtx_timer
        {
            *at = (*at).min(since + limit).max(now + Duration::from_micros(1));
        }
    }

    /// The window is closed (or the queue is corked) and nothing is in flight: sends what fits, else asks.
    fn on_persist_timer(&mut self, now: Instant) {
        self.notes.push(Note::Timer(TimerKind::Persist));
        let sysctl = &self.params.sysctl;
        let most = if self.orphan { sysctl.tcp_orphan_retries } else { sysctl.tcp_retries2 };
        let limit = self.params.settings.user_timeout;
        let too_long = !limit.is_zero() && self.rare.probing_since.is_some_and(|since| now - since >= limit);
        if self.rare.probes > most || too_long {
            return self.fail(Fail::TimedOut { transmissions: self.rare.probes });
        }
        let room = (self.snd_una + self.snd_wnd).since(self.snd_nxt);
        let unsent = self.queue_end().since(self.snd_nxt);
        let len = unsent.min(room).min(self.mss());
        if room > 0 {
            let fin = len == unsent && self.fin_queued && room > len;
            if len > 0 || fin {
                return self.send_new(now, len, fin);
            }
        }
        self.send_probe(now);
        self.rare.probes += 1;
        self.rare.probing_since.get_or_insert(now);
        self.rtt.backoff += 1;
        let mut at = now + self.rtt.rto();
        if let Some(since) = self.rare.probing_since.filter(|_| !limit.is_zero()) {
            at = at.min(since + limit).max(now + Duration::from_micros(1));
        }
        self.rare.persist_timer = Some(at);
    }

    /// Linux's window probe: an old sequence number and no data, which must be answered.
    fn send_probe(&mut self, now: Instant) {
        let flags = Flags { ack: true, ..Flags::default() };
        self.push_segment(now, self.snd_una - 1, flags, Payload::default());
    }

    /// RFC 9293 3.8.4.
    fn on_keepalive_timer(&mut self, now: Instant) {
        if !self.params.settings.keepalive || !self.synchronized() || self.state == TcpState::TimeWait {
            return;
        }
        let (idle, interval, count) =
            (self.params.keep_idle(), self.params.keep_interval(), self.params.keep_count());
        let quiet_until = self.heard_at + idle;
        if !self.board.list.is_empty() || self.has_unsent() {
            self.rare.keep_timer = Some(now + idle);
            return;
        }
        if quiet_until > now {
            self.rare.keep_timer = Some(quiet_until);
            return;
        }
        self.notes.push(Note::Timer(TimerKind::KeepAlive));
        let limit = self.params.settings.user_timeout;
        let over = if limit.is_zero() {
            self.rare.probes >= count
        } else {
            // RFC 5482: the user time-out overrides the count of probes.
            now - self.heard_at >= limit && self.rare.probes > 0
        };
        if over {
            let flags = Flags { rst: true, ack: true, ..Flags::default() };
            self.push_segment(now, self.snd_nxt, flags, Payload::default());
            return self.fail(Fail::TimedOut { transmissions: self.rare.probes });
        }
        self.rare.probes += 1;
        self.send_probe(now);
        self.rare.keep_timer = Some(now + interval);
    }

    /// FIN-WAIT-2 of an orphan: for so long the peer may still finish (`TCP_LINGER2`).
    /// `answered`: the segment that acknowledged our FIN just now.
    pub(super) fn wait_in_fin_wait_2(&mut self, now: Instant, answered: Option<&Segment>) {
        match (self.params.fin_timeout(), answered) {
            (Some(time), _) => self.rare.wait_timer = Some(now + time),
            (None, None) => self.abort(now),
            (None, Some(segment)) => {
                self.refuse(segment);
                self.close();
            }
        }
    }
}

fn is_due(timer: Option<Instant>, now: Instant) -> bool {
    timer.is_some_and(|at| at <= now)
}
