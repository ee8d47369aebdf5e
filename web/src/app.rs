//! The page put together: starts the worker, opens the lab of the address, lays out the panels, listens for keys.

use leptos::ev;
use leptos::prelude::*;
use socketlab_protocol::{Command, Update};
use wasm_bindgen::prelude::*;

use crate::bridge::Bridge;
use crate::components::banner::Banners;
use crate::components::console::Console;
use crate::components::editor::Editor;
use crate::components::header::Header;
use crate::components::help::Help;
use crate::components::icon::{Glyph, Icon};
use crate::components::lan::LanDialog;
use crate::components::lesson::Lesson;
use crate::components::net::Net;
use crate::components::stream::Stream;
use crate::components::timeline::TimelinePanel;
use crate::components::traffic::Traffic;
use crate::glue;
use crate::opening;
use crate::state::{Lens, Page, Pane, TrafficTab};
use crate::texts::{Lang, Texts};

/// The page.
#[component]
pub fn App() -> impl IntoView {
    let texts = Texts(RwSignal::new(first_lang()));
    provide_context(texts);

    let holder = StoredValue::new(None::<Page>);
    let with_page = move |act: &dyn Fn(Page)| {
        if let Some(page) = holder.get_value() {
            act(page);
        }
    };
    let bridge = Bridge::start(
        move |update| with_page(&|page| page.apply(update.clone(), glue::wall_ms())),
        move |reason| with_page(&|page| page.broken.set(Some(reason.clone()))),
    );
    let page = Page::new(bridge);
    holder.set_value(Some(page));
    provide_context(page);

    bridge.send(boot_command());
    opening::open_address(page);
    opening::follow_address(page);
    opening::take_drops(page);
    follow_clock(page);
    listen_for_keys(page);

    view! { <Shell /> }
}

/// The panels, without what makes them live. Tests mount this with updates of their own.
#[component]
pub fn Shell() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let help = RwSignal::new(false);
    Effect::new(move |_| {
        let lang = texts.lang();
        if let Some(root) = glue::root() {
            let _cannot_fail = root.set_attribute("lang", lang.code());
        }
    });
    let on_key = window_event_listener(ev::keydown, move |event| {
        if event.key() == "?" && !is_typing(&event) {
            help.set(true);
        }
    });
    on_cleanup(move || on_key.remove());
    view! {
        <div class="page" data-pane=move || page.pane.get().id()>
            <Header on_help=move || help.set(true) />
            <Banners />
            <Lesson />
            <main class="page__middle">
                <Net />
                <Traffic />
            </main>
            <div class="page__right">
                <Editor />
                <Console />
            </div>
            <TimelinePanel />
            <PaneBar />
        </div>
        <Help open=help />
        <Stream />
        <LanDialog />
    }
}

/// The phone's tab bar.
#[component]
fn PaneBar() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let glyph = |pane| match pane {
        Pane::Lesson => Glyph::Lesson,
        Pane::Net => Glyph::Net,
        Pane::Traffic => Glyph::Traffic,
        Pane::Code => Glyph::Code,
        Pane::Console => Glyph::Console,
    };
    view! {
        <nav class="page__tabbar" role="tablist" aria-label=move || texts.get("pane-bar")>
            {Pane::ALL
                .into_iter()
                .map(|pane| {
                    view! {
                        <button
                            type="button"
                            role="tab"
                            data-testid=format!("pane-{}", pane.id())
                            aria-selected=move || (page.pane.get() == pane).to_string()
                            on:click=move |_| page.pane.set(pane)
                        >
                            <Icon glyph=glyph(pane) />
                            {move || texts.get(&format!("pane-{}", pane.id()))}
                        </button>
                    }
                })
                .collect_view()}
        </nav>
    }
}

/// Chooses the language, for the next visit too.
pub fn choose_lang(texts: Texts, lang: Lang) {
    texts.0.set(lang);
    glue::keep_setting("lang", lang.code());
}

