//! What the browser offers only through JavaScript: the editor's bundle and the store of the student's files, and a
//! few small conveniences over `web-sys`.

use wasm_bindgen::prelude::*;

/// The CodeMirror bundle (`web/editor/editor.mjs`).
pub mod editor {
    use super::*;

    #[wasm_bindgen(module = "/src/glue/editor.js")]
    extern "C" {
        /// Fetches the bundle, once.
        #[wasm_bindgen(catch)]
        pub async fn load() -> Result<(), JsValue>;

        /// An editor inside `parent`.
        pub fn create(
            parent: &web_sys::Element,
            text: &str,
            label: &str,
            on_change: &js_sys::Function,
        ) -> Editor;

        /// One editor.
        pub type Editor;

        /// Replaces the text, without telling `on_change`.
        #[wasm_bindgen(method, js_name = setText)]
        pub fn set_text(this: &Editor, text: &str);

        /// Marks a line (from 1; 0: none) as `wait`, `run` or `error`.
        #[wasm_bindgen(method, js_name = setMark)]
        pub fn set_mark(this: &Editor, line: u32, kind: &str);

        /// Scrolls a line into view.
        #[wasm_bindgen(method, js_name = showLine)]
        pub fn show_line(this: &Editor, line: u32);

        /// Gives the editor the keyboard.
        #[wasm_bindgen(method)]
        pub fn focus(this: &Editor);

        /// Takes the editor out of the page.
        #[wasm_bindgen(method)]
        pub fn destroy(this: &Editor);
    }
}

/// Strings in IndexedDB (`web/src/glue/files.js`).
pub mod store {
    use super::*;

    #[wasm_bindgen(module = "/src/glue/files.js")]
    extern "C" {
        /// The string of a key; `undefined` if there is none.
        #[wasm_bindgen(catch)]
        pub async fn read(key: &str) -> Result<JsValue, JsValue>;

        /// Keeps a string.
        #[wasm_bindgen(catch)]
        pub async fn write(key: &str, value: &str) -> Result<JsValue, JsValue>;

        /// Forgets a string.
        #[wasm_bindgen(catch)]
        pub async fn forget(key: &str) -> Result<JsValue, JsValue>;
    }
}

/// Packing and archives (`web/archive/archive.mjs`).
pub mod archive {
    use super::*;

    #[wasm_bindgen(module = "/src/glue/files.js")]
    extern "C" {
        /// Fetches the bundle, once. Nothing else here works before.
        #[wasm_bindgen(catch)]
        pub async fn load() -> Result<(), JsValue>;

        /// A text, deflated, in letters that an address may hold.
        pub fn pack(text: &str) -> String;

        /// The text again, if it has at most `limit` octets.
        #[wasm_bindgen(catch)]
        pub fn unpack(packed: &str, limit: u32) -> Result<String, JsValue>;

        /// A zip archive of [path, text] pairs.
        pub fn zip(entries: &js_sys::Array) -> Vec<u8>;

        /// [path, octets] pairs of a zip archive, if it unpacks to at most `limit` octets.
        #[wasm_bindgen(catch)]
        pub fn unzip(archive: &[u8], limit: u32) -> Result<js_sys::Array, JsValue>;
    }
}

/// Files from and to the student's disk (`web/src/glue/files.js`). What is read are [path, octets] pairs; no octets:
/// the file is larger than `limit`.
pub mod disk {
    use super::*;

    #[wasm_bindgen(module = "/src/glue/files.js")]
    extern "C" {
        /// What a picker holds.
        #[wasm_bindgen(catch)]
        pub async fn picked(input: &web_sys::HtmlInputElement, limit: u32) -> Result<JsValue, JsValue>;

        /// Are files what is dragged?
        #[wasm_bindgen(js_name = holdsFiles)]
        pub fn holds_files(event: &web_sys::Event) -> bool;

        /// What was dropped, at most `most` files. To be called while the event is handled.
        pub fn dropped(event: &web_sys::Event, limit: u32, most: u32) -> js_sys::Promise;

        /// Saves octets as a file.
        pub fn save(name: &str, bytes: &[u8], mime: &str);
    }
}

/// What a teacher asks the relay (`web/src/glue/teacher.js`). Errors hold the relay's words.
pub mod teacher {
    use super::*;

    #[wasm_bindgen(module = "/src/glue/teacher.js")]
    extern "C" {
        /// How many streams to real servers are open, then of each, youngest first, a list of its number, who has
        /// it, `tcp` or `udp`, what was asked for, its target, octets sent and octets received.
        #[wasm_bindgen(catch)]
        pub async fn streams(word: &str) -> Result<JsValue, JsValue>;

        /// Ends the stream with this number.
        #[wasm_bindgen(catch)]
        pub async fn cut(word: &str, id: &str) -> Result<(), JsValue>;
    }
}

/// The browser's window. The page never runs without one.
pub fn window() -> web_sys::Window {
    web_sys::window().expect("the page runs in a window")
}

/// The document's root element.
pub fn root() -> Option<web_sys::Element> {
    window().document()?.document_element()
}

/// A small setting kept from last time, such as the theme.
pub fn setting(name: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(&format!("socketlab.{name}")).ok()?
}

/// Keeps a small setting; where storage is forbidden it lasts as long as the page.
pub fn keep_setting(name: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _forbidden = storage.set_item(&format!("socketlab.{name}"), value);
    }
}

/// A secret of this tab's, the same again after a reload: who comes back with it gets its place in a shared LAN back.
pub fn tab_secret() -> String {
    let storage = window().session_storage().ok().flatten();
    let kept = storage.as_ref().and_then(|storage| storage.get_item("socketlab.tab").ok().flatten());
    kept.unwrap_or_else(|| {
        // 53 random bits from each call.
        let part = || format!("{:013x}", (js_sys::Math::random() * 9_007_199_254_740_992.0) as u64);
        let secret = format!("{}{}", part(), part());
        if let Some(storage) = storage {
            let _forbidden = storage.set_item("socketlab.tab", &secret);
        }
        secret
    })
}

/// Does the person want less motion?
pub fn reduced_motion() -> bool {
    window()
        .match_media("(prefers-reduced-motion: reduce)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches())
}

/// Milliseconds of the page's own clock.
pub fn wall_ms() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// Puts a text on the clipboard. On plain http browsers have no clipboard API; then a hidden field does it.
pub fn copy_text(text: &str) {
    #[wasm_bindgen(module = "/src/glue/files.js")]
    extern "C" {
        fn copy(text: &str);
    }
    copy(text);
}
