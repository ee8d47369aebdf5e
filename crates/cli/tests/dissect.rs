//! Every lab's own traffic, captured by `socketlab run --pcap`: our packet list says of each packet what tshark says,
//! our lines are tcpdump's, and tshark finds nothing malformed and no bad checksum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use socketlab_dissect::Analysis;

/// The shipped labs that need nobody outside, and the labs of our own tests.
fn labs() -> Vec<String> {
    let listed =
        Command::new(env!("CARGO_BIN_EXE_socketlab")).arg("labs").output().expect("the binary starts");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = listed.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_string);
    let mut labs: Vec<String> = names.filter(|n| n != "real-world").collect();
    assert!(labs.len() >= 2, "{listed}");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labs");
    for name in ["http", "ip-sockets", "ping", "mistakes", "threading-server", "asyncio"] {
        labs.push(own.join(name).display().to_string());
    }
    labs
}

fn run(tool: &str, file: &Path, args: &[&str]) -> String {
    let output = Command::new(tool).arg("-r").arg(file).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|_| panic!("{tool} runs; `cargo xtask test` installs it"));
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const CHECKS: [&str; 6] =
    ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];

/// Frames of the first interface on which each packet is seen: a switch's other links show it again.
fn frames(folder: &Path, capture: &Path) -> (PathBuf, Vec<(u64, Vec<u8>)>) {
    let list = run("tshark", capture, &["-T", "fields", "-e", "frame.interface_name"]);
    let mut chosen: BTreeMap<&str, u64> = BTreeMap::new();
    for name in list.lines() {
        *chosen.entry(name).or_default() += 1;
    }
    let (busiest, _) = chosen.iter().max_by_key(|(name, count)| (**count, **name)).expect("a frame");
    let plain = folder.join("one.pcap");
    let filter = format!("frame.interface_name == \"{busiest}\"");
    let out = plain.display().to_string();
    run("tshark", capture, &["-Y", &filter, "-F", "nsecpcap", "-w", &out]);
    let octets = std::fs::read(&plain).expect("tshark's file");
    let word = |at: usize| u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
    let mut frames = Vec::new();
    let mut at = 24;
    while at < octets.len() {
        let (seconds, nanos, len) = (word(at), word(at + 4), word(at + 8) as usize);
        frames.push((
            u64::from(seconds) * 1_000_000_000 + u64::from(nanos),
            octets[at + 16..at + 16 + len].to_vec(),
        ));
        at += 16 + len;
    }
    (plain, frames)
}

#[test]
fn each_labs_packets_read_as_tshark_and_tcpdump_read_them() {
    let mut compared = 0;
    for lab in labs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let capture = folder.path().join("all.pcapng");
        let status = Command::new(env!("CARGO_BIN_EXE_socketlab"))
            .args(["run", "--json", &lab, "--pcap", &capture.display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("the binary starts");
        assert!(status.code().is_some_and(|c| c < 2), "{lab}");
        let bad = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || \
                   icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0";
        let args: Vec<&str> = CHECKS.into_iter().chain(["-Y", bad]).collect();
        assert_eq!(run("tshark", &capture, &args), "", "{lab}");
        if run("tshark", &capture, &["-c", "1"]).is_empty() {
            continue;
        }
        let (file, frames) = frames(folder.path(), &capture);
        let mut args: Vec<&str> = CHECKS.to_vec();
        args.extend(["-T", "fields"]);
        for column in ["_ws.col.Protocol", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Info"] {
            args.extend(["-e", column]);
        }
        let theirs = run("tshark", &file, &args);
        let theirs: Vec<&str> = theirs.lines().collect();
        let dumped = run("tcpdump", &file, &["-n", "-t", "-Z", "root"]);
        let dumped: Vec<&str> = dumped.lines().collect();
        assert_eq!((theirs.len(), dumped.len()), (frames.len(), frames.len()), "{lab}");
        let mut analysis = Analysis::new();
        for (i, (at, frame)) in frames.iter().enumerate() {
            let ours = analysis.push(*at, frame);
            let line = [&*ours.protocol, &ours.source, &ours.destination, &ours.info].join("\t");
            assert_eq!(line, theirs[i], "{lab}, frame {}", i + 1);
            assert_eq!(ours.tcpdump, dumped[i], "{lab}, frame {}", i + 1);
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}
