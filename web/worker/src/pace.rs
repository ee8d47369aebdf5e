//! How virtual time follows the wall clock: slowly while frames are under way, so that a person can follow them;
//! quickly through the time in which nothing moves; and never ahead of the wall clock once a real connection is open.
//!
//! Between two changes virtual time is a straight line over the wall clock. Wall time is counted from any fixed point.

use std::time::Duration;

use socketlab_protocol::Speed;
use socketlab_stack::Instant;

/// What one hop over the lab's typical link takes on screen at normal speed. A choice: teaching.md's 700 ms.
const HOP_ON_SCREEN: Duration = Duration::from_millis(700);
/// Longest wait, at any speed, for something that no frame carries: a timer, the end of a `sleep`. A choice.
const LONGEST_GAP: Duration = Duration::from_millis(300);
/// When the worker is later than this it does not try to catch up, so that the picture never jumps. A choice.
const LATENESS: Duration = Duration::from_millis(100);
/// What the typical link delay is taken for in a lab that has none.
const DEFAULT_HOP: Duration = Duration::from_millis(5);
const SECOND: u64 = 1_000_000_000;

/// What there is to see on the way to the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Frames are on links.
    Frames,
    /// Nothing moves.
    Still,
    /// Frames are on links, and a real connection is open.
    RealFrames,
    /// Nothing moves here, but a real connection is open.
    RealStill,
}

/// The line, and what it was drawn for.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Virtual nanoseconds in a second of the wall clock, at normal speed, while frames are under way.
    normal: u64,
    speed: Speed,
    /// Where the line begins.
    wall: Duration,
    /// See `wall`.
    virtual_time: Instant,
    /// Virtual nanoseconds in a second of the wall clock; 0: stands still; `u64::MAX`: no waiting.
    rate: u64,
    /// A gap keeps its line until its end, frames keep theirs from event to event.
    purpose: Option<(Scene, Option<Instant>)>,
}

impl Pace {
    /// At virtual time zero, standing still. `hop`: the typical delay of the lab's links.
    pub fn new(hop: Duration, speed: Speed) -> Pace {
        let hop = if hop.is_zero() { DEFAULT_HOP } else { hop };
        let normal = nanos(hop).saturating_mul(SECOND) / nanos(HOP_ON_SCREEN);
        Pace { normal, speed, wall: Duration::ZERO, virtual_time: Instant::ZERO, rate: 0, purpose: None }
    }

    /// The speed now wished for.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// From now on this fast; the world is at `now`, its next event at `next`.
    pub fn set_speed(&mut self, wall: Duration, now: Instant, next: Option<Instant>, speed: Speed) {
        self.stop(wall, now, next);
        self.speed = speed;
    }

