//! Conversations from records made by hand.

use socketlab_dissect::TcpSummary;

use super::{Conversations, TimeSequence, follow, segments};
use crate::event::{Event, EventKind};
use crate::frames::{Tcp, tcp};
use crate::packets::{PacketList, Shown};
use crate::scene::{C, CLIENT, MS, S, SERVER, Scene};

fn client(flags: &'static str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    tcp(&Tcp { from: C, to: S, flags, seq, ack, window: 1000, data: data.to_vec(), ..Tcp::default() })
}

fn server(flags: &'static str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    tcp(&Tcp { from: S, to: C, flags, seq, ack, window: 2000, data: data.to_vec(), ..Tcp::default() })
}

/// A question in two segments of which the first is sent again, and an answer.
fn dialogue() -> Vec<Event> {
    let mut scene = Scene::new();
    let frames = [
        (0, CLIENT, client("S", 100, 0, b"")),
        (10, SERVER, server("SA", 900, 101, b"")),
        (20, CLIENT, client("A", 101, 901, b"")),
        (30, CLIENT, client("PA", 101, 901, b"hej ")),
        (31, CLIENT, client("PA", 105, 901, b"du\n")),
        (300, CLIENT, client("PA", 101, 901, b"hej ")),
        (320, SERVER, server("PA", 901, 108, "svar: å\n".as_bytes())),
        (330, CLIENT, client("FA", 108, 910, b"")),
    ];
    for (ms, from, bytes) in frames {
        scene.at(ms * MS).send(from, &bytes, None);
    }
    scene.events()
}

#[test]
fn a_stream_is_put_in_order_and_each_octet_stands_once() {
    let events = dialogue();
    let chunks = follow(&events, 0);
    let said: Vec<_> = chunks
        .iter()
        .map(|c| (c.from_first, c.at / MS, String::from_utf8_lossy(&c.octets).into_owned(), c.missing))
        .collect();
    assert_eq!(said, [(true, 30, "hej du\n".to_string(), 0), (false, 320, "svar: å\n".to_string(), 0)]);
    assert!(follow(&events, 1).is_empty());
}

#[test]
fn octets_that_never_came_are_told() {
    let events = dialogue();
    let without: Vec<Event> = events
        .into_iter()
        .filter(|e| !matches!(&e.kind, EventKind::FrameSent(f) if f.tcp.as_ref().is_some_and(|t| t.seq == 1 && t.len == 4)))
        .collect();
    let chunks = follow(&without, 0);
    assert!(chunks.iter().any(|c| c.missing == 4 && c.octets == b"du\n"), "{chunks:?}");
}

#[test]
fn a_conversation_is_counted_by_side() {
    let mut list = Conversations::default();
    for event in dialogue() {
        list.push(&event);
    }
    let c = list.get(0).expect("one conversation");
    assert_eq!((c.a.1, c.b.1, c.stream, &*c.protocol), (C.1, S.1, 0, "TCP"));
    assert_eq!((c.from_a.packets, c.from_a.payload, c.from_a.retransmissions), (6, 11, 1));
    assert_eq!((c.from_b.packets, c.from_b.payload), (2, 9));
    assert_eq!(c.flags & (TcpSummary::FIN | TcpSummary::SYN), TcpSummary::FIN | TcpSummary::SYN);
    assert_eq!((c.rtt.least, c.rtt.most), (10 * MS, 289 * MS));
    assert_eq!(c.packets, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(c.octets_per_s(), (33, 27));
    let text = crate::text::conversations(list.list());
    assert!(text.contains("TCP 0"), "{text}");
}

#[test]
fn sequence_numbers_over_time() {
    let events = dialogue();
    let points = segments(&events, 0, ("10.0.0.11", C.1));
    let again: Vec<_> = points
        .iter()
        .filter_map(|p| match p {
            TimeSequence::Data { at, from, to, again, .. } => Some((at / MS, *from, *to, *again)),
            TimeSequence::Ack { .. } => None,
        })
        .collect();
    let wanted =
        [(0, 0, 1, false), (30, 1, 5, false), (31, 5, 8, false), (300, 1, 5, true), (330, 8, 9, false)];
    assert_eq!(again, wanted);
    let acks = points.iter().filter(|p| matches!(p, TimeSequence::Ack { ack: 8, edge: 2008, .. })).count();
    assert_eq!(acks, 1, "{points:?}");
}

#[test]
fn a_filter_chooses_rows_a_part_at_a_time() {
    let events = dialogue();
    let mut list = PacketList::default();
    for event in &events {
        list.push(event);
    }
    let frame = |seq: u64| {
        events.iter().find(|e| e.seq == seq).and_then(|e| match &e.kind {
            EventKind::FrameSent(f) => Some(&**f),
            _ => None,
        })
    };
    let mut shown = Shown::new("tcp.len > 0 && !tcp.analysis.retransmission").expect("a filter");
    assert!(!shown.advance(&list, 4, frame));
    assert_eq!(shown.len(), 1);
    assert!(shown.advance(&list, 1000, frame));
    let numbers: Vec<u64> = shown.window(&list, 0..10).map(|r| r.number).collect();
    assert_eq!(numbers, [4, 5, 7]);
    assert_eq!(shown.window(&list, 1..2).next().map(|r| r.number), Some(5));
    assert_eq!((shown.position(6), shown.position(5)), (Some(2), None));
    assert_eq!(list.window(6..100).len(), 2);
    let problem = Shown::new("tcp.scrport == 1").expect_err("no such field");
    assert_eq!((problem.start, problem.end), (0, 11));
}
