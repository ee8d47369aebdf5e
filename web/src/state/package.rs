//! A lab with all its files as it comes from a link, a folder or an archive, and goes there again. What comes from
//! outside is checked here: sizes, names, and that there is a lab in it.

use socketlab_protocol::SourceFile;
use wasm_bindgen::JsCast;

/// Most octets of all files of a lab together. A choice: a hundred times what a large lesson needs.
pub const MOST_OCTETS: usize = 4 << 20;
/// Most files of a lab. A choice.
pub const MOST_FILES: usize = 200;

/// The file that says what the lab is.
pub const LAB_FILE: &str = "lab.toml";

/// Why nothing was opened: a message key and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Such as `open-no-lab`.
    pub key: &'static str,
    /// Parameters of the message.
    pub args: Vec<(&'static str, String)>,
}

impl Refused {
    /// A reason without parameters.
    pub fn because(key: &'static str) -> Self {
        Refused { key, args: Vec::new() }
    }
}

/// A lab that is not one of the shipped ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Text of its `lab.toml`.
    pub toml: String,
    /// All other files, by name.
    pub files: Vec<SourceFile>,
}

impl Package {
    /// From the files of a folder or an archive: (path, octets; none: too big to read). The `lab.toml` nearest to the
    /// top counts, with all text files beside and below it.
    ///
    /// # Errors
    /// If there is no lab in it, or too much.
    pub fn from_entries(entries: Vec<(String, Option<Vec<u8>>)>) -> Result<Self, Refused> {
        let hidden = |path: &str| {
            path.split('/').any(|part| part.starts_with('.') || part == "__pycache__" || part == "__MACOSX")
        };
        let mut entries: Vec<_> = entries.into_iter().filter(|(path, _)| !hidden(path)).collect();
        entries.sort();
        if entries.len() > MOST_FILES {
            return Err(Refused { key: "open-too-many-files", args: vec![("most", MOST_FILES.to_string())] });
        }
        let depth = |path: &str| path.matches('/').count();
        let is_lab = |path: &str| path.rsplit('/').next() == Some(LAB_FILE);
        let found = entries.iter().map(|(path, _)| path.as_str()).filter(|path| is_lab(path));
        let Some(lab) = found.min_by_key(|path| depth(path)).map(str::to_owned) else {
            return Err(Refused::because("open-no-lab"));
        };
        let folder = lab.strip_suffix(LAB_FILE).unwrap_or_default().to_owned();
        let mut package = Package::default();
        let mut octets = 0;
        for (path, bytes) in entries {
            let Some(name) = path.strip_prefix(&folder).map(str::to_owned) else { continue };
            let Some(bytes) = bytes else {
                return Err(Refused { key: "open-file-too-big", args: vec![("name", name)] });
            };
            octets += bytes.len();
            if octets > MOST_OCTETS {
                return Err(Refused::because("open-too-big"));
            }
            // What is no text (a picture, a capture) is of no use to a lab.
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let text = text.trim_start_matches('\u{feff}').to_owned();
            if path == lab {
                package.toml = text;
            } else {
                package.files.push(SourceFile { name, text });
            }
        }
        Ok(package)
    }

    /// The text that a link packs: JSON, `[["lab.toml", ".."], ["server.py", ".."]]`.
    pub fn to_json(&self) -> String {
        let all = [(LAB_FILE, self.toml.as_str())].into_iter();
        let files = self.files.iter().map(|file| (file.name.as_str(), file.text.as_str()));
        let pairs = js_sys::Array::new();
        for (name, text) in all.chain(files) {
            pairs.push(&js_sys::Array::of2(&name.into(), &text.into()));
        }
        js_sys::JSON::stringify(&pairs).map(String::from).unwrap_or_default()
    }

