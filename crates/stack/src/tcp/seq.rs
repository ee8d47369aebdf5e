//! Sequence numbers: 32 bits that wrap (RFC 9293 3.4). All comparison is by the sign of the difference.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence or acknowledgment number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    pub(crate) fn lt(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    pub(crate) fn le(self, other: Seq) -> bool {
        !other.lt(self)
    }

    pub(crate) fn gt(self, other: Seq) -> bool {
        other.lt(self)
    }

    pub(crate) fn ge(self, other: Seq) -> bool {
        !self.lt(other)
    }

    pub(crate) fn max(self, other: Seq) -> Seq {
        if self.lt(other) { other } else { self }
    }

    pub(crate) fn min(self, other: Seq) -> Seq {
        if self.lt(other) { self } else { other }
    }

    /// Octets from `earlier` to here; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Seq) -> u32 {
        if self.lt(earlier) { 0 } else { self - earlier }
    }
}

impl Add<u32> for Seq {
    type Output = Seq;

    fn add(self, n: u32) -> Seq {
        Seq(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;

    fn sub(self, n: u32) -> Seq {
        Seq(self.0.wrapping_sub(n))
    }
}

impl Sub<Seq> for Seq {
    type Output = u32;

    fn sub(self, other: Seq) -> u32 {
        self.0.wrapping_sub(other.0)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
