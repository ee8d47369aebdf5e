//! The whole run on one line: a lane per program with its calls, waits and packets. Dragging its cursor shows a moment
//! of the past.

pub mod lane;

use leptos::prelude::*;
use leptos::{ev, html};
use wasm_bindgen::JsCast;

use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;
use lane::Lane;

/// Room for the lanes' names, in CSS pixels.
const NAMES: f64 = 92.0;
/// Room to the right of the last instant.
const TAIL: f64 = 24.0;
/// Distance of two lanes.
const LANE: f64 = 16.0;
/// Height of the scale below the lanes.
const SCALE: f64 = 22.0;

/// The panel.
#[component]
pub fn TimelinePanel() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let lanes = Memo::new(move |_| page.trace.with(|trace| trace.timeline.timeline().lanes.len()));
    let generation = Memo::new(move |_| page.trace.with(|trace| trace.generation));
    // The last instant drawn.
    let units = Memo::new(move |_| {
        let live = page.live.get();
        page.trace.with(|trace| {
            let timeline = trace.timeline.timeline();
            timeline.time.units(timeline.end.max(live)).max(1.0)
        })
    });
    let factor = Memo::new(move |_| (size.get().0 - NAMES - TAIL).max(10.0) / units.get());
    let height = move || lanes.get().max(1) as f64 * LANE + SCALE;
    let x_of = move |at: u64| {
        let units = page.trace.with(|trace| trace.timeline.timeline().time.units(at));
        NAMES + units * factor.get()
    };
    let time_at = move |x: f64| {
        let units = ((x - NAMES) / factor.get_untracked()).max(0.0);
        page.trace.with_untracked(|trace| trace.timeline.timeline().time.time(units))
    };
    let cursor = move || x_of(page.time.get());
    let scale = move || {
        let width = size.get().0 - NAMES - TAIL;
        let count = (width / 130.0).floor().max(1.0) as usize;
        let factor = factor.get();
        page.trace.with(|trace| {
            let timeline = trace.timeline.timeline();
            if timeline.end == 0 {
                return Vec::new();
            }
            // As many decimals as tell the figures apart.
            let decimals = match timeline.time.time(width / factor) / count as u64 {
                0..20_000 => 3,
                20_000..200_000 => 2,
                _ => 1,
            };
            (0..=count)
                .map(|step| {
                    let x = width * step as f64 / count as f64;
                    let at = timeline.time.time(x / factor);
                    view! {
                        <text
                            class="timeline__figure code"
                            x=NAMES + x
                            text-anchor=if step == 0 { "start" } else if step == count { "end" } else { "middle" }
                            y=lanes.get() as f64 * LANE + 17.0>
                            {texts.milliseconds(at, decimals)}
                            {if step == count { " ms" } else { "" }}
                        </text>
                    }
                })
                .collect()
        })
    };
    let cuts = move || {
        let factor = factor.get();
        let bottom = lanes.get() as f64 * LANE;
        page.trace.with(|trace| {
            let timeline = trace.timeline.timeline();
            let mut last = f64::NEG_INFINITY;
            timeline
                .cuts
                .iter()
                .filter_map(|(from, to)| {
                    let (a, b) = (timeline.time.units(*from) * factor, timeline.time.units(*to) * factor);
                    // Where a long run has more cuts than pixels, one stands for its neighbours.
                    let apart = a >= last + 1.0;
                    if apart {
                        last = a;
                    }
                    apart.then_some((from, to, a, b))
                })
                .map(|(from, to, a, b)| {
                    let words = texts.with("timeline-cut", &[("time", &texts.duration(to - from))]);
                    view! {
                        <g class="timeline__cut">
                            <rect x=NAMES + a y="0" width=(b - a).max(3.0) height=bottom />
                            <title>{words}</title>
                        </g>
                    }
                })
                .collect::<Vec<_>>()
        })
    };
    let skipped = move || {
        let total: u64 =
            page.trace.with(|trace| trace.timeline.timeline().cuts.iter().map(|(from, to)| to - from).sum());
        (total > 0).then(|| {
            let time = texts.duration(total);
            let [short, long] =
                ["timeline-skipped", "timeline-skipped-long"].map(|key| texts.with(key, &[("time", &time)]));
            view! { <span class="timeline__skipped" title=long>{short}</span> }
        })
    };

    let dragging = RwSignal::new(false);
    let local_x = move |event: &ev::PointerEvent| {
        place
            .get_untracked()
            .map(|element| f64::from(event.client_x()) - element.get_bounding_client_rect().left())
            .unwrap_or_default()
    };
    let on_down = move |event: ev::PointerEvent| {
        let hit = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        if let Some(packet) =
            hit.as_ref().and_then(|hit| hit.get_attribute("data-packet")).and_then(|text| text.parse().ok())
        {
            page.select_packet(packet);
        }
        if let Some(element) = place.get_untracked() {
            let _captured = element.set_pointer_capture(event.pointer_id());
        }
        dragging.set(true);
        page.look_at(time_at(local_x(&event)));
    };
    let on_move = move |event: ev::PointerEvent| {
        if dragging.get_untracked() {
            page.look_at(time_at(local_x(&event)));
        }
    };
    let on_key = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "ArrowLeft" => {
            event.prevent_default();
            event.stop_propagation();
            page.step_back();
        }
        "ArrowRight" => {
            event.prevent_default();
            event.stop_propagation();
            page.step_forward();
        }
        _ => {}
    };
    view! {
        <section class="panel timeline page__timeline" aria-label=move || texts.get("timeline-title")>
            <div
                class="timeline__body"
                data-testid="timeline"
                role="slider"
                tabindex="0"
                aria-label=move || texts.get("timeline-slider")
                aria-valuemin="0"
                aria-valuemax=move || (page.live.get() / 1_000).to_string()
                aria-valuenow=move || (page.time.get() / 1_000).to_string()
                aria-valuetext=move || format!("{} ms", texts.milliseconds(page.time.get(), 3))
                style:height=move || format!("{}px", height())
                node_ref=place
                on:pointerdown=on_down
                on:pointermove=on_move
                on:pointerup=move |_| dragging.set(false)
                on:pointercancel=move |_| dragging.set(false)
                on:keydown=on_key
            >
                <svg width=move || size.get().0 height=height aria-hidden="true">
                    {cuts}
                    <For
                        each=move || 0..lanes.get()
                        key=move |lane| (generation.get(), *lane)
                        children=move |lane| view! { <Lane lane=lane factor=factor /> }
                    />
                    <line
                        class="timeline__axis"
                        x1=NAMES
                        x2=move || size.get().0 - 8.0
                        y1=move || lanes.get() as f64 * LANE + 3.5
                        y2=move || lanes.get() as f64 * LANE + 3.5
                    />
                    {scale}
                    <Show when=move || units.get().gt(&1.0)>
                        <g class="timeline__cursor" class:timeline__cursor--past=move || page.past.get().is_some()>
                            <line x1=cursor x2=cursor y1="0" y2=move || lanes.get() as f64 * LANE + 3.5 />
                            <circle cx=cursor cy=move || lanes.get() as f64 * LANE + 3.5 r="5" />
                        </g>
                    </Show>
                </svg>
            </div>
            {skipped}
        </section>
    }
}
