//! What fuzzers found, as the story of each.

use std::time::Duration;

use socketlab_stack::*;

use crate::harness::*;

#[test]
fn the_urgent_mark_is_asked_of_sockets_that_have_none() {
    // As Linux 6.18 answers.
    let mut net = Net::new();
    let at_mark = |net: &mut Net, fd| net.now(0, Call::Ioctl { fd, request: 0x8905 });
    let tcp = net.socket(0, STREAM);
    assert_eq!(at_mark(&mut net, tcp), Ok(Ret::Len(0)));
    let listener = net.listener(0, 80, 1);
    assert_eq!(at_mark(&mut net, listener), Ok(Ret::Len(0)));
    let udp = net.socket(0, DGRAM);
    assert_eq!(errno(at_mark(&mut net, udp)), Errno::ENOTTY);
    let raw = net.open(0, AF_INET, RAW, 1);
    assert_eq!(errno(at_mark(&mut net, raw)), Errno::ENOTTY);
    let unix = net.open(0, 1, STREAM, 0);
    assert_eq!(at_mark(&mut net, unix), Ok(Ret::Len(0)));
    let unix = net.open(0, 1, DGRAM, 0);
    assert_eq!(errno(at_mark(&mut net, unix)), Errno::EOPNOTSUPP);
    assert_eq!(errno(net.now(0, Call::Ioctl { fd: listener, request: 0 })), Errno::ENOTTY);
}

/// Both ends of a stream wait for room: who then reads nothing at all must not wake them for ever.
#[test]
fn reading_nothing_of_a_full_stream_is_over_at_once() {
    let mut net = Net::new();
    let Ok(Ret::Pair(a, b)) = net.now(0, Call::SocketPair { family: 1, kind: STREAM, protocol: 0 }) else {
        panic!("socketpair");
    };
    let data = bytes::Bytes::from(vec![0; 1 << 20]);
    let nothing = |fd| Call::Recv { fd, len: 0, flags: 0, timeout: None };
    assert_eq!(bytes(net.now(0, nothing(a))), "", "as Linux 6.18: also of an empty one");
    for fd in [a, b] {
        net.start(0, Call::Send { fd, data: data.clone(), flags: 0, timeout: None });
    }
    for fd in [a, b] {
        assert_eq!(bytes(net.now(0, nothing(fd))), "");
    }
}

#[test]
fn an_abstract_name_is_no_file() {
    let mut net = Net::new();
    let fd = net.open(0, 1, STREAM, 0);
    net.now(0, Call::Bind { fd, addr: SockAddr::Unix(b"\0name".to_vec()) }).unwrap();
    assert_eq!(errno(net.now(0, Call::Unlink { path: "\0name".into() })), Errno::ENOENT);
}

/// A SYN with these options to port 80 of host 1: what goes back, and what was agreed on.
fn syn_with(options: &[u8]) -> TcbSnapshot {
    let mut net = Net::new();
    let (client, _, _) = net.pair();
    let port = net.socket_snapshot(0, client).local.unwrap().port();
    net.close(0, client);
    // The SYN of that connection once more, with other options and from another port.
    let (_, _, syn) = net.log.iter().find(|(_, by, frame)| describe(*by, frame).is_some()).unwrap();
    let mut frame = syn[..54].to_vec();
    let total = 40 + options.len();
    frame[16..18].copy_from_slice(&(total as u16).to_be_bytes());
    frame[34..36].copy_from_slice(&(port + 1).to_be_bytes());
    frame[46] = ((5 + options.len() / 4) as u8) << 4;
    frame.extend(options);
    let mut ip = smoltcp::wire::Ipv4Packet::new_unchecked(&mut frame[14..]);
    ip.fill_checksum();
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    smoltcp::wire::TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&from, &to);
    let now = net.now;
    net.hosts[1].handle_frame(now, IfaceId(1), frame.into());
    let sockets = net.hosts[1].snapshot().sockets;
    let embryo = sockets.into_iter().find(|s| s.peer.is_some_and(|peer| peer.port() == port + 1));
    net.run(Duration::from_millis(1));
    embryo.and_then(|socket| socket.tcb).unwrap()
}

#[test]
fn a_peer_that_takes_little_is_sent_little() {
    // Linux 6: `TCP_MIN_SND_MSS`, 48 octets with the options.
    assert_eq!(syn_with(&[2, 4, 0, 60]).snd_mss, 60);
    assert_eq!(syn_with(&[2, 4, 0, 3]).snd_mss, 48);
    assert_eq!(syn_with(&[2, 4, 0, 3, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0]).snd_mss, 36);
    assert_eq!(syn_with(&[2, 4, 0, 0]).snd_mss, 536, "none at all");
}

#[test]
fn an_option_of_a_wrong_length_is_passed_over() {
    // Linux 6 `tcp_parse_options`: a window scale of four octets, then a sound MSS and SACK-permitted.
    let tcb = syn_with(&[3, 4, 7, 7, 2, 4, 2, 0, 4, 2, 1, 1]);
    assert_eq!((tcb.window_scale, tcb.snd_mss, tcb.sack_permitted), (None, 512, true));
    // What is cut off ends it.
    let tcb = syn_with(&[4, 2, 1, 1, 2, 9, 2, 0]);
    assert_eq!((tcb.snd_mss, tcb.sack_permitted), (536, true));
}
