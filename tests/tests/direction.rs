//! Data flows one way: the arrows between crates are those of ARCHITECTURE.md, and the rooms below the shells read no
//! clock, no random source, no file and no socket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our crates each of our crates may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("stack", &[]),
    ("dissect", &[]),
    ("policy", &[]),
    ("wisp", &[]),
    ("lan", &[]),
    ("netsim", &["stack"]),
    ("uplink", &["netsim", "wisp"]),
    ("packetdrill", &["stack"]),
    ("view", &["netsim", "stack", "dissect"]),
    ("lab", &["netsim", "stack", "dissect"]),
    ("protocol", &["lab", "view", "dissect"]),
    ("web", &["lab", "view", "dissect", "wisp", "protocol"]),
    ("worker", &["lab", "view", "dissect", "uplink", "lan", "protocol", "netsim", "stack"]),
    ("server", &["wisp", "policy", "lan"]),
    ("cli", &["server", "lab", "view", "netsim", "stack", "policy", "packetdrill", "uplink"]),
    ("fuzz", &["stack", "netsim", "dissect", "lab", "lan", "wisp"]),
    ("tests", &["lab"]),
];

/// Crates in which nothing may reach outside.
const PURE: &[&str] =
    &["stack", "netsim", "dissect", "view", "lab", "wisp", "uplink", "lan", "policy", "packetdrill"];

/// What would reach outside.
const OUTSIDE: &[&str] = &[
    "std::time::Instant",
    "SystemTime",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "rand::",
    "getrandom",
    "thread_rng",
    "RandomState",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").to_path_buf()
}

#[test]
fn crates_name_only_what_the_architecture_allows() {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).expect("cargo prints JSON");
    let allowed: BTreeMap<_, _> = ARROWS.iter().map(|(name, to)| (*name, to)).collect();
    let mut wrong = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let Some(short) = name.strip_prefix("socketlab-") else { continue };
        let Some(allowed) = allowed.get(short) else {
            wrong.insert(format!("{short} is not in the table of arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let is_dev = dependency["kind"].as_str() == Some("dev");
            let to = dependency["name"].as_str().unwrap_or_default();
            if let Some(to) = to.strip_prefix("socketlab-")
                && !is_dev
                && !allowed.contains(&to)
            {
                wrong.insert(format!("{short} → {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not have: {wrong:#?}");
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = dir.read_dir() else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Where the tests inside a source file begin.
const TESTS_IN_THE_FILE: &str = "#[cfg(test)]\nmod tests {";

/// Modules that are only there for tests (`#[cfg(test)] mod oracle;`), as paths without `.rs`.
fn test_rooms(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut rooms = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).expect("a source file can be read");
        let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "main" | "mod") => file.with_file_name(""),
            _ => file.with_extension(""),
        };
        for rest in text.split("#[cfg(test)]\nmod ").skip(1) {
            if let Some((name, _)) = rest.split_once(';')
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            {
                rooms.push(folder.join(name));
            }
        }
    }
    rooms
}

#[test]
fn the_rooms_below_the_shells_reach_nothing_outside() {
    let mut wrong = Vec::new();
    for krate in PURE {
        let mut files = Vec::new();
        rust_files(&root().join("crates").join(krate).join("src"), &mut files);
        files.sort();
        assert!(!files.is_empty(), "crates/{krate} has no source");
        let test_rooms = test_rooms(&files);
        for file in files {
            // Tests may look for tools of the machine; the product may not.
            if file.file_name().is_some_and(|f| f.to_string_lossy().contains("tests"))
                || test_rooms.iter().any(|room| file.starts_with(room) || file == room.with_extension("rs"))
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            let product = text.split(TESTS_IN_THE_FILE).next().unwrap_or_default();
            for (number, line) in product.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in OUTSIDE {
                    // A whole word: `Operand::` is not `rand::`.
                    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    if code.match_indices(word).any(|(at, _)| begins(at)) {
                        wrong.push(format!("{}:{}: {}", file.display(), number + 1, word));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these reach outside: {wrong:#?}");
}
