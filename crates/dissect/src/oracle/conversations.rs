//! Conversations of TCP made segment by segment.

use super::captures::Capture;
use crate::frames::{self, Tcp, tcp};

pub(super) const CLIENT: (u8, u16) = (11, 13401);
const SERVER: (u8, u16) = (80, 7007);
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

fn client(flags: &'static str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let ack = if flags.contains('A') { 9001 + ack - 1 } else { 0 };
    tcp(&Tcp {
        from: CLIENT,
        to: SERVER,
        flags,
        seq: 1000 + seq,
        ack,
        window: 502,
        data: data.to_vec(),
        ..Tcp::default()
    })
}

fn server(flags: &'static str, seq: u32, ack: u32, window: u16, data: &[u8]) -> Vec<u8> {
    tcp(&Tcp {
        from: SERVER,
        to: CLIENT,
        flags,
        seq: 9000 + seq,
        ack: 1000 + ack,
        window,
        data: data.to_vec(),
        ..Tcp::default()
    })
}

fn syn(isn: u32) -> Vec<u8> {
    let options = SYN_OPTIONS.to_vec();
    tcp(&Tcp { from: CLIENT, to: SERVER, flags: "S", seq: isn, window: 64240, options, ..Tcp::default() })
}

fn handshake() -> Capture {
    handshake_at(SERVER.1, CLIENT.1)
}

fn handshake_at(server: u16, client: u16) -> Capture {
    let (client, server) = ((CLIENT.0, client), (SERVER.0, server));
    let options = SYN_OPTIONS.to_vec();
    let syn = Tcp {
        from: client,
        to: server,
        flags: "S",
        seq: 1000,
        window: 64240,
        options: options.clone(),
        ..Tcp::default()
    };
    let syn_ack = Tcp {
        from: server,
        to: client,
        flags: "SA",
        seq: 9000,
        ack: 1001,
        window: 65160,
        options,
        ..Tcp::default()
    };
    let ack =
        Tcp { from: client, to: server, flags: "A", seq: 1001, ack: 9001, window: 502, ..Tcp::default() };
    vec![(0, tcp(&syn)), (10, tcp(&syn_ack)), (20, tcp(&ack))]
}

fn then(mut capture: Capture, more: Capture) -> Capture {
    capture.extend(more);
    capture
}

