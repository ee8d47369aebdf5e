//! Our extension of Wisp version 2, id 0xF5: what Wisp lacks for programs that use sockets in earnest. Byte by byte in
//! `docs/relay-protocol.md`, whose test vectors are tests here.
//!
//! ```text
//! 0xF0 LISTEN   client: a real port, please (TCP listener or UDP socket)
//! 0xF1 ACCEPT   server: somebody connected to it; a new stream, numbered by the server
//! 0xF2 OPENED   server: the socket is there; its local and remote address
//! 0xF3 WINDOW   client: so many more octets of this stream may come
//! 0xF4 FINISH   both: no more data from this side (FIN)
//! 0xF5 ERROR    server: errno and a sentence, before the CLOSE or as a notice
//! 0xF6 ASK      client: a name, a socket's TCP_INFO, an ICMP echo
//! 0xF7 ANSWER   server: the answer
//! ```

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};

use crate::packet::{Extension, ParseError, Reader, StreamId, StreamKind};

/// The extension's number in INFO.
pub const ID: u8 = 0xf5;

/// The version of the extension that this crate speaks.
pub const VERSION: u8 = 1;

/// Numbers of streams that the server opens (ACCEPT) have this bit; those of the client's never.
pub const SERVER_STREAM: u32 = 0x8000_0000;

const LISTEN: u8 = 0xf0;
const ACCEPT: u8 = 0xf1;
const OPENED: u8 = 0xf2;
const WINDOW: u8 = 0xf3;
const FINISH: u8 = 0xf4;
const ERROR: u8 = 0xf5;
const ASK: u8 = 0xf6;
const ANSWER: u8 = 0xf7;

const LOOKUP: u8 = 1;
const SOCKET: u8 = 2;
const PING: u8 = 3;

/// What follows the header of a packet of this extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ext {
    /// Client: listen on a real port, or open a UDP socket on one.
    Listen {
        /// Which of the two.
        kind: StreamKind,
        /// The port that is wished for; 0 leaves it to the relay.
        port: u16,
    },
    /// Server: a connection arrived. The packet's stream is the new one's number.
    Accept {
        /// The listener.
        listener: StreamId,
        /// The peer.
        remote: SocketAddr,
        /// The relay's end.
        local: SocketAddr,
    },
    /// Server: a stream is connected, or a port is open.
    Opened {
        /// The relay's end.
        local: SocketAddr,
        /// The peer; none for a port.
        remote: Option<SocketAddr>,
    },
    /// Client: so many more octets may be sent to it. Adds to what is left.
    Window {
        /// Octets.
        octets: u32,
    },
    /// No DATA follows from this side.
    Finish,
    /// Server: what went wrong, or which limit holds the stream up.
    Error {
        /// Linux's number.
        errno: u16,
        /// For a person.
        text: String,
    },
    /// Client: a question; the packet's stream is the question's number.
    Ask(Question),
    /// Server: the answer to the question of this number.
    Answer(Answer),
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The addresses of a name.
    Lookup {
        /// As the program wrote it.
        host: String,
    },
    /// How the real socket of a stream is doing.
    Socket {
        /// Which.
        stream: StreamId,
    },
    /// An ICMP echo.
    Ping {
        /// A name or an address.
        host: String,
    },
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name's addresses, at least one.
    Lookup {
        /// In the resolver's order.
        addresses: Vec<IpAddr>,
    },
    /// The socket's state.
    Socket(Box<TcpInfo>),
    /// An echo came back.
    Ping {
        /// Who answered.
        from: IpAddr,
        /// Round trip in µs.
        rtt_us: u32,
    },
    /// There is no answer.
    Failed {
        /// What was asked: 1 lookup, 2 socket, 3 ping.
        question: u8,
        /// Linux's number; never 0.
        errno: u16,
        /// For a person.
        text: String,
    },
}

