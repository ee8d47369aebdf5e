//! The views on what real stacks do: programs on two hosts, a link that loses frames, and tshark as the judge.

#[path = "../../netsim/tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::Duration;

use common::{FOREVER, Lan, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::{Chance, LinkParams, pcapng};
use socketlab_view::evidence::Failures;
use socketlab_view::ladder::{ArrowEnd, Ladder, LadderBuilder, LadderFilter};
use socketlab_view::packets::PacketList;
use socketlab_view::{Event, EventKind, Ingest, ProgramInfo, TopologyView, text};

/// A conversation of 30,000 octets each way, a refused connection, a datagram nobody wants.
fn stage(link: LinkParams) -> Stage {
    let mut lan = Lan::new(link);
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys: &mut Sys| {
        let s = sys.listener("10.0.0.2", 7007);
        loop {
            let c = sys.accept(s);
            let data = sys.recv_all(c);
            sys.send_all(c, &data).expect("works");
            sys.close(c);
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 7007).expect("connected");
        sys.send_all(s, &vec![b'x'; 30_000]).expect("works");
        sys.ok("shutdown", args![s, 1]);
        assert_eq!(sys.recv_all(s).len(), 30_000);
        sys.close(s);
        let s = sys.socket(TCP);
        assert_eq!(sys.connect(s, "10.0.0.2", 7008), Err("ECONNREFUSED".to_string()));
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, "blåbär".as_bytes(), 0, ("10.0.0.2", 7009), FOREVER]);
        sys.sleep(Duration::from_secs(1)).expect("works");
    });
    let mut stage = lan.stage();
    stage.run();
    stage
}

struct Seen {
    topology: TopologyView,
    programs: Vec<ProgramInfo>,
    ingest: Ingest,
    events: Vec<Event>,
}

fn see(stage: &Stage) -> Seen {
    let topology = TopologyView::from(stage.world.topology());
    let programs: Vec<_> = stage.world.programs().iter().map(ProgramInfo::from).collect();
    let mut ingest = Ingest::new(&topology, &programs);
    let events = stage.records.iter().map(|r| ingest.ingest(r)).collect();
    Seen { topology, programs, ingest, events }
}

fn ladder(seen: &Seen, filter: LadderFilter) -> Ladder {
    LadderBuilder::with_history(&seen.topology, &seen.programs, filter, &seen.events).ladder().clone()
}

fn tshark(stage: &mut Stage, name: &str) -> Vec<String> {
    let file = std::env::temp_dir().join(format!("view-{}-{name}.pcapng", std::process::id()));
    std::fs::write(&file, pcapng(stage.world.topology(), &stage.records)).expect("a temporary file");
    let columns = ["_ws.col.Protocol", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Info"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-T", "fields"]);
    for column in columns {
        command.args(["-e", column]);
    }
    let output = command.output().expect("tshark runs; `cargo xtask test` installs it");
    std::fs::remove_file(&file).expect("our own file");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_string).collect()
}

fn compare(link: LinkParams, name: &str) {
    let mut stage = stage(link);
    let seen = see(&stage);
    let mut list = PacketList::default();
    for event in &seen.events {
        list.push(event);
    }
    let ours: Vec<_> =
        list.rows().iter().map(|r| [&*r.protocol, &r.source, &r.destination, &r.info].join("\t")).collect();
    let theirs = tshark(&mut stage, name);
    assert_eq!(ours.len(), theirs.len());
    for (number, (ours, theirs)) in (1..).zip(ours.iter().zip(&theirs)) {
        assert_eq!(ours, theirs, "{name}, frame {number}");
    }
}

#[test]
fn the_packet_list_reads_as_tshark_reads_the_capture() {
    compare(delay(2), "clean");
}

#[test]
fn a_lossy_link_reads_as_tshark_reads_it_too() {
    for (ms, loss) in [(2, 20_000), (2, 100_000), (1, 200_000), (30, 50_000)] {
        let mut link = delay(ms);
        link.loss = Chance::per_million(loss);
        compare(link, &format!("loss-{loss}"));
    }
}

#[test]
fn every_packet_is_an_arrow_that_ends() {
    let mut link = delay(2);
    link.loss = Chance::per_million(100_000);
    let seen = see(&stage(link));
    let drawn = ladder(&seen, LadderFilter::default());
    let packets = seen.events.iter().filter(|e| matches!(&e.kind, EventKind::FrameSent(f) if f.first_hop));
    assert_eq!(drawn.arrows.len(), packets.count());
    assert!(drawn.arrows.iter().any(|a| matches!(a.end, ArrowEnd::Lost { .. })));
    assert!(drawn.arrows.iter().any(|a| a.retransmission));
    for a in &drawn.arrows {
        assert!(!matches!(a.end, ArrowEnd::InFlight { .. }), "{a:?}");
        assert!(a.y1 > a.y0, "{a:?}");
    }
    let mut rows: Vec<f64> = drawn.arrows.iter().map(|a| a.y0).collect();
    rows.extend(drawn.states.iter().map(|s| s.y));
    rows.sort_by(f64::total_cmp);
    assert!(rows.windows(2).all(|w| w[1] - w[0] >= 15.9), "labels do not overlap");
    println!("{}", text::ladder(&drawn, 110));
}

#[test]
fn one_conversation_can_be_followed() {
    let seen = see(&stage(delay(2)));
    let drawn = ladder(&seen, LadderFilter { conversation: Some(0), ..LadderFilter::default() });
    assert_eq!(drawn.lifelines.len(), 2);
    assert!(drawn.arrows.iter().all(|a| a.conversation == Some(0)));
    let states: Vec<_> = drawn.states.iter().filter(|s| s.lifeline == 0).map(|s| s.state.as_str()).collect();
    let wanted = ["SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"];
    assert_eq!(states, wanted);
    assert!(drawn.calls.iter().any(|c| c.label.starts_with("accept") && c.blocked));
    assert!(drawn.calls.iter().any(|c| c.label.starts_with("connect") && c.blocked));
    let all = ladder(&seen, LadderFilter::default());
    assert!(all.gaps.iter().any(|g| g.to - g.from > 900_000_000), "idle time is cut out");
}

#[test]
fn the_refused_connection_is_explained() {
    let stage = stage(delay(2));
    let seen = see(&stage);
    let mut failures = Failures::default();
    for event in &seen.events {
        failures.push(event);
    }
    let sockets = seen.ingest.sockets(stage.world.now(), &stage.world.snapshot());
    let found = failures.evidence(&seen.topology, &sockets);
    let keys: Vec<_> = found.iter().map(|e| (e.name.as_str(), e.errno.as_str())).collect();
    assert_eq!(keys[0], ("connect", "ECONNREFUSED"));
    assert!(found[0].key.starts_with("evidence-refused"), "{:?}", found[0]);
    assert!(found[0].packet.is_some());
}
