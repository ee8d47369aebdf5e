//! Frames of a hostile neighbour. Host 1 has listeners, connections, UDP, raw and IPv6 sockets; host 0 has the other
//! end of one connection, on which both sides send a stream that is known octet by octet. Whatever arrives in between,
//! each side reads the beginning of what the other has sent, and nothing else.
//!
//! A neighbour who knows the numbers can put octets of his own into any TCP stream: that is TCP, not a mistake of the
//! stack. So each injected frame that is a sound segment of this connection gets the stream's own octets first.

use core::net::IpAddr;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber,
    UdpPacket,
};
use socketlab_stack::{Call, Fd, SockAddr};

use crate::net::{AF_INET, AF_INET6, DGRAM, Net, RAW, at, mac, octets, v4, v6};

const PORT: u16 = 80;
const SOL_SOCKET: i32 = 1;
const SO_OOBINLINE: i32 = 10;

/// The octet at a place of the stream that a host sends.
fn octet(host: usize, place: u32) -> u8 {
    (place.wrapping_mul(31) ^ (place >> 8).wrapping_mul(17)) as u8 ^ if host == 0 { 0x55 } else { 0xaa }
}

struct Scene {
    net: Net,
    /// The connection: descriptor, port and initial sequence number of each end.
    ends: [(Fd, u16, u32); 2],
    sent: [u32; 2],
    read: [u32; 2],
    /// Descriptors of host 1 to be read from now and then.
    others: Vec<Fd>,
}

fn any_v4(port: u16) -> SockAddr {
    at(core::net::Ipv4Addr::UNSPECIFIED, port)
}

fn any_v6(port: u16) -> SockAddr {
    at(core::net::Ipv6Addr::UNSPECIFIED, port)
}

impl Scene {
    fn new() -> Scene {
        let mut net = Net::new(true);
        let listener = net.listener(1, AF_INET, any_v4(PORT));
        let (client, server) = net.pair(listener, at(v4(1), PORT));
        for (host, fd) in [(0, client), (1, server)] {
            let value = Bytes::from_static(&[1, 0, 0, 0]);
            let call = Call::SetSockOpt { fd, level: SOL_SOCKET, name: SO_OOBINLINE, value };
            net.call(host, call).unwrap();
        }
        let end = |net: &Net, host: usize, fd: Fd| {
            let socket = net.snapshot(host, fd).unwrap();
            (fd, socket.local.unwrap().port(), socket.tcb.unwrap().iss)
        };
        let ends = [end(&net, 0, client), end(&net, 1, server)];
        let mut others = vec![listener];
        others.push(net.listener(1, AF_INET6, any_v6(81)));
        others.push(net.bound(1, AF_INET, DGRAM, any_v4(5000)));
        others.push(net.bound(1, AF_INET6, DGRAM, any_v6(5001)));
        let connected = net.bound(1, AF_INET, DGRAM, any_v4(5002));
        net.call(1, Call::Connect { fd: connected, addr: at(v4(0), 5003), timeout: None }).unwrap();
        others.push(connected);
        others.push(net.socket(1, AF_INET, RAW, 1));
        others.push(net.socket(1, AF_INET6, RAW, 58));
        // IP_ADD_MEMBERSHIP of 224.0.0.99.
        let group = Call::SetSockOpt {
            fd: others[2],
            level: 0,
            name: 35,
            value: Bytes::from_static(&[224, 0, 0, 99, 10, 0, 0, 2]),
        };
        net.call(1, group).unwrap();
        Scene { net, ends, sent: [0; 2], read: [0; 2], others }
    }

    /// A host sends more of its stream.
    fn send(&mut self, host: usize, len: u32) {
        let from = self.sent[host];
        let data: Bytes = (from..from + len).map(|place| octet(host, place)).collect();
        let call = Call::Send { fd: self.ends[host].0, data, flags: 0x40, timeout: None };
        if let Ok(socketlab_stack::Ret::Len(len)) = self.net.call(host, call) {
            self.sent[host] += u32::try_from(len).unwrap();
        }
    }

