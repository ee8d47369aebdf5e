//! Programs on a switched network: what they say to each other, what it costs them, how they end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use common::{FOREVER, Lan, MORE, POST, Py, Stage, TCP, UDP, delay, message, replay};
use socketlab_netsim::record::{ExitStatus, RecordKind};
use socketlab_netsim::{LinkParams, LossReason, Rest, trace_hash};
use socketlab_stack::TcpState;

/// Two hosts, each 2 ms from the switch; an echo server on 10.0.0.2:7 and a client.
fn echo(link: LinkParams) -> Stage {
    let mut lan = Lan::new(link);
    let (a, b) = (lan.host(), lan.host());
    lan.program(b, 0, |sys| {
        let s = sys.listener("10.0.0.2", 7);
        let c = sys.accept(s);
        loop {
            let data = sys.recv(c, 1024).unwrap();
            if data.is_empty() {
                break;
            }
            sys.send_all(c, &data).unwrap();
        }
        sys.close(c);
        sys.close(s);
        sys.print("done");
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.ok("bind", args![s, ("10.0.0.1", 13401)]);
        sys.connect(s, "10.0.0.2", 7).unwrap();
        sys.send_all(s, "21,5 °C".as_bytes()).unwrap();
        let answer = sys.recv(s, 1024).unwrap();
        sys.print(core::str::from_utf8(&answer).unwrap());
        sys.close(s);
    });
    lan.stage()
}

#[test]
fn a_tcp_echo_crosses_the_switch() {
    let mut stage = echo(delay(2));
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "done\n");
    assert_eq!(stage.console(1), "21,5 °C\n");
    assert_eq!(stage.world.frames_in_flight(), 0);

    // The client's states, in order.
    let states: Vec<TcpState> = stage
        .kinds()
        .filter_map(|kind| match kind {
            RecordKind::TcpState { local, to, .. } if local.port() == 13401 => Some(*to),
            _ => None,
        })
        .collect();
    use TcpState::{Established, FinWait1, FinWait2, SynSent, TimeWait};
    assert_eq!(states, [SynSent, Established, FinWait1, FinWait2, TimeWait]);
}

#[test]
fn every_hop_of_a_packet_is_a_frame_of_its_own() {
    let mut stage = echo(delay(2));
    stage.run();
    let mut calls = std::collections::BTreeMap::new();
    let mut hops: std::collections::BTreeMap<_, Vec<_>> = Default::default();
    for record in &stage.records {
        match &record.kind {
            RecordKind::CallEntered { call, name, args, place, .. } => {
                calls.insert(*call, format!("{place} {name}({args})"));
            }
            RecordKind::FrameSent { packet, link, cause, arrives, .. } => {
                let took = arrives.saturating_since(record.at);
                assert_eq!(took, Duration::from_millis(2));
                hops.entry(*packet).or_default().push((link.0, *cause));
            }
            _ => {}
        }
    }
    // What the client caused: its question for the server's address, and the data.
    let caused: Vec<&str> = hops.values().filter_map(|h| h[0].1).map(|call| calls[&call].as_str()).collect();
    assert!(caused.contains(&"program1.py:3 connect(('10.0.0.2', 7))"), "{caused:?}");
    assert!(caused.contains(&r"program1.py:4 send(b'21,5 \xc2\xb0C')"), "{caused:?}");
    for hops in hops.values() {
        assert_eq!(hops.len(), 2, "in by one port of the switch and out by the other");
        assert_ne!(hops[0].0, hops[1].0);
        assert_eq!(hops[1].1, None, "a switch makes no system call");
    }
}

