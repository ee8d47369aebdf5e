//! What is done to the network while it runs: links changed, cut and mended, single frames held, dropped and edited;
//! switches and hubs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use common::{FOREVER, Lan, Stage, UDP, delay};
use socketlab_netsim::{
    Chance, Change, Command, CommandError, Deed, FrameId, LinkId, LinkParams, LossReason, NodeId, RecordKind,
    Rest,
};
use socketlab_stack::MacAddr;

/// A client that says "hej" after 10 ms, and a server that prints what it hears.
fn greeting() -> Stage {
    let mut lan = Lan::new(delay(2));
    let (client, server) = (lan.host(), lan.host());
    lan.program(client, 10, |sys| {
        let s = sys.socket(common::TCP);
        sys.connect(s, "10.0.0.2", 80).unwrap();
        sys.send_all(s, b"hej").unwrap();
        sys.close(s);
    });
    lan.program(server, 0, |sys| {
        let l = sys.listener("0.0.0.0", 80);
        let s = sys.accept(l);
        let said = sys.recv_all(s);
        sys.print(&String::from_utf8_lossy(&said));
    });
    lan.stage()
}

/// The first frame on this link that carries `what`.
fn frame_with(stage: &Stage, link: u32, what: &[u8]) -> Option<FrameId> {
    stage.kinds().find_map(|kind| match kind {
        RecordKind::FrameSent { frame, link: l, bytes, .. }
            if l.0 == link && bytes.windows(what.len()).any(|w| w == what) =>
        {
            Some(*frame)
        }
        _ => None,
    })
}

fn until_frame(stage: &mut Stage, link: u32, what: &[u8]) -> FrameId {
    for _ in 0..100_000 {
        stage.outputs();
        if let Some(frame) = frame_with(stage, link, what) {
            return frame;
        }
        assert!(stage.turn(), "no such frame");
    }
    panic!("no such frame");
}

fn losses(stage: &Stage) -> Vec<LossReason> {
    let lost = stage.kinds().filter_map(|kind| match kind {
        RecordKind::FrameLost { reason, .. } => Some(*reason),
        _ => None,
    });
    lost.collect()
}

fn retransmitted(stage: &Stage) -> bool {
    stage.kinds().any(|kind| matches!(kind, RecordKind::Retransmitted { .. }))
}

#[test]
fn a_dropped_frame_is_sent_again() {
    let mut stage = greeting();
    stage.world.start();
    let frame = until_frame(&mut stage, 0, b"hej");
    stage.world.command(Command::Drop { frame }).unwrap();
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(1), "hej\n");
    assert_eq!(losses(&stage), [LossReason::DroppedByHand]);
    assert!(retransmitted(&stage));
    assert_eq!(stage.world.command(Command::Drop { frame }), Err(CommandError::NoFrame));
}

#[test]
fn a_held_frame_waits_for_its_release() {
    let mut stage = greeting();
    stage.world.start();
    // The SYN of the connection: its first frame after the ARP exchange.
    stage.play_for(Duration::from_millis(9));
    stage
        .world
        .command(Command::Catch { link: LinkId(0), from: NodeId(1), nth: 2, deed: Deed::Hold })
        .unwrap();
    stage.play_for(Duration::from_millis(500));
    let held = stage.world.picture().held;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].1, LinkId(0));
    assert_eq!(stage.console(1), "");
    stage.world.command(Command::Release { frame: held[0].0 }).unwrap();
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(1), "hej\n");
    assert!(!retransmitted(&stage), "it came before the first time-out");
    let changes: Vec<&Change> = stage
        .kinds()
        .filter_map(|kind| match kind {
            RecordKind::Changed { change } => Some(&**change),
            _ => None,
        })
        .collect();
    assert!(matches!(changes[0], Change::WillCatch { nth: 2, .. }));
    assert!(matches!(changes[1], Change::Held { .. }));
    assert!(matches!(changes[2], Change::Released { .. }));
}

#[test]
fn a_world_that_waits_for_a_held_frame_is_not_deadlocked() {
    let mut lan = Lan::new(delay(1));
    let (client, server) = (lan.host(), lan.host());
    lan.program(client, 10, |sys| {
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, b"hej", 0, ("10.0.0.2", 9), FOREVER]);
    });
    lan.program(server, 0, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 9)]);
        let got = sys.recv(s, 100).unwrap();
        sys.print(&String::from_utf8_lossy(&got));
    });
    let mut stage = lan.stage();
    stage.world.start();
    let frame = until_frame(&mut stage, 0, b"hej");
    stage.world.command(Command::Hold { frame }).unwrap();
    assert_eq!(stage.play(), Rest::Held);
    // Another word in its place, and a checksum of zero: UDP does not look at it then (RFC 768).
    let bytes = stage.records.iter().find_map(|r| match &r.kind {
        RecordKind::FrameSent { frame: f, bytes, .. } if *f == frame => Some(bytes.to_vec()),
        _ => None,
    });
    let mut bytes = bytes.unwrap();
    let at = bytes.windows(3).position(|w| w == b"hej").unwrap();
    bytes[at..at + 3].copy_from_slice(b"nej");
    bytes[at - 2..at].copy_from_slice(&[0, 0]);
    assert_eq!(
        stage.world.command(Command::Edit { frame, bytes: vec![0; 13].into() }),
        Err(CommandError::BadLength)
    );
    stage.world.command(Command::Edit { frame, bytes: bytes.into() }).unwrap();
    stage.world.command(Command::Release { frame }).unwrap();
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(1), "nej\n");
}

