//! The marked packet: its layers as a tree and its octets, each field tied to its bytes.

pub mod edit;

use std::ops::Range;

use leptos::html;
use leptos::prelude::*;
use socketlab_protocol::{Command, FrameDeed};
use socketlab_view::{Dissection, Field, Layer, LayerLetter, dissect_with};

use crate::components::icon::{Glyph, Icon};
use crate::components::size::size_of;
use crate::state::Page;
use crate::texts::{Texts, try_text};
use edit::EditOctets;

/// Octets on a line of the byte view, with much and with little room.
const PER_LINE: (usize, usize) = (16, 8);
/// From this width on, in CSS pixels, there is much room.
const WIDE: f64 = 900.0;
/// Below this width the octets are not shown as text too.
const SMALL: f64 = 640.0;

/// A packet taken apart.
#[derive(Clone, PartialEq)]
struct Taken {
    number: u64,
    conversation: Option<u32>,
    /// Somebody has written over octets of it.
    edited: bool,
    bytes: Vec<u8>,
    dissection: Dissection,
}

/// The panel below the traffic, while a packet is marked.
#[component]
pub fn Inspector() -> impl IntoView {
    let page = Page::here();
    let taken = Memo::new(move |_| {
        let packet = page.selection.with(|selection| selection.packet)?;
        page.trace.with(|trace| {
            let row = trace.packets.row_of(packet)?;
            let frame = trace.frame(row.event)?;
            let edited = page.edited.with(|edited| {
                let frames = if edited.is_empty() { Vec::new() } else { trace.frames_of(packet) };
                frames.iter().find_map(|frame| edited.get(frame).cloned())
            });
            let is_edited = edited.is_some();
            let bytes = edited.unwrap_or_else(|| frame.bytes.clone());
            let dissection = dissect_with(&bytes, &frame.context);
            let (number, conversation) = (row.number, row.conversation);
            Some(Taken { number, conversation, edited: is_edited, dissection, bytes })
        })
    });
    let marked = RwSignal::new(None::<Range<usize>>);
    let name = RwSignal::new(String::new());
    Effect::new(move |_| {
        // Another packet: keep pointing at the same field if it has one of that name.
        let wanted = name.get_untracked();
        let range = taken.with(|taken| {
            let taken = taken.as_ref()?;
            let in_frame = taken.dissection.layers.iter().filter(|layer| layer.source == 0);
            let fields = in_frame.flat_map(|layer| layer.fields.iter());
            find(fields, &wanted)
        });
        marked.set(range);
    });
    move || {
        taken.get().map(|taken| {
            view! { <Opened taken=taken marked=marked name=name /> }
        })
    }
}

fn find<'a>(mut fields: impl Iterator<Item = &'a Field>, name: &str) -> Option<Range<usize>> {
    if name.is_empty() {
        return None;
    }
    fields.find_map(|field| {
        if field.name == name { Some(field.start..field.end) } else { find(field.children.iter(), name) }
    })
}

