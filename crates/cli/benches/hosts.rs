//! `cargo bench -p socketlab-cli` (or `cargo xtask bench engine`): `socketlab run` on 200 hosts with 400 programs, each
//! a Python of its own. Time, and memory of the engine and of the programs. Nothing here is a test.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HOSTS: usize = 200;

const SERVER: &str = "\
import socket
with socket.create_server(('', 7007)) as s:
    while True:
        c, peer = s.accept()
        with c:
            while data := c.recv(1024):
                c.sendall(data)
";

/// Each talks to the next host's server.
const CLIENT: &str = "\
import socket, sys
with socket.create_connection((sys.argv[1], 7007)) as s:
    for i in range(20):
        s.sendall(b'x' * 100)
        got = b''
        while len(got) < 100:
            got += s.recv(1024)
print('well')
";

fn main() {
    // `cargo test` builds and starts benchmarks as well, without `--bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lab.toml"), lab()).expect("writes");
    fs::write(folder.path().join("server.py"), SERVER).expect("writes");
    fs::write(folder.path().join("client.py"), CLIENT).expect("writes");
    let begin = Instant::now();
    let mut run = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(["run", "--json", "--until", "60s"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let out = run.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || std::io::read_to_string(out));
    let (mut engine, mut programs) = (0, 0);
    let status = loop {
        engine = engine.max(kilobytes(&format!("/proc/{}/status", run.id()), "VmHWM:"));
        programs = programs.max(of_children(run.id()));
        match run.try_wait().expect("our own process") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let took = begin.elapsed();
    let report = reader.join().expect("the reader").expect("a report");
    println!("`socketlab run`, {HOSTS} hosts, {} programs: {:.1} s, {status}", 2 * HOSTS, took.as_secs_f64());
    println!("  engine at most {} MB, its programs together at most {} MB", engine / 1024, programs / 1024);
    println!("  {} clients were served", report.matches("well").count());
}

fn lab() -> String {
    let mut lab = "version = 1\n".to_owned();
    for host in 0..HOSTS {
        let next = (host + 1) % HOSTS;
        let _ = writeln!(
            lab,
            "[[host]]\nname = \"h{host}\"\n\
             [[program]]\nhost = \"h{host}\"\nfile = \"server.py\"\nforever = true\n\
             [[program]]\nhost = \"h{host}\"\nfile = \"client.py\"\nargs = [\"h{next}\"]\nstart = \"10ms\""
        );
    }
    lab
}

/// A number of a file under /proc, in kilobytes.
fn kilobytes(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Memory of a process's children, pages that they share counted once.
fn of_children(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| kilobytes(&format!("/proc/{child}/smaps_rollup"), "Pss:")).sum()
}
