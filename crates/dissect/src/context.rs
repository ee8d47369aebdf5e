//! What a capture says about one of its frames, beyond the frame's own octets: numbers relative to the beginning of a
//! conversation, what is remarkable, what it completes. [`crate::Analysis`] makes it; with it the tree of a frame can
//! be made again at any time, without the frames before.

use serde::{Deserialize, Serialize};

use crate::analysis::Expert;

/// What earlier frames say about a frame. The default is: nothing is known of any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Number of the frame, from 1; 0: not part of a capture.
    pub number: u64,
    /// Nanoseconds since the first frame.
    pub since_first: u64,
    /// Nanoseconds since the frame before.
    pub since_previous: u64,
    /// The IP packet that this frame, its last fragment, makes whole.
    pub packet: Option<Box<Reassembled>>,
    /// The ICMP echo request that it answers.
    pub reply: Option<Reply>,
    /// An earlier frame that shows another Ethernet address for the sender's IP address.
    pub duplicate: Option<(u64, core::net::Ipv4Addr)>,
    /// Index of the conversation of the packet that an ICMP error quotes.
    pub quoted: Option<u32>,
    /// What is known of the datagram or segment.
    pub transport: Transport,
}

/// What is known of a datagram or segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// There is none.
    #[default]
    None,
    /// About a datagram of UDP.
    Udp(Box<UdpContext>),
    /// About a segment of TCP.
    Tcp(Box<TcpContext>),
}

impl Context {
    /// Nothing is known.
    pub(crate) const NONE: Context = Context {
        number: 0,
        since_first: 0,
        since_previous: 0,
        packet: None,
        reply: None,
        duplicate: None,
        quoted: None,
        transport: Transport::None,
    };

    /// What is known of the segment.
    pub fn tcp(&self) -> Option<&TcpContext> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// What is known of the datagram.
    pub fn udp(&self) -> Option<&UdpContext> {
        match &self.transport {
            Transport::Udp(udp) => Some(udp),
            _ => None,
        }
    }
}

/// Octets from several frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassembled {
    /// The octets.
    pub octets: Vec<u8>,
    /// Which frame brought which of them.
    pub pieces: Vec<Piece>,
}

/// A part of something reassembled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Number of the frame.
    pub frame: u64,
    /// First octet.
    pub start: u32,
    /// How many octets; 0: the frame only ended it.
    pub len: u32,
}

/// An earlier frame that this one answers, and how long before it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Number of the frame.
    pub frame: u64,
    /// Nanoseconds between them.
    pub after: u64,
}

/// About a datagram of UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpContext {
    /// Index of the conversation among those of UDP.
    pub stream: u32,
    /// Nanoseconds since the conversation's first frame.
    pub since_first: u64,
    /// Nanoseconds since its frame before.
    pub since_previous: u64,
    /// The query that a DNS response answers.
    pub reply: Option<Reply>,
    /// A DNS response to a query that was answered before.
    pub repeated: bool,
}

/// The TCP numbers of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// FIN: the sender has no more data.
    pub const FIN: u16 = 0x001;
    /// SYN: sequence numbers begin here.
    pub const SYN: u16 = 0x002;
    /// RST: the connection is gone.
    pub const RST: u16 = 0x004;
    /// PSH: give this to the program now.
    pub const PSH: u16 = 0x008;
    /// ACK: the acknowledgement number counts.
    pub const ACK: u16 = 0x010;

    /// Nothing but an acknowledgement: no data, no SYN, FIN or RST.
    pub fn is_pure_ack(&self) -> bool {
        self.len == 0 && self.flags & (Self::FIN | Self::SYN | Self::RST | Self::ACK) == Self::ACK
    }
}

/// About a segment of TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpContext {
    /// Relative numbers and scaled window.
    pub numbers: TcpSummary,
    /// Index of the conversation among those of TCP.
    pub stream: u32,
    /// How much of a whole conversation was seen before this segment: 1 SYN, 2 SYN+ACK, 4 ACK, 8 data, 16 FIN, 32 RST.
    pub completeness: u8,
    /// The window's factor: -1 unknown, -2 none; none in segments with a SYN.
    pub scale: Option<i32>,
    /// Nanoseconds since the conversation's first frame.
    pub since_first: u64,
    /// Nanoseconds since its frame before.
    pub since_previous: u64,
    /// The segment that it acknowledges, and the round-trip time.
    pub acks: Option<Reply>,
    /// Nanoseconds between the SYN and the ACK that ends the handshake.
    pub first_rtt: Option<u64>,
    /// Octets sent but not acknowledged, with this segment.
    pub in_flight: Option<u32>,
    /// Octets since the last segment with PSH.
    pub since_push: Option<u32>,
    /// For a retransmission: the frame that it repeats, and how long ago that was.
    pub repeats: Option<Reply>,
    /// What is remarkable.
    pub expert: Vec<Expert>,
    /// The messages that end, or begin, in this segment.
    pub messages: Vec<Message>,
    /// The payload was seen before, or belongs to nothing: it is not taken apart.
    pub opaque: bool,
    /// First sequence numbers as tcpdump counts them: of the sender, of the receiver.
    pub dump: Option<(u32, u32)>,
}

/// A message of an application protocol, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its protocol.
    pub protocol: App,
    /// First octet of the payload that belongs to it.
    pub start: u32,
    /// One past the last.
    pub end: u32,
    /// It goes on in a later segment.
    pub open: bool,
    /// For a message from several segments that ends here: all of it.
    pub whole: Option<Box<Reassembled>>,
    /// The request that it answers.
    pub reply: Option<Reply>,
    /// For an HTTP response: what was asked for.
    pub uri: Option<String>,
    /// For an HTTP message that goes on: its first line, when this segment shows it.
    pub head: Option<String>,
}

/// What a message is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum App {
    /// Octets.
    #[default]
    Data,
    /// HTTP/1.
    Http,
    /// HTTP in a conversation where it was seen before, but this does not begin as a message does.
    HttpContinuation,
    /// DNS, with its length before it.
    Dns,
}