    /// From such a text.
    ///
    /// # Errors
    /// If it is none, or has no lab in it.
    pub fn from_json(text: &str) -> Result<Self, Refused> {
        let broken = || Refused::because("open-broken-link");
        let pairs = js_sys::JSON::parse(text).map_err(|_| broken())?;
        let pairs: js_sys::Array = pairs.dyn_into().map_err(|_| broken())?;
        let mut entries = Vec::new();
        for pair in pairs.iter() {
            let pair: js_sys::Array = pair.dyn_into().map_err(|_| broken())?;
            let (name, text) = (pair.get(0).as_string(), pair.get(1).as_string());
            entries.push((name.ok_or_else(broken)?, Some(text.ok_or_else(broken)?.into_bytes())));
        }
        Package::from_entries(entries)
    }

    /// A name that is this lab's only, for what is kept in the browser: the same files give the same name.
    pub fn key(&self) -> String {
        // FNV-1a, 64 bit: nobody gains by two labs with one name.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let files = self.files.iter().flat_map(|file| [file.name.as_str(), file.text.as_str()]);
        for part in [self.toml.as_str()].into_iter().chain(files) {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("own-{hash:016x}")
    }

    /// The programs and their data, without the lesson.
    pub fn programs(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| !is_lesson(&file.name))
    }

    /// The lesson's text in a language: title (the first heading) and body.
    pub fn lesson(&self, lang: &str) -> Option<(String, String)> {
        let wanted = format!("{lang}.md");
        let lessons = || self.files.iter().filter(|file| is_lesson(&file.name));
        let file = lessons().find(|file| file.name == wanted).or_else(|| lessons().next())?;
        let (heading, body) = file.text.trim_start().split_once('\n').unwrap_or((file.text.trim(), ""));
        match heading.strip_prefix("# ") {
            Some(title) => Some((title.trim().to_owned(), body.to_owned())),
            None => Some((String::new(), file.text.clone())),
        }
    }
}

fn is_lesson(name: &str) -> bool {
    matches!(name, "en.md" | "sv.md")
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn entries(files: &[(&str, &str)]) -> Vec<(String, Option<Vec<u8>>)> {
        files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect()
    }

    fn names(package: &Package) -> Vec<&str> {
        package.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_opened_from_where_its_lab_file_is() {
        let found = Package::from_entries(entries(&[
            ("course/echo/lab.toml", "version = 1"),
            ("course/echo/lib/util.py", "x = 1"),
            ("course/echo/server.py", "pass"),
            ("course/notes.txt", "no part of the lab"),
            ("course/echo/.git/config", "hidden"),
        ]));
        let package = found.expect("a lab");
        assert_eq!(package.toml, "version = 1");
        assert_eq!(names(&package), ["lib/util.py", "server.py"]);
    }

    #[test]
    fn what_is_no_lab_is_refused_with_the_reason() {
        let key = |found: Result<Package, Refused>| found.expect_err("refused").key;
        assert_eq!(key(Package::from_entries(entries(&[("a.py", "")]))), "open-no-lab");
        assert_eq!(key(Package::from_json("[1, 2]")), "open-broken-link");
        assert_eq!(key(Package::from_json("{")), "open-broken-link");
        assert_eq!(key(Package::from_json("[[\"a.py\", \"\"]]")), "open-no-lab");
        let mut big = entries(&[("lab.toml", "")]);
        big.push(("big.bin".to_owned(), None));
        assert_eq!(key(Package::from_entries(big)), "open-file-too-big");
        let many = (0..=MOST_FILES).map(|i| (format!("{i}.py"), Some(Vec::new()))).collect();
        assert_eq!(key(Package::from_entries(many)), "open-too-many-files");
    }

    #[test]
    fn a_lab_survives_the_journey_through_a_link() {
        let files =
            entries(&[("lab.toml", "title = \"Å\""), ("en.md", "# Echo\nText"), ("s.py", "print('ö')\n")]);
        let package = Package::from_entries(files).expect("a lab");
        let again = Package::from_json(&package.to_json()).expect("the same lab");
        assert_eq!(again, package);
        assert_eq!(again.key(), package.key());
        assert_eq!(again.lesson("sv"), Some(("Echo".to_owned(), "Text".to_owned())));
        assert_eq!(again.programs().count(), 1);
    }
}
