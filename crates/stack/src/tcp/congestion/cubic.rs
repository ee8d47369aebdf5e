//! CUBIC (RFC 9438) in integers, with Linux's constants, and HyStart, which ends slow start before the queue overflows.
//!
//! After a loss at `W_max` segments the window follows `C (t - K)^3 + W_max`, where `K` is the time to get back to
//! `W_max`. Time is counted in 1/1024 s, C is 0.4, and the window falls to 0.7 of itself.

use core::time::Duration;

use crate::spare::AtRest;
use crate::tcp::seq::Seq;
use crate::time::Instant;

/// RFC 9438 4.6, "beta_cubic" 0.7, in 1024ths: Linux has 717.
const BETA: u32 = 717;
const SCALE: u32 = 1024;
/// C = 0.4 = 410/1024 (RFC 9438 5.1).
const C: u64 = 410;
/// 2^40 / C: the cube of time for one segment.
const CUBE_FACTOR: u64 = (1 << 40) / C;
/// RFC 9438 4.3: Reno's growth for the same loss rate, `3 (1 - beta) / (1 + beta)`, as 8ths of a segment per ACK.
const RENO_SCALE: u32 = 8 * (SCALE + BETA) / 3 / (SCALE - BETA);
/// HyStart works from this window on (Linux `hystart_low_window`).
const HYSTART_LOW_WINDOW: u32 = 16;
/// So many samples of a round tell its delay.
const MIN_SAMPLES: u32 = 8;
/// ACKs closer than this belong to one train.
const ACK_GAP: u64 = 2_000;

/// CUBIC's state. Times in microseconds where not said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cubic {
    /// ACKs for each segment of growth, as of the last update.
    count: u32,
    /// The window at the last loss.
    w_max: u32,
    /// The window and the time of the last update.
    last: Option<(u32, Instant)>,
    /// The plateau of the curve.
    origin: u32,
    /// When the curve began.
    epoch: Option<Instant>,
    /// Time to the plateau, in 1/1024 s.
    k: u64,
    /// Least delay seen.
    delay_min: u64,
    /// What Reno's window would be, and the ACKs counted for it.
    reno: u32,
    reno_acks: u32,
    /// HyStart has ended slow start.
    found: bool,
    round_start: Option<Instant>,
    last_ack: Instant,
    round_end: Seq,
    round_delay: u64,
    samples: u32,
}

/// Before the first measurement, and after a time-out: then all is forgotten.
impl AtRest for Cubic {
    const AT_REST: &'static Cubic = &Cubic {
        count: 0,
        w_max: 0,
        last: None,
        origin: 0,
        epoch: None,
        k: 0,
        delay_min: 0,
        reno: 0,
        reno_acks: 0,
        found: false,
        round_start: None,
        last_ack: Instant::ZERO,
        round_end: Seq(0),
        round_delay: 0,
        samples: 0,
    };

    fn is_at_rest(&self) -> bool {
        self == Cubic::AT_REST
    }
}

