//! Long tables: only the rows in view and some around them are in the document, with room held for the others.

use leptos::prelude::*;

/// Height of a row in CSS pixels, as in packets.css.
pub const ROW: f64 = 25.0;
/// Rows kept in the document beyond those in view, so that a short run is there as a whole. A choice.
pub const MARGIN: usize = 150;

/// From and to which row a table of `count` rows is in the document, scrolled down by `top` in a window of this height.
pub fn rows_in_view(count: usize, top: f64, height: f64) -> (usize, usize) {
    let first = ((top / ROW) as usize).saturating_sub(MARGIN);
    let shown = (height / ROW) as usize + 2 * MARGIN;
    (first.min(count), (first + shown).min(count))
}

/// Stands for rows that are out of view.
#[component]
pub fn Spacer(
    /// How many.
    rows: Signal<usize>,
) -> impl IntoView {
    view! {
        <Show when=move || rows.get() != 0>
            <tr aria-hidden="true" style:height=move || format!("{}px", rows.get() as f64 * ROW)></tr>
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_short_table_is_there_as_a_whole() {
        assert_eq!(rows_in_view(120, 0.0, 250.0), (0, 120));
    }

    #[test]
    fn of_a_long_one_a_part_around_the_view() {
        assert_eq!(rows_in_view(100_000, 25.0 * 50_000.0, 250.0), (49_850, 50_160));
        assert_eq!(rows_in_view(100_000, 25.0 * 100_000.0, 250.0), (99_850, 100_000));
    }
}
