//! What programs wrote, what one types to them, and what the network knows about an error.

use leptos::prelude::*;
use leptos::{ev, html};
use socketlab_protocol::Command;
use socketlab_view::ConsoleStream;
use socketlab_view::evidence::Evidence;

use crate::components::icon::{Glyph, Icon};
use crate::state::Page;
use crate::state::console::ConsoleLine;
use crate::texts::Texts;

/// The panel.
#[component]
pub fn Console() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let programs = Memo::new(move |_| page.lab.with(|lab| lab.programs.clone()));
    let tab = move |program: Option<u32>, name: Signal<String>| {
        view! {
            <button
                type="button"
                class="tabs__tab"
                role="tab"
                aria-selected=move || (page.console.get() == program).to_string()
                on:click=move |_| page.console.set(program)
            >
                {move || name.get()}
            </button>
        }
    };
    let clear = move |_| page.cleared.set(page.trace.with_untracked(|trace| trace.consoles.lines().len()));
    view! {
        <section class="panel console" aria-label=move || texts.get("console-title")>
            <div class="panel__bar">
                <h2 class="panel__title">{move || texts.get("console-title")}</h2>
                <div class="tabs" role="tablist" aria-label=move || texts.get("console-programs")>
                    {tab(None, Signal::derive(move || texts.get("console-all")))}
                    <For
                        each=move || 0..programs.with(Vec::len) as u32
                        key=move |index| (page.lab_name.get_untracked(), *index)
                        children=move |index| {
                            tab(Some(index), Signal::derive(move || page.lab.with(|lab| lab.program_name(index))))
                        }
                    />
                </div>
                <span class="grow"></span>
                <button
                    type="button"
                    class="button button--quiet button--icon button--small"
                    aria-label=move || texts.get("console-clear")
                    title=move || texts.get("console-clear")
                    on:click=clear
                >
                    <Icon glyph=Glyph::Clear />
                </button>
            </div>
            <Log program=None testid="console-all".to_owned() />
            <For
                each=move || programs.get().into_iter().enumerate()
                key=move |(index, program)| (page.lab_name.get_untracked(), *index, program.file.clone())
                children=move |(index, program)| {
                    view! { <Log program=Some(index as u32) testid=format!("console-{}", program.file) /> }
                }
            />
            <StdinLine />
            <EvidenceBox />
        </section>
    }
}

/// The lines of one program, or of all.
#[component]
fn Log(program: Option<u32>, testid: String) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let place = NodeRef::<html::Div>::new();
    let shown = Memo::new(move |_| page.console.get() == program);
    let lines = Memo::new(move |_| {
        let from = page.cleared.get();
        page.trace.with(|trace| {
            let lines = trace.consoles.lines().get(from..).unwrap_or_default();
            lines
                .iter()
                .filter(|line| program.is_none_or(|wanted| line.program == wanted))
                .cloned()
                .collect::<Vec<_>>()
        })
    });
    // New lines are followed, unless one has scrolled back.
    let at_end = StoredValue::new(true);
    let on_scroll = move |_| {
        if let Some(element) = place.get_untracked() {
            at_end.set_value(element.scroll_height() - element.scroll_top() - element.client_height() < 24);
        }
    };
    Effect::new(move |_| {
        let _count = lines.with(Vec::len);
        let _visible = shown.get();
        let Some(element) = place.get() else { return };
        if at_end.get_value() {
            request_animation_frame(move || element.set_scroll_top(element.scroll_height()));
        }
    });
    view! {
        <div
            class="console__log"
            role="log"
            tabindex="0"
            data-testid=testid
            aria-label=move || {
                program.map_or_else(|| texts.get("console-all"), |index| page.lab.with(|lab| lab.program_name(index)))
            }
            hidden=move || !shown.get()
            on:scroll=on_scroll
            node_ref=place
        >
            <Show when=move || lines.with(Vec::is_empty)>
                <p class="console__hint">{move || texts.get("console-empty")}</p>
            </Show>
            <For
                each=move || lines.get()
                key=|line| (line.index, line.text.len(), line.open)
                children=move |line| view! { <Line line=line named=program.is_none() /> }
            />
        </div>
    }
}

