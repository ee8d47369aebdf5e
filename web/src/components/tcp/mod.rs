//! The marked socket: every field of its TCB at the time shown, its buffers and windows as bars, its timers running
//! down, and how congestion window, flight and round-trip time went.

mod fields;
pub mod graph;
pub mod real;
pub mod window;

use leptos::prelude::*;
use socketlab_view::{SocketRow, TcbView};

use crate::components::colour_class;
use crate::components::icon::{Glyph, Icon};
use crate::state::Page;
use crate::texts::Texts;
use fields::Field;
use graph::Graphs;
use real::RealEnd;
use window::Windows;

/// The panel below the traffic, while a socket is marked.
#[component]
pub fn SocketInspector() -> impl IntoView {
    let page = Page::here();
    let marked = Memo::new(move |_| page.selection.with(|selection| selection.socket));
    move || marked.get().map(|(node, socket)| view! { <Opened node=node socket=socket /> })
}

#[component]
fn Opened(node: u32, socket: u32) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let row = Memo::new(move |_| {
        page.sockets.with(|sockets| {
            let host = sockets.hosts.iter().find(|host| host.node == node)?;
            host.sockets.iter().find(|row| row.socket == socket).cloned()
        })
    });
    let tcb = Memo::new(move |_| row.with(|row| row.as_ref().and_then(|row| row.tcb.clone())));
    let host =
        move || page.lab.with(|lab| lab.topology.nodes.get(node as usize).map(|node| node.name.clone()));
    let title = move || {
        let host = host().unwrap_or_default();
        row.with(|row| match row {
            Some(row) => format!("{host} · {} {} → {} · {}", row.netid, row.local, row.peer, row.state),
            None => texts.with("tcp-gone", &[("host", &host)]),
        })
    };
    let class = move || {
        let conversation = row.with(|row| row.as_ref().and_then(|row| row.conversation));
        format!("inspector tcp {}", colour_class(conversation))
    };
    view! {
        <section class=class data-testid="tcp-inspector" aria-label=move || texts.get("tcp-title")>
            <div class="inspector__bar">
                <h3>{move || texts.get("tcp-title")}</h3>
                <span class="inspector__status code">{title}</span>
                <span class="grow"></span>
                <button
                    type="button"
                    class="button button--quiet button--icon button--small"
                    aria-label=move || texts.get("close")
                    title=move || texts.get("close")
                    on:click=move |_| page.clear_selection()
                >
                    <Icon glyph=Glyph::Close />
                </button>
            </div>
            <div class="tcp__parts" tabindex="0" role="group" aria-label=move || texts.get("tcp-title")>
                <div class="tcp__column">
                    <RealEnd row=row tcb=tcb />
                    <Buffers row=row />
                    <Windows tcb=tcb />
                    <Timers row=row />
                    <Fields tcb=tcb />
                </div>
                <Show when=move || tcb.with(Option::is_some)>
                    <Graphs node=node socket=socket />
                </Show>
            </div>
        </section>
    }
}

/// What lies in the buffers, as a part of their sizes.
#[component]
fn Buffers(row: Memo<Option<SocketRow>>) -> impl IntoView {
    let texts = Texts::here();
    let listens = move || row.with(|row| row.as_ref().is_some_and(|row| row.state == "LISTEN"));
    let bar = move |key: &'static str, of: fn(&SocketRow) -> (u64, u64)| {
        let filled = Memo::new(move |_| row.with(|row| row.as_ref().map(of).unwrap_or_default()));
        let percent = move || {
            let (used, size) = filled.get();
            (used as f64 * 100.0 / size.max(1) as f64).min(100.0)
        };
        let words = move || {
            let (used, size) = filled.get();
            texts.with("tcp-of", &[("used", &texts.count(used)), ("size", &texts.count(size))])
        };
        view! {
            <div class="tcp__bar">
                <span class="tcp__name" title=move || texts.get(&format!("{key}-title"))>{move || texts.get(key)}</span>
                <span class="tcp__trough" aria-hidden="true">
                    <span class="tcp__fill" style:width=move || format!("{:.2}%", percent())></span>
                </span>
                <span class="tcp__figure code" data-testid=key>{words}</span>
            </div>
        }
    };
    let head = move || {
        row.with(|row| {
            let row = row.as_ref().filter(|row| !row.recv_head.is_empty())?;
            let text = String::from_utf8_lossy(&row.recv_head).escape_debug().to_string();
            let more = if row.recv_q > row.recv_head.len() as u64 { "…" } else { "" };
            Some(format!("\"{text}\"{more}"))
        })
    };
    let as_listener = move || {
        view! {
            {bar("tcp-accept-queue", |row| (row.recv_q, row.send_q + 1))}
            <p class="tcp__line">
                {move || {
                    let half_open = row.with(|row| row.as_ref().map_or(0, |row| row.syn_queue));
                    texts.with("tcp-syn-queue", &[("count", &half_open.to_string())])
                }}
            </p>
        }
    };
    let as_end = move || {
        view! {
            {bar("tcp-recv-buffer", |row| (row.recv_q, row.recv_buffer))}
            {move || head().map(|head| view! { <p class="tcp__head code">{head}</p> })}
            {bar("tcp-send-buffer", |row| (row.send_q, row.send_buffer))}
        }
    };
    move || if listens() { as_listener().into_any() } else { as_end().into_any() }
}

/// Timers that run, with what is left of them at the time shown.
#[component]
fn Timers(row: Memo<Option<SocketRow>>) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let timers =
        Memo::new(move |_| row.with(|row| row.as_ref().map(|row| row.timers.clone()).unwrap_or_default()));
    move || {
        timers
            .get()
            .into_iter()
            .map(|(key, deadline)| {
                let left = move || texts.duration(deadline.saturating_sub(page.time.get()));
                view! {
                    <p class="tcp__line tcp__timer">
                        <span>{move || texts.get(&key)}</span>
                        <span class="tcp__figure code">{left}</span>
                    </p>
                }
            })
            .collect_view()
    }
}

/// The TCB, field by field.
#[component]
fn Fields(tcb: Memo<Option<TcbView>>) -> impl IntoView {
    let texts = Texts::here();
    let present = Memo::new(move |_| tcb.with(Option::is_some));
    let field = move |field: Field| {
        let value = Memo::new(move |_| {
            let lang = texts.lang();
            tcb.with(|tcb| tcb.as_ref().map(|tcb| (field.value)(tcb, lang)).unwrap_or_default())
        });
        view! {
            <div class="tcp__field" title=move || texts.get(&format!("tcp-{}", field.id))>
                <dt class="code">{field.name}</dt>
                <dd class="code" data-testid=format!("tcp-{}", field.id)>{move || value.get()}</dd>
            </div>
        }
    };
    view! {
        <Show when=move || present.get()>
            {fields::GROUPS
                .iter()
                .map(|(key, group)| {
                    view! {
                        <h4 class="tcp__group">{move || texts.get(key)}</h4>
                        <dl class="tcp__fields">{group.iter().map(|one| field(*one)).collect_view()}</dl>
                    }
                })
                .collect_view()}
        </Show>
    }
}
