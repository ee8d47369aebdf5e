//! The packet list's line for each frame of a capture, as tshark words it, and the line tcpdump prints.

mod neighbours;
mod options;
mod tcp;
mod tcpdump;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Packet, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

use crate::header::{mac, preview};
use crate::icmp::{code_name, type_name};
use crate::network::protocol_name;
use crate::transport::flag_names;
use neighbours::{arp, icmpv6};
use options::options;
use tcp::{Segment, Stream};

/// Characters of payload shown in a label.
const PREVIEW: usize = 16;

/// What is remarkable about a TCP segment in its conversation. Wireshark's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Wireshark's names")]
pub enum Expert {
    Retransmission,
    FastRetransmission,
    SpuriousRetransmission,
    OutOfOrder,
    PreviousSegmentNotCaptured,
    AckedUnseenSegment,
    /// Number of the frame that had the ACK first (from 1), and how many times it was repeated.
    DupAck(u64, u32),
    ZeroWindow,
    ZeroWindowProbe,
    ZeroWindowProbeAck,
    WindowFull,
    WindowUpdate,
    KeepAlive,
    KeepAliveAck,
    PortNumbersReused,
}

impl Expert {
    /// As Wireshark's Info column begins: `[TCP Dup ACK 7#2]`.
    pub fn text(self) -> String {
        let words = match self {
            Expert::Retransmission => "Retransmission",
            Expert::FastRetransmission => "Fast Retransmission",
            Expert::SpuriousRetransmission => "Spurious Retransmission",
            Expert::OutOfOrder => "Out-Of-Order",
            Expert::PreviousSegmentNotCaptured => "Previous segment not captured",
            Expert::AckedUnseenSegment => "ACKed unseen segment",
            Expert::DupAck(frame, count) => return format!("[TCP Dup ACK {frame}#{count}]"),
            Expert::ZeroWindow => "ZeroWindow",
            Expert::ZeroWindowProbe => "ZeroWindowProbe",
            Expert::ZeroWindowProbeAck => "ZeroWindowProbeAck",
            Expert::WindowFull => "Window Full",
            Expert::WindowUpdate => "Window Update",
            Expert::KeepAlive => "Keep-Alive",
            Expert::KeepAliveAck => "Keep-Alive ACK",
            Expert::PortNumbersReused => "Port numbers reused",
        };
        format!("[TCP {words}]")
    }

    /// Whether the segment repeats octets that were sent before.
    pub fn is_retransmission(self) -> bool {
        matches!(self, Expert::Retransmission | Expert::FastRetransmission | Expert::SpuriousRetransmission)
    }
}

/// The TCP numbers of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSummary {
    /// The twelve flag bits: 0x001 FIN, 0x002 SYN, 0x004 RST, 0x008 PSH, 0x010 ACK.
    pub flags: u16,
    /// Sequence number relative to the conversation's first.
    pub seq: u32,
    /// Acknowledgement number, relative.
    pub ack: u32,
    /// Window in octets, scaled.
    pub window: u32,
    /// Octets of data.
    pub len: u32,
}

impl TcpSummary {
    /// Nothing but an acknowledgement: no data, no SYN, FIN or RST.
    pub fn is_pure_ack(&self) -> bool {
        self.len == 0 && self.flags & 0x017 == 0x010
    }
}

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
}

/// A pair of ends without direction: the lower one first.
type Ends = (u8, SocketAddr, SocketAddr);

fn ends(protocol: u8, a: SocketAddr, b: SocketAddr) -> Ends {
    if a <= b { (protocol, a, b) } else { (protocol, b, a) }
}

/// Follows a capture frame by frame.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// Frames so far.
    frames: u64,
    /// Conversations so far.
    conversations: u32,
    /// The conversation of each pair of ends; a connection that is opened again gets a new one.
    current: BTreeMap<Ends, u32>,
    /// Numbers given to connections whose SYN is still to come.
    announced: BTreeMap<Ends, u32>,
    streams: BTreeMap<u32, Stream>,
    tcpdump: tcpdump::Relative,
    /// ICMP echo requests: (identifier, sequence) → frame.
    pings: BTreeMap<(IpAddr, u16, u16), u64>,
}

