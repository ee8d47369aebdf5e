//! Which lab is open: a shipped one by its name (`?lab=sensors`), one packed into the address (`#lab=..`), one from
//! the disk; what the student makes of it is kept in the browser, and goes out again as a link or an archive.

use leptos::prelude::*;
use leptos::{ev, task};
use socketlab_protocol::{Command, SourceFile};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::glue;
use crate::state::Page;
use crate::state::files::{self, StudentFile};
use crate::state::package::{LAB_FILE, MOST_FILES, MOST_OCTETS, Package, Refused};

/// The seed of every run: the same programs give the same run.
const SEED: u64 = 1;
/// What stands before a packed lab in an address.
const PACKED: &str = "#lab=";
/// What stands behind a teacher's address: the dialog of the shared LAN opens with a field for the teacher's word.
const TEACHER: &str = "#teacher";

/// Opens the lab that the address names: packed into it, or shipped; without one the first shipped lab.
pub fn open_address(page: Page) {
    let location = glue::window().location();
    let hash = location.hash().unwrap_or_default();
    if let Some(packed) = hash.strip_prefix(PACKED).map(str::to_owned) {
        task::spawn_local(async move {
            match unpack(&packed).await {
                Ok(package) => open_package(page, package),
                Err(refused) => {
                    page.refused.set(Some(refused));
                    open_shipped(page, "");
                }
            }
        });
        return;
    }
    let search = location.search().unwrap_or_default();
    let name = web_sys::UrlSearchParams::new_with_str(&search).ok().and_then(|query| query.get("lab"));
    open_shipped(page, &name.unwrap_or_default());
}

/// The address is a teacher's.
pub fn teaches() -> bool {
    glue::window().location().hash().is_ok_and(|hash| hash == TEACHER)
}

/// Opens what a link names that is followed while the page is open.
pub fn follow_address(page: Page) {
    let handle = window_event_listener_untyped("hashchange", move |_| {
        if glue::window().location().hash().is_ok_and(|hash| hash.starts_with(PACKED)) {
            open_address(page);
        }
    });
    on_cleanup(move || handle.remove());
}

async fn unpack(packed: &str) -> Result<Package, Refused> {
    let broken = |_| Refused::because("open-broken-link");
    glue::archive::load().await.map_err(broken)?;
    let json = glue::archive::unpack(packed, MOST_OCTETS as u32).map_err(broken)?;
    Package::from_json(&json)
}

/// Opens a shipped lab by its name (the first one if there is none of that name), with what the student wrote.
pub fn open_shipped(page: Page, name: &str) {
    let library = socketlab_lab::library();
    let Some(lab) = library.iter().find(|lab| lab.name == name).or_else(|| library.first()) else { return };
    page.own.set(None);
    let teacher = if teaches() { TEACHER } else { "" };
    show_address(&format!("?lab={}{teacher}", lab.name));
    let programs = lab.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    open(page, lab.name.to_owned(), lab.toml.to_owned(), programs.collect());
}

/// Opens a lab that is not a shipped one; the address holds it from now on.
pub fn open_package(page: Page, package: Package) {
    page.refused.set(None);
    let programs = package.programs().map(|file| (file.name.clone(), file.text.clone())).collect();
    let (name, toml) = (package.key(), package.toml.clone());
    let json = package.to_json();
    page.own.set(Some(package));
    open(page, name.clone(), toml, programs);
    task::spawn_local(async move {
        if glue::archive::load().await.is_ok() && page.lab_name.get_untracked() == name {
            show_address(&format!("{PACKED}{}", glue::archive::pack(&json)));
        }
    });
}

/// Opens what was picked or dropped: [path, octets] pairs.
async fn open_entries(page: Page, read: Result<JsValue, JsValue>) {
    let opened = match read.and_then(|found| found.dyn_into::<js_sys::Array>()) {
        Ok(found) => package_of(&found).await,
        Err(_) => Err(Refused::because("open-unreadable")),
    };
    match opened {
        Ok(package) => open_package(page, package),
        Err(refused) => page.refused.set(Some(refused)),
    }
}

async fn package_of(found: &js_sys::Array) -> Result<Package, Refused> {
    let entries = entries(found);
    // An archive alone stands for what is in it.
    if let [(name, Some(bytes))] = entries.as_slice()
        && name.to_lowercase().ends_with(".zip")
    {
        glue::archive::load().await.map_err(|_| Refused::because("open-unreadable"))?;
        let inside = glue::archive::unzip(bytes, MOST_OCTETS as u32)
            .map_err(|_| Refused { key: "open-bad-archive", args: vec![("name", name.clone())] })?;
        return Package::from_entries(self::entries(&inside));
    }
    Package::from_entries(entries)
}

fn entries(pairs: &js_sys::Array) -> Vec<(String, Option<Vec<u8>>)> {
    let entry = |pair: JsValue| {
        let pair: js_sys::Array = pair.dyn_into().ok()?;
        let bytes = pair.get(1).dyn_into::<js_sys::Uint8Array>().ok();
        Some((pair.get(0).as_string()?, bytes.map(|bytes| bytes.to_vec())))
    };
    pairs.iter().filter_map(entry).collect()
}

/// Opens what a file or folder picker holds.
pub fn open_picked(page: Page, input: web_sys::HtmlInputElement) {
    task::spawn_local(async move {
        let read = glue::disk::picked(&input, MOST_OCTETS as u32).await;
        open_entries(page, read).await;
    });
}

