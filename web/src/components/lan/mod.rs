//! The shared LAN: who is in the room, what is open on their hosts, how to join; for a teacher also what each member
//! sends and what is open to real servers, and the means to mute it, to put it out and to end a connection.

pub mod form;
pub mod member;
pub mod real;

use leptos::html;
use leptos::prelude::*;
use socketlab_protocol::{Command, LanNotice, LanPhase};

use crate::components::icon::{Glyph, Icon};
use crate::opening;
use crate::state::Page;
use crate::texts::Texts;
use form::Form;
use member::Member;
use real::RealStreams;

/// The button in the header; with the number of members once a room is joined.
#[component]
pub fn LanButton() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let count = Memo::new(move |_| page.lan.with(|lan| lan.members.len()));
    view! {
        <button
            type="button"
            class="button button--quiet lan-button"
            data-testid="lan"
            data-phase=move || phase_word(page.lan.with(|lan| lan.phase))
            aria-label=move || texts.get("lan-title")
            title=move || texts.get("lan-title")
            on:click=move |_| page.lan_open.set(true)
        >
            <Icon glyph=Glyph::People />
            <Show when=move || count.get() != 0>
                <span class="lan-button__count">{move || count.get().to_string()}</span>
            </Show>
        </button>
    }
}

const fn phase_word(phase: LanPhase) -> &'static str {
    match phase {
        LanPhase::Out => "out",
        LanPhase::Joining => "joining",
        LanPhase::In => "in",
        LanPhase::Waiting { .. } => "waiting",
    }
}

/// Whether a notice says that the room is left for good.
fn is_final(key: &str) -> bool {
    matches!(key, "lan-thrown-out" | "lan-turned-away") || is_about_code(key)
}

/// Whether a notice says that the relay wants another class code.
fn is_about_code(key: &str) -> bool {
    matches!(key, "lan-code-wanted" | "lan-code-wrong" | "lan-code-withdrawn")
}

/// The dialog.
#[component]
pub fn LanDialog() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let open = page.lan_open;
    let teaches = opening::teaches();
    if teaches {
        // A dialog opens only once it is in the document.
        request_animation_frame(move || open.set(true));
    }
    // Kept nowhere but here.
    let word = RwSignal::new(String::new());
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            let _open_already = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    let phase = Memo::new(move |_| page.lan.with(|lan| lan.phase));
    let teacher = Memo::new(move |_| page.lan.with(|lan| lan.members.iter().any(|m| m.me && m.teacher)));
    // What stands in the page is behind the dialog: why one is out again is said here too.
    let turned_away = Memo::new(move |_| {
        page.lan_says.with(|says| says.iter().rev().find(|said| is_final(&said.key)).cloned())
    });
    let state = move || {
        let room = page.lan.with(|lan| lan.room.clone());
        match phase.get() {
            LanPhase::Out => match turned_away.get() {
                Some(LanNotice { key, args }) => {
                    let args: Vec<(&str, &str)> =
                        args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    texts.with(&key, &args)
                }
                None => texts.get("lan-out"),
            },
            LanPhase::Joining => texts.with("lan-joining", &[("room", &room)]),
            LanPhase::In if teacher.get() => texts.with("lan-in-teacher", &[("room", &room)]),
            LanPhase::In => texts.with("lan-in", &[("room", &room)]),
            LanPhase::Waiting { .. } => texts.with("lan-waiting", &[("room", &room)]),
        }
    };
    view! {
        <dialog class="lan" aria-labelledby="lan-title" node_ref=dialog on:close=move |_| open.set(false)>
            <div class="lan__box">
                <header class="lan__bar">
                    <h2 id="lan-title">{move || texts.get("lan-title")}</h2>
                    <Show when=move || phase.get() != LanPhase::Out>
                        <button
                            type="button"
                            class="button button--small"
                            data-testid="lan-leave"
                            on:click=move |_| page.bridge.send(Command::LeaveLan)
                        >
                            {move || texts.get("lan-leave")}
                        </button>
                    </Show>
                    <button
                        type="button"
                        class="button button--quiet button--icon"
                        data-testid="lan-close"
                        aria-label=move || texts.get("close")
                        on:click=move |_| open.set(false)
                    >
                        <Icon glyph=Glyph::Close />
                    </button>
                </header>
                <p
                    role="status"
                    class="lan__state"
                    class:lan__state--warn=move || phase.get() == LanPhase::Out && turned_away.with(Option::is_some)
                    data-testid="lan-state"
                    data-phase=move || phase_word(phase.get())
                >
                    {state}
                </p>
                <Show when=move || open.get() && phase.get() == LanPhase::Out>
                    <Form teaches=teaches word=word />
                </Show>
                <ul class="lan__members" data-testid="lan-roster">
                    <For
                        each=move || page.lan.with(|lan| lan.members.iter().map(|m| m.id.clone()).collect::<Vec<_>>())
                        key=|id| id.clone()
                        children=move |id| view! { <Member id=id teacher=teacher /> }
                    />
                </ul>
                <Show when=move || open.get() && teacher.get() && !word.with(String::is_empty)>
                    <RealStreams word=word />
                </Show>
            </div>
        </dialog>
    }
}
