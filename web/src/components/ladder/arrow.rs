//! A packet as an arrow, drawn as far as it has come, and its words.

use leptos::prelude::*;
use socketlab_view::ladder::{Arrow, ArrowEnd};

use super::x_of;
use crate::components::colour_class;
use crate::state::Page;
use crate::texts::Texts;

/// Distance of an arrow's words from the lifeline that sends it, in CSS pixels: clear of brackets and state chips.
const BESIDE: f64 = 48.0;
/// The same where chips lie beside the lifeline, because calls have words on its other side.
const BESIDE_CHIPS: f64 = 98.0;
/// Width of a character in a label, in CSS pixels.
const CHAR: f64 = 6.65;
/// Room for the times at the left edge, and beside the right one, in CSS pixels.
const EDGES: (f64, f64) = (48.0, 6.0);

/// A packet's arrow.
#[component]
pub fn ArrowLine(
    /// Which, in its list of the ladder.
    index: usize,
    /// Where each lifeline is.
    xs: Memo<Vec<f64>>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let arrow = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().arrows.get(index).cloned()));
    // How much of it has been drawn at the time shown: 0 before it was sent, 1 when it has arrived.
    let done = Memo::new(move |_| {
        let Some(arrow) = arrow.get() else { return 0.0 };
        let now = page.time.get();
        if now < arrow.sent {
            return 0.0;
        }
        if arrow.ended.is_some_and(|ended| ended <= now) {
            return 1.0;
        }
        let y = page.trace.with(|trace| trace.ladder.ladder().time.units(now));
        let whole = (arrow.y1 - arrow.y0).max(1.0);
        ((y - arrow.y0) / whole).clamp(0.03, 0.97)
    });
    move || {
        let arrow = arrow.get()?;
        let xs = xs.get();
        let (x0, x1) = (x_of(&xs, arrow.from), x_of(&xs, arrow.to));
        Some(draw_arrow(page, texts, arrow, (x0, x1), done))
    }
}

/// What a packet says, beside the lifeline that sends it, above its arrow.
#[component]
pub fn ArrowLabel(
    /// Which, in its list of the ladder.
    index: usize,
    /// Where each lifeline is.
    xs: Memo<Vec<f64>>,
    /// Width of the sheet.
    width: Memo<f64>,
    /// There is room for the words of calls.
    worded: Memo<bool>,
) -> impl IntoView {
    let page = Page::here();
    let arrow = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().arrows.get(index).cloned()));
    move || {
        let Arrow { packet, from, to, sent, label, label_y, .. } = arrow.get()?;
        let (x0, x1) = xs.with(|xs| (x_of(xs, from), x_of(xs, to)));
        let room = ((width.get() - EDGES.0 - EDGES.1) / CHAR).max(8.0) as usize;
        let shown = shortened(&label, room);
        let long = shown.chars().count() as f64 * CHAR;
        let beside = if worded.get() { BESIDE_CHIPS } else { BESIDE };
        // Clear of the brackets beside the lifeline, and inside the sheet.
        let (x, anchor) = if x1 >= x0 {
            ((x0 + beside).min(width.get() - long - EDGES.1).max(EDGES.0), "start")
        } else {
            ((x0 - beside).max(long + EDGES.0), "end")
        };
        let future = move || page.time.get() < sent;
        Some(view! {
            <text
                class="ladder__word code"
                class:ladder__word--future=future
                x=x
                y=label_y
                text-anchor=anchor
                on:click=move |_| page.select_packet(packet)
            >
                {shown}
                <title>{label}</title>
            </text>
        })
    }
}

/// As much of a text as so many characters hold.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

fn draw_arrow(
    page: Page,
    texts: Texts,
    arrow: Arrow,
    (x0, x1): (f64, f64),
    done: Memo<f64>,
) -> impl IntoView {
    let Arrow { packet, y0, y1, conversation, retransmission, pure_ack, end, .. } = arrow;
    let direction = if x1 >= x0 { 1.0 } else { -1.0 };
    let slope = (y1 - y0) / (x1 - x0).abs().max(1.0);
    let lost = match end {
        ArrowEnd::Lost { progress, reason } => Some((progress, reason)),
        _ => None,
    };
    let reach = lost.as_ref().map_or(1.0, |(progress, _)| *progress);
    let tip = move |part: f64| {
        let x = x0 + (x1 - x0) * part * reach;
        (x, y0 + slope * (x - x0).abs())
    };
    let whole = tip(1.0);
    let complete = move || done.get() >= 1.0;
    let path = move || {
        let (x, y) = tip(done.get());
        format!("M{x0:.1} {y0:.1}L{x:.1} {y:.1}")
    };
    let selected = move || page.selection.with(|selection| selection.packet == Some(packet));
    let is_lost = lost.is_some();
    let head = move || {
        let (x, y) = tip(done.get());
        if !complete() {
            return format!("M{:.1} {y:.1}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0", x - 4.5);
        }
        if is_lost {
            return format!("M{:.1} {:.1}l10 10m0 -10l-10 10", x - 5.0, y - 5.0);
        }
        let back = x - direction * 9.0;
        let drop = y - slope * 9.0;
        format!("M{x:.1} {y:.1}L{back:.1} {:.1}L{back:.1} {:.1}z", drop - 4.0, drop + 4.0)
    };
    let reason = lost.map(|(_, reason)| {
        let (x, y) = whole;
        let anchor = if x1 >= x0 { "start" } else { "end" };
        view! {
            <text class="ladder__reason" x=x + direction * 12.0 y=y + 4.0 text-anchor=anchor>
                {move || texts.get(&reason)}
            </text>
        }
    });
    view! {
        <g
            class=format!("ladder__arrow {}", colour_class(conversation))
            class:ladder__arrow--on=selected
            class:ladder__arrow--again=retransmission
            class:ladder__arrow--ack=pure_ack
            class:ladder__arrow--lost=move || is_lost && complete()
            class:ladder__arrow--future=move || done.get() <= 0.0
            on:click=move |_| page.select_packet(packet)
        >
            <path class="ladder__hit" d=format!("M{x0:.1} {y0:.1}L{:.1} {:.1}", whole.0, whole.1) />
            <path class="ladder__shaft" d=path />
            <path class="ladder__tip" d=head />
            {reason}
        </g>
    }
}
