//! Plays a script: advances the clock from event to event, makes the calls, sends the far side's packets, and holds
//! what the host does against what is written.

use core::net::Ipv4Addr;
use core::time::Duration;

use bytes::Bytes;
use socketlab_stack::{Call, CallId, Failure, Outcome as CallOutcome, Ret, SocketSnapshot};

use crate::bench::{Bench, LOCAL, REMOTE, Seen};
use crate::call::{Files, PORT, Wanted};
use crate::code::Code;
use crate::compare::compare;
use crate::connection::{Connection, Stream, octets};
use crate::packet::{Body, Flags, Icmp, Packet, Quoted, Segment, TcpOption};
use crate::script::{Action, Event, Script, SystemCall, When};
use crate::wire::{self, Datagram, Load, QuotedHead, RawSegment};
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
    let verdict = match parse::parse(text).and_then(|script| Run::new(&script, how)?.play(&script)) {
        Ok(()) => Verdict::Passed,
        Err(Trouble::Wrong { line, why }) => Verdict::Failed { line, why },
        Err(Trouble::Lacking { line, why }) => Verdict::NotInterpretable { line, why },
    };
    Outcome { name: name.to_owned(), verdict }
}

struct Run {
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

impl Run {
    fn new(script: &Script, how: Comparison) -> Result<Run, Trouble> {
        let mut run = Run {
            bench: Bench::new(MTU),
            how,
            tolerance: if how == Comparison::Loose { LOOSE_TOLERANCE } else { TOLERANCE },
            timestamp_tick: None,
            files: Files::default(),
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
                self.bench = Bench::new(mtu);
            }
            "tcp_ts_tick_usecs" => {
                self.timestamp_tick = Some(Duration::from_micros(number()?)).filter(|tick| !tick.is_zero());
            }
            "ip_version" if text == "ipv4" => {}
            // Of interest to a live kernel only, or done here in any case.
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
            Action::Shell(text) => shell::run(line, text, &self.bench.snapshot())?,
            Action::Code(text) => {
                let sockets = self.bench.snapshot().sockets;
                let socket = self.current_socket(&sockets);
                self.code.run(line, text, |name| tcp_info::value(name, socket))?;
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

    // Calls

    fn call(&mut self, line: usize, call: &SystemCall, until: Option<Duration>) -> Result<(), Trouble> {
        if let Some(pending) = &self.pending {
            let until = pending.until + self.tolerance;
            if until > self.bench.now() {
                self.advance_while_pending(until)?;
            }
            self.must_be_idle()?;
        }
        let wanted = self.files.lower(line, call, &self.bench.snapshot())?;
        let Wanted::Host(host_call) = wanted else {
            let Wanted::Answer(answer) = wanted else { return Ok(()) };
            return self.files.handle_own_answer(line, call, answer);
        };
        match host_call {
            // The next packets are about the connection that begins now.
            Call::Listen { .. } => self.current = None,
            Call::Connect { .. } if self.current_is_over() => self.current = None,
            _ => {}
        }
        let (id, outcome) = self.bench.call(host_call.clone());
        let pending = Pending {
            line,
            id,
            call: call.clone(),
            sent: 0,
            rest: Some(host_call),
            until: until.unwrap_or(self.bench.now()),
        };
        match outcome {
            CallOutcome::Done(answer) => self.finish(pending, answer),
            CallOutcome::Blocked if until.is_some() => {
                self.pending = Some(pending);
                Ok(())
            }
            CallOutcome::Blocked => Err(Trouble::wrong(line, format!("{} blocks", call.name))),
        }
    }

    fn advance_while_pending(&mut self, limit: Duration) -> Result<(), Trouble> {
        while self.pending.is_some() && self.bench.step(limit) {
            self.settle()?;
        }
        Ok(())
    }

    fn must_be_idle(&self) -> Result<(), Trouble> {
        match &self.pending {
            Some(p) => Err(Trouble::wrong(
                p.line,
                format!("{} still blocks at {}", p.call.name, seconds(self.bench.now())),
            )),
            None => Ok(()),
        }
    }

    /// A call has its answer. A blocking send goes on until all is taken, as Linux's does.
    fn finish(&mut self, mut pending: Pending, answer: Result<Ret, Failure>) -> Result<(), Trouble> {
        let mut answer = answer;
        while let Some(Call::Send { fd, data, flags, timeout: None }) = &pending.rest {
            match answer {
                Ok(Ret::Len(taken)) if taken < data.len() => {
                    pending.sent += taken;
                    let rest =
                        Call::Send { fd: *fd, data: data.slice(taken..), flags: *flags, timeout: None };
                    let (id, outcome) = self.bench.call(rest.clone());
                    (pending.id, pending.rest) = (id, Some(rest));
                    match outcome {
                        CallOutcome::Done(next) => answer = next,
                        CallOutcome::Blocked if pending.call.blocks_until.is_some() => {
                            self.pending = Some(pending);
                            return Ok(());
                        }
                        CallOutcome::Blocked => {
                            return Err(Trouble::wrong(
                                pending.line,
                                format!("{} blocks", pending.call.name),
                            ));
                        }
                    }
                }
                Ok(Ret::Len(taken)) => {
                    answer = Ok(Ret::Len(pending.sent + taken));
                    break;
                }
                Err(_) if pending.sent > 0 => {
                    answer = Ok(Ret::Len(pending.sent));
                    break;
                }
                _ => break,
            }
        }
        let now = self.bench.now();
        if now + self.tolerance < pending.until || pending.until + self.tolerance < now {
            let (name, until) = (&pending.call.name, seconds(pending.until));
            return Err(Trouble::wrong(
                pending.line,
                format!("{name} returns at {}, not at {until}", seconds(now)),
            ));
        }
        self.files.handle_answer(pending.line, &pending.call, &answer, self.how)
    }

    // Packets in

    fn inbound(&mut self, line: usize, packet: &Packet) -> Result<(), Trouble> {
        let ttl = packet.ttl.unwrap_or(TTL);
        let datagram = |source: Ipv4Addr, load| Datagram { source, destination: LOCAL, ttl, load };
        let datagram = match &packet.body {
            Body::Tcp(segment) => {
                let segment = self.raw_segment(line, segment, packet.ports)?;
                datagram(REMOTE, Load::Tcp(segment))
            }
            Body::Udp(len) => {
                if let Some((source, destination)) = packet.ports {
                    self.udp = (destination, source);
                }
                let data = Bytes::from(octets(Stream::Received, 0, *len));
                datagram(REMOTE, Load::Udp { source: self.udp.1, destination: self.udp.0, data })
            }
            Body::Icmp(icmp) => datagram(REMOTE, self.raw_icmp(line, icmp)?),
        };
        self.bench.inject(&datagram);
        Ok(())
    }

    /// The segment as it goes over the cable.
    fn raw_segment(
        &mut self,
        line: usize,
        segment: &Segment,
        ports: Option<(u16, u16)>,
    ) -> Result<RawSegment, Trouble> {
        let Some(window) = segment.window else {
            return Err(Trouble::wrong(line, "a packet that comes in needs a win"));
        };
        let index = match ports {
            Some((source, destination)) => self.find_or_add(destination, source),
            None => match self.current {
                Some(index) => index,
                None => {
                    let remote = self.next_remote_port;
                    self.next_remote_port += 1;
                    self.find_or_add(PORT, remote)
                }
            },
        };
        self.current = Some(index);
        let connection = &mut self.connections[index];
        let (seq, syn) = (segment.seq.unwrap_or(0), segment.flags.syn);
        if syn {
            connection.handle_remote_syn(seq);
        }
        let options = segment.options.clone().unwrap_or_default().into_iter().map(|option| match option {
            TcpOption::Sack(blocks) => TcpOption::Sack(
                blocks
                    .iter()
                    .map(|(l, r)| {
                        (
                            connection.live_from_script_local(*l, syn),
                            connection.live_from_script_local(*r, syn),
                        )
                    })
                    .collect(),
            ),
            TcpOption::Timestamp { val, ecr } if segment.flags.ack => {
                TcpOption::Timestamp { val, ecr: connection.live_from_script_timestamp(ecr) }
            }
            other => other,
        });
        Ok(RawSegment {
            source: connection.remote_port,
            destination: connection.local_port,
            flags: segment.flags,
            seq: connection.live_from_script_remote(seq, syn),
            ack: if segment.flags.ack {
                connection.live_from_script_local(segment.ack, syn)
            } else {
                segment.ack
            },
            window,
            options: options.collect(),
            data: octets(Stream::Received, index_of(seq, syn), segment.len).into(),
        })
    }

    fn raw_icmp(&self, line: usize, icmp: &Icmp) -> Result<Load, Trouble> {
        let head = match icmp.quoted {
            Some(Quoted::Tcp { seq }) => {
                let Some(connection) = self.current.map(|i| &self.connections[i]) else {
                    return Err(Trouble::wrong(line, "no connection yet for this ICMP message"));
                };
                let seq = connection.live_from_script_local(seq, false);
                Some(QuotedHead::Tcp {
                    source: connection.local_port,
                    destination: connection.remote_port,
                    seq,
                })
            }
            Some(Quoted::Udp { len }) => {
                let len = u16::try_from(len).map_err(|_| Trouble::wrong(line, "the datagram is too long"))?;
                Some(QuotedHead::Udp { source: self.udp.0, destination: self.udp.1, len })
            }
            None => None,
        };
        Ok(Load::Icmp {
            kind: icmp.kind,
            code: icmp.code,
            id: icmp.id.unwrap_or(0),
            mtu: icmp.mtu.unwrap_or(0),
            data: head.map(|head| wire::quote(LOCAL, REMOTE, head)).unwrap_or_default(),
        })
    }

    // Packets out

    fn outbound(
        &mut self,
        line: usize,
        expected: &Packet,
        from: Duration,
        to: Option<Duration>,
    ) -> Result<(), Trouble> {
        let to = to.map(|to| if self.may_be_late(expected) { to + LOOSE_ACK } else { to });
        let deadline = to.map_or(self.bench.now() + PATIENCE, |to| to + self.tolerance);
        let seen = loop {
            self.wait_for_packet(deadline)?;
            let Some(seen) = self.bench.seen.pop_front() else {
                let why = format!("expected > {expected}, but {}", self.nothing_came(deadline));
                return Err(Trouble::wrong(line, why));
            };
            if !self.is_eager_ack(&seen, expected) {
                break seen;
            }
        };
        let seen = self.with_what_follows(seen, expected);
        let actual =
            self.translate(&seen.datagram, Some(expected)).map_err(|why| Trouble::wrong(line, why))?;
        if let Some(difference) = compare(expected, &actual, self.how) {
            let at = seconds(seen.at);
            return Err(Trouble::wrong(
                line,
                format!("expected > {expected}, saw > {actual} at {at}: {difference}"),
            ));
        }
        self.check_timestamp(line, expected, &seen.datagram)?;
        self.remember_timestamp(expected, &seen.datagram);
        let early = to.is_some() && seen.at + self.tolerance < from;
        if early || to.is_some_and(|to| seen.at > to + self.tolerance) {
            let (at, wanted) = (seconds(seen.at), seconds(from));
            return Err(Trouble::wrong(line, format!("> {actual} came at {at}, not at {wanted}")));
        }
        Ok(())
    }

    fn wait_for_packet(&mut self, deadline: Duration) -> Result<(), Trouble> {
        while self.bench.seen.is_empty() {
            let more = self.bench.step(deadline);
            self.settle()?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// A plain ACK in a script for another kernel.
    fn may_be_late(&self, expected: &Packet) -> bool {
        let plain = Flags { ack: true, ..Flags::default() };
        self.how == Comparison::Loose
            && matches!(&expected.body, Body::Tcp(s) if s.flags == plain && s.len == 0)
    }

    /// Linux acknowledges at once where other kernels delay: a plain ACK that a script for those does not mention.
    fn is_eager_ack(&mut self, seen: &Seen, expected: &Packet) -> bool {
        let Load::Tcp(live) = &seen.datagram.load else { return false };
        let plain = Flags { ack: true, ..Flags::default() };
        if self.how == Comparison::Exact || live.flags != plain || !live.data.is_empty() {
            return false;
        }
        let actual = self.translate(&seen.datagram, Some(expected));
        actual.is_ok_and(|actual| compare(expected, &actual, self.how).is_some())
    }

    /// Says that no packet came in time, and when the next one did.
    fn nothing_came(&mut self, deadline: Duration) -> String {
        while self.bench.seen.is_empty() && self.bench.step(deadline + LOOKAHEAD) {}
        match self.bench.seen.front().cloned() {
            Some(seen) => format!("nothing was sent until {}", self.show(&seen)),
            None => "nothing was sent".to_owned(),
        }
    }

    fn show(&mut self, seen: &Seen) -> String {
        match self.translate(&seen.datagram, None) {
            Ok(packet) => format!("> {packet} at {}", seconds(seen.at)),
            Err(why) => why,
        }
    }

    /// A script may write several segments sent at once as one, as a kernel with segmentation offload shows them.
    fn with_what_follows(&mut self, mut seen: Seen, expected: &Packet) -> Seen {
        let Body::Tcp(Segment { len: wanted, .. }) = expected.body else { return seen };
        while let Load::Tcp(segment) = &mut seen.datagram.load
            && segment.data.len() < wanted
            && !segment.data.is_empty()
            && let Some(Seen { at, datagram: Datagram { load: Load::Tcp(next), .. } }) =
                self.bench.seen.front()
            && *at == seen.at
            && follows(segment, next)
        {
            segment.data = [segment.data.as_ref(), next.data.as_ref()].concat().into();
            segment.flags = next.flags;
            self.bench.seen.pop_front();
        }
        seen
    }

    /// The packet in the script's terms.
    fn translate(&mut self, datagram: &Datagram, expected: Option<&Packet>) -> Result<Packet, String> {
        if datagram.destination != REMOTE {
            return Err(format!("a packet to {}", datagram.destination));
        }
        let packet = |ports, body| Packet { ports, ttl: Some(datagram.ttl), body };
        match &datagram.load {
            Load::Tcp(segment) => {
                let (ports, segment) = self.script_segment(segment, expected)?;
                Ok(packet(ports, Body::Tcp(segment)))
            }
            Load::Udp { source, destination, data } => {
                self.udp = (*source, *destination);
                if data.as_ref() != octets(Stream::Sent, 0, data.len()) {
                    return Err("the octets of the datagram are not those that were written".to_owned());
                }
                let named = expected.is_some_and(|e| e.ports.is_some());
                Ok(packet(named.then_some((*source, *destination)), Body::Udp(data.len())))
            }
            Load::Icmp { kind, code, id, mtu, data } => {
                let quoted =
                    match wire::parse_quote(data).filter(|_| *kind == 3 || *kind == 11 || *kind == 12) {
                        Some(QuotedHead::Udp { len, .. }) => Some(Quoted::Udp { len: usize::from(len) }),
                        Some(QuotedHead::Tcp { seq, .. }) => Some(Quoted::Tcp { seq }),
                        None => None,
                    };
                Ok(packet(
                    None,
                    Body::Icmp(Icmp { kind: *kind, code: *code, mtu: Some(*mtu), id: Some(*id), quoted }),
                ))
            }
        }
    }

    fn script_segment(
        &mut self,
        live: &RawSegment,
        expected: Option<&Packet>,
    ) -> Result<(Option<(u16, u16)>, Segment), String> {
        let known = self.find(live.source, live.destination);
        let wanted = match expected {
            Some(Packet { body: Body::Tcp(segment), .. }) => Some(segment),
            _ => None,
        };
        // The host's own SYN begins a connection.
        let index = match known {
            Some(index) => index,
            None => self.find_or_add(live.source, live.destination),
        };
        if known.is_none() && live.flags.syn && !live.flags.ack {
            self.current = Some(index);
        }
        let connection = &mut self.connections[index];
        let syn = live.flags.syn;
        if let Some(wanted) = wanted.filter(|w| w.flags.syn && syn) {
            connection.handle_local_syn(wanted.seq.unwrap_or(0), live.seq, live.flags.ack);
        }
        // RFC 9293 3.10.7.1: a RST that answers a segment without ACK has sequence number 0, whatever the connection's.
        let bare_reset = live.flags.rst && live.flags.ack && live.seq == 0;
        let seq = if bare_reset { 0 } else { connection.script_from_live_local(live.seq, syn) };
        if !live.data.is_empty()
            && !bare_reset
            && seq != 0
            && live.data.as_ref() != octets(Stream::Sent, index_of(seq, syn), live.data.len())
        {
            return Err(format!("the {} octets at {seq} are not those that were written", live.data.len()));
        }
        let options = live.options.iter().map(|option| match option {
            TcpOption::Sack(blocks) => TcpOption::Sack(
                blocks
                    .iter()
                    .map(|(l, r)| {
                        (
                            connection.script_from_live_remote(*l, syn),
                            connection.script_from_live_remote(*r, syn),
                        )
                    })
                    .collect(),
            ),
            TcpOption::Timestamp { val, ecr } => {
                let first = wanted.and_then(Segment::timestamp).map_or(*val, |(val, _)| val);
                TcpOption::Timestamp {
                    val: connection.script_from_live_timestamp(*val).unwrap_or(first),
                    ecr: *ecr,
                }
            }
            other => other.clone(),
        });
        let segment = Segment {
            flags: live.flags,
            seq: Some(seq),
            len: live.data.len(),
            ack: if live.flags.ack { connection.script_from_live_remote(live.ack, syn) } else { live.ack },
            window: Some(live.window),
            options: Some(options.collect()),
        };
        let named = expected.is_none_or(|e| e.ports.is_some()) || self.current != Some(index);
        Ok((named.then_some((live.source, live.destination)), segment))
    }

    /// `--tcp_ts_tick_usecs`: timestamps must grow with time.
    fn check_timestamp(&self, line: usize, expected: &Packet, live: &Datagram) -> Result<(), Trouble> {
        let (Some(tick), Body::Tcp(wanted), Load::Tcp(segment)) =
            (self.timestamp_tick, &expected.body, &live.load)
        else {
            return Ok(());
        };
        let Some(connection) = self.find(segment.source, segment.destination).map(|i| &self.connections[i])
        else {
            return Ok(());
        };
        let (Some((wanted, _)), Some(val)) = (wanted.timestamp(), timestamp(segment)) else { return Ok(()) };
        let Some(found) = connection.script_from_live_timestamp(val) else { return Ok(()) };
        let off = wanted.wrapping_sub(found).min(found.wrapping_sub(wanted));
        if tick.saturating_mul(off) <= self.tolerance.max(tick) {
            return Ok(());
        }
        Err(Trouble::wrong(line, format!("the timestamp's value is {found}, not {wanted}")))
    }

    fn remember_timestamp(&mut self, expected: &Packet, live: &Datagram) {
        let (Body::Tcp(wanted), Load::Tcp(segment)) = (&expected.body, &live.load) else { return };
        if let (Some((script, _)), Some(val)) = (wanted.timestamp(), timestamp(segment))
            && let Some(index) = self.find(segment.source, segment.destination)
        {
            self.connections[index].handle_local_timestamp(script, val);
        }
    }

    // Connections

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

    fn current_socket<'a>(&self, sockets: &'a [SocketSnapshot]) -> Option<&'a SocketSnapshot> {
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
