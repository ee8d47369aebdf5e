//! The relay's side: which streams a client has open, and how much of what it sent waits for each target.
//!
//! The relay keeps the octets; this counts them. Each DATA packet that was handed out by [`Server::handle_message`]
//! must be reported to [`Server::consumed`] once the target took it: that is what gives the client credit again, so a
//! target that does not read stops its own stream and no other.
//!
//! Version 2 begins with [`Request::Hello`], which the relay answers with [`Server::admit`], or by ending the connection;
//! until then nothing else is legal.

use std::collections::BTreeMap;

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    ext::{self, Ext, Question, SERVER_STREAM},
    info::{Hello, Offer},
    packet::{Packet, ParseError, Reason, StreamId, StreamKind},
};

/// What one client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// DATA packets that a TCP stream may send ahead. 128 is what other Wisp servers give.
    pub credit: u32,
    /// Streams open at a time.
    pub streams: usize,
    /// Datagrams that may wait for one UDP socket; more are lost, as UDP may.
    pub datagrams: u32,
    /// Questions (our extension) that may be open at a time.
    pub questions: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { credit: 128, streams: 256, datagrams: 256, questions: 32 }
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
    /// Version 2: the client has said who it is. Nothing else is handed out before [`Server::admit`].
    Hello(Box<Hello>),
    /// Our extension: a real port, please. Counted as a stream; answer as for [`Request::Open`].
    Listen {
        /// Its number, and which use of it this is.
        stream: StreamKey,
        /// A TCP listener or a UDP socket.
        kind: StreamKind,
        /// 0: any.
        port: u16,
    },
    /// Our extension: one datagram from an open UDP port.
    Datagram {
        /// Which port.
        stream: StreamId,
        /// For whom.
        to: SocketAddr,
        /// The datagram.
        bytes: Bytes,
    },
    /// Our extension: the client sends no more on this stream.
    Finish {
        /// Which stream.
        stream: StreamId,
    },
    /// Our extension: so many more octets may go to the client.
    Window {
        /// Which stream.
        stream: StreamId,
        /// How many more.
        octets: u32,
    },
    /// Our extension: a question. Answer it, then call [`Server::answered`].
    Ask {
        /// Its number.
        question: StreamId,
        /// What is asked.
        what: Question,
    },
    /// Our extension: too many questions are open. Answer that.
    TooManyQuestions {
        /// Its number.
        question: StreamId,
        /// What is asked.
        what: Question,
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
    /// DATA after FINISH.
    #[error("sent data after it had finished")]
    Finished,
    /// What no such stream can do.
    #[error("{0} is not for this kind of stream")]
    WrongKind(&'static str),
    /// UDP was not agreed on.
    #[error("UDP is not part of this connection: INFO did not name it")]
    NoUdp,
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
    /// A second INFO.
    #[error("INFO was sent before")]
    InfoAgain,
    /// Something came before the client's INFO was answered.
    #[error("the handshake begins with INFO")]
    BeforeInfo,
    /// A stream of the client's with a number of the server's.
    #[error("stream {0} has a number that only servers give")]
    ServersNumber(StreamId),
    /// A packet that only a server sends.
    #[error("packet type 0x{0:02x} is sent by servers only")]
    ServersPacket(u8),
}

/// How far the handshake is.
#[derive(Debug)]
enum Phase {
    /// Version 2: INFO is awaited.
    Info(Box<Offer>),
    /// Version 2: the relay is judging the credentials.
    Judging(Box<Hello>),
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// To one target, or from one peer.
    Stream,
    /// A port (our extension).
    Port,
}

#[derive(Debug)]
struct Inbound {
    serial: u64,
    kind: StreamKind,
    role: Role,
    /// The client has sent FINISH.
    finished: bool,
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
    phase: Phase,
    /// The packets of our extension are legal.
    window: Option<u32>,
    udp: bool,
    questions: usize,
    last_accepted: u32,
    limits: Limits,
    streams: BTreeMap<StreamId, Inbound>,
    last_serial: u64,
    queued_octets: usize,
}

impl Server {
    /// For a WebSocket that has just been accepted, version 1. `limits.credit` must be at least 2.
    pub fn new(limits: Limits) -> Server {
        Server::in_phase(limits, Phase::Open)
    }

    /// The same for a client that asked for version 2.
    pub fn version2(limits: Limits, offer: Offer) -> Server {
        Server::in_phase(limits, Phase::Info(Box::new(offer)))
    }

    fn in_phase(limits: Limits, phase: Phase) -> Server {
        debug_assert!(limits.credit >= 2, "a client without credit can send nothing");
        Server {
            phase,
            window: None,
            udp: true,
            questions: 0,
            last_accepted: 0,
            limits,
            streams: BTreeMap::new(),
            last_serial: 0,
            queued_octets: 0,
        }
    }

    /// What to send at once: the initial credit of every stream, or what this server can do.
    pub fn greeting(&self) -> Packet {
        match &self.phase {
            Phase::Info(offer) => offer.emit(),
            Phase::Judging(_) | Phase::Open => self.credit(),
        }
    }

    fn credit(&self) -> Packet {
        Packet::Continue { stream: StreamId::CONNECTION, credit: self.limits.credit }
    }

    /// The client is let in: what to send. From here on it may open streams.
    pub fn admit(&mut self) -> Packet {
        if let Phase::Judging(hello) = std::mem::replace(&mut self.phase, Phase::Open) {
            self.window = hello.ours.map(|terms| terms.window);
            self.udp = hello.udp || hello.major < 2;
        }
        self.credit()
    }

    /// The initial window towards the client, in octets, if our extension is in force.
    pub fn window(&self) -> Option<u32> {
        self.window
    }

    /// A whole binary message from the client.
    pub fn handle_message(&mut self, message: Bytes) -> Result<Request, Violation> {
        let first = message.first().copied().unwrap_or(0);
        let packet = match Packet::parse(message) {
            Ok(Packet::Ext { .. }) if self.window.is_none() => {
                return Err(Violation::Parse(ParseError::UnknownType { kind: first }));
            }
            Ok(packet) => packet,
            Err(error) => return self.broken(error, first),
        };
        if !matches!(self.phase, Phase::Open) {
            return self.handshake(packet);
        }
        match packet {
            Packet::Connect { stream, kind, port, host } => {
                self.check_new(stream)?;
                if kind == StreamKind::Udp && !self.udp {
                    let why = Refused::NoUdp;
                    return Ok(Request::Refuse { stream, reason: Reason::INVALID, why });
                }
                Ok(match self.begin(stream, kind, Role::Stream) {
                    Ok(stream) => Request::Open { stream, kind, host, port },
                    Err(why) => Request::Refuse { stream, reason: Reason::THROTTLED, why },
                })
            }
            Packet::Data { stream: StreamId::CONNECTION, .. } => Err(Violation::StreamZero),
            Packet::Data { stream, bytes } => Ok(self.data(stream, bytes)),
            Packet::Close { stream, reason } => {
                let known = self.forget(stream);
                Ok(if known { Request::Close { stream, reason } } else { Request::Ignore })
            }
            Packet::Continue { .. } => Err(Violation::Continue),
            Packet::Info { .. } if self.window.is_some() => Err(Violation::InfoAgain),
            Packet::Info { .. } => Err(Violation::Info),
            Packet::Ext { stream, body } => self.extension(stream, body),
        }
    }

    fn handshake(&mut self, packet: Packet) -> Result<Request, Violation> {
        match (&self.phase, packet) {
            (Phase::Info(offer), Packet::Info { major, extensions, .. }) => {
                let hello = Box::new(offer.read(major, &extensions));
                self.phase = Phase::Judging(hello.clone());
                Ok(Request::Hello(hello))
            }
            (_, Packet::Close { stream: StreamId::CONNECTION, reason }) => {
                Ok(Request::Close { stream: StreamId::CONNECTION, reason })
            }
            (Phase::Judging(_), Packet::Info { .. }) => Err(Violation::InfoAgain),
            _ => Err(Violation::BeforeInfo),
        }
    }

    fn extension(&mut self, stream: StreamId, body: Ext) -> Result<Request, Violation> {
        match body {
            Ext::Listen { kind, port } => {
                self.check_new(stream)?;
                Ok(match self.begin(stream, kind, Role::Port) {
                    Ok(stream) => Request::Listen { stream, kind, port },
                    Err(why) => Request::Refuse { stream, reason: Reason::THROTTLED, why },
                })
            }
            Ext::Finish => Ok(match self.streams.get_mut(&stream) {
                Some(inbound) if inbound.kind == StreamKind::Tcp && inbound.role == Role::Stream => {
                    match std::mem::replace(&mut inbound.finished, true) {
                        false => Request::Finish { stream },
                        true => Request::Ignore,
                    }
                }
                Some(_) => {
                    self.forget(stream);
                    let why = Refused::WrongKind("FINISH");
                    Request::Refuse { stream, reason: Reason::INVALID, why }
                }
                None => Request::Ignore,
            }),
            Ext::Window { octets } => Ok(match self.streams.contains_key(&stream) {
                true => Request::Window { stream, octets },
                false => Request::Ignore,
            }),
            Ext::Ask(what) if self.questions >= self.limits.questions => {
                Ok(Request::TooManyQuestions { question: stream, what })
            }
            Ext::Ask(what) => {
                self.questions += 1;
                Ok(Request::Ask { question: stream, what })
            }
            Ext::Accept { .. } | Ext::Opened { .. } | Ext::Error { .. } | Ext::Answer(_) => {
                Err(Violation::ServersPacket(body.packet_type()))
            }
        }
    }

    /// A question was answered.
    pub fn answered(&mut self) {
        self.questions = self.questions.saturating_sub(1);
    }

    fn begin(&mut self, stream: StreamId, kind: StreamKind, role: Role) -> Result<StreamKey, Refused> {
        if self.streams.len() >= self.limits.streams {
            return Err(Refused::TooManyStreams(self.limits.streams));
        }
        self.last_serial += 1;
        let serial = self.last_serial;
        let inbound = Inbound { serial, kind, role, finished: false, queued: 0, octets: 0, since: 0 };
        self.streams.insert(stream, inbound);
        Ok(StreamKey { id: stream, serial })
    }

    /// Somebody connected to a port: the new stream, if there may be one more.
    pub fn accept(&mut self, port: StreamKey) -> Result<StreamKey, Refused> {
        if self.get_mut(port).is_none() {
            return Err(Refused::WrongKind("ACCEPT"));
        }
        let stream = loop {
            self.last_accepted = self.last_accepted.wrapping_add(1) | SERVER_STREAM;
            if !self.streams.contains_key(&StreamId(self.last_accepted)) {
                break StreamId(self.last_accepted);
            }
        };
        self.begin(stream, StreamKind::Tcp, Role::Stream)
    }

    fn broken(&mut self, error: ParseError, first: u8) -> Result<Request, Violation> {
        if !matches!(self.phase, Phase::Open) {
            return Err(Violation::Parse(error));
        }
        if first > 0x05 && self.window.is_none() {
            return Err(Violation::Parse(ParseError::UnknownType { kind: first }));
        }
        let stream = error.stream().ok_or(Violation::Parse(error))?;
        if matches!(error, ParseError::UnknownQuestion { .. }) {
            return Err(Violation::Parse(error));
        }
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
        if self.window.is_some() && stream.0 & SERVER_STREAM != 0 {
            return Err(Violation::ServersNumber(stream));
        }
        Ok(())
    }

    fn data(&mut self, stream: StreamId, bytes: Bytes) -> Request {
        let Some(inbound) = self.streams.get_mut(&stream) else { return Request::Ignore };
        let to = match (inbound.role, inbound.kind) {
            (Role::Stream, _) if inbound.finished => return self.refuse(stream, Refused::Finished),
            (Role::Stream, _) => None,
            (Role::Port, StreamKind::Tcp) => return self.refuse(stream, Refused::WrongKind("DATA")),
            (Role::Port, StreamKind::Udp) => match ext::split_datagram(&bytes) {
                Ok(split) => Some(split),
                Err(error) => return self.refuse(stream, Refused::Invalid(error)),
            },
        };
        // CONTINUE sets the credit and races with packets on their way, so a client that keeps the rules can be almost
        // a window ahead: it had one from the greeting, another by CONTINUE at the opening, and then as much again as
        // was consumed.
        let most = match inbound.kind {
            StreamKind::Tcp => self.limits.credit.saturating_add(at_opening(self.limits.credit)),
            StreamKind::Udp => self.limits.datagrams,
        };
        if inbound.queued < most {
            let octets = to.as_ref().map_or(bytes.len(), |(_, datagram)| datagram.len());
            inbound.queued += 1;
            inbound.octets += octets;
            self.queued_octets += octets;
            return match to {
                Some((to, bytes)) => Request::Datagram { stream, to, bytes },
                None => Request::Data { stream, bytes },
            };
        }
        if inbound.kind == StreamKind::Udp {
            return Request::Ignore;
        }
        self.forget(stream);
        let why = Refused::BeyondCredit(self.limits.credit);
        Request::Refuse { stream, reason: Reason::THROTTLED, why }
    }

    fn refuse(&mut self, stream: StreamId, why: Refused) -> Request {
        self.forget(stream);
        Request::Refuse { stream, reason: Reason::INVALID, why }
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
        let credit = at_opening(limit).saturating_sub(inbound.queued);
        let tcp = inbound.kind == StreamKind::Tcp && inbound.role == Role::Stream;
        tcp.then_some(Packet::Continue { stream: stream.id, credit })
    }

    /// The target took one DATA packet of so many octets. Gives the CONTINUE that is due: half a window for every half
    /// window. Not all that is free: CONTINUE sets the credit, whatever is on its way, so a client whose packets cross
    /// it would be given those a second time, and run ahead of a target that stalls by more with each round trip.
    pub fn consumed(&mut self, stream: StreamKey, octets: usize) -> Option<Packet> {
        let limit = self.limits.credit;
        let inbound = self.get_mut(stream)?;
        let octets = octets.min(inbound.octets);
        inbound.octets -= octets;
        inbound.queued = inbound.queued.saturating_sub(1);
        inbound.since += 1;
        let credit = limit / 2;
        let due = inbound.kind == StreamKind::Tcp && inbound.since >= credit;
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

/// The credit that the CONTINUE of an open stream sets, of the greeting's. Less than all of it, since a client that has
/// used that up gets this besides: together they are what one stream may hold of the server's memory. Half of it is what
/// comes after.
const fn at_opening(credit: u32) -> u32 {
    credit - credit / 4
}