    /// Virtual nanoseconds per second of the wall clock, as last chosen.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Virtual time on screen: it moves on between two events, but never past `next`.
    pub fn shown(&self, wall: Duration, now: Instant, next: Option<Instant>) -> Instant {
        let passed = match self.rate {
            u64::MAX => 0,
            rate => u128::from(rate) * wall.saturating_sub(self.wall).as_nanos() / u128::from(SECOND),
        };
        let shown = self.virtual_time + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX));
        next.map_or(shown, |next| shown.min(next)).max(now)
    }

    /// Virtual time stands still.
    pub fn stop(&mut self, wall: Duration, now: Instant, next: Option<Instant>) {
        self.draw(wall, self.shown(wall, now, next), 0, None);
    }

    /// When, by the wall clock, virtual time comes to `next`. With none (only the real world can go on) never.
    pub fn due(
        &mut self,
        wall: Duration,
        now: Instant,
        next: Option<Instant>,
        scene: Scene,
    ) -> Option<Duration> {
        let purpose = Some((scene, if scene == Scene::Still { next } else { None }));
        let late = next.is_some_and(|next| wall > self.wall_of(next).saturating_add(LATENESS));
        if self.purpose != purpose || late {
            let from = if late { now } else { self.shown(wall, now, next) };
            self.draw(wall, from, 0, purpose);
            self.rate = self.rate_for(scene, next);
        }
        next.map(|next| self.wall_of(next))
    }

    fn draw(&mut self, wall: Duration, from: Instant, rate: u64, purpose: Option<(Scene, Option<Instant>)>) {
        (self.wall, self.virtual_time, self.rate, self.purpose) = (wall, from, rate, purpose);
    }

    fn rate_for(&self, scene: Scene, next: Option<Instant>) -> u64 {
        let flying = match self.speed {
            Speed::Instant => u64::MAX,
            Speed::Permille(permille) => (self.normal.saturating_mul(u64::from(permille)) / 1000).max(1),
        };
        match scene {
            Scene::Frames => flying,
            Scene::RealFrames => flying.min(SECOND),
            Scene::RealStill => SECOND,
            Scene::Still => {
                let gap = next.map_or(0, |next| nanos(next.saturating_since(self.virtual_time)));
                let within = u128::from(gap) * u128::from(SECOND) / LONGEST_GAP.as_nanos();
                flying.max(u64::try_from(within).unwrap_or(u64::MAX))
            }
        }
    }

    fn wall_of(&self, at: Instant) -> Duration {
        let ahead = u128::from(nanos(at.saturating_since(self.virtual_time)));
        if self.rate == u64::MAX || ahead == 0 {
            return self.wall;
        }
        if self.rate == 0 {
            return Duration::MAX;
        }
        let wait = ahead * u128::from(SECOND) / u128::from(self.rate);
        self.wall.saturating_add(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const HOP: Duration = Duration::from_millis(5);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn wall(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn due(pace: &mut Pace, wall_ms: u64, now: Instant, next: Instant, scene: Scene) -> u128 {
        pace.due(wall(wall_ms), now, Some(next), scene).expect("there is a next event").as_millis()
    }

    #[wasm_bindgen_test]
    fn a_hop_takes_seven_tenths_of_a_second_at_normal_speed() {
        let mut pace = Pace::new(HOP, Speed::Permille(1000));
        assert_eq!(due(&mut pace, 1000, at(0), at(5), Scene::Frames), 1700);
        assert_eq!(pace.shown(wall(1350), at(0), Some(at(5))), Instant::from_nanos(2_499_999));
        assert_eq!(pace.shown(wall(9000), at(0), Some(at(5))), at(5));
    }

    #[wasm_bindgen_test]
    fn a_long_sleep_is_skipped_within_three_tenths() {
        let mut pace = Pace::new(HOP, Speed::Permille(250));
        assert_eq!(due(&mut pace, 1000, at(0), at(60_000), Scene::Still), 1300);
        // Asked again on the way, the line stays.
        assert_eq!(due(&mut pace, 1200, at(0), at(60_000), Scene::Still), 1300);
    }

    #[wasm_bindgen_test]
    fn a_short_gap_is_not_stretched() {
        let mut pace = Pace::new(HOP, Speed::Permille(1000));
        assert_eq!(due(&mut pace, 0, at(0), at(1), Scene::Still), 140);
    }

    #[wasm_bindgen_test]
    fn instant_never_waits() {
        let mut pace = Pace::new(HOP, Speed::Instant);
        assert_eq!(due(&mut pace, 1000, at(0), at(60_000), Scene::Still), 1000);
        assert_eq!(due(&mut pace, 1000, at(60_000), at(60_005), Scene::Frames), 1000);
    }

    #[wasm_bindgen_test]
    fn with_a_real_connection_time_never_runs_ahead() {
        let mut pace = Pace::new(HOP, Speed::Instant);
        assert_eq!(due(&mut pace, 1000, at(0), at(200), Scene::RealStill), 1200);
        assert_eq!(due(&mut pace, 1200, at(200), at(205), Scene::RealFrames), 1205);
        let mut pace = Pace::new(HOP, Speed::Permille(1000));
        assert_eq!(due(&mut pace, 0, at(0), at(5), Scene::RealFrames), 700);
    }

    #[wasm_bindgen_test]
    fn after_a_long_computation_it_goes_on_without_a_jump() {
        let mut pace = Pace::new(HOP, Speed::Permille(1000));
        due(&mut pace, 0, at(0), at(5), Scene::Frames);
        // The next event should have come at 700 ms; the worker was busy until 5 s.
        assert_eq!(due(&mut pace, 5000, at(5), at(10), Scene::Frames), 5700);
    }

    #[wasm_bindgen_test]
    fn a_pause_between_two_events_keeps_its_place() {
        let mut pace = Pace::new(HOP, Speed::Permille(1000));
        due(&mut pace, 0, at(0), at(5), Scene::Frames);
        pace.stop(wall(350), at(0), Some(at(5)));
        assert_eq!(pace.shown(wall(9000), at(0), Some(at(5))), Instant::from_nanos(2_499_999));
        assert_eq!(due(&mut pace, 9000, at(0), at(5), Scene::Frames), 9350);
    }
}
