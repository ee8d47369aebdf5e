//! The programs' editors: a tab per program, the line it is at, what that line waits for, and the sockets it holds.

use leptos::prelude::*;
use leptos::{html, task};
use socketlab_protocol::Command;
use socketlab_view::SocketRow;
use socketlab_view::wait::WaitReason;
use wasm_bindgen::prelude::*;

use crate::components::colour_class;
use crate::components::icon::{Glyph, Icon};
use crate::glue;
use crate::state::package::LAB_FILE;
use crate::state::programs::Life;
use crate::state::{Page, line_of};
use crate::texts::Texts;

/// The panel.
#[component]
pub fn Editor() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let programs = Memo::new(move |_| page.lab.with(|lab| lab.programs.clone()));
    let open_file = Memo::new(move |_| {
        let index = page.program.get() as usize;
        let other = page.other_file.get();
        other.or_else(|| programs.with(|programs| programs.get(index).map(|program| program.file.clone())))
    });
    // Whatever chooses a program shows its file.
    Effect::new(move |_| {
        page.program.track();
        page.other_file.set(None);
    });
    // What is no program: modules, data, the lab file.
    let others = Memo::new(move |_| {
        // Which of the files are programs is known once the lab is loaded, or refused.
        if programs.with(Vec::is_empty) && page.problems.with(Vec::is_empty) {
            return Vec::new();
        }
        programs.with(|programs| {
            page.files.with(|files| {
                let names = files.iter().map(|file| file.name.clone());
                names.filter(|name| !programs.iter().any(|program| program.file == *name)).collect::<Vec<_>>()
            })
        })
    });
    // The lab file was changed since the worker heard of it.
    let new_lab = Memo::new(move |_| {
        open_file.with(|open| open.as_deref() == Some(LAB_FILE)) && page.lab_file() != page.lab_text.get()
    });
    let files = Memo::new(move |_| {
        page.files.with(|files| files.iter().map(|file| file.name.clone()).collect::<Vec<_>>())
    });
    let life = move |program: u32| page.trace.with(|trace| trace.programs.life(program));
    let changed = move || {
        let open = open_file.get();
        page.files.with(|files| files.iter().any(|file| Some(&file.name) == open.as_ref() && file.changed()))
    };
    let restore = move |_| {
        let Some(name) = open_file.get_untracked() else { return };
        let original = page.files.with_untracked(|files| {
            files.iter().find(|file| file.name == name).map(|file| file.original.clone())
        });
        if let Some(original) = original {
            crate::opening::edit_file(page, &name, original);
        }
    };
    let running = move || life(page.program.get()) == Life::Running;
    view! {
        <section class="panel editor" aria-label=move || texts.get("editor-title")>
            <div class="panel__bar">
                <div class="tabs" role="tablist" aria-label=move || texts.get("editor-programs")>
                    <For
                        each=move || programs.get().into_iter().enumerate()
                        key=|(index, program)| (*index, program.file.clone(), program.host.clone())
                        children=move |(index, program)| {
                            let index = index as u32;
                            let name = move || page.lab.with(|lab| lab.program_name(index));
                            let tab = NodeRef::<html::Button>::new();
                            Effect::new(move |_| {
                                if page.program.get() == index
                                    && let Some(tab) = tab.get()
                                {
                                    let options = web_sys::ScrollIntoViewOptions::new();
                                    options.set_block(web_sys::ScrollLogicalPosition::Nearest);
                                    options.set_inline(web_sys::ScrollLogicalPosition::Nearest);
                                    tab.scroll_into_view_with_scroll_into_view_options(&options);
                                }
                            });
                            view! {
                                <button
                                    node_ref=tab
                                    type="button"
                                    class="tabs__tab"
                                    role="tab"
                                    data-testid=format!("editor-tab-{}", program.file)
                                    title=program.file.clone()
                                    aria-selected=move || {
                                        (page.program.get() == index && page.other_file.with(Option::is_none)).to_string()
                                    }
                                    on:click=move |_| page.program.set(index)
                                >
                                    <LifeDot program=index />
                                    {name}
                                </button>
                            }
                        }
                    />
                    <For
                        each=move || others.get()
                        key=|name| name.clone()
                        children=move |name| {
                            let (own, chosen, testid) = (name.clone(), name.clone(), format!("editor-tab-{name}"));
                            view! {
                                <button
                                    type="button"
                                    class="tabs__tab"
                                    role="tab"
                                    data-testid=testid
                                    aria-selected=move || page.other_file.with(|open| open.as_ref() == Some(&own)).to_string()
                                    on:click=move |_| page.other_file.set(Some(chosen.clone()))
                                >
                                    {name}
                                </button>
                            }
                        }
                    />
                </div>
                <span class="grow"></span>
                <Show when=changed>
                    <button
                        type="button"
                        class="button button--quiet button--icon"
                        data-testid="restore"
                        aria-label=move || texts.get("editor-restore")
                        title=move || texts.get("editor-restore")
                        on:click=restore
                    >
                        <Icon glyph=Glyph::Undo />
                    </button>
                </Show>
                <Show when=move || new_lab.get()>
                    <button
                        type="button"
                        class="button button--primary button--small"
                        data-testid="use-lab-file"
                        title=move || texts.get("editor-use-lab-title")
                        on:click=move |_| crate::opening::load(page)
                    >
                        {move || texts.get("editor-use-lab")}
                    </button>
                </Show>
                <button
                    type="button"
                    class="button button--quiet"
                    data-testid="run-program"
                    hidden=move || page.other_file.with(Option::is_some)
                    title=move || texts.get(if running() { "editor-stop-title" } else { "editor-run-title" })
                    on:click=move |_| {
                        let program = page.program.get_untracked();
                        if running() {
                            page.bridge.send(Command::Interrupt { program });
                        } else {
                            page.run_program(program);
                        }
                    }
                >
                    <Icon glyph=Signal::derive(move || if running() { Glyph::Stop } else { Glyph::Play }) />
                    <span class="editor__run-word">
                        {move || texts.get(if running() { "editor-stop" } else { "editor-run" })}
                    </span>
                </button>
            </div>
            <div class="editor__files">
                <For
                    each=move || files.get()
                    key=move |name| (page.lab_name.get_untracked(), name.clone())
                    children=move |name| {
                        let this = name.clone();
                        let shown = Memo::new(move |_| open_file.get().as_ref() == Some(&this));
                        view! { <FileEditor name=name shown=shown /> }
                    }
                />
            </div>
            <Show when=move || page.other_file.with(Option::is_none)>
                <WaitSentence />
                <HeldSockets />
            </Show>
        </section>
    }
}

