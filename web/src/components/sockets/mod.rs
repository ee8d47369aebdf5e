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
                    host.sockets.iter().map(move |row| Line::of(host.node, &name, row))
                })
                .collect::<Vec<Line>>()
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
                        key=|line| line.clone()
                        children=move |line| view! { <Row line=line /> }
                    />
                </tbody>
            </table>
            <Show when=move || rows.with(Vec::is_empty)>
                <p class="empty">{move || texts.get("sockets-empty")}</p>
            </Show>
        </div>
    }
}

/// What a row shows; it is drawn anew when any of it changes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Line {
    node: u32,
    socket: u32,
    host: String,
    netid: String,
    state: String,
    recv_q: u64,
    send_q: u64,
    local: String,
    peer: String,
    process: String,
    conversation: Option<u32>,
    in_accept_queue: bool,
}

impl Line {
    fn of(node: u32, host: &str, row: &SocketRow) -> Line {
        Line {
            node,
            socket: row.socket,
            host: host.to_owned(),
            netid: row.netid.clone(),
            state: row.state.clone(),
            recv_q: row.recv_q,
            send_q: row.send_q,
            local: row.local.clone(),
            peer: row.peer.clone(),
            process: row.process.clone(),
            conversation: row.conversation,
            in_accept_queue: row.in_accept_queue,
        }
    }
}

#[component]
fn Row(line: Line) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let Line { node, socket, host, conversation, .. } = line.clone();
    let row = line;
    let selected = move || {
        page.selection.with(|selection| match selection.socket {
            Some(marked) => marked == (node, socket),
            None => conversation.is_some() && selection.conversation == conversation,
        })
    };
    let listening = row.state == "LISTEN";
    let queue_title = move |key: &'static str| listening.then(|| texts.get(key));
    let kernel = row.process.is_empty();
    let in_queue = row.in_accept_queue;
    view! {
        <tr
            class=format!("packets__row {}", colour_class(conversation))
            tabindex="0"
            aria-selected=move || selected().to_string()
            on:click=move |_| page.select_socket(node, socket, conversation)
            on:keydown=move |event| {
                if event.key() == "Enter" || event.key() == " " {
                    event.prevent_default();
                    page.select_socket(node, socket, conversation);
                }
            }
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