#[test]
fn calls_are_recorded_as_python_prints_them() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.socket(UDP);
        sys.ok("setsockopt", args![s, 1, 2, 1]);
        sys.ok("bind", args![s, ("10.0.0.1", 53)]);
        sys.ok("getsockname", args![s]);
        sys.ok("getsockopt", args![s, 1, 3, 0]);
        sys.ok("sendto", args![s, b"it's\n", 0, ("10.0.0.1", 53), FOREVER]);
        sys.ok("recvfrom", args![s, 100, 0, FOREVER]);
        sys.ok("sendto", args![s, &[0xe5; 40], 0, ("10.0.0.1", 53), FOREVER]);
        sys.ok("poll", args![Py::List(vec![Py::Tuple(args![s, 1])]), Some(Duration::from_millis(1500))]);
        let _ = sys.call("listen", args![s, 5]);
        sys.ok("now", args![]);
        sys.sleep(Duration::from_millis(250)).unwrap();
        let _ = sys.call("resolve", args!["åäö", 0]);
        sys.close(s);
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    let mut lines = Vec::new();
    for kind in stage.kinds() {
        match kind {
            RecordKind::CallEntered { name, args, .. } => lines.push(format!("{name}({args})")),
            RecordKind::CallReturned { result, failure, made, .. } => {
                let failure = failure.as_ref().map(|(name, _)| format!(" {name}")).unwrap_or_default();
                let made = if made.is_some() { " new" } else { "" };
                if let Some(line) = lines.last_mut() {
                    line.push_str(&format!(" = {result}{failure}{made}"));
                }
            }
            _ => {}
        }
    }
    let cut = r"\xe5".repeat(32);
    assert_eq!(
        lines,
        [
            "socket(AF_INET, SOCK_DGRAM) = 3 new",
            "setsockopt(SOL_SOCKET, SO_REUSEADDR, 1) = None",
            "bind(('10.0.0.1', 53)) = None",
            "getsockname() = ('10.0.0.1', 53)",
            "getsockopt(SOL_SOCKET, SO_TYPE) = 2",
            "sendto(b\"it's\\n\", ('10.0.0.1', 53)) = 5",
            "recvfrom(100) = (b\"it's\\n\", ('10.0.0.1', 53), 0)",
            &format!("sendto(b'{cut}'..., ('10.0.0.1', 53)) = 40"),
            "poll([(3, 1)], 1.5) = [(3, 1)]",
            "listen(5) = None EOPNOTSUPP",
            "sleep(0.25) = None",
            "resolve('åäö') = None EAI_NONAME",
            "close() = None",
        ]
    );
}

#[test]
fn a_system_call_costs_ten_microseconds() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.socket(UDP);
        assert_eq!(sys.now, 10_000);
        sys.ok("bind", args![s, ("10.0.0.1", 5)]);
        assert_eq!(sys.now, 20_000);
        sys.sleep(Duration::from_secs(1)).unwrap();
        assert_eq!(sys.now, 1_000_020_000);
        sys.ok("gethostname", args![]);
        assert_eq!(sys.now, 1_000_030_000);
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert!(
        stage.kinds().any(|k| matches!(k, RecordKind::ProcessExited { status: ExitStatus::Exited(0), .. }))
    );
}

#[test]
fn asking_again_and_again_gets_dearer() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.socket(UDP);
        let mut last = sys.now;
        let mut costs = Vec::new();
        for _ in 0..14 {
            assert_eq!(sys.call("recv", args![s, 10, 0, Some(Duration::ZERO)]), Err("EAGAIN".to_owned()));
            costs.push((sys.now - last) / 1000);
            last = sys.now;
        }
        assert_eq!(costs, [10, 10, 10, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]);
        sys.ok("bind", args![s, ("10.0.0.1", 5)]);
        assert_eq!(sys.now - last, 10_000, "a call with an effect costs the normal price again");
    });
    assert_eq!(lan.stage().run(), Rest::Finished);
}

#[test]
fn udp_datagrams_go_both_ways() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("10.0.0.2", 9)]);
        loop {
            let got = sys.ok("recvfrom", args![s, 1024, 0, FOREVER]);
            let (data, from) = (got.at(0).clone(), got.at(1).clone());
            sys.print(&format!("{} {}", from.at(0).str(), from.at(1).int()));
            sys.ok("sendto", vec![Py::Int(s), data, Py::Int(0), from, Py::None]);
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 13401)]);
        sys.ok("sendto", args![s, b"hej", 0, ("10.0.0.2", 9), FOREVER]);
        let got = sys.ok("recvfrom", args![s, 2, 0, FOREVER]);
        assert_eq!(got.at(0).bytes(), b"he", "the rest of a datagram is thrown away");
        assert_eq!(got.at(1), &Py::from(("10.0.0.2", 9)));
        sys.print("ok");
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!((stage.console(0).as_str(), stage.console(1).as_str()), ("10.0.0.1 13401\n", "ok\n"));
    let killed =
        stage.kinds().filter(|k| matches!(k, RecordKind::ProcessExited { status: ExitStatus::Killed, .. }));
    assert_eq!(killed.count(), 1, "the server is stopped when the client has ended");
}

