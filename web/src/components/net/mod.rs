//! The map of the network: hosts and their ports, links, and the frames that travel on them, seen through the lens of
//! one layer. Its text twin is a list of hosts and ports, and a log of what arrives while one steps.

pub mod badge;
mod frame;
pub mod layout;

use leptos::prelude::*;
use leptos::{ev, html};
use socketlab_protocol::RunState;
use socketlab_view::topology::{self, BadgeShape, Flight, PortBadge, Side};
use socketlab_view::{EventKind, NodeKind, TopologyNode};
use wasm_bindgen::JsCast;

use crate::components::colour_class;
use crate::components::editor::LifeDot;
use crate::components::segment::{Choice, Segment};
use crate::components::size::size_of;
use crate::state::{Lens, Page, Pane};
use crate::texts::Texts;
use layout::{NAME_LINES, Need, PORT_LINE, Rect};

/// Lines of ports that a box shows before it says how many more there are.
const MOST_LINES: usize = 6;

/// A node ready to be drawn.
#[derive(Clone, PartialEq)]
struct Drawn {
    index: u32,
    node: TopologyNode,
    side: Side,
    rect: Rect,
    dot: bool,
    /// Ports drawn on the edge towards the network.
    edge: Vec<PortBadge>,
    /// Ports drawn as lines in the box.
    lines: Vec<PortBadge>,
    /// Ports that found no room.
    more: usize,
    subtitle: String,
}

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
            .filter_map(|link| {
                let (a, b) = ends(&rects, link.ends.0, link.ends.1)?;
                Some(view! { <line class="net__link" x1=a.0 y1=a.1 x2=b.0 y2=b.1 /> })
            })
            .collect_view()
    };
    let frames = move || {
        let rects = rects.get();
        let lens = page.lens.get();
        let followed = page.selection.with(|selection| selection.conversation);
        let marked = page.selection.with(|selection| selection.packet);
        let emphasis = Emphasis { followed, marked };
        let dots = drawn.with(|drawn| drawn.iter().map(|node| node.dot).collect::<Vec<_>>());
        let mut frames: Vec<frame::Drawn> = flights.with(|flights| {
            let prepared = flights.iter().filter_map(|flight| {
                let (a, b) = ends(&rects, flight.from, flight.to)?;
                let mut frame = frame::prepare(page, texts, flight, lens, emphasis);
                let steep = (b.1 - a.1).abs() > (b.0 - a.0).abs();
                let reach = if steep { layout::FRAME / 2.0 } else { frame.width / 2.0 };
                let keep = |node: u32| {
                    let dot = dots.get(node as usize).copied().unwrap_or(false);
                    if dot { 0.0 } else { reach + 8.0 }
                };
                frame.at = layout::on_link(a, b, flight.progress, (keep(flight.from), keep(flight.to)));
                Some(frame)
            });
            prepared.collect()
        });
        let mut places: Vec<((f64, f64), f64)> = frames.iter().map(|frame| (frame.at, frame.width)).collect();
        layout::apart(&mut places, size.get_untracked().1);
        for (frame, (at, _)) in frames.iter_mut().zip(places) {
            frame.at = at;
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

/// The line below a node's name, by lens.
fn subtitle(page: Page, lens: Lens, index: u32, node: &TopologyNode) -> String {
    let addresses = || {
        let shown = node.addresses.first().map(String::as_str).unwrap_or_default();
        shown.split('/').next().unwrap_or_default().to_owned()
    };
    match lens {
        Lens::Application => page.lab.with(|lab| {
            let files = node.programs.iter().filter_map(|program| lab.programs.get(*program as usize));
            files.map(|program| program.file.clone()).collect::<Vec<_>>().join(", ")
        }),
        Lens::Transport | Lens::Network => addresses(),
        Lens::Link => page.trace.with(|trace| trace.mac_of(index).map(str::to_owned)).unwrap_or_else(|| {
            if matches!(node.kind, NodeKind::Switch | NodeKind::Hub) { String::new() } else { addresses() }
        }),
    }
}

fn draw(
    nodes: &[TopologyNode],
    places: &[topology::Place],
    badges: &[PortBadge],
    lens: Lens,
    size: (f64, f64),
    subtitle: &dyn Fn(u32, &TopologyNode) -> String,
) -> Vec<Drawn> {
    let with_ports = matches!(lens, Lens::Application | Lens::Transport);
    let mut drawn: Vec<Drawn> = nodes
        .iter()
        .zip(places)
        .enumerate()
        .map(|(index, (node, place))| {
            let index = index as u32;
            let mut own: Vec<PortBadge> = if with_ports {
                badges.iter().filter(|badge| badge.node == index).cloned().collect()
            } else {
                Vec::new()
            };
            let on_edge = place.side == Side::Clients && own.len() <= 2;
            let more = if on_edge { 0 } else { own.len().saturating_sub(MOST_LINES) };
            own.truncate(own.len() - more);
            let (edge, lines) = if on_edge { (own, Vec::new()) } else { (Vec::new(), own) };
            Drawn {
                index,
                node: node.clone(),
                side: place.side,
                rect: Rect::default(),
                dot: match node.kind {
                    NodeKind::Switch | NodeKind::Hub => lens != Lens::Link,
                    NodeKind::Router => with_ports,
                    NodeKind::Host | NodeKind::Gateway => false,
                },
                edge,
                lines,
                more,
                subtitle: subtitle(index, node),
            }
        })
        .collect();
    let needs: Vec<Need> = drawn
        .iter()
        .map(|node| Need {
            kind: node.node.kind,
            lines: node.lines.len() + usize::from(node.more > 0),
            chars: node
                .lines
                .iter()
                .map(|badge| line_text(badge).chars().count())
                .chain([node.node.name.chars().count() + 2, node.subtitle.chars().count()])
                .max()
                .unwrap_or(0),
            dot: node.dot,
        })
        .collect();
    for (node, rect) in drawn.iter_mut().zip(layout::boxes(places, &needs, size)) {
        node.rect = rect;
    }
    drawn
}

/// A port's line in a box: `:80 LISTEN 1/5`, `:13402 ESTAB`.
fn line_text(badge: &PortBadge) -> String {
    match (badge.queue, badge.peer_port) {
        (Some((waiting, backlog)), _) => format!(":{} {} {waiting}/{backlog}", badge.port, badge.state),
        (None, Some(peer)) => format!(":{peer} {}", badge.state),
        (None, None) => format!(":{} {}", badge.port, badge.netid.to_uppercase()),
    }
}

#[component]
fn Node(
    node: Drawn,
    rects: Memo<Vec<Rect>>,
    links: Memo<Vec<socketlab_view::TopologyLink>>,
) -> impl IntoView {
    let page = Page::here();
    let Drawn { index, node, side, rect, dot, edge, lines, more, subtitle } = node;
    let Rect { x, y, w, h } = rect;
    if dot {
        let (cx, cy) = rect.middle();
        return view! {
            <circle class="net__dot" cx=cx cy=cy r="5" />
            <text class="net__dot-name" x=cx y=cy + 21.0 text-anchor="middle">{node.name}</text>
        }
        .into_any();
    }
    // A narrow box, on an upright screen, has room for its name only.
    let narrow = w < 100.0;
    // The colour of its one conversation, if it has just one.
    let colours: Vec<Option<u32>> = edge.iter().map(|badge| badge.conversation).collect();
    let colour = match colours.as_slice() {
        [one] => *one,
        _ => None,
    };
    let program = node.programs.first().copied();
    let listens = lines.iter().any(|badge| badge.shape == BadgeShape::Listening);
    let link_side = move || {
        let rects = rects.get();
        let other = links.with(|links| {
            links.iter().find_map(|link| match link.ends {
                (a, b) if a == index => Some(b),
                (a, b) if b == index => Some(a),
                _ => None,
            })
        });
        let towards = other.and_then(|other| rects.get(other as usize)).map_or((x, y), Rect::middle);
        rect.port_towards(towards)
    };
    // Beside the link: above it, or below the box where links leave downward.
    let number_at = if narrow { (9.0, 15.0) } else { (11.0, -9.0) };
    let edge_ports = edge
        .into_iter()
        .enumerate()
        .map(|(row, badge)| {
            let conversation = badge.conversation;
            let drop = row as f64 * 18.0;
            let colour = colour_class(badge.conversation);
            view! {
                <g
                    class=format!("net__port {colour}")
                    transform=move || {
                        let (px, py) = link_side();
                        format!("translate({px:.1} {:.1})", py + drop)
                    }
                    on:click=move |_| page.select_conversation(conversation)
                >
                    {badge::shape(badge.shape)}
                    <text class="code net__port-number" x=number_at.0 y=number_at.1>{badge.port}</text>
                </g>
            }
        })
        .collect_view();
    let port_lines = lines
        .into_iter()
        .enumerate()
        .map(|(row, badge)| {
            let conversation = badge.conversation;
            let top = NAME_LINES + 4.0 + row as f64 * PORT_LINE + PORT_LINE / 2.0;
            let text = line_text(&badge);
            view! {
                <g
                    class=format!("net__port {}", colour_class(conversation))
                    transform=format!("translate({:.1} {:.1})", x + 18.0, y + top)
                    on:click=move |_| page.select_conversation(conversation)
                >
                    {badge::shape(badge.shape)}
                    <text class="code" x="13" y="4">{text}</text>
                </g>
            }
        })
        .collect_view();
    let more_line = (more > 0).then(|| {
        let top = NAME_LINES + 4.0 + MOST_LINES as f64 * PORT_LINE + 13.0;
        view! { <text class="muted" x=x + 14.0 y=y + top>{format!("+ {more}")}</text> }
    });
    let ring = listens.then(|| {
        view! {
            <g transform=move || {
                let (px, py) = link_side();
                format!("translate({px:.1} {py:.1})")
            }>
                <circle class="net__ring" r="7" />
            </g>
        }
    });
    let class = match node.kind {
        NodeKind::Host => "net__box",
        NodeKind::Switch | NodeKind::Hub => "net__box net__box--switch",
        NodeKind::Router => "net__box net__box--router",
        NodeKind::Gateway => "net__box net__box--gateway",
    };
    let selected = move || program.is_some_and(|program| page.program.get() == program);
    let inset = if narrow { 8.0 } else { 13.0 };
    let life = program.filter(|_| !narrow).map(|program| {
        view! {
            <foreignObject x=x + w - 21.0 y=y + 9.0 width="12" height="12">
                <LifeDot program=program />
            </foreignObject>
        }
    });
    // In a crowded map a box has room for its name only.
    let address = (h >= NAME_LINES).then(|| {
        view! {
            <text class="code muted net__address" x=x + inset y=y + 33.0>
                {subtitle}
            </text>
        }
    });
    let cloud = (node.kind == NodeKind::Gateway).then(|| {
        view! {
            <path
                class="net__cloud"
                transform=format!("translate({:.1} {:.1})", x + w - 34.0, y + 12.0)
                d="M6.5 16h12a4.5 4.5 0 0 0 .6-9 6.5 6.5 0 0 0-12.4-1.2A5.2 5.2 0 0 0 6.5 16z"
            />
        }
    });
    let _ = side;
    view! {
        <g
            class=format!("net__node {}", colour_class(colour))
            class:net__node--chosen=selected
            on:click=move |_| {
                if let Some(program) = program {
                    page.program.set(program);
                }
            }
            on:dblclick=move |_| page.pane.set(Pane::Code)
        >
            <rect class=class x=x y=y width=w height=h rx="9" />
            {cloud}
            <text class="net__name" x=x + inset y=y + 18.0>{node.name}</text>
            {address}
            {life}
        </g>
        {port_lines}
        {more_line}
        {edge_ports}
        {ring}
    }
    .into_any()
}

/// The map in words.
#[component]
fn Twin(badges: Memo<Vec<PortBadge>>) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let hosts = move || {
        let badges = badges.get();
        page.lab.with(|lab| {
            lab.topology
                .nodes
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    let ports: Vec<String> = badges
                        .iter()
                        .filter(|badge| badge.node == index as u32)
                        .map(|badge| match badge.peer_port {
                            Some(peer) => format!("{} {} → {peer} {}", badge.netid, badge.port, badge.state),
                            None => format!("{} {} {}", badge.netid, badge.port, badge.state),
                        })
                        .collect();
                    let ports = if ports.is_empty() { texts.get("net-no-ports") } else { ports.join("; ") };
                    let text = format!("{} {} – {ports}", node.name, node.addresses.join(", "));
                    let program = node.programs.first().copied();
                    match program {
                        Some(program) => view! {
                            <li>
                                <button type="button" on:click=move |_| page.program.set(program)>{text}</button>
                            </li>
                        }
                        .into_any(),
                        None => view! { <li>{text}</li> }.into_any(),
                    }
                })
                .collect_view()
        })
    };
    view! { <ul class="hidden-text net__twin" data-testid="net-list">{hosts}</ul> }
}

