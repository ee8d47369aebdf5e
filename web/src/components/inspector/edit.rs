//! The octets of a held frame, to be written over by hand: what a faulty cable, or somebody in the middle, might do.

use leptos::prelude::*;
use socketlab_protocol::{Command, FrameDeed};

use crate::state::Page;
use crate::texts::Texts;

/// Octets on a line.
const PER_LINE: usize = 16;
/// An Ethernet header: two addresses and a type.
pub(super) const HEADER: usize = 14;

/// The form.
#[component]
pub fn EditOctets(
    /// The held frame.
    frame: u64,
    /// Its octets now.
    bytes: Vec<u8>,
    /// Octets that the link takes at most.
    most: usize,
    /// Written or given up.
    on_done: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let written = RwSignal::new(write(&bytes));
    let before = StoredValue::new(bytes);
    let read = Memo::new(move |_| written.with(|text| read(text, most)));
    let says = move || match read.get() {
        Ok(octets) => {
            let changed = before.with_value(|before| changes(before, &octets));
            texts.with("edit-changed", &[("octets", &changed.to_string())])
        }
        Err(Problem::NotHex(word)) => texts.with("edit-not-hex", &[("word", &word)]),
        Err(Problem::Length(octets)) => texts.with(
            "edit-length",
            &[("octets", &octets.to_string()), ("least", &HEADER.to_string()), ("most", &most.to_string())],
        ),
    };
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if let Ok(octets) = read.get_untracked() {
            page.edited.update(|edited| {
                edited.insert(frame, octets.clone());
            });
            page.bridge.send(Command::Frame { frame, deed: FrameDeed::Edit(octets) });
            on_done();
        }
    };
    view! {
        <form class="inspector__edit" data-testid="frame-edit-form" on:submit=save>
            <label class="inspector__edit-label">
                <span>{move || texts.get("edit-what")}</span>
                <textarea
                    class="code"
                    data-testid="frame-octets"
                    spellcheck="false"
                    autocomplete="off"
                    rows="8"
                    aria-invalid=move || read.with(Result::is_err).to_string()
                    aria-describedby="edit-says"
                    prop:value=move || written.get()
                    on:input=move |event| written.set(event_target_value(&event))
                    on:keydown=move |event| {
                        event.stop_propagation();
                        if event.key() == "Escape" {
                            on_done();
                        }
                    }
                ></textarea>
            </label>
            <p class="inspector__edit-says" id="edit-says" role="status">{says}</p>
            <button type="submit" class="button button--small button--primary" data-testid="frame-octets-save" disabled=move || read.with(Result::is_err)>
                {move || texts.get("edit-save")}
            </button>
            <button type="button" class="button button--small" on:click=move |_| on_done()>
                {move || texts.get("edit-cancel")}
            </button>
        </form>
    }
}

/// What is wrong with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    /// This is no octet.
    NotHex(String),
    /// So many octets are no frame, or more than the link takes.
    Length(usize),
}

fn write(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(PER_LINE).map(line).collect::<Vec<_>>().join("\n")
}

/// Two hexadecimal digits an octet; blanks and line ends are free.
fn read(text: &str, most: usize) -> Result<Vec<u8>, Problem> {
    let mut octets = Vec::new();
    for word in text.split_whitespace() {
        let digits: Vec<u32> = word.chars().map_while(|c| c.to_digit(16)).collect();
        if digits.len() != word.chars().count() || digits.len() % 2 == 1 {
            return Err(Problem::NotHex(word.chars().take(PER_LINE).collect()));
        }
        octets.extend(digits.chunks(2).filter_map(|pair| match pair {
            [high, low] => u8::try_from(high << 4 | low).ok(),
            _ => None,
        }));
    }
    if (HEADER..=most).contains(&octets.len()) { Ok(octets) } else { Err(Problem::Length(octets.len())) }
}

/// How many octets differ, those that only one of them has among them.
fn changes(before: &[u8], after: &[u8]) -> usize {
    let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
    before.len().max(after.len()) - same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let bytes: Vec<u8> = (0..60).collect();
        assert_eq!(read(&write(&bytes), 1514), Ok(bytes.clone()));
        let glued = write(&bytes).replace([' ', '\n'], "");
        assert_eq!(read(&glued, 1514), Ok(bytes));
    }

    #[test]
    fn what_is_no_frame_is_refused_with_the_reason() {
        assert_eq!(read("00 1g", 1514), Err(Problem::NotHex("1g".to_owned())));
        assert_eq!(read("00 123", 1514), Err(Problem::NotHex("123".to_owned())));
        assert_eq!(read("åä", 1514), Err(Problem::NotHex("åä".to_owned())));
        assert_eq!(read("00 11", 1514), Err(Problem::Length(2)));
        assert_eq!(read(&"00 ".repeat(61), 60), Err(Problem::Length(61)));
    }

    #[test]
    fn changes_are_counted() {
        assert_eq!(changes(b"abc", b"abd"), 1);
        assert_eq!(changes(b"abc", b"ab"), 1);
        assert_eq!(changes(b"abc", b"abc"), 0);
    }
}
