//! The packet list's line for each frame of a capture, as tshark words it.

use serde::{Deserialize, Serialize};

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
}

/// Follows a capture frame by frame.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    frames: u64,
}

impl Analysis {
    /// Before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line of the next frame. `at`: when it was captured, in nanoseconds.
    pub fn push(&mut self, at: u64, frame: &[u8]) -> Summary {
        let _ = (at, frame);
        self.frames += 1;
        Summary::default()
    }

    /// The conversation that a pair of ends belongs to at the moment, in whichever direction. `protocol`: 6 or 17.
    pub fn conversation(
        &self,
        protocol: u8,
        a: core::net::SocketAddr,
        b: core::net::SocketAddr,
    ) -> Option<u32> {
        let _ = (protocol, a, b);
        None
    }
}
