//! TCP connections from their first to their last segment.

use std::time::Duration;

use socketlab_stack::*;

use crate::harness::*;

#[test]
fn handshake_data_both_ways_and_close() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    assert_eq!((net.state(0, client), net.state(1, server)), (TcpState::Established, TcpState::Established));
    assert_eq!(net.send(0, client, b"hello"), Ok(Ret::Len(5)));
    assert_eq!(bytes(net.recv(1, server, 100)), "hello");
    net.send(1, server, b"hej").unwrap();
    assert_eq!(bytes(net.recv(0, client, 100)), "hej");
    net.run(ms(100));
    net.close(0, client);
    net.run(ms(100));
    assert_eq!(net.state(1, server), TcpState::CloseWait);
    assert_eq!(bytes(net.recv(1, server, 100)), "");
    net.close(1, server);
    net.run(ms(100));
    assert_eq!(net.kernel_states(0), [TcpState::TimeWait]);
    assert_eq!(net.kernel_states(1), []);
    assert_eq!(
        net.segments(0),
        [
            "0 SYN",
            "1 SYN,ACK",
            "0 ACK",
            "0 PSH,ACK 5",
            "1 ACK",
            "1 PSH,ACK 3",
            "0 ACK",
            "0 FIN,ACK",
            "1 ACK",
            "1 FIN,ACK",
            "0 ACK",
        ]
    );
}

#[test]
fn a_syn_has_linux_options_and_window() {
    let mut net = Net::new();
    net.pair();
    let tcp = |index: usize| {
        let (_, _, frame) =
            net.log.iter().filter(|(_, host, f)| describe(*host, f).is_some()).nth(index).unwrap();
        frame.slice(34..)
    };
    let (syn, syn_ack, ack) = (tcp(0), tcp(1), tcp(2));
    // MSS 1460, SACK permitted, timestamps, NOP, window scale 7.
    assert_eq!(syn[20..28], [2, 4, 5, 180, 4, 2, 8, 10]);
    assert_eq!(syn[32..40], [0, 0, 0, 0, 1, 3, 3, 7]);
    assert_eq!(u16::from_be_bytes([syn[14], syn[15]]), 64_240);
    assert_eq!(syn_ack[20..28], [2, 4, 5, 180, 4, 2, 8, 10]);
    assert_eq!(u16::from_be_bytes([syn_ack[14], syn_ack[15]]), 65_160);
    assert_eq!(ack[20..24], [1, 1, 8, 10]);
    assert_eq!(u16::from_be_bytes([ack[14], ack[15]]), 502);
}

#[test]
fn time_wait_lasts_a_minute_and_then_nothing_is_left() {
    let mut net = Net::new();
    let (client, server, listener) = net.pair();
    net.close(1, server);
    net.run(ms(50));
    net.close(0, client);
    net.run(ms(50));
    assert_eq!(net.kernel_states(1), [TcpState::TimeWait]);
    net.close(1, listener);
    net.run(Duration::from_secs(59));
    assert_eq!(net.kernel_states(1), [TcpState::TimeWait]);
    net.run(Duration::from_secs(2));
    assert_eq!(net.kernel_states(1), []);
    net.run_dry(Duration::ZERO);
}

#[test]
fn half_close_lets_the_other_side_go_on() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"question").unwrap();
    net.shutdown(0, client, 1).unwrap();
    assert_eq!(bytes(net.recv(1, server, 100)), "question");
    assert_eq!(bytes(net.recv(1, server, 100)), "");
    // The ACK of the FIN waits 40 ms for an answer.
    net.run(ms(50));
    assert_eq!((net.state(0, client), net.state(1, server)), (TcpState::FinWait2, TcpState::CloseWait));
    net.send(1, server, b"answer").unwrap();
    assert_eq!(bytes(net.recv(0, client, 100)), "answer");
    assert_eq!(errno(net.send(0, client, b"more")), Errno::EPIPE);
    net.close(1, server);
    assert_eq!(bytes(net.recv(0, client, 100)), "");
}

#[test]
fn both_close_at_once() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.run(ms(50));
    let from = net.log.len();
    net.close(0, client);
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(net.kernel_states(0), [TcpState::TimeWait]);
    assert_eq!(net.kernel_states(1), [TcpState::TimeWait]);
    assert_eq!(net.segments(from), ["0 FIN,ACK", "1 FIN,ACK", "1 ACK", "0 ACK"]);
    let closing =
        net.events.iter().any(|(_, e)| matches!(e, HostEvent::TcpState { to: TcpState::Closing, .. }));
    assert!(closing);
}

