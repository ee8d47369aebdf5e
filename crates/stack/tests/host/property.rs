//! Properties that hold whatever comes: sequence numbers may wrap, segments may lie, programs may call anything. Every
//! case is named by its seed.

use std::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, IpProtocol, Ipv4Packet, TcpPacket};
use socketlab_stack::*;

use crate::harness::*;

/// A world in which the next initial sequence number of a host lies `before` octets under 2^32: the ISS is a clock of
/// 4 us (RFC 6528), so it is enough to wait.
fn shortly_before_the_wrap(host: usize, before: u32) -> Net {
    let mut probe = Net::new();
    let (client, server, _) = probe.pair();
    let tcb = probe.socket_snapshot(host, [client, server][host]).tcb.unwrap();
    let ticks = u64::from(0u32.wrapping_sub(before).wrapping_sub(tcb.iss));
    let mut net = Net::new();
    net.run(Duration::from_micros(4 * ticks));
    net
}

#[test]
fn sequence_numbers_wrap_in_both_directions() {
    let cases = [1, 2, 1000, 30_000, 60_000, 100_000].map(|before| [(0, before), (1, before)]);
    for (seed, (from, before)) in cases.into_iter().flatten().enumerate() {
        let mut net = shortly_before_the_wrap(from, before);
        let to = 1 - from;
        let mut random = Random(seed as u64);
        let (client, server, _) = net.pair();
        let ends = [client, server];
        net.rule(move |_, _| match random.below(20) {
            0 => Some(vec![]),
            1 => Some(vec![ms(5), ms(9)]),
            2 => Some(vec![ms(5 + random.below(20))]),
            _ => None,
        });
        let data: Vec<u8> = (0..150_000u32).map(|i| (i * 7 % 251) as u8).collect();
        let call = Call::Send { fd: ends[from], data: data.clone().into(), flags: 0, timeout: None };
        let call = net.start(from, call);
        let mut got = Vec::new();
        while got.len() < data.len() {
            got.extend_from_slice(&bytes(net.recv(to, ends[to], 1 << 16)));
        }
        assert!(got == data, "host {from}, {before} octets before the wrap: other octets");
        assert_eq!(net.wait(call), Ok(Ret::Len(data.len())));
        net.run(Duration::from_secs(5));
        let tcb = net.socket_snapshot(from, ends[from]).tcb.unwrap();
        assert!(tcb.snd_una < tcb.iss, "it did wrap: {} to {}", tcb.iss, tcb.snd_una);
        assert_eq!(tcb.snd_una, tcb.snd_nxt);
        net.close(0, client);
        net.close(1, server);
        net.run(Duration::from_secs(200));
        assert_eq!(net.kernel_states(0), []);
    }
}

