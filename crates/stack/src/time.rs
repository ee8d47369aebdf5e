//! Virtual time: a count of nanoseconds since the lab began. Only the engine moves it.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// An instant of virtual time, in nanoseconds since the lab began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// One more than the nanoseconds, so that `Option<Instant>` takes eight octets: a host has many.
    NonZeroU64,
);

impl Default for Instant {
    fn default() -> Instant {
        Instant::ZERO
    }
}

impl Instant {
    /// The instant at which the lab begins.
    pub const ZERO: Instant = Instant(NonZeroU64::MIN);

    /// The instant `nanos` nanoseconds after the lab began.
    pub const fn from_nanos(nanos: u64) -> Self {
        match NonZeroU64::new(nanos.saturating_add(1)) {
            Some(nanos) => Instant(nanos),
            None => Instant::ZERO,
        }
    }

    /// Nanoseconds since the lab began.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole microseconds since the lab began.
    pub const fn as_micros(self) -> u64 {
        self.as_nanos() / 1_000
    }

    /// Time from `earlier` to here; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the far end of time (584 years), so that "wait for ever" cannot wrap.
    fn add(self, d: Duration) -> Instant {
        Instant::from_nanos(self.as_nanos().saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Instant {
    /// Milliseconds with six decimals: `12.400000ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.as_nanos();
        write!(f, "{}.{:06}ms", nanos / 1_000_000, nanos % 1_000_000)
    }
}