#[test]
fn the_same_seed_and_messages_give_the_same_trace() {
    let faulty = LinkParams {
        jitter: Duration::from_millis(1),
        loss: socketlab_netsim::Chance::per_million(50_000),
        duplicate: socketlab_netsim::Chance::per_million(50_000),
        ..delay(2)
    };
    let mut one = echo(faulty);
    let mut two = echo(faulty);
    assert_eq!(one.run(), two.run());
    assert!(one.records.len() > 50);
    assert_eq!(trace_hash(&one.records), trace_hash(&two.records));

    let mut world = echo(faulty).world;
    world.start();
    assert_eq!(trace_hash(&replay(world, &one.heard)), trace_hash(&one.records));
}

#[test]
fn a_clone_has_the_same_future() {
    let mut stage = echo(delay(2));
    stage.world.start();
    for _ in 0..40 {
        stage.turn();
    }
    let (heard, seen) = (stage.heard.len(), stage.records.len());
    let copy = stage.world.clone();
    stage.play();
    let (words, future) = (&stage.heard[heard..], &stage.records[seen..]);
    assert!(!words.is_empty());
    assert_eq!(trace_hash(&replay(copy, words)), trace_hash(future));
}

#[test]
fn two_programs_that_wait_for_each_other_are_found() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.program(b, 0, |sys| {
        let s = sys.listener("10.0.0.2", 7);
        let c = sys.accept(s);
        let _ = sys.recv(c, 10);
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 7).unwrap();
        let _ = sys.recv(s, 10);
    });
    let mut stage = lan.stage();
    let Rest::Deadlock(waiting) = stage.run() else { panic!("{:?}", stage.world.rest()) };
    assert_eq!(waiting.len(), 2);
    let recorded: Vec<_> = stage
        .kinds()
        .filter_map(|k| match k {
            RecordKind::Deadlock { waiting } => Some(waiting.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(recorded, [waiting], "once");
    assert!(stage.world.now().as_nanos() < 1_000_000_000, "found at once, not after some timer");
}

#[test]
fn two_programs_that_only_send_are_found_too() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    let flood = |sys: &mut common::Sys, c: i64| {
        let _ = sys.send_all(c, &vec![0; 8_000_000]);
    };
    lan.program(b, 0, move |sys| {
        let s = sys.listener("10.0.0.2", 7);
        let c = sys.accept(s);
        flood(sys, c);
    });
    lan.program(a, 1, move |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 7).unwrap();
        flood(sys, s);
    });
    let mut stage = lan.stage();
    assert!(matches!(stage.run(), Rest::Deadlock(waiting) if waiting.len() == 2));
}

#[test]
fn a_time_out_is_no_deadlock() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.listener("10.0.0.1", 7);
        let minute = Some(Duration::from_secs(60));
        assert_eq!(sys.call("accept", args![s, minute]), Err("timeout".to_owned()));
        sys.print("nobody");
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "nobody\n");
}

#[test]
fn killing_a_process_closes_its_sockets() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.program(b, 0, |sys| {
        let s = sys.listener("10.0.0.2", 7);
        let c = sys.accept(s);
        let rest = sys.recv(c, 10).unwrap();
        assert_eq!(rest, b"", "the kernel says goodbye for the dead");
        sys.print("it hung up");
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 7).unwrap();
        let _ = sys.recv(s, 10);
    });
    let mut stage = lan.stage();
    assert!(matches!(stage.run(), Rest::Deadlock(_)));
    let client = stage.kinds().find_map(|k| match k {
        RecordKind::ProcessStarted { pid, program: 1, .. } => Some(*pid),
        _ => None,
    });
    stage.world.kill(client.unwrap());
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "it hung up\n");
    let (_, host) = stage.world.snapshot().remove(0);
    assert!(host.sockets.iter().all(|socket| socket.owners.is_empty()));
}

