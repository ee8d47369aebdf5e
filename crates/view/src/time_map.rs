//! A map between virtual time and a length on screen that keeps order but not proportion: short times get room to be
//! seen, long idle stretches shrink to a marked break.

use serde::{Deserialize, Serialize};

/// A monotone, piecewise linear map from nanoseconds to units. Built by appending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeMap {
    /// (nanoseconds, units), both never decreasing.
    knots: Vec<(u64, f64)>,
    /// Units per nanosecond after the last knot.
    tail: f64,
    /// Most units the tail may grow to.
    tail_max: f64,
}

impl TimeMap {
    /// An empty map: instant 0 lies at 0. `tail`: units per nanosecond after the last knot, at most `tail_max` units.
    pub fn new(tail: f64, tail_max: f64) -> Self {
        TimeMap { knots: vec![(0, 0.0)], tail, tail_max }
    }

    /// Appends a knot. Values that lie before the last knot are raised to it.
    pub fn push(&mut self, at: u64, units: f64) {
        let (last_at, last_units) = self.last();
        self.knots.push((at.max(last_at), units.max(last_units)));
    }

    /// The last knot.
    pub fn last(&self) -> (u64, f64) {
        self.knots.last().copied().unwrap_or((0, 0.0))
    }

    /// Where an instant lies. With several knots at that instant: the last of them.
    pub fn units(&self, at: u64) -> f64 {
        let after = self.knots.partition_point(|k| k.0 <= at);
        let Some(&(t0, u0)) = after.checked_sub(1).and_then(|i| self.knots.get(i)) else { return 0.0 };
        match self.knots.get(after) {
            Some(&(t1, u1)) => u0 + (u1 - u0) * ((at - t0) as f64 / (t1 - t0) as f64),
            None => u0 + (self.tail * (at - t0) as f64).min(self.tail_max),
        }
    }

    /// The instant that lies at `units`: the inverse of [`TimeMap::units`], for a click or a scrub.
    pub fn time(&self, units: f64) -> u64 {
        let after = self.knots.partition_point(|k| k.1 <= units);
        let Some(&(t0, u0)) = after.checked_sub(1).and_then(|i| self.knots.get(i)) else { return 0 };
        match self.knots.get(after) {
            Some(&(t1, u1)) => t0 + ((units - u0) / (u1 - u0) * (t1 - t0) as f64) as u64,
            None => t0 + ((units - u0).min(self.tail_max) / self.tail.max(f64::MIN_POSITIVE)) as u64,
        }
    }
}