impl Cubic {
    /// The curve has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.epoch.is_some()
    }

    /// RFC 9438 4.6 and 4.7 (fast convergence: a flow that loses before its last peak gives way to others).
    pub(super) fn ssthresh(&mut self, cwnd: u32) -> u32 {
        self.epoch = None;
        self.w_max = if cwnd < self.w_max { scaled(cwnd, SCALE + BETA, 2 * SCALE) } else { cwnd };
        scaled(cwnd, BETA, SCALE)
    }

    /// The curve does not move while nothing was sent (RFC 9438 5.8).
    pub(super) fn skip(&mut self, now: Instant, idle: Duration) {
        if let Some(epoch) = &mut self.epoch
            && !idle.is_zero()
        {
            *epoch = (*epoch + idle).min(now);
        }
    }

    /// How many acknowledged segments make the window grow by one (RFC 9438 4.2 to 4.5, Linux `bictcp_update`).
    pub(super) fn update(&mut self, now: Instant, cwnd: u32, acked: u32) -> u32 {
        self.reno_acks = self.reno_acks.saturating_add(acked);
        if let Some((window, at)) = self.last
            && window == cwnd
            && now - at <= Duration::from_micros(31_250)
        {
            return self.count.max(2);
        }
        self.last = Some((cwnd, now));
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.reno_acks = acked;
            self.reno = cwnd;
            (self.k, self.origin) = if self.w_max <= cwnd {
                (0, cwnd)
            } else {
                (cube_root(CUBE_FACTOR * u64::from(self.w_max - cwnd)), self.w_max)
            };
            now
        });
        let micros = u64::try_from((now - epoch).as_micros()).unwrap_or(u64::MAX / 2048) + self.delay_min;
        let t = micros.saturating_mul(1024) / 1_000_000;
        let offset = t.abs_diff(self.k).min(1 << 17);
        let delta = u32::try_from((C * offset * offset * offset) >> 40).unwrap_or(u32::MAX);
        let target =
            if t < self.k { self.origin.saturating_sub(delta) } else { self.origin.saturating_add(delta) };
        self.count = if target > cwnd { cwnd / (target - cwnd) } else { cwnd.saturating_mul(100) };
        // Before the first loss nothing is known: at least 5 % a round trip.
        if self.w_max == 0 {
            self.count = self.count.min(20);
        }
        self.follow_reno(cwnd);
        self.count = self.count.max(2);
        self.count
    }

    /// RFC 9438 4.3: never slower than Reno.
    fn follow_reno(&mut self, cwnd: u32) {
        let per_segment = (cwnd.saturating_mul(RENO_SCALE) >> 3).max(1);
        self.reno = self.reno.saturating_add(self.reno_acks / per_segment);
        self.reno_acks %= per_segment;
        if self.reno > cwnd {
            self.count = self.count.min(cwnd / (self.reno - cwnd));
        }
    }

    /// One delay was measured. `slow_start`: HyStart may end it. True: it has to end, as the queue grows (Linux
    /// `hystart_update`).
    pub(super) fn on_round_trip(
        &mut self,
        now: Instant,
        rtt: Duration,
        cwnd: u32,
        slow_start: bool,
        (snd_una, snd_nxt): (Seq, Seq),
    ) -> bool {
        // Right after a recovery the delay says nothing.
        if self.epoch.is_some_and(|epoch| now - epoch < Duration::from_secs(1)) {
            return false;
        }
        let delay = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1);
        if self.delay_min == 0 || self.delay_min > delay {
            self.delay_min = delay;
        }
        if self.found || !slow_start {
            return false;
        }
        if self.round_start.is_none() || snd_una.gt(self.round_end) {
            self.round_start = Some(now);
            self.last_ack = now;
            self.round_end = snd_nxt;
            self.round_delay = u64::MAX;
            self.samples = 0;
        }
        if cwnd < HYSTART_LOW_WINDOW {
            return false;
        }
        let since = |at: Instant| (now - at).as_micros();
        if since(self.last_ack) <= u128::from(ACK_GAP) {
            self.last_ack = now;
            // A train of ACKs as long as half the round trip: as much is on its way as the path takes.
            let start = self.round_start.unwrap_or(now);
            self.found = since(start) > u128::from(self.delay_min / 2);
        }
        self.round_delay = self.round_delay.min(delay);
        if self.samples < MIN_SAMPLES {
            self.samples += 1;
        } else if self.round_delay > self.delay_min + (self.delay_min / 8).clamp(4_000, 16_000) {
            self.found = true;
        }
        self.found
    }
}

fn scaled(n: u32, by: u32, of: u32) -> u32 {
    u32::try_from(u64::from(n) * u64::from(by) / u64::from(of)).unwrap_or(u32::MAX)
}

/// The whole part of the cube root.
fn cube_root(n: u64) -> u64 {
    let mut root = 0u64;
    for bit in (0..=21).rev() {
        let candidate = root | 1 << bit;
        if candidate
            .checked_mul(candidate)
            .and_then(|square| square.checked_mul(candidate))
            .is_some_and(|c| c <= n)
        {
            root = candidate;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_are_whole() {
        for (n, root) in
            [(0, 0), (1, 1), (7, 1), (8, 2), (26, 2), (27, 3), (1_000_000, 100), (u64::MAX, 2_642_245)]
        {
            assert_eq!(cube_root(n), root, "{n}");
        }
    }

    /// RFC 9438 4.2: `W(t) = C (t - K)^3 + W_max`, with `K = cbrt((W_max - cwnd) / C)`, in seconds and segments.
    #[test]
    fn the_window_follows_the_curve() {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.ssthresh(1000), 700);
        let (mut cwnd, mut credit) = (700u32, 0);
        let k = (300.0f64 / 0.4).cbrt();
        let rtt = Duration::from_millis(100);
        let mut now = Instant::ZERO;
        for round in 0..150 {
            let t = f64::from(round) * 0.1;
            let expected = 0.4 * (t - k).powi(3) + 1000.0;
            if round % 10 == 0 {
                let off = (f64::from(cwnd) - expected).abs();
                assert!(off < 0.03 * expected, "at {t} s the window is {cwnd}, not {expected}");
            }
            let window = cwnd;
            for _ in 0..window {
                let count = cubic.update(now, cwnd, 1);
                credit += 1;
                if credit >= count {
                    credit = 0;
                    cwnd += 1;
                }
                now += rtt / cwnd;
            }
        }
        assert!(cwnd > 1000);
    }

    #[test]
    fn a_second_loss_below_the_peak_gives_way() {
        let mut cubic = Cubic::default();
        cubic.ssthresh(1000);
        cubic.ssthresh(800);
        assert_eq!(cubic.w_max, 800 * 1741 / 2048);
    }

    #[test]
    fn hystart_ends_slow_start_when_the_delay_grows() {
        let mut cubic = Cubic::default();
        let mut found = false;
        for n in 0..40u32 {
            let (now, delay) = (Instant::from_nanos(u64::from(n) * 5_000_000), 20 + u64::from(n / 10) * 5);
            found |= cubic.on_round_trip(
                now,
                Duration::from_millis(delay),
                20,
                true,
                (Seq(n / 10 * 100 + 1), Seq((n / 10 + 1) * 100)),
            );
            assert!(!found || n >= 18, "too early: {n}");
        }
        assert!(found);
    }
}
