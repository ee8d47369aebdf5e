//! Calm notices above the panels: Python on its way, a browser that cannot, the relay gone, a lab file with faults.

use leptos::prelude::*;
use socketlab_protocol::{Command, LanPhase, PythonState, RelayState, TurnedAway};

use crate::state::{Page, Pane};
use crate::texts::{Texts, try_text};

/// All notices that apply now.
#[component]
pub fn Banners() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let python = Memo::new(move |_| page.python.get());
    let python_notice = move || match python.get() {
        PythonState::NotLoaded | PythonState::Ready => None,
        PythonState::Loading { loaded, total } => Some(
            view! {
                <div class="banner" role="status">
                    <span>{move || texts.get("banner-python-loading")}</span>
                    <progress
                        class="banner__progress"
                        data-testid="python-progress"
                        aria-label=move || texts.get("banner-python-loading")
                        max=(total > 0).then(|| total.to_string())
                        value=(total > 0).then(|| loaded.to_string())
                    ></progress>
                    <span class="banner__figure code">{megabytes(texts, loaded, total)}</span>
                </div>
            }
            .into_any(),
        ),
        PythonState::NoJspi => Some(
            view! {
                <div class="banner banner--bad" role="alert" data-testid="no-jspi">
                    <b>{move || texts.get("banner-no-jspi-title")}</b>
                    <span>{move || texts.get("banner-no-jspi")}</span>
                </div>
            }
            .into_any(),
        ),
        PythonState::Failed(reason) => Some(
            view! {
                <div class="banner banner--bad" role="alert">
                    <b>{move || texts.get("banner-python-failed")}</b>
                    <code class="code">{reason}</code>
                    <ReloadButton />
                </div>
            }
            .into_any(),
        ),
    };
    let broken_notice = move || {
        page.broken.get().map(|reason| {
            view! {
                <div class="banner banner--bad" role="alert">
                    <b>{move || texts.get("banner-worker-failed")}</b>
                    <code class="code">{reason}</code>
                    <ReloadButton />
                </div>
            }
        })
    };
    let relay_notice = move || match page.relay.get() {
        RelayState::Lost { retry_ms } => Some(view! {
            <div class="banner banner--warn" role="status">
                <b>{move || texts.get("banner-relay-lost-title")}</b>
                <span>
                    {move || {
                        let seconds = retry_ms.div_ceil(1_000).max(1).to_string();
                        texts.with("banner-relay-lost", &[("seconds", &seconds)])
                    }}
                </span>
            </div>
        }),
        _ => None,
    };
    let turned_away = move || match page.relay.get() {
        RelayState::TurnedAway(why) => Some(view! { <CodeWanted why=why /> }),
        _ => None,
    };
    let relay_says = move || {
        page.relay_says.get().map(|text| {
            view! {
                <div class="banner banner--warn" role="status" data-testid="relay-says">
                    <b>{move || texts.get("banner-relay-says")}</b>
                    <span>{text}</span>
                    <button type="button" class="button button--small" on:click=move |_| page.relay_says.set(None)>
                        {move || texts.get("close")}
                    </button>
                </div>
            }
        })
    };
    let lan_offer = move || {
        let out = page.lan.with(|lan| lan.phase == LanPhase::Out);
        page.lan_port.get().filter(|_| out).map(|room| {
            let sentence = move || match &room {
                Some(room) => texts.with("lan-offer-room", &[("room", room)]),
                None => texts.get("lan-offer"),
            };
            view! {
                <div class="banner" role="status">
                    <span>{sentence}</span>
                    <button
                        type="button"
                        class="button button--small"
                        data-testid="lan-offer"
                        on:click=move |_| page.lan_open.set(true)
                    >
                        {move || texts.get("lan-join")}
                    </button>
                </div>
            }
        })
    };
    let lan_lost = move || {
        page.lan.with(|lan| matches!(lan.phase, LanPhase::Waiting { .. }).then(|| lan.room.clone())).map(
            |room| {
                view! {
                    <p class="banner banner--warn" role="status" data-testid="lan-lost">
                        {move || texts.with("lan-waiting", &[("room", &room)])}
                    </p>
                }
            },
        )
    };
    let lan_says = move || {
        page.lan_says
            .get()
            .into_iter()
            .map(|notice| {
                let key = notice.key.clone();
                let sentence = move || {
                    let args: Vec<(&str, &str)> =
                        notice.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    texts.with(&notice.key, &args)
                };
                view! {
                    <div class="banner banner--warn" role="status" data-testid="lan-says">
                        <span>{sentence}</span>
                        <button
                            type="button"
                            class="button button--small"
                            on:click=move |_| page.lan_says.update(|says| says.retain(|said| said.key != key))
                        >
                            {move || texts.get("close")}
                        </button>
                    </div>
                }
            })
            .collect_view()
    };
    let relay_word = move || match page.relay.get() {
        RelayState::Unused => "unused",
        RelayState::Connecting => "connecting",
        RelayState::Open => "open",
        RelayState::Lost { .. } => "lost",
        RelayState::TurnedAway(_) => "turned-away",
    };
    let problems = move || {
        let problems = page.problems.get();
        (!problems.is_empty()).then(|| {
            view! {
                <section class="banner banner--bad banner--list" role="alert">
                    <b>{move || texts.get("problems-title")}</b>
                    <ul>
                        {problems
                            .into_iter()
                            .map(|problem| {
                                let place = if problem.line > 0 {
                                    format!("{}:{}", problem.file, problem.line)
                                } else {
                                    problem.file.clone()
                                };
                                let file = problem.file.clone();
                                let sentence = move || {
                                    let args: Vec<(&str, &str)> = problem
                                        .args
                                        .iter()
                                        .map(|(name, value)| (name.as_str(), value.as_str()))
                                        .collect();
                                    try_text(texts.lang(), &problem.key, &args).unwrap_or_else(|| problem.text.clone())
                                };
                                view! {
                                    <li data-testid="problem">
                                        <button
                                            type="button"
                                            class="link-button code"
                                            title=move || texts.get("problems-show")
                                            on:click=move |_| {
                                                page.other_file.set(Some(file.clone()));
                                                page.pane.set(Pane::Code);
                                            }
                                        >
                                            {place}
                                        </button>
                                        " "
                                        <code class="code">{problem.field}</code>
                                        " "
                                        <span>{sentence}</span>
                                    </li>
                                }
                            })
                            .collect_view()}
                    </ul>
                </section>
            }
        })
    };
    let not_opened = move || {
        page.refused.get().map(|refused| {
            let sentence = move || {
                let args: Vec<(&str, &str)> =
                    refused.args.iter().map(|(name, value)| (*name, value.as_str())).collect();
                texts.with(refused.key, &args)
            };
            view! {
                <div class="banner banner--bad" role="alert" data-testid="not-opened">
                    <span>{sentence}</span>
                    <button type="button" class="button button--small" on:click=move |_| page.refused.set(None)>
                        {move || texts.get("close")}
                    </button>
                </div>
            }
        })
    };
    let refusals = Memo::new(move |_| page.trace.with(|trace| trace.refusals().to_vec()));
    // One banner for all: a lab may try many.
    let refused = move || {
        let refusals = refusals.get();
        if refusals.is_empty() {
            return None;
        }
        let sentences = refusals
            .into_iter()
            .map(|refusal| {
                let sentence = move || {
                    texts.with(
                        &refusal.fact,
                        &[
                            ("target", &refusal.target),
                            ("dialled", &refusal.dialled),
                            ("client", &refusal.client),
                        ],
                    )
                };
                view! {
                    <p>{sentence}</p>
                }
            })
            .collect_view();
        Some(view! {
            <div class="banner banner--warn banner--lines" role="status" data-testid="problem">{sentences}</div>
        })
    };
    let too_many = move || {
        page.too_many.get().map(|(limit, asked)| {
            let (limit, asked) = (limit.to_string(), asked.to_string());
            view! {
                <p class="banner banner--warn" role="alert">
                    {move || texts.with("banner-too-many", &[("limit", &limit), ("asked", &asked)])}
                </p>
            }
        })
    };
    let long_run = move || {
        page.long_run.get().map(|mebibytes| {
            let megabytes = mebibytes.to_string();
            view! {
                <div class="banner banner--warn" role="status" data-testid="long-run">
                    <b>{move || texts.get("banner-long-run-title")}</b>
                    <span>{move || texts.with("banner-long-run", &[("megabytes", &megabytes)])}</span>
                    <button
                        type="button"
                        class="button button--small"
                        on:click=move |_| page.toggle_pause()
                    >
                        {move || texts.get("banner-long-run-on")}
                    </button>
                </div>
            }
        })
    };
    view! {
        <span class="hidden-text" data-testid="relay-status" data-state=relay_word>
            {move || texts.get(&format!("relay-{}", relay_word()))}
        </span>
        <div class="page__notes">
            {broken_notice}
            {python_notice}
            {relay_notice}
            {turned_away}
            {relay_says}
            {lan_offer}
            {lan_lost}
            {lan_says}
            {not_opened}
            {problems}
            {too_many}
            {long_run}
            {refused}
        </div>
    }
}

