//! The ladder as a table: for keyboard, screen reader and tests.

use leptos::html;
use leptos::prelude::*;
use socketlab_view::ladder::RowKind;

use crate::components::colour_class;
use crate::components::rows::{MARGIN, Spacer, rows_in_view};
use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::Texts;

/// The table. It is always in the document; on screen only when asked for.
#[component]
pub fn LadderTable(
    /// Show it on screen.
    shown: RwSignal<bool>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let size = size_of(place);
    let top = RwSignal::new(0.0_f64);
    let count = Memo::new(move |_| page.trace.with(|trace| trace.ladder.ladder().rows.len()));
    // Rows in view and some more; of a table that is not on screen, the last ones.
    let window = Memo::new(move |_| {
        let count = count.get();
        if shown.get() {
            rows_in_view(count, top.get(), size.get().1)
        } else {
            (count.saturating_sub(2 * MARGIN), count)
        }
    });
    let class =
        move || if shown.get() { "packets ladder__table" } else { "packets ladder__table hidden-text" };
    view! {
        <div
            class=class
            // Who scrolls it by keyboard has to come to it.
            tabindex=move || shown.get().then_some("0")
            node_ref=place
            on:scroll=move |_| {
                if let Some(element) = place.get_untracked() {
                    top.set(f64::from(element.scroll_top()));
                }
            }
        >
            <table class="packets__table" data-testid="ladder-table" aria-rowcount=move || count.get().to_string()>
                <thead>
                    <tr>
                        {["ladder-time", "ladder-until", "ladder-from", "ladder-to", "ladder-what", "ladder-state"]
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
        </div>
    }
}

#[component]
fn Row(index: usize) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let row = Memo::new(move |_| {
        page.trace.with(|trace| {
            let ladder = trace.ladder.ladder();
            let row = ladder.row(index)?;
            let (conversation, packet, call, ports) = match row.kind {
                RowKind::Arrow { arrow } => {
                    let arrow = ladder.arrows.get(arrow as usize)?;
                    let ports = trace.frame(arrow.event).and_then(|frame| frame.ports);
                    (arrow.conversation, Some(arrow.packet), None, ports)
                }
                RowKind::Call { bracket } => {
                    let call = ladder.calls.get(bracket as usize)?;
                    (call.conversation, None, Some((call.call, call.program)), None)
                }
                RowKind::State { label } => {
                    (ladder.states.get(label as usize)?.conversation, None, None, None)
                }
                RowKind::Gap { .. } => (None, None, None, None),
            };
            Some((row, conversation, packet, call, ports))
        })
    });
    move || {
        let (row, conversation, packet, call, ports) = row.get()?;
        let with_port = |host: String, port: Option<u16>| match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let from = with_port(row.from, ports.map(|(source, _)| source));
        let to = with_port(row.to, ports.map(|(_, destination)| destination));
        let state = row.state.clone();
        let reason = row.reason.clone();
        let word = move || match (state.starts_with("ladder-"), reason.is_empty()) {
            (false, _) => state.clone(),
            (true, true) => texts.get(&state),
            (true, false) => format!("{}: {}", texts.get(&state), texts.get(&reason)),
        };
        let (at, until) = (row.at, row.until);
        let select = move || match (packet, call) {
            (Some(packet), _) => page.select_packet(packet),
            (None, Some((call, program))) => page.select_call(call, program),
            (None, None) => {}
        };
        let selected = move || {
            page.selection.with(|selection| {
                (packet.is_some() && selection.packet == packet)
                    || (call.is_some() && selection.call == call.map(|(call, _)| call))
            })
        };
        Some(view! {
            <tr
                class=format!("packets__row {}", colour_class(conversation))
                role="row"
                tabindex="0"
                aria-selected=move || selected().to_string()
                on:click=move |_| select()
                on:keydown=move |event| {
                    if event.key() == "Enter" || event.key() == " " {
                        event.prevent_default();
                        select();
                    }
                }
            >
                <td>{move || texts.milliseconds(at, 3)}</td>
                <td>{move || until.map(|until| texts.milliseconds(until, 3))}</td>
                <td>{from}</td>
                <td>{to}</td>
                <td class="packets__info">{row.label}</td>
                <td>{word}</td>
            </tr>
        })
    }
}