#[test]
fn ctrl_c_interrupts_what_blocks() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        let s = sys.listener("10.0.0.1", 7);
        assert_eq!(sys.call("accept", args![s, FOREVER]), Err("EINTR".to_owned()));
        assert_eq!(sys.call("readline", args![]), Err("EINTR".to_owned()));
        assert_eq!(sys.sleep(Duration::from_secs(9)), Err("EINTR".to_owned()));
        sys.print("stopped");
    });
    let mut stage = lan.stage();
    stage.world.start();
    for _ in 0..2 {
        stage.play();
        stage.world.interrupt(socketlab_stack::Pid(1));
    }
    while !matches!(stage.world.turn(), socketlab_netsim::Turn::Event(at) if at.as_nanos() > 8_000_000_000) {
        stage.turn();
    }
    stage.world.interrupt(socketlab_stack::Pid(1));
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "stopped\n");
    assert!(stage.world.now().as_nanos() < 9_000_000_000);
}

#[test]
fn ctrl_c_leaves_the_count_of_what_was_sent() {
    let mut lan = Lan::new(delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.program(b, 0, |sys| {
        let s = sys.listener("10.0.0.2", 7);
        let _ = sys.accept(s);
        sys.sleep(Duration::from_secs(60)).unwrap();
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.0.2", 7).unwrap();
        // More than both buffers hold: the call blocks with a part of it done.
        let sent = sys.ok("send", args![s, &*vec![0; 10_000_000], 0, FOREVER]).int();
        sys.print(&sent.to_string());
    });
    let mut stage = lan.stage();
    stage.world.start();
    while !matches!(stage.world.turn(), socketlab_netsim::Turn::Event(at) if at.as_nanos() > 8_000_000_000) {
        stage.turn();
    }
    stage.world.interrupt(socketlab_stack::Pid(2));
    stage.play();
    assert_eq!(stage.interrupted, [socketlab_stack::Pid(2)]);
    let sent: usize = stage.console(1).trim().parse().unwrap();
    assert!((10_000..10_000_000).contains(&sent), "{sent}");
}

#[test]
fn ctrl_c_comes_after_a_call_that_does_not_block() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        sys.ok("now", args![]);
        sys.ok("now", args![]);
        assert!(sys.sleep(Duration::from_secs(1)).is_ok(), "it is told once");
    });
    let mut stage = lan.stage();
    stage.world.start();
    while stage.world.now().as_nanos() < 10_000 {
        stage.turn();
    }
    stage.world.interrupt(socketlab_stack::Pid(1));
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.interrupted, [socketlab_stack::Pid(1)]);
}

#[test]
fn lines_are_read_as_they_are_typed() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        loop {
            let line = sys.ok("readline", args![]);
            if line.str().is_empty() {
                break;
            }
            sys.print(line.str().trim_end());
        }
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Input);
    let pid = socketlab_stack::Pid(1);
    stage.world.stdin(pid, "hej\nhej");
    assert_eq!(stage.play(), Rest::Input);
    stage.world.stdin(pid, " igen\n");
    assert_eq!(stage.play(), Rest::Input);
    stage.world.stdin(pid, "slut");
    stage.world.stdin(pid, "");
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "hej\nhej igen\nslut\n");
}

#[test]
fn threads_take_turns_and_park() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |sys| {
        // Thread 2 is unparked before it parks, thread 3 after; the main thread sleeps.
        sys.send(message(1, POST | MORE, "unpark", "", args![2]));
        sys.send(message(2, MORE, "park", "", args![FOREVER]));
        sys.send(message(3, MORE, "park", "", args![Some(Duration::from_secs(100))]));
        sys.send(message(4, MORE, "park", "", args![Some(Duration::from_millis(5))]));
        sys.send(message(1, 0, "sleep", "", args![1_000_000]));
        assert_eq!(sys.reply(), (2, None, Py::Bool(true)));
        sys.send(message(2, POST, "idle", "", args![]));
        assert_eq!(sys.reply(), (1, None, Py::None));
        assert_eq!(sys.now, 1_000_000);
        sys.send(message(1, POST | MORE, "unpark", "", args![3]));
        sys.send(message(1, 0, "sleep", "", args![60_000_000_000_i64]));
        assert_eq!(sys.reply(), (3, None, Py::Bool(true)));
        sys.send(message(3, POST, "idle", "", args![]));
        assert_eq!(sys.reply(), (4, None, Py::Bool(false)));
        assert_eq!(sys.now, 5_000_000);
        sys.send(message(4, POST, "idle", "", args![]));
        assert_eq!(sys.reply().0, 1);
        sys.print("all");
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "all\n");
    assert!(stage.world.now().as_nanos() < 61_000_000_000, "nobody waits for a park that is over");
}