/// What Linux's `TCP_INFO` says of a real socket (linux/tcp.h), and its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// The relay's end.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// Linux's number of the TCP state: 1 is ESTABLISHED.
    pub state: u8,
    /// Smoothed round-trip time, µs.
    pub rtt_us: u32,
    /// Its mean deviation, µs.
    pub rttvar_us: u32,
    /// Retransmission time-out, µs.
    pub rto_us: u32,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Slow-start threshold, segments.
    pub ssthresh: u32,
    /// Largest segment sent, octets.
    pub snd_mss: u32,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Segments held to be lost.
    pub lost: u32,
    /// Segments retransmitted since the connection opened.
    pub retransmitted: u32,
    /// Octets that the peer acknowledged.
    pub octets_acked: u64,
    /// Octets received.
    pub octets_received: u64,
}

impl TcpInfo {
    /// The state's name as ss(8) and RFC 9293 write it.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            1 => "ESTABLISHED",
            2 => "SYN-SENT",
            3 => "SYN-RECEIVED",
            4 => "FIN-WAIT-1",
            5 => "FIN-WAIT-2",
            6 => "TIME-WAIT",
            7 => "CLOSED",
            8 => "CLOSE-WAIT",
            9 => "LAST-ACK",
            10 => "LISTEN",
            11 => "CLOSING",
            _ => "UNKNOWN",
        }
    }
}

impl Question {
    /// Its number on the wire.
    pub fn kind(&self) -> u8 {
        match self {
            Question::Lookup { .. } => LOOKUP,
            Question::Socket { .. } => SOCKET,
            Question::Ping { .. } => PING,
        }
    }
}

impl Ext {
    pub(crate) fn packet_type(&self) -> u8 {
        match self {
            Ext::Listen { .. } => LISTEN,
            Ext::Accept { .. } => ACCEPT,
            Ext::Opened { .. } => OPENED,
            Ext::Window { .. } => WINDOW,
            Ext::Finish => FINISH,
            Ext::Error { .. } => ERROR,
            Ext::Ask(_) => ASK,
            Ext::Answer(_) => ANSWER,
        }
    }

