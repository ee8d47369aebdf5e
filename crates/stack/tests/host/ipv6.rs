//! IPv6: neighbour discovery, extension headers, fragments, router advertisements, TCP over it, dual stack.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv6Packet};
use socketlab_stack::*;

use crate::harness::*;

const ICMPV6: u8 = 58;

/// The Internet checksum with the pseudo header of RFC 8200 8.1.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, data: &[u8]) -> u16 {
    let words = source.segments().into_iter().chain(destination.segments()).map(u64::from);
    let mut sum = words.sum::<u64>() + data.len() as u64 + u64::from(protocol);
    for pair in data.chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A packet whose payload begins with a header of number `next`.
fn packet(source: &str, destination: &str, hops: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination): (Ipv6Addr, Ipv6Addr) = (source.parse().unwrap(), destination.parse().unwrap());
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, hops]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend(payload);
    bytes
}

fn frame(to: MacAddr, packet: &[u8]) -> Bytes {
    let mut frame = to.0.to_vec();
    frame.extend(mac(1).0);
    frame.extend([0x86, 0xdd]);
    frame.extend(packet);
    frame.into()
}

fn icmp(source: &str, destination: &str, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(body);
    let sum = checksum(source.parse().unwrap(), destination.parse().unwrap(), ICMPV6, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn udp(source: &str, destination: &str, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut datagram = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    datagram.extend((8 + data.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    let sum = checksum(source.parse().unwrap(), destination.parse().unwrap(), 17, &datagram);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// What host 0 put on the link since frame `from` of the log, as `135 fd00::1>ff02::1:ff00:2` and so on: ICMPv6 type, or
/// the next header as `nh44`.
fn said(net: &Net, by: usize, from: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (_, host, frame) in &net.log[from..] {
        let ethernet = EthernetFrame::new_checked(frame.as_ref()).unwrap();
        if *host != by || ethernet.ethertype() != EthernetProtocol::Ipv6 {
            continue;
        }
        let ip = Ipv6Packet::new_checked(ethernet.payload()).unwrap();
        let next = u8::from(ip.next_header());
        let what = if next == ICMPV6 {
            let sum = checksum(ip.src_addr(), ip.dst_addr(), ICMPV6, ip.payload());
            assert_eq!(sum, 0, "checksum");
            ip.payload()[0].to_string()
        } else {
            format!("nh{next}")
        };
        found.push(format!("{what} {}>{}", ip.src_addr(), ip.dst_addr()));
    }
    found
}

fn give(net: &mut Net, host: usize, frame: Bytes) {
    let now = net.now;
    net.hosts[host].handle_frame(now, IfaceId(1), frame);
    net.drain(host);
}

fn at6(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(ip6(host), port)
}

#[test]
fn a_neighbour_is_asked_for_in_its_group_and_then_checked_alone() {
    let mut net = Net::new();
    let fd = net.open(0, AF_INET6, DGRAM, 0);
    net.bind(0, fd, "[::]:6000").unwrap();
    net.send_to(0, fd, b"x", "[fd00::2]:9").unwrap();
    assert_eq!(net.neighbour(0, ip6(1)), Some(NeighbourState::Incomplete));
    net.run(ms(50));
    assert_eq!(said(&net, 0, 0), ["135 fd00::1>ff02::1:ff00:2", "nh17 fd00::1>fd00::2"]);
    assert_eq!(said(&net, 1, 0), ["136 fd00::2>fd00::1", "1 fd00::2>fd00::1"]);
    assert_eq!(net.neighbour(0, ip6(1)), Some(NeighbourState::Reachable));
    // Who was asked learns who asked, but only an answer proves that the way back works. It sent an ICMP error back.
    assert_eq!(net.neighbour(1, ip6(0)), Some(NeighbourState::Delay));
    let from = net.log.len();
    net.run(ms(5_100));
    assert_eq!(said(&net, 1, from), ["135 fd00::2>fd00::1"], "asked alone, five seconds later");
    assert_eq!(net.neighbour(1, ip6(0)), Some(NeighbourState::Reachable));
    net.run(Duration::from_secs(46));
    assert_eq!(net.neighbour(1, ip6(0)), Some(NeighbourState::Stale));
}

#[test]
fn who_never_answers_is_unreachable_after_three_questions() {
    let mut net = Net::new();
    let fd = net.open(0, AF_INET6, STREAM, 0);
    let began = net.now;
    let answer = net.connect(0, fd, at6(7, 80));
    let cause = Cause::NoNeighbour { next_hop: ip6(7) };
    assert_eq!(answer, Err(Failure::Errno(Errno::EHOSTUNREACH, cause)));
    assert_eq!(net.now - began, Duration::from_secs(3));
    assert_eq!(said(&net, 0, 0), ["135 fd00::1>ff02::1:ff00:8"; 3]);
    assert_eq!(net.neighbour(0, ip6(7)), Some(NeighbourState::Failed));
}

#[test]
fn a_neighbour_that_moved_is_believed_only_if_it_says_so() {
    let mut net = Net::new();
    let fd = net.open(0, AF_INET6, DGRAM, 0);
    net.send_to(0, fd, b"x", "[fd00::2]:9").unwrap();
    net.run(ms(50));
    let advertise = |flags: u8| {
        let mut body = vec![flags, 0, 0, 0];
        body.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
        body.extend([2, 1, 2, 0, 0, 0, 0, 0x77]);
        let message = icmp("fd00::2", "ff02::1", 136, 0, &body);
        frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), &packet("fd00::2", "ff02::1", 255, ICMPV6, &message))
    };
    let table = |net: &Net| {
        let entry = net.hosts[0].snapshot_at(net.now).neighbours.remove(0);
        (entry.mac, entry.state)
    };
    // Without "override" it only makes the old address doubtful (RFC 4861 7.2.5).
    give(&mut net, 0, advertise(0));
    assert_eq!(table(&net), (Some(mac(1)), NeighbourState::Stale));
    give(&mut net, 0, advertise(0x20));
    assert_eq!(table(&net), (Some(MacAddr([2, 0, 0, 0, 0, 0x77])), NeighbourState::Stale));
    // From another link it could only be forged.
    let mut body = vec![0x20, 0, 0, 0];
    body.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
    body.extend([2, 1, 2, 0, 0, 0, 0, 0x99]);
    let message = icmp("fd00::2", "ff02::1", 136, 0, &body);
    give(&mut net, 0, frame(mac(0), &packet("fd00::2", "ff02::1", 254, ICMPV6, &message)));
    assert_eq!(table(&net).0, Some(MacAddr([2, 0, 0, 0, 0, 0x77])));
}

#[test]
fn tcp_has_segments_of_1440_octets_and_shrinks_when_told() {
    let mut net = Net::new();
    let listener = net.open(1, AF_INET6, STREAM, 0);
    net.bind(1, listener, "[::]:80").unwrap();
    net.now(1, Call::Listen { fd: listener, backlog: 5 }).unwrap();
    let client = net.open(0, AF_INET6, STREAM, 0);
    net.connect(0, client, at6(1, 80)).unwrap();
    let server = net.accept(1, listener);
    let mss = |net: &Net| net.socket_snapshot(0, client).tcb.unwrap().snd_mss;
    assert_eq!(mss(&net), 1440 - 12, "less the timestamps");
    // A router says that 1,280 octets fit.
    net.rule(|_, _| Some(vec![]));
    let from = net.log.len();
    net.send(0, client, &[7; 3000]).unwrap();
    let too_long = net.log[from].2.slice(14..);
    assert_eq!(too_long.len(), 1500);
    let body = [&1280_u32.to_be_bytes()[..], &too_long[..1200]].concat();
    let message = icmp("fd00::2", "fd00::1", 2, 0, &body);
    net.rule(|_, _| None);
    give(&mut net, 0, frame(mac(0), &packet("fd00::2", "fd00::1", 64, ICMPV6, &message)));
    assert_eq!(mss(&net), 1220 - 12);
    let mut got = 0;
    while got < 3000 {
        got += bytes(net.recv(1, server, 9999)).len();
    }
    assert!(net.log[from + 3..].iter().all(|(_, _, frame)| frame.len() <= 14 + 1280));
    // What one connection learned, others know.
    let other = net.open(0, AF_INET6, DGRAM, 0);
    net.connect(0, other, at6(1, 9)).unwrap();
    assert_eq!(net.option(0, other, 41, 24), 1280);
    net.run(Duration::from_secs(600));
    net.send_to(0, other, b"", "[fd00::2]:9").unwrap();
    assert_eq!(net.option(0, other, 41, 24), 1500, "forgotten after ten minutes");
}

#[test]
fn a_listener_for_both_families_hears_ipv4_unless_it_is_told_not_to() {
    let mut net = Net::new();
    let listener = net.open(1, AF_INET6, STREAM, 0);
    net.bind(1, listener, "[::]:80").unwrap();
    net.now(1, Call::Listen { fd: listener, backlog: 5 }).unwrap();
    let client = net.socket(0, STREAM);
    net.connect(0, client, at(1, 80)).unwrap();
    let Ok(Ret::Accepted(server, SockAddr::Ip(peer))) =
        net.call(1, Call::Accept { fd: listener, timeout: None })
    else {
        panic!()
    };
    assert_eq!(peer.ip(), "::ffff:10.0.0.1".parse::<IpAddr>().unwrap());
    let Ok(Ret::Addr(SockAddr::Ip(own))) = net.now(1, Call::GetSockName { fd: server }) else { panic!() };
    assert_eq!(own, "[::ffff:10.0.0.2]:80".parse().unwrap());
    let only = net.open(1, AF_INET6, STREAM, 0);
    net.set_option(1, only, 41, 26, &[1]);
    net.bind(1, only, "[::]:81").unwrap();
    net.now(1, Call::Listen { fd: only, backlog: 5 }).unwrap();
    let other = net.socket(0, STREAM);
    assert_eq!(errno(net.connect(0, other, at(1, 81))), Errno::ECONNREFUSED);
}

#[test]
fn fragments_are_made_and_put_together() {
    let mut net = Net::new();
    let server = net.open(1, AF_INET6, DGRAM, 0);
    net.bind(1, server, "[::]:7").unwrap();
    let client = net.open(0, AF_INET6, DGRAM, 0);
    let data: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
    net.send_to(0, client, &data, "[fd00::2]:7").unwrap();
    assert_eq!(bytes(net.recv(1, server, 9999)), data);
    let pieces = said(&net, 0, 0).iter().filter(|what| what.starts_with("nh44")).count();
    assert_eq!(pieces, 3);
    // Overlapping ones are all thrown away (RFC 5722).
    let whole = udp("fd00::2", "fd00::1", (5, 6), &[9; 24]);
    let reader = net.open(0, AF_INET6, DGRAM, 0);
    net.bind(0, reader, "[::]:6").unwrap();
    let piece = |offset: u16, more: bool, ident: u8| {
        let end = if more { usize::from(offset) + 16 } else { whole.len() };
        let mut bytes = vec![17, 0];
        bytes.extend((offset | u16::from(more)).to_be_bytes());
        bytes.extend([0, 0, 0, ident]);
        bytes.extend(&whole[usize::from(offset)..end]);
        frame(mac(0), &packet("fd00::2", "fd00::1", 64, 44, &bytes))
    };
    for made in [piece(0, true, 1), piece(8, true, 1), piece(16, false, 1)] {
        give(&mut net, 0, made);
    }
    assert_eq!(errno(net.try_recv(0, reader, 99)), Errno::EAGAIN);
    // In any order, and a repeated one does no harm.
    for made in [piece(16, false, 2), piece(16, false, 2), piece(0, true, 2)] {
        give(&mut net, 0, made);
    }
    assert_eq!(bytes(net.try_recv(0, reader, 99)), [9; 24][..]);
    // Half of a packet: its sender hears of it after a minute (RFC 8200 4.5).
    let from = net.log.len();
    give(&mut net, 0, piece(0, true, 3));
    net.run(Duration::from_secs(61));
    let told: Vec<String> = said(&net, 0, from).into_iter().filter(|what| what.starts_with("3 ")).collect();
    assert_eq!(told, ["3 fd00::1>fd00::2"]);
}

#[test]
fn extension_headers_are_skipped_or_refused_as_they_ask() {
    let mut net = Net::new();
    let reader = net.open(0, AF_INET6, DGRAM, 0);
    net.bind(0, reader, "[::]:6").unwrap();
    // Let the two know each other.
    net.send_to(0, reader, b"", "[fd00::2]:9").unwrap();
    net.run(ms(6_000));
    let datagram = udp("fd00::2", "fd00::1", (5, 6), b"hi");
    let chain = |headers: &[&[u8]]| [headers.concat(), datagram.clone()].concat();
    let fine = [
        (0, chain(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 0, 0, 0, 0, 0, 0]])),
        // A routing header that is used up, then an unknown option that may be skipped.
        (43, chain(&[&[60, 0, 0, 0, 0, 0, 0, 0], &[17, 0, 0x1e, 4, 0, 0, 0, 0]])),
        (60, chain(&[&[17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])),
    ];
    for (next, payload) in fine {
        give(&mut net, 0, frame(mac(0), &packet("fd00::2", "fd00::1", 64, next, &payload)));
        assert_eq!(bytes(net.try_recv(0, reader, 99)), "hi", "{next}");
    }
    let refused = [
        // Code and pointer (RFC 4443 3.4): an unknown option, a routing header still in use, an unknown protocol.
        (60, chain(&[&[17, 0, 0x9e, 4, 0, 0, 0, 0]]), (2, 42)),
        (43, chain(&[&[17, 0, 0, 1, 0, 0, 0, 0]]), (0, 42)),
        (60, chain(&[&[200, 0, 1, 4, 0, 0, 0, 0]]), (1, 40)),
    ];
    for (next, payload, expected) in refused {
        let from = net.log.len();
        give(&mut net, 0, frame(mac(0), &packet("fd00::2", "fd00::1", 64, next, &payload)));
        let answer = &net.log[from].2[14 + 40..];
        assert_eq!((answer[0], answer[1], answer[7]), (4, expected.0, expected.1));
        assert_eq!(errno(net.try_recv(0, reader, 99)), Errno::EAGAIN);
    }
    // 01: discard, and say nothing.
    let from = net.log.len();
    let silent = chain(&[&[17, 0, 0x5e, 4, 0, 0, 0, 0]]);
    give(&mut net, 0, frame(mac(0), &packet("fd00::2", "fd00::1", 64, 60, &silent)));
    assert_eq!((net.log.len(), errno(net.try_recv(0, reader, 99))), (from, Errno::EAGAIN));
}

#[test]
fn a_router_advertisement_brings_an_address_and_a_way_out() {
    let mut net = Net::new();
    let mut body = vec![64, 0];
    body.extend(1800_u16.to_be_bytes());
    body.extend([0; 8]);
    body.extend([1, 1, 2, 0, 0, 0, 0, 2]);
    body.extend([3, 4, 64, 0xc0]);
    body.extend(3600_u32.to_be_bytes());
    body.extend(3600_u32.to_be_bytes());
    body.extend([0; 4]);
    body.extend("2001:db8:1::".parse::<Ipv6Addr>().unwrap().octets());
    let message = icmp("fe80::ff:fe00:2", "ff02::1", 134, 0, &body);
    let advertisement = packet("fe80::ff:fe00:2", "ff02::1", 255, ICMPV6, &message);
    give(&mut net, 0, frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), &advertisement));
    let made: IpAddr = "2001:db8:1::ff:fe00:1".parse().unwrap();
    let has = |net: &Net| {
        net.hosts[0].snapshot_at(net.now).ifaces[1].addresses.iter().any(|own| own.address == made)
    };
    assert!(has(&net));
    let fd = net.open(0, AF_INET6, DGRAM, 0);
    let from = net.log.len();
    net.send_to(0, fd, b"x", "[2001:db8:9::1]:9").unwrap();
    assert_eq!(said(&net, 0, from), ["nh17 2001:db8:1::ff:fe00:1>2001:db8:9::1"]);
    net.run(Duration::from_secs(1801));
    assert_eq!(errno(net.send_to(0, fd, b"x", "[2001:db8:9::1]:9")), Errno::ENETUNREACH);
    assert!(has(&net));
    net.run(Duration::from_secs(1800));
    assert!(!has(&net));
}

