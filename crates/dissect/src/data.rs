//! What is left when all headers are taken off: octets, shown as text where they are text.

use crate::header::{Walk, field, preview};
use crate::keys::{DATA_DATA, DATA_LEN, DATA_TEXT};
use crate::link::hex;
use crate::tree::LayerLetter;

/// Most lines of text that are shown one by one.
const LINES: usize = 32;

/// The octets from `start` to `end` as data; nothing if there are none.
pub(crate) fn data(w: &mut Walk<'_>, start: usize, end: usize) {
    let octets = w.octets(start, end);
    if octets.is_empty() {
        return;
    }
    let mut h = w.header(start, end);
    h.add(DATA_DATA, 0, octets.len(), hex(octets));
    if is_text(octets) {
        let mut text = field(DATA_TEXT, start, start + octets.len(), preview(octets, 120));
        let mut at = start;
        for line in octets.split_inclusive(|o| *o == b'\n').take(LINES) {
            text.children.push(field(DATA_TEXT, at, at + line.len(), preview(line, 120)));
            at += line.len();
        }
        if text.children.len() == 1 {
            text.children.clear();
        }
        h.fields.push(text);
    }
    h.derive(DATA_LEN, 0, octets.len().to_string());
    let plural = if octets.len() == 1 { "" } else { "s" };
    w.layer(
        LayerLetter::Application,
        "data",
        format!("Data ({} byte{plural})", octets.len()),
        h,
        octets.len(),
    );
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