#[test]
fn both_open_at_once() {
    let mut net = Net::new();
    let (a, b) = (net.socket(0, STREAM), net.socket(1, STREAM));
    net.bind(0, a, "10.0.0.1:1111").unwrap();
    net.bind(1, b, "10.0.0.2:2222").unwrap();
    let first = net.start(0, Call::Connect { fd: a, addr: addr("10.0.0.2:2222"), timeout: None });
    let second = net.start(1, Call::Connect { fd: b, addr: addr("10.0.0.1:1111"), timeout: None });
    assert_eq!((net.wait(first), net.wait(second)), (Ok(Ret::Unit), Ok(Ret::Unit)));
    assert_eq!(net.segments(0)[..4], ["1 SYN", "0 SYN", "0 SYN,ACK", "1 SYN,ACK"]);
    net.send(0, a, b"x").unwrap();
    assert_eq!(bytes(net.recv(1, b, 9)), "x");
}

#[test]
fn a_socket_can_connect_to_itself() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    net.bind(0, fd, "127.0.0.1:5000").unwrap();
    assert_eq!(net.connect(0, fd, "127.0.0.1:5000".parse().unwrap()), Ok(Ret::Unit));
    net.send(0, fd, b"echo").unwrap();
    assert_eq!(bytes(net.recv(0, fd, 9)), "echo");
}

#[test]
fn own_addresses_are_reached_over_lo_and_put_no_frame_on_the_link() {
    let mut net = Net::new();
    let listener = net.listener(0, 80, 5);
    for to in ["127.0.0.1:80", "10.0.0.1:80", "127.9.9.9:80", "0.0.0.0:80"] {
        let client = net.socket(0, STREAM);
        assert_eq!(net.connect(0, client, to.parse().unwrap()), Ok(Ret::Unit), "{to}");
        let server = net.accept(0, listener);
        net.send(0, client, b"near").unwrap();
        assert_eq!(bytes(net.recv(0, server, 9)), "near");
    }
    assert!(net.log.is_empty());
}

#[test]
fn a_closed_port_answers_with_a_reset() {
    let mut net = Net::new();
    let client = net.socket(0, STREAM);
    let answer = net.connect(0, client, at(1, 81));
    assert_eq!(answer, Err(Failure::Errno(Errno::ECONNREFUSED, Cause::RefusedByPeer { peer: at(1, 81) })));
    assert_eq!(net.segments(0), ["0 SYN", "1 RST,ACK"]);
    // The socket may try again.
    net.listener(1, 81, 5);
    assert_eq!(net.connect(0, client, at(1, 81)), Ok(Ret::Unit));
}

#[test]
fn unread_data_makes_close_a_reset() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"never read").unwrap();
    net.run(ms(50));
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(net.segments(0).last().unwrap(), "1 RST,ACK");
    let answer = net.recv(0, client, 10);
    assert_eq!(answer, Err(Failure::Errno(Errno::ECONNRESET, Cause::ResetByPeer { peer: at(1, 80) })));
    assert_eq!(bytes(net.recv(0, client, 10)), "", "once, then the end");
    assert_eq!(errno(net.send(0, client, b"x")), Errno::EPIPE);
    assert_eq!((net.kernel_states(0), net.kernel_states(1)), (vec![], vec![]));
}

#[test]
fn data_received_before_a_reset_can_still_be_read() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(1, server, b"last words").unwrap();
    net.set_option(1, server, SOL_SOCKET, 13, &[1, 0]);
    net.run(ms(50));
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(bytes(net.recv(0, client, 99)), "last words");
    assert_eq!(errno(net.recv(0, client, 99)), Errno::ECONNRESET);
}

#[test]
fn data_for_a_closed_program_is_reset() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.close(0, client);
    net.run(ms(50));
    assert_eq!(net.kernel_states(0), [TcpState::FinWait2]);
    net.send(1, server, b"too late").unwrap();
    net.run(ms(50));
    assert_eq!(net.segments(0).last().unwrap(), "0 RST");
    assert_eq!(net.kernel_states(0), []);
    assert_eq!(errno(net.send(1, server, b"more")), Errno::EPIPE);
}

#[test]
fn an_orphan_leaves_fin_wait_2_after_a_minute() {
    let mut net = Net::new();
    let (client, _server, _) = net.pair();
    net.close(0, client);
    net.run(Duration::from_secs(59));
    assert_eq!(net.kernel_states(0), [TcpState::FinWait2]);
    net.run(Duration::from_secs(2));
    assert_eq!(net.kernel_states(0), []);
}

#[test]
fn linger_zero_resets() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.set_option(1, server, SOL_SOCKET, 13, &[1, 0]);
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(errno(net.send(0, client, b"x")), Errno::ECONNRESET);
    assert_eq!(net.segments(0).last().unwrap(), "1 RST,ACK");
}

