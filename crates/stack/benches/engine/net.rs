//! The least that makes hosts talk: pairs of them, a link of fixed rate and delay between each, one queue of events.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;

/// Nanoseconds of virtual time.
pub(crate) type Nanos = u64;

/// A stack under test, with the program that uses it.
pub(crate) trait Station {
    /// A frame arrives.
    fn handle_frame(&mut self, now: Nanos, frame: Bytes);
    /// Its timer is due, or the run begins.
    fn handle_timeout(&mut self, now: Nanos);
    /// The next frame to send.
    fn poll_transmit(&mut self, now: Nanos) -> Option<Bytes>;
    /// When it wants to be called.
    fn poll_timeout(&mut self, now: Nanos) -> Option<Nanos>;
    /// The program has done what it wanted.
    fn is_done(&self) -> bool;
}

/// What a link does.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) delay: Nanos,
    pub(crate) bits_per_s: u64,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) frames: u64,
    pub(crate) octets: u64,
    pub(crate) virtual_time: Nanos,
}

enum What {
    Frame(Bytes),
    Timer(u64),
}

/// Stations 2n and 2n+1 are joined.
pub(crate) struct Net<S> {
    pub(crate) stations: Vec<S>,
    link: Link,
    queue: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    load: Vec<Option<What>>,
    free: Vec<usize>,
    order: u64,
    busy_until: Vec<Nanos>,
    timer: Vec<(Option<Nanos>, u64)>,
    /// Every frame with its time, if a trace is kept.
    pub(crate) trace: Option<Vec<(Nanos, usize, Bytes)>>,
    count: Count,
}

impl<S: Station> Net<S> {
    pub(crate) fn new(stations: Vec<S>, link: Link, trace: bool) -> Net<S> {
        let n = stations.len();
        Net {
            stations,
            link,
            queue: BinaryHeap::new(),
            load: Vec::new(),
            free: Vec::new(),
            order: 0,
            busy_until: vec![0; n],
            timer: vec![(None, 0); n],
            trace: trace.then(Vec::new),
            count: Count::default(),
        }
    }

    fn push(&mut self, at: Nanos, station: usize, what: What) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.load[slot] = Some(what);
                slot
            }
            None => {
                self.load.push(Some(what));
                self.load.len() - 1
            }
        };
        self.order += 1;
        // The order in the high bits keeps events of one instant in their order; the slot finds the load.
        self.queue.push(Reverse((at, self.order << 24 | slot as u64, station)));
    }

    fn serve(&mut self, now: Nanos, index: usize) {
        while let Some(frame) = self.stations[index].poll_transmit(now) {
            let begin = self.busy_until[index].max(now);
            // Preamble, frame check sequence and gap: 24 octets.
            let took = (frame.len() as u64 + 24) * 8 * 1_000_000_000 / self.link.bits_per_s;
            self.busy_until[index] = begin + took;
            self.count.frames += 1;
            self.count.octets += frame.len() as u64;
            if let Some(trace) = &mut self.trace {
                trace.push((now, index, frame.clone()));
            }
            self.push(begin + took + self.link.delay, index ^ 1, What::Frame(frame));
        }
        // A timer that was put off stays in the queue: it looks again when it comes up.
        let wanted = self.stations[index].poll_timeout(now).map(|at| at.max(now));
        let (set, generation) = self.timer[index];
        if let Some(at) = wanted.filter(|at| set.is_none_or(|set| *at < set)) {
            self.timer[index] = (wanted, generation + 1);
            self.push(at, index, What::Timer(generation + 1));
        }
    }

    /// Runs until every program is done, or until the time is over.
    pub(crate) fn run(&mut self, until: Nanos) -> Count {
        for index in 0..self.stations.len() {
            self.stations[index].handle_timeout(0);
            self.serve(0, index);
        }
        let mut waiting = self.stations.iter().filter(|station| !station.is_done()).count();
        while let Some(Reverse((at, key, index))) = self.queue.pop() {
            if at > until || waiting == 0 {
                break;
            }
            self.count.virtual_time = at;
            let slot = (key & 0xff_ffff) as usize;
            self.free.push(slot);
            let was_done = self.stations[index].is_done();
            match self.load[slot].take() {
                Some(What::Frame(frame)) => self.stations[index].handle_frame(at, frame),
                Some(What::Timer(generation)) if generation == self.timer[index].1 => {
                    self.timer[index].0 = None;
                    self.stations[index].handle_timeout(at);
                }
                _ => continue,
            }
            self.serve(at, index);
            if !was_done && self.stations[index].is_done() {
                waiting -= 1;
            }
        }
        self.count
    }
}