    /// `None`: not a packet type of this extension.
    pub(crate) fn parse(
        packet_type: u8,
        stream: StreamId,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Ext>, ParseError> {
        let ext = match packet_type {
            LISTEN => {
                let kind = reader.u8("stream type")?;
                let port = reader.u16("port")?;
                Ext::Listen { kind: StreamKind::from_wire(stream, kind)?, port }
            }
            ACCEPT => {
                let listener = StreamId(reader.u32("listener")?);
                let remote = address(reader, "remote address")?;
                Ext::Accept { listener, remote, local: address(reader, "local address")? }
            }
            OPENED => {
                let local = address(reader, "local address")?;
                Ext::Opened { local, remote: address_or_none(reader, "remote address")? }
            }
            WINDOW => Ext::Window { octets: reader.u32("octets")? },
            FINISH => Ext::Finish,
            ERROR => {
                let errno = reader.u16("errno")?;
                Ext::Error { errno, text: reader.text(stream)? }
            }
            ASK => match reader.u8("question")? {
                LOOKUP => Ext::Ask(Question::Lookup { host: reader.text(stream)? }),
                SOCKET => Ext::Ask(Question::Socket { stream: StreamId(reader.u32("stream")?) }),
                PING => Ext::Ask(Question::Ping { host: reader.text(stream)? }),
                kind => return Err(ParseError::UnknownQuestion { stream, kind }),
            },
            ANSWER => Ext::Answer(Answer::parse(stream, reader)?),
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(ext))
    }

    pub(crate) fn emit(&self, out: &mut BytesMut) {
        match self {
            Ext::Listen { kind, port } => {
                out.put_u8(kind.to_wire());
                out.put_u16_le(*port);
            }
            Ext::Accept { listener, remote, local } => {
                out.put_u32_le(listener.0);
                put_address(out, *remote);
                put_address(out, *local);
            }
            Ext::Opened { local, remote } => {
                put_address(out, *local);
                match remote {
                    Some(remote) => put_address(out, *remote),
                    None => out.put_u8(0),
                }
            }
            Ext::Window { octets } => out.put_u32_le(*octets),
            Ext::Finish => {}
            Ext::Error { errno, text } => {
                out.put_u16_le(*errno);
                out.put_slice(text.as_bytes());
            }
            Ext::Ask(question) => {
                out.put_u8(question.kind());
                match question {
                    Question::Lookup { host } | Question::Ping { host } => out.put_slice(host.as_bytes()),
                    Question::Socket { stream } => out.put_u32_le(stream.0),
                }
            }
            Ext::Answer(answer) => answer.emit(out),
        }
    }
}

impl Answer {
    fn parse(stream: StreamId, reader: &mut Reader<'_>) -> Result<Answer, ParseError> {
        let question = reader.u8("question")?;
        let errno = reader.u16("errno")?;
        if errno != 0 {
            return Ok(Answer::Failed { question, errno, text: reader.text(stream)? });
        }
        match question {
            LOOKUP => {
                let mut addresses = vec![address(reader, "address")?.ip()];
                while reader.at < reader.message.len() {
                    addresses.push(address(reader, "address")?.ip());
                }
                Ok(Answer::Lookup { addresses })
            }
            SOCKET => {
                let local = address(reader, "local address")?;
                let remote = address(reader, "remote address")?;
                Ok(Answer::Socket(Box::new(TcpInfo {
                    local,
                    remote,
                    state: reader.u8("state")?,
                    rtt_us: reader.u32("rtt")?,
                    rttvar_us: reader.u32("rttvar")?,
                    rto_us: reader.u32("rto")?,
                    cwnd: reader.u32("cwnd")?,
                    ssthresh: reader.u32("ssthresh")?,
                    snd_mss: reader.u32("mss")?,
                    unacked: reader.u32("unacked")?,
                    lost: reader.u32("lost")?,
                    retransmitted: reader.u32("retransmitted")?,
                    octets_acked: reader.u64("octets acknowledged")?,
                    octets_received: reader.u64("octets received")?,
                })))
            }
            PING => {
                let from = address(reader, "address")?.ip();
                Ok(Answer::Ping { from, rtt_us: reader.u32("round trip")? })
            }
            kind => Err(ParseError::UnknownQuestion { stream, kind }),
        }
    }

    fn emit(&self, out: &mut BytesMut) {
        match self {
            Answer::Lookup { addresses } => {
                out.put_slice(&[LOOKUP, 0, 0]);
                addresses.iter().for_each(|address| put_address(out, SocketAddr::new(*address, 0)));
            }
            Answer::Socket(info) => {
                out.put_slice(&[SOCKET, 0, 0]);
                put_address(out, info.local);
                put_address(out, info.remote);
                out.put_u8(info.state);
                for number in [
                    info.rtt_us,
                    info.rttvar_us,
                    info.rto_us,
                    info.cwnd,
                    info.ssthresh,
                    info.snd_mss,
                    info.unacked,
                    info.lost,
                    info.retransmitted,
                ] {
                    out.put_u32_le(number);
                }
                out.put_u64_le(info.octets_acked);
                out.put_u64_le(info.octets_received);
            }
            Answer::Ping { from, rtt_us } => {
                out.put_slice(&[PING, 0, 0]);
                put_address(out, SocketAddr::new(*from, 0));
                out.put_u32_le(*rtt_us);
            }
            Answer::Failed { question, errno, text } => {
                out.put_u8(*question);
                out.put_u16_le((*errno).max(1));
                out.put_slice(text.as_bytes());
            }
        }
    }
}

fn address(reader: &mut Reader<'_>, field: &'static str) -> Result<SocketAddr, ParseError> {
    let offset = reader.at;
    address_or_none(reader, field)?.ok_or(ParseError::UnknownFamily { offset, family: 0 })
}

fn address_or_none(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<SocketAddr>, ParseError> {
    let offset = reader.at;
    let family = reader.u8(field)?;
    match family {
        0 => Ok(None),
        4 => {
            let port = reader.u16(field)?;
            Ok(Some(SocketAddr::new(IpAddr::from(reader.take::<4>(field)?), port)))
        }
        6 => {
            let port = reader.u16(field)?;
            Ok(Some(SocketAddr::new(IpAddr::from(reader.take::<16>(field)?), port)))
        }
        family => Err(ParseError::UnknownFamily { offset, family }),
    }
}

/// Family, port and address, as all packets of the extension write them.
pub fn put_address(out: &mut BytesMut, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(4);
            out.put_u16_le(address.port());
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(6);
            out.put_u16_le(address.port());
            out.put_slice(&ip.octets());
        }
    }
}

