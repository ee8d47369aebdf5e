//! The page: what a student sees and touches. It draws facts that the lab worker sends ([`bridge`]), keeps them as
//! signals ([`state`]) and shows them ([`components`]). Geometry and wording of pictures come from `socketlab_view`;
//! sentences come from the locales ([`texts`]). The simulation is not here.

pub mod app;
pub mod bridge;
pub mod components;
pub mod glue;
pub mod opening;
pub mod state;
pub mod texts;

#[cfg(test)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// Mounts the page into the document's body.
pub fn start() {
    leptos::mount::mount_to_body(app::App);
}