/// A program's state as a small shape, with its name for a screen reader.
#[component]
pub fn LifeDot(
    /// Index of the program.
    program: u32,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let waiting = Memo::new(move |_| {
        let now = page.time.get();
        page.sockets
            .with(|sockets| page.trace.with(|trace| trace.waits.of(program, sockets, now)))
            .iter()
            .any(|reason| reason.waits)
    });
    let word = Memo::new(move |_| match page.trace.with(|trace| trace.programs.life(program)) {
        Life::NotStarted => "fresh",
        Life::Running if waiting.get() => "waiting",
        Life::Running => "running",
        Life::Done => "done",
        Life::Failed(_) => "failed",
        Life::Stopped => "stopped",
    });
    view! {
        <span
            class=move || format!("life life--{}", word.get())
            role="img"
            aria-label=move || texts.get(&format!("life-{}", word.get()))
            title=move || texts.get(&format!("life-{}", word.get()))
        ></span>
    }
}

/// One file in CodeMirror, from when it is first shown.
#[component]
fn FileEditor(name: String, shown: Memo<bool>) -> impl IntoView {
    let page = Page::here();
    let place = NodeRef::<html::Div>::new();
    let editor = RwSignal::new_local(None::<glue::editor::Editor>);
    let begun = StoredValue::new(false);

    let file = name.clone();
    let text = Memo::new(move |_| {
        page.files
            .with(|files| files.iter().find(|other| other.name == file).map(|file| file.text.clone()))
            .unwrap_or_default()
    });
    let file = name.clone();
    Effect::new(move |_| {
        let Some(element) = place.get() else { return };
        if !shown.get() || begun.get_value() {
            return;
        }
        begun.set_value(true);
        let file = file.clone();
        task::spawn_local(async move {
            if glue::editor::load().await.is_err() || place.try_get_untracked().flatten().is_none() {
                return;
            }
            let typed = file.clone();
            let on_change =
                Closure::<dyn Fn(String)>::new(move |text| crate::opening::edit_file(page, &typed, text));
            let label = file.clone();
            let made = glue::editor::create(
                &element,
                &text.get_untracked(),
                &label,
                on_change.as_ref().unchecked_ref(),
            );
            // Lives as long as the editor, which holds it.
            on_change.forget();
            editor.set(Some(made));
        });
    });
    on_cleanup(move || {
        editor.try_update_untracked(|editor| {
            if let Some(editor) = editor.take() {
                editor.destroy();
            }
        });
    });
    // A restored or reloaded text goes into the editor; what was typed there is there already.
    Effect::new(move |_| {
        let text = text.get();
        editor.with(|editor| {
            if let Some(editor) = editor {
                editor.set_text(&text);
            }
        });
    });
    let mark = Memo::new(move |_| line_mark(page));
    Effect::new(move |_| {
        let mark = if shown.get() { mark.get() } else { None };
        editor.with(|editor| {
            let Some(editor) = editor else { return };
            match mark {
                Some((line, kind)) => {
                    editor.set_mark(line, kind);
                    editor.show_line(line);
                }
                None => editor.set_mark(0, ""),
            }
        });
    });
    view! {
        <div class="editor__file" data-testid=format!("editor-{name}") hidden=move || !shown.get() node_ref=place></div>
    }
}

