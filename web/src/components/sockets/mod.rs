//! The sockets of every host, in the columns and spelling of ss(8).

use leptos::prelude::*;
use socketlab_view::SocketRow;

use crate::components::colour_class;
use crate::state::Page;
use crate::texts::Texts;

const COLUMNS: [&str; 8] = [
    "sockets-host",
    "sockets-netid",
    "sockets-state",
    "sockets-recv-q",
    "sockets-send-q",
    "sockets-local",
    "sockets-peer",
    "sockets-process",
];

/// The table.
#[component]
pub fn Sockets() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let rows = Memo::new(move |_| {
        let names =
            page.lab.with(|lab| lab.topology.nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>());
        page.sockets.with(|sockets| {
            sockets
                .hosts
                .iter()
                .flat_map(|host| {
                    let name = names.get(host.node as usize).cloned().unwrap_or_default();
                    host.sockets.iter().map(move |row| (name.clone(), row.clone()))
                })
                .collect::<Vec<(String, SocketRow)>>()
        })
    });
    view! {
        <div class="packets">
            <table class="packets__table sockets__table" data-testid="sockets-table">
                <thead>
                    <tr>
                        {COLUMNS
                            .into_iter()
                            .map(|key| {
                                view! {
                                    <th scope="col" title=move || texts.get(&format!("{key}-title"))>
                                        {move || texts.get(key)}
                                    </th>
                                }
                            })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>
                    <For
                        each=move || rows.get()
                        key=|row| format!("{row:?}")
                        children=move |(host, row)| view! { <Row host=host row=row /> }
                    />
                </tbody>
            </table>
            <Show when=move || rows.with(Vec::is_empty)>
                <p class="empty">{move || texts.get("sockets-empty")}</p>
            </Show>
        </div>
    }
}

#[component]
fn Row(host: String, row: SocketRow) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let conversation = row.conversation;
    let selected = move || {
        conversation.is_some() && page.selection.with(|selection| selection.conversation == conversation)
    };
    let listening = row.state == "LISTEN";
    let queue_title = move |key: &'static str| listening.then(|| texts.get(key));
    let kernel = row.process.is_empty();
    let in_queue = row.in_accept_queue;
    view! {
        <tr
            class=format!("packets__row {}", colour_class(conversation))
            aria-selected=move || selected().to_string()
            on:click=move |_| page.select_conversation(conversation)
        >
            <td>{host}</td>
            <td>{row.netid}</td>
            <td class="sockets__state">{row.state}</td>
            <td title=move || queue_title("sockets-recv-q-listen")>{row.recv_q}</td>
            <td title=move || queue_title("sockets-send-q-listen")>{row.send_q}</td>
            <td>{row.local}</td>
            <td>{row.peer}</td>
            <td>
                {if kernel {
                    view! {
                        <span class="sockets__kernel">
                            {move || texts.get(if in_queue { "sockets-in-queue" } else { "sockets-kernel" })}
                        </span>
                    }
                        .into_any()
                } else {
                    row.process.into_any()
                }}
            </td>
        </tr>
    }
}
