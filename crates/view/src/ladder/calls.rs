//! Brackets of system calls in a ladder: beside their host's lifeline, from the call to its return.

use super::builder::{LadderBuilder, Pending, index};
use super::{CallBracket, RowKind};
use crate::event::{CallView, FailureView};

/// Least distance between two lines of text in a gutter.
const CALL_ROW: f64 = 15.0;
/// Least height of a bracket.
const MIN_BRACKET: f64 = 10.0;
/// A call that took longer has waited: the call itself costs 10 us.
const BLOCKED_NANOS: u64 = 20_000;
/// Characters of a call or its result in the drawing.
const CALL_CHARS: usize = 34;

/// Calls that are not the student's: they are made by the socket module for its own needs.
const HIDDEN_CALLS: [&str; 2] = ["sockinfo", "dup"];

impl LadderBuilder {
    pub(super) fn entered(&mut self, at: u64, call: &CallView) {
        if HIDDEN_CALLS.contains(&call.name.as_str()) {
            return;
        }
        let about = self.filter.conversation.is_none_or(|wanted| {
            call.conversation == Some(wanted)
                || self.wanted.contains(&call.call)
                || call.socket.is_some_and(|s| self.sockets.contains(&(call.node, s)))
        });
        if about && self.lifelines.contains_key(&call.node) {
            self.bracket(at, at, call);
        } else {
            self.calls.insert(call.call, Pending::Hidden(Box::new((at, call.clone()))));
        }
    }

    /// A call turns out to be about the followed conversation after it began.
    pub(super) fn reveal(&mut self, now: u64, call: Option<u64>) {
        let Some(call) = call else { return };
        if let Some(Pending::Hidden(hidden)) = self.calls.get(&call) {
            let (entered, view) = hidden.as_ref().clone();
            if self.lifelines.contains_key(&view.node) {
                self.bracket(entered, now, &view);
            }
        }
    }

    /// Draws a call that began at `entered`; its text goes to where the drawing is `now`.
    fn bracket(&mut self, entered: u64, now: u64, call: &CallView) {
        let Some(lifeline) = self.lifelines.get(&call.node).copied() else { return };
        let row = self.advance(now, self.gutter(lifeline) + CALL_ROW);
        self.wrote(lifeline, row);
        let y0 = if entered == now { row } else { self.ladder.time.units(entered).min(row) };
        let mine = (lifeline, call.program, call.tid);
        let lanes = self.ladder.lifelines.get_mut(lifeline as usize).map(|l| &mut l.lanes);
        let lane = *self.lanes.entry(mine).or_insert_with(|| {
            lanes.map_or(0, |lanes| {
                *lanes += 1;
                *lanes - 1
            })
        });
        let at = self.ladder.calls.len();
        self.calls.insert(call.call, Pending::Drawn(at));
        self.row(RowKind::Call { bracket: index(at) });
        self.ladder.reach.call_begins(at);
        self.ladder.calls.push(CallBracket {
            call: call.call,
            lifeline,
            lane,
            program: call.program,
            tid: call.tid,
            label: shorten(&format!("{}({})", call.name, call.args)),
            label_y: row + 4.0,
            result: String::new(),
            result_y: row + 4.0,
            place: call.place.clone(),
            y0,
            y1: None,
            entered,
            returned: None,
            blocked: true,
            failed: false,
            conversation: call.conversation.or(self.filter.conversation),
        });
    }

    pub(super) fn returned(
        &mut self,
        at: u64,
        call: u64,
        result: &str,
        failure: Option<&FailureView>,
        conversation: Option<u32>,
    ) {
        let Some(Pending::Drawn(i)) = self.calls.remove(&call) else { return };
        let text = match failure {
            Some(failure) => format!("→ {}", failure.errno),
            None if matches!(result, "None" | "") => String::new(),
            None => format!("→ {}", shorten(result)),
        };
        let (lifeline, y0, entered) = {
            let c = &self.ladder.calls[i];
            (c.lifeline, c.y0, c.entered)
        };
        let blocked = at.saturating_sub(entered) > BLOCKED_NANOS;
        let own_line = blocked && !text.is_empty();
        let least = if own_line { self.gutter(lifeline) + CALL_ROW } else { y0 + MIN_BRACKET };
        let y1 = self.advance(at, least);
        if own_line {
            self.wrote(lifeline, y1);
        }
        self.ladder.reach.call_ends(i, y1);
        let bracket = &mut self.ladder.calls[i];
        bracket.result_y = if own_line { y1 + 4.0 } else { bracket.label_y };
        bracket.result = text;
        bracket.y1 = Some(y1);
        bracket.returned = Some(at);
        bracket.blocked = blocked;
        bracket.failed = failure.is_some();
        bracket.conversation = bracket.conversation.or(conversation);
    }

    /// A program is over: what it waited in ends there.
    pub(super) fn exited(&mut self, at: u64, program: u32) {
        let mut open: Vec<usize> = Vec::new();
        self.calls.retain(|_, pending| {
            let Pending::Drawn(i) = pending else { return true };
            let mine = self.ladder.calls.get(*i).is_some_and(|c| c.program == program);
            if mine {
                open.push(*i);
            }
            !mine
        });
        open.sort_unstable();
        for i in open {
            let y0 = self.ladder.calls[i].y0;
            let y1 = self.advance(at, y0 + MIN_BRACKET);
            self.ladder.reach.call_ends(i, y1);
            let bracket = &mut self.ladder.calls[i];
            bracket.y1 = Some(y1);
            bracket.returned = Some(at);
        }
    }
}

/// At most [`CALL_CHARS`] characters, a closing bracket kept.
fn shorten(text: &str) -> String {
    if text.chars().count() <= CALL_CHARS {
        return text.to_string();
    }
    let close = if text.ends_with(')') { "…)" } else { "…" };
    let head: String = text.chars().take(CALL_CHARS - 2).collect();
    head + close
}
