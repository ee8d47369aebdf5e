//! A Wisp client and a relay's bookkeeping, joined by a WebSocket that delivers in order, with messages of either side
//! on their way. Well-behaved ends: every octet arrives once and in order, the relay finds nothing to complain of, and
//! holds no more than the credit it gave. With a hostile end (any octets put in between): nobody panics, and what is
//! held stays bounded.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;
use socketlab_wisp::{
    Answer, Client, ClientEvent, ClientOptions, Ext, Limits, Offer, Packet, Question, Reason, Request,
    Server, ServerTerms, StreamId, StreamKey, StreamKind,
};

const LIMITS: Limits = Limits { credit: 4, streams: 6, datagrams: 3, questions: 2 };

use crate::net::octets;

/// The octet at a place of what a stream carries.
fn octet(stream: StreamId, place: usize) -> u8 {
    (place as u32).wrapping_mul(37).wrapping_add(stream.0.wrapping_mul(101)) as u8
}

/// A stream as the relay's shell holds it.
struct Target {
    key: StreamKey,
    kind: StreamKind,
    /// A port that was asked for, not a stream.
    port: bool,
    /// Octets that came from the client, by packet, which the target has not taken yet.
    queue: VecDeque<Bytes>,
    /// Octets of a TCP stream that came from the client.
    came: usize,
    /// Octets sent to the client.
    sent: usize,
}

struct Run {
    now: Duration,
    client: Client,
    server: Server,
    up: VecDeque<Bytes>,
    down: VecDeque<Bytes>,
    targets: BTreeMap<StreamId, Target>,
    /// The client's view: octets sent and received on each TCP stream.
    streams: BTreeMap<StreamId, (usize, usize)>,
    hostile: bool,
    /// The relay has ended the connection.
    ended: bool,
    version2: bool,
}

impl Run {
    fn new(version2: bool, extended: bool, hostile: bool) -> Run {
        let terms = ServerTerms { listen: true, bind_udp: true, lookup: true, ..ServerTerms::default() };
        let offer = Offer { udp: true, confirm: true, ours: Some(terms), ..Offer::default() };
        let server = if version2 { Server::version2(LIMITS, offer) } else { Server::new(LIMITS) };
        let client = Client::with_options(ClientOptions { extended, ..ClientOptions::default() });
        let down = VecDeque::from([server.greeting().emit()]);
        Run {
            now: Duration::ZERO,
            client,
            server,
            up: VecDeque::new(),
            down,
            targets: BTreeMap::new(),
            streams: BTreeMap::new(),
            hostile,
            ended: false,
            version2,
        }
    }

    fn tell(&mut self, packet: &Packet) {
        self.down.push_back(packet.emit());
    }

    /// The relay gets the next message.
    fn step_up(&mut self) {
        while let Some(message) = self.client.poll_message() {
            self.up.push_back(message);
        }
        if self.ended {
            self.up.clear();
        }
        let Some(message) = self.up.pop_front() else { return };
        let request = match self.server.handle_message(message) {
            Ok(request) => request,
            Err(violation) => {
                assert!(self.hostile, "a client that keeps the rules: {violation}");
                self.tell(&Packet::Close { stream: StreamId::CONNECTION, reason: Reason::INVALID });
                self.ended = true;
                return;
            }
        };
        self.serve(request);
        assert!(self.server.open_streams() <= LIMITS.streams);
        let held: usize = self.targets.values().flat_map(|target| &target.queue).map(Bytes::len).sum();
        assert_eq!(self.server.queued_octets(), held, "what the relay counts is what it holds");
        for target in self.targets.values() {
            // A CONTINUE that crosses packets on their way lets a client run ahead by a whole window.
            let most = match target.kind {
                StreamKind::Tcp => LIMITS.credit * 2,
                StreamKind::Udp => LIMITS.datagrams,
            };
            assert!(target.queue.len() <= most as usize, "{} packets wait at one target", target.queue.len());
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Open { stream, kind, .. } | Request::Listen { stream, kind, .. } => {
                let port = matches!(request, Request::Listen { .. });
                let target = Target { key: stream, kind, port, queue: VecDeque::new(), came: 0, sent: 0 };
                self.targets.insert(stream.id, target);
                if let Some(packet) = self.server.opened(stream) {
                    self.tell(&packet);
                }
            }
            Request::Data { stream, bytes } => self.data(stream, bytes, true),
            Request::Datagram { stream, bytes, .. } => self.data(stream, bytes, false),
            Request::Close { stream, .. } => {
                self.targets.remove(&stream);
            }
            Request::Refuse { stream, reason, why } => {
                let limit = matches!(why, socketlab_wisp::Refused::TooManyStreams(_));
                assert!(self.hostile || limit, "a client that keeps the rules: {why}");
                self.targets.remove(&stream);
                self.tell(&Packet::Close { stream, reason });
            }
            Request::Hello(_) => {
                let packet = self.server.admit();
                self.tell(&packet);
            }
            Request::Ask { question, what } => {
                let answer =
                    Answer::Failed { question: what.kind(), errno: 2, text: "no such name".to_owned() };
                self.tell(&Packet::Ext { stream: question, body: Ext::Answer(answer) });
                self.server.answered();
            }
            Request::TooManyQuestions { .. }
            | Request::Finish { .. }
            | Request::Window { .. }
            | Request::Ignore => {}
        }
    }

