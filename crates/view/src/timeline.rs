//! The timeline: a lane per program with its calls as spans and its host's packets as ticks, idle time cut out.

use serde::{Deserialize, Serialize};

use crate::event::{Event, ProgramInfo, TopologyView};
use crate::time_map::TimeMap;

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Number of the call.
    pub call: u64,
    /// Its name.
    pub name: String,
    /// When it began, in nanoseconds.
    pub start: u64,
    /// When it ended; none: it blocks still.
    pub end: Option<u64>,
    /// It waited.
    pub blocked: bool,
    /// It failed.
    pub failed: bool,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
}

/// A packet sent or taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PacketTick {
    /// The packet.
    pub packet: u64,
    /// When, in nanoseconds.
    pub at: u64,
    /// Sent by this host (else taken).
    pub sent: bool,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Index of the program.
    pub program: u32,
    /// Index of its node.
    pub node: u32,
    /// Name to show: the host's, with the file if the host has several programs.
    pub name: String,
    /// Calls, by start.
    pub calls: Vec<Span>,
    /// Packets, by time.
    pub packets: Vec<PacketTick>,
    /// When the program started and ended.
    pub alive: Option<(u64, Option<u64>)>,
}

/// A stretch left out: (from, to) in nanoseconds.
pub type Cut = (u64, u64);

/// The timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// A lane per program, in the lab's order.
    pub lanes: Vec<Lane>,
    /// Idle stretches that are drawn short.
    pub cuts: Vec<Cut>,
    /// Where each instant lies; scale to the width by `time.units(end)`.
    pub time: TimeMap,
    /// The last instant seen.
    pub end: u64,
}

/// Builds it event by event.
#[derive(Clone, Debug)]
pub struct TimelineBuilder {
    timeline: Timeline,
}

impl TimelineBuilder {
    /// Before the first event.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo]) -> Self {
        let _ = (topology, programs);
        TimelineBuilder { timeline: Timeline::default() }
    }

    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let _ = event;
    }

    /// The timeline so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}
