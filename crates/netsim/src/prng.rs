//! The one source of chance: SplitMix64, whose whole state is one number.
//!
//! Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014; constants as published there.

use crate::link::Chance;

/// A stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Prng(u64);

impl Prng {
    pub(crate) const fn new(seed: u64) -> Self {
        Prng(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0. Multiplication instead of a remainder, after Lemire 2019; its bias is below
    /// one in 2^40 for the sizes used here.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// Whether something of this probability happens. Draws no number when it cannot, so that switching one fault on
    /// does not change the others.
    pub(crate) fn happens(&mut self, chance: Chance) -> bool {
        chance != Chance::NEVER && self.below(1_000_000) < u64::from(chance.in_a_million())
    }
}