/// A line that flips bits: every frame whose IP packet was damaged counts as lost. Damage stays within one octet, which
/// a sum of 16-bit words always shows (RFC 1071); ARP has no checksum and is left alone.
#[test]
fn damaged_frames_count_as_lost_and_never_change_what_was_sent() {
    for seed in 0..40 {
        let mut net = Net::new();
        let mut random = Random(seed);
        net.rule(move |_, _| match random.below(40) {
            0 => Some(vec![]),
            1 => Some(vec![ms(5), ms(9)]),
            2 => Some(vec![ms(5 + random.below(20))]),
            _ => None,
        });
        let mut random = Random(seed + 1000);
        net.damage(move |frame| {
            let is_ip = matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
            if !is_ip || random.below(15) != 0 {
                return frame;
            }
            let mut frame = frame.to_vec();
            let at = random.below(frame.len() as u64) as usize;
            frame[at] ^= 1 + random.below(255) as u8;
            frame.into()
        });
        let (family, peer) = if seed % 2 == 0 { (AF_INET, ip(1)) } else { (AF_INET6, ip6(1)) };
        let listener = net.open(1, family, STREAM, 0);
        net.bind(1, listener, if family == AF_INET { "0.0.0.0:80" } else { "[::]:80" }).unwrap();
        net.now(1, Call::Listen { fd: listener, backlog: 5 }).unwrap();
        let client = net.open(0, family, STREAM, 0);
        net.connect(0, client, (peer, 80).into()).unwrap();
        let server = net.accept(1, listener);
        // Every aligned word is another one: nothing can stand in another place unseen.
        let data: [Bytes; 2] =
            [0, 1 << 24].map(|first| (first..first + 20_000).flat_map(u32::to_le_bytes).collect());
        let ends = [client, server];
        let calls = [0, 1].map(|host| {
            let call = Call::Send { fd: ends[host], data: data[host].clone(), flags: 0, timeout: None };
            net.start(host, call)
        });
        for host in [0, 1] {
            let mut got = Vec::new();
            while got.len() < data[1 - host].len() {
                let piece = bytes(net.recv(host, ends[host], 1 << 16));
                assert!(!piece.is_empty(), "seed {seed}: the stream ends too early");
                got.extend_from_slice(&piece);
            }
            assert!(got == data[1 - host], "seed {seed}: other octets");
        }
        for (host, call) in calls.into_iter().enumerate() {
            assert_eq!(net.wait(call), Ok(Ret::Len(data[host].len())));
        }
        let dropped = |(_, event): &&(usize, HostEvent)| {
            matches!(event, HostEvent::Dropped { reason: DropReason::BadChecksum })
        };
        assert!(net.events.iter().filter(dropped).count() > 0, "seed {seed}: nothing was damaged");
        net.close(0, client);
        net.close(1, server);
        net.close(1, listener);
        net.run_dry(Duration::from_secs(600));
        for host in &net.hosts {
            assert_eq!(host.snapshot().sockets.len(), 0, "seed {seed}: both ends are closed");
        }
    }
}

/// The newest TCP segment that `host` sent.
fn template(net: &Net, host: usize) -> Vec<u8> {
    let found =
        net.log.iter().rev().find(|(_, from, frame)| *from == host && describe(host, frame).is_some());
    found.map(|(_, _, frame)| frame.to_vec()).unwrap()
}

/// A number near another one, or anywhere.
fn around(random: &mut Random, number: u32) -> u32 {
    match random.below(6) {
        0 => number,
        1 => number.wrapping_sub(1),
        2 => number.wrapping_add(1),
        3 => number.wrapping_add(random.below(70_000) as u32),
        4 => number.wrapping_sub(random.below(70_000) as u32),
        _ => random.next() as u32,
    }
}

/// A forged segment of the connection, with any flags, numbers around the window that matter, and any options. Outside
/// of the window, if the forger does not know it.
fn forge(net: &Net, from: usize, to: usize, fd: Fd, knows: bool, random: &mut Random) -> Option<Bytes> {
    let mut frame = template(net, from);
    let tcb = net.socket_snapshot(to, fd).tcb?;
    let options = 4 * random.below(11) as usize;
    let payload = random.below(3) as usize * 20;
    let edges = [tcb.rcv_nxt, tcb.rcv_nxt.wrapping_add(tcb.rcv_wnd)];
    // Where his segment ends lies before the window (RFC 9293 3.4), or where it begins lies behind it.
    let outside = |seq: u32| {
        let begins = seq.wrapping_sub(tcb.rcv_nxt);
        let ends = begins.wrapping_add(payload as u32 + 2);
        begins > tcb.rcv_wnd && ends > begins
    };
    let seq = loop {
        let edge = edges[random.below(2) as usize];
        let seq = around(random, edge);
        if knows || outside(seq) {
            break seq;
        }
    };
    let edge = [tcb.snd_una, tcb.snd_nxt][random.below(2) as usize];
    let ack = around(random, edge);
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    let (source, destination) = {
        let ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
        (ip.src_addr(), ip.dst_addr())
    };
    // Room for the new options and payload.
    frame.truncate(14 + 20 + 20);
    frame.extend((0..options).map(|_| random.next() as u8));
    frame.extend((0..payload).map(|_| b'!'));
    let mut ip = Ipv4Packet::new_unchecked(&mut frame[14..]);
    ip.set_total_len((20 + 20 + options + payload) as u16);
    ip.fill_checksum();
    assert_eq!(ip.next_header(), IpProtocol::Tcp);
    let mut tcp = TcpPacket::new_unchecked(&mut frame[34..]);
    tcp.set_header_len((20 + options) as u8);
    tcp.set_seq_number(smoltcp::wire::TcpSeqNumber(seq as i32));
    tcp.set_ack_number(smoltcp::wire::TcpSeqNumber(ack as i32));
    tcp.set_window_len(random.next() as u16);
    tcp.set_syn(random.below(4) == 0);
    tcp.set_ack(random.below(4) != 0);
    tcp.set_fin(random.below(8) == 0);
    tcp.set_rst(random.below(8) == 0);
    tcp.set_psh(random.below(2) == 0);
    tcp.set_urg(random.below(8) == 0);
    tcp.fill_checksum(&source.into(), &destination.into());
    Some(frame.into())
}

