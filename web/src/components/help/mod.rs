//! The help dialog: what the page shows, and its keys.

use leptos::html;
use leptos::prelude::*;

use crate::components::icon::{Glyph, Icon};
use crate::texts::Texts;

/// Keys as written on the keyboard, and the key of what they do.
const KEYS: [(&[&str], &str); 10] = [
    (&["Space"], "help-key-pause"),
    (&["→"], "help-key-step"),
    (&["←"], "help-key-back"),
    (&["Shift", "→"], "help-key-call"),
    (&["Home", "End"], "help-key-ends"),
    (&["1", "2", "3", "4"], "help-key-tabs"),
    (&["L"], "help-key-lens"),
    (&["F5"], "help-key-run"),
    (&["Esc"], "help-key-escape"),
    (&["?"], "help-key-help"),
];

/// The dialog.
#[component]
pub fn Help(
    /// Is it open?
    open: RwSignal<bool>,
) -> impl IntoView {
    let texts = Texts::here();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            let _open_already = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog
            class="help"
            aria-labelledby="help-title"
            node_ref=dialog
            on:close=move |_| open.set(false)
            on:click=move |event| {
                // A click beside the dialog's box hits the dialog itself.
                let on_backdrop = dialog.get_untracked().is_some_and(|dialog| {
                    event.target().is_some_and(|target| target == *AsRef::<web_sys::EventTarget>::as_ref(&dialog))
                });
                if on_backdrop {
                    open.set(false);
                }
            }
        >
            <div class="help__box">
                <header class="help__bar">
                    <h2 id="help-title">{move || texts.get("help-title")}</h2>
                    <button
                        type="button"
                        class="button button--quiet button--icon"
                        aria-label=move || texts.get("close")
                        on:click=move |_| open.set(false)
                    >
                        <Icon glyph=Glyph::Close />
                    </button>
                </header>
                <p>{move || texts.get("help-what")}</p>
                <h3>{move || texts.get("help-signs")}</h3>
                <ul class="help__signs">
                    {["listen", "connecting", "open", "closing", "time-wait"]
                        .into_iter()
                        .map(|sign| {
                            view! {
                                <li>
                                    <svg width="20" height="20" viewBox="-10 -10 20 20" class="c0" aria-hidden="true">
                                        {crate::components::net::badge::shape_named(sign)}
                                    </svg>
                                    {move || texts.get(&format!("help-sign-{sign}"))}
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
                <ul class="help__signs">
                    {[("a", "A"), ("t", "T"), ("n", "N"), ("l", "L")]
                        .into_iter()
                        .map(|(id, letter)| {
                            view! {
                                <li>
                                    <span class=format!("layer layer--{id}") aria-hidden="true">{letter}</span>
                                    {move || texts.get(&format!("help-layer-{id}"))}
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
                <h3>{move || texts.get("help-keys")}</h3>
                <dl class="help__keys">
                    {KEYS
                        .into_iter()
                        .map(|(keys, what)| {
                            view! {
                                <dt>{keys.iter().map(|key| view! { <kbd>{*key}</kbd> }).collect_view()}</dt>
                                <dd>{move || texts.get(what)}</dd>
                            }
                        })
                        .collect_view()}
                </dl>
                <p class="help__note">{move || texts.get("help-editor")}</p>
            </div>
        </dialog>
    }
}