/// From light to dark or back, for the next visit too.
pub fn toggle_theme() {
    let Some(root) = glue::root() else { return };
    let dark = root.get_attribute("data-theme").map_or_else(
        || {
            glue::window()
                .match_media("(prefers-color-scheme: dark)")
                .ok()
                .flatten()
                .is_some_and(|query| query.matches())
        },
        |theme| theme == "dark",
    );
    let next = if dark { "light" } else { "dark" };
    let _cannot_fail = root.set_attribute("data-theme", next);
    glue::keep_setting("theme", next);
}

fn first_lang() -> Lang {
    let kept = glue::setting("lang").or_else(|| glue::window().navigator().language());
    Lang::from_code(&kept.unwrap_or_default())
}

fn boot_command() -> Command {
    let location = glue::window().location();
    let secure = location.protocol().is_ok_and(|protocol| protocol == "https:");
    let scheme = if secure { "wss" } else { "ws" };
    let host = location.host().unwrap_or_default();
    let origin = location.origin().unwrap_or_default();
    let code = class_code().map_or(String::new(), |code| format!("#token={code}"));
    Command::Boot { base: format!("{origin}/python/"), relay: format!("{scheme}://{host}/wisp/{code}") }
}

/// The relay's class code: from the join link (`/#token=...`), else the one that came with an earlier link.
fn class_code() -> Option<String> {
    let fragment = glue::window().location().hash().unwrap_or_default();
    let parts = fragment.trim_start_matches('#').split('&');
    match parts.filter_map(|part| part.strip_prefix("token=")).next() {
        Some(code) => {
            glue::keep_setting("class-code", code);
            Some(code.to_owned())
        }
        None => glue::setting("class-code"),
    }
}

/// Carries the clock on with every frame the browser draws; with reduced motion only what the worker says counts.
fn follow_clock(page: Page) {
    if glue::reduced_motion() {
        return;
    }
    fn next(page: Page) {
        request_animation_frame(move || {
            page.tick(glue::wall_ms());
            next(page);
        });
    }
    next(page);
}

fn is_typing(event: &web_sys::KeyboardEvent) -> bool {
    let Some(target) = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok())
    else {
        return false;
    };
    target.is_content_editable() || matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
}

/// The keys of the whole page. Those that a control uses itself stay with it.
fn listen_for_keys(page: Page) {
    let handle = window_event_listener(ev::keydown, move |event| {
        if event.key() == "F5" {
            event.prevent_default();
            page.run_program(page.program.get_untracked());
            return;
        }
        if event.default_prevented()
            || event.ctrl_key()
            || event.meta_key()
            || event.alt_key()
            || is_typing(&event)
        {
            return;
        }
        let on_control = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|target| {
                target.closest("button, a, summary, [role=row], [role=slider]").ok().flatten().is_some()
            });
        let taken = match event.key().as_str() {
            " " if !on_control => {
                page.toggle_pause();
                true
            }
            "ArrowRight" if event.shift_key() => {
                page.past.set(None);
                page.bridge.send(Command::Step(socketlab_protocol::Step::Call));
                true
            }
            "ArrowRight" => {
                page.step_forward();
                true
            }
            "ArrowLeft" => {
                page.step_back();
                true
            }
            "Home" => {
                page.look_at(0);
                true
            }
            "End" => {
                page.past.set(None);
                true
            }
            "Escape" => {
                page.clear_selection();
                true
            }
            "l" | "L" => {
                let now = page.lens.get_untracked();
                let index = Lens::ALL.iter().position(|lens| *lens == now).unwrap_or(0);
                page.lens.set(Lens::ALL[(index + 1) % Lens::ALL.len()]);
                true
            }
            digit => match digit.parse::<usize>() {
                Ok(number @ 1..=4) => {
                    page.tab.set(TrafficTab::ALL[number - 1]);
                    page.pane.set(Pane::Traffic);
                    true
                }
                _ => false,
            },
        };
        if taken {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

/// Takes in an update as the worker would send it; for tests.
pub fn hear(page: Page, update: Update) {
    page.apply(update, glue::wall_ms());
}