#[component]
fn Opened(taken: Taken, marked: RwSignal<Option<Range<usize>>>, name: RwSignal<String>) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let Taken { number, conversation, edited, bytes, dissection } = taken;
    let editing = RwSignal::new(None::<(u64, usize)>);
    let for_edit = bytes.clone();
    let place = NodeRef::<html::Section>::new();
    let size = size_of(place);
    let per_line = Memo::new(move |_| if size.get().0 >= WIDE { PER_LINE.0 } else { PER_LINE.1 });
    let with_text = Memo::new(move |_| size.get().0 >= SMALL);
    let status = move || {
        let octets = marked.get().map(|range| range.len());
        let name = name.get();
        match octets {
            Some(octets) if octets > 0 && !name.is_empty() => {
                texts.with("inspector-field", &[("name", &name), ("octets", &octets.to_string())])
            }
            _ => String::new(),
        }
    };
    let notes = dissection.notes.clone();
    let letters: Vec<Option<LayerLetter>> = (0..bytes.len())
        .map(|at| {
            dissection
                .layers
                .iter()
                .rev()
                .find(|layer| layer.source == 0 && layer.start <= at && at < layer.end)
                .map(|layer| layer.letter)
        })
        .collect();
    let count = dissection.layers.len();
    let for_bytes = dissection.clone();
    let on_byte = move |at: usize| {
        if let Some((layer, path)) = for_bytes.field_at(at) {
            let layer = &for_bytes.layers[layer];
            let mut fields = &layer.fields;
            let mut range = layer.start..layer.end;
            let mut found = layer.protocol.to_string();
            for index in path {
                let Some(field) = fields.get(index) else { break };
                range = field.start..field.end;
                found = field.name.to_string();
                fields = &field.children;
            }
            name.set(found);
            marked.set(Some(range));
        }
    };
    view! {
        <section class="inspector" node_ref=place aria-label=move || texts.with("inspector-title", &[("number", &number.to_string())])>
            <div class="inspector__bar">
                <h3>{move || texts.with("inspector-title", &[("number", &number.to_string())])}</h3>
                <span class="inspector__status code" role="status">{status}</span>
                <span class="grow"></span>
                <Show when=move || edited>
                    <span class="chip chip--past" data-testid="frame-edited">{move || texts.get("edit-done")}</span>
                </Show>
                {conversation
                    .map(|conversation| {
                        view! {
                            <button
                                type="button"
                                class="button button--small"
                                data-testid="stream-follow"
                                title=move || texts.get("stream-follow-title")
                                on:click=move |_| page.stream.set(Some(conversation))
                            >
                                {move || texts.get("stream-follow")}
                            </button>
                        }
                    })}
                <OnItsWay editing=editing />
                <button
                    type="button"
                    class="button button--quiet button--icon button--small"
                    aria-label=move || texts.get("close")
                    title=move || texts.get("close")
                    on:click=move |_| page.clear_selection()
                >
                    <Icon glyph=Glyph::Close />
                </button>
            </div>
            {move || {
                editing
                    .get()
                    .map(|(frame, most)| {
                        let bytes = for_edit.clone();
                        view! {
                            <EditOctets frame=frame bytes=bytes most=most on_done=move || editing.set(None) />
                        }
                    })
            }}
            <div class="inspector__halves" hidden=move || editing.with(Option::is_some)>
                <div class="inspector__tree" data-testid="packet-tree">
                    {dissection
                        .layers
                        .into_iter()
                        .enumerate()
                        .map(|(index, layer)| view! { <LayerRow layer=layer last=index + 1 == count marked=marked name=name /> })
                        .collect_view()}
                    {notes
                        .into_iter()
                        .map(|note| view! { <p class="inspector__note">{move || texts.get(&note.key)}</p> })
                        .collect_view()}
                </div>
                <div class="inspector__bytes" tabindex="0" role="group" aria-label=move || texts.get("inspector-bytes")>
                    {move || {
                        view! {
                            <ByteLines
                                bytes=bytes.clone()
                                letters=letters.clone()
                                marked=marked
                                per_line=per_line.get()
                                with_text=with_text.get()
                                on_byte=on_byte.clone()
                            />
                        }
                    }}
                </div>
            </div>
        </section>
    }
}

/// What can be done to the marked packet while a frame of it is under way or held.
#[component]
fn OnItsWay(
    /// The frame whose octets are being written over, and how many octets its link takes.
    editing: RwSignal<Option<(u64, usize)>>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    // Its frame, and whether somebody holds it.
    let frame = Memo::new(move |_| {
        let packet = page.selection.with(|selection| selection.packet)?;
        let anything_held = page.links.with(|links| links.iter().any(|link| !link.held.is_empty()));
        let held = page.trace.with(|trace| {
            if !anything_held {
                return None;
            }
            let frames = trace.frames_of(packet);
            page.links.with(|links| {
                links.iter().flat_map(|link| &link.held).find(|frame| frames.contains(frame)).copied()
            })
        });
        if let Some(frame) = held {
            return Some((frame, true));
        }
        if page.past.get().is_some() {
            return None;
        }
        let now = page.live.get();
        let flights = page.trace.with(|trace| trace.flights.at(now));
        let flight = flights.iter().find(|flight| flight.packet == packet && flight.lost.is_none())?;
        Some((flight.frame, false))
    });
    let button = move |key: &'static str, deed: FrameDeed| {
        view! {
            <button
                type="button"
                class="button button--small"
                data-testid=key
                title=move || texts.get(&format!("{key}-title"))
                on:click=move |_| {
                    if let Some((frame, _)) = frame.get_untracked() {
                        page.bridge.send(Command::Frame { frame, deed: deed.clone() });
                    }
                }
            >
                {move || texts.get(key)}
            </button>
        }
    };
    let held = move || frame.get().is_some_and(|(_, held)| held);
    view! {
        <Show when=move || frame.get().is_some()>
            <Show when=held fallback=move || button("frame-hold", FrameDeed::Hold)>
                {button("frame-release", FrameDeed::Release)}
                <button
                    type="button"
                    class="button button--small"
                    data-testid="frame-edit"
                    title=move || texts.get("frame-edit-title")
                    aria-expanded=move || editing.with(Option::is_some).to_string()
                    on:click=move |_| {
                        let Some((frame, _)) = frame.get_untracked() else { return };
                        let mtu = page.links.with_untracked(|links| {
                            links.iter().find(|link| link.held.contains(&frame)).map(|link| link.mtu)
                        });
                        let most = mtu.map_or(0, |mtu| mtu as usize + edit::HEADER);
                        editing.update(|editing| *editing = if editing.is_some() { None } else { Some((frame, most)) });
                    }
                >
                    {move || texts.get("frame-edit")}
                </button>
            </Show>
            {button("frame-drop", FrameDeed::Drop)}
        </Show>
    }
}

