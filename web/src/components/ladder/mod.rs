//! The ladder: a lifeline per host, time downward, an arrow per packet, a bracket per system call. Its text twin is a
//! table of the same things in the order of time.

pub mod arrow;
pub mod call;
pub mod table;

use leptos::html;
use leptos::prelude::*;
use socketlab_view::ladder::columns;

use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;
use arrow::{ArrowLabel, ArrowLine};
use call::{Call, StateChip};
use table::LadderTable;

/// Room left and right of the outer lifelines for times and the words of calls, in CSS pixels.
const GUTTERS: (f64, f64) = (178.0, 134.0);
/// The same where there is no room for words: on a phone, and when there are more than two lifelines.
const NARROW: (f64, f64) = (74.0, 46.0);
/// The same on a phone.
const PHONE: (f64, f64) = (66.0, 32.0);
/// Least distance of two lifelines, in CSS pixels.
const MIN_GAP: f64 = 64.0;
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
                // One that the lab file gives no address may be lent one.
                let address = move || match lifeline.subtitle.is_empty() {
                    true => page.lent_address(lifeline.node),
                    false => lifeline.subtitle.clone(),
                };
                view! {
                    <div class="ladder__head" style:left=format!("{x}px")>
                        <b>{lifeline.title}</b>
                        <span class="code">{address}</span>
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
                        <Show when=move || page.time.get() != 0>
                            <line
                                class="ladder__now"
                                x1="8"
                                x2=move || width.get() - 8.0
                                y1=move || now_y.get()
                                y2=move || now_y.get()
                            />
                        </Show>
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
                        // Words above all shafts, so that neither a later arrow nor the line of now strikes them through.
                        <For
                            each=move || visible.get().arrows
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <ArrowLabel index=index xs=xs width=width worded=worded /> }
                        />
                        <For
                            each=move || visible.get().states
                            key=move |index| (generation.get_untracked(), *index)
                            children=move |index| view! { <StateChip index=index xs=xs sheet=width worded=worded /> }
                        />
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
