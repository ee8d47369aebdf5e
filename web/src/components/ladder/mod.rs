//! The ladder: a lifeline per host, time downward, an arrow per packet, a bracket per system call. Its text twin is a
//! table of the same things in the order of time.

pub mod table;

use leptos::html;
use leptos::prelude::*;
use socketlab_view::ladder::{Arrow, ArrowEnd, CallBracket, StateLabel, columns};

use crate::components::colour_class;
use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;
use table::LadderTable;

/// Room left and right of the outer lifelines for times and the words of calls, in CSS pixels.
const GUTTERS: (f64, f64) = (178.0, 134.0);
/// The same where there is no room for words: on a phone, and when there are more than two lifelines.
const NARROW: (f64, f64) = (74.0, 46.0);
/// The same on a phone.
const PHONE: (f64, f64) = (66.0, 32.0);
/// Characters of a call that fit into a gutter.
const CALL_CHARS: usize = 17;
/// Distance of an arrow's words from the lifeline that sends it, in CSS pixels: clear of brackets and state chips.
const BESIDE: f64 = 48.0;
/// Width of a character in a label, in CSS pixels.
const CHAR: f64 = 6.65;
/// Least distance of two lifelines, in CSS pixels.
const MIN_GAP: f64 = 64.0;
/// Distance of the brackets that lie side by side, in CSS pixels.
const LANE: f64 = 9.0;
/// Height of the lifelines' names, in CSS pixels; see ladder.css.
const HEAD: f64 = 34.0;

/// The ladder or its twin.
#[component]
pub fn Ladder(
    /// Show the text twin instead of the picture.
    as_table: RwSignal<bool>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let top = RwSignal::new(0.0_f64);
    let following = RwSignal::new(true);

    let lifelines = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().lifelines.clone()));
    let worded = Memo::new(move |_| lifelines.with(Vec::len) <= 2 && size.get().0 >= 520.0);
    let gutters = move || match (worded.get(), size.get().0 < 520.0) {
        (true, _) => GUTTERS,
        (false, false) => NARROW,
        (false, true) => PHONE,
    };
    let width = Memo::new(move |_| {
        let count = lifelines.with(Vec::len);
        let (left, right) = gutters();
        size.get().0.max(left + right + MIN_GAP * count.saturating_sub(1) as f64)
    });
    let xs = Memo::new(move |_| {
        let (left, right) = gutters();
        let shift = left - right;
        let xs = columns(lifelines.with(Vec::len), width.get() - shift, right);
        xs.into_iter().map(|x| x + shift).collect::<Vec<_>>()
    });
    let height = Memo::new(move |_| {
        let drawn = page.trace.with(|trace| trace.ladder.ladder().height) + 40.0;
        drawn.max(size.get().1 - HEAD - 2.0)
    });
    let generation = Memo::new(move |_| page.trace.with(|trace| trace.generation));
    let visible = Memo::new(move |_| {
        let (from, to) = (top.get() - 120.0, top.get() + size.get().1 + 240.0);
        page.trace.with(|trace| trace.ladder.ladder().visible(from, to))
    });
    let now_y = Memo::new(move |_| {
        let now = page.time.get();
        page.trace.with(|trace| trace.ladder.ladder().time.units(now))
    });

    // The newest is followed, unless one has scrolled away from it.
    Effect::new(move |_| {
        let y = now_y.get();
        let _height = height.get();
        if !following.get_untracked() {
            return;
        }
        if let Some(element) = place.get_untracked() {
            let view = f64::from(element.client_height());
            let wanted = (y + HEAD - view * 0.78).max(0.0);
            if (wanted - f64::from(element.scroll_top())).abs() > 4.0 {
                element.set_scroll_top(wanted as i32);
            }
        }
    });
    let on_scroll = move |_| {
        if let Some(element) = place.get_untracked() {
            let at = f64::from(element.scroll_top());
            top.set(at);
            let view = f64::from(element.client_height());
            let y = now_y.get_untracked() + HEAD;
            let bottom = at + view >= f64::from(element.scroll_height()) - 4.0;
            following.set(bottom || (y > at + view * 0.4 && y < at + view));
        }
    };
    // What is marked is brought into view.
    Effect::new(move |_| {
        let selection = page.selection.get();
        let y = page.trace.with_untracked(|trace| {
            let ladder = trace.ladder.ladder();
            selection
                .packet
                .and_then(|packet| {
                    ladder.arrows.iter().find(|arrow| arrow.packet == packet).map(|arrow| arrow.y0)
                })
                .or_else(|| {
                    let wanted = selection.call?;
                    ladder.calls.iter().find(|call| call.call == wanted).map(|call| call.y0)
                })
        });
        let (Some(y), Some(element)) = (y, place.get_untracked()) else { return };
        let (at, view) = (f64::from(element.scroll_top()), f64::from(element.client_height()));
        if y + HEAD < at + HEAD + 20.0 || y + HEAD > at + view - 40.0 {
            following.set(false);
            element.set_scroll_top((y - view * 0.35).max(0.0) as i32);
        }
    });

    let heads = move || {
        let xs = xs.get();
        lifelines
            .get()
            .into_iter()
            .zip(xs)
            .map(|(lifeline, x)| {
                view! {
                    <div class="ladder__head" style:left=format!("{x}px")>
                        <b>{lifeline.title}</b>
                        <span class="code">{lifeline.subtitle}</span>
                    </div>
                }
            })
            .collect_view()
    };
    let lines = move || {
        let bottom = height.get();
        xs.get()
            .into_iter()
            .map(|x| view! { <line class="ladder__line" x1=x x2=x y1="0" y2=bottom /> })
            .collect_view()
    };
    let ticks = move || {
        let visible = visible.get();
        page.trace.with(|trace| {
            let ladder = trace.ladder.ladder();
            visible
                .ticks
                .iter()
                .filter_map(|index| ladder.ticks.get(*index))
                .map(|tick| {
                    let text = texts.milliseconds(tick.at, 2);
                    view! {
                        <text class="ladder__tick code" x="8" y=tick.y + 4.0>
                            {text}
                        </text>
                    }
                })
                .collect_view()
        })
    };
    let gaps = move || {
        let visible = visible.get();
        let width = width.get();
        page.trace.with(|trace| {
            let ladder = trace.ladder.ladder();
            visible
                .gaps
                .iter()
                .filter_map(|index| ladder.gaps.get(*index))
                .map(|gap| {
                    let length = texts.duration(gap.to - gap.from);
                    let text = texts.with("ladder-gap", &[("time", &length)]);
                    view! {
                        <g class="ladder__gap" transform=format!("translate(0 {})", gap.y)>
                            <rect x="0" y="-9" width=width height="18" />
                            <text x=width / 2.0 y="4" text-anchor="middle">{text}</text>
                        </g>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <div class="ladder" hidden=move || as_table.get()>
            <div class="ladder__scroll" tabindex="0" node_ref=place on:scroll=on_scroll aria-label=move || texts.get("ladder-label") role="region">
                <div class="ladder__sheet" style:width=move || format!("{}px", width.get())>
                    <div class="ladder__heads">{heads}</div>
                    <svg class="ladder__svg" width=move || width.get() height=move || height.get() aria-hidden="true">
                        {lines}
                        {gaps}
                        {ticks}
                        <For
                            each=move || visible.get().calls
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <Call index=index xs=xs worded=worded /> }
                        />
                        <For
                            each=move || visible.get().arrows
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <ArrowLine index=index xs=xs /> }
                        />
                        // Words above all shafts, so that no later arrow strikes them through.
                        <For
                            each=move || visible.get().arrows
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <ArrowLabel index=index xs=xs width=width /> }
                        />
                        <For
                            each=move || visible.get().states
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <StateChip index=index xs=xs worded=worded /> }
                        />
                        <Show when=move || page.time.get() != 0>
                            <line
                                class="ladder__now"
                                x1="8"
                                x2=move || width.get() - 8.0
                                y1=move || now_y.get()
                                y2=move || now_y.get()
                            />
                        </Show>
                    </svg>
                </div>
            </div>
            <Show when=move || page.trace.with(|trace| trace.ladder.ladder().rows.is_empty())>
                <div class="empty ladder__empty">
                    <p>{move || texts.get("ladder-empty")}</p>
                </div>
            </Show>
        </div>
        <LadderTable shown=as_table />
    }
}

