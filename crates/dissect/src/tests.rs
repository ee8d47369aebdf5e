//! The tree, through the front door.

use crate::frames::{self, Tcp};
use crate::{
    Context, Dissection, Field, LayerLetter, TcpContext, TcpSummary, Transport, dissect, dissect_with,
    preview,
};

fn data_segment() -> Vec<u8> {
    frames::tcp(&Tcp {
        from: (12, 13402),
        to: (80, 80),
        flags: "PA",
        seq: 1001,
        ack: 9001,
        window: 502,
        options: vec![1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7],
        data: "21,5 °C\r\nåäö\n".as_bytes().to_vec(),
    })
}

fn flatten(d: &Dissection) -> Vec<(&Field, usize, usize)> {
    fn walk<'a>(fields: &'a [Field], start: usize, end: usize, out: &mut Vec<(&'a Field, usize, usize)>) {
        for f in fields {
            out.push((f, start, end));
            walk(&f.children, f.start, f.end, out);
        }
    }
    let mut out = Vec::new();
    for layer in &d.layers {
        walk(&layer.fields, layer.start, layer.end, &mut out);
    }
    out
}

fn value<'a>(d: &'a Dissection, name: &str) -> &'a Field {
    flatten(d).into_iter().map(|(f, ..)| f).find(|f| f.name == name).expect(name)
}

#[test]
fn a_segment_is_four_layers_with_wiresharks_titles() {
    let frame = data_segment();
    let numbers = TcpSummary { flags: 0x018, seq: 1, ack: 1, window: 64256, len: 17 };
    let message = crate::Message { end: 17, ..crate::Message::default() };
    let tcp = TcpContext { numbers, messages: vec![message], ..TcpContext::default() };
    let context = Context { transport: Transport::Tcp(Box::new(tcp)), ..Context::default() };
    let d = dissect_with(&frame, &context);
    let titles: Vec<_> = d.layers.iter().map(|l| (l.letter.letter(), l.title.as_str())).collect();
    let wanted = [
        (
            'L',
            "Ethernet II, Src: 02:00:00:00:00:0c (02:00:00:00:00:0c), Dst: 02:00:00:00:00:50 (02:00:00:00:00:50)",
        ),
        ('N', "Internet Protocol Version 4, Src: 10.0.0.12, Dst: 10.0.0.80"),
        ('T', "Transmission Control Protocol, Src Port: 13402, Dst Port: 80, Seq: 1, Ack: 1, Len: 17"),
        ('A', "Data (17 bytes)"),
    ];
    assert_eq!(titles, wanted);
    assert_eq!(d.notes, []);
    assert_eq!(value(&d, "tcp.flags").value, "0x018 (PSH, ACK)");
    assert_eq!(value(&d, "tcp.flags.push").value_key, "value-set");
    assert_eq!(value(&d, "tcp.seq_raw").value, "1001");
    assert_eq!(value(&d, "tcp.window_size").value, "64256");
    assert_eq!(value(&d, "tcp.options.timestamp.tsval").value, "9");
    assert_eq!(value(&d, "tcp.checksum.status").value_key, "value-good");
    assert_eq!(value(&d, "ip.checksum.status").value_key, "value-good");
    assert_eq!(value(&d, "data.text").value, "\"21,5 °C\\r\\nåäö\\n\"");
    assert_eq!(value(&d, "data.text").children[1].value, "\"åäö\\n\"");
}

#[test]
fn a_field_knows_its_octets_and_an_octet_its_field() {
    let frame = data_segment();
    let d = dissect(&frame);
    let port = value(&d, "tcp.srcport");
    assert_eq!(frame[port.start..port.end], 13402u16.to_be_bytes());
    let (layer, path) = d.field_at(port.start).expect("a field");
    assert_eq!(d.layers[layer].letter, LayerLetter::Transport);
    assert_eq!(d.layers[layer].fields[path[0]].name, "tcp.srcport");
}

#[test]
fn an_icmp_error_shows_the_packet_it_quotes() {
    let quoted = frames::packet(11, 80, 17, &frames::datagram((11, 40000), (80, 9999), b"hej"));
    // RFC 792 quotes the header and 8 octets: the data is cut off.
    let d = dissect(&frames::icmp(80, 11, 3, 3, [0; 4], &quoted[..28]));
    let inside: Vec<_> = d.layers.iter().map(|l| (l.protocol.as_ref(), l.depth)).collect();
    assert_eq!(inside, [("eth", 0), ("ip", 0), ("icmp", 0), ("ip", 1), ("udp", 1)]);
    assert_eq!(d.notes, []);
    assert_eq!(value(&d, "icmp.code").value, "3 (Port unreachable)");
    assert_eq!(value(&d, "udp.dstport").value, "9999");
}

