//! The map of the network: hosts and their ports, links, and the frames that travel on them, seen through the lens of
//! one layer. Its text twin is a list of hosts and ports, and a log of what arrives while one steps.

pub mod badge;
mod frame;
pub mod layout;
pub mod link;
pub mod node;
pub mod twin;

use leptos::prelude::*;
use leptos::{ev, html};
use socketlab_view::TopologyNode;
use socketlab_view::topology::{self, Flight};
use wasm_bindgen::JsCast;

use crate::components::segment::{Choice, Segment};
use crate::components::size::size_of;
use crate::state::{Lens, Page};
use crate::texts::Texts;
use layout::Rect;
use link::LinkForm;
use node::{BESIDE_BOX, Drawn, Node, draw, subtitle};
use twin::{Spoken, Twin};

/// The panel.
#[component]
pub fn Net() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let badges = Memo::new(move |_| page.sockets.with(topology::badges));
    let places =
        Memo::new(move |_| page.lab.with(|lab| topology::layout(&lab.topology, &lab.program_infos())));
    let drawn = Memo::new(move |_| {
        let lens = page.lens.get();
        let size = size.get();
        if size.0 < 10.0 {
            return Vec::new();
        }
        page.lab.with(|lab| {
            places.with(|places| {
                badges.with(|badges| {
                    let subtitle = |index: u32, node: &TopologyNode| subtitle(page, lens, index, node);
                    draw(&lab.topology.nodes, places, badges, lens, size, &subtitle)
                })
            })
        })
    });
    let rects =
        Memo::new(move |_| drawn.with(|drawn| drawn.iter().map(|node| node.rect).collect::<Vec<_>>()));
    let links = Memo::new(move |_| page.lab.with(|lab| lab.topology.links.clone()));
    let flights = Memo::new(move |_| {
        let now = page.time.get();
        page.trace.with(|trace| trace.flights.at(now))
    });
    let lenses = Lens::ALL
        .into_iter()
        .map(|lens| Choice {
            value: lens,
            label: Signal::derive(move || texts.get(lens.key())),
            id: lens.key().trim_start_matches("lens-"),
        })
        .collect::<Vec<_>>();
    let lines = move || {
        let rects = rects.get();
        links
            .get()
            .into_iter()
            .enumerate()
            .filter_map(|(index, link)| {
                let (a, b) = ends(&rects, link.ends.0, link.ends.1)?;
                let cut = move || page.links.with(|links| links.get(index).is_some_and(|link| link.cut));
                let open = move || page.open_link.get() == Some(index as u32);
                let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
                Some(view! {
                    <g class="net__cable" class:net__cable--cut=cut class:net__cable--on=open data-link=index.to_string()>
                        <line class="net__link-hit" x1=a.0 y1=a.1 x2=b.0 y2=b.1 />
                        <line class="net__link" x1=a.0 y1=a.1 x2=b.0 y2=b.1 />
                        <Show when=cut>
                            <path class="net__lost" d=format!("M{:.1} {:.1}l14 14m0 -14l-14 14", middle.0 - 7.0, middle.1 - 7.0) />
                        </Show>
                    </g>
                })
            })
            .collect_view()
    };
    let frames = move || {
        let rects = rects.get();
        let lens = page.lens.get();
        let followed = page.selection.with(|selection| selection.conversation);
        let marked = page.selection.with(|selection| selection.packet);
        let emphasis = Emphasis { followed, marked };
        let margins = drawn.with(|drawn| drawn.iter().map(Drawn::margin).collect::<Vec<_>>());
        let mut frames: Vec<frame::Drawn> = flights.with(|flights| {
            let prepared = flights.iter().filter_map(|flight| {
                let (a, b) = ends(&rects, flight.from, flight.to)?;
                let mut frame = frame::prepare(page, texts, flight, lens, emphasis);
                let steep = (b.1 - a.1).abs() > (b.0 - a.0).abs();
                let reach = if steep { layout::FRAME / 2.0 } else { frame.width / 2.0 };
                let keep = |node: u32| {
                    let margin = margins.get(node as usize).copied().flatten();
                    margin.map_or(0.0, |margin| reach + if steep { BESIDE_BOX } else { margin })
                };
                frame.at = layout::on_link(a, b, flight.progress, (keep(flight.from), keep(flight.to)));
                Some(frame)
            });
            prepared.collect()
        });
        let mut places: Vec<((f64, f64), f64)> = frames.iter().map(|frame| (frame.at, frame.width)).collect();
        let roomy = layout::apart(&mut places, size.get_untracked().1, &rects);
        for ((frame, (at, _)), large) in frames.iter_mut().zip(places).zip(roomy) {
            if large {
                frame.at = at;
            } else {
                frame.shrink();
            }
        }
        let size = size.get_untracked();
        frames.into_iter().map(|frame| frame::draw(frame, size)).collect_view()
    };
    // One listener for all frames: they come and go many times a second.
    let on_click = move |event: ev::MouseEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let frame = target.and_then(|target| target.closest("[data-packet]").ok().flatten());
        let packet =
            frame.and_then(|frame| frame.get_attribute("data-packet")).and_then(|text| text.parse().ok());
        if let Some(packet) = packet {
            page.select_packet(packet);
            return;
        }
        let cable = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .and_then(|target| target.closest("[data-link]").ok().flatten());
        let link =
            cable.and_then(|cable| cable.get_attribute("data-link")).and_then(|text| text.parse().ok());
        if link.is_some() {
            page.open_link.set(link);
        }
    };
    view! {
        <section class="panel net" aria-label=move || texts.get("net-title")>
            <div class="panel__bar">
                <h2 class="panel__title">{move || texts.get("net-title")}</h2>
                <Segment
                    choices=lenses
                    value=page.lens
                    on_choose=move |lens| page.lens.set(lens)
                    label=Signal::derive(move || texts.get("net-lens"))
                    small=true
                    testid="lens"
                />
                <span class="grow"></span>
                <span class="net__unit">{move || texts.get(&format!("{}-unit", page.lens.get().key()))}</span>
            </div>
            <div class="net__map" node_ref=place on:click=on_click>
                <svg width=move || size.get().0 height=move || size.get().1 aria-hidden="true">
                    <g>{lines}</g>
                    <g>
                        <For
                            each=move || drawn.get()
                            key=|node| {
                                let badges = node.edge.iter().chain(&node.lines).map(|badge| format!("{badge:?}"));
                                (node.index, badges.collect::<String>(), format!("{:?}{}", node.rect, node.subtitle))
                            }
                            children=move |node| view! { <Node node=node rects=rects links=links /> }
                        />
                    </g>
                    <g>{frames}</g>
                </svg>
            </div>
            <LinkForm />
            <Twin badges=badges />
            <Spoken />
        </section>
    }
}

/// What stands out among the frames.
#[derive(Clone, Copy)]
pub struct Emphasis {
    /// Only this conversation, if there is one.
    pub followed: Option<u32>,
    /// This packet.
    pub marked: Option<u64>,
}

/// Where the line between two nodes begins and ends.
fn ends(rects: &[Rect], from: u32, to: u32) -> Option<((f64, f64), (f64, f64))> {
    let (a, b) = (rects.get(from as usize)?, rects.get(to as usize)?);
    Some((a.port_towards(b.middle()), b.port_towards(a.middle())))
}

/// Is there something to draw for a flight in this lens, and what?
pub(crate) fn has_payload(flight: &Flight) -> bool {
    flight.detail.starts_with('"')
}
