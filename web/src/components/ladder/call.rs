//! Beside the lifelines: system calls as brackets, and the states that sockets reach.

use leptos::prelude::*;
use socketlab_view::ladder::{CallBracket, StateLabel};

use super::{shorten, x_of};
use crate::components::colour_class;
use crate::state::Page;
use crate::texts::Texts;

/// Characters of a call that fit into a gutter.
const CALL_CHARS: usize = 17;
/// Width of one, in CSS pixels.
const CALL_CHAR: f64 = 6.65;
/// Distance of the brackets that lie side by side, in CSS pixels.
const LANE: f64 = 9.0;

/// A call's bracket.
#[component]
pub fn Call(
    /// Which, in its list of the ladder.
    index: usize,
    /// Where each lifeline is.
    xs: Memo<Vec<f64>>,
    /// There is room for the words of calls.
    worded: Memo<bool>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let call = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().calls.get(index).cloned()));
    // The bracket of a call that waits grows with the time shown.
    let bottom = Memo::new(move |_| {
        let Some(call) = call.get() else { return 0.0 };
        let now = page.time.get();
        match (call.y1, call.returned) {
            (Some(y1), Some(returned)) if returned <= now => y1,
            _ => page
                .trace
                .with(|trace| trace.ladder.ladder().time.units(now))
                .max(call.y0 + 6.0)
                .min(call.y1.unwrap_or(f64::MAX).max(call.y0 + 6.0)),
        }
    });
    move || {
        let call = call.get()?;
        let left = page.trace.with_untracked(|trace| {
            trace
                .ladder
                .ladder()
                .lifelines
                .get(call.lifeline as usize)
                .is_none_or(|lifeline| lifeline.gutter_left)
        });
        let x = x_of(&xs.get(), call.lifeline);
        // Between lifelines there is no room for words: the bracket stands, and the table has them.
        Some(draw_call(page, texts, call, x, left, worded.get(), bottom))
    }
}

fn draw_call(
    page: Page,
    texts: Texts,
    call: CallBracket,
    x: f64,
    left: bool,
    worded: bool,
    bottom: Memo<f64>,
) -> impl IntoView {
    let CallBracket {
        call: number,
        program,
        label,
        label_y,
        result,
        result_y,
        y0,
        entered,
        returned,
        blocked,
        failed,
        conversation,
        lane,
        place,
        ..
    } = call;
    let side = if left { -1.0 } else { 1.0 };
    let spine = x + side * (13.0 + LANE * f64::from(lane));
    let selected = move || page.selection.with(|selection| selection.call == Some(number));
    let open = move || returned.is_none_or(|returned| returned > page.time.get());
    let path = move || {
        let end = bottom.get();
        let foot = if open() { String::new() } else { format!("h{:.1}", -side * 6.0) };
        format!("M{:.1} {y0:.1}h{:.1}V{end:.1}{foot}", spine - side * 6.0, side * 6.0)
    };
    let title = format!("{place} {label} {result}");
    let anchor = if left { "end" } else { "start" };
    let text_x = spine + side * 7.0;
    // A bracket further out leaves less room.
    let most = CALL_CHARS.saturating_sub((LANE * f64::from(lane) / CALL_CHAR).ceil() as usize).max(6);
    let words = worded.then(|| {
        let same_row = (label_y - result_y).abs() < 1.0;
        let shown = if same_row && !result.is_empty() { format!("{label} {result}") } else { label.clone() };
        let below = (!same_row && !result.is_empty()).then(|| {
            view! {
                <text class="ladder__result code" class:ladder__result--bad=failed x=text_x y=result_y text-anchor=anchor>
                    {shorten(&result, most)}
                </text>
            }
        });
        let waits = (blocked && returned.is_none()).then(|| {
            view! {
                <text class="ladder__waits" x=text_x y=label_y + 14.0 text-anchor=anchor>
                    {move || texts.get("ladder-waits")}
                </text>
            }
        });
        view! {
            <text class="code" class:ladder__result--bad=failed x=text_x y=label_y text-anchor=anchor>{shorten(&shown, most)}</text>
            {below}
            {waits}
        }
    });
    view! {
        <g
            class=format!("ladder__call {}", colour_class(conversation))
            class:ladder__call--waits=move || blocked && open()
            class:ladder__call--on=selected
            class:ladder__arrow--future=move || page.time.get() < entered
            on:click=move |_| page.select_call(number, program)
        >
            <title>{title}</title>
            <path class="ladder__bracket" d=path />
            {words}
        </g>
    }
}

/// A state reached.
#[component]
pub fn StateChip(
    /// Which, in its list of the ladder.
    index: usize,
    /// Where each lifeline is.
    xs: Memo<Vec<f64>>,
    /// How wide the drawing is.
    sheet: Memo<f64>,
    /// There is room for the words of calls.
    worded: Memo<bool>,
) -> impl IntoView {
    let page = Page::here();
    let label = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().states.get(index).cloned()));
    move || {
        let StateLabel { lifeline, state, y, at, conversation, .. } = label.get()?;
        let x = x_of(&xs.get(), lifeline);
        let width = state.chars().count() as f64 * 6.1 + 12.0;
        // Where calls have words, the chip lies on the other side of the lifeline.
        let x = match (worded.get(), lifeline) {
            (false, _) => x,
            (true, 0) => x + width / 2.0 + 7.0,
            (true, _) => x - width / 2.0 - 7.0,
        };
        // At the edge of a narrow screen it stays whole.
        let x = x.min(sheet.get() - width / 2.0 - 2.0).max(width / 2.0 + 2.0);
        Some(view! {
            <g
                class=format!("ladder__state {}", colour_class(conversation))
                class:ladder__arrow--future=move || page.time.get() < at
                transform=format!("translate({x:.1} {y:.1})")
            >
                <rect x=-width / 2.0 y="-8.5" width=width height="17" rx="4" />
                <text y="3.6" text-anchor="middle">{state}</text>
            </g>
        })
    }
}