/// Octets of an address at most.
pub const ADDRESS_LEN: usize = 19;

/// DATA of an open UDP port: the peer's address, then the datagram.
pub fn split_datagram(bytes: &Bytes) -> Result<(SocketAddr, Bytes), ParseError> {
    let mut reader = Reader { message: bytes, at: 0 };
    let peer = address(&mut reader, "peer's address")?;
    Ok((peer, bytes.slice(reader.at..)))
}

/// What the relay offers in its INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTerms {
    /// TCP ports can be had.
    pub listen: bool,
    /// UDP ports can be had.
    pub bind_udp: bool,
    /// Names can be looked up.
    pub lookup: bool,
    /// The real sockets' state can be asked.
    pub tcp_info: bool,
    /// ICMP echoes can be sent.
    pub ping: bool,
    /// Ports at a time.
    pub ports: u16,
    /// The ports that are given out; both 0: any.
    pub port_range: (u16, u16),
}

/// What the client says in its INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTerms {
    /// Octets that the server may send on a new TCP stream before the first WINDOW.
    pub window: u32,
}

impl ServerTerms {
    /// As it stands in INFO.
    pub fn emit(&self) -> Extension {
        let bits = [self.listen, self.bind_udp, self.lookup, self.tcp_info, self.ping];
        let capabilities = bits.iter().enumerate().fold(0u16, |all, (n, on)| all | (u16::from(*on) << n));
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        for number in [capabilities, self.ports, self.port_range.0, self.port_range.1] {
            out.put_u16_le(number);
        }
        Extension { id: ID, metadata: out.freeze() }
    }

    /// `None`: another version, or not what it should be. Octets behind the known ones are for later versions.
    pub fn parse(metadata: &[u8]) -> Option<ServerTerms> {
        let mut reader = Reader { message: metadata, at: 0 };
        if reader.u8("version").ok()? != VERSION {
            return None;
        }
        let mut next = || reader.u16("terms").ok();
        let (capabilities, ports, low, high) = (next()?, next()?, next()?, next()?);
        let bit = |n: u16| capabilities & (1 << n) != 0;
        Some(ServerTerms {
            listen: bit(0),
            bind_udp: bit(1),
            lookup: bit(2),
            tcp_info: bit(3),
            ping: bit(4),
            ports,
            port_range: (low, high),
        })
    }
}

impl ClientTerms {
    /// As it stands in INFO.
    pub fn emit(&self) -> Extension {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u32_le(self.window);
        Extension { id: ID, metadata: out.freeze() }
    }

    /// `None`: another version, or not what it should be.
    pub fn parse(metadata: &[u8]) -> Option<ClientTerms> {
        let mut reader = Reader { message: metadata, at: 0 };
        if reader.u8("version").ok()? != VERSION {
            return None;
        }
        Some(ClientTerms { window: reader.u32("window").ok()? })
    }
}
