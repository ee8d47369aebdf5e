//! A link: delay, rate, a bounded queue, and what can go wrong with a frame on its way.

use core::time::Duration;

/// A probability in parts per million, so that no engine decision hangs on a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Chance = Chance(0);

    /// So many times in a million; at most a million.
    pub const fn per_million(n: u32) -> Self {
        Chance(if n > 1_000_000 { 1_000_000 } else { n })
    }
}

/// How a link behaves, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkParams {
    /// Time a bit needs from end to end.
    pub delay: Duration,
    /// Up to this much more delay, drawn for each frame. Frames stay in order.
    pub jitter: Duration,
    /// Bits per second; none: a frame takes no time to send.
    pub rate_bits_per_s: Option<u64>,
    /// Frames that may wait for the link to become free; one more is dropped.
    pub queue: usize,
    /// A frame is lost.
    pub loss: Chance,
    /// A frame arrives twice.
    pub duplicate: Chance,
    /// A frame is held back so that later ones overtake it.
    pub reorder: Chance,
    /// One bit of a frame is flipped.
    pub corrupt: Chance,
    /// Largest IP packet in octets.
    pub mtu: usize,
}

impl Default for LinkParams {
    /// A cable: no delay, no limit, no faults, Ethernet's 1500 octets. The queue of 1000 is Linux' `txqueuelen`.
    fn default() -> Self {
        LinkParams {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate_bits_per_s: None,
            queue: 1000,
            loss: Chance::NEVER,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            corrupt: Chance::NEVER,
            mtu: 1500,
        }
    }
}
