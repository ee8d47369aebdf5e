//! Where everything in a ladder goes. Events come in the order of time, so y only ever grows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arrow, ArrowEnd, Gap, Ladder, LadderFilter, Lifeline, RowKind, StateLabel, Tick};
use crate::event::{CallView, Event, EventKind, FrameView, NodeKind, ProgramInfo, TopologyView};
use crate::journey::{Journeys, Step};
use crate::time_map::TimeMap;
use crate::topology;

/// All lengths are choices, in units; text is meant to be 11 units high.
/// Least distance between two arrows' beginnings: a line of text and air.
const ARROW_ROW: f64 = 18.0;
/// Least distance of a state's chip from what is above and below it.
const STATE_ROW: f64 = 18.0;
/// Least fall of an arrow.
const MIN_SLANT: f64 = 14.0;
/// Least distance between an arrow's head and what begins below it at the same host.
const AFTER_ARRIVAL: f64 = 14.0;
/// Least distance between two arrow heads at the same host.
const BETWEEN_ARRIVALS: f64 = 6.0;
/// What a link's delay is drawn as.
const HOP: f64 = 13.0;
/// Most that time alone moves anything down.
const MAX_ADVANCE: f64 = 60.0;
/// A time that would take more than this is cut out.
const GAP_FROM: f64 = 180.0;
/// Height of such a break.
const GAP_HEIGHT: f64 = 44.0;
/// Distance between times at the left edge.
const TICK_ROW: f64 = 24.0;
/// First thing in the drawing.
const TOP: f64 = 16.0;
/// A delay to assume when no link has any.
const USUAL_DELAY: f64 = 1_000_000.0;

/// Builds a ladder event by event.
#[derive(Clone, Debug)]
pub struct LadderBuilder {
    pub(super) ladder: Ladder,
    pub(super) filter: LadderFilter,
    nodes: Vec<(String, String)>,
    journeys: Journeys,
    /// Units per nanosecond.
    scale: f64,
    at: u64,
    y: f64,
    /// Lowest line of text so far: in the middle, and in each lifeline's gutter.
    middle: f64,
    gutters: Vec<f64>,
    /// Lowest arrow head at each lifeline.
    heads: Vec<f64>,
    tick: f64,
    pub(super) lifelines: BTreeMap<u32, u32>,
    /// Arrows of each packet that are under way or just ended.
    arrows: BTreeMap<u64, Vec<usize>>,
    pub(super) calls: BTreeMap<u64, Pending>,
    pub(super) lanes: BTreeMap<(u32, u32, u32), u32>,
    /// Sockets of the followed conversation.
    pub(super) sockets: BTreeSet<(u32, u32)>,
    /// Calls that history shows to be about it.
    pub(super) wanted: BTreeSet<u64>,
}

/// A call that has not returned.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Drawn(usize),
    /// Not known to be about the followed conversation (yet).
    Hidden(Box<(u64, CallView)>),
}

