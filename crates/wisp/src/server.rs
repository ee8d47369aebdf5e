//! The relay's side: which streams a client has open, and how much of what it sent waits for each target.
//!
//! The relay keeps the octets; this counts them. Each DATA packet that was handed out by [`Server::handle_message`]
//! must be reported to [`Server::consumed`] once the target took it: that is what gives the client credit again, so a
//! target that does not read stops its own stream and no other.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::packet::{Packet, ParseError, Reason, StreamId, StreamKind};

/// What one client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// DATA packets that a TCP stream may send ahead. 128 is what other Wisp servers give.
    pub credit: u32,
    /// Streams open at a time.
    pub streams: usize,
    /// Datagrams that may wait for one UDP socket; more are lost, as UDP may.
    pub datagrams: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { credit: 128, streams: 256, datagrams: 256 }
    }
}

/// A stream that was opened. A client may use a number again; this says which use is meant, so that a late report from
/// an earlier one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The number on the wire.
    pub id: StreamId,
    serial: u64,
}

/// What the client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Open this stream. Counted as open from now on; answer with [`Server::opened`] or a CLOSE and [`Server::close`].
    Open {
        /// Its number, and which use of it this is.
        stream: StreamKey,
        /// TCP or UDP.
        kind: StreamKind,
        /// As the client wrote it: not checked.
        host: String,
        /// Destination port: not checked.
        port: u16,
    },
    /// Send this to the target.
    Data {
        /// Which stream.
        stream: StreamId,
        /// Octets, or one datagram.
        bytes: Bytes,
    },
    /// The client has closed the stream; it is forgotten here.
    Close {
        /// Which stream.
        stream: StreamId,
        /// Why.
        reason: Reason,
    },
    /// This stream is refused or over: send the CLOSE. It is forgotten here.
    Refuse {
        /// Which stream.
        stream: StreamId,
        /// What the CLOSE says.
        reason: Reason,
        /// For the log.
        why: Refused,
    },
    /// Nothing to do: a packet for a stream that was closed while it was on its way, or a datagram too many.
    Ignore,
}

/// Why a stream was refused without asking the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// CONNECT itself makes no sense.
    #[error("{0}")]
    Invalid(ParseError),
    /// Over [`Limits::streams`].
    #[error("more than {0} streams at a time")]
    TooManyStreams(usize),
    /// Over the credit by more than a whole window, which no race explains.
    #[error("sent more than {0} packets beyond its credit")]
    BeyondCredit(u32),
}

/// The client breaks the protocol: end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not a Wisp packet.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// CONNECT or DATA for stream 0.
    #[error("stream 0 is the connection itself: it cannot be opened and carries no data")]
    StreamZero,
    /// CONNECT for a stream that is open.
    #[error("stream {0} is already open")]
    StreamInUse(StreamId),
    /// Only a server sends CONTINUE.
    #[error("CONTINUE is sent by servers only")]
    Continue,
    /// INFO belongs to the version 2 handshake.
    #[error("INFO is not part of version 1")]
    Info,
}

#[derive(Debug)]
struct Inbound {
    serial: u64,
    kind: StreamKind,
    /// DATA packets handed out and not yet consumed.
    queued: u32,
    /// Their octets.
    octets: usize,
    /// DATA packets consumed since the last CONTINUE.
    since: u32,
}

/// The bookkeeping for one WebSocket.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    streams: BTreeMap<StreamId, Inbound>,
    last_serial: u64,
    queued_octets: usize,
}

impl Server {
    /// For a WebSocket that has just been accepted. `limits.credit` must be at least 2.
    pub fn new(limits: Limits) -> Server {
        debug_assert!(limits.credit >= 2, "a client without credit can send nothing");
        Server { limits, streams: BTreeMap::new(), last_serial: 0, queued_octets: 0 }
    }

    /// What to send at once: the initial credit of every stream.
    pub fn greeting(&self) -> Packet {
        Packet::Continue { stream: StreamId::CONNECTION, credit: self.limits.credit }
    }

