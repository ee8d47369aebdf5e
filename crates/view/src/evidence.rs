//! What the network's own state says about a call that failed: one sentence, and the packet to look at.

use serde::{Deserialize, Serialize};

use crate::event::{Event, SocketsView, TopologyView};

/// The evidence for one failed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The call.
    pub call: u64,
    /// Index of the program.
    pub program: u32,
    /// Line of the program, `sensor4.py:5`.
    pub place: String,
    /// `connect`.
    pub name: String,
    /// `ECONNREFUSED`.
    pub errno: String,
    /// `ConnectionRefusedError`.
    pub exception: String,
    /// Message key, one of [`evidence_keys`].
    pub key: String,
    /// Parameters of the message.
    pub args: Vec<(String, String)>,
    /// The packet that proves it.
    pub packet: Option<u64>,
    /// When the call failed, in nanoseconds.
    pub at: u64,
}

/// All message keys of [`Evidence`], with their parameters.
pub fn evidence_keys() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        // Refused: `open` is the TCP port (or ports, "80, 443") that is open there; `host` the host's name.
        ("evidence-refused-other-port", &["peer", "host", "open"]),
        ("evidence-refused-no-port", &["peer", "host"]),
        ("evidence-refused-closed-since", &["peer", "host"]),
        ("evidence-refused", &["peer"]),
        ("evidence-port-unreachable", &["peer", "host"]),
        ("evidence-in-use-by-program", &["local", "program", "state"]),
        ("evidence-in-use-by-self", &["local"]),
        ("evidence-in-use-time-wait", &["local", "seconds"]),
        ("evidence-in-use", &["local"]),
        ("evidence-reset-by-peer", &["peer", "host"]),
        ("evidence-peer-gone", &["peer", "host"]),
        ("evidence-closed-by-program", &[]),
        ("evidence-not-my-address", &["addr", "own"]),
        ("evidence-no-route", &["to"]),
        ("evidence-no-neighbour", &["next_hop"]),
        ("evidence-no-answer", &["peer", "transmissions"]),
        ("evidence-icmp", &["from", "kind", "code"]),
        ("evidence-not-allowed", &["target"]),
        ("evidence-timeout", &["call", "ms"]),
        ("evidence-name-unknown", &["name"]),
        ("evidence-not-connected", &[]),
        ("evidence-bad-descriptor", &[]),
        ("evidence-rule", &["call", "errno"]),
    ]
}

/// Follows failed calls.
#[derive(Clone, Debug, Default)]
pub struct Failures {}

impl Failures {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let _ = event;
    }

    /// Failed calls that reached the program as an exception, in order, explained by the sockets as they are now.
    pub fn evidence(&self, topology: &TopologyView, sockets: &SocketsView) -> Vec<Evidence> {
        let _ = (topology, sockets);
        Vec::new()
    }
}