#[component]
fn Line(line: ConsoleLine, named: bool) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let class = match line.stream {
        ConsoleStream::Stdout => "console__line",
        ConsoleStream::Stderr => "console__line console__line--error",
        ConsoleStream::Stdin => "console__line console__line--typed",
    };
    let at = line.at;
    let program = line.program;
    let name = named.then(|| {
        view! { <span class="console__who">{move || page.lab.with(|lab| lab.program_name(program))}</span> }
    });
    view! {
        <div class=class>
            <span class="console__time" aria-hidden="true">{move || texts.milliseconds(at, 1)}</span>
            {name}
            <span class="console__text">{line.text}</span>
        </div>
    }
}

/// Where one types, while a program asks.
#[component]
fn StdinLine() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let asks = Memo::new(move |_| {
        let count = page.lab.with(|lab| lab.programs.len()) as u32;
        let now = page.time.get();
        let chosen = page.console.get();
        page.sockets.with(|sockets| {
            page.trace.with(|trace| {
                (0..count).filter(|program| chosen.is_none_or(|chosen| chosen == *program)).find(|program| {
                    trace.waits.of(*program, sockets, now).iter().any(|reason| reason.key == "wait-stdin")
                })
            })
        })
    });
    let field = NodeRef::<html::Input>::new();
    let send = move |text: String| {
        if let Some(program) = asks.get_untracked() {
            page.bridge.send(Command::Stdin { program, text });
        }
    };
    let on_submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if let Some(field) = field.get_untracked() {
            send(format!("{}\n", field.value()));
            field.set_value("");
        }
    };
    view! {
        <Show when=move || asks.get().is_some()>
            <form class="console__ask" on:submit=on_submit>
                <label class="console__who" for="console-stdin">
                    {move || asks.get().map(|program| page.lab.with(|lab| lab.program_name(program)))}
                </label>
                <input
                    id="console-stdin"
                    class="code"
                    data-testid="stdin"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder=move || texts.get("console-type")
                    node_ref=field
                />
                <button type="submit" class="button button--small">{move || texts.get("console-send")}</button>
                <button
                    type="button"
                    class="button button--small button--quiet"
                    title=move || texts.get("console-eof-title")
                    on:click=move |_| send(String::new())
                >
                    {move || texts.get("console-eof")}
                </button>
            </form>
        </Show>
    }
}

/// What the network's own state says about the errors of this run: one sentence, and the packet to look at.
#[component]
fn EvidenceBox() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let dismissed = RwSignal::new(None::<u64>);
    let all = Memo::new(move |_| {
        let chosen = page.console.get();
        let evidence = page
            .trace
            .with(|trace| page.sockets.with(|sockets| trace.failures.evidence(trace.topology(), sockets)));
        evidence
            .into_iter()
            .filter(|found| chosen.is_none_or(|program| found.program == program))
            .collect::<Vec<Evidence>>()
    });
    let shown = Memo::new(move |_| {
        all.with(|all| all.last().filter(|found| dismissed.get() != Some(found.call)).cloned())
    });
    let more = move || all.with(|all| all.len().saturating_sub(1));
    view! {
        <Show when=move || shown.with(Option::is_some)>
            <div class="console__evidence" role="status" data-testid="evidence">
                <p>
                    <b>
                        {move || {
                            shown.get().map(|found| {
                                let who = page.lab.with(|lab| lab.program_name(found.program));
                                format!("{who}: {} [{}].", found.exception, found.errno)
                            })
                        }}
                    </b>
                    " "
                    {move || shown.get().map(|found| texts.with_owned(&found.key, &found.args))}
                    " "
                    <button
                        type="button"
                        class="link-button"
                        on:click=move |_| {
                            if let Some(found) = shown.get_untracked() {
                                match found.packet {
                                    Some(packet) => page.show_packet(packet),
                                    None => page.show_call(found.call, found.program),
                                }
                            }
                        }
                    >
                        {move || {
                            let packet = shown.with(|found| found.as_ref().is_some_and(|found| found.packet.is_some()));
                            texts.get(if packet { "evidence-show-packet" } else { "evidence-show-line" })
                        }}
                    </button>
                    {move || {
                        (more() > 0)
                            .then(|| {
                                view! {
                                    <span class="console__more">
                                        {texts.with("evidence-more", &[("count", &more().to_string())])}
                                    </span>
                                }
                            })
                    }}
                </p>
                <button
                    type="button"
                    class="button button--quiet button--icon"
                    aria-label=move || texts.get("close")
                    on:click=move |_| dismissed.set(shown.get_untracked().map(|found| found.call))
                >
                    <Icon glyph=Glyph::Close />
                </button>
            </div>
        </Show>
    }
}
