//! The client's side: which streams are open, how much each may send, what is still to be sent.
//!
//! ```text
//! open_tcp/open_udp, send, finish, close ▸ Client ▸ poll_message  (to the WebSocket)
//!            (from the WebSocket) handle_message ▸ Client ▸ poll_event
//! ```
//!
//! Credit is counted in packets, so a program that writes octet by octet would use it up with nothing sent. A stream
//! therefore has a buffer of [`SEND_BUFFER`] octets: what finds no credit waits there and leaves in full packets.
//!
//! The relay's first packet decides what is spoken: CONTINUE version 1, INFO version 2, and our extension when INFO
//! names it (and [`ClientOptions`] do not say otherwise). Nothing is sent before that.
//!
//! Two things Wisp cannot say without our extension are bridged here, by time:
//! * *The connection is established.* Our relay sends CONTINUE as soon as it is. Other relays may not: a TCP stream
//!   that was not closed within [`OPEN_ASSUMED_AFTER`] counts as open.
//! * *I have finished sending* (half-close). [`Client::finish`] waits until the other side has been silent for
//!   [`FINISH_LINGER`], then closes both directions.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use crate::{
    event::{ClientEvent, OpenError},
    ext::{self, Ext, Question, SERVER_STREAM, ServerTerms},
    info::{self, ClientOptions, Offered},
    packet::{HEADER_LEN, Packet, ParseError, Reason, StreamId, StreamKind, emit_data},
};

/// Octets that a stream holds back while it has no credit. A choice: four times Linux's default of 64 KiB.
pub const SEND_BUFFER: usize = 256 * 1024;

/// Octets in a DATA packet at most. A choice: with a credit of 128 it bounds what a relay must hold to 2 MiB a stream.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// Octets in a datagram at most: what fits into UDP over IPv4.
pub const MAX_DATAGRAM: usize = 65_507;

/// Datagrams that may wait for the relay's greeting; more are lost, as UDP may.
const MAX_EARLY_DATAGRAMS: usize = 64;

/// After this a TCP stream that the relay has not mentioned counts as open. A choice: longer than most refusals take.
pub const OPEN_ASSUMED_AFTER: Duration = Duration::from_secs(3);

/// How long the other side must be silent after [`Client::finish`]. A choice: long enough for an answer to arrive.
pub const FINISH_LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Stream {
    kind: StreamKind,
    /// Packets that may be sent now. Unused for UDP.
    credit: u32,
    /// Waits for credit.
    buffer: BytesMut,
    /// `Some(t)`: not known to be open; counts as open at `t`.
    opening: Option<Duration>,
    /// `Some(t)`: finished sending; closed at `t` unless something comes first.
    finishing: Option<Duration>,
    /// `Some`: closed by the caller, goes away when the buffer is empty.
    closing: Option<Reason>,
    /// Our extension: a port, and which one is wished for.
    port: Option<u16>,
    /// Our extension: FINISH has been sent.
    finish_sent: bool,
    /// Our extension: octets consumed since the last WINDOW.
    consumed: u32,
}

impl Stream {
    fn new(kind: StreamKind, credit: u32, opening: Option<Duration>) -> Stream {
        Stream {
            kind,
            credit,
            buffer: BytesMut::new(),
            opening,
            finishing: None,
            closing: None,
            port: None,
            finish_sent: false,
            consumed: 0,
        }
    }
}

/// The client end of one WebSocket to a relay.
#[derive(Debug, Default)]
pub struct Client {
    options: ClientOptions,
    /// What the relay's INFO said; none: version 1, or nothing yet.
    offered: Option<Offered>,
    /// Goes out before the greeting.
    handshake: Option<Bytes>,
    last_question: u32,
    /// The initial credit, once the greeting came.
    initial: Option<u32>,
    ended: bool,
    last_id: u32,
    streams: BTreeMap<StreamId, Stream>,
    messages: VecDeque<Bytes>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// For a WebSocket that is about to open.
    pub fn new() -> Client {
        Client::default()
    }

    /// The same, with credentials or other wishes for version 2.
    pub fn with_options(options: ClientOptions) -> Client {
        Client { options, ..Client::default() }
    }

    /// What the relay offers of our extension, if it is in force.
    pub fn terms(&self) -> Option<ServerTerms> {
        self.offered.as_ref().and_then(|offered| offered.ours)
    }

