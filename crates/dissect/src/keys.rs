//! Keys of the labels that a person reads, with the English text; the page's locales hold them in each language.

/// Keys of all field labels with their English text (Wireshark's).
pub fn field_keys() -> &'static [(&'static str, &'static str)] {
    &[]
}

/// Keys of all notes with their English text.
pub fn note_keys() -> &'static [(&'static str, &'static str)] {
    &[]
}