/// Says what has just arrived while one steps. At speed it would only be noise.
#[component]
fn Spoken() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let sentence = move || {
        if page.run.get() != RunState::Paused {
            return String::new();
        }
        page.trace.with(|trace| {
            let delivered = trace.events().iter().rev().take(40).find_map(|event| match &event.kind {
                EventKind::FrameDelivered { frame } => Some(*frame),
                _ => None,
            });
            let Some(wanted) = delivered else { return String::new() };
            let found = trace.events().iter().rev().find_map(|event| match &event.kind {
                EventKind::FrameSent(frame) if frame.frame == wanted => Some(frame),
                _ => None,
            });
            let Some(frame) = found else { return String::new() };
            let end = |address: &str, port: Option<u16>| {
                port.map_or_else(|| address.to_owned(), |p| format!("{address}:{p}"))
            };
            texts.with(
                "net-arrived",
                &[
                    ("label", &frame.label),
                    ("from", &end(&frame.source, frame.ports.map(|(source, _)| source))),
                    ("to", &end(&frame.destination, frame.ports.map(|(_, destination)| destination))),
                ],
            )
        })
    };
    view! { <p class="hidden-text" aria-live="polite">{sentence}</p> }
}

/// Is there something to draw for a flight in this lens, and what?
pub(crate) fn has_payload(flight: &Flight) -> bool {
    flight.detail.starts_with('"')
}