/// Whether the client speaks, octets that come one by one, and what comes after them.
type Turn = (bool, &'static [u8], &'static [&'static [u8]]);

/// HTTP of which each segment brings one octet, and a line at its port that takes long to end.
pub(super) fn octet_by_octet() -> Capture {
    // Octets one by one, and then what comes at once. (tshark gives up where the size of a chunk comes in two pieces.)
    let dialogue: [Turn; 4] = [
        (true, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &[]),
        (
            false,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r",
            &[b"\n3\r\na", b"b", b"c\r", b"\n1\r\nd\r\n4\r\n", b"abcd\r\n0\r\n\r\n"],
        ),
        (true, b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nx=\n\n", &[]),
        (false, b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nab", &[]),
    ];
    let mut capture = handshake_at(80, 13401);
    let (mut seq, mut ack) = (1001, 9001);
    for (asks, octets, parts) in dialogue {
        for part in octets.chunks(1).chain(parts.iter().copied()) {
            let own = if asks { &mut seq } else { &mut ack };
            let at = *own;
            *own += part.len() as u32;
            capture.push((capture.len() as u64 * 10, http(asks, 13401, (at, seq, ack), part)));
        }
    }
    capture.extend(handshake_at(80, 13402).into_iter().map(|(ms, frame)| (5000 + ms, frame)));
    let text: [&[u8]; 5] = [b"temperature ", b"21,5 ", b"and ", b"falling\n", b"GET / HTTP/1.0\r\n\r\n"];
    let mut seq = 1001;
    for (part, ms) in text.into_iter().zip((5100..).step_by(10)) {
        capture.push((ms, http(true, 13402, (seq, seq, 9001), part)));
        seq += part.len() as u32;
    }
    capture
}

/// A segment to or from port 80, with the sequence number and what both sides have sent.
fn http(asks: bool, port: u16, (at, seq, ack): (u32, u32, u32), data: &[u8]) -> Vec<u8> {
    let (client, server) = ((11, port), (80, 80));
    let (from, to, ack) = if asks { (client, server, ack) } else { (server, client, seq) };
    tcp(&Tcp { from, to, flags: "A", seq: at, ack, window: 502, data: data.to_vec(), ..Tcp::default() })
}

pub(super) fn captures() -> Vec<(&'static str, Capture)> {
    let quoted = frames::packet(11, 80, 17, &frames::datagram((11, 40000), (80, 9999), b"hej"));
    let sack = [1, 1, 5, 18, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0].to_vec();
    vec![
        (
            "conversation",
            then(
                handshake(),
                vec![
                    (30, client("PA", 1, 1, "21,5 °C\n".as_bytes())),
                    (40, server("A", 1, 10, 509, b"")),
                    (50, server("PA", 1, 10, 509, b"hej")),
                    (60, client("A", 10, 4, b"")),
                    (70, client("FA", 10, 4, b"")),
                    (80, server("FA", 4, 11, 509, b"")),
                    (90, client("A", 11, 5, b"")),
                ],
            ),
        ),
        (
            "refused",
            vec![(0, syn(1000)), (1, server("RA", 0, 1, 0, b"")), (900, syn(77_000)), (905, syn(77_000))],
        ),
        ("reset", then(handshake(), vec![(30, client("R", 1, 0, b""))])),
        (
            "lost and sent again",
            then(
                handshake(),
                vec![
                    (30, client("PA", 1, 1, b"aaaa")),
                    (31, client("PA", 5, 1, b"bbbb")),
                    (230, client("PA", 1, 1, b"aaaa")),
                    (240, server("A", 1, 9, 509, b"")),
                    (500, client("PA", 1, 1, b"aaaa")),
                ],
            ),
        ),
        (
            "fast retransmission",
            then(
                handshake(),
                vec![
                    (30, client("A", 1, 1, b"aaaa")),
                    (31, client("A", 5, 1, b"bbbb")),
                    (32, client("A", 9, 1, b"cccc")),
                    (33, client("A", 13, 1, b"dddd")),
                    (40, server("A", 1, 5, 509, b"")),
                    (41, server("A", 1, 5, 509, b"")),
                    (42, server("A", 1, 5, 509, b"")),
                    (43, server("A", 1, 5, 509, b"")),
                    (44, client("A", 5, 1, b"bbbb")),
                    (54, server("A", 1, 17, 509, b"")),
                ],
            ),
        ),
        (
            "hole and out of order",
            then(
                handshake(),
                vec![
                    (30, client("A", 1, 1, b"aaaa")),
                    (31, client("A", 9, 1, b"cccc")),
                    (32, client("A", 5, 1, b"bbbb")),
                    (33, client("A", 21, 1, b"ffff")),
                    (40, server("A", 1, 40, 509, b"")),
                ],
            ),
        ),
        (
            "windows",
            then(
                handshake(),
                vec![
                    (30, client("PA", 1, 1, &[b'x'; 128])),
                    (40, server("A", 1, 129, 1, b"")),
                    (50, client("PA", 129, 1, &[b'x'; 128])),
                    (60, server("A", 1, 257, 0, b"")),
                    (300, client("A", 257, 1, b"y")),
                    (310, server("A", 1, 257, 0, b"")),
                    (320, server("A", 1, 257, 400, b"")),
                    (330, client("PA", 257, 1, b"yz")),
                ],
            ),
        ),
        (
            "keep-alive",
            then(
                handshake(),
                vec![
                    (30, client("PA", 1, 1, b"aaaa")),
                    (40, server("A", 1, 5, 509, b"")),
                    (5000, client("A", 4, 1, b"")),
                    (5010, server("A", 1, 5, 509, b"")),
                ],
            ),
        ),
        (
            "address resolution, ping, datagrams and errors",
            vec![
                (0, frames::arp_request(11, 80)),
                (1, frames::arp_reply(80, 11)),
                (2, frames::arp_request(11, 11)),
                (3, frames::icmp(11, 80, 8, 0, [0, 7, 0, 1], b"abcdefgh")),
                (4, frames::icmp(80, 11, 0, 0, [0, 7, 0, 1], b"abcdefgh")),
                (5, frames::udp((11, 40000), (80, 9999), "blåbär".as_bytes())),
                (6, frames::icmp(80, 11, 3, 3, [0; 4], &quoted)),
                (7, frames::icmp(80, 11, 3, 1, [0; 4], &quoted)),
                (8, frames::icmp(80, 11, 3, 13, [0; 4], &quoted)),
                (9, frames::icmp(80, 11, 11, 0, [0; 4], &quoted)),
                (10, frames::icmp(80, 11, 3, 4, [0, 0, 5, 0], &quoted)),
            ],
        ),
        (
            "selective acknowledgement",
            then(
                handshake(),
                vec![(
                    30,
                    tcp(&Tcp {
                        from: SERVER,
                        to: CLIENT,
                        flags: "A",
                        seq: 9001,
                        ack: 1001,
                        window: 509,
                        options: sack,
                        ..Tcp::default()
                    }),
                )],
            ),
        ),
    ]
}
