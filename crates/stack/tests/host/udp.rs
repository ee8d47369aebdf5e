//! UDP, ICMP, ARP and fragments.

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Icmpv4Message, Icmpv4Packet, Ipv4Packet};
use socketlab_stack::*;

use crate::harness::*;

fn send_to(net: &mut Net, host: usize, fd: Fd, data: &[u8], to: &str) -> Result<Ret, Failure> {
    let data = Bytes::copy_from_slice(data);
    net.now(host, Call::SendTo { fd, data, flags: 0, addr: addr(to), timeout: None })
}

fn bound(net: &mut Net, host: usize, place: &str) -> Fd {
    let fd = net.socket(host, DGRAM);
    net.bind(host, fd, place).unwrap();
    fd
}

#[test]
fn a_datagram_reaches_the_socket_bound_to_its_port() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    assert_eq!(send_to(&mut net, 0, client, b"hej", "10.0.0.2:5005"), Ok(Ret::Len(3)));
    let Ok(Ret::Data(data, Some(SockAddr::Ip(from)), 0)) = net.recv(1, server, 100) else { panic!() };
    assert_eq!((data.as_ref(), from.ip()), (&b"hej"[..], ip(0)));
    assert!((32_768..=60_999).contains(&from.port()));
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    send_to(&mut net, 0, client, b"", "10.0.0.2:5005").unwrap();
    assert_eq!(bytes(net.recv(1, server, 100)), "");
}

#[test]
fn the_most_specific_socket_gets_it() {
    let mut net = Net::new();
    let any = net.socket(1, DGRAM);
    let specific = net.socket(1, DGRAM);
    for (fd, place) in [(any, "0.0.0.0:5005"), (specific, "10.0.0.2:5005")] {
        net.set_option(1, fd, SOL_SOCKET, SO_REUSEADDR, &[1]);
        net.bind(1, fd, place).unwrap();
    }
    let client = net.socket(0, DGRAM);
    send_to(&mut net, 0, client, b"x", "10.0.0.2:5005").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.try_recv(1, specific, 9)), "x");
    assert_eq!(errno(net.try_recv(1, any, 9)), Errno::EAGAIN);
    let (chosen, over) = (net.hosts[1].socket_of(PID, specific), net.hosts[1].socket_of(PID, any).unwrap());
    let seen = net.events.iter().any(|(_, event)| match event {
        HostEvent::Demux(demux) => demux.chosen == chosen && demux.passed_over == [over],
        _ => false,
    });
    assert!(seen);
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    net.connect(1, server, at(0, 6000)).unwrap();
    let (peer, other) = (bound(&mut net, 0, "0.0.0.0:6000"), bound(&mut net, 0, "0.0.0.0:6001"));
    send_to(&mut net, 0, other, b"no", "10.0.0.2:5005").unwrap();
    send_to(&mut net, 0, peer, b"yes", "10.0.0.2:5005").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.try_recv(1, server, 9)), "yes");
    assert_eq!(errno(net.try_recv(1, server, 9)), Errno::EAGAIN);
}

#[test]
fn a_small_buffer_cuts_the_datagram() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    send_to(&mut net, 0, client, b"0123456789", "10.0.0.2:5005").unwrap();
    net.run(ms(50));
    let peek = Call::Recv { fd: server, len: 4, flags: 2, timeout: None };
    for call in [peek, Call::Recv { fd: server, len: 4, flags: 0, timeout: None }] {
        let Ok(Ret::Data(data, _, flags)) = net.now(1, call) else { panic!() };
        assert_eq!((data.as_ref(), flags), (&b"0123"[..], 0x20));
    }
    assert_eq!(errno(net.try_recv(1, server, 4)), Errno::EAGAIN, "the rest is gone");
}