fn x_of(xs: &[f64], lifeline: u32) -> f64 {
    xs.get(lifeline as usize).copied().unwrap_or(0.0)
}

/// A packet's arrow.
#[component]
fn ArrowLine(index: usize, xs: Memo<Vec<f64>>) -> impl IntoView {
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
fn ArrowLabel(index: usize, xs: Memo<Vec<f64>>, width: Memo<f64>) -> impl IntoView {
    let page = Page::here();
    let arrow = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().arrows.get(index).cloned()));
    move || {
        let Arrow { packet, from, to, sent, label, label_y, .. } = arrow.get()?;
        let (x0, x1) = xs.with(|xs| (x_of(xs, from), x_of(xs, to)));
        let long = label.chars().count() as f64 * CHAR;
        // Clear of the brackets beside the lifeline, and inside the sheet.
        let (x, anchor) = if x1 >= x0 {
            ((x0 + BESIDE).min(width.get() - long - 6.0).max(6.0), "start")
        } else {
            ((x0 - BESIDE).max(long + 6.0), "end")
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
                {label}
            </text>
        })
    }
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

/// A call's bracket.
#[component]
fn Call(index: usize, xs: Memo<Vec<f64>>, worded: Memo<bool>) -> impl IntoView {
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
    let words = worded.then(|| {
        let same_row = (label_y - result_y).abs() < 1.0;
        let shown = if same_row && !result.is_empty() { format!("{label} {result}") } else { label.clone() };
        let below = (!same_row && !result.is_empty()).then(|| {
            view! {
                <text class="ladder__result code" class:ladder__result--bad=failed x=text_x y=result_y text-anchor=anchor>
                    {shorten(&result, CALL_CHARS)}
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
            <text class="code" class:ladder__result--bad=failed x=text_x y=label_y text-anchor=anchor>{shorten(&shown, CALL_CHARS)}</text>
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

/// Cuts a text that is longer than `most` characters.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }
}

/// A state reached.
#[component]
fn StateChip(index: usize, xs: Memo<Vec<f64>>, worded: Memo<bool>) -> impl IntoView {
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
