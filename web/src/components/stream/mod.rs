//! "Follow stream": what the two programs of a conversation said to each other, each side in its own colour, as text or
//! octet by octet. A click on a piece marks the packet that brought it.

use leptos::html;
use leptos::prelude::*;
use socketlab_view::flow::{Chunk, follow};

use crate::components::colour_class;
use crate::components::icon::{Glyph, Icon};
use crate::components::segment::{Choice, Segment};
use crate::state::Page;
use crate::texts::Texts;

/// Octets that are drawn; of what is longer the beginning, and a sentence says so. A choice: about a hundred screens.
const MOST: usize = 256 * 1024;
/// Octets on a line of the octet view.
const PER_LINE: usize = 16;

/// How octets are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Hex,
}

/// Whose words are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Both,
    First,
    Second,
}

/// The dialog, while a conversation is followed.
#[component]
pub fn Stream() -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let dialog = NodeRef::<html::Dialog>::new();
    let form = RwSignal::new(Form::Text);
    let sides = RwSignal::new(Sides::Both);
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        let open = page.stream.with(Option::is_some);
        if open && !dialog.open() {
            let _open_already = dialog.show_modal();
        } else if !open && dialog.open() {
            dialog.close();
        }
    });
    // Built only while it is looked at.
    let chunks = Memo::new(move |_| {
        let conversation = page.stream.get()?;
        Some(page.trace.with(|trace| follow(trace.events(), conversation)))
    });
    let name = move || {
        let conversation = page.stream.get()?;
        page.trace.with(|trace| {
            let found = trace.conversations().iter().find(|one| one.number == conversation);
            found.map(|one| one.name.clone())
        })
    };
    let ends = move || {
        let name = name().unwrap_or_default();
        name.split_once(" – ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap_or((name.clone(), String::new()))
    };
    let forms = [(Form::Text, "text", "stream-text"), (Form::Hex, "hex", "stream-hex")]
        .into_iter()
        .map(|(value, id, key)| Choice { value, label: Signal::derive(move || texts.get(key)), id })
        .collect::<Vec<_>>();
    let sides_choices = [(Sides::Both, "both"), (Sides::First, "first"), (Sides::Second, "second")]
        .into_iter()
        .map(|(value, id)| Choice {
            value,
            label: Signal::derive(move || {
                let (a, b) = ends();
                match value {
                    Sides::Both => texts.get("stream-both"),
                    Sides::First => format!("{a} →"),
                    Sides::Second => format!("{b} →"),
                }
            }),
            id,
        })
        .collect::<Vec<_>>();
    let said = move |first: bool| {
        chunks.with(|chunks| {
            let all = chunks.iter().flatten().filter(|chunk| chunk.from_first == first);
            all.map(|chunk| chunk.octets.len() as u64).sum::<u64>()
        })
    };
    let shown =
        Memo::new(move |_| chunks.with(|chunks| cut(chunks.as_deref().unwrap_or_default(), sides.get())));
    view! {
        <dialog
            class="stream"
            aria-labelledby="stream-title"
            node_ref=dialog
            data-testid="stream"
            on:close=move |_| page.stream.set(None)
        >
            <Show when=move || page.stream.with(Option::is_some)>
                <div class=move || format!("stream__box {}", colour_class(page.stream.get()))>
                    <header class="stream__bar">
                        <h2 id="stream-title">{move || texts.get("stream-title")}</h2>
                        <span class="stream__name code">{name}</span>
                        <span class="grow"></span>
                        <button
                            type="button"
                            class="button button--quiet button--icon"
                            data-testid="stream-close"
                            aria-label=move || texts.get("close")
                            on:click=move |_| page.stream.set(None)
                        >
                            <Icon glyph=Glyph::Close />
                        </button>
                    </header>
                    <div class="stream__choices">
                        <Segment
                            choices=sides_choices.clone()
                            value=sides
                            on_choose=move |chosen| sides.set(chosen)
                            label=Signal::derive(move || texts.get("stream-sides"))
                            testid="stream-sides"
                        />
                        <Segment
                            choices=forms.clone()
                            value=form
                            on_choose=move |chosen| form.set(chosen)
                            label=Signal::derive(move || texts.get("stream-form"))
                            testid="stream-form"
                        />
                    </div>
                    <div
                        class="stream__text code"
                        tabindex="0"
                        role="group"
                        data-testid="stream-text"
                        aria-label=move || texts.get("stream-title")
                    >
                        <Show when=move || shown.with(|(chunks, _)| chunks.is_empty())>
                            <p class="empty">{move || texts.get("stream-empty")}</p>
                        </Show>
                        {move || {
                            let (a, b) = ends();
                            shown
                                .get()
                                .0
                                .into_iter()
                                .map(|chunk| {
                                    let who = if chunk.from_first { a.clone() } else { b.clone() };
                                    view! { <Piece chunk=chunk who=who form=form.get() /> }
                                })
                                .collect_view()
                        }}
                        {move || {
                            let left = shown.with(|(_, left)| *left);
                            (left > 0)
                                .then(|| {
                                    let octets = texts.count(left);
                                    view! { <p class="stream__more">{texts.with("stream-more", &[("octets", &octets)])}</p> }
                                })
                        }}
                    </div>
                    <p class="stream__sums">
                        {move || {
                            let (a, b) = ends();
                            texts
                                .with(
                                    "stream-sums",
                                    &[
                                        ("a", &a),
                                        ("b", &b),
                                        ("from_a", &texts.count(said(true))),
                                        ("from_b", &texts.count(said(false))),
                                    ],
                                )
                        }}
                    </p>
                </div>
            </Show>
        </dialog>
    }
}

