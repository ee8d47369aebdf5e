//! Raw and ping sockets, ICMP errors at datagram sockets, the pace of errors, ageing of ARP entries, path MTU.

use std::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet};
use socketlab_stack::*;

use crate::harness::*;

const MSG_ERRQUEUE: i32 = 0x2000;

/// An ICMP message with its checksum.
fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    let words =
        message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    message
}

/// A packet of this protocol from `source` to 10.0.0.1, in a frame.
fn packet(source: &str, protocol: u8, payload: &[u8]) -> Bytes {
    let mut frame = mac(0).0.to_vec();
    frame.extend(mac(1).0);
    frame.extend([8, 0]);
    frame.extend([0; 20]);
    frame.extend(payload);
    let mut header = Ipv4Packet::new_unchecked(&mut frame[14..]);
    header.set_version(4);
    header.set_header_len(20);
    header.set_total_len(20 + payload.len() as u16);
    header.set_hop_limit(61);
    header.set_next_header(protocol.into());
    header.set_src_addr(source.parse().unwrap());
    header.set_dst_addr("10.0.0.1".parse().unwrap());
    header.fill_checksum();
    frame.into()
}

fn give(net: &mut Net, frame: Bytes) {
    let now = net.now;
    net.hosts[0].handle_frame(now, IfaceId(1), frame);
    net.drain(0);
}

/// ARP messages since frame `from`: by whom, request (1) or reply (2), and whether to everybody.
fn arp(net: &Net, from: usize) -> Vec<(usize, u8, bool)> {
    let frames = net.log[from..].iter().filter(|(_, _, frame)| frame[12..14] == [8, 6]);
    frames.map(|(_, host, frame)| (*host, frame[21], frame[..6] == [0xff; 6])).collect()
}

#[test]
fn a_raw_socket_gets_whole_packets_and_a_filter_keeps_some_away() {
    let mut net = Net::new();
    let raw = net.open(0, AF_INET, RAW, 1);
    net.send_to(0, raw, &icmp(8, 0, &[1, 2, 0, 1, b'h', b'i']), "10.0.0.2:0").unwrap();
    let reply = bytes(net.recv(0, raw, 100));
    let header = Ipv4Packet::new_checked(reply.as_ref()).unwrap();
    assert_eq!(
        (header.hop_limit(), header.payload()),
        (64, icmp(0, 0, &[1, 2, 0, 1, b'h', b'i']).as_slice())
    );
    // ICMP_FILTER: no echo replies.
    net.set_option(0, raw, 255, 1, &[1]);
    net.send_to(0, raw, &icmp(8, 0, &[1, 2, 0, 2]), "10.0.0.2:0").unwrap();
    net.run(ms(50));
    assert_eq!(errno(net.try_recv(0, raw, 100)), Errno::EAGAIN);
}

#[test]
fn a_raw_socket_speaks_any_protocol_and_then_nobody_complains() {
    let mut net = Net::new();
    let (a, b) = (net.open(0, AF_INET, RAW, 200), net.open(1, AF_INET, RAW, 200));
    net.send_to(0, a, b"odd", "10.0.0.2:0").unwrap();
    assert_eq!(bytes(net.recv(1, b, 100))[20..], b"odd"[..]);
    net.close(1, b);
    let listener = net.open(0, AF_INET, RAW, 1);
    net.send_to(0, a, b"odd", "10.0.0.2:0").unwrap();
    let answer = bytes(net.recv(0, listener, 100));
    assert_eq!(answer[20..22], [3, 2], "protocol unreachable");
}

#[test]
fn a_program_may_write_the_header_itself() {
    let mut net = Net::new();
    let raw = net.open(0, AF_INET, RAW, 255);
    let udp = net.socket(1, DGRAM);
    net.bind(1, udp, "0.0.0.0:9000").unwrap();
    let mut written = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 9, 17, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    written.extend([0x12, 0x34, 0x23, 0x28, 0, 10, 0, 0]);
    written.extend(b"ok");
    net.send_to(0, raw, &written, "10.0.0.2:0").unwrap();
    let Ok(Ret::Data(data, Some(SockAddr::Ip(from)), _)) = net.recv(1, udp, 10) else { panic!() };
    assert_eq!((data.as_ref(), from), (&b"ok"[..], "10.0.0.1:4660".parse().unwrap()));
}