/// What an IP header says about the packet inside.
#[derive(Clone, Copy)]
struct Ip {
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
}

impl Analysis {
    /// Before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line of the next frame. `at`: when it was captured, in nanoseconds.
    pub fn push(&mut self, at: u64, frame: &[u8]) -> Summary {
        self.frames += 1;
        let Ok(eth) = EthernetFrame::new_checked(frame) else {
            return malformed("Ethernet", "", "");
        };
        let name = |a: &[u8]| if a == [0xff; 6] { "Broadcast".to_string() } else { mac(a) };
        let (src, dst) = (name(eth.src_addr().as_bytes()), name(eth.dst_addr().as_bytes()));
        match eth.ethertype() {
            EthernetProtocol::Arp => arp(eth.payload(), &src, &dst),
            EthernetProtocol::Ipv4 => self.ipv4(at, eth.payload(), &src, &dst),
            EthernetProtocol::Ipv6 => self.ipv6(at, eth.payload(), &src, &dst),
            EthernetProtocol::Unknown(kind) => {
                let info = "Ethernet II".to_string();
                let tcpdump = format!(
                    "{} > {}, ethertype Unknown (0x{kind:04x}), length {}:",
                    mac(eth.src_addr().as_bytes()),
                    mac(eth.dst_addr().as_bytes()),
                    frame.len()
                );
                let label = format!("0x{kind:04x}");
                Summary {
                    protocol: format!("0x{kind:04x}"),
                    source: src,
                    destination: dst,
                    info,
                    label,
                    tcpdump,
                    ..Summary::default()
                }
            }
        }
    }

    /// The conversation that a pair of ends belongs to at the moment, in whichever direction. `protocol`: 6 or 17.
    pub fn conversation(&self, protocol: u8, a: SocketAddr, b: SocketAddr) -> Option<u32> {
        let ends = ends(protocol, a, b);
        self.announced.get(&ends).or_else(|| self.current.get(&ends)).copied()
    }

    /// The number of the TCP connection that `a` is about to open to `b`, before its SYN is seen.
    pub fn announce(&mut self, a: SocketAddr, b: SocketAddr) -> u32 {
        let ends = ends(6, a, b);
        if let Some(number) = self.announced.get(&ends) {
            return *number;
        }
        let number = self.conversations;
        self.conversations += 1;
        self.announced.insert(ends, number);
        number
    }

    fn ipv4(&mut self, at: u64, octets: &[u8], src_mac: &str, dst_mac: &str) -> Summary {
        let packet = match Ipv4Packet::new_checked(octets) {
            Ok(packet) if packet.version() == 4 && packet.header_len() >= 20 => packet,
            _ => return malformed("IPv4", src_mac, dst_mac),
        };
        let protocol = u8::from(packet.next_header());
        let ip = Ip { src: packet.src_addr().into(), dst: packet.dst_addr().into(), ttl: packet.hop_limit() };
        if packet.frag_offset() != 0 || packet.more_frags() {
            let name = protocol_name(protocol);
            let name = name.split(' ').next().unwrap_or_default();
            let id = packet.ident();
            let mut line = base("IPv4", ip);
            line.info = format!(
                "Fragmented IP protocol (proto={name} {protocol}, off={}, ID={id:04x})",
                packet.frag_offset()
            );
            line.label = format!("fragment off={} len={}", packet.frag_offset(), packet.payload().len());
            line.tcpdump = if packet.frag_offset() == 0 {
                self.upper(at, protocol, ip, packet.payload()).tcpdump
            } else {
                format!("IP {} > {}: {}", ip.src, ip.dst, name.to_lowercase())
            };
            return line;
        }
        self.upper(at, protocol, ip, packet.payload())
    }

    fn ipv6(&mut self, at: u64, octets: &[u8], src_mac: &str, dst_mac: &str) -> Summary {
        let packet = match Ipv6Packet::new_checked(octets) {
            Ok(packet) if packet.version() == 6 => packet,
            _ => return malformed("IPv6", src_mac, dst_mac),
        };
        let ip = Ip { src: packet.src_addr().into(), dst: packet.dst_addr().into(), ttl: packet.hop_limit() };
        self.upper(at, u8::from(packet.next_header()), ip, packet.payload())
    }

