//! What TCP does when frames are lost, late or come twice.

use std::time::Duration;

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

/// Loses the TCP segments whose numbers (of those host 0 sends with data, from 0) are listed, once each.
fn lose_data(net: &mut Net, lost: &'static [usize]) {
    let mut n = 0;
    net.rule(move |host, frame| {
        let is_data = host == 0 && describe(host, frame).is_some_and(|s| s.split(' ').count() == 3);
        if !is_data {
            return None;
        }
        n += 1;
        lost.contains(&(n - 1)).then(Vec::new)
    });
}

fn transfer(net: &mut Net, client: Fd, server: Fd, len: usize) -> Duration {
    let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let begin = net.now;
    let call = net.start(0, Call::Send { fd: client, data: data.clone().into(), flags: 0, timeout: None });
    let mut got = Vec::new();
    while got.len() < len {
        got.extend_from_slice(&bytes(net.recv(1, server, 1 << 20)));
    }
    assert_eq!(got, data);
    assert_eq!(net.wait(call), Ok(Ret::Len(len)));
    net.now - begin
}

fn retransmissions(net: &Net) -> usize {
    net.events.iter().filter(|(_, e)| matches!(e, HostEvent::Retransmitted { .. })).count()
}

fn time_outs(net: &Net) -> usize {
    let is = |e: &HostEvent| matches!(e, HostEvent::TimerFired { timer: TimerKind::Retransmission, .. });
    net.events.iter().filter(|(_, e)| is(e)).count()
}

#[test]
fn a_lost_syn_is_sent_again_after_a_second_and_another() {
    let mut net = Net::new();
    let mut n = 0;
    net.rule(move |host, frame| {
        n += usize::from(describe(host, frame).is_some());
        (n <= 2 && describe(host, frame).is_some()).then(Vec::new)
    });
    net.listener(1, 80, 5);
    let client = net.socket(0, STREAM);
    assert_eq!(net.connect(0, client, at(1, 80)), Ok(Ret::Unit));
    assert_eq!(net.segments(0)[..4], ["0 SYN", "0 SYN", "0 SYN", "1 SYN,ACK"]);
    assert_eq!(net.now.as_nanos() / 1_000_000_000, 2);
}

#[test]
fn connect_gives_up_after_six_doublings() {
    let mut net = Net::new();
    net.rule(|host, frame| describe(host, frame).is_some().then(Vec::new));
    let client = net.socket(0, STREAM);
    let answer = net.connect(0, client, at(1, 80));
    let cause = Cause::NoAnswer { peer: at(1, 80), transmissions: 11 };
    assert_eq!(answer, Err(Failure::Errno(Errno::ETIMEDOUT, cause)));
    // Linux 6.5 and later: after 1, 2, 3, 4 and 5 s, then doubling.
    assert_eq!(net.segments(0).len(), 11);
    assert_eq!(net.now.as_nanos() / 1_000_000_000, 131);
}

#[test]
fn a_lost_last_segment_is_asked_for_by_a_probe() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    lose_data(&mut net, &[0]);
    let took = transfer(&mut net, client, server, 100);
    assert_eq!((retransmissions(&net), time_outs(&net)), (1, 0));
    let probe = |e: &HostEvent| matches!(e, HostEvent::TimerFired { timer: TimerKind::LossProbe, .. });
    assert_eq!(net.events.iter().filter(|(_, e)| probe(e)).count(), 1);
    // The RTO, as the peer might delay its ACK of a single segment; not the doubled one.
    assert!(took > ms(200) && took < ms(240), "{took:?}");
}

#[test]
fn without_probes_a_lost_last_segment_waits_for_the_timer() {
    let mut net = Net::new();
    assert!(net.hosts[0].set_sysctl("net.ipv4.tcp_early_retrans", "0"));
    let (client, server, _) = net.pair();
    lose_data(&mut net, &[0]);
    let took = transfer(&mut net, client, server, 100);
    assert_eq!((retransmissions(&net), time_outs(&net)), (1, 1));
    // 10 ms of round trip, and Linux's 200 ms.
    assert!(took > ms(200) && took < ms(240), "{took:?}");
}

#[test]
fn three_duplicate_acks_repair_a_loss_without_the_timer() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    lose_data(&mut net, &[2]);
    let took = transfer(&mut net, client, server, 14_480);
    assert_eq!((retransmissions(&net), time_outs(&net)), (1, 0));
    assert!(took < ms(40), "{took:?}");
    let tcb = net.socket_snapshot(0, client).tcb.unwrap();
    assert_eq!(tcb.congestion_control, "cubic");
    assert_eq!(tcb.ssthresh, 8 * 1448, "seven tenths of a window of twelve");
}

#[test]
fn sack_repairs_several_losses_in_one_round_trip() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    transfer(&mut net, client, server, 100_000);
    net.run(ms(500));
    lose_data(&mut net, &[3, 5, 8]);
    let took = transfer(&mut net, client, server, 40_000);
    assert_eq!((retransmissions(&net), time_outs(&net)), (3, 0));
    assert!(took < ms(60), "{took:?}");
}

