//! One TCB under a hand-written peer, and two TCBs back to back: what needs chosen sequence numbers.

use std::sync::Arc;

use bytes::Bytes;

use super::options::Options;
use super::segment::Flags;
use super::{Fail, Note, Params, Segment, Seq, Settings, Tcb};
use crate::host::Profile;
use crate::snapshot::TcpState;
use crate::sysctl::Sysctl;
use crate::time::Instant;

const T0: Instant = Instant::ZERO;
/// The peer's ISS in hand-written tests, and ours.
const IRS: Seq = Seq(1000);
const ISS: Seq = Seq(5000);

fn params(iss: Seq) -> Params {
    Params {
        profile: Profile::Linux,
        sysctl: Arc::new(Sysctl::of(Profile::Linux)),
        iss,
        timestamp_offset: 0,
        mss: 1460,
        path_mtu: 1500,
        headers: 40,
        settings: Arc::new(Settings::default()),
    }
}

/// Carries segments to and fro until both are silent.
fn exchange(now: Instant, a: &mut Tcb, b: &mut Tcb) {
    for _ in 0..10_000 {
        let (from_a, from_b) = (core::mem::take(&mut a.out), core::mem::take(&mut b.out));
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        from_a.iter().for_each(|segment| b.on_segment(now, segment));
        from_b.iter().for_each(|segment| a.on_segment(now, segment));
    }
    panic!("they never fall silent");
}

/// Two ends of a fresh connection.
fn connected(iss_a: Seq, iss_b: Seq) -> (Tcb, Tcb) {
    let mut a = Tcb::connect(T0, params(iss_a));
    let syn = a.out.remove(0);
    let mut b = Tcb::accept(T0, params(iss_b), &syn);
    exchange(T0, &mut a, &mut b);
    assert_eq!((a.state(), b.state()), (TcpState::Established, TcpState::Established));
    (a, b)
}

#[test]
fn sequence_numbers_wrap() {
    let (mut a, mut b) = connected(Seq(u32::MAX - 20_000), Seq(u32::MAX));
    let data: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        sent += a.send(T0, &Bytes::copy_from_slice(&data[sent..]), (false, false));
        exchange(T0, &mut a, &mut b);
        got.extend_from_slice(&b.recv(T0, usize::MAX));
        exchange(T0, &mut a, &mut b);
    }
    assert_eq!(got, data);
    assert_eq!(a.snapshot().retransmissions, 0);
    assert!(a.snapshot().snd_una < 1 << 20, "it went past zero");
    b.finish(T0);
    exchange(T0, &mut a, &mut b);
    a.finish(T0);
    exchange(T0, &mut a, &mut b);
    assert_eq!((a.state(), b.state()), (TcpState::Closed, TcpState::TimeWait));
}

/// A TCB in ESTABLISHED whose peer is written by hand: `rcv_nxt` is 1001, `snd_nxt` 5001.
struct Alone {
    tcb: Tcb,
}

impl Alone {
    fn new() -> Alone {
        Alone::with(Options { mss: Some(1460), sack_permitted: true, ..Options::default() })
    }

    fn with(options: Options) -> Alone {
        let flags = Flags { syn: true, ..Flags::default() };
        let syn = Segment { seq: IRS, flags, window: 60_000, options, ..Segment::default() };
        let tcb = Tcb::accept(T0, params(ISS), &syn);
        let mut alone = Alone { tcb };
        alone.gets(1001, 5001, "A", b"");
        assert_eq!(alone.tcb.state(), TcpState::Established);
        alone.tcb.out.clear();
        alone.tcb.notes.clear();
        alone
    }

    fn segment(seq: u32, ack: u32, flags: &str, data: &'static [u8]) -> Segment {
        let has = |c: char| flags.contains(c);
        let flags = Flags {
            fin: has('F'),
            syn: has('S'),
            rst: has('R'),
            psh: has('P'),
            ack: has('A'),
            ..Flags::default()
        };
        Segment {
            seq: Seq(seq),
            ack: Seq(ack),
            flags,
            window: 60_000,
            payload: Bytes::from_static(data).into(),
            ..Segment::default()
        }
    }

