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
    let options = SYN_OPTIONS.to_vec();
    let syn_ack = Tcp {
        from: SERVER,
        to: CLIENT,
        flags: "SA",
        seq: 9000,
        ack: 1001,
        window: 65160,
        options,
        ..Tcp::default()
    };
    vec![(0, syn(1000)), (10, tcp(&syn_ack)), (20, client("A", 1, 1, b""))]
}

fn then(mut capture: Capture, more: Capture) -> Capture {
    capture.extend(more);
    capture
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
