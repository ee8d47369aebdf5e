//! The congestion window: slow start, congestion avoidance and what a loss does to them (RFC 5681, RFC 9438). Sizes are
//! segments, as Linux counts them.

mod cubic;

use core::time::Duration;

use cubic::Cubic;

use super::params::Params;
use super::seq::Seq;
use crate::spare::Spare;
use crate::sysctl::CongestionControl;
use crate::time::Instant;

/// RFC 5681 3.1: "arbitrarily high". Linux `TCP_INFINITE_SSTHRESH`.
pub(crate) const INFINITE: u32 = 0x7fff_ffff;

/// The congestion control algorithm and its state.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    algorithm: Algorithm,
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// Segments acknowledged since the window last grew, in congestion avoidance.
    acked: u32,
    initial: u32,
    usage: Usage,
}

#[derive(Clone, Debug)]
enum Algorithm {
    Reno,
    /// With or without HyStart.
    Cubic(Spare<Cubic>, bool),
}

/// How much of the window is in use (Linux `tcp_cwnd_validate`, RFC 7661 in spirit).
#[derive(Clone, Debug, Default)]
struct Usage {
    /// The window, not the program, holds back the sender.
    limited: bool,
    max_in_flight: u32,
    until: Seq,
    /// The most in flight while the program was the limit.
    used: u32,
    since: Instant,
}

impl Congestion {
    pub(crate) fn new(params: &Params, mss: u32, now: Instant) -> Congestion {
        let initial = params.sysctl.initcwnd.unwrap_or_else(|| rfc_initial_window(mss));
        let mut congestion = Congestion {
            algorithm: Algorithm::Reno,
            cwnd: initial,
            ssthresh: INFINITE,
            acked: 0,
            initial,
            usage: Usage { since: now, ..Usage::default() },
        };
        congestion.choose(params.congestion(), params.sysctl.hystart);
        congestion
    }

    /// `TCP_CONGESTION`.
    pub(crate) fn choose(&mut self, algorithm: CongestionControl, hystart: bool) {
        self.algorithm = match algorithm {
            CongestionControl::Reno => Algorithm::Reno,
            CongestionControl::Cubic => Algorithm::Cubic(Spare::default(), hystart),
        };
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Reno => CongestionControl::Reno.name(),
            Algorithm::Cubic(..) => CongestionControl::Cubic.name(),
        }
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// `acked` segments were acknowledged. `limited`: the window was in full use, else it does not grow (RFC 7661).
    pub(super) fn on_ack(&mut self, now: Instant, mut acked: u32) {
        if !self.is_limited() {
            return;
        }
        if self.in_slow_start() {
            // RFC 3465 counts octets; Linux sets no limit for a stretch ACK.
            let grown = self.cwnd.saturating_add(acked).min(self.ssthresh);
            acked -= grown - self.cwnd;
            self.cwnd = grown;
            if acked == 0 {
                return;
            }
        }
        let per_segment = match &mut self.algorithm {
            Algorithm::Reno => self.cwnd,
            Algorithm::Cubic(cubic, _) => cubic.update(now, self.cwnd, acked),
        };
        // RFC 5681 3.1: one segment for each window acknowledged; CUBIC says for how many.
        if self.acked >= per_segment {
            self.acked = 0;
            self.cwnd += 1;
        }
        self.acked += acked;
        if self.acked >= per_segment {
            let grown = self.acked / per_segment.max(1);
            self.acked -= grown * per_segment;
            self.cwnd += grown;
        }
    }

    /// A round trip was measured (CUBIC's HyStart).
    pub(super) fn on_round_trip(&mut self, now: Instant, rtt: Duration, snd_una: Seq, snd_nxt: Seq) {
        let slow_start = self.in_slow_start();
        if let Algorithm::Cubic(cubic, hystart) = &mut self.algorithm
            && cubic.on_round_trip(now, rtt, self.cwnd, slow_start && *hystart, (snd_una, snd_nxt))
        {
            self.ssthresh = self.cwnd;
        }
    }

    /// What ssthresh becomes after a loss: half for Reno (RFC 5681 (4)), 0.7 for CUBIC (RFC 9438 4.6); two segments at
    /// least.
    pub(super) fn reduce(&mut self, in_flight: Option<u32>) {
        self.acked = 0;
        self.ssthresh = match &mut self.algorithm {
            Algorithm::Reno => in_flight.unwrap_or(self.cwnd) / 2,
            Algorithm::Cubic(cubic, _) => cubic.ssthresh(self.cwnd),
        }
        .max(2);
    }

    /// The retransmission timer ran out.
    pub(super) fn on_timeout(&mut self) {
        self.acked = 0;
        if let Algorithm::Cubic(cubic, _) = &mut self.algorithm {
            *cubic = Spare::default();
        }
    }

    /// Linux `tcp_current_ssthresh`: what a reduction that proves wrong goes back to.
    pub(super) fn current_ssthresh(&self, reducing: bool) -> u32 {
        if reducing { self.ssthresh } else { self.ssthresh.max(self.cwnd / 2 + self.cwnd / 4) }
    }

    /// Sending starts after nothing was in flight (Linux `CA_EVENT_TX_START`).
    pub(super) fn on_start(&mut self, now: Instant, last_sent: Option<Instant>) {
        if let (Algorithm::Cubic(cubic, _), Some(at)) = (&mut self.algorithm, last_sent)
            && cubic.has_begun()
        {
            cubic.skip(now, now - at);
        }
    }

    /// RFC 5681 4.1 and Linux `tcp_cwnd_restart`: after a pause the window says little; it halves for each RTO of
    /// silence, down to the initial window.
    pub(super) fn after_idle(&mut self, now: Instant, mut idle: Duration, rto: Duration) {
        if idle <= rto {
            return;
        }
        let restart = self.cwnd.min(self.initial);
        self.ssthresh = self.current_ssthresh(false);
        while idle > rto && self.cwnd > restart {
            idle -= rto;
            self.cwnd /= 2;
        }
        self.cwnd = self.cwnd.max(restart);
        self.usage = Usage { since: now, ..Usage::default() };
    }

    /// Linux `tcp_cwnd_validate`, after sending: who holds back the sender?
    pub(super) fn validate(
        &mut self,
        now: Instant,
        limited: bool,
        in_flight: u32,
        (snd_una, snd_nxt): (Seq, Seq),
        (rto, open): (Duration, bool),
    ) {
        let usage = &mut self.usage;
        if snd_una.ge(usage.until) || limited || !usage.limited && in_flight > usage.max_in_flight {
            usage.limited = limited;
            usage.max_in_flight = in_flight;
            usage.until = snd_nxt;
        }
        if self.is_limited() {
            self.usage.used = 0;
            self.usage.since = now;
            return;
        }
        self.usage.used = self.usage.used.max(in_flight);
        if now - self.usage.since >= rto {
            // RFC 7661 4.4 in Linux's form: a window that was not used for an RTO shrinks towards what was.
            if open {
                let used = self.usage.used.max(self.initial);
                if used < self.cwnd {
                    self.ssthresh = self.current_ssthresh(false);
                    self.cwnd = self.cwnd.midpoint(used);
                }
                self.usage.used = 0;
            }
            self.usage.since = now;
        }
    }

    fn is_limited(&self) -> bool {
        self.usage.limited || self.in_slow_start() && self.cwnd < 2 * self.usage.max_in_flight
    }
}

/// RFC 5681 3.1.
fn rfc_initial_window(mss: u32) -> u32 {
    match mss {
        2191.. => 2,
        1096.. => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests;
