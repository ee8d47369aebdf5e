//! Each node's tables as the commands of Linux would print them: interfaces, routes, neighbours, and what routers and
//! switches keep.

use leptos::prelude::*;
use socketlab_view::NodeTable;

use crate::state::Page;
use crate::texts::Texts;

/// The tab.
#[component]
pub fn Tables() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let nodes = Memo::new(move |_| {
        let names =
            page.lab.with(|lab| lab.topology.nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>());
        page.sockets.with(|sockets| {
            let named = |node: u32| names.get(node as usize).cloned().unwrap_or_default();
            let hosts = sockets.hosts.iter().map(|host| (host.node, named(host.node), host.tables.clone()));
            hosts.collect::<Vec<(u32, String, Vec<NodeTable>)>>()
        })
    });
    let chosen = RwSignal::new(0_u32);
    // The host of the open program, until another is chosen.
    Effect::new(move |_| {
        let program = page.program.get();
        let node = page.lab.with(|lab| lab.programs.get(program as usize).map(|program| program.node));
        chosen.set(node.unwrap_or_default());
    });
    let shown = Memo::new(move |_| {
        let chosen = chosen.get();
        nodes.with(|nodes| nodes.iter().find(|(node, ..)| *node == chosen).map(|(.., tables)| tables.clone()))
    });
    view! {
        <div class="tables" data-testid="tables">
            <nav class="tables__nodes" aria-label=move || texts.get("tables-nodes")>
                <For
                    each=move || nodes.with(|nodes| nodes.iter().map(|(node, name, _)| (*node, name.clone())).collect::<Vec<_>>())
                    key=|node| node.clone()
                    children=move |(node, name)| {
                        let testid = format!("tables-{name}");
                        view! {
                            <button
                                type="button"
                                class="tables__node"
                                aria-pressed=move || (chosen.get() == node).to_string()
                                data-testid=testid
                                on:click=move |_| chosen.set(node)
                            >
                                {name}
                            </button>
                        }
                    }
                />
            </nav>
            <div class="tables__body" tabindex="0" role="region" aria-label=move || texts.get("tab-tables")>
                {move || match shown.get() {
                    Some(tables) => {
                        tables.into_iter().map(|table| view! { <OneTable table=table /> }).collect_view().into_any()
                    }
                    None => view! { <p class="tables__empty">{move || texts.get("tables-none")}</p> }.into_any(),
                }}
            </div>
        </div>
    }
}

#[component]
fn OneTable(table: NodeTable) -> impl IntoView {
    let texts = Texts::here();
    let NodeTable { key, columns, rows } = table;
    let empty = rows.is_empty();
    let heading = key.clone();
    let command = move || match key.as_str() {
        "table-interfaces" => "ip addr",
        "table-routes" => "ip route",
        "table-neighbours" => "ip neigh",
        "table-switch" => "bridge fdb",
        "table-nat" => "conntrack -L",
        "table-firewall" => "iptables -L",
        _ => "",
    };
    view! {
        <h3 class="tables__title">
            {move || texts.get(&heading)}
            <code class="code">{command()}</code>
        </h3>
        {if empty {
            view! { <p class="tables__empty">{move || texts.get("tables-empty")}</p> }.into_any()
        } else {
            view! {
                <table class="packets__table tables__table">
                    <thead>
                        <tr>
                            {columns
                                .into_iter()
                                .map(|column| view! { <th scope="col">{move || texts.get(&column)}</th> })
                                .collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        {rows
                            .into_iter()
                            .map(|row| {
                                view! { <tr>{row.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view()}</tr> }
                            })
                            .collect_view()}
                    </tbody>
                </table>
            }
                .into_any()
        }}
    }
}