    /// A host reads what has come; it must be what the other sent.
    fn read(&mut self, host: usize, len: usize) {
        let Some(data) = self.net.try_recv(host, self.ends[host].0, len) else { return };
        for (place, found) in (self.read[host]..).zip(&data) {
            let sent = octet(1 - host, place);
            assert_eq!(*found, sent, "octet {place} of host {host}'s stream is not what was sent");
        }
        self.read[host] += u32::try_from(data.len()).unwrap();
    }

    /// Puts the stream's own octets into a sound segment of the known connection. None: a fragment of TCP, from which
    /// such a segment could be put together.
    fn truthful(&self, to: usize, mut frame: Vec<u8>) -> Option<Bytes> {
        let (mine, peer) = (self.ends[to], self.ends[1 - to]);
        let Ok(mut ethernet) = EthernetFrame::new_checked(frame.as_mut_slice()) else {
            return Some(frame.into());
        };
        if ethernet.ethertype() != EthernetProtocol::Ipv4 {
            return Some(frame.into());
        }
        let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut()) else { return Some(frame.into()) };
        let ours =
            ip.src_addr() == v4(1 - to) && ip.dst_addr() == v4(to) && ip.next_header() == IpProtocol::Tcp;
        if !ours {
            return Some(frame.into());
        }
        if ip.more_frags() || ip.frag_offset() != 0 {
            return None;
        }
        let (from, sender) = (IpAddress::Ipv4(ip.src_addr()), 1 - to);
        let to = IpAddress::Ipv4(ip.dst_addr());
        if let Ok(mut tcp) = TcpPacket::new_checked(ip.payload_mut())
            && tcp.verify_checksum(&from, &to)
            && (tcp.src_port(), tcp.dst_port()) == (peer.1, mine.1)
        {
            // A SYN takes the place before the first octet.
            let first = (tcp.seq_number().0 as u32).wrapping_sub(peer.2);
            let first = if tcp.syn() { first } else { first.wrapping_sub(1) };
            for (n, place) in tcp.payload_mut().iter_mut().enumerate() {
                *place = octet(sender, first.wrapping_add(n as u32));
            }
            tcp.fill_checksum(&from, &to);
        }
        Some(frame.into())
    }

    fn inject(&mut self, to: usize, frame: Vec<u8>) {
        if let Some(frame) = self.truthful(to, frame) {
            self.net.inject(to, frame);
        }
    }
}

/// Right lengths and checksums for what may have been changed, as far as the headers can be read.
pub(crate) fn mend(frame: &mut [u8]) {
    let Ok(mut ethernet) = EthernetFrame::new_checked(frame) else { return };
    let kind = ethernet.ethertype();
    match kind {
        EthernetProtocol::Ipv4 => {
            let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut()) else { return };
            ip.fill_checksum();
            let (from, to, next) = (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header());
            mend_transport(next, ip.payload_mut(), from, to);
        }
        EthernetProtocol::Ipv6 => {
            let Ok(mut ip) = Ipv6Packet::new_checked(ethernet.payload_mut()) else { return };
            let (from, to, next) = (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header());
            mend_transport(next, ip.payload_mut(), from, to);
        }
        _ => {}
    }
}

fn mend_transport(next: IpProtocol, octets: &mut [u8], from: IpAddress, to: IpAddress) {
    match next {
        IpProtocol::Tcp => {
            if let Ok(mut tcp) = TcpPacket::new_checked(octets) {
                tcp.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Udp => {
            if let Ok(mut udp) = UdpPacket::new_checked(octets) {
                udp.fill_checksum(&from, &to);
            }
        }
        // ICMP (RFC 792) sums its own octets; ICMPv6 (RFC 4443 2.3) also the addresses.
        IpProtocol::Icmp | IpProtocol::Icmpv6 if octets.len() >= 4 => {
            octets[2..4].fill(0);
            let mut sum = sum_of(octets);
            if let (IpProtocol::Icmpv6, IpAddress::Ipv6(from), IpAddress::Ipv6(to)) = (next, from, to) {
                sum += sum_of(&from.octets()) + sum_of(&to.octets()) + octets.len() as u64 + 58;
            }
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            octets[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        }
        _ => {}
    }
}

fn sum_of(octets: &[u8]) -> u64 {
    octets.chunks(2).map(|c| u64::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]))).sum()
}

