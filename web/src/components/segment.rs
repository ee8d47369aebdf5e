//! A row of choices of which one is taken, with the arrow keys of a radio group.

use leptos::prelude::*;
use leptos::{ev, html};
use wasm_bindgen::JsCast;

/// One choice: its value and how it is written now.
#[derive(Clone)]
pub struct Choice<T> {
    /// What is chosen.
    pub value: T,
    /// How it is written, tracked.
    pub label: Signal<String>,
    /// The end of its `data-testid`.
    pub id: &'static str,
}

/// The row.
#[component]
pub fn Segment<T>(
    /// The choices, from left to right.
    choices: Vec<Choice<T>>,
    /// Which is taken.
    #[prop(into)]
    value: Signal<T>,
    /// Another was taken.
    on_choose: impl Fn(T) + Copy + Send + Sync + 'static,
    /// The row's name for a screen reader.
    #[prop(into)]
    label: Signal<String>,
    /// Lower buttons, for a panel's bar.
    #[prop(optional)]
    small: bool,
    /// `data-testid`.
    #[prop(optional)]
    testid: &'static str,
) -> impl IntoView
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    let group = NodeRef::<html::Div>::new();
    let values: Vec<T> = choices.iter().map(|choice| choice.value).collect();
    let count = values.len();
    let on_key = move |event: ev::KeyboardEvent| {
        let step = match event.key().as_str() {
            "ArrowRight" | "ArrowDown" => 1,
            "ArrowLeft" | "ArrowUp" => count - 1,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        let now = values.iter().position(|candidate| *candidate == value.get_untracked()).unwrap_or(0);
        let next = (now + step) % count;
        on_choose(values[next]);
        let button = group.get_untracked().and_then(|group| group.children().item(next as u32));
        if let Some(button) = button.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _gone = button.focus();
        }
    };
    view! {
        <div
            class=if small { "segment segment--small" } else { "segment" }
            role="radiogroup"
            aria-label=move || label.get()
            data-testid=testid
            node_ref=group
            on:keydown=on_key
        >
            {choices
                .into_iter()
                .map(|choice| {
                    let taken = move || value.get() == choice.value;
                    view! {
                        <button
                            type="button"
                            class="segment__item"
                            role="radio"
                            data-testid=format!("{testid}-{}", choice.id)
                            aria-checked=move || taken().to_string()
                            tabindex=move || if taken() { "0" } else { "-1" }
                            on:click=move |_| on_choose(choice.value)
                        >
                            {move || choice.label.get()}
                        </button>
                    }
                })
                .collect_view()}
        </div>
    }
}