#[test]
fn padding_belongs_to_the_frame_not_to_the_packet() {
    let mut frame = frames::arp_request(11, 80);
    frame.resize(60, 0);
    let d = dissect(&frame);
    assert_eq!(value(&d, "eth.padding").start, 42);
    assert_eq!(d.layers[1].title, "Address Resolution Protocol (request)");
    assert_eq!(value(&d, "arp.dst.proto_ipv4").value, "10.0.0.80");
}

#[test]
fn a_flipped_bit_is_noticed() {
    let mut frame = data_segment();
    let last = frame.len() - 1;
    frame[last] ^= 1;
    let d = dissect(&frame);
    assert_eq!(value(&d, "tcp.checksum.status").value_key, "value-bad");
    let notes: Vec<_> = d.notes.iter().map(|n| (n.key.as_ref(), n.protocol.as_ref())).collect();
    assert_eq!(notes, [("note-bad-checksum", "tcp")]);
}

#[test]
fn four_sack_ranges_are_all_shown() {
    let mut options = vec![1, 1, 5, 34];
    for edge in 1..=8u32 {
        options.extend((edge * 100).to_be_bytes());
    }
    let d = dissect(&frames::tcp(&Tcp { from: (1, 1), to: (2, 2), flags: "A", options, ..Tcp::default() }));
    assert_eq!(value(&d, "tcp.options.sack").value, "100-200 300-400 500-600 700-800");
}

/// Every field lies inside its parent and the frame, and the analysis survives too.
fn check_sane(frame: &[u8]) {
    let d = dissect(frame);
    for layer in &d.layers {
        assert!(layer.start <= layer.end && layer.end <= frame.len(), "{layer:?}");
    }
    for (f, _, _) in flatten(&d) {
        assert!(f.start <= f.end && f.end <= frame.len(), "{f:?} of {} octets", frame.len());
    }
    for offset in 0..frame.len() + 2 {
        let _ = d.field_at(offset);
    }
    let mut analysis = crate::Analysis::new();
    analysis.push(0, frame);
    analysis.push(1, frame);
}

fn specimens() -> Vec<Vec<u8>> {
    let quoted = frames::packet(11, 80, 17, &frames::datagram((11, 40000), (80, 9999), b"hej"));
    let mut v6 = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
    v6.extend([0xfd; 16]);
    v6.extend([0xfe; 16]);
    v6.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    v6.extend([0xfd; 16]);
    v6.extend([1, 1, 2, 0, 0, 0, 0, 11]);
    let mut tcp6 = v6[..40].to_vec();
    tcp6[6] = 6;
    tcp6.extend(&data_segment()[34..]);
    vec![
        data_segment(),
        frames::arp_request(1, 2),
        frames::udp((1, 1), (2, 2), b"hej"),
        frames::icmp(1, 2, 3, 3, [0; 4], &quoted),
        frames::icmp(1, 2, 8, 0, [0, 1, 0, 1], b"ping"),
        frames::ethernet(1, frames::mac(2), 0x86dd, &v6),
        frames::ethernet(1, frames::mac(2), 0x86dd, &tcp6),
        frames::ethernet(1, frames::mac(2), 0x88cc, b"?"),
    ]
}

#[test]
fn a_frame_cut_anywhere_is_shown_as_far_as_it_goes() {
    for frame in specimens() {
        let whole = dissect(&frame).layers.len();
        for len in 0..frame.len() {
            check_sane(&frame[..len]);
            assert!(dissect(&frame[..len]).layers.len() <= whole);
        }
        if frame.len() > 20 {
            assert_ne!(dissect(&frame[..20]).notes, [], "a cut frame says so");
        }
    }
}

#[test]
fn any_octets_at_all_are_survived() {
    // A small generator of our own (xorshift), so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..20_000 {
        let mut frame = specimens()[round % 8].clone();
        for _ in 0..next() % 8 {
            let at = usize::try_from(next()).unwrap() % frame.len();
            frame[at] = next() as u8;
        }
        if next().is_multiple_of(4) {
            frame.truncate(usize::try_from(next()).unwrap() % (frame.len() + 1));
        }
        check_sane(&frame);
    }
    for _ in 0..2_000 {
        let len = usize::try_from(next() % 200).unwrap();
        let frame: Vec<u8> = (0..len).map(|_| next() as u8).collect();
        check_sane(&frame);
    }
}

#[test]
fn text_is_shown_as_a_person_reads_it() {
    assert_eq!(preview("å\"\\\t".as_bytes(), 9), "\"å\\\"\\\\\\t\"");
    assert_eq!(preview(b"GET / HTTP/1.0\r\n\r\n", 8), "\"GET / HT…\"");
    assert_eq!(preview(&[0xff, b'a', 0xc3], 9), "\"\\xffa\\xc3\"");
}

#[test]
fn keys_are_unique_and_every_field_has_one() {
    let keys: Vec<_> = crate::field_keys().iter().map(|(k, _)| *k).collect();
    let mut unique = keys.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), keys.len());
    for frame in specimens() {
        let d = dissect(&frame);
        assert!(flatten(&d).iter().all(|(f, ..)| keys.contains(&f.key.as_ref())));
    }
}
