//! The page's few line icons, drawn on a 16 by 16 grid.

use leptos::prelude::*;

/// Which icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Glyph {
    Play,
    Pause,
    Step,
    Restart,
    Share,
    Theme,
    Help,
    Close,
    Check,
    Chevron,
    Lesson,
    Net,
    Traffic,
    Code,
    Console,
    Fit,
    Stop,
    Undo,
    Table,
    Folder,
    Clear,
    People,
}

impl Glyph {
    const fn path(self) -> &'static str {
        match self {
            Glyph::Play => "M4.5 2.8v10.4L13 8z",
            Glyph::Pause => "M5 3v10M11 3v10",
            Glyph::Step => "M2.5 8h7M6.5 4.5 10 8l-3.5 3.5M13 3.5v9",
            Glyph::Restart => "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
            Glyph::Share => {
                "M6.5 9.5 13.5 2.5M9.5 2.5h4v4M11.5 9v3.5a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1H7"
            }
            Glyph::Theme => "M8 2.2a5.8 5.8 0 1 0 0 11.6zM8 2.2a5.8 5.8 0 0 1 0 11.6z",
            Glyph::Help => "M5.8 6.1a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12.2v.1",
            Glyph::Close => "M4 4l8 8M12 4l-8 8",
            Glyph::Check => "M3.5 8.5 6.5 11.5 12.5 4.8",
            Glyph::Chevron => "M4.5 6.5 8 10l3.5-3.5",
            Glyph::Lesson => {
                "M8 4.2C6.6 3 4.6 2.8 2.5 3v9.3c2.1-.2 4.1 0 5.5 1.2 1.4-1.2 3.4-1.4 5.5-1.2V3c-2.1-.2-4.1 0-5.5 1.2zM8 4.2v9.3"
            }
            Glyph::Net => {
                "M3.2 4.8a1.5 1.5 0 1 0 0-.1M9.8 8a1.5 1.5 0 1 0 0-.1M3.2 11.4a1.5 1.5 0 1 0 0-.1M6 5.2l4 2.2M6 10.8l4-2.2"
            }
            Glyph::Traffic => {
                "M4 2.5v11M12 2.5v11M4 5l7 1.8M12 9.2 5 11M9.6 5.3l1.6 1.5-2 .6M6.7 9.5 5 11l2 .8"
            }
            Glyph::Code => "M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5M9 3 7 13",
            Glyph::Console => "M2.5 3.5h11v9h-11zM5 6.5l2 1.6-2 1.6M8.5 10h2.5",
            Glyph::Fit => "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
            Glyph::Stop => "M4 4h8v8H4z",
            Glyph::Undo => "M6 3 2.8 6.2 6 9.4M3 6.2h6a3.6 3.6 0 0 1 0 7.2H6.5",
            Glyph::Folder => "M2 4.5v8h12v-6.5H7.8L6.3 4.5zM8 8v3M6.6 9.7 8 11l1.4-1.3",
            Glyph::Clear => "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.5M9.2 7v3.5",
            Glyph::People => {
                "M6 7.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13c.3-2.3 2-3.6 4.2-3.6s3.9 1.3 4.2 3.6M10.4 3.2a2.2 2.2 0 0 1 0 4.1M11.8 9.8c1.4.5 2.2 1.6 2.4 3.2"
            }
            Glyph::Table => "M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 3.5v9",
        }
    }
}

/// An icon. It says nothing to a screen reader: its button does.
#[component]
pub fn Icon(
    /// Which one; may change.
    #[prop(into)]
    glyph: Signal<Glyph>,
) -> impl IntoView {
    let class = move || if glyph.get() == Glyph::Play { "icon icon--solid" } else { "icon" };
    view! {
        <svg class=class viewBox="0 0 16 16" aria-hidden="true">
            <path d=move || glyph.get().path() />
        </svg>
    }
}