/// What one side said until the other spoke.
#[component]
fn Piece(chunk: Chunk, who: String, form: Form) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let packet = chunk.packet;
    let class = if chunk.from_first {
        "stream__piece stream__piece--first"
    } else {
        "stream__piece stream__piece--second"
    };
    let missing = (chunk.missing > 0).then(|| {
        let octets = texts.count(chunk.missing);
        view! { <span class="stream__missing">{texts.with("stream-missing", &[("octets", &octets)])}</span> }
    });
    let words = match form {
        Form::Text => text_of(&chunk.octets),
        Form::Hex => hex_of(&chunk.octets),
    };
    let at = chunk.at;
    view! {
        <div class=class data-side=if chunk.from_first { "first" } else { "second" }>
            <button
                type="button"
                class="stream__who"
                title=move || texts.get("stream-show")
                on:click=move |_| {
                    page.stream.set(None);
                    page.select_packet(packet);
                }
            >
                {who}
                " "
                <span class="stream__at">{move || texts.milliseconds(at, 3)} " ms"</span>
            </button>
            {missing}
            <pre class="stream__words">{words}</pre>
        </div>
    }
}

/// What is drawn of these, and how many octets are not.
fn cut(chunks: &[Chunk], sides: Sides) -> (Vec<Chunk>, u64) {
    let mut room = MOST;
    let (mut shown, mut left) = (Vec::new(), 0);
    for chunk in chunks {
        let wanted = match sides {
            Sides::Both => true,
            Sides::First => chunk.from_first,
            Sides::Second => !chunk.from_first,
        };
        if !wanted {
            continue;
        }
        let take = chunk.octets.len().min(room);
        room -= take;
        left += (chunk.octets.len() - take) as u64;
        if take > 0 || chunk.octets.is_empty() {
            let octets = chunk.octets.get(..take).unwrap_or_default().to_vec();
            shown.push(Chunk { octets, ..chunk.clone() });
        }
    }
    (shown, left)
}

/// As text; what is no text is a dot, as Wireshark writes it.
fn text_of(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '·' } else { c }).collect()
}

/// Offset, octets, text, as hexdump(1) -C writes them.
fn hex_of(octets: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let hex: Vec<String> = line.iter().map(|octet| format!("{octet:02x}")).collect();
        let text: String = line
            .iter()
            .map(|octet| if (0x20..0x7f).contains(octet) { char::from(*octet) } else { '·' })
            .collect();
        format!("{:08x}  {:<47}  {text}", number * PER_LINE, hex.join(" "))
    };
    octets.chunks(PER_LINE).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(from_first: bool, octets: &[u8]) -> Chunk {
        Chunk { from_first, at: 0, packet: 1, octets: octets.to_vec(), missing: 0 }
    }

    #[test]
    fn a_long_stream_is_cut_and_the_rest_counted() {
        let all = [chunk(true, &vec![b'a'; MOST]), chunk(false, b"bc"), chunk(true, b"d")];
        let (shown, left) = cut(&all, Sides::Both);
        assert_eq!((shown.len(), left), (1, 3));
        let (shown, left) = cut(&all, Sides::Second);
        assert_eq!((shown, left), (vec![chunk(false, b"bc")], 0));
    }

    #[test]
    fn octets_are_written_as_text_and_line_by_line() {
        assert_eq!(text_of("hej å\r\n\0".as_bytes()), "hej å\n·");
        assert_eq!(
            hex_of(b"GET / HTTP/1.1\r\n\r\n"),
            "00000000  47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1··\n\
             00000010  0d 0a                                            ··"
        );
    }
}