impl LadderBuilder {
    /// Before the first event.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo], filter: LadderFilter) -> Self {
        let delays = topology.links.iter().map(|l| l.delay).filter(|d| *d > 0);
        let delay = delays.min().map_or(USUAL_DELAY, |d| d as f64);
        let scale = HOP / delay;
        let mut builder = LadderBuilder {
            ladder: Ladder { time: TimeMap::new(scale, MAX_ADVANCE), ..Ladder::default() },
            filter,
            nodes: topology
                .nodes
                .iter()
                .map(|n| (n.name.clone(), n.addresses.first().cloned().unwrap_or_default()))
                .collect(),
            journeys: Journeys::new(topology),
            scale,
            at: 0,
            y: TOP,
            middle: 0.0,
            gutters: Vec::new(),
            heads: Vec::new(),
            tick: f64::NEG_INFINITY,
            lifelines: BTreeMap::new(),
            arrows: BTreeMap::new(),
            calls: BTreeMap::new(),
            lanes: BTreeMap::new(),
            sockets: BTreeSet::new(),
            wanted: BTreeSet::new(),
        };
        builder.ladder.time.push(0, TOP);
        if builder.filter.conversation.is_none() {
            let places = topology::layout(topology, programs);
            let mut ends: Vec<usize> = (0..topology.nodes.len())
                .filter(|i| {
                    matches!(topology.nodes[*i].kind, NodeKind::Host | NodeKind::Gateway | NodeKind::Lan)
                })
                .collect();
            ends.sort_by(|a, b| {
                let key = |i: usize| places.get(i).map_or((0.0, 0.0), |p| (p.x, p.y));
                key(*a).partial_cmp(&key(*b)).unwrap_or(core::cmp::Ordering::Equal)
            });
            for node in ends {
                builder.add_lifeline(u32::try_from(node).unwrap_or(u32::MAX), None);
            }
        }
        builder
    }

    /// With all that has happened so far. A conversation is followed from before its first packet this way: the calls
    /// that led to it are known.
    pub fn with_history(
        topology: &TopologyView,
        programs: &[ProgramInfo],
        filter: LadderFilter,
        history: &[Event],
    ) -> Self {
        let mut builder = LadderBuilder::new(topology, programs, filter);
        builder.look_ahead(history);
        for event in history {
            builder.push(event);
        }
        builder
    }

    /// The ladder so far.
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// Who takes part in the followed conversation, and through which calls.
    fn look_ahead(&mut self, history: &[Event]) {
        let Some(wanted) = self.filter.conversation else { return };
        for event in history {
            match &event.kind {
                EventKind::FrameSent(f) if f.conversation == Some(wanted) && f.first_hop => {
                    self.wanted.extend(f.cause);
                    self.join(f);
                }
                EventKind::TcpState { node, socket, conversation, .. } if *conversation == Some(wanted) => {
                    self.sockets.insert((*node, *socket));
                }
                EventKind::CallReturned { call, conversation, .. } if *conversation == Some(wanted) => {
                    self.wanted.insert(*call);
                }
                _ => {}
            }
        }
    }

    /// The ends of the followed conversation become lifelines, the one that speaks first on the left.
    fn join(&mut self, f: &FrameView) {
        if !self.ladder.lifelines.is_empty() {
            return;
        }
        let ports = f.ports.unwrap_or_default();
        self.add_lifeline(f.from, Some(ports.0));
        if let Some(target) = f.target
            && target != f.from
        {
            self.add_lifeline(target, Some(ports.1));
        }
    }

    fn add_lifeline(&mut self, node: u32, port: Option<u16>) {
        let (title, address) = self.nodes.get(node as usize).cloned().unwrap_or_default();
        let index = u32::try_from(self.ladder.lifelines.len()).unwrap_or(u32::MAX);
        self.lifelines.insert(node, index);
        self.gutters.push(f64::NEG_INFINITY);
        self.heads.push(f64::NEG_INFINITY);
        let subtitle = port.map_or(address.clone(), |port| format!("{address}:{port}"));
        let gutter_left = index == 0;
        self.ladder.lifelines.push(Lifeline { node, title, subtitle, gutter_left, lanes: 0 });
    }

    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match (&event.kind, self.filter.conversation) {
            (EventKind::FrameSent(f), Some(wanted)) if f.conversation == Some(wanted) && f.first_hop => {
                self.join(f);
                self.reveal(event.at, f.cause);
            }
            (EventKind::TcpState { node, socket, conversation, .. }, Some(wanted))
                if *conversation == Some(wanted) =>
            {
                self.sockets.insert((*node, *socket));
            }
            _ => {}
        }
        match self.journeys.push(event) {
            Some(Step::Sent { frame }) => self.sent(event, frame),
            Some(Step::Hop { packet, done }) => self.hop(packet, done),
            Some(Step::Arrived { packet, node }) => self.arrived(event.at, packet, node),
            Some(Step::Refused { packet, node, reason }) => self.refused(packet, node, reason),
            Some(Step::Lost { packet, done, reason }) => self.lost(event.at, packet, done, reason),
            None => {}
        }
        match &event.kind {
            EventKind::CallEntered(call) if !self.filter.hide_calls => self.entered(event.at, call),
            EventKind::CallReturned { call, result, failure, conversation, .. } => {
                if conversation.is_some() && *conversation == self.filter.conversation {
                    self.reveal(event.at, Some(*call));
                }
                self.returned(event.at, *call, result, failure.as_ref(), *conversation);
            }
            EventKind::TcpState { node, from, to, conversation, .. } => {
                self.state(event.at, *node, from, to, *conversation);
            }
            EventKind::ProgramExited { program, .. } => self.exited(event.at, *program),
            _ => {}
        }
    }

    /// Whether text in gutters can collide with arrows: it cannot when only the outer two lifelines exist.
    fn gutters_are_free(&self) -> bool {
        self.ladder.lifelines.len() <= 2
    }

    /// Moves down to instant `at`, and at least to `least`; answers where that is.
    pub(super) fn advance(&mut self, at: u64, least: f64) -> f64 {
        let passed = at.saturating_sub(self.at) as f64 * self.scale;
        let free = if passed > GAP_FROM {
            let middle = self.y + GAP_HEIGHT / 2.0;
            self.ladder.time.push(self.at, self.y);
            self.row(RowKind::Gap { gap: index(self.ladder.gaps.len()) });
            self.ladder.gaps.push(Gap { y: middle, from: self.at, to: at });
            self.y + GAP_HEIGHT
        } else {
            self.y + passed.min(MAX_ADVANCE)
        };
        self.y = free.max(least).max(self.y);
        self.at = self.at.max(at);
        self.ladder.time.push(self.at, self.y);
        if self.y >= self.tick + TICK_ROW && self.ladder.ticks.last().is_none_or(|t| t.at != at) {
            self.tick = self.y;
            self.ladder.ticks.push(Tick { y: self.y, at });
        }
        self.ladder.height = self.ladder.height.max(self.y + ARROW_ROW);
        self.y
    }

    pub(super) fn row(&mut self, row: RowKind) {
        self.ladder.rows.push(row);
    }

    pub(super) fn head(&self, lifeline: u32) -> f64 {
        self.heads.get(lifeline as usize).copied().unwrap_or(f64::NEG_INFINITY)
    }

    pub(super) fn gutter(&self, lifeline: u32) -> f64 {
        let own = self.gutters.get(lifeline as usize).copied().unwrap_or(f64::NEG_INFINITY);
        if self.gutters_are_free() { own } else { own.max(self.middle) }
    }

    /// Text was put into a gutter at `y`.
    pub(super) fn wrote(&mut self, lifeline: u32, y: f64) {
        if let Some(gutter) = self.gutters.get_mut(lifeline as usize) {
            *gutter = y;
        }
        if !self.gutters_are_free() {
            self.middle = self.middle.max(y);
        }
    }

    fn shows(&self, f: &FrameView) -> bool {
        let pure =
            f.tcp.as_ref().is_some_and(socketlab_dissect::TcpSummary::is_pure_ack) && f.expert.is_empty();
        match self.filter.conversation {
            Some(wanted) if f.conversation != Some(wanted) => false,
            _ if self.filter.hide_arp && f.protocol == "ARP" => false,
            _ => !(self.filter.hide_pure_acks && pure),
        }
    }

    fn sent(&mut self, event: &Event, f: &FrameView) {
        if !self.shows(f) {
            return;
        }
        let Some(from) = self.lifelines.get(&f.from).copied() else { return };
        let targets = f.target.map_or_else(|| self.journeys.hearers(f.from), |t| vec![t]);
        let ends: Vec<(u32, u32)> =
            targets.iter().filter_map(|t| self.lifelines.get(t).map(|line| (*t, *line))).collect();
        if ends.is_empty() {
            return;
        }
        let least = (self.middle + ARROW_ROW).max(self.head(from) + AFTER_ARRIVAL);
        let y0 = self.advance(event.at, least);
        self.middle = y0;
        let fall = (f.arrives.saturating_sub(event.at) as f64 * self.scale).min(MAX_ADVANCE);
        let mut label = f.label.clone();
        for (target, to) in ends {
            let hops = self.journeys.hops(f.from, target).max(1);
            let y1 = y0 + (fall * f64::from(hops)).max(MIN_SLANT);
            let arrow = Arrow {
                packet: f.packet,
                event: event.seq,
                from,
                to,
                sent: event.at,
                ended: None,
                y0,
                y1,
                end: ArrowEnd::InFlight { done: 0, hops },
                label: core::mem::take(&mut label),
                label_y: y0 - 4.0,
                protocol: f.protocol.clone(),
                conversation: f.conversation,
                retransmission: f.expert.iter().any(|e| e.is_retransmission()),
                pure_ack: f.tcp.as_ref().is_some_and(socketlab_dissect::TcpSummary::is_pure_ack),
                cause: f.cause,
            };
            let at = self.ladder.arrows.len();
            self.arrows.entry(f.packet).or_default().push(at);
            self.row(RowKind::Arrow { arrow: index(at) });
            self.ladder.height = self.ladder.height.max(y1 + ARROW_ROW);
            self.ladder.reach.arrow(at, y1);
            self.ladder.arrows.push(arrow);
        }
    }

    fn hop(&mut self, packet: u64, behind: u32) {
        for i in self.arrows.get(&packet).into_iter().flatten() {
            if let Some(Arrow { end: ArrowEnd::InFlight { done, hops }, .. }) = self.ladder.arrows.get_mut(*i)
            {
                *done = behind.min(*hops - 1).max(*done);
            }
        }
    }

    fn arrow_to(&self, packet: u64, node: u32) -> Option<usize> {
        let line = self.lifelines.get(&node)?;
        let arrows = self.arrows.get(&packet)?;
        arrows.iter().copied().find(|i| self.ladder.arrows.get(*i).is_some_and(|a| a.to == *line))
    }

    fn arrived(&mut self, at: u64, packet: u64, node: u32) {
        let Some(i) = self.arrow_to(packet, node) else { return };
        let (to, y0) = (self.ladder.arrows[i].to, self.ladder.arrows[i].y0);
        let y1 = self.advance(at, (y0 + MIN_SLANT).max(self.head(to) + BETWEEN_ARRIVALS));
        if let Some(head) = self.heads.get_mut(to as usize) {
            *head = y1;
        }
        self.ladder.reach.arrow(i, y1);
        let arrow = &mut self.ladder.arrows[i];
        arrow.y1 = y1;
        arrow.ended = Some(at);
        arrow.end = ArrowEnd::Arrived;
    }

    fn refused(&mut self, packet: u64, node: u32, reason: &str) {
        // Nobody listened: the host answers (RST, ICMP), so that the arrow did arrive.
        if reason == "drop-no-listener" {
            return;
        }
        let Some(i) = self.arrow_to(packet, node) else { return };
        self.ladder.arrows[i].end = ArrowEnd::Lost { progress: 1.0, reason: reason.to_string() };
    }

    fn lost(&mut self, at: u64, packet: u64, done: f64, reason: &str) {
        let all = self.arrows.get(&packet).cloned().unwrap_or_default();
        let open = |a: &Arrow| matches!(a.end, ArrowEnd::InFlight { .. });
        // A broadcast goes on in other directions: which copy was lost is not told here.
        let [i] = all[..] else { return };
        if !self.ladder.arrows.get(i).is_some_and(open) {
            return;
        }
        let Arrow { y0, end: ArrowEnd::InFlight { hops, .. }, .. } = self.ladder.arrows[i] else { return };
        let progress = (done / f64::from(hops)).clamp(0.0, 1.0);
        let y1 = self.advance(at, y0 + MIN_SLANT * progress);
        self.ladder.reach.arrow(i, y1);
        let arrow = &mut self.ladder.arrows[i];
        arrow.y1 = y1;
        arrow.ended = Some(at);
        arrow.end = ArrowEnd::Lost { progress, reason: reason.to_string() };
    }

    fn state(&mut self, at: u64, node: u32, from: &str, to: &str, conversation: Option<u32>) {
        // A listener has no conversation; it belongs to all of them, but to none in particular.
        if self.filter.conversation.is_some() && self.filter.conversation != conversation {
            return;
        }
        let Some(lifeline) = self.lifelines.get(&node).copied() else { return };
        let least = (self.middle + STATE_ROW).max(self.head(lifeline) + AFTER_ARRIVAL);
        let y = self.advance(at, least);
        self.middle = y;
        self.row(RowKind::State { label: index(self.ladder.states.len()) });
        self.ladder.states.push(StateLabel {
            lifeline,
            state: to.to_string(),
            from: from.to_string(),
            y,
            at,
            conversation,
        });
    }
}

pub(super) fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}
