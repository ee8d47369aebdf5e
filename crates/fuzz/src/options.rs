//! TCP options of a hostile neighbour: a SYN with any options at a listener, then segments with any options on the
//! connection. What is agreed must be what Linux's `tcp_parse_options` makes of the same octets; what goes out must be
//! well-formed, and name nothing that was not offered.

use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use smoltcp::wire::{EthernetFrame, Ipv4Packet, TcpPacket};
use socketlab_stack::{Call, Ret};

use crate::frames::frame_of_segment;
use crate::net::{AF_INET, Net, at, octets, v4};

const PORT: u16 = 80;
const FROM: u16 = 40_000;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The options of one header as Linux reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Read {
    mss: Option<u16>,
    scale: Option<u8>,
    sack_permitted: bool,
    timestamps: Option<(u32, u32)>,
    sack: Vec<(u32, u32)>,
    /// Every octet belongs to an option of the length it should have.
    sound: bool,
}

/// `tcp_parse_options` of Linux 6: an option of a length that its kind does not have is passed over; one that is cut
/// off ends it.
fn read(mut octets: &[u8]) -> Read {
    let mut read = Read { sound: true, ..Read::default() };
    let number = |octets: &[u8], at: usize| {
        octets.get(at..at + 4).map_or(0, |o| u32::from_be_bytes([o[0], o[1], o[2], o[3]]))
    };
    while let [kind, rest @ ..] = octets {
        match kind {
            0 => {
                read.sound &= rest.iter().all(|octet| *octet == 0);
                return read;
            }
            1 => {
                octets = rest;
                continue;
            }
            _ => {}
        }
        let len = rest.first().map_or(0, |len| usize::from(*len));
        if len < 2 || len > octets.len() {
            read.sound = false;
            return read;
        }
        let body = &octets[2..len];
        match (kind, body) {
            (2, [a, b]) => read.mss = Some(u16::from_be_bytes([*a, *b])).filter(|mss| *mss > 0).or(read.mss),
            (3, [shift]) => read.scale = Some((*shift).min(14)),
            (4, []) => read.sack_permitted = true,
            (5, body) if !body.is_empty() && body.len().is_multiple_of(8) => {
                read.sack = body.chunks(8).map(|block| (number(block, 0), number(block, 4))).collect();
            }
            (8, body) if body.len() == 8 => read.timestamps = Some((number(body, 0), number(body, 4))),
            _ => read.sound = false,
        }
        octets = &octets[len..];
    }
    read
}

/// What a host of ours writes is well-formed, in whole words.
pub(crate) fn check_written(octets: &[u8]) {
    assert!(octets.len().is_multiple_of(4), "options fill whole words");
    let read = read(octets);
    assert!(read.sound, "options that go out are broken: {octets:02x?}");
    assert!(
        read.sack.iter().all(|(left, right)| left != right),
        "an empty SACK block goes out: {octets:02x?}"
    );
}

/// Any options, as often well-formed as not, in whole words and at most 40 octets.
pub(crate) fn any(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < 40 && !u.ratio(1, 4)? {
        match u.int_in_range(0..=8)? {
            0 => all.extend([1]),
            1 => all.extend([&[2, 4][..], &u.arbitrary::<[u8; 2]>()?].concat()),
            2 => all.extend([3, 3, u.arbitrary()?]),
            3 => all.extend([4, 2]),
            4 => {
                let blocks = u.int_in_range(1..=4u8)?;
                all.extend([5, 2 + 8 * blocks]);
                for _ in 0..2 * blocks {
                    all.extend(u.arbitrary::<[u8; 4]>()?);
                }
            }
            5 => all.extend([&[8, 10][..], &u.arbitrary::<[u8; 8]>()?].concat()),
            6 => all.extend(u.arbitrary::<[u8; 2]>()?),
            7 => all.extend(octets(u, 8)?),
            _ => all.push(0),
        }
    }
    all.truncate(40);
    all.resize(all.len().next_multiple_of(4), u.int_in_range(0..=1)?);
    Ok(all)
}

/// See the head of this file.
pub(crate) fn tcp_options(data: &[u8]) {
    // An input that is used up is no mistake.
    let _ = play(&mut Unstructured::new(data));
}

