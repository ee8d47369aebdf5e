//! Congestion window, flight and round-trip time over the run so far. The text twin is a table of the same samples.

use leptos::html;
use leptos::prelude::*;
use socketlab_view::history::History;

use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;

/// Most samples that are drawn or listed: more than there are pixels. Of more, evenly many are left out.
const MOST: usize = 400;
/// Height of a graph, in CSS pixels.
const HEIGHT: f64 = 96.0;
/// Room for figures left of it.
const LEFT: f64 = 52.0;

/// A moment of a connection: octets and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    at: u64,
    cwnd: u64,
    ssthresh: Option<u64>,
    flight: u64,
    srtt: Option<u64>,
    rto: u64,
}

/// The samples of a socket until `now`, thinned out.
fn samples(history: &History, node: u32, socket: u32, now: u64) -> Vec<Sample> {
    let states = history.socket(node, socket);
    let upto = states.partition_point(|(at, _)| *at <= now);
    let all = states[..upto].iter().filter_map(|(at, row)| {
        let tcb = row.as_ref()?.tcb.as_ref()?;
        Some(Sample {
            at: *at,
            cwnd: tcb.cwnd.into(),
            ssthresh: (tcb.ssthresh < 0x7fff_ffff).then_some(tcb.ssthresh.into()),
            flight: tcb.flight().into(),
            srtt: tcb.srtt,
            rto: tcb.rto,
        })
    });
    let all: Vec<Sample> = all.collect();
    let step = all.len().div_ceil(MOST).max(1);
    let last = all.len().checked_sub(1);
    all.iter().enumerate().filter(|(i, _)| i % step == 0 || Some(*i) == last).map(|(_, s)| *s).collect()
}

/// A line that keeps each value until the next one, as an SVG path in a box of this size; `top` is its upper edge.
fn steps(
    points: &[(u64, Option<u64>)],
    (from, to): (u64, u64),
    top: u64,
    (width, height): (f64, f64),
) -> String {
    let x = |at: u64| (at.saturating_sub(from)) as f64 / (to.saturating_sub(from)).max(1) as f64 * width;
    let y = |value: u64| height - value as f64 / top.max(1) as f64 * height;
    let mut path = String::new();
    let mut on = false;
    for (at, value) in points {
        let Some(value) = value else {
            on = false;
            continue;
        };
        if on {
            path.push_str(&format!("H{:.1}V{:.1}", x(*at), y(*value)));
        } else {
            path.push_str(&format!("M{:.1} {:.1}", x(*at), y(*value)));
        }
        on = true;
    }
    if on {
        path.push_str(&format!("H{:.1}", x(to)));
    }
    path
}

/// A round number at or above the largest value.
fn round_up(largest: u64) -> u64 {
    let magnitude = 10_u64.pow(largest.max(1).ilog10());
    [1, 2, 5, 10].into_iter().map(|m| m * magnitude).find(|top| *top >= largest).unwrap_or(u64::MAX)
}