#[test]
fn names_of_the_lab_are_known_everywhere() {
    let mut lan = Lan::new(delay(1));
    let (a, _) = (lan.host(), lan.host());
    lan.program(a, 0, |sys| {
        assert_eq!(sys.resolve("host2"), Ok("10.0.0.2".to_owned()));
        assert_eq!(sys.resolve("localhost"), Ok("127.0.0.1".to_owned()));
        assert_eq!(sys.resolve("10.9.8.7"), Ok("10.9.8.7".to_owned()));
        assert_eq!(sys.resolve("example.com"), Err("EAI_NONAME".to_owned()));
        assert_eq!(sys.call("resolve", args!["10.0.0.2", 10]), Err("EAI_ADDRFAMILY".to_owned()));
        assert_eq!(sys.ok("revresolve", args!["10.0.0.2"]), Py::from("host2"));
        assert_eq!(sys.ok("gethostname", args![]), Py::from("host1"));
        let ifaces = sys.ok("ifaces", args![]);
        assert_eq!(ifaces.at(1), &Py::Tuple(vec![Py::Int(2), Py::from("eth0")]));
        sys.print("ok");
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "ok\n");
}

#[test]
fn a_slow_link_sends_one_frame_after_the_other_and_drops_what_does_not_fit() {
    let slow = LinkParams { rate_bits_per_s: Some(1_000_000), queue: 3, ..delay(1) };
    let mut lan = Lan::new(slow);
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("10.0.0.2", 9)]);
        loop {
            let got = sys.recv(s, 2000).unwrap();
            sys.print(&got[0].to_string());
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, b"x", 0, ("10.0.0.2", 9), FOREVER]);
        sys.sleep(Duration::from_millis(50)).unwrap();
        for i in 0..8_u8 {
            sys.ok("sendto", args![s, &[i; 958], 0, ("10.0.0.2", 9), FOREVER]);
        }
        sys.sleep(Duration::from_millis(500)).unwrap();
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // One is being sent and three wait; the other four were too many.
    assert_eq!(stage.console(0), "120\n0\n1\n2\n3\n");
    let lost =
        stage.kinds().filter(|k| matches!(k, RecordKind::FrameLost { reason: LossReason::QueueFull, .. }));
    assert_eq!(lost.count(), 4);
    // 14 + 20 + 8 + 958 octets at 1 Mbit/s: 8 ms each.
    let sent: Vec<u64> = stage
        .records
        .iter()
        .filter_map(|r| match &r.kind {
            RecordKind::FrameSent { from, bytes, arrives, .. }
                if from.0 == 1 && bytes.len() == 1000 && *arrives > r.at =>
            {
                Some(r.at.as_nanos())
            }
            _ => None,
        })
        .collect();
    let gaps: Vec<u64> = sent.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(gaps, [8_000_000; 3]);
}

#[test]
fn links_lose_double_and_spoil_frames() {
    use socketlab_netsim::Chance;
    let third = Chance::per_million(333_333);
    let count = |link: LinkParams| {
        let mut lan = Lan::new(link);
        let (a, b) = (lan.host(), lan.host());
        lan.server(b, |sys| {
            let s = sys.socket(UDP);
            sys.ok("bind", args![s, ("10.0.0.2", 9)]);
            loop {
                let got = sys.recv(s, 2000).unwrap();
                sys.print(core::str::from_utf8(&got).unwrap());
            }
        });
        lan.program(a, 1, |sys| {
            let s = sys.socket(UDP);
            for i in 0..100 {
                let _ = sys.call("sendto", args![s, format!("{i}").as_bytes(), 0, ("10.0.0.2", 9), FOREVER]);
                sys.sleep(Duration::from_millis(100)).unwrap();
            }
        });
        let mut stage = lan.stage();
        assert_eq!(stage.run(), Rest::Finished);
        let lost = stage.kinds().filter(|k| matches!(k, RecordKind::FrameLost { .. })).count();
        let spoilt = stage
            .kinds()
            .filter(|k| {
                matches!(k, RecordKind::Dropped { reason: socketlab_stack::DropReason::BadChecksum, .. })
            })
            .count();
        (stage.console(0).lines().count(), lost, spoilt)
    };
    assert_eq!(count(delay(1)), (100, 0, 0));
    let (arrived, lost, _) = count(LinkParams { loss: third, ..delay(1) });
    assert!((20..70).contains(&arrived) && lost > 20, "{arrived} {lost}");
    let (arrived, lost, _) = count(LinkParams { duplicate: third, ..delay(1) });
    assert!(arrived > 130 && lost == 0, "{arrived}");
    let (arrived, _, spoilt) = count(LinkParams { corrupt: third, ..delay(1) });
    assert!(arrived < 90 && spoilt > 10, "{arrived} {spoilt}");
}

