//! The ladder (sequence diagram): one lifeline per host, time downward, one slanted arrow per packet from the host
//! that made it to the one that took it, brackets for system calls, names of states, breaks for idle time.
//!
//! Geometry is in units (one unit is meant to be one CSS pixel); y comes from here, x from the page ([`columns`]
//! helps). Labels never overlap: each labelled point gets its own row, so y is not proportional to time.

use serde::{Deserialize, Serialize};

use crate::time_map::TimeMap;

mod builder;
mod calls;
#[cfg(test)]
mod tests;

pub use builder::LadderBuilder;

/// What to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderFilter {
    /// Only this conversation, its two hosts and the calls about it.
    pub conversation: Option<u32>,
    /// Leave ARP out.
    pub hide_arp: bool,
    /// Leave segments out that carry nothing but an ACK.
    pub hide_pure_acks: bool,
    /// Leave system calls out.
    pub hide_calls: bool,
}

/// A vertical line: a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifeline {
    /// Index of the node.
    pub node: u32,
    /// Host name.
    pub title: String,
    /// Its address, with the port if a conversation is followed.
    pub subtitle: String,
    /// Draw calls in the gutter to the left of the line (else to the right).
    pub gutter_left: bool,
    /// How many brackets lie side by side at most (programs and threads of the host that call at once).
    pub lanes: u32,
}

/// How an arrow ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ArrowEnd {
    /// Still on its way; `done` of `hops` links lie behind it.
    InFlight {
        /// Links behind it.
        done: u32,
        /// Links in all.
        hops: u32,
    },
    /// Arrived.
    Arrived,
    /// Lost: an X at this part (0..1) of the way, at the arrow's `y1`.
    Lost {
        /// Part of the way.
        progress: f64,
        /// Message key: `loss-random`, `drop-no-listener`.
        reason: String,
    },
}

/// A packet, from the host that made it to the host that took it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrow {
    /// Number of the packet.
    pub packet: u64,
    /// `seq` of the event of its first hop: its bytes.
    pub event: u64,
    /// Index of the lifeline it starts from.
    pub from: u32,
    /// Index of the lifeline it goes to.
    pub to: u32,
    /// When it was sent, in nanoseconds.
    pub sent: u64,
    /// When it arrived or was lost; none while it is in flight.
    pub ended: Option<u64>,
    /// Where it starts.
    pub y0: f64,
    /// Where it ends; where it will probably end while it is in flight.
    pub y1: f64,
    /// How it ends.
    pub end: ArrowEnd,
    /// `SYN seq=0`. Empty at all but the first of a broadcast's arrows.
    pub label: String,
    /// Baseline of the label. It stands at the sending end, just above the arrow's beginning: there is nothing else at
    /// that height between the lifelines, so that labels never touch each other.
    pub label_y: f64,
    /// `TCP`, `ARP`, ...
    pub protocol: String,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
    /// Sent again: drawn dashed.
    pub retransmission: bool,
    /// Carries nothing but an ACK: drawn thin.
    pub pure_ack: bool,
    /// The call that made it.
    pub cause: Option<u64>,
}

/// A system call: a bracket beside its host's lifeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallBracket {
    /// Number of the call.
    pub call: u64,
    /// Index of the lifeline.
    pub lifeline: u32,
    /// Which of the brackets that lie side by side, 0 next to the lifeline.
    pub lane: u32,
    /// Index of the program.
    pub program: u32,
    /// Thread, 1 is the main one.
    pub tid: u32,
    /// `connect(('10.0.0.80', 80))`.
    pub label: String,
    /// Baseline of the label.
    pub label_y: f64,
    /// `→ b'hej'`, `→ ECONNREFUSED`; empty while blocked, or for nothing worth showing (`None`).
    pub result: String,
    /// Baseline of the result: the label's own when the bracket is too short for two lines.
    pub result_y: f64,
    /// `server.py:7`.
    pub place: String,
    /// Begins here.
    pub y0: f64,
    /// Ends here; none while it blocks.
    pub y1: Option<f64>,
    /// When it began.
    pub entered: u64,
    /// When it ended.
    pub returned: Option<u64>,
    /// It waited: it took longer than the call itself costs, or waits still.
    pub blocked: bool,
    /// It failed.
    pub failed: bool,
    /// Conversation: its colour.
    pub conversation: Option<u32>,
}