/// The relay does not let the page in: why, and a field for its class code.
#[component]
fn CodeWanted(why: TurnedAway) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let code = RwSignal::new(String::new());
    let key = match why {
        TurnedAway::CodeWanted => "banner-code-wanted",
        TurnedAway::WrongCode => "banner-code-wrong",
        TurnedAway::Withdrawn => "banner-code-withdrawn",
    };
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let code = code.get_untracked().trim().to_owned();
        if !code.is_empty() {
            crate::glue::keep_setting("class-code", &code);
            page.bridge.send(Command::SetCode { code });
        }
    };
    view! {
        <form class="banner banner--warn" data-testid="code-wanted" on:submit=send>
            <b role="alert">{move || texts.get(key)}</b>
            <span>{move || texts.get("banner-code-kept")}</span>
            <label class="banner__field">
                <span>{move || texts.get("banner-code")}</span>
                <input
                    type="text"
                    class="banner__input code"
                    data-testid="code"
                    maxlength="128"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || code.get()
                    on:input=move |event| code.set(event_target_value(&event))
                />
            </label>
            <button
                type="submit"
                class="button button--small"
                data-testid="code-send"
                disabled=move || code.with(|code| code.trim().is_empty())
            >
                {move || texts.get("banner-code-send")}
            </button>
        </form>
    }
}

#[component]
fn ReloadButton() -> impl IntoView {
    let texts = Texts::here();
    view! {
        <button
            type="button"
            class="button button--small"
            on:click=move |_| {
                let _gone = crate::glue::window().location().reload();
            }
        >
            {move || texts.get("banner-reload")}
        </button>
    }
}

/// `4.1 / 11.8 MB`.
fn megabytes(texts: Texts, loaded: u64, total: u64) -> String {
    // One decimal of a megabyte is a ten-thousandth of the unit `milliseconds` counts in.
    let number = |octets: u64| texts.milliseconds(octets, 1);
    if total > 0 {
        format!("{} / {} MB", number(loaded), number(total))
    } else {
        format!("{} MB", number(loaded))
    }
}
