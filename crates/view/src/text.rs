//! The views as text for a terminal: ladder, packet list, tcpdump lines.

use core::fmt::Write;

use crate::event::{Event, EventKind};
use crate::flow::{Chunk, Conversation, Series};
use crate::ladder::{ArrowEnd, Ladder, RowKind};
use crate::packets::PacketList;

/// Columns in front of the ladder, for the time.
const TIME: usize = 12;

/// The ladder drawn with characters, `width` columns wide: an arrow per line, calls and states beside their host.
pub fn ladder(ladder: &Ladder, width: usize) -> String {
    let count = ladder.lifelines.len();
    if count == 0 {
        return String::new();
    }
    let room = width.saturating_sub(TIME).max(count * 16);
    // Room for calls is left to the right of each lifeline, so that columns need no measuring.
    let column = |line: u32| TIME + room * line as usize / count + 1;
    let mut out = String::new();
    let mut head = vec![' '; width.max(TIME + room)];
    for (i, line) in (0u32..).zip(&ladder.lifelines) {
        put(&mut head, column(i).saturating_sub(1), &format!("{} {}", line.title, line.subtitle));
    }
    push_line(&mut out, &head);
    for kind in &ladder.rows {
        let mut line = vec![' '; width.max(TIME + room)];
        for i in 0..count {
            put(&mut line, column(i as u32), "│");
        }
        match *kind {
            RowKind::Arrow { arrow } => {
                let Some(a) = ladder.arrows.get(arrow as usize) else { continue };
                put(&mut line, 0, &time(a.sent));
                let (left, right) = (column(a.from.min(a.to)), column(a.from.max(a.to)));
                for cell in line.get_mut(left + 1..right).into_iter().flatten() {
                    *cell = '─';
                }
                let rightward = a.from < a.to;
                let end = if rightward { right.saturating_sub(1) } else { left + 1 };
                let tip = match a.end {
                    ArrowEnd::Lost { .. } => "✗",
                    ArrowEnd::InFlight { .. } => "…",
                    ArrowEnd::Arrived if rightward => "▶",
                    ArrowEnd::Arrived => "◀",
                };
                put(&mut line, end, tip);
                let space = right.saturating_sub(left + 5);
                let label: String = a.label.chars().take(space).collect();
                if !label.is_empty() {
                    put(&mut line, left + 3, &format!(" {label} "));
                }
                if let ArrowEnd::Lost { reason, .. } = &a.end {
                    put(&mut line, column(count as u32 - 1) + 2, reason);
                }
            }
            RowKind::Call { bracket } => {
                let Some(c) = ladder.calls.get(bracket as usize) else { continue };
                put(&mut line, 0, &time(c.entered));
                let wait = if c.returned.is_none() { " …" } else { "" };
                put(&mut line, column(c.lifeline) + 2, format!("{} {}{wait}", c.label, c.result).trim_end());
            }
            RowKind::State { label } => {
                let Some(s) = ladder.states.get(label as usize) else { continue };
                put(&mut line, 0, &time(s.at));
                put(&mut line, column(s.lifeline), &format!("┿ {}", s.state));
            }
            RowKind::Gap { gap } => {
                let Some(g) = ladder.gaps.get(gap as usize) else { continue };
                put(&mut line, 0, &format!("   … {}", span(g.to.saturating_sub(g.from))));
                for i in 0..count {
                    put(&mut line, column(i as u32), "┊");
                }
            }
        }
        push_line(&mut out, &line);
    }
    out
}

fn put(line: &mut [char], at: usize, text: &str) {
    for (cell, c) in line.iter_mut().skip(at).zip(text.chars()) {
        *cell = c;
    }
}