#[test]
fn a_cut_link_loses_what_is_on_it_and_a_mended_one_carries_again() {
    let mut stage = greeting();
    stage.world.start();
    until_frame(&mut stage, 0, b"hej");
    stage.world.command(Command::Cut { link: LinkId(0) }).unwrap();
    assert!(stage.world.picture().links[0].cut);
    stage.play_for(Duration::from_secs(1));
    assert!(losses(&stage).len() > 1 && losses(&stage).iter().all(|l| *l == LossReason::LinkCut));
    assert_eq!(stage.console(1), "");
    stage.world.command(Command::Mend { link: LinkId(0) }).unwrap();
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(1), "hej\n");
}

#[test]
fn every_parameter_of_a_link_changes_while_it_runs() {
    let mut stage = greeting();
    stage.world.start();
    let frame = until_frame(&mut stage, 0, b"hej");
    stage.world.command(Command::Drop { frame }).unwrap();
    let params = LinkParams {
        delay: Duration::from_millis(300),
        rate_bits_per_s: Some(1_000_000),
        mtu: 600,
        loss: Chance::per_million(1),
        ..LinkParams::default()
    };
    stage.world.command(Command::SetLink { link: LinkId(0), params }).unwrap();
    let before = stage.world.now();
    assert_eq!(stage.play(), Rest::Finished);
    assert!(stage.world.now() - before > Duration::from_millis(300));
    assert_eq!(stage.world.topology().links[0].delay, Duration::from_millis(300));
    let (_, host) = &stage.world.snapshot()[0];
    assert_eq!(host.ifaces[1].mtu, 600);
    assert_eq!(stage.world.command(Command::SetLink { link: LinkId(9), params }), Err(CommandError::NoLink));
}

#[test]
fn a_switch_learns_and_forgets() {
    let mut stage = greeting();
    assert_eq!(stage.run(), Rest::Finished);
    let switches = stage.world.picture().switches;
    let [(node, table)] = switches.as_slice() else { panic!("{switches:?}") };
    assert_eq!(*node, NodeId(0));
    let rows: Vec<_> = table.iter().map(|row| (row.mac, row.port)).collect();
    assert_eq!(rows, [(MacAddr([2, 0, 0, 0, 0, 1]), 0), (MacAddr([2, 0, 0, 0, 0, 2]), 1)]);

    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, b"hej", 0, ("10.0.0.9", 9), FOREVER]);
        sys.sleep(Duration::from_secs(299)).unwrap();
        sys.sleep(Duration::from_secs(10)).unwrap();
    });
    let mut stage = lan.stage();
    stage.world.start();
    stage.play_for(Duration::from_secs(290));
    assert_eq!(stage.world.picture().switches[0].1.len(), 1);
    stage.play();
    assert_eq!(stage.world.picture().switches[0].1, []);
}

#[test]
fn a_hub_tells_everybody() {
    let count = |hub: bool| {
        let mut builder = socketlab_netsim::WorldBuilder::new(1);
        let middle = if hub { builder.hub("hub") } else { builder.switch("switch") };
        let hosts: Vec<NodeId> = (1..=3).map(|n| builder.host(&format!("h{n}"))).collect();
        for (n, node) in (1u8..).zip(&hosts) {
            let address = socketlab_stack::IpCidr { address: [10, 0, 0, n].into(), prefix_len: 24 };
            let end =
                |node, addresses| socketlab_netsim::End { node, mac: MacAddr([2, 0, 0, 0, 0, n]), addresses };
            builder.link(end(*node, vec![address]), end(middle, vec![]), delay(1));
        }
        let program = |n: usize, start| socketlab_netsim::Program {
            node: hosts[n],
            host: format!("h{n}"),
            file: "p.py".to_owned(),
            args: vec![],
            start: Duration::from_millis(start),
            stdin: socketlab_netsim::Stdin::Open,
            forever: false,
        };
        builder.program(program(0, 0));
        builder.program(program(1, 10));
        let server: common::Code = std::sync::Arc::new(|sys| {
            let s = sys.socket(UDP);
            sys.ok("bind", args![s, ("0.0.0.0", 9)]);
            sys.recv(s, 100).unwrap();
        });
        let client: common::Code = std::sync::Arc::new(|sys| {
            let s = sys.socket(UDP);
            sys.ok("sendto", args![s, b"hej", 0, ("10.0.0.1", 9), FOREVER]);
        });
        let mut stage = Stage::new(builder.build(), vec![server, client]);
        assert_eq!(stage.run(), Rest::Finished);
        let to_third = stage.kinds().filter(
            |k| matches!(k, RecordKind::FrameSent { to, bytes, .. } if *to == hosts[2] && bytes.ends_with(b"hej")),
        );
        to_third.count()
    };
    assert_eq!(count(true), 1);
    assert_eq!(count(false), 0);
}
