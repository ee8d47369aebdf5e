//! Every script of the project against our stack; and scripts that must not pass, so that a pass means something.

use std::path::{Path, PathBuf};

use socketlab_packetdrill::{Comparison, Verdict, run_script, run_script_with};

/// Scripts that Linux passes and our stack does not yet, with the reason. One that passes must leave this list.
const NOT_YET: &[(&str, &str)] = &[];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/packetdrill")
}

fn scripts(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in dir.read_dir().expect("the folder of scripts").flatten() {
        let path = entry.path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|e| e == "pkt") {
            found.push(path);
        }
    }
}

#[test]
fn the_stack_does_what_our_scripts_say() {
    let mut found = Vec::new();
    scripts(&folder(), &mut found);
    found.sort();
    assert!(found.len() >= 100, "only {} scripts", found.len());
    let mut wrong = Vec::new();
    for path in &found {
        let name = path.strip_prefix(folder()).expect("a path in the folder").with_extension("");
        let name = name.display().to_string();
        let text = std::fs::read_to_string(path).expect("a script can be read");
        let outcome = run_script(&text, &name);
        let not_yet = NOT_YET.iter().find(|(script, _)| *script == name);
        match (outcome.passed(), not_yet) {
            (true, Some((_, reason))) => {
                wrong.push(format!("{name} passes: strike it off the list ({reason})"))
            }
            (false, None) => wrong.push(outcome.to_string()),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const ESTABLISHED: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000,sackOK>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
";

/// The line counted from after `ESTABLISHED`, and the reason.
fn fails(rest: &str) -> (usize, String) {
    match run_script(&format!("{ESTABLISHED}{rest}\n"), "wrong").verdict {
        Verdict::Failed { line, why } => (line - ESTABLISHED.lines().count(), why),
        other => panic!("{rest}: {other:?}"),
    }
}

#[test]
fn a_packet_that_is_not_as_written_fails() {
    for (packet, difference) in [
        ("+0 > . 1:11(10) ack 1", "flags"),
        ("+0 > P. 2:12(10) ack 1", "seq"),
        ("+0 > P. 1:12(11) ack 1", "length"),
        ("+0 > P. 1:11(10) ack 2", "ack"),
        ("+0 > P. 1:11(10) ack 1 win 1", "win"),
        ("+0 > P. 1:11(10) ack 1 <nop,nop,sack 1:2>", "options"),
        ("+.1 > P. 1:11(10) ack 1", "came at"),
        ("+0 > 1>2 P. 1:11(10) ack 1", "ports"),
        ("+0 > udp (10)", "protocols"),
    ] {
        let (line, why) = fails(&format!("+0 write(4, ..., 10) = 10\n{packet}"));
        assert_eq!(line, 2, "{why}");
        assert!(why.contains(difference), "{packet}: {why}");
    }
}

#[test]
fn a_packet_too_many_or_too_few_fails() {
    let (line, why) = fails("+0 write(4, ..., 10) = 10\n+.1 write(4, ..., 0) = 0");
    assert_eq!(line, 2);
    assert!(why.contains("unexpected packet: > 8080>40000 P. 1:11(10) ack 1"), "{why}");
    let (line, why) = fails("+0 > P. 1:11(10) ack 1");
    assert_eq!(line, 1);
    assert!(why.contains("nothing was sent"), "{why}");
}

#[test]
fn a_call_that_returns_something_else_fails() {
    for (call, what) in [
        ("+0 write(4, ..., 10) = 9", "write returns 10, not 9"),
        ("+0 read(3, ..., 10) = 10", "read returns -1 ENOTCONN"),
        ("+0 read(4, ..., 10) = 10", "read blocks"),
        ("+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EPIPE (x)", "recv returns -1 EAGAIN, not -1 EPIPE"),
        ("+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [5], [4]) = 0", "value is [0]"),
        ("+0 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1", "revents"),
        ("+0...0.1 read(4, ..., 10) = 10", "still blocks"),
        ("+0 %{ assert tcpi_state == TCP_CLOSE, 0 }%", "tcpi_state is 1"),
    ] {
        let (line, why) = fails(call);
        assert_eq!(line, 1, "{why}");
        assert!(why.contains(what), "{call}: {why}");
    }
}

#[test]
fn what_is_not_understood_is_neither_passed_nor_failed() {
    for rest in [
        "+0 `tc qdisc add dev tun0 root netem`",
        "+0 `sysctl -q net.ipv4.tcp_no_such_thing=0`",
        "+0 sendfile(4, 5, [0], 10) = 10",
        "+0 %{ assert tcpi_no_such_field == 1 }%",
        "+0 < ECN 1:1(0) ack 1 win 1 <FO>",
        "+0 setsockopt(4, SOL_TCP, TCP_NO_SUCH, [1], 4) = 0",
    ] {
        let outcome = run_script(&format!("{ESTABLISHED}{rest}\n"), "odd");
        assert!(!outcome.passed(), "{outcome}");
        if !rest.contains("ECN") {
            assert!(matches!(outcome.verdict, Verdict::NotInterpretable { .. }), "{outcome}");
        }
    }
}

#[test]
fn an_outcome_prints_as_one_line() {
    assert_eq!(run_script(ESTABLISHED, "a.pkt").to_string(), "ok a.pkt");
    assert_eq!(run_script("0 < Q 0:0(0)", "b.pkt").to_string(), "not ok b.pkt: line 1: `Q` are no TCP flags");
    let skipped = run_script("--ip_version=ipv5\n", "c.pkt").to_string();
    assert_eq!(skipped, "skip c.pkt: line 1: not interpretable: the option --ip_version=ipv5");
}

#[test]
fn loose_comparison_is_for_other_kernels() {
    let script = format!(
        "{ESTABLISHED}+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1 win 7 <nop,nop,TS val 1 ecr 2>\n"
    );
    assert!(run_script(&script, "exact").failed());
    assert!(run_script_with(&script, "loose", Comparison::Loose).passed());
}