#[test]
fn a_full_accept_queue_drops_syns_in_silence() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 0);
    let mut results = Vec::new();
    for _ in 0..4 {
        let fd = net.socket(0, STREAM);
        let timeout = Some(Duration::from_secs(2));
        results.push(net.call(0, Call::Connect { fd, addr: addr("10.0.0.2:80"), timeout }));
    }
    assert_eq!(results[0], Ok(Ret::Unit));
    assert_eq!(results[1..], [Err(Failure::TimedOut), Err(Failure::TimedOut), Err(Failure::TimedOut)]);
    let dropped = HostEvent::Dropped { reason: DropReason::AcceptQueueFull };
    assert!(net.events.contains(&(1, dropped)));
    assert!(!net.segments(0).iter().any(|s| s.contains("RST")));
    // When there is room again, a repeated SYN gets in.
    net.accept(1, listener);
    net.run(Duration::from_secs(10));
    assert_eq!(net.socket_snapshot(1, listener).recv_queue, 1);
}

#[test]
fn a_backlog_holds_one_more_than_it_says() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 2);
    let clients: Vec<_> = (0..5).map(|_| net.socket(0, STREAM)).collect();
    let calls: Vec<_> = clients
        .iter()
        .map(|fd| net.start(0, Call::Connect { fd: *fd, addr: addr("10.0.0.2:80"), timeout: Some(ms(900)) }))
        .collect();
    let results: Vec<_> = calls.into_iter().map(|id| net.wait(id)).collect();
    net.run(ms(20));
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 5, "all SYNs came before the queue was full");
    // But only three got past the SYN queue, the others will when there is room.
    let snapshot = net.socket_snapshot(1, listener);
    assert_eq!((snapshot.recv_queue, snapshot.send_queue, snapshot.syn_queue), (3, 2, 2));
}

#[test]
fn closing_a_listener_resets_those_who_wait() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 5);
    let client = net.socket(0, STREAM);
    net.connect(0, client, at(1, 80)).unwrap();
    net.close(1, listener);
    net.run(ms(50));
    assert_eq!(errno(net.recv(0, client, 10)), Errno::ECONNRESET);
    assert_eq!(net.hosts[1].snapshot().sockets.len(), 0);
}

#[test]
fn a_syn_may_reopen_a_connection_in_time_wait() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 5);
    let connect = |net: &mut Net| {
        let client = net.socket(0, STREAM);
        net.set_option(0, client, SOL_SOCKET, SO_REUSEADDR, &[1]);
        net.bind(0, client, "10.0.0.1:4000").unwrap();
        net.connect(0, client, at(1, 80)).unwrap();
        (client, net.accept(1, listener))
    };
    let (client, server) = connect(&mut net);
    net.close(1, server);
    net.run(ms(50));
    net.close(0, client);
    net.run(ms(50));
    assert_eq!(net.kernel_states(1), [TcpState::TimeWait]);
    let (client, server) = connect(&mut net);
    net.send(0, client, b"again").unwrap();
    assert_eq!(bytes(net.recv(1, server, 10)), "again");
    assert_eq!(net.kernel_states(1), []);
}

/// Linux `tcp_twsk_unique`: who asked for the very port gets it at once, but only where timestamps tell old from new.
#[test]
fn a_client_in_time_wait_may_call_again_only_with_timestamps() {
    for (timestamps, wanted) in [("1", Ok(Ret::Unit)), ("0", Err(Errno::EADDRNOTAVAIL))] {
        let mut net = Net::new();
        assert!(net.hosts[0].set_sysctl("net.ipv4.tcp_timestamps", timestamps));
        let listener = net.listener(1, 80, 5);
        let call = |net: &mut Net| {
            let client = net.socket(0, STREAM);
            net.set_option(0, client, SOL_SOCKET, SO_REUSEADDR, &[1]);
            net.bind(0, client, "10.0.0.1:4000").unwrap();
            (client, net.connect(0, client, at(1, 80)))
        };
        let (client, _) = call(&mut net);
        let server = net.accept(1, listener);
        net.close(0, client);
        net.run(ms(50));
        net.close(1, server);
        net.run(ms(50));
        assert_eq!(net.kernel_states(0), [TcpState::TimeWait]);
        match wanted {
            Ok(ret) => assert_eq!(call(&mut net).1, Ok(ret)),
            Err(wanted) => assert_eq!(errno(call(&mut net).1), wanted),
        }
    }
}