#[test]
fn held_back_frames_are_overtaken() {
    let link = LinkParams { reorder: socketlab_netsim::Chance::per_million(200_000), ..delay(1) };
    let mut lan = Lan::new(link);
    let (a, b) = (lan.host(), lan.host());
    lan.server(b, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("10.0.0.2", 9)]);
        loop {
            let got = sys.recv(s, 2000).unwrap();
            sys.print(&got[0].to_string());
        }
    });
    lan.program(a, 1, |sys| {
        let s = sys.socket(UDP);
        for i in 0..50_u8 {
            sys.ok("sendto", args![s, &[i; 1], 0, ("10.0.0.2", 9), FOREVER]);
        }
        sys.sleep(Duration::from_millis(500)).unwrap();
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    let got: Vec<u8> = stage.console(0).lines().map(|l| l.parse().unwrap()).collect();
    assert!(!got.is_sorted(), "{got:?}");
}

#[test]
fn hostile_messages_are_errors_with_a_place() {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    lan.program(host, 0, |_| ());
    let mut world = lan.stage().world;
    world.start();
    world.step();
    let pid = socketlab_stack::Pid(1);
    let check = |world: &mut socketlab_netsim::World, bytes: &[u8], expected: &str| {
        let error = world.handle_message(pid, bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("message of a program, octet {expected}"));
    };
    let m = |op: &str, args: Vec<Py>| message(1, 0, op, "", args);
    check(&mut world, b"", "0: ends 4 octets too early");
    check(&mut world, &[1, 0, 0, 0, 4], "5: flags 0x04 have unknown bits");
    check(&mut world, &[1, 0, 0, 0, 0, b'i', 0, 0, 0, 0], "5: expected a tuple, found type 'i'");
    check(
        &mut world,
        &[1, 0, 0, 0, 0, b'(', 255, 255, 255, 255],
        "10: 4294967295 elements cannot be in what is left",
    );
    check(&mut world, &m("fly", vec![]), "5: there is no call \"fly\"");
    check(&mut world, &m("recv", args![3, -1, 0, 0]), "29: recv: argument 2 must be a size, not -1");
    check(
        &mut world,
        &m("bind", args![3, ("nowhere", 80)]),
        "29: bind: argument 2 must be an address, not ('nowhere', 80)",
    );
    check(
        &mut world,
        &m("bind", args![3, ("10.0.0.1", 70000)]),
        "29: bind: argument 2 must be an address, not ('10.0.0.1', 70000)",
    );
    check(&mut world, &m("close", args![]), "5: close: argument 1 is missing");
    check(&mut world, &m("close", args![3, 4]), "30: close: 2 arguments where 1 are known");
    check(&mut world, &m("sleep", args![-5]), "25: sleep: argument 1 must be not negative, not -5");
    let mut deep = vec![1, 0, 0, 0, 0, b'(', 3, 0, 0, 0];
    deep.extend([b'u', 4, 0, 0, 0, b'p', b'o', b'l', b'l', b'u', 0, 0, 0, 0]);
    for _ in 0..100 {
        deep.extend([b'(', 1, 0, 0, 0]);
    }
    deep.push(b'N');
    check(&mut world, &deep, "64: nested too deep");

    // Every beginning and every changed octet of a good message: an error or a message, never a panic.
    let good = m("sendto", args![3, b"hello", 0, ("10.0.0.2", 9), FOREVER]);
    for n in 0..good.len() {
        assert!(world.clone().handle_message(pid, &good[..n]).is_err());
        for octet in 0..=255 {
            let mut changed = good.clone();
            changed[n] = octet;
            let _ = world.clone().handle_message(pid, &changed);
        }
    }
    world.handle_message(pid, &m("now", vec![])).unwrap();
    let again = world.handle_message(pid, &m("now", vec![])).unwrap_err();
    assert_eq!(again.to_string(), "message of a program, octet 0: it is not this process's turn");
}
