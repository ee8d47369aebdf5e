//! The congestion window: slow start, congestion avoidance and what a loss does to them (RFC 5681). Sizes are octets.

use core::time::Duration;

use crate::host::Profile;

/// The congestion control algorithm and its state.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    profile: Profile,
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// Octets acknowledged since the window last grew, in congestion avoidance.
    acked: u32,
}

impl Congestion {
    pub(crate) fn new(profile: Profile, mss: u32) -> Congestion {
        // RFC 5681 3.1: "arbitrarily high".
        Congestion { profile, cwnd: initial_window(profile, mss), ssthresh: u32::MAX, acked: 0 }
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// `acked` new octets were acknowledged while the window was in full use.
    pub(crate) fn on_ack(&mut self, mut acked: u32, mss: u32) {
        if self.in_slow_start() {
            // RFC 3465 counts octets; Linux sets no limit for a stretch ACK.
            let grown = self.cwnd.saturating_add(acked).min(self.ssthresh);
            acked -= grown - self.cwnd;
            self.cwnd = grown;
        }
        // RFC 5681 3.1: one segment for each window acknowledged.
        self.acked += acked;
        while self.acked >= self.cwnd {
            self.acked -= self.cwnd;
            self.cwnd += mss;
        }
    }

    /// RFC 5681 (4): half of what was in flight, two segments at least.
    fn halve(&mut self, flight: u32, mss: u32) {
        self.ssthresh = (flight / 2).max(2 * mss);
        self.acked = 0;
    }

    /// Three duplicate ACKs, or SACK's equivalent: go on at half the speed.
    pub(crate) fn on_fast_retransmit(&mut self, flight: u32, mss: u32) {
        self.halve(flight, mss);
        self.cwnd = self.ssthresh;
    }

    /// The retransmission timer ran out: start again from one segment.
    pub(crate) fn on_timeout(&mut self, flight: u32, mss: u32, first: bool) {
        // RFC 5681 3.1: a second time-out of the same segment leaves ssthresh as it is.
        if first {
            self.halve(flight, mss);
        }
        self.cwnd = mss;
    }

    /// RFC 5681 4.1 and Linux `tcp_cwnd_restart`: after a pause the window says little; it halves for each RTO of
    /// silence, down to the initial window.
    pub(crate) fn after_idle(&mut self, mut idle: Duration, rto: Duration, mss: u32) {
        if idle <= rto {
            return;
        }
        let restart = self.cwnd.min(initial_window(self.profile, mss));
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        while idle > rto && self.cwnd > restart {
            idle -= rto;
            self.cwnd /= 2;
        }
        self.cwnd = self.cwnd.max(restart);
        self.acked = 0;
    }

    /// Recovery is over.
    pub(crate) fn on_recovered(&mut self) {
        self.cwnd = self.cwnd.min(self.ssthresh);
    }
}

fn initial_window(profile: Profile, mss: u32) -> u32 {
    match profile {
        // RFC 6928: ten segments.
        Profile::Linux => 10 * mss,
        // RFC 5681 3.1.
        Profile::Rfc if mss > 2190 => 2 * mss,
        Profile::Rfc if mss > 1095 => 3 * mss,
        Profile::Rfc => 4 * mss,
    }
}