fn push_line(out: &mut String, line: &[char]) {
    let text: String = line.iter().collect();
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Milliseconds, right-aligned: `    12.400`.
fn time(nanos: u64) -> String {
    format!("{:>6}.{:03}", nanos / 1_000_000, nanos / 1_000 % 1_000)
}

/// `60 s`, `210 ms`.
fn span(nanos: u64) -> String {
    match nanos {
        n if n >= 10_000_000_000 => format!("{} s", n / 1_000_000_000),
        n if n >= 1_000_000_000 => format!("{}.{} s", n / 1_000_000_000, n / 100_000_000 % 10),
        n => format!("{} ms", n / 1_000_000),
    }
}

/// The packet list in tshark's columns.
pub fn packets(list: &PacketList) -> String {
    let mut out = String::new();
    let longest =
        |text: fn(&crate::packets::PacketRow) -> usize| list.rows().iter().map(text).max().unwrap_or(0);
    let (source, destination) =
        (longest(|r| r.source.chars().count()), longest(|r| r.destination.chars().count()));
    let digits = list.rows().len().to_string().len();
    for row in list.rows() {
        let seconds = format!("{}.{:09}", row.at / 1_000_000_000, row.at % 1_000_000_000);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{:>digits$} {seconds:>13} {:>source$} → {:<destination$} {:<6} {:>4} {}",
            row.number, row.source, row.destination, row.protocol, row.length, row.info
        );
        if let Some(reason) = &row.lost {
            let _ = write!(out, "  [{reason}]");
        }
        out.push('\n');
    }
    out
}

/// The conversations as a table: protocol and index, ends, packets and octets each way, begin and length, RTT.
pub fn conversations(list: &[Conversation]) -> String {
    let mut out = String::new();
    for c in list {
        let mean = c.rtt.sum.checked_div(c.rtt.count).unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{} {:<4} {}:{} ↔ {}:{}  → {} packets {} B  ← {} packets {} B  begins {} ms, lasts {} ms",
            c.protocol,
            c.stream,
            c.a.0,
            c.a.1,
            c.b.0,
            c.b.1,
            c.from_a.packets,
            c.from_a.payload,
            c.from_b.packets,
            c.from_b.payload,
            time(c.began).trim(),
            time(c.last.saturating_sub(c.began)).trim()
        );
        if c.rtt.count > 0 {
            let _ = write!(out, "  RTT {} ms", time(mean).trim());
        }
        let again = c.from_a.retransmissions + c.from_b.retransmissions;
        if again > 0 {
            let _ = write!(out, "  {again} retransmissions");
        }
        out.push('\n');
    }
    out
}

/// What was said in a conversation, line by line: `>` by the end that spoke first, `<` by the other.
pub fn stream(chunks: &[Chunk]) -> String {
    let mut out = String::new();
    for chunk in chunks {
        let sign = if chunk.from_first { '>' } else { '<' };
        if chunk.missing > 0 {
            let _ = writeln!(out, "{sign} […{} octets missing…]", chunk.missing);
        }
        for line in chunk.octets.split_inclusive(|o| *o == b'\n') {
            let shown = socketlab_dissect::preview(line, usize::MAX);
            let _ = writeln!(out, "{} {sign} {}", time(chunk.at), &shown[1..shown.len() - 1]);
        }
    }
    out
}

/// The course of a connection's numbers, one line for each change.
pub fn series(series: &Series) -> String {
    let mut out = format!("{} → {}\n", series.local, series.peer);
    for s in &series.samples {
        let n = &s.numbers;
        let srtt = n.srtt.map_or("-".to_string(), |v| time(v).trim().to_string());
        let _ = writeln!(
            out,
            "{}  cwnd {}  in flight {}  window {}  srtt {srtt}  rto {}",
            time(s.at),
            n.cwnd,
            n.in_flight,
            n.snd_wnd,
            time(n.rto).trim()
        );
    }
    out
}

/// What `tcpdump -n` prints, each packet once. The time is that of the lab, from 00:00:00.
pub fn tcpdump(events: &[Event]) -> String {
    let mut out = String::new();
    for event in events {
        let EventKind::FrameSent(f) = &event.kind else { continue };
        if f.first_hop {
            let (micros, seconds) = (event.at / 1_000 % 1_000_000, event.at / 1_000_000_000);
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let _ = writeln!(out, "{h:02}:{m:02}:{s:02}.{micros:06} {}", f.tcpdump);
        }
    }
    out
}
