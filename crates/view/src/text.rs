//! The views as text for a terminal: ladder, packet list, tcpdump lines.

use core::fmt::Write;

use crate::event::{Event, EventKind, HostRow};
use crate::flow::{Chunk, Conversation, Series};
use crate::ladder::{ArrowEnd, Ladder, RowKind};
use crate::packets::{PacketList, PacketRow};

/// Columns in front of the ladder, for the time.
const TIME: usize = 12;

/// The ladder drawn with characters, `width` columns wide: an arrow per line, calls and states beside their host.
pub fn ladder(ladder: &Ladder, width: usize) -> String {
    let mut out = ladder_head(ladder, width);
    for row in &ladder.rows {
        out.push_str(&ladder_row(ladder, *row, width));
    }
    out
}

/// Where lifelines stand, in characters. Room for calls is left to the right of each, so that columns need no
/// measuring.
struct Columns {
    count: usize,
    room: usize,
    width: usize,
}

impl Columns {
    fn new(ladder: &Ladder, width: usize) -> Columns {
        let count = ladder.lifelines.len();
        let room = width.saturating_sub(TIME).max(count * 16);
        Columns { count, room, width: width.max(TIME + room) }
    }

    fn of(&self, line: u32) -> usize {
        TIME + self.room * line as usize / self.count.max(1) + 1
    }
}

/// The ladder's first line: its hosts. Empty without any.
pub fn ladder_head(ladder: &Ladder, width: usize) -> String {
    let columns = Columns::new(ladder, width);
    let mut out = String::new();
    let mut head = vec![' '; columns.width];
    for (i, line) in (0u32..).zip(&ladder.lifelines) {
        put(&mut head, columns.of(i).saturating_sub(1), &format!("{} {}", line.title, line.subtitle));
    }
    if columns.count > 0 {
        push_line(&mut out, &head);
    }
    out
}

/// One of [`Ladder::rows`] as a line, with its newline.
pub fn ladder_row(ladder: &Ladder, row: RowKind, width: usize) -> String {
    let columns = Columns::new(ladder, width);
    let column = |line: u32| columns.of(line);
    let count = columns.count as u32;
    let mut line = vec![' '; columns.width];
    for i in 0..count {
        put(&mut line, column(i), "│");
    }
    match row {
        RowKind::Arrow { arrow } => {
            let Some(a) = ladder.arrows.get(arrow as usize) else { return String::new() };
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
                put(&mut line, column(count.saturating_sub(1)) + 2, reason);
            }
        }
        RowKind::Call { bracket } => {
            let Some(c) = ladder.calls.get(bracket as usize) else { return String::new() };
            put(&mut line, 0, &time(c.entered));
            let wait = if c.returned.is_none() { " …" } else { "" };
            put(&mut line, column(c.lifeline) + 2, format!("{} {}{wait}", c.label, c.result).trim_end());
        }
        RowKind::State { label } => {
            let Some(s) = ladder.states.get(label as usize) else { return String::new() };
            put(&mut line, 0, &time(s.at));
            put(&mut line, column(s.lifeline), &format!("┿ {}", s.state));
        }
        RowKind::Gap { gap } => {
            let Some(g) = ladder.gaps.get(gap as usize) else { return String::new() };
            put(&mut line, 0, &format!("   … {}", span(g.to.saturating_sub(g.from))));
            for i in 0..count {
                put(&mut line, column(i), "┊");
            }
        }
    }
    let mut out = String::new();
    push_line(&mut out, &line);
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

/// Columns of the packet list.
struct Widths {
    number: usize,
    source: usize,
    destination: usize,
}

/// The packet list in tshark's columns.
pub fn packets(list: &PacketList) -> String {
    let longest =
        |text: fn(&PacketRow) -> &str| list.rows().iter().map(|r| text(r).chars().count()).max().unwrap_or(0);
    let widths = Widths {
        number: list.rows().len().to_string().len(),
        source: longest(|row| &row.source),
        destination: longest(|row| &row.destination),
    };
    list.rows().iter().map(|row| packet_line(row, &widths)).collect()
}

/// One packet in tshark's columns, as a line with its newline, for a list whose end is not known yet.
pub fn packet(row: &PacketRow) -> String {
    let address = "10.0.0.100".len();
    packet_line(row, &Widths { number: 5, source: address, destination: address })
}

fn packet_line(row: &PacketRow, widths: &Widths) -> String {
    let Widths { number, source, destination } = *widths;
    let seconds = format!("{}.{:09}", row.at / 1_000_000_000, row.at % 1_000_000_000);
    let lost = row.lost.as_ref().map_or_else(String::new, |reason| format!("  [{reason}]"));
    format!(
        "{:>number$} {seconds:>13} {:>source$} → {:<destination$} {:<6} {:>4} {}{lost}\n",
        row.number, row.source, row.destination, row.protocol, row.length, row.info
    )
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
    events.iter().filter_map(tcpdump_line).collect()
}

/// What `tcpdump -n` prints for an event, if it is a packet's first hop: a line with its newline.
pub fn tcpdump_line(event: &Event) -> Option<String> {
    let EventKind::FrameSent(f) = &event.kind else { return None };
    let (micros, seconds) = (event.at / 1_000 % 1_000_000, event.at / 1_000_000_000);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    f.first_hop.then(|| format!("{h:02}:{m:02}:{s:02}.{micros:06} {}\n", f.tcpdump))
}

/// One host's sockets as `ss -anp` lists them, without empty columns.
pub fn sockets(host: &HostRow) -> String {
    let mut rows = vec![
        ["Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process"]
            .map(str::to_string),
    ];
    rows.extend(host.sockets.iter().map(|s| {
        let (recv, send) = (s.recv_q.to_string(), s.send_q.to_string());
        [s.netid.clone(), s.state.clone(), recv, send, s.local.clone(), s.peer.clone(), s.process.clone()]
    }));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 7]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join(" ").trim_end())
    };
    rows.iter().map(line).collect()
}
