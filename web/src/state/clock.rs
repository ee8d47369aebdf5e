//! Virtual time as the page shows it: what the worker said last, carried on at the pace it said.

/// What the worker said last about the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClockFact {
    /// Virtual time then, in nanoseconds.
    pub now: u64,
    /// Nanoseconds of virtual time per second of the wall clock, 0 when time stands still.
    pub rate: u64,
    /// The next thing that will happen: time does not run past it before the worker has said what it is.
    pub next: Option<u64>,
    /// The page's own clock then, in milliseconds.
    pub heard_ms: f64,
}

impl ClockFact {
    /// Virtual time at `wall_ms` of the page's own clock.
    pub fn at(&self, wall_ms: f64) -> u64 {
        let passed_ms = (wall_ms - self.heard_ms).max(0.0);
        let carried = self.now + (self.rate as f64 * passed_ms / 1000.0) as u64;
        self.next.map_or(carried, |next| carried.min(next.max(self.now)))
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn fact(rate: u64, next: Option<u64>) -> ClockFact {
        ClockFact { now: 1_000, rate, next, heard_ms: 50.0 }
    }

    #[test]
    fn time_goes_on_at_the_workers_pace() {
        assert_eq!(fact(2_000, None).at(50.0), 1_000);
        assert_eq!(fact(2_000, None).at(550.0), 2_000);
    }

    #[test]
    fn time_waits_for_the_next_thing_to_be_told() {
        assert_eq!(fact(2_000, Some(1_200)).at(5_000.0), 1_200);
    }

    #[test]
    fn paused_time_stands_still() {
        assert_eq!(fact(0, None).at(9_999.0), 1_000);
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(fact(2_000, Some(10)).at(0.0), 1_000);
    }
}
