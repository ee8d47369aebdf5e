//! The map in words: a list of hosts and ports, and a log of what arrives while one steps.

use leptos::prelude::*;
use socketlab_protocol::RunState;
use socketlab_view::EventKind;
use socketlab_view::topology::PortBadge;

use super::link::link_name;
use super::node::address;
use crate::state::Page;
use crate::texts::Texts;

/// The map in words.
#[component]
pub fn Twin(
    /// Ports in use.
    badges: Memo<Vec<PortBadge>>,
) -> impl IntoView {
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
                    let addresses = match node.addresses.len() {
                        0 => address(page, index as u32, node),
                        _ => node.addresses.join(", "),
                    };
                    let text = format!("{} {} – {ports}", node.name, addresses);
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
    let links = move || {
        let count = page.lab.with(|lab| lab.topology.links.len()) as u32;
        (0..count)
            .map(|link| {
                let name = move || texts.with("link-title", &[("name", &link_name(page, link))]);
                view! {
                    <li>
                        <button type="button" data-testid=format!("link-{link}") on:click=move |_| page.open_link.set(Some(link))>
                            {name}
                        </button>
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <div class="hidden-text net__twin">
            <ul data-testid="net-list">{hosts}</ul>
            <ul>{links}</ul>
        </div>
    }
}

/// Says what has just arrived while one steps. At speed it would only be noise.
#[component]
pub fn Spoken() -> impl IntoView {
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
                EventKind::FrameSent(frame) if frame.frame == wanted => Some(&**frame),
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
