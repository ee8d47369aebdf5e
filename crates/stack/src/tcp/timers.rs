//! What happens when a connection's timers run out (RFC 6298 5, RFC 9293 3.8).

use core::time::Duration;

use super::segment::{Flags, Payload};
use super::{Fail, Note, Tcb};
use crate::event::TimerKind;
use crate::host::Profile;
use crate::snapshot::TcpState;
use crate::time::Instant;

/// Linux `TCP_DELACK_MIN`; RFC 1122 4.2.3.2 allows 500 ms.
pub(super) const DELAYED_ACK: Duration = Duration::from_millis(40);
/// Linux `tcp_synack_retries`.
const SYN_ACK_RETRIES: u32 = 5;
/// Linux `tcp_retries2`.
const RETRIES: u32 = 15;
/// Linux `tcp_orphan_retries`: nobody waits for the answer.
const ORPHAN_RETRIES: u32 = 8;

impl Tcb {
    /// The earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.rtx_timer, self.persist_timer, self.ack_timer, self.keep_timer, self.wait_timer]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs what is due.
    pub(crate) fn on_timers(&mut self, now: Instant) {
        if due(&mut self.wait_timer, now) {
            let kind =
                if self.state == TcpState::TimeWait { TimerKind::TimeWait } else { TimerKind::FinWait2 };
            self.notes.push(Note::Timer(kind));
            self.close();
            return;
        }
        if due(&mut self.ack_timer, now) {
            self.notes.push(Note::Timer(TimerKind::DelayedAck));
            // Linux `tcp_delack_timer_handler`: the guess that an answer would come was wrong.
            self.acks.ping_pong = false;
            self.acks.now = true;
        }
        if due(&mut self.rtx_timer, now) {
            self.on_retransmission_timer(now);
        }
        if due(&mut self.persist_timer, now) {
            self.on_persist_timer(now);
        }
        if due(&mut self.keep_timer, now) {
            self.on_keepalive_timer(now);
        }
        if self.state != TcpState::Closed {
            self.output(now);
        }
    }

    pub(super) fn stop_timers(&mut self) {
        self.rtx_timer = None;
        self.persist_timer = None;
        self.ack_timer = None;
        self.keep_timer = None;
        self.wait_timer = None;
        self.acks.now = false;
    }

    /// RFC 9293 3.4.2: 2 MSL. Linux fixes it at 60 s; the RFC's MSL is 2 min.
    pub(super) fn time_wait(&self) -> Duration {
        match self.params.profile {
            Profile::Linux => Duration::from_secs(60),
            Profile::Rfc => Duration::from_secs(240),
        }
    }

    /// RFC 6298 (5.1) and the persist timer of RFC 9293 3.8.6.1: never both.
    pub(super) fn set_send_timers(&mut self, now: Instant) {
        if !self.sent.is_empty() {
            self.persist_timer = None;
            if self.rtx_timer.is_none() {
                self.rtx_timer = Some(now + self.rtt.rto());
            }
            return;
        }
        self.rtx_timer = None;
        if self.has_unsent() && self.synchronized() && self.state != TcpState::TimeWait {
            if self.persist_timer.is_none() {
                self.persist_timer = Some(now + self.rtt.rto());
            }
        } else {
            self.persist_timer = None;
        }
    }

    fn retries(&self) -> u32 {
        match self.state {
            TcpState::SynSent => self.params.settings.syn_retries,
            TcpState::SynReceived => SYN_ACK_RETRIES,
            _ if self.orphan => ORPHAN_RETRIES,
            _ => RETRIES,
        }
    }

    /// RFC 6298 (5.4) to (5.7).
    fn on_retransmission_timer(&mut self, now: Instant) {
        if self.sent.is_empty() {
            return;
        }
        self.notes.push(Note::Timer(TimerKind::Retransmission));
        let limit = self.params.settings.user_timeout;
        let too_long = !limit.is_zero()
            && self.synchronized()
            && self.stalled_since.is_some_and(|since| now - since >= limit);
        if self.timeouts >= self.retries() || too_long {
            return self.fail(Fail::TimedOut { transmissions: self.timeouts + 1 });
        }
        self.timeouts += 1;
        self.rtt.backoff += 1;
        if self.synchronized() {
            self.on_timeout_for_recovery();
        }
        self.resend(now, 0);
        self.rtx_timer = Some(now + self.rtt.rto());
        // Linux `tcp_clamp_rto_to_user_timeout`: the end comes when the option says, not with the next try.
        if let Some(since) = self.stalled_since.filter(|_| !limit.is_zero() && self.synchronized()) {
            self.rtx_timer = self.rtx_timer.map(|at| at.min(since + limit));
        }
    }

    /// The window is closed (or the queue is corked) and nothing is in flight: sends what fits, else asks.
    fn on_persist_timer(&mut self, now: Instant) {
        self.notes.push(Note::Timer(TimerKind::Persist));
        let limit = if self.orphan { ORPHAN_RETRIES } else { RETRIES };
        if self.probes > limit {
            return self.fail(Fail::TimedOut { transmissions: self.probes });
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
        self.probes += 1;
        self.rtt.backoff += 1;
        self.persist_timer = Some(now + self.rtt.rto());
    }

    /// Linux's window probe: an old sequence number and no data, which must be answered.
    fn send_probe(&mut self, now: Instant) {
        let flags = Flags { ack: true, ..Flags::default() };
        self.push_segment(now, self.snd_una - 1, flags, Payload::default());
    }

    /// RFC 9293 3.8.4.
    fn on_keepalive_timer(&mut self, now: Instant) {
        let settings = &self.params.settings;
        if !settings.keepalive || !self.synchronized() || self.state == TcpState::TimeWait {
            return;
        }
        let idle_until = self.heard_at + settings.keep_idle;
        let (interval, count) = (settings.keep_interval, settings.keep_count);
        if !self.sent.is_empty() || idle_until > now {
            self.keep_timer = Some(idle_until.max(now + interval));
            return;
        }
        self.notes.push(Note::Timer(TimerKind::KeepAlive));
        if self.probes >= count {
            let flags = Flags { rst: true, ack: true, ..Flags::default() };
            self.push_segment(now, self.snd_nxt, flags, Payload::default());
            return self.fail(Fail::TimedOut { transmissions: self.probes });
        }
        self.probes += 1;
        self.send_probe(now);
        self.keep_timer = Some(now + interval);
    }
}

/// Stops the timer if it is due.
fn due(timer: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = timer.is_some_and(|at| at <= now);
    if is_due {
        *timer = None;
    }
    is_due
}
