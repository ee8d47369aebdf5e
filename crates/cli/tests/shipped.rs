//! The shipped labs that need no real world: each says what its lesson says, and a second run is the same to the byte.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use socketlab_lab::{Lab, library};
use socketlab_netsim::replay;

/// Runs a lab twice. Gives what its programs printed, `host file: line` each.
fn check(lab: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |name: &str| {
        let capture = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_socketlab"))
            .args(["run", "--json", "--pcap"])
            .arg(&capture)
            .arg(lab)
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts");
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (report, fs::read(capture).expect("a capture"))
    };
    let (first, second) = (run("a.pcapng"), run("b.pcapng"));
    assert_eq!(first.0, second.0, "{lab}: two runs");
    assert!(first.1 == second.1, "{lab}: two captures");
    let report = first.0;
    assert_eq!(report["deadlock"], Value::Null, "{lab}");
    let mut said = Vec::new();
    for program in report["programs"].as_array().into_iter().flatten() {
        let text = |key: &str| program[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("stderr"), "", "{lab}");
        said.extend(text("stdout").lines().map(|line| format!("{}: {line}", text("host"))));
    }
    for line in expected {
        assert!(said.iter().any(|said| said == line), "{lab}: no {line:?} in {said:#?}");
    }
}

#[test]
fn a_lost_segment_holds_up_those_behind_it() {
    check(
        "lossy",
        &["server: 0.06 s  got b'21.5\\n'", "client: 0.20 s  sent 22.4", "server: the client has closed"],
    );
}

#[test]
fn traceroute_finds_both_routers() {
    check("routers", &["client: 1 10.0.1.1", "client: 2 10.0.2.2", "client: 3 10.0.3.80", "client: done"]);
}

#[test]
fn a_name_becomes_a_page() {
    check(
        "dns-http",
        &["client: www.example.se is 10.0.0.80", "client: HTTP/1.1 200 OK", "client: <h1>Hej!</h1>"],
    );
}

#[test]
fn a_home_has_one_address_outside() {
    check(
        "home-nat",
        &[
            "laptop: I say I am ('192.168.1.100', 50000)",
            "laptop: web says you are 203.0.113.7, port 50000",
            "friend: 8080 the photos from our holiday",
            "friend: 8081 no answer",
        ],
    );
}

#[test]
fn every_lab_can_be_had_again_from_its_record() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for shipped in library() {
        let lab = Lab::parse(shipped.toml).expect("a shipped lab is sound");
        let record = |name: &str| {
            let file = folder.path().join(name);
            let status = Command::new(env!("CARGO_BIN_EXE_socketlab"))
                .args(["run", "--json", shipped.name, "--record"])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .expect("the binary starts");
            assert!(status.code().is_some_and(|code| code < 2), "{}", shipped.name);
            fs::read(file).expect("a record")
        };
        let first = record("first");
        // Virtual time follows the wall clock where the real world is.
        if !shipped.toml.contains("[[gateway]]") {
            assert!(first == record("second"), "{}: two runs", shipped.name);
        }
        let again = replay(lab.build(1), &first).expect("a record of this lab");
        assert_eq!(again.hash, again.logged, "{}", shipped.name);
        if shipped.name == "sensors" {
            let other = replay(lab.build(2), &first).expect("the same programs");
            assert_ne!(other.hash, again.hash, "other initial sequence numbers are another trace");
        }
    }
}
