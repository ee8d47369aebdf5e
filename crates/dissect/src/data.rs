//! What is left when all headers are taken off: octets, shown as text where they are text.

use crate::fields::{DATA_DATA, DATA_LEN, DATA_TEXT, LINE};
use crate::header::{Walk, plural, preview};
use crate::tree::{LayerLetter, Value};

/// Most lines of text that are shown one by one.
const LINES: usize = 64;

/// The octets from `start` to `end` as data; nothing if there are none.
pub(crate) fn data(w: &mut Walk<'_>, start: usize, end: usize) {
    let octets = w.slice(start, end);
    if octets.is_empty() {
        return;
    }
    let mut h = w.header(start, end);
    h.bytes(DATA_DATA, 0, octets.len());
    if h.makes_texts() && is_text(octets) {
        h.open(DATA_TEXT, 0, octets.len(), Value::Text(String::new()), || preview(octets, 120));
        if let Some(text) = h.group() {
            text.typed = Value::Text(String::from_utf8_lossy(octets).into_owned());
        }
        let mut at = 0;
        let lines = octets.split_inclusive(|o| *o == b'\n').count();
        for line in octets.split_inclusive(|o| *o == b'\n').take(LINES).filter(|_| lines > 1) {
            let shown = String::from_utf8_lossy(line).into_owned();
            h.add(DATA_TEXT, at, line.len(), Value::Text(shown), || preview(line, 120));
            at += line.len();
        }
        h.close();
    }
    h.derive(DATA_LEN, 0, Value::Uint(octets.len() as u64));
    let len = octets.len();
    w.layer(LayerLetter::Application, "data", || format!("Data ({len} byte{})", plural(len)), h, len);
}

/// The lines of a text, such as the body of an HTTP response.
pub(crate) fn text_lines(w: &mut Walk<'_>, start: usize, end: usize, kind: &str) {
    let octets = w.slice(start, end);
    let mut h = w.header(start, end);
    let mut at = 0;
    let wanted = if h.makes_fields() { LINES } else { 0 };
    for line in octets.split_inclusive(|o| *o == b'\n').take(wanted) {
        h.open(LINE, at, line.len(), Value::None, String::new);
        if let Some(f) = h.group() {
            let text = preview(line, 1000);
            f.label = text[1..text.len() - 1].to_string().into();
        }
        h.close();
        at += line.len();
    }
    let lines = octets.split_inclusive(|o| *o == b'\n').count();
    let title = || format!("Line-based text data: {kind} ({lines} lines)");
    w.layer(LayerLetter::Application, "data-text-lines", title, h, octets.len());
}

/// Whether a person would call it text: UTF-8 (but for a character cut at the end) without control characters other
/// than line ends and tabs.
pub fn is_text(octets: &[u8]) -> bool {
    let mut chunks = octets.utf8_chunks();
    let Some(first) = chunks.next() else { return false };
    let cut = first.invalid().len();
    let clean = cut == 0 || (cut < 4 && first.valid().len() + cut == octets.len());
    clean
        && !first.valid().is_empty()
        && !first.valid().chars().any(|c| c.is_control() && !"\r\n\t".contains(c))
}
