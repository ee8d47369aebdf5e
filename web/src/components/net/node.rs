//! A node of the map: what its box shows through a lens, and how that is drawn.

use leptos::prelude::*;
use socketlab_view::topology::{self, BadgeShape, PortBadge, Side};
use socketlab_view::{NodeKind, TopologyNode};

use super::badge;
use super::layout::{self, NAME_LINES, Need, PORT_LINE, Rect};
use crate::components::colour_class;
use crate::components::editor::LifeDot;
use crate::state::{Lens, Page, Pane};

/// Lines of ports that a box shows before it says how many more there are.
const MOST_LINES: usize = 6;

/// A node ready to be drawn.
#[derive(Clone, PartialEq)]
pub struct Drawn {
    pub(super) index: u32,
    node: TopologyNode,
    pub(super) rect: Rect,
    dot: bool,
    /// Ports drawn on the edge towards the network.
    pub(super) edge: Vec<PortBadge>,
    /// Ports drawn as lines in the box.
    pub(super) lines: Vec<PortBadge>,
    /// Ports that found no room.
    more: usize,
    pub(super) subtitle: String,
}

/// Distance that a frame keeps from a box, in CSS pixels.
pub(super) const BESIDE_BOX: f64 = 8.0;
/// The same from a box whose port's number stands beside the link.
const BESIDE_NUMBER: f64 = 50.0;

impl Drawn {
    /// How far frames keep from it sideways; none: they run over it.
    pub(super) fn margin(&self) -> Option<f64> {
        match (self.dot, self.edge.is_empty()) {
            (true, _) => None,
            (false, true) => Some(BESIDE_BOX),
            (false, false) => Some(BESIDE_NUMBER),
        }
    }
}

/// A node's first address: by the lab file, else the one that it was lent; empty: it has none (yet).
pub(super) fn address(page: Page, index: u32, node: &TopologyNode) -> String {
    match node.addresses.first() {
        Some(shown) => shown.split('/').next().unwrap_or_default().to_owned(),
        None if node.kind == NodeKind::Host => page.lent_address(index),
        None => String::new(),
    }
}

/// The line below a node's name, by lens.
pub(super) fn subtitle(page: Page, lens: Lens, index: u32, node: &TopologyNode) -> String {
    let addresses = || address(page, index, node);
    match lens {
        Lens::Application => page.lab.with(|lab| {
            let files = node.programs.iter().filter_map(|program| lab.programs.get(*program as usize));
            files.map(|program| program.file.clone()).collect::<Vec<_>>().join(", ")
        }),
        Lens::Transport | Lens::Network => addresses(),
        Lens::Link => page.trace.with(|trace| trace.mac_of(index).map(str::to_owned)).unwrap_or_else(|| {
            if matches!(node.kind, NodeKind::Switch | NodeKind::Hub | NodeKind::Lan) {
                String::new()
            } else {
                addresses()
            }
        }),
    }
}

/// Decides for every node what is drawn, and where.
pub(super) fn draw(
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
                rect: Rect::default(),
                dot: match node.kind {
                    NodeKind::Switch | NodeKind::Hub => lens != Lens::Link,
                    NodeKind::Router => with_ports,
                    NodeKind::Host | NodeKind::Gateway | NodeKind::Lan => false,
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
            bare: node.subtitle.is_empty() && matches!(node.node.kind, NodeKind::Switch | NodeKind::Hub),
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

/// A node as it is drawn.
#[component]
pub fn Node(
    /// The node.
    node: Drawn,
    /// Boxes of all nodes.
    rects: Memo<Vec<Rect>>,
    /// The links.
    links: Memo<Vec<socketlab_view::TopologyLink>>,
) -> impl IntoView {
    let page = Page::here();
    let Drawn { index, node, rect, dot, edge, lines, more, subtitle } = node;
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
        NodeKind::Gateway | NodeKind::Lan => "net__box net__box--gateway",
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
    let cloud = matches!(node.kind, NodeKind::Gateway | NodeKind::Lan).then(|| {
        view! {
            <path
                class="net__cloud"
                transform=format!("translate({:.1} {:.1})", x + w - 34.0, y + 12.0)
                d="M6.5 16h12a4.5 4.5 0 0 0 .6-9 6.5 6.5 0 0 0-12.4-1.2A5.2 5.2 0 0 0 6.5 16z"
            />
        }
    });
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