    /// A whole binary message from the client.
    pub fn handle_message(&mut self, message: Bytes) -> Result<Request, Violation> {
        let packet = match Packet::parse(message) {
            Ok(packet) => packet,
            Err(error) => return self.broken(error),
        };
        match packet {
            Packet::Connect { stream, kind, port, host } => {
                self.check_new(stream)?;
                if self.streams.len() >= self.limits.streams {
                    let why = Refused::TooManyStreams(self.limits.streams);
                    return Ok(Request::Refuse { stream, reason: Reason::THROTTLED, why });
                }
                self.last_serial += 1;
                let serial = self.last_serial;
                self.streams.insert(stream, Inbound { serial, kind, queued: 0, octets: 0, since: 0 });
                Ok(Request::Open { stream: StreamKey { id: stream, serial }, kind, host, port })
            }
            Packet::Data { stream: StreamId::CONNECTION, .. } => Err(Violation::StreamZero),
            Packet::Data { stream, bytes } => Ok(self.data(stream, bytes)),
            Packet::Close { stream, reason } => {
                let known = self.forget(stream);
                Ok(if known { Request::Close { stream, reason } } else { Request::Ignore })
            }
            Packet::Continue { .. } => Err(Violation::Continue),
            Packet::Info { .. } => Err(Violation::Info),
        }
    }

    fn broken(&mut self, error: ParseError) -> Result<Request, Violation> {
        let stream = error.stream().ok_or(Violation::Parse(error))?;
        self.check_new(stream)?;
        Ok(Request::Refuse { stream, reason: Reason::INVALID, why: Refused::Invalid(error) })
    }

    fn check_new(&self, stream: StreamId) -> Result<(), Violation> {
        if stream == StreamId::CONNECTION {
            return Err(Violation::StreamZero);
        }
        if self.streams.contains_key(&stream) {
            return Err(Violation::StreamInUse(stream));
        }
        Ok(())
    }

    fn data(&mut self, stream: StreamId, bytes: Bytes) -> Request {
        let Some(inbound) = self.streams.get_mut(&stream) else { return Request::Ignore };
        // CONTINUE sets the credit and races with packets on their way, so a client that keeps the rules can be a
        // whole window ahead of it.
        let most = match inbound.kind {
            StreamKind::Tcp => self.limits.credit.saturating_mul(2),
            StreamKind::Udp => self.limits.datagrams,
        };
        if inbound.queued < most {
            inbound.queued += 1;
            inbound.octets += bytes.len();
            self.queued_octets += bytes.len();
            return Request::Data { stream, bytes };
        }
        if inbound.kind == StreamKind::Udp {
            return Request::Ignore;
        }
        self.forget(stream);
        let why = Refused::BeyondCredit(self.limits.credit);
        Request::Refuse { stream, reason: Reason::THROTTLED, why }
    }

    fn forget(&mut self, stream: StreamId) -> bool {
        let gone = self.streams.remove(&stream);
        self.queued_octets -= gone.as_ref().map_or(0, |inbound| inbound.octets);
        gone.is_some()
    }

    fn get_mut(&mut self, stream: StreamKey) -> Option<&mut Inbound> {
        self.streams.get_mut(&stream.id).filter(|inbound| inbound.serial == stream.serial)
    }

    /// The stream is connected. The CONTINUE tells the client so, which version 1 has no other word for.
    pub fn opened(&mut self, stream: StreamKey) -> Option<Packet> {
        let limit = self.limits.credit;
        let inbound = self.get_mut(stream)?;
        let credit = limit.saturating_sub(inbound.queued);
        (inbound.kind == StreamKind::Tcp).then_some(Packet::Continue { stream: stream.id, credit })
    }

    /// The target took one DATA packet of so many octets. Gives the CONTINUE that is due: one for every half window.
    pub fn consumed(&mut self, stream: StreamKey, octets: usize) -> Option<Packet> {
        let limit = self.limits.credit;
        let inbound = self.get_mut(stream)?;
        let octets = octets.min(inbound.octets);
        inbound.octets -= octets;
        inbound.queued = inbound.queued.saturating_sub(1);
        inbound.since += 1;
        let due = inbound.kind == StreamKind::Tcp && inbound.since >= limit / 2;
        let credit = limit.saturating_sub(inbound.queued);
        if due {
            inbound.since = 0;
        }
        self.queued_octets -= octets;
        due.then_some(Packet::Continue { stream: stream.id, credit })
    }

    /// The relay has closed the stream. `false`: it was closed before, so no CLOSE is to be sent.
    pub fn close(&mut self, stream: StreamKey) -> bool {
        self.get_mut(stream).is_some() && self.forget(stream.id)
    }

    /// Octets handed out and not yet consumed, of all streams. Stop reading the WebSocket while it is too much.
    pub fn queued_octets(&self) -> usize {
        self.queued_octets
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }
}
