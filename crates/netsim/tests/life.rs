//! How programs begin and end: servers, restarts, crashes, typed input.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use common::{FOREVER, Lan, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::record::{ExitStatus, RecordKind};
use socketlab_netsim::{Detail, Program, Rest, Stdin, Turn, WorldBuilder};
use socketlab_stack::Pid;

fn statuses(stage: &Stage) -> Vec<(Pid, ExitStatus)> {
    let exits = stage.kinds().filter_map(|kind| match kind {
        RecordKind::ProcessExited { pid, status } => Some((*pid, status.clone())),
        _ => None,
    });
    exits.collect()
}

/// A client and a server that greets everyone who connects.
fn greeting() -> Stage {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys| {
        let s = sys.socket(TCP);
        if let Err(error) = sys.call("bind", args![s, ("10.0.0.2", 80)]) {
            sys.print(&error);
            return;
        }
        sys.ok("listen", args![s, 5]);
        loop {
            let c = sys.accept(s);
            sys.send_all(c, b"hej").unwrap();
            sys.close(c);
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 80).unwrap();
        assert_eq!(sys.recv_all(s), b"hej");
        sys.close(s);
    });
    lan.stage()
}

#[test]
fn a_server_that_waits_is_stopped_when_the_last_frame_has_arrived() {
    let mut stage = greeting();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(statuses(&stage), [(Pid(2), ExitStatus::Exited(0)), (Pid(1), ExitStatus::Killed)]);
    assert!(stage.world.now().as_nanos() < 100_000_000, "not after a second, and not after TIME-WAIT");
}

#[test]
fn a_server_that_never_waits_is_stopped_after_a_second() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.server(host, |sys| {
        loop {
            sys.sleep(Duration::from_millis(300)).unwrap();
            sys.print("tick");
        }
    });
    lan.program(host, 0, |sys| {
        sys.sleep(Duration::from_secs(2)).unwrap();
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // At 2 s the other one ends; a second later nine ticks of 300 ms have passed.
    assert_eq!(stage.console(0).lines().count(), 9);
}

#[test]
fn a_program_started_by_hand_leaves_the_servers_alone() {
    let mut stage = greeting();
    stage.world.start_program(0);
    assert_eq!(stage.play(), Rest::Servers, "a server alone is no deadlock");
    for _ in 0..2 {
        stage.world.start_program(1);
        assert_eq!(stage.play(), Rest::Servers);
    }
    let ended = [(Pid(2), ExitStatus::Exited(0)), (Pid(3), ExitStatus::Exited(0))];
    assert_eq!(statuses(&stage), ended);
}

#[test]
fn a_server_started_again_meets_its_old_connection() {
    let mut stage = greeting();
    assert_eq!(stage.run(), Rest::Finished);
    // It closed first, so its side rests in TIME-WAIT, and the port with it.
    stage.world.start_program(0);
    assert_eq!(stage.play(), Rest::Finished);
    let said = stage.kinds().filter_map(|k| match k {
        RecordKind::Console { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), ["EADDRINUSE\n"]);
    // The rest of TIME-WAIT can be stepped through.
    while stage.world.now().as_nanos() < 61_000_000_000 && stage.world.turn() == Turn::Idle {
        let before = stage.world.now();
        stage.world.step();
        if stage.world.now() == before {
            break;
        }
    }
    stage.world.start_program(0);
    assert_eq!(stage.play(), Rest::Servers);
}

#[test]
fn a_crash_closes_the_sockets_and_keeps_its_status() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.program(b, 0, |sys| {
        let s = sys.listener("10.0.0.2", 80);
        let c = sys.accept(s);
        assert_eq!(sys.recv(c, 10).unwrap(), b"");
        sys.print("gone");
    });
    lan.program(a, 1, |sys: &mut Sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 80).unwrap();
        let _ = sys.recv(s, 10);
    });
    let mut stage = lan.stage();
    stage.run();
    stage.world.exited(Pid(2), -11);
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "gone\n");
    assert_eq!(statuses(&stage)[0], (Pid(2), ExitStatus::Exited(-11)));
}

