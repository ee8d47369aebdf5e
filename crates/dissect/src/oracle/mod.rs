//! What we say of a frame against what tshark and tcpdump say of it: the line of the packet list, every field that we
//! name with its place and value, display filters, tcpdump's lines.

mod captures;
mod conversations;
mod filters;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::Analysis;
use crate::header::Mode;
use crate::tcpdump;
use crate::tree::{Dissection, Field};
use crate::{Context, Summary, filter_fields};
use captures::{Capture, captures};
use tools::{Packet, pdml};

/// Each frame's line in turn.
fn lines(capture: &Capture) -> Vec<Summary> {
    let mut analysis = Analysis::new();
    capture.iter().map(|(ms, frame)| analysis.push(ms * 1_000_000, frame)).collect()
}

#[test]
fn the_packet_list_reads_as_tshark_prints_it() {
    let mut wrong = String::new();
    for (name, capture) in captures() {
        let theirs = tools::columns(&name, &capture);
        for (i, (ours, theirs)) in lines(&capture).iter().zip(&theirs).enumerate() {
            let ours = [&*ours.protocol, &*ours.source, &*ours.destination, &*ours.info].join("\t");
            if ours != *theirs {
                wrong += &format!("{name}, frame {}:\n  ours   {ours}\n  theirs {theirs}\n", i + 1);
            }
        }
        assert_eq!(theirs.len(), capture.len());
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A field as both sides can say it: name, place, octets, value.
type Fact = (String, usize, usize, String);

fn facts(d: &Dissection, frame: &[u8]) -> Vec<Fact> {
    fn walk(fields: &[Field], octets: &[u8], out: &mut Vec<Fact>) {
        for f in fields {
            if !f.name.is_empty() && !is_left_out(&f.name) {
                out.push((f.name.to_string(), f.start, f.end - f.start, f.bare(octets)));
            }
            walk(&f.children, octets, out);
        }
    }
    let mut out = Vec::new();
    for layer in &d.layers {
        walk(&layer.fields, d.source(layer, frame), &mut out);
    }
    out.sort();
    out.dedup_by(|a, b| a.0 == b.0 && a.3.is_empty() && b.3.is_empty() && a.2 + b.2 == 0);
    out
}

/// Fields of our own, and those whose place or value Wireshark words by another measure.
fn is_left_out(name: &str) -> bool {
    matches!(name, "data.text" | "http.file_data" | "ip.fragments" | "ipv6.fragments")
}

/// Derived facts have no octets; where Wireshark anchors them is its own affair.
fn place_counts(name: &str, len: usize) -> bool {
    len > 0
        && !matches!(
            name,
            "udp.checksum.status"
                | "tcp.pdu.size"
                | "http.file_data"
                | "ip.fragments"
                | "ipv6.fragments"
                | "tcp.segments"
                | "ip.fragment"
                | "ipv6.fragment"
                | "tcp.segment"
        )
}

fn known_names() -> BTreeSet<&'static str> {
    filter_fields().into_iter().map(|(name, ..)| name).filter(|name| name.contains('.')).collect()
}

#[test]
fn every_field_that_we_name_has_tsharks_place_and_value() {
    let known = known_names();
    let mut wrong = String::new();
    let mut compared = 0;
    for (name, capture) in captures() {
        let theirs = pdml(&name, &capture);
        assert_eq!(theirs.len(), capture.len(), "{name}");
        let lines = lines(&capture);
        for (i, ((_, frame), theirs)) in capture.iter().zip(&theirs).enumerate() {
            let d = crate::walk(frame, &lines[i].context, Mode::ALL);
            let ours = facts(&d, frame);
            let theirs = their_facts(theirs, &known);
            compared += ours.len();
            let (ours, theirs) = match d.layers.iter().any(|l| l.depth > 0) {
                true => (without_quotes(ours), without_quotes(theirs)),
                false => (ours, theirs),
            };
            // At a port of HTTP, Wireshark shows nothing of what is not HTTP, nor the data of a FIN that ends a body; we
            // do.
            let data_only = |f: &Fact| {
                name.starts_with("http")
                    && (f.0.starts_with("data.") || matches!(&*f.0, "tcp.payload" | "tcp.segment_data"))
            };
            for (missing, word) in
                [(difference(&theirs, &ours), "theirs"), (difference(&ours, &theirs), "ours  ")]
            {
                for fact in missing.into_iter().filter(|f| word == "theirs" || !data_only(f)) {
                    wrong += &format!("{name}, frame {}: {word} {fact:?}\n", i + 1);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(compared > 5000, "{compared}");
}

fn their_facts(packet: &Packet, known: &BTreeSet<&'static str>) -> Vec<Fact> {
    let mut out: Vec<Fact> = packet
        .iter()
        .filter(|f| known.contains(f.name.as_str()) && !is_left_out(&f.name))
        .map(|f| (f.name.clone(), f.pos, f.size, f.show.clone()))
        .collect();
    out.sort();
    // What is only there or not stands in an expert's note as well.
    out.dedup_by(|a, b| a.0 == b.0 && a.3.is_empty() && b.3.is_empty() && a.2 + b.2 == 0);
    out
}

/// What the capture knows of a quoted segment is not told.
fn without_quotes(facts: Vec<Fact>) -> Vec<Fact> {
    let left_out = |name: &str| {
        name.starts_with("tcp.time")
            || name.starts_with("udp.time")
            || name.starts_with("tcp.analysis")
            || [
                "tcp.ack",
                "tcp.seq",
                "tcp.seq_raw",
                "tcp.len",
                "tcp.nxtseq",
                "tcp.completeness",
                "tcp.window_size",
            ]
            .contains(&name)
            || name == "tcp.stream"
    };
    facts.into_iter().filter(|(name, ..)| !left_out(name)).collect()
}

/// What `a` has and `b` has not, counted; the place is left out where it does not count.
fn difference(a: &[Fact], b: &[Fact]) -> Vec<Fact> {
    let key = |f: &Fact| {
        let (name, pos, len, value) = f.clone();
        if place_counts(&name, len) { (name, pos, len, value) } else { (name, 0, 0, value) }
    };
    let mut counts: BTreeMap<Fact, usize> = BTreeMap::new();
    for f in b {
        *counts.entry(key(f)).or_default() += 1;
    }
    let mut out = Vec::new();
    for f in a {
        match counts.get_mut(&key(f)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => out.push(f.clone()),
        }
    }
    out
}

#[test]
fn lines_read_as_tcpdump_prints_them() {
    let mut wrong = String::new();
    for (name, capture) in captures() {
        for (verbose, absolute) in [(false, false), (true, false), (false, true)] {
            let theirs = tools::tcpdump(&name, &capture, verbose, absolute);
            let options = tcpdump::Options { verbose, absolute };
            let lines = lines(&capture);
            assert_eq!(theirs.len(), capture.len(), "{name}");
            for (i, (_, frame)) in capture.iter().enumerate() {
                let ours = tcpdump::line(frame, &lines[i].context, options);
                if ours != theirs[i] {
                    let n = i + 1;
                    wrong += &format!(
                        "{name} {options:?}, frame {n}:\n  ours   {ours:?}\n  theirs {:?}\n",
                        theirs[i]
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_context_of_a_frame_is_all_its_tree_needs() {
    for (name, capture) in captures() {
        for ((_, frame), line) in capture.iter().zip(lines(&capture)) {
            let copy: Context = line.context.clone();
            assert_eq!(
                crate::dissect_with(frame, &copy),
                crate::dissect_with(frame, &line.context),
                "{name}"
            );
        }
    }
}

/// Every range lies in its source.
fn check_ranges(d: &Dissection, frame: &[u8]) {
    fn walk(fields: &[Field], len: usize) {
        for f in fields {
            assert!(f.start <= f.end && f.end <= len, "{f:?} of {len} octets");
            walk(&f.children, len);
        }
    }
    for layer in &d.layers {
        let len = d.source(layer, frame).len();
        assert!(
            layer.start <= layer.end && layer.end <= layer.until && layer.until <= len,
            "{layer:?} of {len}"
        );
        walk(&layer.fields, len);
    }
    for note in &d.notes {
        assert!(note.start <= note.end, "{note:?}");
    }
}

#[test]
fn real_frames_with_octets_changed_are_survived() {
    // A small generator of our own (xorshift), so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % n.max(1)
    };
    let filter =
        crate::Filter::new("frame contains \"zz\" || tcp.port == 1 || dns || http.host").expect("a filter");
    for (_, capture) in captures() {
        for _ in 0..40 {
            let mut analysis = Analysis::new();
            for (ms, frame) in &capture {
                let mut frame = frame.clone();
                // Most octets of a long payload mean nothing: the first ones are changed more often.
                for _ in 0..next(5) {
                    let reach = if next(3) == 0 { frame.len() } else { frame.len().min(120) };
                    let at = next(reach);
                    frame[at] = if next(2) == 0 { next(256) as u8 } else { frame[at] ^ (1 << next(8)) };
                }
                if next(6) == 0 {
                    frame.truncate(next(frame.len() + 1));
                }
                let line = analysis.push(ms * 1_000_000, &frame);
                check_ranges(&crate::walk(&frame, &line.context, Mode::ALL), &frame);
                check_ranges(&crate::dissect_with(&frame, &line.context), &frame);
                // A context of another frame must not break anything either.
                check_ranges(
                    &crate::dissect_with(&frame[..frame.len() / 2], &line.context),
                    &frame[..frame.len() / 2],
                );
                filter.matches(&frame, &line.context);
                tcpdump::line(&frame, &line.context, tcpdump::Options { verbose: true, absolute: true });
            }
        }
    }
}
