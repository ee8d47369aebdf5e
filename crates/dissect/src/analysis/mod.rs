//! Follows a capture frame by frame: which conversation a frame belongs to and what is remarkable about it there, and
//! the line that a packet list shows for it.

mod conversations;
mod expert;
mod fragments;
mod messages;
mod packet;
mod tcp;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use expert::Expert;

use crate::columns::Columns;
use crate::context::{Context, Reply, TcpContext, TcpSummary, Transport, UdpContext};
use crate::header::{Mode, Walk};
use crate::tcp_options;
use crate::tcpdump;
use conversations::Conversations;
use fragments::Fragments;
use packet::{Content, Packet, content, datagram, ends, quoted_ends, segment};
pub(crate) use tcp::Segment as SegmentNumbers;
use tcp::{Segment, Stream};

/// One line of a packet list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Protocol column: `TCP`, `UDP`, `ARP`, ...
    pub protocol: String,
    /// Source column: IP address if there is one, else MAC.
    pub source: String,
    /// Destination column.
    pub destination: String,
    /// Source and destination port.
    pub ports: Option<(u16, u16)>,
    /// Info column.
    pub info: String,
    /// Short label for an arrow: `SYN seq=0`, `PSH, ACK seq=1 ack=1 len=9 "21,5 °C"`.
    pub label: String,
    /// Number of the conversation (both directions of a 4-tuple of TCP or UDP), from 0 in order of appearance.
    pub conversation: Option<u32>,
    /// The TCP numbers, for TCP.
    pub tcp: Option<TcpSummary>,
    /// What is remarkable.
    pub expert: Vec<Expert>,
    /// The one line that tcpdump(1) prints, without its time.
    pub tcpdump: String,
    /// Whom the packet is for: the IP destination, or for ARP whom it asks or answers.
    pub target: Option<IpAddr>,
    /// What the frames before say about this one: with it, its tree can be made at any time.
    pub context: Context,
}

/// An echo request: whom it asks, identifier, sequence number.
type Ping = (IpAddr, u16, u16);

/// Follows a capture frame by frame.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// Frames so far.
    frames: u64,
    first_at: u64,
    last_at: u64,
    conversations: Conversations,
    streams: BTreeMap<u32, Stream>,
    fragments: Fragments,
    dump: tcpdump::Relative,
    pings: BTreeMap<Ping, (u64, u64)>,
    /// DNS queries over UDP by conversation and identifier.
    /// With frame, time, and whether it was answered.
    queries: BTreeMap<(u32, u16), (u64, u64, bool)>,
    /// Who said in ARP to have an IPv4 address, and in which frame.
    owners: BTreeMap<Ipv4Addr, ([u8; 6], u64)>,
}

impl Analysis {
    /// Before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line of the next frame. `at`: when it was captured, in nanoseconds.
    pub fn push(&mut self, at: u64, frame: &[u8]) -> Summary {
        let mut line = Summary::default();
        self.look(at, frame, &mut line);
        let mut walk = Walk::new(frame, &line.context, Mode::COLUMNS);
        crate::link::ethernet(&mut walk);
        let Columns { protocol, source, destination, info, label, ports, target, .. } = walk.columns;
        line.label = if label.is_empty() { info.clone() } else { label };
        line.tcpdump = tcpdump::line(frame, &line.context, tcpdump::Options::default());
        Summary { protocol, source, destination, info, ports, target, ..line }
    }

    /// What the capture so far says about the next frame.
    fn look(&mut self, at: u64, frame: &[u8], line: &mut Summary) {
        self.frames += 1;
        if self.frames == 1 {
            (self.first_at, self.last_at) = (at, at);
        }
        let c = &mut line.context;
        c.number = self.frames;
        c.since_first = at.saturating_sub(self.first_at);
        c.since_previous = at.saturating_sub(self.last_at);
        self.last_at = at;
        match content(frame) {
            Content::Ip(packet) => match packet.fragment {
                None => self.packet(at, &packet, line),
                Some(f) => {
                    if let Some(whole) = self.fragments.push(self.frames, &packet, f) {
                        let packet = Packet { payload: &whole.octets, fragment: None, ..packet };
                        self.packet(at, &packet, line);
                        line.context.packet = Some(Box::new(whole));
                    }
                }
            },
            Content::Arp(sender, target) => {
                let sends = self.owns(sender);
                let asked = target.and_then(|t| self.owns(t));
                line.context.duplicate = sends.or(asked);
            }
            Content::Other => {}
        }
    }

    /// Notes who has an address; answers an earlier frame that says otherwise.
    fn owns(&mut self, (ip, mac): packet::Neighbour) -> Option<(u64, Ipv4Addr)> {
        if ip.is_unspecified() || mac == [0; 6] || mac == [0xff; 6] {
            return None;
        }
        let (known, frame) = self.owners.entry(ip).or_insert((mac, self.frames));
        if *known != mac {
            return Some((*frame, ip));
        }
        *frame = self.frames;
        None
    }

    fn packet(&mut self, at: u64, packet: &Packet<'_>, line: &mut Summary) {
        match packet.protocol {
            1 | 58 => self.icmp(at, packet, line),
            6 => self.tcp(at, packet, line),
            17 => self.udp(at, packet, line),
            _ => {}
        }
    }