#[test]
fn only_a_connected_socket_hears_that_the_port_is_closed() {
    let mut net = Net::new();
    let connected = net.socket(0, DGRAM);
    net.connect(0, connected, at(1, 9)).unwrap();
    net.send(0, connected, b"x").unwrap();
    net.run(ms(50));
    assert_eq!(net.poll(0, connected) & 8, 8, "POLLERR");
    let answer = net.recv(0, connected, 10);
    let cause = Cause::PortUnreachable { peer: at(1, 9) };
    assert_eq!(answer, Err(Failure::Errno(Errno::ECONNREFUSED, cause)));
    let other = net.socket(0, DGRAM);
    send_to(&mut net, 0, other, b"x", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    assert_eq!(errno(net.try_recv(0, other, 10)), Errno::EAGAIN);
}

#[test]
fn lengths_and_broadcast_have_rules() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    assert_eq!(errno(send_to(&mut net, 0, fd, &[0; 65_508], "10.0.0.2:9")), Errno::EMSGSIZE);
    assert_eq!(errno(send_to(&mut net, 0, fd, b"x", "10.0.0.255:9")), Errno::EACCES);
    // Linux looks for the way first, and without a default route there is none.
    assert_eq!(errno(send_to(&mut net, 0, fd, b"x", "255.255.255.255:9")), Errno::ENETUNREACH);
    let everything = IpCidr { address: "0.0.0.0".parse().unwrap(), prefix_len: 0 };
    net.hosts[0].add_route(everything, None, IfaceId(1));
    assert_eq!(errno(send_to(&mut net, 0, fd, b"x", "255.255.255.255:9")), Errno::EACCES);
    assert_eq!(errno(send_to(&mut net, 0, fd, b"x", "10.0.0.2:0")), Errno::EINVAL);
}

#[test]
fn a_broadcast_reaches_every_listener_and_is_never_refused() {
    let config = |seed| HostConfig { seed, ..HostConfig::default() };
    let mut net = Net::with(vec![config(1), config(2), config(3)]);
    let receivers = [bound(&mut net, 1, "0.0.0.0:9000"), bound(&mut net, 2, "0.0.0.0:9001")];
    let sender = net.socket(0, DGRAM);
    net.set_option(0, sender, SOL_SOCKET, 6, &[1]);
    send_to(&mut net, 0, sender, b"all", "10.0.0.255:9000").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.try_recv(1, receivers[0], 9)), "all");
    assert_eq!(errno(net.try_recv(2, receivers[1], 9)), Errno::EAGAIN);
    assert_eq!(net.log.len(), 1, "no ARP, no ICMP");
    let own = bound(&mut net, 0, "0.0.0.0:9000");
    send_to(&mut net, 0, sender, b"me too", "10.0.0.255:9000").unwrap();
    assert_eq!(bytes(net.try_recv(0, own, 9)), "me too");
}

#[test]
fn a_large_datagram_travels_in_fragments() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    let data: Vec<u8> = (0..20_000).map(|i| (i % 253) as u8).collect();
    // The fragments overtake each other.
    let mut n = 0;
    net.rule(move |_, _| {
        n += 1;
        Some(vec![ms(20 - n % 7)])
    });
    send_to(&mut net, 0, client, &data, "10.0.0.2:5005").unwrap();
    assert_eq!(bytes(net.recv(1, server, 65_536)), data);
    let frames = net.log.iter().filter(|(_, host, frame)| *host == 0 && frame.len() > 60).count();
    assert_eq!(frames, 14);
    assert!(net.log.iter().all(|(_, _, frame)| frame.len() <= 1514));
}

#[test]
fn a_missing_fragment_times_out() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    let mut n = 0;
    net.rule(move |host, frame| {
        n += usize::from(host == 0 && frame.len() > 1000);
        (n == 2 && frame.len() > 1000).then(Vec::new)
    });
    send_to(&mut net, 0, client, &[1; 4000], "10.0.0.2:5005").unwrap();
    net.run(std::time::Duration::from_secs(31));
    assert_eq!(errno(net.try_recv(1, server, 65_536)), Errno::EAGAIN);
    assert!(net.events.contains(&(1, HostEvent::Dropped { reason: DropReason::ReassemblyTimedOut })));
}

