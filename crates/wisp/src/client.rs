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
//! Two things Wisp version 1 cannot say are bridged here, by time:
//! * *The connection is established.* Our relay sends CONTINUE as soon as it is. Other relays may not: a TCP stream
//!   that was not closed within [`OPEN_ASSUMED_AFTER`] counts as open.
//! * *I have finished sending* (half-close). [`Client::finish`] waits until the other side has been silent for
//!   [`FINISH_LINGER`], then closes both directions.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use crate::packet::{Packet, ParseError, Reason, StreamId, StreamKind, emit_data};

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

/// What the relay did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The relay's greeting came: streams may flow.
    Ready {
        /// Packets each TCP stream may send before it must wait.
        credit: u32,
    },
    /// The stream is connected to its target (UDP: at once).
    Opened {
        /// Which.
        stream: StreamId,
    },
    /// So many more octets may be given to [`Client::send`].
    Writable {
        /// Which.
        stream: StreamId,
        /// Octets that left the stream's buffer since the last such event.
        octets: usize,
    },
    /// Octets, or one datagram, from the target.
    Data {
        /// Which.
        stream: StreamId,
        /// What came.
        bytes: Bytes,
    },
    /// The stream is over in both directions, and forgotten. Never reported for a stream that was closed from here.
    Closed {
        /// Which.
        stream: StreamId,
        /// Why. [`Reason::VOLUNTARY`] is the target's end of file.
        reason: Reason,
        /// It had been [`ClientEvent::Opened`]: `false` says that the target was never reached.
        opened: bool,
    },
    /// The relay ended the whole connection; each stream was reported as closed.
    Ended {
        /// Why.
        reason: Reason,
    },
}

/// Why a stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The WebSocket is gone or the relay has ended the connection: make a new [`Client`].
    #[error("the connection to the relay has ended")]
    Ended,
}

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
}

/// The client end of one WebSocket to a relay.
#[derive(Debug, Default)]
pub struct Client {
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

    /// The greeting came and the connection has not ended.
    pub fn is_ready(&self) -> bool {
        self.initial.is_some() && !self.ended
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
        let stream = self.free_id();
        let credit = self.initial.unwrap_or(0);
        let buffer = BytesMut::new();
        self.streams.insert(stream, Stream { kind, credit, buffer, opening, finishing: None, closing: None });
        self.messages.push_back(Packet::Connect { stream, kind, port, host: host.to_owned() }.emit());
        Ok(stream)
    }

    /// A counter that skips zero and what is in use, so that an id comes back as late as possible.
    fn free_id(&mut self) -> StreamId {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = StreamId(self.last_id);
            if !self.streams.contains_key(&id) {
                return id;
            }
        }
    }

    /// Octets that [`Client::send`] would take now; 0 for a stream that is not open for sending.
    pub fn room(&self, stream: StreamId) -> usize {
        match self.streams.get(&stream) {
            Some(s) if s.kind == StreamKind::Tcp && s.closing.is_none() && s.finishing.is_none() => {
                SEND_BUFFER - s.buffer.len()
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
        let udp = self.streams.get(&stream).is_some_and(|s| s.kind == StreamKind::Udp);
        let early = !self.is_ready() && self.messages.len() >= MAX_EARLY_DATAGRAMS;
        let goes = udp && !early && datagram.len() <= MAX_DATAGRAM;
        if goes {
            self.messages.push_back(emit_data(stream, datagram));
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
        }
    }

    /// Closes both directions once what was sent has gone out. No more events for this stream.
    pub fn close(&mut self, stream: StreamId, reason: Reason) {
        if let Some(s) = self.streams.get_mut(&stream) {
            s.closing = Some(reason);
            self.events.retain(|event| event_stream(event) != Some(stream));
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
                    self.opened(stream);
                    self.events.push_back(ClientEvent::Data { stream, bytes });
                }
            }
            Packet::Close { stream: StreamId::CONNECTION, reason } => self.end(reason),
            Packet::Close { stream, reason } => self.closed(stream, reason),
            // CONNECT and INFO are not for a version 1 client; a relay that sends them goes on without an answer.
            Packet::Connect { .. } | Packet::Info { .. } => {}
        }
        Ok(())
    }

    /// The WebSocket is gone: every stream is closed with [`Reason::NETWORK_ERROR`].
    pub fn handle_lost(&mut self) {
        self.end(Reason::NETWORK_ERROR);
    }

    /// When to call [`Client::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let ready = self.is_ready();
        self.streams.values().filter_map(|s| next_timeout(s, ready)).min()
    }

    /// Time has come to `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        let ready = self.is_ready();
        let due: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, s)| next_timeout(s, ready).is_some_and(|at| at <= now))
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

    /// The next message for the WebSocket. None before the greeting, which the specification makes a client wait for.
    pub fn poll_message(&mut self) -> Option<Bytes> {
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
        let waiting: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in waiting {
            if let Some(s) = self.streams.get_mut(&stream) {
                s.credit = credit;
                self.flush(stream);
            }
        }
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

/// The earlier of a stream's two deadlines. Nothing opens before the greeting, however long that takes.
fn next_timeout(stream: &Stream, ready: bool) -> Option<Duration> {
    if stream.closing.is_some() || !ready {
        return None;
    }
    stream.opening.into_iter().chain(stream.finishing).min()
}

fn event_stream(event: &ClientEvent) -> Option<StreamId> {
    match *event {
        ClientEvent::Opened { stream }
        | ClientEvent::Writable { stream, .. }
        | ClientEvent::Data { stream, .. }
        | ClientEvent::Closed { stream, .. } => Some(stream),
        ClientEvent::Ready { .. } | ClientEvent::Ended { .. } => None,
    }
}