/// A frame of ours with a few octets changed, cut or longer.
fn changed(u: &mut Unstructured<'_>, frame: &[u8]) -> Result<Vec<u8>> {
    let mut frame = frame.to_vec();
    for _ in 0..u.int_in_range(0..=6)? {
        // The headers are more interesting than what they carry.
        let most = frame.len().saturating_sub(1);
        let at = if u.ratio(7, 8)? { u.int_in_range(0..=most.min(77))? } else { u.int_in_range(0..=most)? };
        if let Some(octet) = frame.get_mut(at) {
            *octet = u.arbitrary()?;
        }
    }
    match u.int_in_range(0..=7)? {
        0 => frame.truncate(u.int_in_range(0..=frame.len())?),
        1 => frame.extend_from_slice(octets(u, 64)?),
        _ => {}
    }
    if u.ratio(3, 4)? {
        mend(&mut frame);
    }
    Ok(frame)
}

/// An IP packet from host 0 with a sound header and anything in it.
fn packet(u: &mut Unstructured<'_>, v6_wanted: bool) -> Result<Vec<u8>> {
    let next = *u.choose(&[1u8, 2, 6, 17, 58, 0, 43, 44, 60, 255])?;
    let payload = octets(u, 200)?;
    let [m0, m1] = [mac(0).0, mac(1).0];
    let mut frame = [&m1[..], &m0, if v6_wanted { &[0x86, 0xdd] } else { &[8, 0] }].concat();
    if v6_wanted {
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((payload.len() as u16).to_be_bytes());
        frame.extend([next, u.arbitrary()?]);
        frame.extend(v6(0).octets());
        frame.extend(match u.int_in_range(0..=3)? {
            0 => core::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets(),
            1 => core::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2).octets(),
            _ => v6(1).octets(),
        });
    } else {
        let fragment: u16 = if u.ratio(1, 4)? { u.arbitrary()? } else { 0x4000 };
        frame.extend([0x45, u.arbitrary()?]);
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend(u.arbitrary::<[u8; 2]>()?);
        frame.extend(fragment.to_be_bytes());
        frame.extend([u.arbitrary()?, next, 0, 0]);
        frame.extend(v4(0).octets());
        frame.extend(*u.choose(&[v4(1).octets(), v4(1).octets(), [224, 0, 0, 99], [10, 0, 0, 255]])?);
    }
    frame.extend(payload);
    mend(&mut frame);
    Ok(frame)
}

/// A sound segment of the known connection with any numbers near the right ones, any flags, options, window, urgent
/// pointer.
fn segment(u: &mut Unstructured<'_>, scene: &Scene, to: usize) -> Result<Vec<u8>> {
    let (mine, peer) = (scene.ends[to], scene.ends[1 - to]);
    let near = |u: &mut Unstructured<'_>, base: u32| -> Result<u32> {
        Ok(match u.int_in_range(0..=5)? {
            0 => u.arbitrary()?,
            1 => base.wrapping_add(u32::from(u.arbitrary::<u16>()?)),
            2 => base.wrapping_sub(u32::from(u.arbitrary::<u16>()?)),
            _ => base.wrapping_add(u.int_in_range(0..=3)?),
        })
    };
    let seq = near(u, peer.2.wrapping_add(1 + scene.sent[1 - to]))?;
    let ack = near(u, mine.2.wrapping_add(1 + scene.sent[to]))?;
    let options = crate::options::any(u)?;
    let len = u.int_in_range(0..=600usize)?;
    let flags = u.arbitrary::<u8>()?;
    Ok(frame_of_segment(
        to,
        (peer.1, mine.1),
        (seq, ack),
        flags,
        u.arbitrary()?,
        u.arbitrary()?,
        &options,
        len,
    ))
}