#[test]
fn a_running_program_can_be_killed_and_is_not_heard_any_more() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| sys.print("never heard"));
    let mut stage = lan.stage();
    stage.world.start();
    stage.world.step();
    assert_eq!(stage.world.turn(), Turn::Process(Pid(1)));
    stage.world.kill(Pid(1));
    let late = common::message(1, 0, "now", "", args![]);
    assert_eq!(stage.world.handle_message(Pid(1), &late), Ok(()), "it was on its way already");
    assert_eq!(stage.world.turn(), Turn::Idle);
    assert_eq!(stage.world.rest(), Rest::Finished);
}

#[test]
fn input_is_given_at_once_or_typed_in_time() {
    let input = |stdin: Stdin| {
        let mut builder = WorldBuilder::new(1);
        let node = builder.host("a");
        builder.program(Program {
            node,
            host: "a".to_owned(),
            file: "a.py".to_owned(),
            args: Vec::new(),
            start: Duration::from_secs(1),
            stdin,
            forever: false,
        });
        let code = |sys: &mut Sys| {
            loop {
                let line = sys.ok("readline", args![]).str().to_owned();
                let ms = sys.now / 1_000_000;
                sys.print(&format!("{ms} {line:?}"));
                if line.is_empty() {
                    break;
                }
            }
        };
        let mut stage = Stage::new(builder.build(), vec![std::sync::Arc::new(code)]);
        let rest = stage.run();
        (stage.console(0), rest)
    };
    let (said, rest) = input(Stdin::Text("hej\ndå".to_owned()));
    assert_eq!((said.as_str(), rest), ("1000 \"hej\\n\"\n1000 \"då\"\n1000 \"\"\n", Rest::Finished));
    let second = Duration::from_secs(1);
    let typed = vec![(second, "hej\n".to_owned()), (2 * second, String::new())];
    let (said, rest) = input(Stdin::Typed(typed));
    assert_eq!((said.as_str(), rest), ("2000 \"hej\\n\"\n3000 \"\"\n", Rest::Finished));
    let (said, rest) = input(Stdin::Typed(vec![(second, "hej\n".to_owned())]));
    assert_eq!((said.as_str(), rest), ("2000 \"hej\\n\"\n", Rest::Input), "it stays open");
}

#[test]
fn a_frame_too_big_for_a_link_is_lost_there() {
    let mut lan = Lan::new(delay(1));
    let a = lan.host();
    lan.link.mtu = 600;
    let b = lan.host();
    lan.server(b, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("10.0.0.2", 9)]);
        loop {
            let got = sys.recv(s, 2000).unwrap();
            sys.print(&got.len().to_string());
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(UDP);
        for n in [500, 1000] {
            sys.ok("sendto", args![s, &*vec![0; n], 0, ("10.0.0.2", 9), FOREVER]);
        }
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "500\n");
    let lost = |k: &&RecordKind| {
        matches!(k, RecordKind::FrameLost { reason: socketlab_netsim::LossReason::TooBig, .. })
    };
    assert_eq!(stage.kinds().filter(lost).count(), 1);
}

#[test]
fn without_the_network_in_its_records_a_run_is_the_same() {
    let run = |detail| {
        let mut lan = Lan::new(delay(2));
        let (a, b) = (lan.host(), lan.host());
        lan.server(b, |sys| {
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
            sys.send_all(s, &[b'x'; 20_000]).unwrap();
            sys.ok("shutdown", args![s, 1]);
            let octets = sys.recv_all(s).len();
            sys.print(&format!("{octets} octets"));
        });
        let mut stage = lan.stage();
        stage.world.set_detail(detail);
        assert_eq!(stage.run(), Rest::Finished);
        stage
    };
    let (all, programs) = (run(Detail::Everything), run(Detail::Programs));
    assert_eq!(programs.world.now(), all.world.now());
    assert_eq!(programs.world.packets_sent(), all.world.packets_sent());
    let of_network = |kind: &RecordKind| {
        matches!(
            kind,
            RecordKind::FrameSent { .. }
                | RecordKind::FrameQueued { .. }
                | RecordKind::FrameDelivered { .. }
                | RecordKind::Demux { .. }
                | RecordKind::TcpState { .. }
                | RecordKind::TimerSet { .. }
                | RecordKind::TimerFired { .. }
                | RecordKind::Retransmitted { .. }
        )
    };
    let kept: Vec<_> = all.records.iter().filter(|record| !of_network(&record.kind)).collect();
    assert_eq!(programs.records.iter().collect::<Vec<_>>(), kept);
    assert_eq!(programs.console(1), "20000 octets\n");
}
