//! Whatever the link does, what arrives is what was sent; whatever arrives, nothing breaks.

use std::time::Duration;

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

/// Loses, copies and delays frames by the dice.
fn bad_link(net: &mut Net, seed: u64) {
    let mut random = Random(seed);
    net.rule(move |_, _| {
        let delay = |random: &mut Random| ms(5 + random.below(3) * random.below(15));
        Some(match random.below(100) {
            0..5 => vec![],
            5..8 => vec![delay(&mut random), delay(&mut random)],
            _ => vec![delay(&mut random)],
        })
    });
}

#[test]
fn any_loss_duplication_and_reordering_delivers_every_octet_and_ends() {
    for seed in 0..60 {
        let mut net = Net::new();
        bad_link(&mut net, seed);
        let mut random = Random(seed + 1000);
        let (client, server, listener) = net.pair();
        let mut sizes = [0; 2].map(|_| 1 + random.below(120_000) as usize);
        if seed % 3 == 0 {
            sizes[1] = 0;
        }
        let data = sizes.map(|size| (0..size).map(|_| random.next() as u8).collect::<Vec<u8>>());
        let ends = [(0, client), (1, server)];
        let calls: Vec<CallId> = ends
            .iter()
            .zip(&data)
            .filter(|(_, data)| !data.is_empty())
            .map(|((host, fd), data)| {
                let data = Bytes::from(data.clone());
                net.start(*host, Call::Send { fd: *fd, data, flags: 0, timeout: None })
            })
            .collect();
        for ((host, fd), expected) in ends.iter().zip([&data[1], &data[0]]) {
            let mut got = Vec::new();
            while got.len() < expected.len() {
                let piece = bytes(net.recv(*host, *fd, 1 + random.below(20_000) as usize));
                assert!(!piece.is_empty(), "seed {seed}: the stream ends too early");
                got.extend_from_slice(&piece);
            }
            assert!(got == *expected, "seed {seed}: other octets");
        }
        for call in calls {
            assert!(net.wait(call).is_ok());
        }
        net.close(0, client);
        if seed % 2 == 0 {
            assert_eq!(bytes(net.recv(1, server, 10)), "");
        }
        net.close(1, server);
        net.close(1, listener);
        net.run_dry(Duration::from_secs(600));
        for host in &net.hosts {
            assert_eq!(host.snapshot().sockets.len(), 0, "seed {seed}: both ends are closed");
        }
    }
}

#[test]
fn hostile_frames_never_break_a_host() {
    for seed in 0..40 {
        let mut net = Net::new();
        let mut random = Random(seed);
        let (client, server, _) = net.pair();
        let udp = net.socket(1, DGRAM);
        net.bind(1, udp, "0.0.0.0:5005").unwrap();
        net.send(0, client, &[1; 3000]).unwrap();
        net.send(1, server, &[2; 3000]).unwrap();
        net.run(ms(30));
        let templates: Vec<(usize, Bytes)> =
            net.log.iter().map(|(_, host, frame)| (*host, frame.clone())).collect();
        for _ in 0..400 {
            let (from, template) = &templates[random.below(templates.len() as u64) as usize];
            let mut frame = template.to_vec();
            for _ in 0..random.below(5) {
                let at = random.below(frame.len() as u64) as usize;
                frame[at] = random.next() as u8;
            }
            if random.below(8) == 0 {
                frame.truncate(random.below(frame.len() as u64 + 1) as usize);
            }
            mend_checksums(&mut frame);
            let (to, now) = (1 - from, net.now);
            net.hosts[to].handle_frame(now, IfaceId(1), frame.into());
            net.drain(to);
            net.run(ms(random.below(30)));
        }
        net.run(Duration::from_secs(5));
        for host in &net.hosts {
            host.snapshot();
        }
    }
}

/// Makes the checksums right, so that the damage gets past them.
fn mend_checksums(frame: &mut [u8]) {
    use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};
    let Some(packet) = frame.get_mut(14..) else { return };
    let Ok(mut ip) = Ipv4Packet::new_checked(packet) else { return };
    if ip.header_len() < 20 || usize::from(ip.header_len()) > usize::from(ip.total_len()) {
        return;
    }
    ip.fill_checksum();
    let (from, to, protocol) = (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header());
    let payload = ip.payload_mut();
    match protocol {
        IpProtocol::Tcp => {
            if let Ok(mut tcp) = TcpPacket::new_checked(payload) {
                tcp.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Udp => {
            if let Ok(mut udp) = UdpPacket::new_checked(payload) {
                udp.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Icmp => {
            if let Ok(mut icmp) = Icmpv4Packet::new_checked(payload) {
                icmp.fill_checksum();
            }
        }
        _ => {}
    }
}
