//! Plays a script: advances the clock from event to event, makes the calls, sends the far side's packets, and holds
//! what the host does against what is written.

mod calls;
mod inbound;
mod outbound;

use core::time::Duration;

use socketlab_stack::{Call, CallId, Fd, SocketSnapshot};

use crate::bench::Bench;
use crate::call::{Files, PORT};
use crate::code::Code;
use crate::connection::Connection;
use crate::packet::TcpOption;
use crate::script::{Action, Event, Script, SystemCall, When};
use crate::wire::RawSegment;
use crate::{Comparison, Outcome, Trouble, Verdict, parse, shell, tcp_info};

/// The original's `--tolerance_usecs`.
const TOLERANCE: Duration = Duration::from_micros(4_000);
/// Scripts for other kernels allow for coarser timers.
const LOOSE_TOLERANCE: Duration = Duration::from_micros(12_000);
/// Linux delays some ACKs by 40 ms that other kernels send at once.
const LOOSE_ACK: Duration = Duration::from_millis(45);
/// Largest IP packet on the cable, unless `--mtu` says otherwise.
const MTU: usize = 1500;
/// How long `*` waits for a packet.
const PATIENCE: Duration = Duration::from_secs(600);
/// How far ahead to look for a packet that did not come in time, to say when it came.
const LOOKAHEAD: Duration = Duration::from_secs(10);
/// Hop count of packets from the far side.
const TTL: u8 = 64;
/// The first port of the far side's connections.
const FIRST_REMOTE_PORT: u16 = 40_000;

/// Runs a script against a fresh host with Linux's behaviour.
pub fn run_script(text: &str, name: &str) -> Outcome {
    run_script_with(text, name, Comparison::Exact)
}

/// Runs a script, comparing packets more or less closely.
pub fn run_script_with(text: &str, name: &str, how: Comparison) -> Outcome {
    run_script_in(text, name, how, &|_| None)
}

/// As [`run_script_with`]. `read`: the text of a file that the script runs as a command, by the name it gives.
pub fn run_script_in(
    text: &str,
    name: &str,
    how: Comparison,
    read: &dyn Fn(&str) -> Option<String>,
) -> Outcome {
    let verdict = match parse::parse(text).and_then(|script| Run::new(&script, how, read)?.play(&script)) {
        Ok(()) => Verdict::Passed,
        Err(Trouble::Wrong { line, why }) => Verdict::Failed { line, why },
        Err(Trouble::Lacking { line, why }) => Verdict::NotInterpretable { line, why },
    };
    Outcome { name: name.to_owned(), verdict }
}

struct Run<'a> {
    read: shell::Read<'a>,
    bench: Bench,
    how: Comparison,
    tolerance: Duration,
    /// Length of one tick of the host's TCP timestamps, if their values are to be checked.
    timestamp_tick: Option<Duration>,
    files: Files,
    code: Code,
    connections: Vec<Connection>,
    /// The connection that packets without ports belong to.
    current: Option<usize>,
    next_remote_port: u16,
    /// Ports of the last datagram: the host's, ours.
    udp: (u16, u16),
    pending: Option<Pending>,
    /// Script time of the event before, unless it was loose (`*` or a range).
    anchor: Option<Duration>,
}

/// A call that has not come back yet.
struct Pending {
    line: usize,
    id: CallId,
    call: SystemCall,
    /// Of a blocking send, what was taken and what is left.
    sent: usize,
    rest: Option<Call>,
    /// When it must come back.
    until: Duration,
}