#[test]
fn a_host_is_silent_at_its_start_unless_it_announces_itself() {
    let mut net = Net::new();
    net.run(Duration::from_secs(60));
    assert!(net.log.is_empty());
    let config = HostConfig { announce: true, ..HostConfig::default() };
    let mut net = Net::with(vec![config.clone(), HostConfig { seed: 2, ..HostConfig::default() }]);
    net.run(ms(999));
    assert_eq!(net.log[0].2[12..14], [8, 6], "gratuitous ARP");
    let link = "fe80::ff:fe00:1";
    let own = [
        "nh0 ::>ff02::16".to_owned(),
        "135 ::>ff02::1:ff00:1".to_owned(),
        "nh0 ::>ff02::16".to_owned(),
        "135 ::>ff02::1:ff00:1".to_owned(),
    ];
    assert_eq!(said(&net, 0, 0), own);
    let fd = net.open(0, AF_INET6, DGRAM, 0);
    assert_eq!(errno(net.bind(0, fd, "[fd00::1]:5")), Errno::EADDRNOTAVAIL, "still tentative");
    net.run(ms(2));
    net.bind(0, fd, "[fd00::1]:5").unwrap();
    net.run(Duration::from_secs(20));
    let asked = said(&net, 0, 0).iter().filter(|what| **what == format!("133 {link}>ff02::2")).count();
    assert_eq!(asked, 3, "router solicitations");
    // Two hosts that claim one address: the later one never gets it.
    let mut net = Net::with(vec![config.clone()]);
    net.run(ms(10));
    let mut body = vec![0x20, 0, 0, 0];
    body.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    body.extend([2, 1, 2, 0, 0, 0, 0, 9]);
    let message = icmp("fd00::1", "ff02::1", 136, 0, &body);
    let claim = packet("fd00::1", "ff02::1", 255, ICMPV6, &message);
    give(&mut net, 0, frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), &claim));
    net.run(Duration::from_secs(5));
    let addresses: Vec<IpAddr> =
        net.hosts[0].snapshot().ifaces[1].addresses.iter().map(|cidr| cidr.address).collect();
    assert_eq!(addresses, [ip(0), link.parse().unwrap()]);
}

#[test]
fn a_link_local_address_needs_an_interface() {
    let mut net = Net::new();
    let server = net.open(1, AF_INET6, STREAM, 0);
    net.bind(1, server, "[::]:80").unwrap();
    net.now(1, Call::Listen { fd: server, backlog: 5 }).unwrap();
    let client = net.open(0, AF_INET6, STREAM, 0);
    let to: SocketAddr = "[fe80::ff:fe00:2]:80".parse().unwrap();
    assert_eq!(errno(net.connect(0, client, to)), Errno::EINVAL);
    let to: SocketAddr = "[fe80::ff:fe00:2%2]:80".parse().unwrap();
    net.connect(0, client, to).unwrap();
    let Ok(Ret::Accepted(_, SockAddr::Ip(SocketAddr::V6(peer)))) =
        net.call(1, Call::Accept { fd: server, timeout: None })
    else {
        panic!()
    };
    assert_eq!((peer.ip().to_string(), peer.scope_id()), ("fe80::ff:fe00:1".to_owned(), 2));
}
