//! What is remarkable about a TCP segment in its conversation. Wireshark's words.

use serde::{Deserialize, Serialize};

/// What is remarkable about a TCP segment.
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