/// Opens what is dropped anywhere on the page.
pub fn take_drops(page: Page) {
    let over = window_event_listener(ev::dragover, move |event| {
        if glue::disk::holds_files(&event) {
            event.prevent_default();
        }
    });
    let drop = window_event_listener(ev::drop, move |event| {
        if !glue::disk::holds_files(&event) {
            return;
        }
        event.prevent_default();
        let read = glue::disk::dropped(&event, MOST_OCTETS as u32, MOST_FILES as u32 + 1);
        task::spawn_local(async move { open_entries(page, JsFuture::from(read).await).await });
    });
    on_cleanup(move || {
        over.remove();
        drop.remove();
    });
}

fn show_address(address: &str) {
    if let Ok(history) = glue::window().history() {
        let path = glue::window().location().pathname().unwrap_or_default();
        let _forbidden =
            history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{address}")));
    }
}

fn open(page: Page, name: String, toml: String, programs: Vec<(String, String)>) {
    page.lab_name.set(name.clone());
    page.program.set(0);
    page.other_file.set(None);
    page.console.set(None);
    task::spawn_local(async move {
        let originals = programs.into_iter().chain([(LAB_FILE.to_owned(), toml)]);
        let mut student = Vec::new();
        for (file, original) in originals {
            let kept = glue::store::read(&files::store_key(&name, &file)).await.ok();
            let text = kept.and_then(|kept| kept.as_string()).unwrap_or_else(|| original.clone());
            student.push(StudentFile { name: file, original, text });
        }
        // Another lab may have been chosen while the store was read.
        if page.lab_name.get_untracked() == name {
            page.files.set(student);
            load(page);
        }
    });
}

/// Hands the lab as it is in the editor to the worker.
pub fn load(page: Page) {
    let toml = untrack(move || page.lab_file());
    page.lab_text.set(toml.clone());
    page.problems.set(Vec::new());
    page.bridge.send(Command::LoadLab { toml, files: page.sources(), seed: SEED });
}

/// Takes over what the student typed, and keeps it.
pub fn edit_file(page: Page, name: &str, text: String) {
    let lab = page.lab_name.get_untracked();
    let key = files::store_key(&lab, name);
    let mut original = false;
    page.files.update(|files| {
        if let Some(file) = files.iter_mut().find(|file| file.name == name) {
            file.text.clone_from(&text);
            original = !file.changed();
        }
    });
    task::spawn_local(async move {
        // Where storage is forbidden the text lives as long as the page.
        let _forbidden =
            if original { glue::store::forget(&key).await } else { glue::store::write(&key, &text).await };
    });
}

/// The lab as it is now, with the student's changes and the lesson.
fn current(page: Page) -> Package {
    let mut package = Package { toml: untrack(move || page.lab_file()), files: page.sources() };
    let lesson = |name: &str, title: &str, body: &str| SourceFile {
        name: name.to_owned(),
        text: format!("# {title}\n\n{body}\n"),
    };
    match page.own.get_untracked() {
        Some(own) => {
            let programs: Vec<String> = own.programs().map(|file| file.name.clone()).collect();
            package.files.extend(own.files.into_iter().filter(|file| !programs.contains(&file.name)));
        }
        None => {
            let name = page.lab_name.get_untracked();
            if let Some(lab) = socketlab_lab::library().iter().find(|lab| lab.name == name) {
                package.files.push(lesson("en.md", lab.en.title, lab.en.body));
                package.files.push(lesson("sv.md", lab.sv.title, lab.sv.body));
            }
        }
    }
    package
}

/// Copies a link to the lab: by name while it is as shipped, else with all of it packed in; then calls `copied`.
pub fn share(page: Page, copied: impl Fn() + 'static) {
    let location = glue::window().location();
    let (Ok(origin), Ok(path)) = (location.origin(), location.pathname()) else { return };
    let changed = page.files.with_untracked(|files| files.iter().any(StudentFile::changed));
    if page.own.with_untracked(Option::is_none) && !changed {
        glue::copy_text(&format!("{origin}{path}?lab={}", page.lab_name.get_untracked()));
        copied();
        return;
    }
    let json = current(page).to_json();
    task::spawn_local(async move {
        if glue::archive::load().await.is_ok() {
            glue::copy_text(&format!("{origin}{path}{PACKED}{}", glue::archive::pack(&json)));
            copied();
        }
    });
}

/// Saves the lab as a zip archive of a folder that `socketlab run` opens too.
pub fn download(page: Page) {
    let package = current(page);
    let name = page.lab_name.get_untracked();
    let files = js_sys::Array::new();
    let lab = [(LAB_FILE, package.toml.as_str())].into_iter();
    for (file, text) in lab.chain(package.files.iter().map(|file| (file.name.as_str(), file.text.as_str()))) {
        files.push(&js_sys::Array::of2(&format!("{name}/{file}").into(), &text.into()));
    }
    task::spawn_local(async move {
        if glue::archive::load().await.is_ok() {
            glue::disk::save(&format!("{name}.zip"), &glue::archive::zip(&files), "application/zip");
        }
    });
}

/// Saves every frame of this run as a capture that Wireshark reads.
pub fn download_capture(page: Page) {
    page.bridge.send(Command::ExportPcap);
}