#[test]
fn a_full_receive_buffer_drops() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    net.set_option(1, server, SOL_SOCKET, 8, &[2000]);
    let client = net.socket(0, DGRAM);
    for _ in 0..10 {
        send_to(&mut net, 0, client, &[1; 500], "10.0.0.2:5005").unwrap();
    }
    net.run(ms(50));
    let mut got = 0;
    while net.try_recv(1, server, 999).is_ok() {
        got += 1;
    }
    assert_eq!(got, 3);
}

#[test]
fn three_datagrams_wait_for_one_answer_of_arp() {
    let mut net = Net::new();
    let server = bound(&mut net, 1, "0.0.0.0:5005");
    let client = net.socket(0, DGRAM);
    for text in ["a", "b", "c"] {
        send_to(&mut net, 0, client, text.as_bytes(), "10.0.0.2:5005").unwrap();
    }
    assert_eq!(net.log.len(), 1, "one question");
    net.run(ms(50));
    for text in ["a", "b", "c"] {
        assert_eq!(bytes(net.try_recv(1, server, 9)), text);
    }
    assert_eq!(
        net.hosts[0].snapshot().neighbours,
        [ArpEntry { address: ip(1), iface: IfaceId(1), mac: Some(mac(1)), state: NeighbourState::Reachable }]
    );
}

#[test]
fn ping_is_answered() {
    let mut net = Net::new();
    // An echo request from 10.0.0.1, who is known by its ARP question.
    let fd = net.socket(0, DGRAM);
    send_to(&mut net, 0, fd, b"x", "10.0.0.2:9").unwrap();
    net.run(ms(50));
    let mut frame = vec![0u8; 14 + 20 + 8 + 4];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(smoltcp::wire::EthernetAddress(mac(1).0));
    ethernet.set_src_addr(smoltcp::wire::EthernetAddress(mac(0).0));
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    packet.set_version(4);
    packet.set_header_len(20);
    packet.set_total_len(32);
    packet.set_hop_limit(64);
    packet.set_next_header(smoltcp::wire::IpProtocol::Icmp);
    packet.set_src_addr("10.0.0.1".parse().unwrap());
    packet.set_dst_addr("10.0.0.2".parse().unwrap());
    packet.fill_checksum();
    let mut icmp = Icmpv4Packet::new_unchecked(packet.payload_mut());
    icmp.set_msg_type(Icmpv4Message::EchoRequest);
    icmp.set_echo_ident(7);
    icmp.data_mut().copy_from_slice(b"ping");
    icmp.fill_checksum();
    let now = net.now;
    net.hosts[1].handle_frame(now, IfaceId(1), frame.into());
    let (_, reply) = net.hosts[1].poll_transmit(now).expect("an answer");
    let packet = Ipv4Packet::new_checked(&reply[14..]).unwrap();
    assert!(packet.verify_checksum());
    let icmp = Icmpv4Packet::new_checked(packet.payload()).unwrap();
    assert!(icmp.verify_checksum());
    assert_eq!(
        (icmp.msg_type(), icmp.echo_ident(), icmp.data()),
        (Icmpv4Message::EchoReply, 7, &b"ping"[..])
    );
}

#[test]
fn routes_go_by_the_longest_prefix() {
    let mut net = Net::new();
    let cidr = |text: &str, prefix_len| IpCidr { address: text.parse().unwrap(), prefix_len };
    net.hosts[0].add_route(cidr("0.0.0.0", 0), Some("10.0.0.2".parse().unwrap()), IfaceId(1));
    net.hosts[0].add_route(cidr("198.51.100.0", 24), Some("10.0.0.3".parse().unwrap()), IfaceId(1));
    let fd = net.socket(0, DGRAM);
    send_to(&mut net, 0, fd, b"x", "203.0.113.1:9").unwrap();
    send_to(&mut net, 0, fd, b"x", "198.51.100.1:9").unwrap();
    let asked: Vec<u8> = net.log.iter().map(|(_, _, frame)| frame[41]).collect();
    assert_eq!(asked, [2, 3], "ARP questions for the two next hops");
}
