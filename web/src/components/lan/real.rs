//! For a teacher: the streams to real servers that are open at this relay, whoever has them, and the means to end one.
//! The relay is asked again and again while the list is seen.

use core::time::Duration;

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::glue;
use crate::texts::Texts;

/// How often the relay is asked. A choice: a person sees a stream come and go.
const PERIOD: Duration = Duration::from_secs(2);

/// One open stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: String,
    who: String,
    kind: String,
    host: String,
    target: String,
    up: String,
    down: String,
}

impl Row {
    fn read(value: JsValue) -> Option<Row> {
        let mut fields = Array::from(&value).into_iter().map(|field| field.as_string());
        let mut next = || fields.next().flatten();
        Some(Row {
            id: next()?,
            who: next()?,
            kind: next()?,
            host: next()?,
            target: next()?,
            up: next()?,
            down: next()?,
        })
    }

    /// Who talks to whom; the name that was asked for beside its address.
    fn text(&self) -> String {
        let Row { who, kind, host, target, .. } = self;
        if host.is_empty() || target.contains(host.as_str()) {
            format!("{who} → {target} {kind}")
        } else {
            format!("{who} → {host} ({target}) {kind}")
        }
    }
}

/// What the relay said last.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Open { total: usize, rows: Vec<Row> },
    Failed(String),
}

fn why(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}

async fn ask(word: &str) -> Said {
    match glue::teacher::streams(word).await {
        Ok(answer) => {
            let mut entries = Array::from(&answer).into_iter();
            let total = entries.next().and_then(|total| total.as_f64()).unwrap_or_default() as usize;
            Said::Open { total, rows: entries.filter_map(Row::read).collect() }
        }
        Err(error) => Said::Failed(why(&error)),
    }
}

/// The list.
#[component]
pub fn RealStreams(
    /// The teacher's word.
    word: RwSignal<String>,
) -> impl IntoView {
    let texts = Texts::here();
    let said = RwSignal::new(Said::Nothing);
    let refresh = move || {
        let word = word.get_untracked();
        spawn_local(async move {
            let news = ask(&word).await;
            // The list may be gone meanwhile.
            let _gone = said.try_set(news);
        });
    };
    refresh();
    if let Ok(timer) = set_interval_with_handle(refresh, PERIOD) {
        on_cleanup(move || timer.clear());
    }
    let rows = Memo::new(move |_| match said.get() {
        Said::Open { rows, .. } => rows,
        Said::Nothing | Said::Failed(_) => Vec::new(),
    });
    let note = move || match said.get() {
        Said::Nothing => texts.get("lan-real-asking"),
        Said::Open { rows, .. } if rows.is_empty() => texts.get("lan-real-none"),
        Said::Open { total, rows } if rows.len() < total => {
            texts.with("lan-real-more", &[("shown", &rows.len().to_string()), ("total", &total.to_string())])
        }
        Said::Open { .. } => String::new(),
        Said::Failed(why) => texts.with("lan-real-failed", &[("why", &why)]),
    };
    let end = move |id: String| {
        let word = word.get_untracked();
        spawn_local(async move {
            let news = match glue::teacher::cut(&word, &id).await {
                Ok(()) => ask(&word).await,
                Err(error) => Said::Failed(why(&error)),
            };
            let _gone = said.try_set(news);
        });
    };
    view! {
        <section class="lan__real" aria-labelledby="lan-real">
            <h3 id="lan-real" class="lan__name">{move || texts.get("lan-real")}</h3>
            <ul class="lan__streams" data-testid="lan-real">
                <For
                    each=move || rows.get()
                    key=|row| (row.id.clone(), row.up.clone(), row.down.clone())
                    children=move |row| {
                        let (text, id) = (row.text(), row.id.clone());
                        view! {
                            <li class="lan__stream">
                                <span class="code">{text}</span>
                                <span class="muted">
                                    {move || {
                                        texts.with("lan-stream-octets", &[("sent", &row.up), ("received", &row.down)])
                                    }}
                                </span>
                                <button
                                    type="button"
                                    class="button button--small"
                                    data-testid="lan-end-real"
                                    on:click=move |_| end(id.clone())
                                >
                                    {move || texts.get("lan-end-stream")}
                                </button>
                            </li>
                        }
                    }
                />
            </ul>
            <p class="lan__hint" role="status" data-testid="lan-real-note">{note}</p>
        </section>
    }
}
