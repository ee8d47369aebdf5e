//! The packet list in Wireshark's columns.

use leptos::prelude::*;
use leptos::{ev, html};

use crate::components::colour_class;
use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;

/// Height of a row in CSS pixels, as in packets.css.
const ROW: f64 = 25.0;
/// Rows kept in the document beyond those in view, so that a short run is there as a whole.
const MARGIN: usize = 150;

/// The list.
#[component]
pub fn Packets() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let top = RwSignal::new(0.0_f64);
    let count = Memo::new(move |_| page.trace.with(|trace| trace.packets.rows().len()));
    let window = Memo::new(move |_| {
        let first = ((top.get() / ROW) as usize).saturating_sub(MARGIN);
        let shown = (size.get().1 / ROW) as usize + 2 * MARGIN;
        (first, (first + shown).min(count.get()))
    });
    let step = move |event: ev::KeyboardEvent| {
        let forward = match event.key().as_str() {
            "ArrowDown" => true,
            "ArrowUp" => false,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        let selected = page.selection.with_untracked(|selection| selection.packet);
        let next = page.trace.with_untracked(|trace| {
            let rows = trace.packets.rows();
            let now = selected.and_then(|packet| rows.iter().position(|row| row.packet == packet));
            let next = match (now, forward) {
                (None, _) => 0,
                (Some(index), true) => index + 1,
                (Some(index), false) => index.saturating_sub(1),
            };
            rows.get(next).map(|row| (next, row.packet))
        });
        if let Some((index, packet)) = next {
            page.select_packet(packet);
            keep_in_view(place, index);
        }
    };
    // A packet marked elsewhere is brought into view.
    Effect::new(move |_| {
        let Some(packet) = page.selection.with(|selection| selection.packet) else { return };
        let index = page
            .trace
            .with_untracked(|trace| trace.packets.rows().iter().position(|row| row.packet == packet));
        if let Some(index) = index {
            keep_in_view(place, index);
        }
    });
    view! {
        <div
            class="packets"
            tabindex="0"
            node_ref=place
            on:scroll=move |_| {
                if let Some(element) = place.get_untracked() {
                    top.set(f64::from(element.scroll_top()));
                }
            }
            on:keydown=step
        >
            <table class="packets__table" data-testid="packet-list" aria-rowcount=move || count.get().to_string()>
                <thead>
                    <tr>
                        {["packets-number", "packets-time", "packets-source", "packets-destination", "packets-protocol", "packets-length", "packets-info"]
                            .into_iter()
                            .map(|key| view! { <th scope="col">{move || texts.get(key)}</th> })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>
                    <Spacer rows=Signal::derive(move || window.get().0) />
                    <For
                        each=move || window.get().0..window.get().1
                        key=move |index| (page.trace.with_untracked(|trace| trace.generation), *index)
                        children=move |index| view! { <Row index=index /> }
                    />
                    <Spacer rows=Signal::derive(move || count.get().saturating_sub(window.get().1)) />
                </tbody>
            </table>
            <Show when=move || count.get() == 0>
                <p class="empty">{move || texts.get("packets-empty")}</p>
            </Show>
        </div>
    }
}

/// Stands for rows that are out of view.
#[component]
fn Spacer(rows: Signal<usize>) -> impl IntoView {
    view! {
        <Show when=move || rows.get() != 0>
            <tr aria-hidden="true" style:height=move || format!("{}px", rows.get() as f64 * ROW)></tr>
        </Show>
    }
}

fn keep_in_view(place: NodeRef<html::Div>, index: usize) {
    let Some(element) = place.get_untracked() else { return };
    let (top, height) = (f64::from(element.scroll_top()), f64::from(element.client_height()));
    let row = (index + 1) as f64 * ROW;
    if row < top + ROW {
        element.set_scroll_top((row - ROW) as i32);
    } else if row + ROW > top + height {
        element.set_scroll_top((row + ROW - height) as i32);
    }
}

#[component]
fn Row(index: usize) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let row = Memo::new(move |_| page.trace.with(|trace| trace.packets.rows().get(index).cloned()));
    move || {
        row.get().map(|row| {
            let packet = row.packet;
            let selected = move || page.selection.with(|selection| selection.packet == Some(packet));
            let at = row.at;
            let future = move || page.time.get() < at;
            let rule = row.colour.clone();
            let lost = row.lost.clone();
            view! {
                <tr
                    class=format!("packets__row packets__row--{rule} {}", colour_class(row.conversation))
                    class:packets__row--future=future
                    aria-selected=move || selected().to_string()
                    data-packet=packet.to_string()
                    on:click=move |_| page.select_packet(packet)
                >
                    <td>{row.number}</td>
                    <td>{move || texts.milliseconds(at, 3)}</td>
                    <td>{row.source}</td>
                    <td>{row.destination}</td>
                    <td>{row.protocol}</td>
                    <td>{row.length}</td>
                    <td class="packets__info">
                        {row.info}
                        {lost
                            .map(|reason| {
                                view! {
                                    <span class="packets__lost">
                                        {move || texts.with("packets-lost", &[("reason", &texts.get(&reason))])}
                                    </span>
                                }
                            })}
                    </td>
                </tr>
            }
        })
    }
}