#[test]
fn an_echo_socket_gets_only_its_own_replies() {
    let mut net = Net::new();
    let (one, two) = (net.open(0, AF_INET, DGRAM, 1), net.open(0, AF_INET, DGRAM, 1));
    net.bind(0, one, "0.0.0.0:77").unwrap();
    net.bind(0, two, "0.0.0.0:78").unwrap();
    net.send_to(0, one, &[8, 0, 0, 0, 9, 9, 0, 1, b'x'], "10.0.0.2:0").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.try_recv(0, one, 99))[4..], [0, 77, 0, 1, b'x'], "the kernel's number");
    assert_eq!(errno(net.try_recv(0, two, 99)), Errno::EAGAIN);
    assert_eq!(errno(net.send_to(0, one, &[0; 8], "10.0.0.2:0")), Errno::EINVAL, "no requests, no replies");
}

#[test]
fn an_error_that_quotes_eight_octets_finds_its_socket() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    net.set_option(0, fd, 0, 11, &[1]);
    net.send_to(0, fd, b"hello", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    // Its own answer is taken away; then a router speaks, with the shortest quote that RFC 792 allows.
    let message = |net: &mut Net| {
        net.now(0, Call::RecvMsg { fd, len: 99, room: 99, flags: MSG_ERRQUEUE, timeout: None })
    };
    message(&mut net).unwrap();
    let sent = net.log.iter().find(|(_, host, frame)| *host == 0 && frame[23] == 17).unwrap().2.clone();
    let quote = [&[0; 4][..], &sent[14..14 + 28]].concat();
    give(&mut net, packet("10.9.9.9", 1, &icmp(11, 0, &quote)));
    let Ok(Ret::Message { data, from: Some(about), flags, control }) = message(&mut net) else { panic!() };
    assert_eq!((data.len(), about, flags), (0, addr("10.0.0.2:9"), MSG_ERRQUEUE));
    let error = &control[0].data;
    assert_eq!((control[0].level, control[0].kind), (0, 11));
    assert_eq!(error[..8], [113, 0, 0, 0, 2, 11, 0, 0], "EHOSTUNREACH, by ICMP, time exceeded");
    assert_eq!(error[20..24], [10, 9, 9, 9], "the router");
    assert_eq!(errno(message(&mut net)), Errno::EAGAIN);
}

#[test]
fn a_path_mtu_is_learned_used_and_forgotten() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    net.connect(0, fd, at(1, 9)).unwrap();
    let big = |net: &mut Net| {
        let from = net.log.len();
        let sent = net.send_to(0, fd, &[5; 1000], "10.0.0.2:9");
        let frames: Vec<Bytes> = net.log[from..]
            .iter()
            .filter(|(_, host, frame)| *host == 0 && frame[12..14] == [8, 0])
            .map(|(_, _, frame)| frame.clone())
            .collect();
        (sent, frames)
    };
    net.rule(|_, frame| (frame[23] == 17).then(Vec::new));
    net.send_to(0, fd, b"", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    let (_, frames) = big(&mut net);
    assert_eq!((frames.len(), frames[0][20] & 0x40), (1, 0x40), "whole, with DF");
    let quote = [&[0, 0, 2, 88][..], &frames[0][14..14 + 28]].concat();
    give(&mut net, packet("10.0.0.2", 1, &icmp(3, 4, &quote)));
    assert_eq!(net.option(0, fd, 0, 14), 600, "IP_MTU");
    let (sent, _) = big(&mut net);
    assert_eq!(errno(sent), Errno::EMSGSIZE, "a connected socket hears of it once");
    let (sent, frames) = big(&mut net);
    assert_eq!((sent, frames.len()), (Ok(Ret::Len(1000)), 2));
    assert!(frames.iter().all(|frame| frame.len() <= 14 + 600 && frame[20] & 0x40 == 0));
    // IP_PMTUDISC_DO: the program cuts, not the host.
    net.set_option(0, fd, 0, 10, &[2]);
    assert_eq!(errno(big(&mut net).0), Errno::EMSGSIZE);
    net.run(Duration::from_secs(600));
    assert_eq!(big(&mut net).1.len(), 1);
}

#[test]
fn errors_are_sent_at_linuxs_pace() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    let refused = |net: &Net, from: usize| {
        net.log[from..].iter().filter(|(_, host, frame)| *host == 1 && frame[23] == 1).count()
    };
    for _ in 0..20 {
        net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    }
    net.run(ms(100));
    assert_eq!(refused(&net, 0), 6, "a burst of six");
    let from = net.log.len();
    for _ in 0..52 {
        net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
        net.run(ms(100));
    }
    assert_eq!(refused(&net, from), 5, "then one a second");
}

