//! A capture is read by Wireshark's own reader: no malformed frame, no bad checksum.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::{FOREVER, Lan, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::{Capture, LinkParams, Rest, pcapng};

/// A conversation with ARP, TCP, a refused connection, UDP and ICMP.
fn conversation(link: LinkParams) -> Stage {
    let mut lan = Lan::new(link);
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys: &mut Sys| {
        let s = sys.listener("10.0.0.2", 80);
        loop {
            let c = sys.accept(s);
            let data = sys.recv_all(c);
            sys.send_all(c, &data).unwrap();
            sys.close(c);
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 80).unwrap();
        sys.send_all(s, &vec![b'x'; 20_000]).unwrap();
        sys.ok("shutdown", args![s, 1]);
        assert_eq!(sys.recv_all(s).len(), 20_000);
        sys.close(s);
        let s = sys.socket(TCP);
        assert_eq!(sys.connect(s, "10.0.0.2", 81).unwrap_err(), "ECONNREFUSED");
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, b"hej", 0, ("10.0.0.2", 9), FOREVER]);
        sys.ok("sendto", args![s, &[7; 5000], 0, ("10.0.0.2", 9), FOREVER]);
        sys.sleep(Duration::from_secs(1)).unwrap();
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    stage
}

fn file(stage: &Stage, name: &str) -> std::path::PathBuf {
    let file = std::env::temp_dir().join(format!("socketlab-capture-{}-{name}.pcapng", std::process::id()));
    std::fs::write(&file, pcapng(stage.world.topology(), &stage.records)).unwrap();
    file
}

fn tshark(file: &std::path::Path, options: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(options);
    for checked in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"] {
        command.args(["-o", checked]);
    }
    let output = command.output().expect("tshark runs; `cargo xtask test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("tshark writes UTF-8")
}

#[test]
fn tshark_finds_nothing_wrong() {
    let file = file(&conversation(delay(2)), "whole");
    let bad = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || \
               tcp.analysis.flags && !tcp.analysis.window_update";
    let bad = tshark(&file, &["-Y", bad]);
    let list = tshark(
        &file,
        &[
            "-T",
            "fields",
            "-e",
            "frame.interface_name",
            "-e",
            "_ws.col.Protocol",
            "-e",
            "_ws.col.Info",
            "-e",
            "frame.comment",
        ],
    );
    let times = tshark(&file, &["-T", "fields", "-e", "frame.time_epoch", "-c", "2"]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(bad, "", "in:\n{list}");

    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(
        lines[0],
        "host1-lan\tARP\tWho has 10.0.0.2? Tell 10.0.0.1\thost1: program1.py:2: connect(('10.0.0.2', 80))"
    );
    assert!(
        lines.iter().any(|line| line.contains("80 → ") && line.contains("[SYN, ACK] Seq=0 Ack=1")),
        "{list}"
    );
    assert!(lines.iter().any(|line| line.contains("[RST, ACK]")), "{list}");
    assert!(lines.iter().any(|line| line.contains("Destination unreachable (Port unreachable)")), "{list}");
    assert!(lines.iter().any(|line| line.contains("Fragmented IP protocol")), "{list}");
    let syn = lines.iter().find(|line| line.contains("→ 80 [SYN]"));
    assert!(
        syn.is_some_and(|l| l.ends_with("host1: program1.py:2: connect(('10.0.0.2', 80))")),
        "it waited for ARP: {list}"
    );
    assert!(times.starts_with("1767268800.001010000"), "labs begin at noon, and nanoseconds count: {times}");
}

#[test]
fn each_link_is_an_interface_and_hosts_have_names() {
    let mut link = delay(2);
    link.rate_bits_per_s = Some(10_000_000);
    let file = file(&conversation(link), "names");
    let columns = ["frame.interface_name", "frame.interface_description", "ip.src_host"];
    let mut options = vec!["-N", "n", "-Y", "tcp.flags.syn == 1 && tcp.dstport == 80", "-T", "fields"];
    options.extend(columns.iter().flat_map(|column| ["-e", *column]));
    let syn = tshark(&file, &options);
    let about = Command::new("capinfos").arg(&file).output().expect("capinfos comes with tshark");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(syn, "host1-lan\thost1 eth0 (10.0.0.1) to lan port1\thost1\n");
    let about = String::from_utf8(about.stdout).expect("capinfos writes UTF-8");
    let speeds = about.lines().filter(|line| line.contains("Speed = 10000000")).count();
    assert_eq!(speeds, 2, "{about}");
}

#[test]
fn a_capture_comes_as_it_is_made_and_remembers_little() {
    // So slow that frames wait for their link long after the calls that caused them.
    let mut link = delay(2);
    link.rate_bits_per_s = Some(1_000_000);
    let stage = conversation(link);
    let mut capture = Capture::new(stage.world.topology());
    let mut file = Vec::new();
    let mut lengths = Vec::new();
    // Many runs, one after another, as if it were one.
    for _ in 0..60 {
        for record in &stage.records {
            capture.push(record);
            file.extend(capture.take());
        }
        lengths.push(format!("{capture:?}").len());
    }
    assert_eq!(lengths[40], lengths[59], "it grows: {lengths:?}");
    file.extend(capture.finish());
    let whole = pcapng(stage.world.topology(), &stage.records);
    assert_eq!(file[..whole.len()], whole);

    let path = self::file(&stage, "slow");
    let caused = tshark(&path, &["-Y", "tcp.len > 0 && frame.comment contains \"program1.py:3: send(\""]);
    std::fs::remove_file(&path).unwrap();
    assert!(caused.lines().count() > 5, "also those that waited: {caused}");
}
