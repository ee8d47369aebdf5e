//! The retransmission time-out from measured round trips (RFC 6298), as Linux's `tcp_rtt_estimator` keeps them: in
//! microseconds, with a floor under the variance, which falls at most once in a round trip.

use core::time::Duration;

use super::seq::Seq;
use crate::host::Profile;

/// RFC 6298 (2.1): before the first measurement.
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// Linux `TCP_RTO_MAX`; RFC 6298 (2.5) asks for at least 60 s.
pub(super) const MAX_RTO: Duration = Duration::from_secs(120);

/// Estimator of the round trip. All in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    profile: Profile,
    /// Least RTO.
    min: u32,
    /// Eight times SRTT; zero before the first measurement.
    srtt8: u32,
    /// Four times the mean deviation.
    mdev4: u32,
    /// Its largest value in this round trip.
    mdev_max: u32,
    /// What the time-out adds to SRTT (four times RTTVAR in RFC 6298's terms).
    rttvar4: u32,
    /// The round trip ends when this is acknowledged.
    round_end: Seq,
    /// Least round trip seen; `u32::MAX`: none yet.
    min_rtt: u32,
    /// The time-out without back-off.
    base: u32,
    /// How often the timer doubled since the last valid measurement.
    pub(crate) backoff: u32,
}

impl Rtt {
    pub(crate) fn new(profile: Profile, min: Duration) -> Rtt {
        Rtt {
            profile,
            min: micros(min),
            srtt8: 0,
            mdev4: 0,
            mdev_max: 0,
            rttvar4: 0,
            round_end: Seq(0),
            min_rtt: u32::MAX,
            base: micros(INITIAL_RTO),
            backoff: 0,
        }
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.srtt8 > 0).then(|| Duration::from_micros(u64::from(self.srtt8 / 8)))
    }

    /// RTTVAR of RFC 6298, which Linux reports as `tcpi_rttvar`.
    pub(crate) fn rttvar(&self) -> Option<Duration> {
        (self.srtt8 > 0).then(|| Duration::from_micros(u64::from(self.mdev4 / 4)))
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        (self.min_rtt < u32::MAX).then(|| Duration::from_micros(u64::from(self.min_rtt)))
    }

    /// The last measurement that says how fast the path can be.
    pub(super) fn note_min(&mut self, r: Duration) {
        self.min_rtt = self.min_rtt.min(micros(r).max(1));
    }

    /// One measurement `r` (RFC 6298 (2.2), (2.3)), of a segment that was sent once (Karn).
    pub(super) fn measure(&mut self, r: Duration, snd_una: Seq, snd_nxt: Seq) {
        let m = micros(r).max(1);
        if self.srtt8 == 0 {
            self.srtt8 = m.saturating_mul(8);
            self.mdev4 = m.saturating_mul(2);
            self.rttvar4 = self.mdev4.max(self.floor());
            self.mdev_max = self.rttvar4;
            self.round_end = snd_nxt;
        } else if self.profile == Profile::Rfc {
            let (srtt, deviation) = (self.srtt8 / 8, (self.srtt8 / 8).abs_diff(m));
            self.mdev4 = self.mdev4 - self.mdev4 / 4 + deviation;
            self.rttvar4 = self.mdev4;
            self.srtt8 = self.srtt8 - srtt + m;
        } else {
            self.measure_again(m, snd_una, snd_nxt);
        }
        let sum = Duration::from_micros(u64::from(self.srtt8 / 8) + u64::from(self.rttvar4));
        let base = match self.profile {
            // Linux puts its minimum under the variance: a 10 ms path has an RTO of 210 ms.
            Profile::Linux => sum,
            Profile::Rfc => sum.max(Duration::from_micros(u64::from(self.min))),
        };
        self.base = micros(base.min(MAX_RTO));
    }

    fn floor(&self) -> u32 {
        if self.profile == Profile::Linux { self.min } else { 0 }
    }

    /// Linux `tcp_rtt_estimator`.
    fn measure_again(&mut self, m: u32, snd_una: Seq, snd_nxt: Seq) {
        let error = i64::from(m) - i64::from(self.srtt8 / 8);
        self.srtt8 = clamp(i64::from(self.srtt8) + error).max(1);
        let mut change = error.abs() - i64::from(self.mdev4 / 4);
        // A round trip that got shorter must not make the variance large (Linux: "similar to one of Eifel findings").
        if error < 0 && change > 0 {
            change /= 8;
        }
        self.mdev4 = clamp(i64::from(self.mdev4) + change);
        if self.mdev4 > self.mdev_max {
            self.mdev_max = self.mdev4;
            self.rttvar4 = self.rttvar4.max(self.mdev_max);
        }
        if snd_una.gt(self.round_end) {
            if self.mdev_max < self.rttvar4 {
                self.rttvar4 -= (self.rttvar4 - self.mdev_max) / 4;
            }
            self.round_end = snd_nxt;
            self.mdev_max = self.floor();
        }
    }

    /// The time-out now, with back-off (RFC 6298 (5.5)).
    pub(crate) fn rto(&self) -> Duration {
        (Duration::from_micros(self.base.into()) * 2u32.saturating_pow(self.backoff.min(16))).min(MAX_RTO)
    }

    /// RFC 6298 (5.7): the SYN was lost, nothing is known; data starts from 3 s. Linux keeps its 1 s.
    pub(crate) fn after_lost_syn(&mut self) {
        if self.srtt8 == 0 && self.profile == Profile::Rfc {
            self.base = micros(Duration::from_secs(3));
        }
    }
}

fn micros(time: Duration) -> u32 {
    // 2^28 us are 268 s, more than the largest RTO; eight times that fits.
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX).min(1 << 28)
}

fn clamp(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}
