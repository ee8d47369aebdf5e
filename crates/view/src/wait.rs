//! Why a program does not go on: which line, which call, since when, and what it waits for.

use serde::{Deserialize, Serialize};

use crate::event::{Event, SocketsView};

/// A call that has not returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitReason {
    /// Number of the call.
    pub call: u64,
    /// Index of the program.
    pub program: u32,
    /// Thread; 1 is the main one.
    pub tid: u32,
    /// `server.py:7`, or empty.
    pub place: String,
    /// Line, if `place` has one.
    pub line: Option<u32>,
    /// `recv`.
    pub name: String,
    /// `recv(1024)`.
    pub call_text: String,
    /// Since when, in nanoseconds.
    pub since: u64,
    /// Message key, one of [`wait_keys`].
    pub key: String,
    /// Parameters of the message.
    pub args: Vec<(String, String)>,
    /// The packet that will, or could, wake it: on its way to this host now.
    pub packet: Option<u64>,
}

/// All message keys of [`WaitReason`], with their parameters.
pub fn wait_keys() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("wait-recv-empty", &["peer"]),
        ("wait-recv-in-flight", &["peer", "ms"]),
        ("wait-recv-datagram", &["local"]),
        ("wait-accept-empty", &["local"]),
        ("wait-connect-syn-sent", &["peer"]),
        ("wait-connect-in-flight", &["peer", "ms"]),
        ("wait-send-full", &["peer", "queued"]),
        ("wait-send-zero-window", &["peer", "queued"]),
        ("wait-poll", &[]),
        ("wait-sleep", &["ms"]),
        ("wait-lock", &[]),
        ("wait-stdin", &[]),
        ("wait-resolve", &[]),
        ("wait-other", &["call"]),
    ]
}

/// Follows which calls are open.
#[derive(Clone, Debug, Default)]
pub struct Waits {}

impl Waits {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let _ = event;
    }

    /// What each thread of a program waits for at instant `now`, main thread first; empty when it runs or is over.
    pub fn of(&self, program: u32, sockets: &SocketsView, now: u64) -> Vec<WaitReason> {
        let _ = (program, sockets, now);
        Vec::new()
    }
}
