//! What the relay says of real connections, for the page to show beside the simulated ones.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A real connection, as the kernel of the relay's machine sees it: the fields of `struct tcp_info` (linux/tcp.h) that
/// the simulation has, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealSocket {
    /// The simulated connection's end in the lab.
    pub client: SocketAddr,
    /// Its other end, which the gateway stands in for.
    pub target: SocketAddr,
    /// What is there in the real world, as the program names it: `relay:9007`.
    pub label: String,
    /// Virtual time of the answer, in nanoseconds.
    pub at: u64,
    /// The real connection's end at the relay.
    pub local: SocketAddr,
    /// Its other end.
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
    /// Segments sent again since the connection opened.
    pub retransmitted: u32,
    /// Octets that the other end acknowledged.
    pub octets_acked: u64,
    /// Octets received.
    pub octets_received: u64,
}

/// Why the relay does not let the page in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TurnedAway {
    /// It wants a class code.
    CodeWanted,
    /// That was not its class code.
    WrongCode,
    /// The class code has been withdrawn.
    Withdrawn,
}
