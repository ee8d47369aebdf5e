//! How much a record costs from the trace to the page: `cargo run --release -p socketlab-view --example measure`.

use std::time::Instant as Clock;

use socketlab_netsim::record::{FrameId, LinkId, NodeId, PacketId, Record, RecordKind};
use socketlab_stack::Instant;
use socketlab_view::flow::Conversations;
use socketlab_view::ladder::{LadderBuilder, LadderFilter};
use socketlab_view::packets::{PacketList, Shown};
use socketlab_view::{Event, EventKind, Ingest, NodeKind, TopologyLink, TopologyNode, TopologyView};

/// Records of a long transfer: a segment of 1,000 octets, its delivery, an ACK, its delivery, again and again.
fn records(count: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let (mut seq, mut id) = (1u32, 0u64);
    while (records.len() as u64) < count {
        for (from, to, len) in [(0u32, 1u32, 1000usize), (1, 0, 0)] {
            id += 1;
            let at = id * 100_000;
            let bytes = segment(from, seq, len);
            records.push(Record {
                at: Instant::from_nanos(at),
                kind: RecordKind::FrameSent {
                    frame: FrameId(id),
                    packet: PacketId(id),
                    link: LinkId(0),
                    from: NodeId(from),
                    to: NodeId(to),
                    arrives: Instant::from_nanos(at + 50_000),
                    bytes: bytes.into(),
                    cause: None,
                    first_hop: true,
                },
            });
            let frame = FrameId(id);
            records.push(Record {
                at: Instant::from_nanos(at + 50_000),
                kind: RecordKind::FrameDelivered { frame },
            });
            if from == 0 {
                seq = seq.wrapping_add(1000);
            }
        }
    }
    records
}

fn segment(from: u32, seq: u32, len: usize) -> Vec<u8> {
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (src, dst, own, other) = if from == 0 { (a, b, 13401u16, 80u16) } else { (b, a, 80, 13401) };
    let (number, ack) = if from == 0 { (seq, 1) } else { (1, seq) };
    let total = u16::try_from(40 + len).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, total[0], total[1]];
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(src);
    frame.extend(dst);
    frame.extend(own.to_be_bytes());
    frame.extend(other.to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(frame.len() + len, b'x');
    frame
}

/// Resident memory, from the kernel; an allocator that counts would need unsafe code.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn main() {
    let host = |name: &str, address: &str| TopologyNode {
        name: name.to_string(),
        kind: NodeKind::Host,
        addresses: vec![address.to_string()],
        programs: vec![],
    };
    let topology = TopologyView {
        nodes: vec![host("a", "10.0.0.1"), host("b", "10.0.0.2")],
        links: vec![TopologyLink { ends: (0, 1), delay: 50_000, rate: 0 }],
    };
    let records = records(100_000);
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let start = Clock::now();
        work();
        let nanos = start.elapsed().as_nanos() as u64 / records.len() as u64;
        // This is what the program is for.
        #[expect(clippy::print_stdout, reason = "it measures")]
        {
            println!("{what}: {nanos} ns a record");
        }
    };
    let mut events: Vec<Event> = Vec::new();
    let before = resident();
    let mut ingest = Ingest::new(&topology, &[]);
    timed("ingest", &mut || events = records.iter().map(|r| ingest.ingest(r)).collect());
    // This is what the program is for.
    #[expect(clippy::print_stdout, reason = "it measures")]
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / records.len() as u64;
        println!("an event: {} octets of its own, {each} with all that belongs to it", size_of::<Event>());
    }
    let mut list = PacketList::default();
    timed("packet list", &mut || events.iter().for_each(|e| list.push(e)));
    let mut ladder = LadderBuilder::new(&topology, &[], LadderFilter::default());
    timed("ladder", &mut || events.iter().for_each(|e| ladder.push(e)));
    let mut conversations = Conversations::default();
    timed("conversations", &mut || events.iter().for_each(|e| conversations.push(e)));
    let frame = |seq: u64| match &events.get(usize::try_from(seq).ok()?)?.kind {
        EventKind::FrameSent(f) => Some(&**f),
        _ => None,
    };
    let mut shown = Shown::new("tcp.len > 0 && ip.addr == 10.0.0.2").expect("a filter");
    timed("filter, all rows", &mut || assert!(shown.advance(&list, usize::MAX, frame)));
    let ladder = ladder.ladder();
    let middle = ladder.height / 2.0;
    timed("1,000 windows of the ladder (in all, divided by the records)", &mut || {
        for i in 0..1000 {
            let top = middle + f64::from(i);
            assert!(!ladder.visible(top, top + 800.0).arrows.is_empty());
        }
    });
}