fn play(u: &mut Unstructured<'_>) -> Result<()> {
    let mut net = Net::new(true);
    let listener = net.listener(1, AF_INET, at(v4(1), PORT));
    // The other host has no such connection and would reset it: it stays unplugged, but answers the question who it is.
    let poke = net.bound(0, AF_INET, crate::net::DGRAM, at(v4(0), 9));
    let hello = Call::SendTo {
        fd: poke,
        data: Bytes::from_static(b"hello"),
        flags: 0,
        addr: at(v4(1), 9),
        timeout: None,
    };
    let _ = net.call(0, hello);
    net.run(Duration::from_millis(10));
    net.unplugged = Some(0);

    let offered = any(u)?;
    let iss: u32 = u.arbitrary()?;
    let frame = |numbers, flags, window, options: &[u8], len| {
        Bytes::from(frame_of_segment(1, (FROM, PORT), numbers, flags, window, 0, options, len))
    };
    net.log.clear();
    net.inject(1, frame((iss, 0), SYN, u.arbitrary()?, &offered, 0));
    let offered = read(&offered);
    let Some((irs, answer)) = syn_ack(&net) else { return Ok(()) };
    assert!(answer.mss.is_some(), "a SYN names an MSS");
    assert_eq!(answer.scale.is_some(), offered.scale.is_some(), "window scale, as offered: {offered:?}");
    assert_eq!(answer.sack_permitted, offered.sack_permitted, "SACK, as offered: {offered:?}");
    assert_eq!(answer.timestamps.map(|t| t.1), offered.timestamps.map(|t| t.0), "timestamps echo");

    let ours = answer.timestamps.map(|(value, _)| value);
    let stamp = |later: u32| -> Vec<u8> {
        let Some((theirs, ours)) = offered.timestamps.map(|t| t.0).zip(ours) else { return Vec::new() };
        let mut octets = vec![1, 1, 8, 10];
        octets.extend(theirs.wrapping_add(later).to_be_bytes());
        octets.extend(ours.to_be_bytes());
        octets
    };
    let first = iss.wrapping_add(1);
    net.inject(1, frame((first, irs.wrapping_add(1)), ACK, 0xffff, &stamp(1), 0));
    let Ok(Ret::Accepted(fd, _)) = net.call(1, Call::Accept { fd: listener, timeout: Some(Duration::ZERO) })
    else {
        panic!("a connection whose handshake is over can be accepted; offered {offered:?}");
    };
    let tcb = net.snapshot(1, fd).unwrap().tcb.unwrap();
    assert_eq!(tcb.window_scale.map(|s| s.1), offered.scale, "the peer's shift");
    assert_eq!(tcb.sack_permitted, offered.sack_permitted);
    assert_eq!(tcb.timestamps, offered.timestamps.is_some());
    // RFC 9293 3.7.1; Linux holds to 48 octets at least (`TCP_MIN_SND_MSS`).
    let peer_mss = u32::from(offered.mss.unwrap_or(536)).clamp(48, 1460);
    assert!(tcb.snd_mss <= peer_mss, "{} octets in a segment, the peer takes {peer_mss}", tcb.snd_mss);

    let mut place = first;
    for _ in 0..24 {
        if u.is_empty() {
            break;
        }
        let options = any(u)?;
        let flags = ACK | (u.arbitrary::<u8>()? & 0b1110_1000);
        let len = u.int_in_range(0..=100u32)?;
        let seq = if u.ratio(1, 4)? { place.wrapping_add(u.int_in_range(0..=3000)?) } else { place };
        let ack =
            irs.wrapping_add(1).wrapping_add(if u.ratio(1, 4)? { u.int_in_range(0..=9000)? } else { 0 });
        net.inject(1, frame((seq, ack), flags, u.arbitrary()?, &options, len as usize));
        if u.ratio(1, 3)? {
            let data = Bytes::from(vec![b'x'; u.int_in_range(1..=4000)?]);
            let _ = net.call(1, Call::Send { fd, data, flags: 0x40, timeout: None });
        }
        if let Some(tcb) = net.snapshot(1, fd).and_then(|socket| socket.tcb) {
            place = tcb.rcv_nxt;
            assert_eq!(tcb.sack_permitted, offered.sack_permitted, "only a SYN agrees on SACK");
        }
        net.run(Duration::from_millis(*u.choose(&[0, 1, 50, 300])?));
        let _ = net.try_recv(1, fd, 1000);
    }
    net.run(Duration::from_secs(3));
    Ok(())
}

/// Initial sequence number and options of the SYN,ACK that went out last.
fn syn_ack(net: &Net) -> Option<(u32, Read)> {
    net.log.iter().rev().filter(|(by, _)| *by == 1).find_map(|(_, frame)| {
        let ethernet = EthernetFrame::new_checked(frame.as_ref()).ok()?;
        let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
        let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
        (tcp.syn() && tcp.ack()).then(|| (tcp.seq_number().0 as u32, read(tcp.options())))
    })
}
