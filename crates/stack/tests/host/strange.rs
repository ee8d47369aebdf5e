//! Packets that a well-behaved sender does not make: own and multicast source addresses, fragments in any order, twice
//! and overlapping, options of IPv4.

use bytes::Bytes;
use smoltcp::wire::Ipv4Packet;
use socketlab_stack::*;

use crate::harness::*;

/// A part of a packet: where it begins, in octets, and whether others follow.
type Part = (u16, bool);

/// An IPv4 packet to 10.0.0.2 in a frame. `options`: a multiple of four octets.
fn packet(source: &str, protocol: u8, options: &[u8], (offset, more): Part, payload: &[u8]) -> Bytes {
    let head = 20 + options.len();
    let mut frame = mac(1).0.to_vec();
    frame.extend(mac(0).0);
    frame.extend([8, 0]);
    frame.extend([0; 20]);
    frame.extend(options);
    frame.extend(payload);
    let mut header = Ipv4Packet::new_unchecked(&mut frame[14..]);
    header.set_version(4);
    header.set_header_len(head as u8);
    header.set_total_len((head + payload.len()) as u16);
    header.set_ident(77);
    header.set_more_frags(more);
    header.set_frag_offset(offset);
    header.set_hop_limit(61);
    header.set_next_header(protocol.into());
    header.set_src_addr(source.parse().unwrap());
    header.set_dst_addr("10.0.0.2".parse().unwrap());
    header.fill_checksum();
    frame.into()
}

/// A datagram from port 9 to port 5005, without a checksum (RFC 768 allows it).
fn datagram(data: &[u8]) -> Vec<u8> {
    let mut out = [9u16, 5005, 8 + data.len() as u16, 0].map(u16::to_be_bytes).concat();
    out.extend(data);
    out
}

fn give(net: &mut Net, frame: Bytes) {
    let now = net.now;
    net.hosts[1].handle_frame(now, IfaceId(1), frame);
    net.drain(1);
}

fn receiver(net: &mut Net) -> Fd {
    let fd = net.socket(1, DGRAM);
    net.bind(1, fd, "0.0.0.0:5005").unwrap();
    fd
}

const WHOLE: Part = (0, false);

#[test]
fn nobody_outside_has_our_own_address_or_that_of_a_group() {
    let mut net = Net::new();
    let fd = receiver(&mut net);
    let listener = net.listener(1, 80, 5);
    for source in ["10.0.0.2", "224.0.0.5", "127.0.0.1"] {
        give(&mut net, packet(source, 17, &[], WHOLE, &datagram(b"forged")));
        assert_eq!(errno(net.try_recv(1, fd, 100)), Errno::EAGAIN, "{source}");
        // A SYN, which would be answered to ourselves ("land").
        let mut syn = [80u16, 80, 0, 1, 0, 0, 0x5002, 1000, 0, 0].map(u16::to_be_bytes).concat();
        let pseudo = Ipv4Packet::new_unchecked(packet(source, 6, &[], WHOLE, &[])[14..].to_vec());
        let mut tcp = smoltcp::wire::TcpPacket::new_unchecked(&mut syn);
        tcp.fill_checksum(&pseudo.src_addr().into(), &pseudo.dst_addr().into());
        give(&mut net, packet(source, 6, &[], WHOLE, &syn));
        net.run(ms(100));
        assert_eq!(net.kernel_states(1), [], "{source}");
        assert_eq!(net.state(1, listener), TcpState::Listen);
    }
    give(&mut net, packet("10.0.0.1", 17, &[], WHOLE, &datagram(b"honest")));
    assert_eq!(bytes(net.try_recv(1, fd, 100)), "honest");
}

#[test]
fn options_of_ipv4_are_passed_over() {
    let mut net = Net::new();
    let fd = receiver(&mut net);
    // No operation three times and the end of the list; a timestamp option (RFC 791 3.1) with room for one entry.
    for options in [&[1, 1, 1, 0][..], &[68, 8, 5, 0, 0, 0, 0, 0]] {
        give(&mut net, packet("10.0.0.1", 17, options, WHOLE, &datagram(b"with options")));
        assert_eq!(bytes(net.try_recv(1, fd, 100)), "with options");
    }
}

/// What arrives if these parts of a datagram of 32 octets come in this order; `None`: nothing.
fn reassembled(parts: &[std::ops::Range<usize>]) -> Option<Bytes> {
    let mut net = Net::new();
    let fd = receiver(&mut net);
    let whole = datagram(b"abcdefghijklmnopqrstuvwx");
    for part in parts {
        let place = (part.start as u16, part.end < whole.len());
        give(&mut net, packet("10.0.0.1", 17, &[], place, &whole[part.clone()]));
    }
    net.try_recv(1, fd, 100).ok().map(|ret| bytes(Ok(ret)))
}

#[test]
fn fragments_come_in_any_order_and_twice_but_must_not_overlap() {
    let whole = Some(Bytes::from_static(b"abcdefghijklmnopqrstuvwx"));
    assert_eq!(reassembled(&[0..8, 8..24, 24..32]), whole, "in order");
    assert_eq!(reassembled(&[24..32, 8..24, 0..8]), whole, "backwards");
    assert_eq!(reassembled(&[8..24, 24..32, 0..8]), whole, "the first one last");
    assert_eq!(reassembled(&[0..8, 0..8, 8..24, 8..24, 24..32]), whole, "twice");
    assert_eq!(reassembled(&[0..24, 8..16, 24..32]), whole, "a part of what is there");
    assert_eq!(reassembled(&[0..16, 8..24, 24..32]), None, "an overlap spoils the packet");
    assert_eq!(reassembled(&[8..16, 0..24, 24..32]), None, "one that covers what is there, too");
    assert_eq!(reassembled(&[0..8, 24..32]), None, "a hole");
}

#[test]
fn successive_packets_have_different_identifications() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    for _ in 0..5 {
        net.send_to(0, fd, b"x", "10.0.0.2:5005").unwrap();
    }
    let (_client, _, _) = net.pair();
    net.run(ms(100));
    let frames = net.log.iter().filter(|(_, host, frame)| *host == 0 && frame[12..14] == [8, 0]);
    let mut ids: Vec<[u8; 2]> = frames.map(|(_, _, frame)| [frame[18], frame[19]]).collect();
    assert!(ids.len() >= 7);
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "RFC 6864 4: fragments of two packets must not be taken for one's");
}
