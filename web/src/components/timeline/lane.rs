//! A program's lane: calls and waits as spans, packets as ticks. Where a long run has more of them than pixels, one
//! mark stands for its neighbours: the number of things drawn is bounded by the width of the screen.

use leptos::prelude::*;
use socketlab_view::timeline::{PacketTick, Span};

use super::{LANE, NAMES};
use crate::components::colour_class;
use crate::state::Page;

/// A span as drawn: left and right edge in CSS pixels, its classes, its title.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    from: f64,
    to: f64,
    class: String,
    name: String,
}

/// Least width of a span, in CSS pixels.
const THIN: f64 = 2.0;

/// Spans of one look that lie within a pixel of each other become one. `now`: where an open one ends, in units.
fn bars(spans: &[Span], factor: f64, now: f64) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut last: Option<&Span> = None;
    for span in spans {
        let (from, to) = (span.reach.0 * factor, span.reach.1.unwrap_or(now).max(span.reach.0) * factor);
        let same = last.is_some_and(|other| {
            (other.failed, other.blocked, other.conversation)
                == (span.failed, span.blocked, span.conversation)
        });
        if let (true, Some(bar)) = (same, bars.last_mut())
            && from <= bar.to.max(bar.from + THIN) + 0.5
            && (to - from < THIN || bar.to - bar.from < THIN)
        {
            bar.to = bar.to.max(to);
            continue;
        }
        let class = match (span.failed, span.blocked) {
            (true, _) => "timeline__call timeline__call--failed",
            (false, true) => "timeline__call timeline__call--waits",
            (false, false) => "timeline__call",
        };
        let class = format!("{class} {}", colour_class(span.conversation));
        bars.push(Bar { from, to, class, name: span.name.clone() });
        last = Some(span);
    }
    bars
}

/// One tick per pixel and direction: (x in CSS pixels, tick).
fn ticks(packets: &[PacketTick], factor: f64) -> Vec<(f64, PacketTick)> {
    let mut ends = [f64::NEG_INFINITY; 2];
    let mut ticks = Vec::new();
    for tick in packets {
        let x = tick.units * factor;
        let end = &mut ends[usize::from(tick.sent)];
        if x >= *end + 1.0 {
            *end = x;
            ticks.push((x, tick.clone()));
        }
    }
    ticks
}

/// A program's lane.
#[component]
pub fn Lane(
    /// Which, from above.
    lane: usize,
    /// CSS pixels per unit.
    factor: Memo<f64>,
) -> impl IntoView {
    let page = Page::here();
    let top = lane as f64 * LANE;
    let name = move || {
        page.trace.with(|trace| trace.timeline.timeline().lanes.get(lane).map(|lane| lane.name.clone()))
    };
    let program =
        move || page.trace.with(|trace| trace.timeline.timeline().lanes.get(lane).map(|lane| lane.program));
    let alive = move || {
        let factor = factor.get();
        page.trace.with(|trace| {
            let timeline = trace.timeline.timeline();
            let (from, to) = timeline.lanes.get(lane)?.alive?;
            let (a, b) = (timeline.time.units(from), timeline.time.units(to.unwrap_or(timeline.end)));
            Some(view! {
                <rect class="timeline__alive" x=NAMES + a * factor y=top + 6.5 width=((b - a) * factor).max(1.0) height="3" rx="1.5" />
            })
        })
    };
    let drawn_bars = Memo::new(move |_| {
        let (factor, live) = (factor.get(), page.live.get());
        page.trace.with(|trace| {
            let timeline = trace.timeline.timeline();
            let now = timeline.time.units(live.max(timeline.end));
            timeline.lanes.get(lane).map(|lane| bars(&lane.calls, factor, now)).unwrap_or_default()
        })
    });
    let drawn_ticks = Memo::new(move |_| {
        let factor = factor.get();
        page.trace.with(|trace| {
            let lanes = &trace.timeline.timeline().lanes;
            lanes.get(lane).map(|lane| ticks(&lane.packets, factor)).unwrap_or_default()
        })
    });
    view! {
        <text
            class="timeline__name"
            class:timeline__name--on=move || program() == Some(page.program.get())
            x="12"
            y=top + 11.5
        >
            {name}
        </text>
        {alive}
        {move || {
            drawn_bars
                .get()
                .into_iter()
                .map(|bar| {
                    view! {
                        <rect
                            class=bar.class
                            x=NAMES + bar.from
                            y=top + 3.5
                            width=(bar.to - bar.from).max(THIN)
                            height="9"
                            rx="2.5"
                        >
                            <title>{bar.name}</title>
                        </rect>
                    }
                })
                .collect_view()
        }}
        {move || {
            drawn_ticks
                .get()
                .into_iter()
                .map(|(x, tick)| {
                    let (y1, y2) = if tick.sent { (top + 1.0, top + 8.0) } else { (top + 8.0, top + 15.0) };
                    view! {
                        <line
                            class=format!("timeline__tick {}", colour_class(tick.conversation))
                            data-packet=tick.packet.to_string()
                            x1=NAMES + x
                            x2=NAMES + x
                            y1=y1
                            y2=y2
                        />
                    }
                })
                .collect_view()
        }}
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn span(from: f64, to: Option<f64>, blocked: bool) -> Span {
        Span {
            call: 0,
            name: "recv".to_owned(),
            start: 0,
            end: None,
            reach: (from, to),
            blocked,
            failed: false,
            conversation: None,
        }
    }

    fn reach(bars: &[Bar]) -> Vec<(f64, f64)> {
        bars.iter().map(|bar| (bar.from, bar.to)).collect()
    }

    #[test]
    fn as_many_marks_as_pixels_at_most() {
        let spans: Vec<Span> =
            (0..100_000).map(|i| span(f64::from(i), Some(f64::from(i) + 0.5), false)).collect();
        let drawn = bars(&spans, 0.01, 0.0);
        assert!(drawn.len() <= 1000, "{}", drawn.len());
        let packets: Vec<PacketTick> = (0..100_000)
            .map(|i| PacketTick { packet: i, at: i, units: i as f64, sent: true, conversation: None })
            .collect();
        assert_eq!(ticks(&packets, 0.01).len(), 1000);
    }

    #[test]
    fn what_is_far_apart_or_different_stays_apart() {
        let spans = [span(0.0, Some(1.0), false), span(1.0, Some(50.0), true), span(60.0, None, true)];
        assert_eq!(reach(&bars(&spans, 1.0, 100.0)), [(0.0, 1.0), (1.0, 50.0), (60.0, 100.0)]);
    }
}
