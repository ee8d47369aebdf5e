//! The settings of one link: what it does to frames can be changed while they travel, and it can be cut and mended.

use leptos::prelude::*;
use socketlab_protocol::Command;
use socketlab_view::LinkState;

use crate::components::icon::{Glyph, Icon};
use crate::state::Page;
use crate::texts::Texts;

/// A number of the form: the end of its keys and test id, its step, how it is read from a link and put into it.
struct Setting {
    id: &'static str,
    step: &'static str,
    max: &'static str,
    get: fn(&LinkState) -> f64,
    set: fn(&mut LinkState, f64),
}

/// Nanoseconds as milliseconds, and back.
fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn nanos(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

/// Parts per million as percent, and back.
fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 1e4
}

fn ppm(percent: f64) -> u32 {
    (percent * 1e4).round().clamp(0.0, 1e6) as u32
}

const SETTINGS: [Setting; 8] = [
    Setting { id: "delay", step: "1", max: "60000", get: |l| ms(l.delay), set: |l, v| l.delay = nanos(v) },
    Setting { id: "jitter", step: "1", max: "60000", get: |l| ms(l.jitter), set: |l, v| l.jitter = nanos(v) },
    Setting {
        id: "rate",
        step: "0.1",
        max: "100000",
        get: |l| l.rate as f64 / 1e6,
        set: |l, v| l.rate = (v * 1e6).round() as u64,
    },
    Setting {
        id: "queue",
        step: "1",
        max: "100000",
        get: |l| l.queue.into(),
        set: |l, v| l.queue = v.round() as u32,
    },
    Setting { id: "loss", step: "1", max: "100", get: |l| percent(l.loss), set: |l, v| l.loss = ppm(v) },
    Setting {
        id: "duplicate",
        step: "1",
        max: "100",
        get: |l| percent(l.duplicate),
        set: |l, v| l.duplicate = ppm(v),
    },
    Setting {
        id: "reorder",
        step: "1",
        max: "100",
        get: |l| percent(l.reorder),
        set: |l, v| l.reorder = ppm(v),
    },
    Setting {
        id: "corrupt",
        step: "1",
        max: "100",
        get: |l| percent(l.corrupt),
        set: |l, v| l.corrupt = ppm(v),
    },
];

/// The form, while a link's settings are open.
#[component]
pub fn LinkForm() -> impl IntoView {
    let page = Page::here();
    move || page.open_link.get().map(|link| view! { <Opened link=link /> })
}

#[component]
fn Opened(link: u32) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let state =
        Memo::new(move |_| page.links.with(|links| links.get(link as usize).cloned().unwrap_or_default()));
    let cut = move || state.with(|state| state.cut);
    let name = move || link_name(page, link);
    let field = move |setting: &'static Setting| {
        let change = move |event| {
            let value: f64 = event_target_value(&event).parse().unwrap_or(0.0);
            if !value.is_finite() || value < 0.0 {
                return;
            }
            let mut state = state.get_untracked();
            (setting.set)(&mut state, value);
            page.bridge.send(Command::SetLink { link, state });
        };
        view! {
            <label class="link__field" title=move || texts.get(&format!("link-{}-title", setting.id))>
                <span>{move || texts.get(&format!("link-{}", setting.id))}</span>
                <input
                    type="number"
                    min="0"
                    max=setting.max
                    step=setting.step
                    data-testid=format!("link-{}", setting.id)
                    prop:value=move || state.with(setting.get).to_string()
                    on:change=change
                />
            </label>
        }
    };
    view! {
        <section
            class="link"
            data-testid="link-form"
            aria-label=move || texts.with("link-title", &[("name", &name())])
            on:keydown=move |event| {
                event.stop_propagation();
                if event.key() == "Escape" {
                    page.open_link.set(None);
                }
            }
        >
            <div class="link__bar">
                <h3>{move || texts.with("link-title", &[("name", &name())])}</h3>
                <span class="grow"></span>
                <button
                    type="button"
                    class="button button--small"
                    data-testid="link-cut"
                    aria-pressed=move || cut().to_string()
                    on:click=move |_| page.bridge.send(Command::CutLink { link, cut: !state.with_untracked(|state| state.cut) })
                >
                    {move || texts.get(if cut() { "link-mend" } else { "link-cut" })}
                </button>
                <button
                    type="button"
                    class="button button--quiet button--icon button--small"
                    aria-label=move || texts.get("close")
                    on:click=move |_| page.open_link.set(None)
                >
                    <Icon glyph=Glyph::Close />
                </button>
            </div>
            <div class="link__fields">{SETTINGS.iter().map(field).collect_view()}</div>
        </section>
    }
}

/// Both ends of a link: `sensor1 – lan`.
pub fn link_name(page: Page, link: u32) -> String {
    page.lab.with(|lab| {
        let node = |index: u32| lab.topology.nodes.get(index as usize).map_or("", |node| node.name.as_str());
        let ends = lab.topology.links.get(link as usize).map(|link| link.ends);
        ends.map(|(a, b)| format!("{} – {}", node(a), node(b))).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn each_setting_reads_back_what_was_put_in() {
        for setting in &SETTINGS {
            let mut link = LinkState::default();
            (setting.set)(&mut link, 3.0);
            assert_eq!((setting.get)(&link), 3.0, "{}", setting.id);
        }
    }
}