/// A TCP segment from the other host, with zeros as payload.
#[expect(clippy::too_many_arguments, reason = "a header has so many fields")]
pub(crate) fn frame_of_segment(
    to: usize,
    ports: (u16, u16),
    numbers: (u32, u32),
    flags: u8,
    window: u16,
    urgent: u16,
    options: &[u8],
    len: usize,
) -> Vec<u8> {
    let header = 20 + options.len();
    let total = 20 + header + len;
    let [to_mac, from_mac] = [mac(to).0, mac(1 - to).0];
    let mut frame = [&to_mac[..], &from_mac, &[8, 0]].concat();
    frame.extend([0x45, 0]);
    frame.extend((total as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(v4(1 - to).octets());
    frame.extend(v4(to).octets());
    frame.resize(14 + total, 0);
    let mut tcp = TcpPacket::new_unchecked(&mut frame[34..]);
    tcp.set_src_port(ports.0);
    tcp.set_dst_port(ports.1);
    tcp.set_seq_number(TcpSeqNumber(numbers.0 as i32));
    tcp.set_ack_number(TcpSeqNumber(numbers.1 as i32));
    tcp.set_header_len(header as u8);
    frame[34 + 13] = flags;
    frame[34 + 14..34 + 16].copy_from_slice(&window.to_be_bytes());
    frame[34 + 18..34 + 20].copy_from_slice(&urgent.to_be_bytes());
    frame[54..54 + options.len()].copy_from_slice(options);
    mend(&mut frame);
    frame
}

/// See the head of this file.
pub(crate) fn frame_input(data: &[u8]) {
    let mut scene = Scene::new();
    // An input that is used up is no mistake.
    let _ = play(&mut Unstructured::new(data), &mut scene);
    for host in [0, 1] {
        scene.read(host, 1 << 20);
    }
    scene.net.run(Duration::from_secs(5));
    for host in [0, 1] {
        scene.read(host, 1 << 20);
        scene.net.hosts[host].snapshot_at(scene.net.now);
    }
}

fn play(u: &mut Unstructured<'_>, scene: &mut Scene) -> Result<()> {
    for _ in 0..64 {
        if u.is_empty() {
            break;
        }
        let to = usize::from(u.ratio(3, 4)?);
        match u.int_in_range(0..=11)? {
            0 => {
                let frame = octets(u, 300)?.to_vec();
                scene.inject(to, frame);
            }
            1..=3 => {
                let frames: Vec<Bytes> =
                    scene.net.log.iter().filter(|(by, _)| *by != to).map(|(_, f)| f.clone()).collect();
                if !frames.is_empty() {
                    let frame = u.choose(&frames)?;
                    let frame = changed(u, frame)?;
                    scene.inject(to, frame);
                }
            }
            4 | 5 => {
                let frame = segment(u, scene, to)?;
                scene.inject(to, frame);
            }
            6 => {
                let v6_wanted = u.arbitrary()?;
                let frame = packet(u, v6_wanted)?;
                scene.inject(1, frame);
            }
            7 => scene.send(to, u.int_in_range(1..=5000)?),
            8 => scene.read(to, u.int_in_range(1..=5000)?),
            9 => {
                let fd = *u.choose(&scene.others)?;
                scene.net.try_recv(1, fd, 2000);
                let _ = scene.net.call(1, Call::Accept { fd, timeout: Some(Duration::ZERO) });
            }
            10 => {
                let (family, to): (i32, IpAddr) =
                    if u.arbitrary()? { (AF_INET, v4(1).into()) } else { (AF_INET6, v6(1).into()) };
                let fd = scene.net.socket(0, family, DGRAM, 0);
                let data = Bytes::copy_from_slice(octets(u, 3000)?);
                let addr = at(to, *u.choose(&[5000, 5001, 5002, 9])?);
                let _ = scene.net.call(0, Call::SendTo { fd, data, flags: 0, addr, timeout: None });
                scene.net.call(0, Call::Close { fd }).unwrap();
            }
            _ => {
                let time = *u.choose(&[0, 1, 2, 10, 40, 200, 1000, 4000, 70_000])?;
                scene.net.run(Duration::from_millis(time));
            }
        }
    }
    Ok(())
}