/// A TCP state reached: a chip on the lifeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateLabel {
    /// Index of the lifeline.
    pub lifeline: u32,
    /// `ESTABLISHED`.
    pub state: String,
    /// The state before.
    pub from: String,
    /// Middle of the chip.
    pub y: f64,
    /// When.
    pub at: u64,
    /// Conversation, none for a listener.
    pub conversation: Option<u32>,
}

/// A stretch of time left out of the drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Middle of the break.
    pub y: f64,
    /// When it begins.
    pub from: u64,
    /// When it ends.
    pub to: u64,
}

/// A time written at the left edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Where.
    pub y: f64,
    /// When.
    pub at: u64,
}

/// What a row of the text twin is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are indices into the ladder's lists")]
pub enum RowKind {
    Arrow { arrow: u32 },
    Call { bracket: u32 },
    State { label: u32 },
    Gap { gap: u32 },
}

/// The ladder, and its text twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Lifelines from left to right.
    pub lifelines: Vec<Lifeline>,
    /// Arrows, by `y0`.
    pub arrows: Vec<Arrow>,
    /// Calls, by `y0`.
    pub calls: Vec<CallBracket>,
    /// States, by `y`.
    pub states: Vec<StateLabel>,
    /// Breaks, by `y`.
    pub gaps: Vec<Gap>,
    /// Times, by `y`.
    pub ticks: Vec<Tick>,
    /// The text twin: everything in the order of time.
    pub rows: Vec<RowKind>,
    /// Where each instant lies.
    pub time: TimeMap,
    /// Height of all.
    pub height: f64,
    /// How far down the arrows and calls of each [`BLOCK`] reach, so that a window need not look at all of them.
    pub(crate) reach: Reach,
}

/// How many arrows, or calls, share a number in [`Reach`]. A choice: few enough to look at, many enough to skip.
pub(crate) const BLOCK: usize = 64;

/// How far down each block reaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reach {
    arrows: Vec<Block>,
    calls: Vec<Block>,
}

/// The lowest end of what has one, and how many have none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    lowest: f64,
    open: u32,
}

impl Reach {
    fn block(list: &mut Vec<Block>, index: usize) -> &mut Block {
        let place = index / BLOCK;
        if list.len() <= place {
            list.resize(place + 1, Block { lowest: f64::NEG_INFINITY, open: 0 });
        }
        &mut list[place]
    }

    /// An arrow ends at `y`, as far as it is known.
    pub(crate) fn arrow(&mut self, index: usize, y: f64) {
        let block = Self::block(&mut self.arrows, index);
        block.lowest = block.lowest.max(y);
    }

    /// A call begins.
    pub(crate) fn call_begins(&mut self, index: usize) {
        Self::block(&mut self.calls, index).open += 1;
    }

    /// A call ends at `y`.
    pub(crate) fn call_ends(&mut self, index: usize, y: f64) {
        let block = Self::block(&mut self.calls, index);
        block.lowest = block.lowest.max(y);
        block.open = block.open.saturating_sub(1);
    }
}

/// The parts of a ladder that touch a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// Indices of arrows.
    pub arrows: Vec<usize>,
    /// Indices of calls.
    pub calls: Vec<usize>,
    /// Indices of states.
    pub states: Vec<usize>,
    /// Indices of gaps.
    pub gaps: Vec<usize>,
    /// Indices of ticks.
    pub ticks: Vec<usize>,
}

/// One line of the text twin. Empty strings where a column does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderRow {
    /// When, in nanoseconds.
    pub at: u64,
    /// When it arrived or returned.
    pub until: Option<u64>,
    /// Host.
    pub from: String,
    /// Host; empty for calls and states.
    pub to: String,
    /// `SYN seq=0`, `recv(1024) → b'hej'`.
    pub label: String,
    /// The state reached, or a message key: `ladder-lost`, `ladder-in-flight`, `ladder-blocked`.
    pub state: String,
    /// For a lost packet: message key of the reason.
    pub reason: String,
    /// What it is about.
    pub kind: RowKind,
}

