//! The traffic three ways (ladder, packets, sockets), with the inspector of the marked packet below.

use leptos::prelude::*;

use crate::components::colour_class;
use crate::components::icon::{Glyph, Icon};
use crate::components::inspector::Inspector;
use crate::components::ladder::Ladder;
use crate::components::packets::Packets;
use crate::components::sockets::Sockets;
use crate::components::tables::Tables;
use crate::components::tcp::SocketInspector;
use crate::state::{Page, TrafficTab};
use crate::texts::Texts;

/// The panel.
#[component]
pub fn Traffic() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let as_table = RwSignal::new(false);
    let tab = move |tab: TrafficTab| page.tab.get() == tab;
    view! {
        <section class="panel traffic" aria-label=move || texts.get("traffic-title")>
            <div class="panel__bar">
                <div class="tabs" role="tablist" aria-label=move || texts.get("traffic-title")>
                    {TrafficTab::ALL
                        .into_iter()
                        .map(|this| {
                            view! {
                                <button
                                    type="button"
                                    class="tabs__tab"
                                    role="tab"
                                    id=this.key()
                                    data-testid=this.key()
                                    aria-controls=format!("{}-panel", this.key())
                                    aria-selected=move || tab(this).to_string()
                                    on:click=move |_| page.tab.set(this)
                                >
                                    {move || texts.get(this.key())}
                                </button>
                            }
                        })
                        .collect_view()}
                </div>
                <span class="grow"></span>
                <Show when=move || tab(TrafficTab::Ladder)>
                    <button
                        type="button"
                        class="button button--quiet button--icon button--small"
                        data-testid="ladder-as-table"
                        aria-pressed=move || as_table.get().to_string()
                        aria-label=move || texts.get("ladder-as-table")
                        title=move || texts.get("ladder-as-table")
                        on:click=move |_| as_table.update(|value| *value = !*value)
                    >
                        <Icon glyph=Glyph::Table />
                    </button>
                </Show>
                <Follow />
            </div>
            <div class="traffic__view">
                <div
                    class="traffic__tab"
                    role="tabpanel"
                    id="tab-ladder-panel"
                    aria-labelledby="tab-ladder"
                    hidden=move || !tab(TrafficTab::Ladder)
                >
                    <Ladder as_table=as_table />
                </div>
                <div
                    class="traffic__tab"
                    role="tabpanel"
                    id="tab-packets-panel"
                    aria-labelledby="tab-packets"
                    hidden=move || !tab(TrafficTab::Packets)
                >
                    <Packets />
                </div>
                <div
                    class="traffic__tab"
                    role="tabpanel"
                    id="tab-sockets-panel"
                    aria-labelledby="tab-sockets"
                    hidden=move || !tab(TrafficTab::Sockets)
                >
                    <Sockets />
                </div>
                <div
                    class="traffic__tab"
                    role="tabpanel"
                    id="tab-tables-panel"
                    aria-labelledby="tab-tables"
                    hidden=move || !tab(TrafficTab::Tables)
                >
                    // Not before it is asked for: its tables change with every frame.
                    <Show when=move || tab(TrafficTab::Tables)>
                        <Tables />
                    </Show>
                </div>
            </div>
            <Inspector />
            <SocketInspector />
        </section>
    }
}

/// Which conversation the ladder follows.
#[component]
fn Follow() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let conversations = Memo::new(move |_| page.trace.with(|trace| trace.conversations().to_vec()));
    let followed = Memo::new(move |_| page.filter.with(|filter| filter.conversation));
    view! {
        <span class=move || format!("follow chip {}", colour_class(followed.get()))>
            <Show when=move || followed.get().is_some()>
                <span class="follow__dot" aria-hidden="true"></span>
            </Show>
            <select
                aria-label=move || texts.get("follow-label")
                data-testid="follow"
                on:change=move |event| {
                    let chosen = event_target_value(&event).parse().ok();
                    page.follow(chosen);
                }
            >
                <option value="" selected=move || followed.get().is_none()>
                    {move || texts.get("follow-all")}
                </option>
                <For
                    each=move || conversations.get()
                    key=|conversation| conversation.number
                    children=move |conversation| {
                        let number = conversation.number;
                        let name = conversation.name.clone();
                        view! {
                            <option value=number.to_string() selected=move || followed.get() == Some(number)>
                                {move || texts.with("follow-one", &[("name", &name)])}
                            </option>
                        }
                    }
                />
            </select>
            <Icon glyph=Glyph::Chevron />
        </span>
    }
}