    /// 1 or 2; 0 before the relay has said anything.
    pub fn version(&self) -> u8 {
        match (&self.offered, self.initial) {
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        }
    }

    /// The greeting came and the connection has not ended.
    pub fn is_ready(&self) -> bool {
        self.initial.is_some() && !self.ended
    }

    /// The relay has ended the connection, or it is lost.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// No stream, and nothing to send.
    pub fn is_quiet(&self) -> bool {
        self.streams.is_empty() && self.messages.is_empty()
    }

    /// Opens a TCP stream to a name or address. `now` counts from any fixed point, here and everywhere below.
    pub fn open_tcp(&mut self, now: Duration, host: &str, port: u16) -> Result<StreamId, OpenError> {
        self.open(StreamKind::Tcp, Some(now + OPEN_ASSUMED_AFTER), host, port)
    }

    /// Opens a UDP stream: datagrams to and from one name or address and port.
    pub fn open_udp(&mut self, host: &str, port: u16) -> Result<StreamId, OpenError> {
        let stream = self.open(StreamKind::Udp, None, host, port)?;
        self.events.push_back(ClientEvent::Opened { stream });
        Ok(stream)
    }

    fn open(
        &mut self,
        kind: StreamKind,
        opening: Option<Duration>,
        host: &str,
        port: u16,
    ) -> Result<StreamId, OpenError> {
        if self.ended {
            return Err(OpenError::Ended);
        }
        if kind == StreamKind::Udp && self.offered.as_ref().is_some_and(|offered| !offered.udp) {
            return Err(OpenError::NotOffered);
        }
        let stream = self.free_id();
        let credit = self.initial.unwrap_or(0);
        let opening = if self.is_confirmed() { opening.map(|_| Duration::MAX) } else { opening };
        self.streams.insert(stream, Stream::new(kind, credit, opening));
        self.messages.push_back(Packet::Connect { stream, kind, port, host: host.to_owned() }.emit());
        Ok(stream)
    }

    /// The relay says when a stream is open.
    fn is_confirmed(&self) -> bool {
        self.offered.as_ref().is_some_and(|offered| offered.confirm || offered.ours.is_some())
    }

    /// Asks for a real port on the relay: a TCP listener, whose connections come as [`ClientEvent::Accepted`], or a UDP
    /// socket. Port 0 leaves the choice to the relay. [`ClientEvent::Listening`] or [`ClientEvent::Closed`] answers;
    /// [`Client::close`] gives it back.
    pub fn listen(&mut self, kind: StreamKind, port: u16) -> Result<StreamId, OpenError> {
        if self.ended {
            return Err(OpenError::Ended);
        }
        if self.is_ready() && self.terms().is_none() {
            return Err(OpenError::NotOffered);
        }
        let stream = self.free_id();
        self.streams.insert(stream, Stream { port: Some(port), ..Stream::new(kind, 0, Some(Duration::MAX)) });
        if self.is_ready() {
            self.messages.push_back(Packet::Ext { stream, body: Ext::Listen { kind, port } }.emit());
        }
        Ok(stream)
    }

    /// Asks the relay something; [`ClientEvent::Answered`] bears the number that this returns.
    pub fn ask(&mut self, question: Question) -> Result<u32, OpenError> {
        if self.ended {
            return Err(OpenError::Ended);
        }
        if self.terms().is_none() {
            return Err(OpenError::NotOffered);
        }
        self.last_question = self.last_question.wrapping_add(1);
        let stream = StreamId(self.last_question);
        self.messages.push_back(Packet::Ext { stream, body: Ext::Ask(question) }.emit());
        Ok(self.last_question)
    }

    /// The program took so many octets of a TCP stream: the relay may send as many more. Without our extension it does
    /// so anyway.
    pub fn consumed(&mut self, stream: StreamId, octets: u64) {
        if self.terms().is_none() {
            return;
        }
        let window = self.options.window;
        let Some(s) = self.streams.get_mut(&stream) else { return };
        s.consumed = s.consumed.saturating_add(u32::try_from(octets).unwrap_or(u32::MAX));
        // Half the window at a time: the other half is on its way meanwhile.
        if s.consumed >= (window / 2).max(1) {
            let octets = std::mem::take(&mut s.consumed);
            self.messages.push_back(Packet::Ext { stream, body: Ext::Window { octets } }.emit());
        }
    }