/// What a forger may do is end the connection or slip octets of his own into it (he knows the numbers); never must the
/// host panic, nor a program get octets that nobody sent or in another order.
#[test]
fn forged_segments_never_panic_and_never_change_what_was_sent() {
    for seed in 0..300 {
        let mut net = Net::new();
        let mut random = Random(seed);
        let (client, server, _) = net.pair();
        net.send(0, client, &[b'a'; 2000]).unwrap();
        net.run(ms(50));
        let mut got = Vec::new();
        for _ in 0..40 {
            let (from, to, fd) = if random.below(2) == 0 { (0, 1, server) } else { (1, 0, client) };
            if let Some(frame) = forge(&net, from, to, fd, true, &mut random) {
                let now = net.now;
                net.hosts[to].handle_frame(now, IfaceId(1), frame);
                net.drain(to);
            }
            net.run(ms(random.below(300)));
            if let Ok(Ret::Data(data, ..)) = net.try_recv(1, server, 500) {
                got.extend_from_slice(&data);
            }
        }
        for host in &net.hosts {
            host.snapshot();
        }
        let sent = got.iter().filter(|octet| **octet == b'a').count();
        assert!(got.iter().all(|octet| matches!(octet, b'a' | b'!')), "seed {seed}: octets that nobody sent");
        assert!(sent <= 2000, "seed {seed}: octets came twice");
    }
}

/// A forger who does not know the numbers can do nothing at all: RFC 9293 3.10.7.4 and RFC 5961.
#[test]
fn segments_from_outside_the_window_change_nothing() {
    for seed in 0..200 {
        let mut net = Net::new();
        let mut random = Random(seed);
        let (client, server, _) = net.pair();
        let ends = [client, server];
        let mut sent = [0, 0u32];
        let mut got = [Vec::new(), Vec::new()];
        // Lost octets: who believes the forger that they arrived never sends them again.
        let mut dice = Random(seed + 1000);
        net.rule(move |_, _| (dice.below(4) == 0).then(Vec::new));
        for _ in 0..40 {
            let from = random.below(2) as usize;
            let words: Vec<u8> = (sent[from]..sent[from] + 100).flat_map(u32::to_be_bytes).collect();
            sent[from] += 100;
            net.send(from, ends[from], &words).unwrap();
            let to = random.below(2) as usize;
            let frame = forge(&net, 1 - to, to, ends[to], false, &mut random).unwrap();
            let now = net.now;
            net.hosts[to].handle_frame(now, IfaceId(1), frame);
            net.drain(to);
            net.run(ms(random.below(300)));
            for host in [0, 1] {
                if let Ok(Ret::Data(data, ..)) = net.try_recv(host, ends[host], 500) {
                    got[host].extend_from_slice(&data);
                }
            }
        }
        net.rule(|_, _| None);
        net.run(Duration::from_secs(300));
        for host in [0, 1] {
            let wanted: Vec<u8> = (0..sent[1 - host]).flat_map(u32::to_be_bytes).collect();
            while got[host].len() < wanted.len() {
                got[host].extend_from_slice(&bytes(net.try_recv(host, ends[host], 1 << 16)));
            }
            assert!(got[host] == wanted, "seed {seed}: other octets reached host {host}");
            assert_eq!(net.state(host, ends[host]), TcpState::Established, "seed {seed}");
        }
    }
}