    fn upper(&mut self, at: u64, protocol: u8, ip: Ip, octets: &[u8]) -> Summary {
        match protocol {
            1 => self.icmp(ip, octets),
            6 => self.tcp(at, ip, octets),
            17 => self.udp(ip, octets),
            58 => icmpv6(ip, octets),
            _ => {
                let name = protocol_name(protocol);
                let mut line = base(if ip.src.is_ipv4() { "IPv4" } else { "IPv6" }, ip);
                line.info.clone_from(&name);
                line.label.clone_from(&name);
                line.tcpdump = format!("{}:  ip-proto-{protocol} {}", hosts(ip), octets.len());
                line
            }
        }
    }

    fn next_conversation(&mut self, ends: Ends) -> u32 {
        let number = self.announced.remove(&ends).unwrap_or_else(|| {
            self.conversations += 1;
            self.conversations - 1
        });
        self.current.insert(ends, number);
        number
    }

    fn udp(&mut self, ip: Ip, octets: &[u8]) -> Summary {
        let Ok(datagram) = UdpPacket::new_checked(octets) else {
            return Summary { info: "[Malformed Packet]".to_string(), ..base("UDP", ip) };
        };
        let (from, to) = (datagram.src_port(), datagram.dst_port());
        let ends = ends(17, SocketAddr::new(ip.src, from), SocketAddr::new(ip.dst, to));
        let conversation = self.current.get(&ends).copied();
        let conversation = conversation.unwrap_or_else(|| self.next_conversation(ends));
        let payload = datagram.payload();
        let mut line = base("UDP", ip);
        line.ports = Some((from, to));
        line.conversation = Some(conversation);
        line.info = format!("{from} → {to} Len={}", payload.len());
        line.label = format!("len={}", payload.len());
        push_preview(&mut line.label, payload);
        line.tcpdump = format!(
            "{} {}.{from} > {}.{to}: UDP, length {}",
            if ip.src.is_ipv4() { "IP" } else { "IP6" },
            ip.src,
            ip.dst,
            payload.len()
        );
        line
    }

    fn tcp(&mut self, at: u64, ip: Ip, octets: &[u8]) -> Summary {
        let packet = match TcpPacket::new_checked(octets) {
            Ok(packet) if packet.header_len() >= 20 => packet,
            _ => return Summary { info: "[Malformed Packet]".to_string(), ..base("TCP", ip) },
        };
        let (from, to) = (packet.src_port(), packet.dst_port());
        let flags = u16::from_be_bytes([octets[12], octets[13]]) & 0x0fff;
        let options = options(packet.options());
        let payload = packet.payload();
        let segment = Segment {
            at,
            frame: self.frames,
            seq: packet.seq_number().0 as u32,
            ack: packet.ack_number().0 as u32,
            flags,
            window: packet.window_len(),
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            scale: options.scale,
        };
        let (a, b) = (SocketAddr::new(ip.src, from), SocketAddr::new(ip.dst, to));
        let ends = ends(6, a, b);
        let forward = a <= b;
        let mut known = self.current.get(&ends).copied();
        let mut reused = false;
        if let Some(stream) = known.and_then(|number| self.streams.get(&number))
            && stream.reopened_by(forward, &segment)
        {
            known = None;
            reused = true;
        }
        let number = known.unwrap_or_else(|| self.next_conversation(ends));
        let stream = self.streams.entry(number).or_default();
        let (tcp, mut expert) = stream.push(forward, &segment);
        if reused {
            expert.push(Expert::PortNumbersReused);
        }
        let mut line = base("TCP", ip);
        line.ports = Some((from, to));
        line.conversation = Some(number);
        for e in &expert {
            line.info.push_str(&e.text());
            line.info.push(' ');
        }
        let has_ack = flags & 0x010 != 0;
        line.info += &format!("{from} → {to} [{}] Seq={}", flag_names(flags & 0x1ff), tcp.seq);
        if has_ack {
            line.info += &format!(" Ack={}", tcp.ack);
        }
        line.info += &format!(" Win={} Len={}", tcp.window, tcp.len);
        if flags & 0x020 != 0 {
            line.info += &format!(" Urg={}", packet.urgent_at());
        }
        line.info += &options.info;
        let first = packet.ack_number().0 as u32;
        for (left, right) in &options.sack {
            // Relative, as the acknowledgement number is.
            let relative = |edge: u32| edge.wrapping_sub(first).wrapping_add(tcp.ack);
            line.info += &format!(" SLE={} SRE={}", relative(*left), relative(*right));
        }
        line.label = label(&tcp, &expert, payload);
        line.tcpdump = self.tcpdump.line(a, b, &segment, packet.urgent_at(), &options);
        line.tcp = Some(tcp);
        line.expert = expert;
        line
    }

