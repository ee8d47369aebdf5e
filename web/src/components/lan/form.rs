//! How to join a room: its name, one's own name; where needed the class code and the teacher's word.

use leptos::prelude::*;
use socketlab_protocol::{Command, LanJoin};

use crate::glue;
use crate::state::Page;
use crate::texts::Texts;

/// The form.
#[component]
pub fn Form(
    /// The fields for the class code and the teacher's word are shown at once.
    teaches: bool,
    /// The teacher's word.
    word: RwSignal<String>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let kept = |name: &str| RwSignal::new(glue::setting(name).unwrap_or_default());
    let room = kept("room");
    // The lab's own room, also if the lab is loaded only now.
    Effect::new(move |_| {
        if let Some(offered) = page.lan_port.get().flatten() {
            room.set(offered);
        }
    });
    let name = kept("name");
    let code = kept("class-code");
    // As docs/lan.md has it.
    let is_room = move || {
        room.with(|room| {
            (1..=48).contains(&room.len())
                && room.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        })
    };
    let code_is_asked = Memo::new(move |_| {
        page.lan_says.with(|says| says.iter().any(|said| super::is_about_code(&said.key)))
    });
    let ready = move || is_room() && !name.with(|name| name.trim().is_empty());
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let join = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if !ready() {
            return;
        }
        glue::keep_setting("room", &room.get_untracked());
        glue::keep_setting("name", &name.get_untracked());
        page.lan_says.set(Vec::new());
        let code = given(code.get_untracked());
        // The way out to real servers asks for the same one.
        if let Some(code) = &code {
            glue::keep_setting("class-code", code);
            page.bridge.send(Command::SetCode { code: code.clone() });
        }
        page.bridge.send(Command::JoinLan(LanJoin {
            room: room.get_untracked(),
            name: name.get_untracked().trim().to_owned(),
            key: glue::tab_secret(),
            code,
            teacher: given(word.get_untracked()),
        }));
    };
    let field = move |key: &'static str,
                      testid: &'static str,
                      value: RwSignal<String>,
                      kind: &'static str,
                      most: u32| {
        view! {
            <label class="lan__field">
                <span>{move || texts.get(key)}</span>
                <input
                    type=kind
                    data-testid=testid
                    maxlength=most.to_string()
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || value.get()
                    on:input=move |event| value.set(event_target_value(&event))
                />
            </label>
        }
    };
    view! {
        <form class="lan__form" on:submit=join>
            {field("lan-room", "lan-room", room, "text", 48)}
            {field("lan-name", "lan-name", name, "text", 32)}
            <Show when=move || !room.with(String::is_empty) && !is_room()>
                <p class="lan__hint" role="status">{move || texts.get("lan-bad-room")}</p>
            </Show>
            <details class="lan__more" open=move || teaches || code_is_asked.get()>
                <summary>{move || texts.get("lan-more")}</summary>
                <div class="lan__form">
                    {field("lan-code", "lan-code", code, "text", 128)}
                    {field("lan-word", "lan-word", word, "password", 128)}
                </div>
            </details>
            <p class="lan__hint">
                {move || texts.get(if page.lan_port.with(Option::is_some) { "lan-restarts" } else { "lan-adds-port" })}
            </p>
            <button type="submit" class="button button--primary" data-testid="lan-join" disabled=move || !ready()>
                {move || texts.get("lan-join")}
            </button>
        </form>
    }
}
