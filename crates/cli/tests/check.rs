//! `socketlab check`: what is wrong or odd in a lab, told without running it.

use std::fs;
use std::process::{Command, Stdio};

/// Exit status and what is printed.
fn check(labs: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .arg("check")
        .args(labs)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// A lab in a folder: status, and each finding without the folder's name.
fn findings(toml: &str, programs: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lab.toml"), toml).expect("writes");
    for (name, text) in programs {
        fs::write(folder.path().join(name), text).expect("writes");
    }
    let name = folder.path().display().to_string();
    let (status, printed) = check(&[&name]);
    let lines =
        printed.lines().map(|line| line.strip_prefix(&format!("{name}: ")).unwrap_or(line).to_owned());
    (status, lines.collect())
}

const TWO: &str = "version = 1\n[[host]]\nname = \"server\"\n[[host]]\nname = \"client\"\n\
                   [[program]]\nhost = \"client\"\nfile = \"client.py\"\n";

#[test]
fn every_shipped_lab_is_sound() {
    let names: Vec<&str> = socketlab_lab::library().iter().map(|lab| lab.name).collect();
    let (status, printed) = check(&names);
    assert_eq!(status, Some(0), "{printed}");
    for name in names {
        assert!(printed.lines().any(|line| line == format!("{name}: sound")), "{printed}");
    }
}

#[test]
fn a_host_that_nobody_uses_and_a_name_that_nobody_has() {
    let program = "import socket\ns = socket.socket()\ns.connect(('sever', 80))\n";
    let (status, lines) = findings(TWO, &[("client.py", program)]);
    let expected = [
        "warning: lab.toml:3: host[0].name: nothing runs on \"server\", and no program names it",
        "warning: client.py:3: there is no host \"sever\"; did you mean \"server\"?",
    ];
    assert_eq!((status, lines), (Some(1), expected.map(str::to_owned).to_vec()));
}

#[test]
fn programs_are_parsed_and_not_run() {
    let (status, lines) = findings(TWO, &[("client.py", "open('ran', 'w')\nprint('server'\n")]);
    assert_eq!((status, lines.len()), (Some(2), 1), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("error: client.py:2: ")), "{lines:?}");

    let (status, lines) = findings(TWO, &[("clinet.py", "")]);
    assert_eq!(status, Some(2));
    assert!(lines.iter().any(|l| l.contains("did you mean") || l.contains("client.py")), "{lines:?}");
}

#[test]
fn a_port_of_the_superuser_is_noted() {
    let program = "import socket\ns = socket.create_server(('server', 80))\n";
    let (status, lines) = findings(TWO, &[("client.py", program)]);
    let note = "note: client.py:2: port 80 is below 1024: outside the lab only the superuser may bind it";
    assert_eq!((status, lines), (Some(0), vec![note.to_owned(), "sound".to_owned()]));
}

#[test]
fn two_networks_without_a_way_between() {
    let toml = "version = 1\n[[host]]\nname = \"a\"\naddress = \"10.0.1.1/24\"\n\
                [[host]]\nname = \"b\"\naddress = \"10.0.2.2/24\"\n\
                [[router]]\nname = \"r\"\naddress = [\"10.0.1.254/24\", \"10.0.2.254/24\"]\n\
                [[link]]\nbetween = [\"a\", \"r\"]\n[[link]]\nbetween = [\"r\", \"b\"]\n\
                [[program]]\nhost = \"a\"\nfile = \"p.py\"\nargs = [\"10.0.9.9\"]\n\
                [[program]]\nhost = \"b\"\nfile = \"p.py\"\nargs = [\"10.0.1.1:80\"]\n";
    let (status, lines) = findings(toml, &[("p.py", "")]);
    let unknown = "warning: lab.toml:17: program[0].args: no node has the address 10.0.9.9".to_owned();
    assert_eq!((status, lines), (Some(1), vec![unknown.clone()]), "the lab finds the routes");

    let alone =
        toml.replace("address = \"10.0.1.1/24\"", "address = \"10.0.1.1/24\"\ndefault_route = \"none\"");
    let (status, lines) = findings(&alone, &[("p.py", "")]);
    let cut = "warning: lab.toml:3: host[0].name: no packet finds a way between \"a\" and \"b\"".to_owned();
    let shifted = unknown.replace(":17:", ":18:");
    // One way is enough: a NAT leads out and not in.
    assert_eq!((status, lines.clone()), (Some(1), vec![shifted.clone()]), "{lines:?}");
    let both =
        alone.replace("address = \"10.0.2.2/24\"", "address = \"10.0.2.2/24\"\ndefault_route = \"none\"");
    let (_, lines) = findings(&both, &[("p.py", "")]);
    assert_eq!(lines, [cut, shifted.replace(":18:", ":19:")]);
}