    fn data(&mut self, stream: StreamId, bytes: Bytes, of_stream: bool) {
        let target = self.targets.get_mut(&stream).expect("data is handed out for open streams only");
        if of_stream && target.kind == StreamKind::Tcp {
            if !self.hostile {
                for (n, found) in bytes.iter().enumerate() {
                    assert_eq!(
                        *found,
                        octet(stream, target.came + n),
                        "octet {} of stream {stream}",
                        target.came + n
                    );
                }
            }
            target.came += bytes.len();
        }
        target.queue.push_back(bytes);
    }

    /// The client gets the next message.
    fn step_down(&mut self) {
        if let Some(message) = self.down.pop_front() {
            let taken = self.client.handle_message(self.now, message);
            assert!(self.hostile || taken.is_ok(), "the relay's own message: {taken:?}");
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Data { stream, bytes } => {
                    let (_, received) = self.streams.entry(stream).or_default();
                    if !self.hostile {
                        for (n, found) in bytes.iter().enumerate() {
                            assert_eq!(*found, octet(stream, *received + n), "octet {} down", *received + n);
                        }
                    }
                    *received += bytes.len();
                    self.client.consumed(stream, bytes.len() as u64);
                }
                ClientEvent::Closed { stream, .. } => {
                    self.streams.remove(&stream);
                }
                _ => {}
            }
        }
    }

    /// A target takes the first packet that waits for it.
    fn consume(&mut self, stream: StreamId) {
        let Some(target) = self.targets.get_mut(&stream) else { return };
        let Some(packet) = target.queue.pop_front() else { return };
        let key = target.key;
        if let Some(packet) = self.server.consumed(key, packet.len()) {
            self.tell(&packet);
        }
    }
}

fn pick(u: &mut Unstructured<'_>, from: impl Iterator<Item = StreamId>) -> Result<StreamId> {
    let all: Vec<StreamId> = from.collect();
    Ok(if all.is_empty() || u.ratio(1, 32)? { StreamId(u.int_in_range(0..=9)?) } else { *u.choose(&all)? })
}

/// Any message, well-formed more often than not.
fn any_message(u: &mut Unstructured<'_>) -> Result<Bytes> {
    let stream = StreamId(if u.ratio(7, 8)? { u.int_in_range(0..=8)? } else { u.arbitrary()? });
    Ok(match u.int_in_range(0..=7)? {
        0 => Bytes::copy_from_slice(octets(u, 40)?),
        1 => Packet::Connect {
            stream,
            kind: StreamKind::Tcp,
            port: u.arbitrary()?,
            host: String::arbitrary(u)?,
        }
        .emit(),
        2 => Packet::Data { stream, bytes: Bytes::copy_from_slice(octets(u, 40)?) }.emit(),
        3 => Packet::Continue { stream, credit: u.arbitrary()? }.emit(),
        4 => Packet::Close { stream, reason: Reason(u.arbitrary()?) }.emit(),
        5 => Packet::Ext { stream, body: Ext::Window { octets: u.arbitrary()? } }.emit(),
        6 => Packet::Ext { stream, body: Ext::Finish }.emit(),
        _ => {
            let mut message = vec![u.arbitrary::<u8>()? | 0xf0];
            message.extend(stream.0.to_le_bytes());
            message.extend(octets(u, 40)?);
            message.into()
        }
    })
}

