//! Multicast: who hears what, what routers are told, and in which version.

use std::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet};
use socketlab_stack::*;

use crate::harness::*;

const ADD_MEMBERSHIP: i32 = 35;
const DROP_MEMBERSHIP: i32 = 36;

/// `struct ip_mreq` for 224.1.1.1 and the host's own address.
fn request(host: usize) -> Bytes {
    Bytes::copy_from_slice(&[224, 1, 1, 1, 10, 0, 0, host as u8 + 1])
}

fn set(net: &mut Net, host: usize, fd: Fd, level: i32, name: i32, value: Bytes) -> Result<Ret, Failure> {
    net.now(host, Call::SetSockOpt { fd, level, name, value })
}

/// IGMP messages on the link since frame `from`: type, destination, and the first record's type and group.
fn igmp(net: &Net, from: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (_, _, frame) in &net.log[from..] {
        let ethernet = EthernetFrame::new_checked(frame.as_ref()).unwrap();
        if ethernet.ethertype() != EthernetProtocol::Ipv4 {
            continue;
        }
        let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
        if u8::from(ip.next_header()) != 2 {
            continue;
        }
        assert_eq!((ip.hop_limit(), ip.header_len()), (1, 24), "router alert");
        let body = ip.payload();
        let about = if body[0] == 0x22 {
            format!("{} {:?}", body[8], &body[12..16])
        } else {
            format!("{:?}", &body[4..8])
        };
        found.push(format!("{:#x} {} {about}", body[0], ip.dst_addr()));
    }
    found
}

/// A query from 10.0.0.2 with this "max resp code".
fn query(code: u8, rest: &[u8]) -> Bytes {
    let mut igmp = vec![0x11, code, 0, 0, 0, 0, 0, 0];
    igmp.extend(rest);
    let mut sum: u32 = igmp.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    igmp[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut frame = vec![1, 0, 0x5e, 0, 0, 1];
    frame.extend(mac(1).0);
    frame.extend([8, 0]);
    let mut packet = vec![0; 20];
    packet.extend(&igmp);
    let len = packet.len() as u16;
    let mut header = Ipv4Packet::new_unchecked(&mut packet);
    header.set_version(4);
    header.set_header_len(20);
    header.set_total_len(len);
    header.set_hop_limit(1);
    header.set_next_header(smoltcp::wire::IpProtocol::Igmp);
    header.set_src_addr("10.0.0.2".parse().unwrap());
    header.set_dst_addr("224.0.0.1".parse().unwrap());
    header.fill_checksum();
    frame.extend(packet);
    frame.into()
}

fn give(net: &mut Net, frame: Bytes) {
    let now = net.now;
    net.hosts[0].handle_frame(now, IfaceId(1), frame);
    net.drain(0);
}

#[test]
fn members_hear_a_group_and_others_do_not() {
    let mut net = Net::new();
    let member = net.socket(1, DGRAM);
    let other = net.socket(1, DGRAM);
    for fd in [member, other] {
        net.set_option(1, fd, SOL_SOCKET, SO_REUSEADDR, &[1]);
        net.bind(1, fd, "0.0.0.0:6000").unwrap();
    }
    // IP_MULTICAST_ALL off: only what the socket itself has joined.
    net.set_option(1, other, 0, 49, &[0]);
    let sender = net.socket(0, DGRAM);
    let own = Bytes::from_static(&[10, 0, 0, 1]);
    set(&mut net, 0, sender, 0, 32, own).unwrap();
    net.send_to(0, sender, b"early", "224.1.1.1:6000").unwrap();
    net.run(ms(50));
    assert_eq!(errno(net.try_recv(1, member, 9)), Errno::EAGAIN);
    set(&mut net, 1, member, 0, ADD_MEMBERSHIP, request(1)).unwrap();
    assert_eq!(net.hosts[1].snapshot().groups, [(IfaceId(1), "224.1.1.1".parse().unwrap())]);
    net.send_to(0, sender, b"now", "224.1.1.1:6000").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.try_recv(1, member, 9)), "now");
    assert_eq!(errno(net.try_recv(1, other, 9)), Errno::EAGAIN);
    // Closing the socket leaves the group.
    net.close(1, member);
    assert_eq!(net.hosts[1].snapshot().groups, []);
}

#[test]
fn the_sender_hears_itself_if_it_is_a_member_and_wants_to() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    net.bind(0, fd, "0.0.0.0:6000").unwrap();
    set(&mut net, 0, fd, 0, ADD_MEMBERSHIP, request(0)).unwrap();
    set(&mut net, 0, fd, 0, 32, Bytes::from_static(&[10, 0, 0, 1])).unwrap();
    net.send_to(0, fd, b"one", "224.1.1.1:6000").unwrap();
    assert_eq!(bytes(net.try_recv(0, fd, 9)), "one");
    net.set_option(0, fd, 0, 34, &[0]);
    net.send_to(0, fd, b"two", "224.1.1.1:6000").unwrap();
    assert_eq!(errno(net.try_recv(0, fd, 9)), Errno::EAGAIN);
    // A TTL of 0 stays inside.
    let from = net.log.len();
    net.set_option(0, fd, 0, 34, &[1]);
    net.set_option(0, fd, 0, 33, &[0]);
    net.send_to(0, fd, b"three", "224.1.1.1:6000").unwrap();
    assert_eq!((bytes(net.try_recv(0, fd, 9)), net.log.len()), ("three".into(), from));
}

#[test]
fn joining_and_leaving_is_reported_twice() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    set(&mut net, 0, fd, 0, ADD_MEMBERSHIP, request(0)).unwrap();
    net.run(Duration::from_secs(5));
    assert_eq!(igmp(&net, 0), ["0x22 224.0.0.22 4 [224, 1, 1, 1]"; 2]);
    let from = net.log.len();
    set(&mut net, 0, fd, 0, DROP_MEMBERSHIP, request(0)).unwrap();
    net.run(Duration::from_secs(5));
    assert_eq!(igmp(&net, from), ["0x22 224.0.0.22 3 [224, 1, 1, 1]"; 2]);
}

#[test]
fn a_question_is_answered_in_its_own_version() {
    let mut net = Net::new();
    let fd = net.socket(0, DGRAM);
    set(&mut net, 0, fd, 0, ADD_MEMBERSHIP, request(0)).unwrap();
    net.run(Duration::from_secs(5));
    let from = net.log.len();
    give(&mut net, query(100, &[2, 125, 0, 0]));
    assert_eq!(igmp(&net, from), [""; 0], "not at once");
    net.run(Duration::from_secs(10));
    assert_eq!(igmp(&net, from), ["0x22 224.0.0.22 2 [224, 1, 1, 1]"]);
    // A router of version 2: reports to the group itself, and a message for leaving.
    let from = net.log.len();
    give(&mut net, query(100, &[]));
    net.run(Duration::from_secs(10));
    set(&mut net, 0, fd, 0, DROP_MEMBERSHIP, request(0)).unwrap();
    assert_eq!(igmp(&net, from), ["0x16 224.1.1.1 [224, 1, 1, 1]", "0x17 224.0.0.2 [224, 1, 1, 1]"]);
    // After 260 s without such a router it is forgotten.
    net.run(Duration::from_secs(261));
    let from = net.log.len();
    set(&mut net, 0, fd, 0, ADD_MEMBERSHIP, request(0)).unwrap();
    assert_eq!(igmp(&net, from), ["0x22 224.0.0.22 4 [224, 1, 1, 1]"]);
}
