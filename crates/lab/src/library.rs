//! The labs that ship with the product, part of the binary. Each is a folder in `labs/` that `socketlab run` opens too.

/// A lesson's text in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonText {
    /// Title: the text's first heading.
    pub title: &'static str,
    /// Markdown, without the title. The numbered list under the first `##` are the tasks, under the second the hints.
    pub body: &'static str,
}

/// A lab that ships with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedLab {
    /// Name in links: `sensors`.
    pub name: &'static str,
    /// Text of its `lab.toml`.
    pub toml: &'static str,
    /// Its program files: name and text, in the order of an editor's tabs.
    pub files: &'static [(&'static str, &'static str)],
    /// Lesson in English.
    pub en: LessonText,
    /// Lesson in Swedish.
    pub sv: LessonText,
}

macro_rules! shipped {
    ($folder:literal: $($file:literal),+) => {
        ShippedLab {
            name: $folder,
            toml: include_str!(concat!("../labs/", $folder, "/lab.toml")),
            files: &[$(($file, include_str!(concat!("../labs/", $folder, "/", $file)))),+],
            en: lesson(include_str!(concat!("../labs/", $folder, "/en.md"))),
            sv: lesson(include_str!(concat!("../labs/", $folder, "/sv.md"))),
        }
    };
}

/// All shipped labs; the first is the one that opens by itself.
pub fn library() -> &'static [ShippedLab] {
    static LABS: [ShippedLab; 8] = [
        shipped!("sensors": "sensor1.py", "sensor2.py", "sensor3.py", "sensor4.py", "server.py"),
        shipped!("sensors-udp": "sensor1.py", "sensor2.py", "sensor3.py", "sensor4.py", "server.py"),
        shipped!("lossy": "client.py", "server.py"),
        shipped!("routers": "traceroute.py", "client.py", "server.py"),
        shipped!("dns-http": "client.py"),
        shipped!("home-nat": "laptop.py", "nas.py", "web.py", "friend.py"),
        shipped!("real-world": "http.py", "echo.py", "udp_echo.py", "blocked.py"),
        shipped!("shared-lan": "server.py", "client.py"),
    ];
    &LABS
}

/// Splits a lesson's text at the end of its first line, `# Title`.
const fn lesson(text: &'static str) -> LessonText {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    let (heading, body) = text.split_at(end);
    let (mark, title) = heading.split_at(if heading.len() < 2 { heading.len() } else { 2 });
    assert!(mark.len() == 2 && mark.as_bytes()[0] == b'#', "a lesson begins with a heading");
    LessonText { title, body: body.trim_ascii() }
}