    fn icmp(&mut self, at: u64, packet: &Packet<'_>, line: &mut Summary) {
        if let Some(ends) = quoted_ends(packet) {
            line.context.quoted = Some(self.conversations.stream(ends, at).stream);
            return;
        }
        let &[kind, _, _, _, i, j, s, q, ..] = packet.payload else { return };
        let (ident, seq) = (u16::from_be_bytes([i, j]), u16::from_be_bytes([s, q]));
        match (packet.protocol, kind) {
            (1, 8) | (58, 128) => {
                self.pings.insert((packet.dst, ident, seq), (self.frames, at));
            }
            (1, 0) | (58, 129) => {
                let request = self.pings.remove(&(packet.src, ident, seq));
                line.context.reply =
                    request.map(|(frame, then)| Reply { frame, after: at.saturating_sub(then) });
            }
            _ => {}
        }
    }

    /// The conversation that a pair of ends belongs to at the moment, in whichever direction. `protocol`: 6 or 17.
    pub fn conversation(&self, protocol: u8, a: SocketAddr, b: SocketAddr) -> Option<u32> {
        self.conversations.number(ends(protocol, a, b))
    }

    /// The number of the TCP connection that `a` is about to open to `b`, before its SYN is seen.
    pub fn announce(&mut self, a: SocketAddr, b: SocketAddr) -> u32 {
        self.conversations.announce(ends(6, a, b))
    }

    fn udp(&mut self, at: u64, packet: &Packet<'_>, line: &mut Summary) {
        let Some(datagram) = datagram(packet.payload) else { return };
        let (from, to) = (datagram.src_port(), datagram.dst_port());
        let ends = ends(17, SocketAddr::new(packet.src, from), SocketAddr::new(packet.dst, to));
        line.conversation = Some(self.conversations.of(ends));
        let times = match datagram.payload() {
            // Wireshark leaves datagrams without data out of the account.
            [] => self.conversations.known_stream(ends, at),
            _ => self.conversations.stream(ends, at),
        };
        let mut udp = UdpContext {
            stream: times.stream,
            since_first: times.since_first,
            since_previous: times.since_previous,
            ..UdpContext::default()
        };
        let dns = [from, to].iter().any(|port| matches!(port, 53 | 5353));
        if let Some((id, response)) = crate::dns::peek(datagram.payload()).filter(|_| dns) {
            let key = (udp.stream, id);
            match (response, self.queries.get_mut(&key)) {
                (true, Some((_, _, true))) => udp.repeated = true,
                (true, Some((frame, then, answered))) => {
                    udp.reply = Some(Reply { frame: *frame, after: at.saturating_sub(*then) });
                    *answered = true;
                }
                // The same question again, or an answer that nobody asked for.
                (false, Some((_, _, false))) | (true, None) => {}
                (false, _) => {
                    self.queries.insert(key, (self.frames, at, false));
                }
            }
        }
        line.context.transport = Transport::Udp(Box::new(udp));
    }

    fn tcp(&mut self, at: u64, packet: &Packet<'_>, line: &mut Summary) {
        let Some(header) = segment(packet.payload) else { return };
        let (from, to) = (header.src_port(), header.dst_port());
        let flags = u16::from_be_bytes([packet.payload[12], packet.payload[13]]) & 0x0fff;
        let payload = header.payload();
        let sack = tcp_options::walk(header.options()).flatten().filter(|o| o.kind == 5);
        let segment = Segment {
            at,
            frame: self.frames,
            seq: header.seq_number().0 as u32,
            ack: header.ack_number().0 as u32,
            flags,
            window: header.window_len(),
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            scale: tcp_options::scale(header.options()),
            sacked: sack.flat_map(|o| o.ranges()).map(|(l, r)| r.wrapping_sub(l)).fold(0, u32::wrapping_add),
        };
        let (a, b) = (SocketAddr::new(packet.src, from), SocketAddr::new(packet.dst, to));
        let ends = ends(6, a, b);
        let forward = a <= b;
        let mut reused = false;
        if let Some(number) = self.conversations.current(ends)
            && let Some(stream) = self.streams.get(&number)
            && stream.reopened_by(forward, &segment)
        {
            self.conversations.forget(ends);
            reused = true;
        }
        let number = self.conversations.of(ends);
        let times = self.conversations.stream(ends, at);
        let stream = self.streams.entry(number).or_default();
        let mut tcp = TcpContext {
            stream: times.stream,
            since_first: times.since_first,
            since_previous: times.since_previous,
            dump: self.dump.push(a, b, &segment),
            ..TcpContext::default()
        };
        stream.push(forward, &segment, payload, (from, to), &mut tcp);
        if reused {
            tcp.expert.push(Expert::PortNumbersReused);
            tcp.completeness = 1;
        }
        line.conversation = Some(number);
        line.tcp = Some(tcp.numbers.clone());
        line.expert.clone_from(&tcp.expert);
        line.context.transport = Transport::Tcp(Box::new(tcp));
    }
}