    /// A counter that skips zero and what is in use, so that an id comes back as late as possible.
    fn free_id(&mut self) -> StreamId {
        loop {
            self.last_id = self.last_id.checked_add(1).filter(|id| id & SERVER_STREAM == 0).unwrap_or(1);
            let id = StreamId(self.last_id);
            if !self.streams.contains_key(&id) {
                return id;
            }
        }
    }

    /// Octets that [`Client::send`] would take now; 0 for a stream that is not open for sending.
    pub fn room(&self, stream: StreamId) -> usize {
        match self.streams.get(&stream) {
            Some(s)
                if s.kind == StreamKind::Tcp
                    && s.closing.is_none()
                    && s.finishing.is_none()
                    && s.port.is_none() =>
            {
                SEND_BUFFER.saturating_sub(s.buffer.len())
            }
            _ => 0,
        }
    }

    /// Sends octets on a TCP stream: as many as there is room for, and says how many those were.
    pub fn send(&mut self, stream: StreamId, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room(stream));
        if let Some(s) = self.streams.get_mut(&stream)
            && taken > 0
        {
            s.buffer.extend_from_slice(&bytes[..taken]);
            self.flush(stream);
        }
        taken
    }

    /// Sends one datagram on a UDP stream. `false`: it is lost, being too long or the stream not open for sending.
    pub fn send_datagram(&mut self, stream: StreamId, datagram: &[u8]) -> bool {
        let udp = self.streams.get(&stream).is_some_and(|s| s.kind == StreamKind::Udp && s.port.is_none());
        let early = !self.is_ready() && self.messages.len() >= MAX_EARLY_DATAGRAMS;
        let goes = udp && !early && datagram.len() <= MAX_DATAGRAM;
        if goes {
            self.messages.push_back(emit_data(stream, datagram));
        }
        goes
    }

    /// Sends one datagram from a UDP port. `false`: it is lost.
    pub fn send_datagram_to(&mut self, stream: StreamId, to: SocketAddr, datagram: &[u8]) -> bool {
        let port = self.streams.get(&stream).is_some_and(|s| s.kind == StreamKind::Udp && s.port.is_some());
        let goes = port && self.is_ready() && datagram.len() <= MAX_DATAGRAM;
        if goes {
            let mut payload = BytesMut::with_capacity(ext::ADDRESS_LEN + datagram.len());
            ext::put_address(&mut payload, to);
            payload.extend_from_slice(datagram);
            self.messages.push_back(emit_data(stream, &payload));
        }
        goes
    }

    /// The program will send no more (its FIN came). What was sent before still goes out, and the target's answers
    /// still come; see [`FINISH_LINGER`].
    pub fn finish(&mut self, now: Duration, stream: StreamId) {
        if let Some(s) = self.streams.get_mut(&stream)
            && s.finishing.is_none()
        {
            s.finishing = Some(now + FINISH_LINGER);
            self.flush(stream);
        }
    }

    /// Closes both directions once what was sent has gone out. No more events for this stream.
    pub fn close(&mut self, stream: StreamId, reason: Reason) {
        if let Some(s) = self.streams.get_mut(&stream) {
            s.closing = Some(reason);
            self.events.retain(|event| event.stream() != Some(stream));
            self.flush(stream);
        }
    }

    /// Closes both directions at once; what has not gone out is lost. No more events for this stream.
    pub fn abort(&mut self, stream: StreamId, reason: Reason) {
        if let Some(s) = self.streams.get_mut(&stream) {
            s.buffer.clear();
        }
        self.close(stream, reason);
    }

    /// A whole binary message from the relay. An error concerns that message only: it is skipped.
    pub fn handle_message(&mut self, now: Duration, message: Bytes) -> Result<(), ParseError> {
        match Packet::parse(message)? {
            Packet::Continue { stream: StreamId::CONNECTION, credit } => self.greeted(credit),
            Packet::Continue { stream, credit } => {
                if let Some(s) = self.streams.get_mut(&stream) {
                    s.credit = credit;
                    self.opened(stream);
                    self.flush(stream);
                }
            }
            Packet::Data { stream, bytes } => {
                if let Some(s) = self.streams.get_mut(&stream)
                    && s.closing.is_none()
                {
                    if let Some(at) = &mut s.finishing {
                        *at = now + FINISH_LINGER;
                    }
                    let port = s.port.is_some();
                    self.opened(stream);
                    self.events.push_back(match port {
                        true => {
                            let (from, bytes) = ext::split_datagram(&bytes)?;
                            ClientEvent::Datagram { stream, from, bytes }
                        }
                        false => ClientEvent::Data { stream, bytes },
                    });
                }
            }
            Packet::Close { stream: StreamId::CONNECTION, reason } => self.end(reason),
            Packet::Close { stream, reason } => self.closed(stream, reason),
            Packet::Info { major, extensions, .. } if self.initial.is_none() && self.offered.is_none() => {
                let known = if major >= 2 { extensions } else { Vec::new() };
                let (answer, offered) = info::answer(&self.options, &known);
                self.handshake = Some(answer.emit());
                self.events.extend(offered.motd.clone().map(|text| ClientEvent::Motd { text }));
                self.offered = Some(offered);
            }
            Packet::Ext { stream, body } if self.terms().is_some() => self.extension(stream, body),
            // Not for a client, or not now; a relay that sends them goes on without an answer.
            Packet::Connect { .. } | Packet::Info { .. } | Packet::Ext { .. } => {}
        }
        Ok(())
    }

    fn extension(&mut self, stream: StreamId, body: Ext) {
        match body {
            Ext::Opened { local, remote } => {
                let Some(s) = self.streams.get(&stream) else { return };
                match remote {
                    Some(remote) if s.port.is_none() => {
                        self.opened(stream);
                        self.events.push_back(ClientEvent::Addresses { stream, local, remote });
                    }
                    None if s.port.is_some() => {
                        if let Some(s) = self.streams.get_mut(&stream) {
                            s.opening = None;
                        }
                        self.events.push_back(ClientEvent::Listening { stream, local });
                    }
                    _ => {}
                }
            }
            Ext::Accept { listener, remote, local } => {
                let port =
                    self.streams.get(&listener).is_some_and(|s| s.port.is_some() && s.closing.is_none());
                if stream.0 & SERVER_STREAM == 0 || self.streams.contains_key(&stream) {
                    return;
                }
                if !port {
                    // The port was closed while this was on its way.
                    let reason = Reason::NETWORK_ERROR;
                    self.messages.push_back(Packet::Close { stream, reason }.emit());
                    return;
                }
                let credit = self.initial.unwrap_or(0);
                self.streams.insert(stream, Stream::new(StreamKind::Tcp, credit, None));
                self.events.push_back(ClientEvent::Accepted { listener, stream, remote, local });
            }
            Ext::Finish => {
                if self.streams.get(&stream).is_some_and(|s| s.closing.is_none()) {
                    self.opened(stream);
                    self.events.push_back(ClientEvent::Finished { stream });
                }
            }
            Ext::Error { errno, text } => {
                let open = self.streams.get(&stream).is_some_and(|s| s.closing.is_none());
                if open || stream == StreamId::CONNECTION {
                    self.events.push_back(ClientEvent::Trouble { stream, errno, text });
                }
            }
            Ext::Answer(answer) => {
                self.events.push_back(ClientEvent::Answered { question: stream.0, answer });
            }
            Ext::Listen { .. } | Ext::Window { .. } | Ext::Ask(_) => {}
        }
    }

    /// The WebSocket is gone: every stream is closed with [`Reason::NETWORK_ERROR`].
    pub fn handle_lost(&mut self) {
        self.end(Reason::NETWORK_ERROR);
    }

    /// When to call [`Client::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let (ready, ours) = (self.is_ready(), self.terms().is_some());
        self.streams.values().filter_map(|s| next_timeout(s, ready, ours)).min()
    }

    /// Time has come to `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        let (ready, ours) = (self.is_ready(), self.terms().is_some());
        let due: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, s)| next_timeout(s, ready, ours).is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for stream in due {
            let Some(s) = self.streams.get_mut(&stream) else { continue };
            if s.opening.is_some_and(|at| at <= now) {
                self.opened(stream);
            } else if let Some(at) = &mut s.finishing {
                if s.buffer.is_empty() {
                    self.messages.push_back(Packet::Close { stream, reason: Reason::VOLUNTARY }.emit());
                    self.closed(stream, Reason::VOLUNTARY);
                } else {
                    // Still waiting for credit: the target has not even got the question.
                    *at = now + FINISH_LINGER;
                }
            }
        }
    }

    /// The next message for the WebSocket. None before the greeting, which the specification makes a client wait for,
    /// but the client's part of the handshake.
    pub fn poll_message(&mut self) -> Option<Bytes> {
        if let Some(handshake) = self.handshake.take() {
            return Some(handshake);
        }
        if self.is_ready() { self.messages.pop_front() } else { None }
    }

    /// What the relay did next.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn greeted(&mut self, credit: u32) {
        if self.initial.replace(credit).is_some() || self.ended {
            return; // A second greeting changes only what later streams begin with.
        }
        self.events.push_back(ClientEvent::Ready { credit });
        let (confirmed, ours) = (self.is_confirmed(), self.terms().is_some());
        let no_udp = self.offered.as_ref().is_some_and(|offered| !offered.udp);
        let waiting: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in waiting {
            let Some(s) = self.streams.get_mut(&stream) else { continue };
            s.credit = credit;
            if confirmed {
                s.opening = s.opening.map(|_| Duration::MAX);
            }
            match (s.port, s.kind) {
                (Some(port), kind) if ours => {
                    self.messages.push_back(Packet::Ext { stream, body: Ext::Listen { kind, port } }.emit());
                }
                (Some(_), _) => self.not_offered(stream),
                (None, StreamKind::Udp) if no_udp => self.not_offered(stream),
                (None, _) => self.flush(stream),
            }
        }
    }

    /// Something was asked for before the relay had said that it does not have it.
    fn not_offered(&mut self, stream: StreamId) {
        let number = stream.0.to_le_bytes();
        self.messages.retain(|message| message.get(1..HEADER_LEN) != Some(&number));
        self.closed(stream, Reason::INCOMPATIBLE);
    }

    fn opened(&mut self, stream: StreamId) {
        if let Some(s) = self.streams.get_mut(&stream)
            && s.opening.take().is_some()
            && s.closing.is_none()
        {
            self.events.push_back(ClientEvent::Opened { stream });
        }
    }

    fn closed(&mut self, stream: StreamId, reason: Reason) {
        if let Some(s) = self.streams.remove(&stream)
            && s.closing.is_none()
        {
            self.events.push_back(ClientEvent::Closed { stream, reason, opened: s.opening.is_none() });
        }
    }

    fn end(&mut self, reason: Reason) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.messages.clear();
        let open: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in open {
            self.closed(stream, reason);
        }
        self.events.push_back(ClientEvent::Ended { reason });
    }

    /// Turns what waits into packets, as far as the credit goes; then the CLOSE that waited behind it.
    fn flush(&mut self, stream: StreamId) {
        let Some(s) = self.streams.get_mut(&stream) else { return };
        let mut freed = 0;
        while s.credit > 0 && !s.buffer.is_empty() {
            let payload = s.buffer.split_to(s.buffer.len().min(MAX_PAYLOAD));
            self.messages.push_back(emit_data(stream, &payload));
            s.credit -= 1;
            freed += payload.len();
        }
        let ours = self.offered.as_ref().is_some_and(|offered| offered.ours.is_some());
        let tcp = s.kind == StreamKind::Tcp && s.port.is_none();
        if ours
            && tcp
            && s.finishing.is_some()
            && s.buffer.is_empty()
            && !s.finish_sent
            && s.closing.is_none()
        {
            s.finish_sent = true;
            self.messages.push_back(Packet::Ext { stream, body: Ext::Finish }.emit());
        }
        if let (Some(reason), true) = (s.closing, s.buffer.is_empty()) {
            self.streams.remove(&stream);
            self.messages.push_back(Packet::Close { stream, reason }.emit());
        } else if freed > 0 && s.closing.is_none() {
            match self.events.back_mut() {
                Some(ClientEvent::Writable { stream: last, octets }) if *last == stream => *octets += freed,
                _ => self.events.push_back(ClientEvent::Writable { stream, octets: freed }),
            }
        }
    }
}

/// The earlier of a stream's two deadlines. Nothing opens before the greeting, however long that takes; and with our
/// extension the relay says when a stream opens and ends.
fn next_timeout(stream: &Stream, ready: bool, ours: bool) -> Option<Duration> {
    if stream.closing.is_some() || !ready || ours {
        return None;
    }
    stream.opening.into_iter().chain(stream.finishing).filter(|at| *at < Duration::MAX).min()
}