    fn gets(&mut self, seq: u32, ack: u32, flags: &str, data: &'static [u8]) {
        self.tcb.on_segment(T0, &Alone::segment(seq, ack, flags, data));
    }

    /// The one segment sent since: flags, sequence and acknowledgment number.
    fn sends(&mut self) -> Option<(String, u32, u32)> {
        assert!(self.tcb.out.len() <= 1, "{:?}", self.tcb.out);
        let segment = self.tcb.out.pop()?;
        let Flags { fin, syn, rst, psh, ack, .. } = segment.flags;
        let names = [(syn, 'S'), (fin, 'F'), (rst, 'R'), (psh, 'P'), (ack, 'A')];
        let flags = names.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
        Some((flags, segment.seq.0, segment.ack.0))
    }

    fn sends_ack(&mut self, ack: u32) {
        assert_eq!(self.sends(), Some(("A".to_owned(), self.tcb.snapshot().snd_nxt, ack)));
    }
}

#[test]
fn only_a_reset_at_the_left_edge_is_believed() {
    let mut c = Alone::new();
    c.gets(1002, 0, "R", b"");
    c.sends_ack(1001);
    assert_eq!(c.tcb.state(), TcpState::Established);
    c.gets(999, 0, "R", b"");
    assert_eq!(c.sends(), None, "outside the window: not a word");
    c.gets(1001, 0, "R", b"");
    assert_eq!(c.tcb.state(), TcpState::Closed);
    assert!(c.tcb.notes.contains(&Note::Failed(Fail::Reset { closing: false })));
}

#[test]
fn a_syn_in_an_open_connection_is_challenged() {
    let mut c = Alone::new();
    c.gets(1001, 5001, "S", b"");
    c.sends_ack(1001);
    assert_eq!(c.tcb.state(), TcpState::Established);
}

#[test]
fn impossible_acknowledgments_are_challenged() {
    let mut c = Alone::new();
    c.gets(1001, 5002, "A", b"for what was never sent");
    c.sends_ack(1001);
    c.gets(1001, 5001u32.wrapping_sub(70_000), "A", b"too old");
    assert_eq!(c.sends(), None, "one answer in half a second is enough");
    let later = T0 + core::time::Duration::from_millis(500);
    c.tcb.on_segment(later, &Alone::segment(1001, 5001u32.wrapping_sub(70_000), "A", b"too old"));
    c.sends_ack(1001);
    assert_eq!(c.tcb.readable(), 0);
}

#[test]
fn a_segment_outside_the_window_is_answered_and_dropped() {
    let mut c = Alone::new();
    c.gets(900, 5001, "A", b"old");
    c.sends_ack(1001);
    c.gets(1001 + 100_000, 5001, "A", b"far ahead");
    c.sends_ack(1001);
    assert_eq!(c.tcb.readable(), 0);
}

#[test]
fn overlapping_segments_give_each_octet_once() {
    let mut c = Alone::new();
    for (seq, data) in [
        (1005, &b"efgh"[..]),
        (1003, b"cdef"),
        (1011, b"kl"),
        (1001, b"abcde"),
        (1007, b"ghijkl"),
        (1001, b"abc"),
    ] {
        c.tcb.on_segment(T0, &Segment { ..Alone::segment(seq, 5001, "A", b"") }.with(data));
        c.tcb.out.clear();
    }
    assert_eq!(c.tcb.recv(T0, 99), "abcdefghijkl");
}

impl Segment {
    fn with(self, data: &'static [u8]) -> Segment {
        Segment { payload: Bytes::from_static(data).into(), ..self }
    }
}

#[test]
fn sack_reports_the_newest_block_first_and_duplicates_before_all() {
    let mut c = Alone::new();
    let sack = |c: &mut Alone| {
        let segment = c.tcb.out.pop().expect("an ACK at once");
        segment.options.sack.iter().map(|(l, r)| (l.0, r.0)).collect::<Vec<_>>()
    };
    c.gets(1011, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), [(1011, 1021)]);
    c.gets(1031, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), [(1031, 1041), (1011, 1021)]);
    c.gets(1021, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), [(1011, 1041)]);
    c.gets(1031, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), [(1031, 1041), (1011, 1041)], "RFC 2883: the duplicate, and what contains it");
    c.gets(1001, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), []);
    c.gets(1001, 5001, "A", b"0123456789");
    assert_eq!(sack(&mut c), [(1001, 1011)]);
    assert_eq!(c.tcb.readable(), 40);
}