#[component]
fn LayerRow(
    layer: Layer,
    last: bool,
    marked: RwSignal<Option<Range<usize>>>,
    name: RwSignal<String>,
) -> impl IntoView {
    let texts = Texts::here();
    // What was put together from several frames has no bytes in this one.
    let in_frame = layer.source == 0;
    let range = if in_frame { layer.start..layer.end } else { 0..0 };
    let this = range.clone();
    let protocol = layer.protocol.to_string();
    let class = match layer.letter {
        LayerLetter::Application => "layer layer--a",
        LayerLetter::Transport => "layer layer--t",
        LayerLetter::Network => "layer layer--n",
        LayerLetter::Link => "layer layer--l",
    };
    let open = last || matches!(layer.letter, LayerLetter::Transport | LayerLetter::Application);
    view! {
        <details class="inspector__layer" open=open style:margin-left=format!("{}px", usize::from(layer.depth) * 16)>
            <summary
                class:inspector__field--on=move || marked.get().as_ref() == Some(&this)
                on:click=move |_| {
                    name.set(protocol.clone());
                    marked.set(Some(range.clone()));
                }
            >
                <span class=class aria-hidden="true">{layer.letter.letter().to_string()}</span>
                <span class="inspector__title">{layer.title}</span>
            </summary>
            {layer.fields.into_iter().map(|field| field_row(texts, field, marked, name, (0, in_frame))).collect_view()}
        </details>
    }
}

fn field_row(
    texts: Texts,
    field: Field,
    marked: RwSignal<Option<Range<usize>>>,
    name: RwSignal<String>,
    (depth, in_frame): (usize, bool),
) -> AnyView {
    let range = if in_frame { field.start..field.end } else { 0..0 };
    let this = range.clone();
    let filter = field.name.to_string();
    let own = filter.clone();
    let chosen = filter.clone();
    let label = move || try_text(texts.lang(), &field.key, &[]).unwrap_or_else(|| field.label.to_string());
    let colon = if field.value.is_empty() { "" } else { ": " };
    let value = move || try_text(texts.lang(), &field.value_key, &[]).unwrap_or_else(|| field.value.clone());
    let (before, after) = if field.generated { ("[", "]") } else { ("", "") };
    let children = field
        .children
        .into_iter()
        .map(|child| field_row(texts, child, marked, name, (depth + 1, in_frame)))
        .collect_view();
    view! {
        <button
            type="button"
            class="inspector__field"
            style:padding-left=format!("{}px", 24 + depth * 16)
            class:inspector__field--on=move || marked.get().as_ref() == Some(&this) && name.with(|name| *name == own)
            on:click=move |_| {
                name.set(chosen.clone());
                marked.set(Some(range.clone()));
            }
        >
            <span>{before} {label} {colon} <b>{value}</b> {after}</span>
            <span class="inspector__filter code">{filter}</span>
        </button>
        {children}
    }
    .into_any()
}

#[component]
fn ByteLines(
    bytes: Vec<u8>,
    letters: Vec<Option<LayerLetter>>,
    marked: RwSignal<Option<Range<usize>>>,
    per_line: usize,
    with_text: bool,
    on_byte: impl Fn(usize) + Clone + Send + 'static,
) -> impl IntoView {
    let on = move |at: usize| marked.with(|marked| marked.as_ref().is_some_and(|range| range.contains(&at)));
    let lines = bytes
        .chunks(per_line)
        .enumerate()
        .map(|(line, chunk)| {
            let start = line * per_line;
            let hex = chunk
                .iter()
                .enumerate()
                .map(|(offset, byte)| {
                    let at = start + offset;
                    let letter = match letters.get(at).copied().flatten() {
                        Some(LayerLetter::Application) => "byte byte--a",
                        Some(LayerLetter::Transport) => "byte byte--t",
                        Some(LayerLetter::Network) => "byte byte--n",
                        Some(LayerLetter::Link) => "byte byte--l",
                        None => "byte",
                    };
                    let gap = if offset == 8 { " " } else { "" };
                    let on_byte = on_byte.clone();
                    view! {
                        {gap}
                        <span class=letter class:byte--on=move || on(at) on:click=move |_| on_byte(at)>
                            {format!("{byte:02x}")}
                        </span>
                    }
                })
                .collect_view();
            let text = chunk
                .iter()
                .enumerate()
                .map(|(offset, byte)| {
                    let at = start + offset;
                    let shown = if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '·' };
                    view! { <span class="byte" class:byte--on=move || on(at)>{shown.to_string()}</span> }
                })
                .collect_view();
            view! {
                <div class="inspector__line">
                    <span class="inspector__offset">{format!("{start:04x}")}</span>
                    <span class="inspector__hex">{hex}</span>
                    {with_text.then(|| view! { <span class="inspector__ascii">{text}</span> })}
                </div>
            }
        })
        .collect_view();
    view! { {lines} }
}