impl<'a> Run<'a> {
    fn new(script: &Script, how: Comparison, read: shell::Read<'a>) -> Result<Run<'a>, Trouble> {
        let bench = Bench::new(MTU, script.v6());
        let ends = bench.ends();
        let mut run = Run {
            read,
            bench,
            how,
            tolerance: if how == Comparison::Loose { LOOSE_TOLERANCE } else { TOLERANCE },
            timestamp_tick: None,
            files: Files::new(script.v6(), ends),
            code: Code::default(),
            connections: Vec::new(),
            current: None,
            next_remote_port: FIRST_REMOTE_PORT,
            udp: (PORT, PORT),
            pending: None,
            anchor: Some(Duration::ZERO),
        };
        for (line, key, value) in &script.options {
            run.option(*line, key, value.as_deref())?;
        }
        Ok(run)
    }

    fn option(&mut self, line: usize, key: &str, value: Option<&str>) -> Result<(), Trouble> {
        let text = value.unwrap_or_default();
        let number =
            || text.parse::<u64>().map_err(|_| Trouble::wrong(line, format!("--{key} needs a number")));
        match key {
            "tolerance_usecs" => self.tolerance = self.tolerance.max(Duration::from_micros(number()?)),
            "mtu" => {
                let mtu = usize::try_from(number()?).unwrap_or(usize::MAX);
                if !(68..=65_535).contains(&mtu) {
                    return Err(Trouble::wrong(line, "an MTU is 68 to 65535 octets"));
                }
                self.bench = Bench::new(mtu, self.bench.v6);
            }
            "tcp_ts_tick_usecs" => {
                self.timestamp_tick = Some(Duration::from_micros(number()?)).filter(|tick| !tick.is_zero());
            }
            "ip_version" if matches!(text, "ipv4" | "ipv6") => {}
            // Of interest to a live kernel only, or done here in any case.
            "tolerance" | "strict_segments" | "define" | "init_scripts" => {}
            "tolerance_percent" | "speed" | "non_fatal" | "tcp_ts_ecr_scaled" | "verbose" => {}
            _ => {
                return Err(Trouble::lacking(
                    line,
                    format!("the option --{key}{}{text}", if value.is_some() { "=" } else { "" }),
                ));
            }
        }
        Ok(())
    }

    fn play(&mut self, script: &Script) -> Result<(), Trouble> {
        let mut last_line = 0;
        for event in &script.events {
            self.event(event)?;
            last_line = event.line;
        }
        let end = self.bench.now();
        if let Some(pending) = &self.pending {
            let until = pending.until + self.tolerance;
            self.advance(until)?;
            self.must_be_idle()?;
        }
        // What the last event itself has caused need not be written down; all before must have been.
        match self.bench.seen.iter().find(|seen| seen.at < end) {
            Some(seen) if self.how == Comparison::Exact => {
                let seen = seen.clone();
                Err(Trouble::wrong(
                    last_line,
                    format!("at the end, an unexpected packet: {}", self.show(&seen)),
                ))
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Trouble> {
        let base = self.anchor.unwrap_or(self.bench.now());
        let (from, to) = match event.when {
            When::At(at) => (at, Some(at)),
            When::After(by) => (base + by, Some(base + by)),
            When::Any => (base.min(self.bench.now()), None),
            When::Between(from, to) => (from, Some(to)),
            When::AfterBetween(from, to) => (base + from, Some(base + to)),
        };
        let line = event.line;
        if from < base && event.when == When::At(from) {
            return Err(Trouble::wrong(line, "the event is earlier than the one before it"));
        }
        if !matches!(event.action, Action::Outbound(_)) {
            self.advance(from)?;
        }
        match &event.action {
            Action::Inbound(packet) => self.inbound(line, packet)?,
            Action::Outbound(packet) => self.outbound(line, packet, from, to)?,
            Action::Call(call) => {
                // The end of a blocking call is counted as its beginning is.
                let relative = matches!(event.when, When::After(_) | When::AfterBetween(..));
                let until = call.blocks_until.map(|until| if relative { base + until } else { until });
                self.call(line, call, until)?;
            }
            Action::Shell(text) => shell::run(line, text, &mut self.bench, self.read)?,
            Action::Code(text) => {
                let fd = self.current_fd();
                let info = fd.and_then(|fd| self.bench.tcp_info(fd));
                self.code.run(line, text, |name| tcp_info::value(name, info.as_deref()))?;
            }
        }
        self.settle()?;
        self.anchor = match event.when {
            // After an ACK that was late, the rest of the script is late as well.
            _ if matches!(&event.action, Action::Outbound(packet) if self.may_be_late(packet)) => None,
            When::At(_) | When::After(_) => Some(from),
            _ => None,
        };
        Ok(())
    }

    /// Lets time pass until `limit`.
    fn advance(&mut self, limit: Duration) -> Result<(), Trouble> {
        loop {
            let more = self.bench.step(limit);
            self.settle()?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Takes the answer of the call that had blocked, if it is there.
    fn settle(&mut self) -> Result<(), Trouble> {
        while let Some((id, answer)) = self.bench.completions.pop_front() {
            match self.pending.take() {
                Some(pending) if pending.id == id => self.finish(pending, answer)?,
                other => self.pending = other,
            }
        }
        let line = self.pending.as_ref().map_or(0, |p| p.line);
        match self.bench.malformed.take() {
            Some(what) => Err(Trouble::wrong(line, format!("the host sent {what}"))),
            None => Ok(()),
        }
    }

    fn find(&self, local: u16, remote: u16) -> Option<usize> {
        self.connections.iter().position(|c| (c.local_port, c.remote_port) == (local, remote))
    }

    fn find_or_add(&mut self, local: u16, remote: u16) -> usize {
        self.find(local, remote).unwrap_or_else(|| {
            self.connections.push(Connection::new(local, remote));
            self.connections.len() - 1
        })
    }

    /// The host has no socket for the current connection any more, so a connect(2) must mean another.
    fn current_is_over(&self) -> bool {
        self.current_socket(&self.bench.snapshot().sockets).is_none()
    }

    /// The descriptor that code is about: the current connection's.
    fn current_fd(&self) -> Option<Fd> {
        let sockets = self.bench.snapshot().sockets;
        let owners = self.current_socket(&sockets).map(|socket| socket.owners.as_slice());
        owners.and_then(<[_]>::first).map(|(_, fd)| *fd)
    }

    fn current_socket<'s>(&self, sockets: &'s [SocketSnapshot]) -> Option<&'s SocketSnapshot> {
        let connection = &self.connections[self.current?];
        sockets.iter().find(|s| {
            s.local.map(|a| a.port()) == Some(connection.local_port)
                && s.peer.map(|a| a.port()) == Some(connection.remote_port)
        })
    }
}

/// Where in the stream the octet with this script sequence number stands: the first is numbered 1, after the SYN.
fn index_of(seq: u32, syn: bool) -> u64 {
    if syn { 0 } else { u64::from(seq.wrapping_sub(1)) }
}

fn timestamp(segment: &RawSegment) -> Option<u32> {
    segment.options.iter().find_map(|o| match o {
        TcpOption::Timestamp { val, .. } => Some(*val),
        _ => None,
    })
}

/// Does `next` carry on where `first` ends, alike in all else?
fn follows(first: &RawSegment, next: &RawSegment) -> bool {
    let end = first.seq.wrapping_add(u32::try_from(first.data.len()).unwrap_or(u32::MAX));
    (next.source, next.destination, next.seq, next.ack) == (first.source, first.destination, end, first.ack)
        && !next.data.is_empty()
        && !first.flags.fin
        && !next.flags.syn
        && !next.flags.rst
}

fn seconds(time: Duration) -> String {
    format!("{:.6} s", time.as_secs_f64())
}