#[test]
fn a_fin_beyond_a_hole_waits() {
    let mut c = Alone::new();
    c.gets(1004, 5001, "FA", b"def");
    c.sends_ack(1001);
    assert_eq!(c.tcb.state(), TcpState::Established);
    c.gets(1001, 5001, "A", b"abc");
    c.sends_ack(1008);
    assert_eq!((c.tcb.state(), c.tcb.recv(T0, 9)), (TcpState::CloseWait, Bytes::from_static(b"abcdef")));
}

#[test]
fn an_old_timestamp_is_refused() {
    let mut c = Alone::with(Options { mss: Some(1460), timestamps: Some((50, 0)), ..Options::default() });
    let stamped = |tsval, seq, data: &'static [u8]| Segment {
        options: Options { timestamps: Some((tsval, 0)), ..Options::default() },
        ..Alone::segment(seq, 5001, "A", data)
    };
    c.tcb.on_segment(T0, &stamped(60, 1001, b"new"));
    c.tcb.out.clear();
    c.tcb.on_segment(T0, &stamped(55, 1004, b"wrapped"));
    assert_eq!(c.tcb.out.len(), 1, "an ACK");
    assert_eq!(c.tcb.out[0].options.timestamps.map(|(_, echo)| echo), Some(60));
    assert_eq!(c.tcb.recv(T0, 99), "new");
}

#[test]
fn a_repeated_syn_gets_the_same_answer() {
    let flags = Flags { syn: true, ..Flags::default() };
    let syn = Segment { seq: IRS, flags, window: 1000, ..Segment::default() };
    let mut tcb = Tcb::accept(T0, params(ISS), &syn);
    let first = tcb.out.pop();
    tcb.on_segment(T0, &syn);
    assert_eq!(tcb.out.pop(), first);
    assert_eq!(tcb.state(), TcpState::SynReceived);
}

#[test]
fn a_wrong_ack_of_our_syn_is_reset() {
    let mut tcb = Tcb::connect(T0, params(ISS));
    tcb.out.clear();
    tcb.on_segment(T0, &Alone::segment(1000, 77, "SA", b""));
    let answer = tcb.out.pop().expect("a RST");
    assert!(answer.flags.rst && answer.seq == Seq(77));
    tcb.on_segment(T0, &Alone::segment(1000, 77, "RA", b""));
    assert_eq!(tcb.state(), TcpState::SynSent, "a RST that does not acknowledge our SYN is dropped");
}

#[test]
fn a_window_smaller_than_a_segment_waits_for_the_persist_timer() {
    let mut c = Alone::new();
    c.tcb.on_segment(T0, &Segment { window: 100, ..Alone::segment(1001, 5001, "A", b"") });
    c.tcb.send(T0, &Bytes::from(vec![1; 3000]), (false, false));
    assert_eq!(c.sends(), None, "no silly window");
    let at = c.tcb.deadline().expect("the persist timer runs");
    c.tcb.on_timers(at);
    let segment = c.tcb.out.pop().expect("what fits");
    assert_eq!((segment.seq, segment.payload.len()), (Seq(5001), 100));
}

#[test]
fn options_survive_the_wire() {
    let options = [
        Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 2)),
            sack: vec![],
        },
        Options { mss: Some(536), sack_permitted: true, ..Options::default() },
        Options {
            timestamps: Some((7, 9)),
            sack: vec![(Seq(1), Seq(2)), (Seq(9), Seq(11))],
            ..Options::default()
        },
        Options { sack: (0..4).map(|i| (Seq(10 * i), Seq(10 * i + 5))).collect(), ..Options::default() },
    ];
    for options in options {
        let mut bytes = vec![0; options.len()];
        options.emit(&mut bytes);
        assert_eq!(Options::parse(&bytes), options);
        // Cut anywhere, the parser takes what it understands.
        for len in 0..bytes.len() {
            Options::parse(&bytes[..len]);
        }
    }
}
