//! A capture is read by Wireshark's own reader: no malformed frame, no bad checksum.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::{FOREVER, Lan, Sys, TCP, UDP, delay};
use socketlab_netsim::{Rest, is_in_capture, pcapng};

/// A conversation with ARP, TCP, a refused connection, UDP and ICMP.
fn capture() -> Vec<u8> {
    let mut lan = Lan::new(delay(2));
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
    stage.records.retain(is_in_capture);
    pcapng(stage.world.topology(), &stage.records)
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
    let file = std::env::temp_dir().join(format!("socketlab-capture-{}.pcapng", std::process::id()));
    std::fs::write(&file, capture()).unwrap();
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
        "host1:eth0\tARP\tWho has 10.0.0.2? Tell 10.0.0.1\tprogram1.py:2: connect(('10.0.0.2', 80))"
    );
    assert!(
        lines.iter().any(|line| line.contains("80 → ") && line.contains("[SYN, ACK] Seq=0 Ack=1")),
        "{list}"
    );
    assert!(lines.iter().any(|line| line.contains("[RST, ACK]")), "{list}");
    assert!(lines.iter().any(|line| line.contains("Destination unreachable (Port unreachable)")), "{list}");
    assert!(lines.iter().any(|line| line.contains("Fragmented IP protocol")), "{list}");
    assert!(times.starts_with("1767268800.001010000"), "labs begin at noon, and nanoseconds count: {times}");
}