#[test]
fn without_sack_newreno_repairs_one_loss_a_round_trip() {
    let mut net = Net::new();
    // Strip SACK-permitted (kind 4) from every SYN; NOPs take its place.
    net.rule(|_, _| None);
    let listener = net.listener(1, 80, 5);
    let client = net.socket(0, STREAM);
    let id = net.start(0, Call::Connect { fd: client, addr: addr("10.0.0.2:80"), timeout: None });
    // ARP first.
    net.run(ms(12));
    let (_, _, syn) = net.log.last().unwrap().clone();
    assert_eq!(describe(0, &syn).unwrap(), "0 SYN");
    let mut stripped = syn.to_vec();
    stripped[58..60].copy_from_slice(&[1, 1]);
    {
        let mut ip = smoltcp::wire::Ipv4Packet::new_unchecked(&mut stripped[14..]);
        let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
        smoltcp::wire::TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&from, &to);
    }
    net.replace_in_flight(stripped.into());
    assert_eq!(net.wait(id), Ok(Ret::Unit));
    let server = net.accept(1, listener);
    assert!(!net.socket_snapshot(0, client).tcb.unwrap().sack_permitted);
    transfer(&mut net, client, server, 100_000);
    net.run(ms(500));
    lose_data(&mut net, &[3, 5, 8]);
    let took = transfer(&mut net, client, server, 40_000);
    assert_eq!((retransmissions(&net), time_outs(&net)), (3, 0));
    assert!(took < ms(90), "{took:?}");
}

#[test]
fn a_lost_answer_to_fin_is_repaired() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.run(ms(50));
    let mut n = 0;
    net.rule(move |host, frame| {
        let fin = describe(host, frame).is_some_and(|s| s.contains("FIN"));
        n += usize::from(fin);
        (fin && n <= 2).then(Vec::new)
    });
    net.close(0, client);
    net.close(1, server);
    net.run(Duration::from_secs(300));
    assert_eq!((net.kernel_states(0), net.kernel_states(1)), (vec![], vec![]));
}

#[test]
fn data_is_given_up_after_fifteen_repetitions() {
    let mut net = Net::new();
    let (client, _server, _) = net.pair();
    net.run(ms(50));
    // The neighbour still answers ARP: otherwise the answer would be EHOSTUNREACH.
    net.rule(|_, frame| describe(0, frame).map(|_| vec![]));
    net.send(0, client, b"x").unwrap();
    let answer = net.recv(0, client, 1);
    let cause = Cause::NoAnswer { peer: at(1, 80), transmissions: 16 };
    assert_eq!(answer, Err(Failure::Errno(Errno::ETIMEDOUT, cause)));
}

#[test]
fn out_of_order_segments_are_reported_by_sack() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.run(ms(50));
    let mut n = 0;
    net.rule(move |host, frame| {
        let is_data = host == 0 && describe(host, frame).is_some_and(|s| s.split(' ').count() == 3);
        n += usize::from(is_data);
        (is_data && n == 1).then(|| vec![ms(20)])
    });
    let data = Bytes::from(vec![1; 3 * 1448]);
    net.start(0, Call::Send { fd: client, data, flags: 0, timeout: None });
    net.run(ms(12));
    let tcb = net.socket_snapshot(1, server).tcb.unwrap();
    assert_eq!(tcb.out_of_order, [(tcb.rcv_nxt.wrapping_add(1448), tcb.rcv_nxt.wrapping_add(3 * 1448))]);
    let sender = net.socket_snapshot(0, client).tcb.unwrap();
    assert_eq!(sender.sacked, tcb.out_of_order);
    net.run(ms(100));
    assert_eq!(bytes(net.recv(1, server, 9999)).len(), 3 * 1448);
    assert_eq!(time_outs(&net), 0);
}

#[test]
fn a_pause_shrinks_the_congestion_window_to_its_first_size() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    transfer(&mut net, client, server, 200_000);
    net.run(ms(100));
    let cwnd = |net: &Net| net.socket_snapshot(0, client).tcb.unwrap().cwnd;
    assert!(cwnd(&net) > 40 * 1448, "{}", cwnd(&net));
    net.run(Duration::from_secs(10));
    net.send(0, client, b"x").unwrap();
    assert_eq!(cwnd(&net), 10 * 1448);
}

#[test]
fn slow_start_doubles_the_window_each_round_trip() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    let mss = net.socket_snapshot(0, client).tcb.unwrap().snd_mss;
    assert_eq!(net.socket_snapshot(0, client).tcb.unwrap().cwnd, 10 * mss);
    let call =
        net.start(0, Call::Send { fd: client, data: vec![0; 60 * 1448].into(), flags: 0, timeout: None });
    let reader = net.start(1, Call::Recv { fd: server, len: 60 * 1448, flags: 0x100, timeout: None });
    net.run(ms(11));
    let cwnd = net.socket_snapshot(0, client).tcb.unwrap().cwnd;
    assert_eq!(cwnd, 20 * mss);
    net.wait(call).unwrap();
    net.wait(reader).unwrap();
}
