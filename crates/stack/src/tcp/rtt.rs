//! The retransmission time-out from measured round trips (RFC 6298), with Linux's floor under the variance.

use core::time::Duration;

use crate::host::Profile;

/// RFC 6298 (2.1): before the first measurement.
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// Linux `TCP_RTO_MIN`.
const LINUX_MIN_RTO: Duration = Duration::from_millis(200);
/// RFC 6298 (2.4).
const RFC_MIN_RTO: Duration = Duration::from_secs(1);
/// Linux `TCP_RTO_MAX`; RFC 6298 (2.5) asks for at least 60 s.
const MAX_RTO: Duration = Duration::from_secs(120);

/// Estimator of the round trip.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    profile: Profile,
    pub(crate) srtt: Option<Duration>,
    pub(crate) rttvar: Option<Duration>,
    base: Duration,
    /// How often the timer doubled since the last valid measurement.
    pub(crate) backoff: u32,
}

impl Rtt {
    pub(crate) fn new(profile: Profile) -> Rtt {
        Rtt { profile, srtt: None, rttvar: None, base: INITIAL_RTO, backoff: 0 }
    }

    /// One measurement `r` (RFC 6298 (2.2), (2.3)), of a segment that was sent once (Karn).
    pub(crate) fn measure(&mut self, r: Duration) {
        let (srtt, rttvar) = match (self.srtt, self.rttvar) {
            (Some(srtt), Some(rttvar)) => (srtt * 7 / 8 + r / 8, rttvar * 3 / 4 + srtt.abs_diff(r) / 4),
            _ => (r, r / 2),
        };
        self.srtt = Some(srtt);
        self.rttvar = Some(rttvar);
        self.base = match self.profile {
            // Linux puts its minimum under the variance: a 10 ms path has an RTO of 210 ms.
            Profile::Linux => srtt + (rttvar * 4).max(LINUX_MIN_RTO),
            Profile::Rfc => (srtt + rttvar * 4).max(RFC_MIN_RTO),
        }
        .min(MAX_RTO);
    }

    /// The time-out now, with back-off (RFC 6298 (5.5)).
    pub(crate) fn rto(&self) -> Duration {
        (self.base * 2u32.saturating_pow(self.backoff.min(16))).min(MAX_RTO)
    }

    /// RFC 6298 (5.7): the SYN was lost, nothing is known; data starts from 3 s. Linux keeps its 1 s.
    pub(crate) fn after_lost_syn(&mut self) {
        if self.srtt.is_none() && self.profile == Profile::Rfc {
            self.base = Duration::from_secs(3);
        }
    }
}
