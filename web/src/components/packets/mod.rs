//! The packet list in Wireshark's columns.

use leptos::prelude::*;
use leptos::{ev, html};
use socketlab_view::{Filter, FilterError};

use crate::components::colour_class;
use crate::components::rows::{ROW, Spacer, rows_in_view};
use crate::components::size::size_of;
use crate::state::Page;
use crate::state::trace::Trace;
use crate::texts::Texts;

/// The list.
#[component]
pub fn Packets() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let top = RwSignal::new(0.0_f64);
    let count = Memo::new(move |_| page.trace.with(Trace::listed));
    let window = Memo::new(move |_| rows_in_view(count.get(), top.get(), size.get().1));
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
            let next = match (selected.and_then(|packet| trace.line_of(packet)), forward) {
                (None, _) => 0,
                (Some(line), true) => line + 1,
                (Some(line), false) => line.saturating_sub(1),
            };
            trace.listed_row(next).map(|row| (next, row.packet))
        });
        if let Some((index, packet)) = next {
            page.select_packet(packet);
            keep_in_view(place, index);
        }
    };
    // A packet marked elsewhere is brought into view.
    Effect::new(move |_| {
        let Some(packet) = page.selection.with(|selection| selection.packet) else { return };
        let index = page.trace.with_untracked(|trace| trace.line_of(packet));
        if let Some(index) = index {
            keep_in_view(place, index);
        }
    });
    view! {
        <DisplayFilter />
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

/// The filter's line: green while it is understood, red with the reason while it is not.
#[component]
fn DisplayFilter() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let written = RwSignal::new(String::new());
    let problem = RwSignal::new(None::<FilterError>);
    let read = move |text: String| {
        match Filter::new(&text) {
            Ok(filter) => {
                problem.set(None);
                let filter = (!filter.is_empty()).then_some(filter);
                page.trace.update(|trace| trace.set_display_filter(filter));
            }
            // What was shown before stays while one writes.
            Err(error) => problem.set(Some(error)),
        }
        written.set(text);
    };
    let class = move || match (problem.with(Option::is_some), written.with(String::is_empty)) {
        (true, _) => "filter__input filter__input--bad",
        (false, false) => "filter__input filter__input--good",
        (false, true) => "filter__input",
    };
    let sentence = move || {
        problem.get().map(|error| {
            let (key, args) = error.problem.key();
            let args: Vec<(&str, &str)> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
            texts.with(key, &args)
        })
    };
    let figure = move || {
        let (listed, all) = page.trace.with(|trace| (trace.listed(), trace.packets.rows().len()));
        (listed != all).then(|| {
            texts.with("packets-shown", &[("shown", &listed.to_string()), ("all", &all.to_string())])
        })
    };
    view! {
        <div class="filter">
            <input
                type="text"
                class=class
                data-testid="filter"
                spellcheck="false"
                autocapitalize="off"
                autocomplete="off"
                placeholder="tcp.port == 80 && tcp.flags.syn == 1"
                aria-label=move || texts.get("packets-filter")
                aria-invalid=move || problem.with(Option::is_some).to_string()
                aria-describedby="filter-says"
                prop:value=move || written.get()
                on:input=move |event| read(event_target_value(&event))
                on:keydown=move |event| {
                    if event.key() == "Escape" {
                        event.stop_propagation();
                        read(String::new());
                    }
                }
            />
            <span class="filter__says" id="filter-says" role="status" data-testid="filter-says">
                {move || sentence().or_else(figure)}
            </span>
        </div>
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
    let row = Memo::new(move |_| page.trace.with(|trace| trace.listed_row(index).cloned()));
    move || {
        row.get().map(|row| {
            let packet = row.packet;
            let selected = move || page.selection.with(|selection| selection.packet == Some(packet));
            let at = row.at;
            let future = move || page.time.get() < at;
            let rule = row.colour.clone();
            let lost = row.lost.clone();
            let info = row.info.clone();
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
                    <td class="packets__info" title=info>
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