/// The line to mark in the open program: of the selected call, else where it waits, else where it failed.
fn line_mark(page: Page) -> Option<(u32, &'static str)> {
    if let Some(other) = page.other_file.get() {
        return page.problems.with(|problems| {
            let found = problems.iter().find(|problem| problem.file == other && problem.line > 0)?;
            Some((found.line, "error"))
        });
    }
    let program = page.program.get();
    if let Some(call) = page.selection.with(|selection| selection.call) {
        let place = page.trace.with(|trace| trace.line_of_call(call, program));
        if let Some(line) = place {
            return Some((line, "run"));
        }
    }
    if let Some(reason) = reason(page, program) {
        return reason.line.map(|line| (line, if reason.waits { "wait" } else { "run" }));
    }
    let failed = page.trace.with(|trace| matches!(trace.programs.life(program), Life::Failed(_)));
    if failed {
        let evidence = page
            .trace
            .with(|trace| page.sockets.with(|sockets| trace.failures.evidence(trace.topology(), sockets)));
        let place = evidence.into_iter().rev().find(|found| found.program == program)?.place;
        return line_of(&place).map(|line| (line, "error"));
    }
    None
}

/// What the main thread of a program waits for now.
fn reason(page: Page, program: u32) -> Option<WaitReason> {
    let now = page.time.get();
    page.sockets
        .with(|sockets| page.trace.with(|trace| trace.waits.of(program, sockets, now)))
        .into_iter()
        .next()
}

