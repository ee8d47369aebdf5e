//! The lesson: what to understand, what to do now, ticked as one goes.

mod markdown;

use leptos::prelude::*;

use crate::components::icon::{Glyph, Icon};
use crate::glue;
use crate::state::Page;
use crate::texts::{Lang, Texts};

/// The panel.
#[component]
pub fn Lesson() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    // Title and body.
    let text = Memo::new(move |_| {
        let name = page.lab_name.get();
        let lang = texts.lang();
        let shipped = socketlab_lab::library().iter().find(|lab| lab.name == name).map(|lab| {
            let text = match lang {
                Lang::En => lab.en,
                Lang::Sv => lab.sv,
            };
            (text.title.to_owned(), text.body.to_owned())
        });
        let own = || page.own.with(|own| own.as_ref().and_then(|own| own.lesson(lang.code())));
        let bare = || (page.lab.with(|lab| lab.title.clone()), String::new());
        shipped.or_else(own).unwrap_or_else(bare)
    });
    let parts = Memo::new(move |_| text.with(|(_, body)| markdown::parts(body)));
    let done = RwSignal::new(Vec::<bool>::new());
    Effect::new(move |_| {
        let kept = glue::setting(&format!("done.{}", page.lab_name.get())).unwrap_or_default();
        done.set(kept.chars().map(|mark| mark == '1').collect());
    });
    let count = move || parts.with(|parts| parts.tasks.steps.len());
    let is_done = move |index: usize| done.with(|done| done.get(index).copied().unwrap_or(false));
    let toggle = move |index: usize| {
        done.update(|done| {
            if done.len() <= index {
                done.resize(index + 1, false);
            }
            done[index] = !done[index];
        });
        let marks: String =
            done.with_untracked(|done| done.iter().map(|d| if *d { '1' } else { '0' }).collect());
        glue::keep_setting(&format!("done.{}", page.lab_name.get_untracked()), &marks);
    };
    let first_open = move || (0..count()).find(|index| !is_done(*index));
    let tasks = move || {
        let tasks = parts.with(|parts| parts.tasks.clone());
        (!tasks.steps.is_empty()).then(|| {
            view! {
                <section class="lesson__task">
                    <h2>{tasks.title}</h2>
                    <ol>
                        {tasks
                            .steps
                            .into_iter()
                            .enumerate()
                            .map(|(index, html)| {
                                let class = move || {
                                    if is_done(index) {
                                        "lesson__check lesson__check--done"
                                    } else if first_open() == Some(index) {
                                        "lesson__check lesson__check--now"
                                    } else {
                                        "lesson__check"
                                    }
                                };
                                view! {
                                    <li class=class aria-current=move || (first_open() == Some(index)).then_some("step")>
                                        <button
                                            type="button"
                                            class="lesson__dot"
                                            role="checkbox"
                                            aria-checked=move || is_done(index).to_string()
                                            aria-labelledby=format!("task-{index}")
                                            on:click=move |_| toggle(index)
                                        >
                                            <Icon glyph=Glyph::Check />
                                        </button>
                                        <span id=format!("task-{index}") inner_html=html></span>
                                    </li>
                                }
                            })
                            .collect_view()}
                    </ol>
                </section>
            }
        })
    };
    let progress = move || {
        let all = count();
        (all > 0).then(|| {
            let ready = (0..all).filter(|index| is_done(*index)).count();
            texts.with("lesson-progress", &[("done", &ready.to_string()), ("all", &all.to_string())])
        })
    };
    view! {
        <section class="panel lesson page__lesson" aria-label=move || texts.get("lesson-title")>
            <div class="panel__bar">
                <h2 class="panel__title">{move || texts.get("lesson-title")}</h2>
                <span class="grow"></span>
                {move || progress().map(|text| view! { <span class="chip">{text}</span> })}
            </div>
            <div class="panel__body lesson__body" lang=move || texts.lang().code()>
                <h1>{move || text.with(|(title, _)| title.clone())}</h1>
                <div class="lesson__text" inner_html=move || parts.with(|parts| parts.before.clone())></div>
                {tasks}
                <Hints parts=parts />
                <div class="lesson__text" inner_html=move || parts.with(|parts| parts.after.clone())></div>
            </div>
        </section>
    }
}

/// The hints, one at a time: the next one only when asked for.
#[component]
fn Hints(parts: Memo<markdown::Parts>) -> impl IntoView {
    let texts = Texts::here();
    let shown = RwSignal::new(0_usize);
    let hints = Memo::new(move |_| parts.with(|parts| parts.hints.clone()));
    Effect::new(move |_| {
        let _other_lesson = hints.with(|hints| hints.title.clone());
        shown.set(0);
    });
    let all = move || hints.with(|hints| hints.steps.len());
    view! {
        <Show when=move || { all() > 0 }>
            <section class="lesson__hints" data-testid="hints">
                <ol>
                    {move || {
                        let count = shown.get();
                        hints
                            .get()
                            .steps
                            .into_iter()
                            .take(count)
                            .map(|html| view! { <li inner_html=html></li> })
                            .collect_view()
                    }}
                </ol>
                <Show when=move || shown.get() < all()>
                    <button type="button" class="button button--small" on:click=move |_| shown.update(|shown| *shown += 1)>
                        {move || {
                            let next = (shown.get() + 1).to_string();
                            texts.with("lesson-hint", &[("number", &next), ("all", &all().to_string())])
                        }}
                    </button>
                </Show>
            </section>
        </Show>
    }
}
