//! The bar at the top: which lab, run and time, share, language, theme, help.

use leptos::prelude::*;
use socketlab_protocol::{RunState, Speed, Step};

use crate::components::disk::Disk;
use crate::components::icon::{Glyph, Icon};
use crate::components::lan::LanButton;
use crate::components::segment::{Choice, Segment};
use crate::state::Page;
use crate::texts::{Lang, Texts};

/// The paces to choose from: id, thousandths of the normal pace (0: as fast as the machine can), label key.
const SPEEDS: [(&str, u32, &str); 5] = [
    ("250", 250, "speed-quarter"),
    ("500", 500, "speed-half"),
    ("1000", 1000, "speed-normal"),
    ("2000", 2000, "speed-double"),
    ("instant", 0, "speed-instant"),
];

const STEPS: [(&str, Step, &str); 3] = [
    ("event", Step::Event, "step-event"),
    ("packet", Step::Packet, "step-packet"),
    ("call", Step::Call, "step-call"),
];

/// The bar.
#[component]
pub fn Header(
    /// The help dialog was asked for.
    on_help: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <header class="header page__header">
            <div class="header__brand">
                <Logo />
                <span class="header__name">"Socketlab"</span>
            </div>
            <LabPicker />
            <Transport />
            <Settings on_help=on_help />
        </header>
    }
}

/// Two linked rings: a socket is one end of a two-way link.
#[component]
fn Logo() -> impl IntoView {
    view! {
        <svg class="header__logo" width="38" height="24" viewBox="0 0 38 24" aria-hidden="true">
            <defs>
                <linearGradient id="logo-blue" x1="0" y1="0" x2="1" y2="1">
                    <stop stop-color="#4a9cf0" />
                    <stop offset="1" stop-color="#0b5cb0" />
                </linearGradient>
                <linearGradient id="logo-green" x1="0" y1="0" x2="1" y2="1">
                    <stop stop-color="#35c495" />
                    <stop offset="1" stop-color="#0a7a59" />
                </linearGradient>
            </defs>
            <g fill="none" stroke-width="5">
                <circle cx="13" cy="12" r="8.5" stroke="url(#logo-blue)" />
                <circle cx="25" cy="12" r="8.5" stroke="url(#logo-green)" />
                <path d="M13 3.5a8.5 8.5 0 0 1 8.5 8.5" stroke="url(#logo-blue)" />
            </g>
        </svg>
    }
}

#[component]
fn LabPicker() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let title = move |lab: &socketlab_lab::ShippedLab| match texts.lang() {
        Lang::En => lab.en.title,
        Lang::Sv => lab.sv.title,
    };
    let options = move || {
        socketlab_lab::library()
            .iter()
            .map(|lab| {
                let taken = page.lab_name.get() == lab.name;
                view! { <option value=lab.name selected=taken>{title(lab)}</option> }
            })
            .collect_view()
    };
    view! {
        <label class="header__lab">
            <span class="header__lab-word">{move || texts.get("header-lab")}</span>
            <span class="header__lab-choice">
                <select
                    class="header__select"
                    data-testid="lab-picker"
                    aria-label=move || texts.get("header-lab")
                    prop:value=move || page.lab_name.get()
                    on:change=move |event| crate::opening::open_shipped(page, &event_target_value(&event))
                >
                    <Show when=move || page.own.with(Option::is_some)>
                        <option value=move || page.lab_name.get() selected=true>
                            {move || page.lab.with(|lab| lab.title.clone())}
                        </option>
                    </Show>
                    {options}
                </select>
                <Icon glyph=Glyph::Chevron />
            </span>
        </label>
    }
}