/// What the open program's line waits for, in a sentence.
#[component]
fn WaitSentence() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let reason = Memo::new(move |_| reason(page, page.program.get()));
    view! {
        <Show when=move || reason.with(Option::is_some)>
            <p
                class="editor__wait"
                class:editor__wait--run=move || reason.with(|reason| reason.as_ref().is_some_and(|r| !r.waits))
                role="status"
                data-testid="wait"
            >
                <b>
                    {move || {
                        reason
                            .get()
                            .map(|reason| {
                                let call = ("call", reason.call_text.as_str());
                                match (reason.line, reason.waits) {
                                    (Some(line), true) => texts.with("wait-line", &[("line", &line.to_string()), call]),
                                    (None, true) => texts.with("wait-call", &[call]),
                                    (Some(line), false) => texts.with("work-line", &[("line", &line.to_string()), call]),
                                    (None, false) => texts.with("work-call", &[call]),
                                }
                            })
                    }}
                </b>
                " "
                {move || reason.get().map(|reason| texts.with_owned(&reason.key, &reason.args))}
                " "
                <button
                    type="button"
                    class="link-button"
                    on:click=move |_| {
                        if let Some(reason) = reason.get_untracked() {
                            match reason.packet {
                                Some(packet) => page.show_packet(packet),
                                None => page.show_call(reason.call, reason.program),
                            }
                        }
                    }
                >
                    {move || texts.get("wait-show")}
                </button>
            </p>
        </Show>
    }
}

/// The sockets that the open program holds, with their descriptors.
#[component]
fn HeldSockets() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let rows = Memo::new(move |_| {
        let program = page.program.get();
        page.sockets.with(|sockets| {
            sockets
                .hosts
                .iter()
                .flat_map(|host| host.sockets.iter())
                .filter(|row| row.program == Some(program))
                .cloned()
                .collect::<Vec<SocketRow>>()
        })
    });
    view! {
        <Show when=move || rows.with(|rows| !rows.is_empty())>
            <div class="editor__held">
                <h3>{move || texts.get("editor-sockets")}</h3>
                <ul>
                    <For
                        each=move || rows.get()
                        // Not by what the line does not show: a TCB changes with every segment.
                        key=|row| {
                            let shown = (&row.process, &row.netid, &row.local, &row.peer, &row.state);
                            format!("{shown:?}{}/{}", row.recv_q, if row.state == "LISTEN" { row.send_q } else { 0 })
                        }
                        children=move |row| {
                            let class = format!("editor__socket {}", colour_class(row.conversation));
                            let descriptor = row.process.rsplit_once("fd=").map(|(_, fd)| format!("fd {fd}"));
                            let listening = row.state == "LISTEN";
                            let peer = (!listening && !row.peer.ends_with('*')).then(|| format!(" → {}", row.peer));
                            let unread = (!listening && row.recv_q > 0).then_some(row.recv_q);
                            let queue = listening.then_some((row.recv_q, row.send_q));
                            let conversation = row.conversation;
                            view! {
                                <li class=class>
                                    <button
                                        type="button"
                                        on:click=move |_| page.select_conversation(conversation)
                                    >
                                        <span class="editor__fd code">{descriptor}</span>
                                        <span class="code">{row.netid.clone()} " " {row.local.clone()} {peer}</span>
                                        <span class="editor__state">{row.state.clone()}</span>
                                        {unread
                                            .map(|octets| {
                                                view! {
                                                    <span class="editor__unread">
                                                        {move || texts.with("editor-unread", &[("octets", &octets.to_string())])}
                                                    </span>
                                                }
                                            })}
                                        {queue
                                            .map(|(waiting, backlog)| {
                                                view! {
                                                    <span class="editor__unread">
                                                        {move || {
                                                            texts
                                                                .with(
                                                                    "editor-queue",
                                                                    &[
                                                                        ("waiting", &waiting.to_string()),
                                                                        ("backlog", &backlog.to_string()),
                                                                    ],
                                                                )
                                                        }}
                                                    </span>
                                                }
                                            })}
                                    </button>
                                </li>
                            }
                        }
                    />
                </ul>
            </div>
        </Show>
    }
}