#[test]
fn nagle_holds_back_a_second_small_segment() {
    for (nodelay, expected) in [(0, vec!["0 PSH,ACK 1", "0 PSH,ACK 2"]), (1, vec!["0 PSH,ACK 1"; 3])] {
        let mut net = Net::new();
        let (client, _server, _) = net.pair();
        net.set_option(0, client, 6, 1, &[nodelay]);
        let from = net.log.len();
        for _ in 0..3 {
            net.send(0, client, b"x").unwrap();
        }
        net.run(ms(100));
        let sent: Vec<_> = net.segments(from).into_iter().filter(|s| s.starts_with("0 PSH")).collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn an_answer_carries_the_ack_once_the_talk_goes_to_and_fro() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    for _ in 0..3 {
        net.send(0, client, b"ping").unwrap();
        net.recv(1, server, 9).unwrap();
        net.send(1, server, b"pong").unwrap();
        net.recv(0, client, 9).unwrap();
    }
    net.run(ms(30));
    let talk = ["0 PSH,ACK 4", "1 PSH,ACK 4", "0 PSH,ACK 4", "1 PSH,ACK 4"];
    let segments = net.segments(0);
    assert_eq!(segments[segments.len() - 4..], talk);
    net.run(ms(20));
    assert_eq!(net.segments(0).last().unwrap(), "0 ACK", "the delayed ACK, after 40 ms");
}

#[test]
fn a_full_window_stops_the_sender_and_probes_go_on() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    let data = vec![7; 1_000_000];
    let call = net.start(0, Call::Send { fd: client, data: data.clone().into(), flags: 0, timeout: None });
    net.run(Duration::from_secs(30));
    assert_eq!(net.answer(call), None, "the buffers of both sides are full");
    let snapshot = net.socket_snapshot(0, client).tcb.unwrap();
    assert_eq!(snapshot.snd_wnd, 0);
    let from = net.log.len();
    net.run(Duration::from_secs(30));
    let probes = net.segments(from);
    assert!(probes.len() >= 2 && probes.iter().all(|s| s == "0 ACK" || s == "1 ACK"), "{probes:?}");
    let mut got = Vec::new();
    while got.len() < data.len() {
        got.extend_from_slice(&bytes(net.recv(1, server, 65_536)));
    }
    assert_eq!(got, data);
    assert_eq!(net.wait(call), Ok(Ret::Len(1_000_000)));
}

#[test]
fn a_segment_for_nobody_is_reset_and_a_reset_is_not() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"x").unwrap();
    net.run(ms(50));
    let (_, _, data) =
        net.log.iter().rfind(|(_, h, f)| describe(*h, f).is_some_and(|s| s.contains("PSH"))).unwrap();
    let data = data.clone();
    net.set_option(1, server, SOL_SOCKET, 13, &[1, 0]);
    net.close(1, server);
    net.run(ms(50));
    let from = net.log.len();
    let now = net.now;
    net.hosts[1].handle_frame(now, IfaceId(1), data);
    net.drain(1);
    net.run(ms(50));
    assert_eq!(net.segments(from), ["1 RST"]);
}

#[test]
fn keepalive_finds_out_that_the_peer_is_gone() {
    let mut net = Net::new();
    let (client, _server, _) = net.pair();
    net.set_option(0, client, SOL_SOCKET, 9, &[1]);
    for (name, value) in [(4, 10), (5, 5), (6, 3)] {
        net.set_option(0, client, 6, name, &[value]);
    }
    net.run(Duration::from_secs(11));
    assert_eq!(net.segments(0)[3..], ["0 ACK", "1 ACK"], "a probe and its answer");
    net.rule(|_, _| Some(vec![]));
    let call = net.start(0, Call::Recv { fd: client, len: 1, flags: 0, timeout: None });
    let before = net.now;
    assert_eq!(errno(net.wait(call)), Errno::ETIMEDOUT);
    assert!(net.now - before < Duration::from_secs(30));
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let run = |seed: u64| {
        let config = |seed| HostConfig { seed, ..HostConfig::default() };
        let mut net = Net::with(vec![config(seed), config(seed + 1)]);
        let (client, server, _) = net.pair();
        net.send(0, client, &[1; 5000]).unwrap();
        net.recv(1, server, 9999).unwrap();
        net.close(0, client);
        net.run(ms(500));
        net.log
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_clone_goes_on_by_itself() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"before").unwrap();
    net.run(ms(50));
    let copy = net.hosts[1].clone();
    assert_eq!(bytes(net.recv(1, server, 99)), "before");
    net.hosts[1] = copy;
    assert_eq!(bytes(net.recv(1, server, 99)), "before");
}

#[test]
fn the_rfc_profile_takes_the_rfcs_numbers() {
    let config = |seed| HostConfig { seed, profile: Profile::Rfc, ..HostConfig::default() };
    let mut net = Net::with(vec![config(1), config(2)]);
    let (client, server, _) = net.pair();
    let tcb = net.socket_snapshot(0, client).tcb.unwrap();
    assert_eq!((tcb.cwnd, tcb.rto), (3 * 1448, Duration::from_secs(1)));
    net.close(0, client);
    net.run(ms(50));
    net.close(1, server);
    net.run(Duration::from_secs(239));
    assert_eq!(net.kernel_states(0), [TcpState::TimeWait]);
    net.run(Duration::from_secs(2));
    assert_eq!(net.kernel_states(0), []);
}
