//! A lab from the disk and to it: pick a folder or files, download the lab and the capture of its run.

use leptos::prelude::*;
use leptos::{ev, html};
use wasm_bindgen::JsCast;

use crate::components::icon::{Glyph, Icon};
use crate::opening;
use crate::state::Page;
use crate::texts::Texts;

/// The menu.
#[component]
pub fn Disk() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let menu = NodeRef::<html::Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let picker = |folder: bool, testid: &'static str, key: &'static str| {
        let input = NodeRef::<html::Input>::new();
        view! {
            <li>
                <button
                    type="button"
                    on:click=move |_| {
                        if let Some(input) = input.get_untracked() {
                            input.click();
                        }
                    }
                >
                    {move || texts.get(key)}
                </button>
                <input
                    type="file"
                    hidden=true
                    multiple=true
                    node_ref=input
                    prop:webkitdirectory=folder
                    data-testid=testid
                    on:change=move |event| {
                        close();
                        if let Some(input) = event.target().and_then(|target| target.dyn_into().ok()) {
                            opening::open_picked(page, input);
                        }
                    }
                />
            </li>
        }
    };
    let nothing_sent = move || page.trace.with(|trace| trace.packets.rows().is_empty());
    let outside = window_event_listener(ev::pointerdown, move |event| {
        let inside = event.target().zip(menu.get_untracked()).is_some_and(|(target, menu)| {
            let target: &wasm_bindgen::JsValue = target.as_ref();
            menu.contains(target.dyn_ref())
        });
        if !inside {
            close();
        }
    });
    on_cleanup(move || outside.remove());
    view! {
        <details
            class="disk"
            node_ref=menu
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    event.stop_propagation();
                    close();
                }
            }
        >
            <summary
                class="button button--quiet button--icon"
                data-testid="disk"
                aria-label=move || texts.get("disk-title")
                title=move || texts.get("disk-title")
            >
                <Icon glyph=Glyph::Folder />
            </summary>
            <ul class="disk__menu">
                {picker(true, "open-folder", "disk-open-folder")}
                {picker(false, "open-files", "disk-open-files")}
                <li>
                    <button
                        type="button"
                        data-testid="download-lab"
                        on:click=move |_| {
                            close();
                            opening::download(page);
                        }
                    >
                        {move || texts.get("disk-download-lab")}
                    </button>
                </li>
                <li>
                    <button
                        type="button"
                        data-testid="download-capture"
                        disabled=nothing_sent
                        on:click=move |_| {
                            close();
                            opening::download_capture(page);
                        }
                    >
                        {move || texts.get("disk-download-capture")}
                    </button>
                </li>
                <li class="disk__note">{move || texts.get("disk-drop")}</li>
            </ul>
        </details>
    }
}