/// One curve: its class and text key, and its value.
type Curve = (&'static str, fn(&Sample) -> Option<u64>);

const OCTETS: [Curve; 3] =
    [("cwnd", |s| Some(s.cwnd)), ("flight", |s| Some(s.flight)), ("ssthresh", |s| s.ssthresh)];
const TIMES: [Curve; 2] = [("srtt", |s| s.srtt), ("rto", |s| Some(s.rto))];

/// Both graphs and their twin.
#[component]
pub fn Graphs(
    /// Index of the node.
    node: u32,
    /// Its number on the node.
    socket: u32,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let drawn = Memo::new(move |_| {
        let now = page.past.get().unwrap_or(u64::MAX);
        page.history.with(|history| samples(history, node, socket, now))
    });
    let graph = move |key: &'static str, curves: &'static [Curve], written: fn(Texts, u64) -> String| {
        let picture = move || {
            let width = (size.get().0 - LEFT - 12.0).max(40.0);
            drawn.with(|samples| {
                let from = samples.first().map_or(0, |s| s.at);
                let to = samples.last().map_or(0, |s| s.at).max(page.time.get()).max(from + 1);
                // A threshold far above the window would press the rest to the ground.
                let scaled = &curves[..2.min(curves.len())];
                let values = samples.iter().flat_map(|s| scaled.iter().filter_map(|(_, of)| of(s)));
                let top = round_up(values.max().unwrap_or(1));
                let lines = curves.iter().map(|(class, of)| {
                    let points: Vec<_> =
                        samples.iter().map(|s| (s.at, of(s).filter(|value| *value <= top))).collect();
                    let path = steps(&points, (from, to), top, (width, HEIGHT));
                    view! { <path class=format!("tcp__curve tcp__curve--{class}") d=path /> }
                });
                view! {
                    <svg class="tcp__graph" width=size.get().0 height=HEIGHT + 34.0 aria-hidden="true">
                        <g transform=format!("translate({LEFT} 8)")>
                            <path class="tcp__axis" d=format!("M0 0V{HEIGHT}H{width}") />
                            <text class="code tcp__tick" x="-6" y="8" text-anchor="end">{written(texts, top)}</text>
                            <text class="code tcp__tick" x="-6" y=HEIGHT text-anchor="end">"0"</text>
                            <text class="code tcp__tick" x="0" y=HEIGHT + 16.0>{texts.milliseconds(from, 1)}</text>
                            <text class="code tcp__tick" x=width y=HEIGHT + 16.0 text-anchor="end">
                                {texts.milliseconds(to, 1)} " ms"
                            </text>
                            {lines.collect_view()}
                        </g>
                    </svg>
                }
            })
        };
        view! {
            <figure class="tcp__figure-box">
                <figcaption>
                    <b>{move || texts.get(key)}</b>
                    {curves
                        .iter()
                        .map(|(class, _)| {
                            view! {
                                <span class="tcp__legend">
                                    <svg width="18" height="8" aria-hidden="true">
                                        <path class=format!("tcp__curve tcp__curve--{class}") d="M0 4H18" />
                                    </svg>
                                    {*class}
                                </span>
                            }
                        })
                        .collect_view()}
                </figcaption>
                {picture}
            </figure>
        }
    };
    let twin = move || {
        drawn.with(|samples| {
            samples
                .iter()
                .map(|sample| {
                    let rest = |nanos: Option<u64>| nanos.map(|nanos| texts.duration(nanos));
                    view! {
                        <tr>
                            <td>{texts.milliseconds(sample.at, 3)}</td>
                            <td>{sample.cwnd}</td>
                            <td>{sample.flight}</td>
                            <td>{sample.ssthresh}</td>
                            <td>{rest(sample.srtt)}</td>
                            <td>{rest(Some(sample.rto))}</td>
                        </tr>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <div class="tcp__graphs" node_ref=place>
            {graph("tcp-graph-octets", &OCTETS, |texts, octets| texts.count(octets))}
            {graph("tcp-graph-times", &TIMES, |texts, nanos| texts.duration(nanos))}
            <div class="hidden-text">
                <table data-testid="tcp-samples">
                    <caption>{move || texts.get("tcp-samples")}</caption>
                    <thead>
                        <tr>
                            <th scope="col">{move || texts.get("packets-time")}</th>
                            {["cwnd", "flight", "ssthresh", "srtt", "rto"]
                                .map(|name| view! { <th scope="col">{name}</th> })
                                .collect_view()}
                        </tr>
                    </thead>
                    <tbody>{twin}</tbody>
                </table>
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_value_holds_until_the_next_one() {
        let path = steps(&[(0, Some(10)), (50, Some(20))], (0, 100), 20, (100.0, 40.0));
        assert_eq!(path, "M0.0 20.0H50.0V0.0H100.0");
    }

    #[test]
    fn what_is_not_known_is_not_drawn() {
        let path = steps(&[(0, None), (50, Some(5)), (60, None), (80, Some(5))], (0, 100), 10, (100.0, 10.0));
        assert_eq!(path, "M50.0 5.0M80.0 5.0H100.0");
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0, 1, 3, 14_600, 65_535].map(round_up), [1, 1, 5, 20_000, 100_000]);
    }
}