impl Ladder {
    /// What lies between two heights.
    pub fn visible(&self, top: f64, bottom: f64) -> Visible {
        let inside = |a: f64, b: f64| a.min(b) <= bottom && a.max(b) >= top;
        let end = self.height.max(bottom);
        // What begins below the window is not looked at; of what begins above, only blocks that reach down to it.
        let blocks = |count: usize, reach: &[Block], shown: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..count.div_ceil(BLOCK))
                .filter(|block| reach.get(*block).is_none_or(|b| b.open > 0 || b.lowest >= top))
                .flat_map(|block| block * BLOCK..((block + 1) * BLOCK).min(count))
                .filter(|i| shown(*i))
                .collect()
        };
        let arrows = self.arrows.partition_point(|a| a.y0 <= bottom);
        // A call can be drawn from before where the drawing was: its text, not its beginning, is in order.
        let calls = self.calls.partition_point(|c| c.label_y - 20.0 <= bottom);
        let between = |ys: &dyn Fn(usize) -> f64, count: usize| -> Vec<usize> {
            let (mut low, mut high) = (0, count);
            while low < high {
                let middle = low + (high - low) / 2;
                if ys(middle) < top { low = middle + 1 } else { high = middle }
            }
            (low..count).take_while(|i| ys(*i) <= bottom).collect()
        };
        Visible {
            arrows: blocks(arrows, &self.reach.arrows, &|i| inside(self.arrows[i].y0, self.arrows[i].y1)),
            calls: blocks(calls, &self.reach.calls, &|i| {
                inside(self.calls[i].y0, self.calls[i].y1.unwrap_or(end))
            }),
            states: between(&|i| self.states[i].y, self.states.len()),
            gaps: between(&|i| self.gaps[i].y, self.gaps.len()),
            ticks: between(&|i| self.ticks[i].y, self.ticks.len()),
        }
    }

    /// Lines `range` of the text twin: what a window shows.
    pub fn window(&self, range: core::ops::Range<usize>) -> Vec<LadderRow> {
        let end = range.end.min(self.rows.len());
        (range.start.min(end)..end).filter_map(|i| self.row(i)).collect()
    }

    /// One line of the text twin.
    pub fn row(&self, index: usize) -> Option<LadderRow> {
        let kind = *self.rows.get(index)?;
        let name = |line: u32| self.lifelines.get(line as usize).map(|l| l.title.clone()).unwrap_or_default();
        let empty = LadderRow {
            at: 0,
            until: None,
            from: String::new(),
            to: String::new(),
            label: String::new(),
            state: String::new(),
            reason: String::new(),
            kind,
        };
        Some(match kind {
            RowKind::Arrow { arrow } => {
                let a = self.arrows.get(arrow as usize)?;
                let (state, reason) = match &a.end {
                    ArrowEnd::InFlight { .. } => ("ladder-in-flight", ""),
                    ArrowEnd::Arrived => ("", ""),
                    ArrowEnd::Lost { reason, .. } => ("ladder-lost", reason.as_str()),
                };
                // A broadcast's arrows stand one after the other; the first has the label.
                let same = self.arrows[..=arrow as usize].iter().rev().take_while(|b| b.packet == a.packet);
                let label = same.last().map(|b| b.label.clone()).unwrap_or_default();
                LadderRow {
                    at: a.sent,
                    until: a.ended,
                    from: name(a.from),
                    to: name(a.to),
                    label,
                    state: state.to_string(),
                    reason: reason.to_string(),
                    ..empty
                }
            }
            RowKind::Call { bracket } => {
                let c = self.calls.get(bracket as usize)?;
                let label =
                    if c.result.is_empty() { c.label.clone() } else { format!("{} {}", c.label, c.result) };
                let state = if c.returned.is_none() { "ladder-blocked" } else { "" };
                LadderRow {
                    at: c.entered,
                    until: c.returned,
                    from: name(c.lifeline),
                    label,
                    state: state.to_string(),
                    ..empty
                }
            }
            RowKind::State { label } => {
                let s = self.states.get(label as usize)?;
                LadderRow { at: s.at, from: name(s.lifeline), state: s.state.clone(), ..empty }
            }
            RowKind::Gap { gap } => {
                let g = self.gaps.get(gap as usize)?;
                LadderRow { at: g.from, until: Some(g.to), ..empty }
            }
        })
    }
}

/// x of each lifeline for a drawing `width` units wide: the outer ones leave `gutter` units for calls and times.
pub fn columns(lifelines: usize, width: f64, gutter: f64) -> Vec<f64> {
    let inner = (width - 2.0 * gutter).max(0.0);
    match lifelines {
        0 => Vec::new(),
        1 => vec![gutter + inner / 2.0],
        n => (0..n).map(|i| gutter + inner * i as f64 / (n - 1) as f64).collect(),
    }
}
