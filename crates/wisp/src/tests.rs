//! Byte vectors from the specification, every way to cut a packet short, and a client and a server that talk to each
//! other over a slow line.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::{
    Client, ClientEvent, Extension, Limits, Packet, ParseError, Reason, Request, Server, StreamId,
    StreamKind, Violation,
    client::{FINISH_LINGER, MAX_PAYLOAD, OPEN_ASSUMED_AFTER, SEND_BUFFER},
    packet::data_header,
};

const START: Duration = Duration::ZERO;

fn octets(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn samples() -> Vec<(&'static str, Packet)> {
    let stream = StreamId(0x0102_0304);
    let host = "räksmörgås.example".to_owned();
    vec![
        (
            "01 04030201 01 5000 72c3a46b736dc3b67267c3a5732e6578616d706c65",
            Packet::Connect { stream, kind: StreamKind::Tcp, port: 80, host },
        ),
        (
            "01 ffffffff 02 3500 3a3a31",
            Packet::Connect {
                stream: StreamId(u32::MAX),
                kind: StreamKind::Udp,
                port: 53,
                host: "::1".into(),
            },
        ),
        ("01 01000000 01 0000", {
            Packet::Connect { stream: StreamId(1), kind: StreamKind::Tcp, port: 0, host: String::new() }
        }),
        ("02 04030201 68656a00", Packet::Data { stream, bytes: Bytes::from_static(b"hej\0") }),
        ("02 04030201", Packet::Data { stream, bytes: Bytes::new() }),
        ("03 00000000 80000000", Packet::Continue { stream: StreamId::CONNECTION, credit: 128 }),
        ("04 04030201 44", Packet::Close { stream, reason: Reason::REFUSED }),
        ("04 04030201 ee", Packet::Close { stream, reason: Reason(0xee) }),
        (
            "05 00000000 02 00 01 00000000 04 03000000 686570",
            Packet::Info {
                stream: StreamId::CONNECTION,
                major: 2,
                minor: 0,
                extensions: vec![
                    Extension { id: 1, metadata: Bytes::new() },
                    Extension { id: 4, metadata: Bytes::from_static(b"hep") },
                ],
            },
        ),
    ]
}

#[test]
fn packets_are_the_specifications_octets_both_ways() {
    for (hex, packet) in samples() {
        assert_eq!(packet.emit(), octets(hex), "{packet:?}");
        assert_eq!(Packet::parse(octets(hex)), Ok(packet));
    }
    assert_eq!(&data_header(StreamId(0x0102_0304)), &octets("02 04030201")[..]);
}

#[test]
fn errors_name_the_field_and_the_offset() {
    let truncated = |field, offset, needed, len| Err(ParseError::Truncated { field, offset, needed, len });
    let check = |hex: &str, expected: Result<Packet, ParseError>| {
        assert_eq!(Packet::parse(octets(hex)), expected, "{hex}");
    };
    check("", truncated("packet type", 0, 1, 0));
    check("02 010000", truncated("stream id", 1, 5, 4));
    check("01 01000000", truncated("stream type", 5, 6, 5));
    check("01 01000000 01 50", truncated("port", 6, 8, 7));
    check("03 01000000 800000", truncated("buffer remaining", 5, 9, 8));
    check("04 01000000", truncated("close reason", 5, 6, 5));
    check("05 00000000 02", truncated("minor version", 6, 7, 6));
    check("05 00000000 02 00 01 0100", truncated("extension length", 8, 12, 10));
    check("05 00000000 02 00 01 ffffffff 00", {
        truncated("extension metadata", 12, 12usize.saturating_add(0xffff_ffff), 13)
    });
    check("04 01000000 02 02 02", Err(ParseError::TooLong { offset: 6, extra: 2 }));
    check("03 01000000 80000000 00", Err(ParseError::TooLong { offset: 9, extra: 1 }));
    check("00 01000000", Err(ParseError::UnknownType { kind: 0 }));
    check("ef 01000000", Err(ParseError::UnknownType { kind: 0xef }));
    check("f8 01000000", Err(ParseError::UnknownType { kind: 0xf8 }));
    check("01 07000000 03 5000 61", Err(ParseError::UnknownStreamType { stream: StreamId(7), kind: 3 }));
    check("01 07000000 01 5000 61ff62", Err(ParseError::HostNotUtf8 { stream: StreamId(7), offset: 9 }));
}

/// A small generator: the same numbers in every run (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

#[test]
fn no_octets_make_it_panic_and_what_parses_comes_back_as_it_was() {
    let mut numbers = Numbers(7);
    for round in 0..200_000 {
        let length = numbers.below(40);
        let mut message: Vec<u8> = (0..length).map(|_| numbers.next().to_le_bytes()[0]).collect();
        if let Some(first) = message.first_mut()
            && round % 4 != 0
        {
            *first = 1 + *first % 5;
        }
        if let Ok(packet) = Packet::parse(Bytes::from(message.clone())) {
            assert_eq!(packet.emit(), message, "{packet:?}");
        }
    }
    for (_, packet) in samples() {
        let whole = packet.emit();
        for end in 0..whole.len() {
            match Packet::parse(whole.slice(..end)) {
                Ok(shorter) => assert_eq!(shorter.emit(), whole.slice(..end)),
                Err(error) => assert!(error.offset() <= end, "{error}"),
            }
        }
    }
}

#[test]
fn no_messages_make_either_end_panic_or_lose_count() {
    let mut numbers = Numbers(11);
    for _ in 0..200 {
        let mut server = Server::new(Limits { credit: 2, streams: 3, datagrams: 2, questions: 2 });
        let mut client = Client::new();
        let (mut open, mut waiting) = (Vec::new(), VecDeque::new());
        for _ in 0..200 {
            // Few streams and short packets, so that they meet each other.
            let length = [5, 6, 9, 12][numbers.below(4)];
            let mut message: Vec<u8> = (0..length).map(|_| numbers.next().to_le_bytes()[0] % 4).collect();
            message[0] = [1, 1, 2, 2, 2, 2, 3, 4, 5, 6][numbers.below(10)];
            message[2..5].fill(0);
            let message = Bytes::from(message);
            let now = Duration::from_millis(numbers.next() % 10_000);
            let _ = client.handle_message(now, message.clone());
            match numbers.below(6) {
                0 => drop(client.open_tcp(now, "a", 1)),
                1 => drop(client.send(StreamId(1), &[1; 100])),
                2 => client.finish(now, StreamId(1)),
                3 => client.close(StreamId(2), Reason::VOLUNTARY),
                4 => client.handle_timeout(now),
                _ => drop(client.poll_message()),
            }
            match server.handle_message(message) {
                Ok(Request::Open { stream, .. }) => open.push(stream),
                Ok(Request::Data { stream, bytes }) => {
                    let key = open.iter().rev().find(|key| key.id == stream).copied().unwrap();
                    waiting.push_back((key, bytes.len()));
                }
                _ => {}
            }
            match numbers.below(4) {
                0 => {
                    if let Some((key, octets)) = waiting.pop_front() {
                        server.consumed(key, octets);
                    }
                }
                1 if !open.is_empty() => drop(server.close(open[numbers.below(open.len())])),
                _ => {}
            }
            assert!(server.open_streams() <= 3);
            assert!(server.queued_octets() <= 3 * 4 * 7, "{}", server.queued_octets());
        }
        for key in open {
            server.close(key);
        }
        assert_eq!(server.queued_octets(), 0);
        assert_eq!(server.open_streams(), 0);
    }
}

fn events(client: &mut Client) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn sent(client: &mut Client) -> Vec<Packet> {
    std::iter::from_fn(|| client.poll_message()).map(|message| Packet::parse(message).unwrap()).collect()
}

fn tell(client: &mut Client, packet: Packet) {
    client.handle_message(START, packet.emit()).unwrap();
}

/// A client that has been greeted, and a TCP stream of it that is connected. Credit 2.
fn connected() -> (Client, StreamId) {
    let mut client = Client::new();
    tell(&mut client, Packet::Continue { stream: StreamId::CONNECTION, credit: 2 });
    let stream = client.open_tcp(START, "echo.example", 7).unwrap();
    tell(&mut client, Packet::Continue { stream, credit: 2 });
    assert_eq!(events(&mut client), [ClientEvent::Ready { credit: 2 }, ClientEvent::Opened { stream }]);
    sent(&mut client);
    (client, stream)
}

#[test]
fn nothing_is_sent_before_the_greeting() {
    let mut client = Client::new();
    let stream = client.open_tcp(START, "echo.example", 7).unwrap();
    assert_eq!(client.send(stream, b"hej"), 3);
    assert_eq!(client.poll_message(), None);
    assert_eq!(client.poll_timeout(), None, "no time runs while the relay is not there");

    tell(&mut client, Packet::Continue { stream: StreamId::CONNECTION, credit: 128 });
    assert_eq!(
        sent(&mut client),
        [
            Packet::Connect { stream, kind: StreamKind::Tcp, port: 7, host: "echo.example".into() },
            Packet::Data { stream, bytes: Bytes::from_static(b"hej") },
        ]
    );
}

#[test]
fn without_credit_octets_wait_and_leave_in_full_packets() {
    let (mut client, stream) = connected();
    assert_eq!(client.send(stream, b"a"), 1);
    assert_eq!(client.send(stream, b"b"), 1);
    assert_eq!(sent(&mut client).len(), 2);
    assert_eq!(events(&mut client), [ClientEvent::Writable { stream, octets: 2 }]);

    for _ in 0..MAX_PAYLOAD + 1 {
        assert_eq!(client.send(stream, b"c"), 1);
    }
    assert!(sent(&mut client).is_empty(), "the credit is used up");
    let rest = vec![b'd'; SEND_BUFFER];
    assert_eq!(client.send(stream, &rest), SEND_BUFFER - MAX_PAYLOAD - 1, "the buffer has an end");
    assert_eq!(client.room(stream), 0);

    tell(&mut client, Packet::Continue { stream, credit: 1 });
    assert_eq!(
        sent(&mut client),
        [Packet::Data { stream, bytes: Bytes::from(vec![b'c'; MAX_PAYLOAD]) }],
        "one packet, and it is full"
    );
    assert_eq!(events(&mut client), [ClientEvent::Writable { stream, octets: MAX_PAYLOAD }]);
    assert_eq!(client.room(stream), MAX_PAYLOAD);
}

#[test]
fn a_close_waits_for_the_octets_before_it_and_silences_the_stream() {
    let (mut client, stream) = connected();
    client.send(stream, &vec![1; 3 * MAX_PAYLOAD]);
    client.close(stream, Reason::VOLUNTARY);
    assert_eq!(sent(&mut client).len(), 2, "two packets of credit");
    tell(&mut client, Packet::Data { stream, bytes: Bytes::from_static(b"late") });
    tell(&mut client, Packet::Continue { stream, credit: 2 });
    let last = sent(&mut client);
    assert_eq!(last.len(), 2);
    assert_eq!(last[1], Packet::Close { stream, reason: Reason::VOLUNTARY });
    assert_eq!(events(&mut client), []);

    let (mut client, stream) = connected();
    client.send(stream, &vec![1; 3 * MAX_PAYLOAD]);
    sent(&mut client);
    client.abort(stream, Reason::NETWORK_ERROR);
    assert_eq!(sent(&mut client), [Packet::Close { stream, reason: Reason::NETWORK_ERROR }]);
}

#[test]
fn a_refused_stream_says_why_and_was_never_open() {
    let mut client = Client::new();
    tell(&mut client, Packet::Continue { stream: StreamId::CONNECTION, credit: 2 });
    let stream = client.open_tcp(START, "192.0.2.1", 80).unwrap();
    tell(&mut client, Packet::Close { stream, reason: Reason::BLOCKED });
    let closed = ClientEvent::Closed { stream, reason: Reason::BLOCKED, opened: false };
    assert_eq!(events(&mut client), [ClientEvent::Ready { credit: 2 }, closed]);
    assert_eq!(client.send(stream, b"x"), 0);
}

#[test]
fn a_relay_that_does_not_confirm_is_believed_after_a_while() {
    let mut client = Client::new();
    tell(&mut client, Packet::Continue { stream: StreamId::CONNECTION, credit: 2 });
    let stream = client.open_tcp(START, "echo.example", 7).unwrap();
    events(&mut client);
    assert_eq!(client.poll_timeout(), Some(OPEN_ASSUMED_AFTER));
    client.handle_timeout(OPEN_ASSUMED_AFTER - Duration::from_nanos(1));
    assert_eq!(events(&mut client), []);
    client.handle_timeout(OPEN_ASSUMED_AFTER);
    assert_eq!(events(&mut client), [ClientEvent::Opened { stream }]);
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn finishing_leaves_time_for_the_answer() {
    let (mut client, stream) = connected();
    client.finish(START, stream);
    assert_eq!(client.room(stream), 0, "nothing more can be sent");
    let answered = Duration::from_secs(1);
    client
        .handle_message(answered, Packet::Data { stream, bytes: Bytes::from_static(b"hej") }.emit())
        .unwrap();
    client.handle_timeout(FINISH_LINGER);
    assert_eq!(sent(&mut client), [], "the answer started the wait again");
    assert_eq!(client.poll_timeout(), Some(answered + FINISH_LINGER));
    client.handle_timeout(answered + FINISH_LINGER);
    assert_eq!(sent(&mut client), [Packet::Close { stream, reason: Reason::VOLUNTARY }]);
    assert_eq!(
        events(&mut client),
        [
            ClientEvent::Data { stream, bytes: Bytes::from_static(b"hej") },
            ClientEvent::Closed { stream, reason: Reason::VOLUNTARY, opened: true },
        ]
    );
}

#[test]
fn a_lost_websocket_closes_every_stream_once() {
    let (mut client, stream) = connected();
    let second = client.open_udp("dns.example", 53).unwrap();
    assert_eq!(events(&mut client), [ClientEvent::Opened { stream: second }], "UDP is open at once");
    client.handle_lost();
    client.handle_lost();
    let reason = Reason::NETWORK_ERROR;
    assert_eq!(
        events(&mut client),
        [
            ClientEvent::Closed { stream, reason, opened: true },
            ClientEvent::Closed { stream: second, reason, opened: true },
            ClientEvent::Ended { reason },
        ]
    );
    assert!(client.open_tcp(START, "x.example", 1).is_err());
    assert!(!client.send_datagram(second, b"x"));
}

fn violation(messages: &[&str]) -> Violation {
    let mut server = Server::new(Limits::default());
    let (last, before) = messages.split_last().unwrap();
    for hex in before {
        server.handle_message(octets(hex)).unwrap();
    }
    server.handle_message(octets(last)).unwrap_err()
}

#[test]
fn a_client_that_breaks_the_rules_is_told_which() {
    let open = "01 01000000 01 5000 61";
    assert_eq!(violation(&["01 00000000 01 5000 61"]), Violation::StreamZero);
    assert_eq!(violation(&["01 00000000 09 5000 61"]), Violation::StreamZero);
    assert_eq!(violation(&["02 00000000 61"]), Violation::StreamZero);
    assert_eq!(violation(&[open, open]), Violation::StreamInUse(StreamId(1)));
    assert_eq!(violation(&[open, "03 01000000 80000000"]), Violation::Continue);
    assert_eq!(violation(&["05 00000000 02 00"]), Violation::Info);
    assert_eq!(violation(&["09 01000000"]), Violation::Parse(ParseError::UnknownType { kind: 9 }));

    let mut server = Server::new(Limits::default());
    assert_eq!(
        server.handle_message(octets("02 09000000 61")),
        Ok(Request::Ignore),
        "it may have crossed our CLOSE"
    );
    assert_eq!(server.handle_message(octets("04 09000000 02")), Ok(Request::Ignore));
    let invalid = server.handle_message(octets("01 01000000 07 5000 61")).unwrap();
    assert!(matches!(invalid, Request::Refuse { reason: Reason::INVALID, .. }), "{invalid:?}");
    assert_eq!(server.open_streams(), 0);
}

#[test]
fn streams_and_what_waits_are_bounded() {
    let limits = Limits { credit: 4, streams: 2, datagrams: 3, questions: 2 };
    let mut server = Server::new(limits);
    let connect = |id, kind| Packet::Connect { stream: StreamId(id), kind, port: 1, host: "h".into() }.emit();
    let data = |id| Packet::Data { stream: StreamId(id), bytes: Bytes::from_static(b"12345") }.emit();
    server.handle_message(connect(1, StreamKind::Tcp)).unwrap();
    server.handle_message(connect(2, StreamKind::Udp)).unwrap();
    let third = server.handle_message(connect(3, StreamKind::Tcp)).unwrap();
    assert!(matches!(third, Request::Refuse { reason: Reason::THROTTLED, .. }), "{third:?}");

    // Four by the greeting, three by the CONTINUE of the opening.
    for _ in 0..7 {
        assert!(matches!(server.handle_message(data(1)).unwrap(), Request::Data { .. }), "credit and slack");
    }
    assert_eq!(server.queued_octets(), 35);
    let eighth = server.handle_message(data(1)).unwrap();
    assert!(
        matches!(eighth, Request::Refuse { stream: StreamId(1), reason: Reason::THROTTLED, .. }),
        "{eighth:?}"
    );
    assert_eq!(server.queued_octets(), 0, "what waited is forgotten with its stream");

    for _ in 0..3 {
        assert!(matches!(server.handle_message(data(2)).unwrap(), Request::Data { .. }));
    }
    assert_eq!(server.handle_message(data(2)), Ok(Request::Ignore), "a datagram too many is lost");
}

#[test]
fn a_late_report_does_not_touch_the_next_use_of_a_number() {
    let mut server = Server::new(Limits { credit: 2, ..Limits::default() });
    let connect =
        Packet::Connect { stream: StreamId(1), kind: StreamKind::Tcp, port: 1, host: "h".into() }.emit();
    let open = |server: &mut Server| match server.handle_message(connect.clone()).unwrap() {
        Request::Open { stream, .. } => stream,
        other => panic!("{other:?}"),
    };
    let first = open(&mut server);
    assert!(server.close(first));
    let second = open(&mut server);
    assert_eq!(server.consumed(first, 5), None);
    assert!(!server.close(first));
    assert_eq!(server.opened(second), Some(Packet::Continue { stream: StreamId(1), credit: 2 }));
}

/// A long line with a target that takes packets at its own, uneven pace: all arrives, in order, and the client never
/// gets so far ahead that the relay would have to refuse.
#[test]
fn credit_carries_a_long_transfer_over_a_slow_line() {
    let mut client = Client::new();
    let mut server = Server::new(Limits { credit: 8, ..Limits::default() });
    tell(&mut client, server.greeting());
    let id = client.open_tcp(START, "sink.example", 9).unwrap();
    let whole: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[1] ^ n.to_le_bytes()[0]).collect();
    let mut numbers = Numbers(3);
    let (mut given, mut got) = (0, Vec::new());
    let (mut up, mut down, mut waiting) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    let mut stream = None;
    for _ in 0..100_000 {
        given += client.send(id, &whole[given..whole.len().min(given + numbers.below(40_000))]);
        up.extend(std::iter::from_fn(|| client.poll_message()));
        for _ in 0..numbers.below(4) {
            let Some(message) = up.pop_front() else { break };
            match server.handle_message(message).unwrap() {
                Request::Open { stream: opened, .. } => {
                    down.extend(server.opened(opened));
                    stream = Some(opened);
                }
                Request::Data { bytes, .. } => waiting.push_back(bytes),
                other => panic!("{other:?}"),
            }
        }
        assert!(waiting.len() <= 16, "credit and slack bound what waits");
        for _ in 0..numbers.below(3) {
            let Some(bytes) = waiting.pop_front() else { break };
            got.extend_from_slice(&bytes);
            down.extend(server.consumed(stream.unwrap(), bytes.len()));
        }
        if numbers.below(3) == 0
            && let Some(packet) = down.pop_front()
        {
            tell(&mut client, packet);
        }
    }
    assert_eq!(got.len(), whole.len());
    assert!(got == whole, "in order and intact");
    assert_eq!(server.queued_octets(), 0);
}

/// Packets cross the CONTINUE of a fast target on a long line; then the target stalls. However often they crossed, the
/// client is at most a window ahead, and not refused.
#[test]
fn a_target_that_stalls_is_not_run_over() {
    let mut client = Client::new();
    let mut server = Server::new(Limits { credit: 8, ..Limits::default() });
    tell(&mut client, server.greeting());
    let id = client.open_tcp(START, "sink.example", 9).unwrap();
    let (mut on_the_way, mut stream, mut waiting) = (Vec::new(), None, 0);
    for round in 0..40 {
        while client.send(id, &[0; 50_000]) > 0 {}
        let sent: Vec<_> = std::iter::from_fn(|| client.poll_message()).collect();
        let mut answers = Vec::new();
        for message in std::mem::replace(&mut on_the_way, sent) {
            match server.handle_message(message).unwrap() {
                Request::Open { stream: opened, .. } => {
                    answers.extend(server.opened(opened));
                    stream = Some(opened);
                }
                Request::Data { bytes, .. } if round < 20 => {
                    answers.extend(server.consumed(stream.unwrap(), bytes.len()));
                }
                Request::Data { .. } => waiting += 1,
                other => panic!("round {round}: {other:?}"),
            }
        }
        for answer in answers {
            tell(&mut client, answer);
        }
    }
    assert!((8..=16).contains(&waiting), "{waiting} packets wait, of a window of 8");
}