/// See the head of this file.
pub(crate) fn wisp_session(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let modes: u8 = u.arbitrary().unwrap_or(0);
    let mut run = Run::new(modes & 1 != 0, modes & 2 != 0, modes & 4 != 0);
    // An input that is used up is no mistake.
    let _ = play(&mut u, &mut run);
    // Everything on its way arrives; targets take what waits.
    for _ in 0..100_000 {
        let before = (run.up.len(), run.down.len());
        run.step_up();
        run.step_down();
        let waiting: Vec<StreamId> = run.targets.keys().copied().collect();
        for stream in waiting {
            run.consume(stream);
        }
        let idle = run.targets.values().all(|target| target.queue.is_empty());
        if before == (0, 0) && (run.up.len(), run.down.len()) == (0, 0) && idle {
            break;
        }
    }
    if run.hostile || run.ended {
        return;
    }
    for (stream, target) in &run.targets {
        if let (StreamKind::Tcp, Some((sent, received))) = (target.kind, run.streams.get(stream)) {
            assert_eq!(target.came, *sent, "octets of stream {stream} that reached the target");
            assert_eq!(target.sent, *received, "octets of stream {stream} that reached the client");
        }
    }
    assert_eq!(run.server.queued_octets(), 0);
}

fn play(u: &mut Unstructured<'_>, run: &mut Run) -> Result<()> {
    for _ in 0..200 {
        if u.is_empty() {
            break;
        }
        match u.int_in_range(0..=15)? {
            0 => {
                if let Ok(stream) = run.client.open_tcp(run.now, "example.org", u.arbitrary()?) {
                    run.streams.insert(stream, (0, 0));
                }
            }
            1 => {
                let _ = run.client.open_udp("example.org", 53);
            }
            2 | 3 => {
                let stream = pick(u, run.streams.keys().copied())?;
                let wanted = *u.choose(&[1, 10, 1000, 20_000, 70_000])?;
                let from = run.streams.get(&stream).map_or(0, |s| s.0);
                let octets: Vec<u8> = (from..from + wanted).map(|place| octet(stream, place)).collect();
                let taken = run.client.send(stream, &octets);
                if let Some((sent, _)) = run.streams.get_mut(&stream) {
                    *sent += taken;
                }
            }
            4 => {
                let stream = StreamId(u.int_in_range(0..=8)?);
                run.client.send_datagram(stream, octets(u, 40)?);
            }
            5 => {
                let stream = pick(u, run.streams.keys().copied())?;
                run.client.finish(run.now, stream);
            }
            6 => {
                let stream = pick(u, run.streams.keys().copied())?;
                if u.arbitrary()? {
                    run.client.close(stream, Reason::VOLUNTARY);
                } else {
                    run.client.abort(stream, Reason::VOLUNTARY);
                }
                run.streams.remove(&stream);
            }
            7 => {
                let kind = if u.arbitrary()? { StreamKind::Tcp } else { StreamKind::Udp };
                let _ = run.client.listen(kind, u.arbitrary()?);
            }
            8 => {
                let _ = run.client.ask(Question::Lookup { host: "example.org".to_owned() });
            }
            9 => {
                // The target sends.
                let stream = pick(u, run.targets.keys().copied())?;
                let len = u.int_in_range(1..=3000usize)?;
                let udp_or_gone =
                    run.targets.get(&stream).is_none_or(|t| t.kind == StreamKind::Udp || t.port);
                if !udp_or_gone && let Some(target) = run.targets.get_mut(&stream) {
                    let octets: Vec<u8> =
                        (target.sent..target.sent + len).map(|place| octet(stream, place)).collect();
                    target.sent += len;
                    run.tell(&Packet::Data { stream, bytes: octets.into() });
                }
            }
            10 => {
                // The target ends.
                let stream = pick(u, run.targets.keys().copied())?;
                if let Some(target) = run.targets.remove(&stream)
                    && run.server.close(target.key)
                {
                    run.tell(&Packet::Close { stream, reason: Reason::VOLUNTARY });
                }
            }
            11 => {
                let stream = pick(u, run.targets.keys().copied())?;
                run.consume(stream);
            }
            12 | 13 => {
                for _ in 0..u.int_in_range(1..=8)? {
                    run.step_up();
                    run.step_down();
                }
            }
            14 => {
                run.now += Duration::from_millis(*u.choose(&[1, 500, 2000, 5000])?);
                if run.client.poll_timeout().is_some_and(|at| at <= run.now) {
                    run.client.handle_timeout(run.now);
                }
                run.step_down();
            }
            _ if run.hostile => {
                let message = any_message(u)?;
                if u.arbitrary()? {
                    run.up.push_back(message);
                } else {
                    run.down.push_back(message);
                }
            }
            _ => run.step_down(),
        }
    }
    let _ = run.version2;
    Ok(())
}