    fn icmp(&mut self, ip: Ip, octets: &[u8]) -> Summary {
        let mut line = base("ICMP", ip);
        let Ok(packet) = Icmpv4Packet::new_checked(octets) else {
            line.info = "[Malformed Packet]".to_string();
            return line;
        };
        let (kind, code) = (u8::from(packet.msg_type()), packet.msg_code());
        match kind {
            0 | 8 if octets.len() >= 8 => {
                let (id, seq) = (packet.echo_ident(), packet.echo_seq_no());
                let word = if kind == 8 { "request " } else { "reply   " };
                line.info = format!(
                    "Echo (ping) {word} id=0x{id:04x}, seq={seq}/{}, ttl={}",
                    seq.swap_bytes(),
                    ip.ttl
                );
                if kind == 8 {
                    self.pings.insert((ip.dst, id, seq), self.frames);
                } else if let Some(request) = self.pings.remove(&(ip.src, id, seq)) {
                    line.info += &format!(" (request in {request})");
                }
                line.label = format!("ping {} seq={seq}", word.trim());
            }
            _ => {
                line.info = type_name(kind).to_string();
                if let Some(name) = code_name(kind, code) {
                    line.info += &format!(" ({name})");
                    line.label = name.to_string();
                } else {
                    line.label.clone_from(&line.info);
                }
            }
        }
        line.tcpdump = format!("{}: ICMP {}", hosts(ip), tcpdump::icmp(kind, code, octets));
        line
    }
}

fn base(protocol: &str, ip: Ip) -> Summary {
    Summary {
        protocol: protocol.to_string(),
        source: ip.src.to_string(),
        destination: ip.dst.to_string(),
        target: Some(ip.dst),
        ..Summary::default()
    }
}

fn malformed(protocol: &str, source: &str, destination: &str) -> Summary {
    Summary {
        protocol: protocol.to_string(),
        source: source.to_string(),
        destination: destination.to_string(),
        info: "[Malformed Packet]".to_string(),
        label: "[Malformed Packet]".to_string(),
        tcpdump: "[|ether]".to_string(),
        ..Summary::default()
    }
}

/// `IP 10.0.0.2 > 10.0.0.80`.
fn hosts(ip: Ip) -> String {
    format!("{} {} > {}", if ip.src.is_ipv4() { "IP" } else { "IP6" }, ip.src, ip.dst)
}

fn push_preview(label: &mut String, payload: &[u8]) {
    if crate::data::is_text(payload) {
        label.push(' ');
        label.push_str(&preview(payload, PREVIEW));
    }
}

/// `PSH, ACK seq=1 ack=1 len=9 "21,5 °C"`, with what is remarkable before it.
fn label(tcp: &TcpSummary, expert: &[Expert], payload: &[u8]) -> String {
    let mut label = String::new();
    for e in expert {
        label.push_str(e.text().replace("TCP ", "").trim());
        label.push(' ');
    }
    let flags = tcp.flags & 0x1ff;
    label += &flag_names(flags);
    if flags & 0x007 != 0 || tcp.len > 0 {
        label += &format!(" seq={}", tcp.seq);
    }
    if flags & 0x010 != 0 {
        label += &format!(" ack={}", tcp.ack);
    }
    if tcp.len > 0 {
        label += &format!(" len={}", tcp.len);
        push_preview(&mut label, payload);
    }
    label
}
