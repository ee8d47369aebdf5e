//! The labs that ship with the product.

/// A lesson's text in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonText {
    /// Title.
    pub title: &'static str,
    /// Markdown.
    pub body: &'static str,
}

/// A lab that ships with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedLab {
    /// Name in links: `sensors`.
    pub name: &'static str,
    /// Text of its `lab.toml`.
    pub toml: &'static str,
    /// Its program files: name and text.
    pub files: &'static [(&'static str, &'static str)],
    /// Lesson in English.
    pub en: LessonText,
    /// Lesson in Swedish.
    pub sv: LessonText,
}

/// All shipped labs; the first is the one that opens by itself.
pub fn library() -> &'static [ShippedLab] {
    &[]
}