/// Any call with any arguments.
fn any_call(random: &mut Random) -> Call {
    let fd = Fd(random.below(12) as i32 + if random.below(20) == 0 { -2 } else { 0 });
    let timeout = match random.below(4) {
        0 => None,
        1 => Some(Duration::ZERO),
        _ => Some(ms(random.below(2000))),
    };
    let addr = match random.below(8) {
        0 => addr("127.0.0.1:80"),
        1 => addr("10.0.0.2:80"),
        2 => addr("0.0.0.0:0"),
        3 => addr("[::1]:80"),
        4 => addr("224.0.0.9:99"),
        5 => SockAddr::Unix(format!("\0{}", random.below(3)).into_bytes()),
        6 => SockAddr::Unix(format!("path{}", random.below(3)).into_bytes()),
        _ => addr(&format!("10.0.0.1:{}", random.below(3) + 80)),
    };
    let any = |random: &mut Random| match random.below(6) {
        0 => i32::MAX,
        1 => i32::MIN,
        2 => random.next() as i32,
        n => n as i32,
    };
    let flags = [0, 0x40, 0x2, 0x100, 0x20, 0x1, 0x8000, 0x2000, 0x4000][random.below(9) as usize];
    let len = [0, 1, 100, 5000, 70_000, 300_000][random.below(6) as usize];
    let data = Bytes::from(vec![b'x'; len]);
    let level = [0, 1, 6, 41, 17, 1000][random.below(6) as usize];
    let name = random.below(60) as i32;
    match random.below(22) {
        0 | 1 => Call::Socket {
            family: [1, 2, 10, 99][random.below(4) as usize],
            kind: [1, 2, 3, 5, 6][random.below(5) as usize],
            protocol: [0, 0, 0, 1, 6, 17, 58, any(random)][random.below(8) as usize],
        },
        2 => Call::SocketPair { family: 1, kind: [1, 2, 5][random.below(3) as usize], protocol: 0 },
        3 => Call::Dup { fd },
        4 => Call::Close { fd },
        5 => Call::Bind { fd, addr },
        6 => Call::Listen { fd, backlog: any(random) },
        7 => Call::Accept { fd, timeout },
        8 => Call::Connect { fd, addr, timeout },
        9 => Call::GetSockName { fd },
        10 => Call::GetPeerName { fd },
        11 => Call::GetSockOpt { fd, level, name, len: random.below(300) as usize },
        12 => {
            let value: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
            Call::SetSockOpt { fd, level, name, value: value.into() }
        }
        13 => Call::Shutdown { fd, how: random.below(4) as i32 },
        14 => Call::Send { fd, data, flags, timeout },
        15 => Call::SendTo { fd, data, flags, addr, timeout },
        16 => Call::Recv { fd, len, flags, timeout },
        17 => Call::Unlink { path: format!("path{}", random.below(3)).into_bytes() },
        18 => Call::EpollCreate,
        19 => Call::EpollCtl {
            epoll: Fd(random.below(8) as i32),
            op: random.below(4) as i32,
            fd,
            events: random.next() as u32,
        },
        20 => Call::EpollWait { epoll: fd, most: 4, timeout },
        _ => Call::Poll { fds: vec![(fd, random.next() as u16), (Fd(3), 0x2fff)], timeout },
    }
}

#[test]
fn any_sequence_of_calls_neither_panics_nor_leaks() {
    for seed in 0..400 {
        let mut net = Net::new();
        let mut random = Random(seed);
        for _ in 0..120 {
            let host = random.below(2) as usize;
            let call = any_call(&mut random);
            net.start(host, call);
            if random.below(3) == 0 {
                net.run(ms(random.below(400)));
            }
        }
        let now = net.now;
        for host in 0..2 {
            net.hosts[host].snapshot();
            net.hosts[host].kill(now, PID);
            net.drain(host);
        }
        // The longest that the kernel keeps a connection nobody owns: retransmissions, then TIME-WAIT.
        net.run(Duration::from_secs(2000));
        for host in &net.hosts {
            let left = host.snapshot().sockets;
            assert!(
                left.is_empty(),
                "seed {seed}: {} sockets without an owner, the first {:?}",
                left.len(),
                left[0]
            );
        }
    }
}