#[test]
fn an_arp_entry_ages_and_is_checked_when_it_is_used() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    let peer = net.socket(1, DGRAM);
    net.bind(1, peer, "0.0.0.0:9").unwrap();
    net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Reachable));
    assert_eq!(net.neighbour(1, ip(0)), Some(NeighbourState::Stale), "it only heard a question");
    net.run(Duration::from_secs(46));
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Stale));
    let from = net.log.len();
    net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Delay));
    net.run(ms(4_900));
    assert_eq!(arp(&net, from), []);
    net.run(ms(200));
    assert_eq!(arp(&net, from), [(0, 1, false), (1, 2, false)], "asked alone");
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Reachable));
    // It is gone: three questions to it, then the next packet asks everybody.
    net.run(Duration::from_secs(46));
    net.rule(|_, _| Some(vec![]));
    let from = net.log.len();
    net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    net.run(Duration::from_secs(9));
    assert_eq!(arp(&net, from), [(0, 1, false); 3]);
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Failed));
    net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    assert_eq!(arp(&net, from).last(), Some(&(0, 1, true)));
}

#[test]
fn a_connection_that_moves_proves_its_neighbour() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.run(Duration::from_secs(46));
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Stale));
    let from = net.log.len();
    net.send(0, client, b"x").unwrap();
    bytes(net.recv(1, server, 9));
    net.run(Duration::from_secs(6));
    assert_eq!(net.neighbour(0, ip(1)), Some(NeighbourState::Reachable));
    let asked = arp(&net, from).iter().any(|(host, kind, _)| (*host, *kind) == (0, 1));
    assert!(!asked, "the acknowledgment was proof enough");
}

#[test]
fn gratuitous_arp_changes_what_is_known_and_nothing_else() {
    let mut net = Net::new();
    let announce = |ip: [u8; 4], last: u8| {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, last]);
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([2, 0, 0, 0, 0, last]);
        frame.extend(ip);
        frame.extend([0; 6]);
        frame.extend(ip);
        Bytes::from(frame)
    };
    give(&mut net, announce([10, 0, 0, 2], 0x55));
    assert_eq!(net.neighbour(0, ip(1)), None, "not asked for");
    let fd = net.socket(0, DGRAM);
    net.send_to(0, fd, b"x", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    give(&mut net, announce([10, 0, 0, 2], 0x55));
    let entry = net.hosts[0].snapshot().neighbours.remove(0);
    assert_eq!((entry.mac, entry.state), (Some(MacAddr([2, 0, 0, 0, 0, 0x55])), NeighbourState::Stale));
}

#[test]
fn ancillary_data_tells_and_chooses() {
    let mut net = Net::new();
    let server = net.socket(1, DGRAM);
    net.bind(1, server, "0.0.0.0:9").unwrap();
    for option in [8, 12, 13] {
        net.set_option(1, server, 0, option, &[1]);
    }
    let client = net.socket(0, DGRAM);
    let control = vec![
        Control { level: 0, kind: 2, data: Bytes::copy_from_slice(&7_u32.to_le_bytes()) },
        Control { level: 0, kind: 1, data: Bytes::from_static(&[0x10]) },
    ];
    let (data, to) = (Bytes::from_static(b"x"), Some(addr("10.0.0.2:9")));
    net.now(0, Call::SendMsg { fd: client, data, flags: 0, addr: to, control, timeout: None }).unwrap();
    net.run(ms(50));
    let heard = net.now(1, Call::RecvMsg { fd: server, len: 9, room: 200, flags: 0, timeout: None });
    let Ok(Ret::Message { control, flags: 0, .. }) = heard else { panic!("{heard:?}") };
    let seen: Vec<(i32, &[u8])> = control.iter().map(|c| (c.kind, c.data.as_ref())).collect();
    let info: &[u8] = &[2, 0, 0, 0, 10, 0, 0, 2, 10, 0, 0, 2];
    assert_eq!(seen, [(8, info), (2, &[7, 0, 0, 0][..]), (1, &[0x10][..])]);
}

#[test]
fn frames_of_both_families_are_told_apart() {
    let mut net = Net::new();
    let raw = net.open(0, AF_INET6, RAW, 58);
    let request = icmp(128, 0, &[1, 2, 0, 1]);
    net.send_to(0, raw, &request, "[fd00::2]:0").unwrap();
    net.run(ms(50));
    let kinds: Vec<EthernetProtocol> =
        net.log.iter().map(|(_, _, f)| EthernetFrame::new_checked(f.as_ref()).unwrap().ethertype()).collect();
    assert!(kinds.iter().all(|kind| *kind == EthernetProtocol::Ipv6));
    // Solicitation and advertisement, then the echo: a raw ICMPv6 socket hears the advertisement, too.
    assert_eq!(bytes(net.try_recv(0, raw, 99))[0], 136);
    assert_eq!(bytes(net.try_recv(0, raw, 99))[..2], [129, 0]);
}