/// Run, pause, step, speed, clock.
#[component]
fn Transport() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let paused = Memo::new(move |_| page.run.get() == RunState::Paused);
    let can_pause = move || matches!(page.run.get(), RunState::Running | RunState::Paused);
    let fresh = move || matches!(page.run.get(), RunState::Fresh);
    let loaded = move || !page.lab.with(|lab| lab.programs.is_empty());
    let step_key = move || {
        let step = page.step.get();
        STEPS.iter().find(|(_, other, _)| *other == step).map_or("step-event", |(_, _, key)| key)
    };
    let speeds = SPEEDS
        .iter()
        .map(|(id, permille, key)| Choice {
            value: if *permille == 0 { Speed::Instant } else { Speed::Permille(*permille) },
            label: Signal::derive(move || texts.get(key)),
            id,
        })
        .collect::<Vec<_>>();
    view! {
        <div class="header__transport" role="group" aria-label=move || texts.get("header-transport")>
            <button
                type="button"
                class="button button--primary"
                data-testid="run"
                disabled=move || !loaded()
                aria-label=move || texts.get(if fresh() { "header-run" } else { "header-run-again" })
                on:click=move |_| page.run_all()
            >
                <Icon glyph=Signal::derive(move || if fresh() { Glyph::Play } else { Glyph::Restart }) />
                <span class="header__label">{move || texts.get(if fresh() { "header-run" } else { "header-run-again" })}</span>
            </button>
            <button
                type="button"
                class="button"
                data-testid="pause"
                disabled=move || !can_pause()
                aria-label=move || texts.get(if paused.get() { "header-resume" } else { "header-pause" })
                title=move || texts.get(if paused.get() { "header-resume" } else { "header-pause" })
                aria-pressed=move || paused.get().to_string()
                on:click=move |_| page.toggle_pause()
            >
                <Icon glyph=Signal::derive(move || if paused.get() { Glyph::Play } else { Glyph::Pause }) />
                <span class="header__label">
                    {move || texts.get(if paused.get() { "header-resume" } else { "header-pause" })}
                </span>
            </button>
            <span class="header__step">
                <button
                    type="button"
                    class="button"
                    data-testid="step"
                    disabled=move || !loaded()
                    aria-label=move || texts.get(step_key())
                    title=move || texts.get("header-step-title")
                    on:click=move |_| page.step_forward()
                >
                    <Icon glyph=Glyph::Step />
                    <span class="header__label">{move || texts.get(step_key())}</span>
                </button>
                <span class="header__step-choice">
                    <select
                        aria-label=move || texts.get("header-step-choice")
                        data-testid="step-kind"
                        on:change=move |event| {
                            let id = event_target_value(&event);
                            if let Some((_, step, _)) = STEPS.iter().find(|(other, _, _)| *other == id) {
                                page.step.set(*step);
                            }
                        }
                    >
                        {STEPS
                            .iter()
                            .map(|(id, _, key)| view! { <option value=*id>{move || texts.get(key)}</option> })
                            .collect_view()}
                    </select>
                    <Icon glyph=Glyph::Chevron />
                </span>
            </span>
            <Segment
                choices=speeds
                value=page.speed
                on_choose=move |speed| page.set_speed(speed)
                label=Signal::derive(move || texts.get("header-speed"))
                testid="speed"
            />
            <span class="header__clock code" data-testid="clock" data-nanos=move || page.time.get().to_string()>
                {move || texts.milliseconds(page.time.get(), 3)}
                <small>" ms"</small>
            </span>
            <LiveChip />
        </div>
    }
}

/// Says whether the pictures show now or the past, and leads back.
#[component]
fn LiveChip() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let key = move || match (page.past.get().is_some(), page.run.get()) {
        (true, _) => "header-past",
        (_, RunState::Fresh) => "header-fresh",
        (_, RunState::Running) => "header-live",
        (_, RunState::Paused) => "header-paused",
        (_, RunState::Finished) => "header-finished",
        (_, RunState::Deadlocked) => "header-deadlocked",
    };
    let class = move || match key() {
        "header-past" | "header-deadlocked" => "chip chip--past header__live",
        "header-live" => "chip chip--live header__live",
        _ => "chip header__live",
    };
    view! {
        <button
            type="button"
            class=class
            data-testid="run-state"
            data-state=move || key().trim_start_matches("header-")
            disabled=move || page.past.get().is_none()
            title=move || page.past.get().map(|_| texts.get("header-to-live"))
            on:click=move |_| page.past.set(None)
        >
            <span class="header__live-dot" aria-hidden="true"></span>
            <span role="status">{move || texts.get(key())}</span>
        </button>
    }
}

/// Share, language, theme, help.
#[component]
fn Settings(on_help: impl Fn() + Copy + Send + Sync + 'static) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let copied = RwSignal::new(false);
    let share = move |_| {
        crate::opening::share(page, move || {
            copied.set(true);
            set_timeout(move || copied.set(false), std::time::Duration::from_millis(1_800));
        });
    };
    let lang_button = move |lang: Lang, testid: &'static str, name: &'static str, word: &'static str| {
        view! {
            <button
                type="button"
                class="segment__item"
                data-testid=testid
                lang=lang.code()
                title=name
                aria-label=format!("{word}, {name}")
                aria-pressed=move || (texts.lang() == lang).to_string()
                on:click=move |_| crate::app::choose_lang(texts, lang)
            >
                {word}
            </button>
        }
    };
    view! {
        <div class="header__settings">
            <LanButton />
            <Disk />
            <button
                type="button"
                class="button button--quiet header__share"
                data-testid="share"
                title=move || texts.get("header-share-title")
                on:click=share
            >
                <Icon glyph=Signal::derive(move || if copied.get() { Glyph::Check } else { Glyph::Share }) />
                <span class="header__wide">
                    {move || texts.get(if copied.get() { "header-copied" } else { "header-share" })}
                </span>
            </button>
            <span class="segment segment--small" role="group" aria-label=move || texts.get("header-language")>
                {lang_button(Lang::Sv, "lang-sv", "Svenska", "SV")}
                {lang_button(Lang::En, "lang-en", "English", "EN")}
            </span>
            <button
                type="button"
                class="button button--quiet button--icon"
                data-testid="theme"
                aria-label=move || texts.get("header-theme")
                title=move || texts.get("header-theme")
                on:click=move |_| crate::app::toggle_theme()
            >
                <Icon glyph=Glyph::Theme />
            </button>
            <button
                type="button"
                class="button button--quiet button--icon"
                data-testid="help"
                aria-label=move || texts.get("header-help")
                title=move || texts.get("header-help")
                on:click=move |_| on_help()
            >
                <Icon glyph=Glyph::Help />
            </button>
        </div>
    }
}
