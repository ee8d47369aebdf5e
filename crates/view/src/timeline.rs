//! The timeline: a lane per program with its calls as spans and its host's packets as ticks, idle time cut out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{CallView, Event, EventKind, FrameView, ProgramInfo, TopologyView};
use crate::journey::{Journeys, Step};
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
    /// Where it begins and ends, in units: so that a long run need not look each up.
    pub reach: (f64, Option<f64>),
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
    /// Where, in units.
    pub units: f64,
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

/// A call that took longer has waited: the call itself costs 10 us.
const BLOCKED_NANOS: u64 = 20_000;
/// What a link's delay is drawn as, in units.
const HOP: f64 = 10.0;
/// A delay to assume when no link has any, in nanoseconds.
const USUAL_DELAY: u64 = 1_000_000;
/// An idle time that would take more units is cut out.
const CUT_FROM: f64 = 240.0;
/// Width of such a cut.
const CUT: f64 = 24.0;

/// Builds it event by event.
#[derive(Clone, Debug)]
pub struct TimelineBuilder {
    timeline: Timeline,
    journeys: Journeys,
    scale: f64,
    units: f64,
    /// Lane and span of each call that has not returned.
    calls: BTreeMap<u64, (usize, usize)>,
    /// Which lane a host's end of a conversation belongs to.
    owners: BTreeMap<(u32, u32), usize>,
    packets: BTreeMap<u64, Option<u32>>,
}

impl TimelineBuilder {
    /// Before the first event.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo]) -> Self {
        let name = |p: &ProgramInfo| {
            let host = topology.nodes.get(p.node as usize).map(|n| n.name.as_str()).unwrap_or_default();
            let alone = programs.iter().filter(|q| q.node == p.node).count() == 1;
            if alone { host.to_string() } else { format!("{host} {}", p.file) }
        };
        let lanes = (0u32..)
            .zip(programs)
            .map(|(program, p)| Lane { program, node: p.node, name: name(p), ..Lane::default() })
            .collect();
        let delay = topology.links.iter().map(|l| l.delay).filter(|d| *d > 0).min().unwrap_or(USUAL_DELAY);
        let scale = HOP / delay as f64;
        TimelineBuilder {
            timeline: Timeline { lanes, time: TimeMap::new(scale, CUT_FROM), ..Timeline::default() },
            journeys: Journeys::new(topology),
            scale,
            units: 0.0,
            calls: BTreeMap::new(),
            owners: BTreeMap::new(),
            packets: BTreeMap::new(),
        }
    }

    /// The next event.
    pub fn push(&mut self, event: &Event) {
        self.advance(event.at);
        match self.journeys.push(event) {
            Some(Step::Sent { frame }) => self.sent(event.at, frame),
            Some(Step::Arrived { packet, node }) => self.arrived(event.at, packet, node),
            _ => {}
        }
        match &event.kind {
            EventKind::CallEntered(call) => self.entered(event.at, call),
            EventKind::CallReturned { call, failure, conversation, .. } => {
                let Some((lane, i)) = self.calls.remove(call) else { return };
                let lane_node = self.timeline.lanes[lane].node;
                let span = &mut self.timeline.lanes[lane].calls[i];
                span.end = Some(event.at);
                span.reach.1 = Some(self.units);
                span.blocked = event.at.saturating_sub(span.start) > BLOCKED_NANOS;
                span.failed = failure.is_some();
                span.conversation = span.conversation.or(*conversation);
                if let Some(conversation) = span.conversation {
                    self.owners.insert((lane_node, conversation), lane);
                }
            }
            EventKind::ProgramStarted { program, .. } => {
                if let Some(lane) = self.timeline.lanes.get_mut(*program as usize) {
                    lane.alive = Some((event.at, None));
                }
            }
            EventKind::ProgramExited { program, .. } => self.exited(event.at, *program),
            _ => {}
        }
    }

    /// The timeline so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn advance(&mut self, at: u64) {
        let end = self.timeline.end;
        if at <= end {
            return;
        }
        let passed = (at - end) as f64 * self.scale;
        if passed > CUT_FROM {
            self.timeline.cuts.push((end, at));
        }
        self.units += if passed > CUT_FROM { CUT } else { passed };
        self.timeline.time.push(at, self.units);
        self.timeline.end = at;
    }

    fn entered(&mut self, at: u64, call: &CallView) {
        let lane = call.program as usize;
        let Some(row) = self.timeline.lanes.get_mut(lane) else { return };
        self.calls.insert(call.call, (lane, row.calls.len()));
        row.calls.push(Span {
            call: call.call,
            name: call.name.clone(),
            start: at,
            end: None,
            reach: (self.units, None),
            blocked: true,
            failed: false,
            conversation: call.conversation,
        });
        if let Some(conversation) = call.conversation {
            self.owners.insert((call.node, conversation), lane);
        }
    }

    fn sent(&mut self, at: u64, f: &FrameView) {
        self.packets.insert(f.packet, f.conversation);
        let by_call = f.cause.and_then(|call| self.calls.get(&call)).map(|(lane, _)| *lane);
        if let (Some(lane), Some(conversation)) = (by_call, f.conversation) {
            self.owners.insert((f.from, conversation), lane);
        }
        let lane = by_call.or_else(|| self.lane_of(f.from, f.conversation));
        self.tick(
            lane,
            PacketTick { packet: f.packet, at, units: self.units, sent: true, conversation: f.conversation },
        );
    }

    fn arrived(&mut self, at: u64, packet: u64, node: u32) {
        let conversation = self.packets.get(&packet).copied().flatten();
        let lane = self.lane_of(node, conversation);
        self.tick(lane, PacketTick { packet, at, units: self.units, sent: false, conversation });
    }

    fn tick(&mut self, lane: Option<usize>, tick: PacketTick) {
        if let Some(lane) = lane.and_then(|lane| self.timeline.lanes.get_mut(lane)) {
            lane.packets.push(tick);
        }
    }

    /// The lane of a host's packet: that of the program whose conversation it is, else the host's first.
    fn lane_of(&self, node: u32, conversation: Option<u32>) -> Option<usize> {
        let owner = conversation.and_then(|c| self.owners.get(&(node, c)).copied());
        owner.or_else(|| self.timeline.lanes.iter().position(|l| l.node == node))
    }

    /// A program is over: what it waited in ends there.
    fn exited(&mut self, at: u64, program: u32) {
        let Some(lane) = self.timeline.lanes.get_mut(program as usize) else { return };
        if let Some((_, end)) = &mut lane.alive {
            *end = Some(at);
        }
        for span in lane.calls.iter_mut().rev().filter(|s| s.end.is_none()) {
            span.end = Some(at);
            span.reach.1 = Some(self.units);
        }
        self.calls.retain(|_, (lane, _)| *lane != program as usize);
    }
}
