//! Why a program does not go on: which line, which call, since when, and what it waits for, if it waits for anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{CallView, Event, EventKind, SocketsView};

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
    /// It waits for something; else the kernel is carrying it out.
    pub waits: bool,
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
        ("wait-recv-ready", &["queued"]),
        ("wait-recv-datagram", &["local"]),
        ("wait-accept-empty", &["local"]),
        ("wait-accept-ready", &["local"]),
        ("wait-connect-syn-sent", &["peer"]),
        ("wait-connect-in-flight", &["peer", "ms"]),
        ("wait-send-full", &["peer", "queued"]),
        ("wait-send-room", &["queued"]),
        ("wait-send-zero-window", &["peer", "queued"]),
        ("wait-poll", &[]),
        ("wait-sleep", &["ms"]),
        ("wait-lock", &[]),
        ("wait-stdin", &[]),
        ("wait-resolve", &[]),
        ("wait-carried-out", &[]),
        ("wait-other", &["call"]),
    ]
}

/// The keys of calls that wait for nothing.
const AT_WORK: [&str; 4] = ["wait-recv-ready", "wait-accept-ready", "wait-send-room", "wait-carried-out"];

/// What a call that waits for nothing takes at most, in nanoseconds of virtual time: ten microseconds, more for one that a
/// program makes again and again without effect.
const LONGEST_AT_WORK: u64 = 1_000_000;

/// Follows which calls are open, and what is on its way to them.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Calls that have not returned, by number.
    open: BTreeMap<u64, (u64, CallView)>,
    /// Packets under way: newest hop of each.
    under_way: BTreeMap<u64, UnderWay>,
    /// Packet of each frame under way.
    frames: BTreeMap<u64, u64>,
}

#[derive(Clone, Debug)]
struct UnderWay {
    packet: u64,
    target: Option<u32>,
    conversation: Option<u32>,
    /// Data or FIN: what `recv` waits for.
    carries: bool,
    /// An answer to a SYN.
    answers: bool,
    arrives: u64,
}

impl Waits {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match &event.kind {
            EventKind::CallEntered(call) => {
                self.open.insert(call.call, (event.at, CallView::clone(call)));
            }
            EventKind::CallReturned { call, .. } => {
                self.open.remove(call);
            }
            EventKind::ProgramExited { program, .. } => self.open.retain(|_, (_, c)| c.program != *program),
            EventKind::FrameSent(f) => {
                let flags = f.tcp.as_ref().map_or(0, |t| t.flags);
                let len = f.tcp.as_ref().map_or(0, |t| t.len);
                self.frames.insert(f.frame, f.packet);
                let under_way = UnderWay {
                    packet: f.packet,
                    target: f.target,
                    conversation: f.conversation,
                    carries: len > 0 || flags & 0x001 != 0 || f.protocol == "UDP",
                    answers: flags & 0x012 == 0x012 || flags & 0x004 != 0,
                    arrives: f.arrives,
                };
                self.under_way.insert(f.packet, under_way);
            }
            EventKind::FrameDelivered { frame } | EventKind::FrameLost { frame, .. } => {
                if let Some(packet) = self.frames.remove(frame)
                    // Another hop may have begun already.
                    && !self.frames.values().any(|p| *p == packet)
                {
                    self.under_way.remove(&packet);
                }
            }
            _ => {}
        }
    }

    /// Which call each thread of a program is in at instant `now`, and what that waits for, main thread first; empty when
    /// it is in none or is over.
    pub fn of(&self, program: u32, sockets: &SocketsView, now: u64) -> Vec<WaitReason> {
        let mut reasons: Vec<_> = self
            .open
            .values()
            .filter(|(_, call)| call.program == program)
            .map(|(since, call)| self.reason(*since, call, sockets, now))
            .collect();
        reasons.sort_by_key(|r| (r.tid, r.call));
        reasons
    }

    fn reason(&self, since: u64, call: &CallView, sockets: &SocketsView, now: u64) -> WaitReason {
        let host = sockets.hosts.iter().find(|h| h.node == call.node);
        let row = host.and_then(|h| h.sockets.iter().find(|s| Some(s.socket) == call.socket));
        let local = row.map(|r| r.local.clone()).unwrap_or_default();
        let peer = match row {
            Some(row) if !row.peer.ends_with('*') => row.peer.clone(),
            _ => address_in(&call.args).unwrap_or_default(),
        };
        let queued = row.map(|r| r.send_q.to_string()).unwrap_or_default();
        let conversation = row.and_then(|r| r.conversation).or(call.conversation);
        let coming = |wanted: fn(&UnderWay) -> bool| {
            self.under_way.values().find(|u| {
                conversation.is_some()
                    && u.conversation == conversation
                    && u.target == Some(call.node)
                    && u.arrives >= now
                    && wanted(u)
            })
        };
        let peer_arg = ("peer", peer);
        let left = |u: &UnderWay| ("ms", ms(u.arrives.saturating_sub(now)));
        let mut packet = None;
        let (key, args) = match call.name.as_str() {
            // Between two events of one instant: what is there is about to be given.
            "recv" | "recvfrom" | "recvmsg" if row.is_some_and(|r| r.recv_q > 0) => {
                let octets = row.map(|r| r.recv_q.to_string()).unwrap_or_default();
                ("wait-recv-ready", vec![("queued", octets)])
            }
            "recv" | "recvfrom" | "recvmsg" if row.is_some_and(|r| r.netid == "udp") => {
                ("wait-recv-datagram", vec![("local", local)])
            }
            "recv" | "recvfrom" | "recvmsg" => match coming(|u| u.carries) {
                Some(u) => {
                    packet = Some(u.packet);
                    ("wait-recv-in-flight", vec![peer_arg, left(u)])
                }
                None => ("wait-recv-empty", vec![peer_arg]),
            },
            "accept" if row.is_some_and(|r| r.recv_q > 0) => ("wait-accept-ready", vec![("local", local)]),
            "accept" => ("wait-accept-empty", vec![("local", local)]),
            "connect" => match coming(|u| u.answers) {
                Some(u) => {
                    packet = Some(u.packet);
                    ("wait-connect-in-flight", vec![peer_arg, left(u)])
                }
                None => ("wait-connect-syn-sent", vec![peer_arg]),
            },
            "send" | "sendto" | "sendmsg" => {
                let closed = row.and_then(|r| r.tcb.as_ref()).is_some_and(|tcb| tcb.snd_wnd == 0);
                let room = row.is_some_and(|r| 2 * r.send_q < r.send_buffer);
                match (closed, room) {
                    (true, _) => ("wait-send-zero-window", vec![peer_arg, ("queued", queued)]),
                    // Between two events of one instant: it has not ended yet, but nothing holds it up.
                    (false, true) => ("wait-send-room", vec![("queued", queued)]),
                    (false, false) => ("wait-send-full", vec![peer_arg, ("queued", queued)]),
                }
            }
            "poll" | "epoll_wait" => ("wait-poll", vec![]),
            "sleep" => ("wait-sleep", vec![("ms", sleep_left(&call.args, since, now))]),
            "park" => ("wait-lock", vec![]),
            "readline" => ("wait-stdin", vec![]),
            "resolve" | "revresolve" => ("wait-resolve", vec![]),
            _ if now.saturating_sub(since) <= LONGEST_AT_WORK => ("wait-carried-out", vec![]),
            other => ("wait-other", vec![("call", other.to_string())]),
        };
        WaitReason {
            call: call.call,
            program: call.program,
            tid: call.tid,
            place: call.place.clone(),
            line: call.place.rsplit(':').next().and_then(|line| line.parse().ok()),
            name: call.name.clone(),
            call_text: format!("{}({})", call.name, call.args),
            since,
            waits: !AT_WORK.contains(&key),
            key: key.to_string(),
            args: args.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
            packet,
        }
    }
}

/// Milliseconds with one decimal: `2.1`.
pub(crate) fn ms(nanos: u64) -> String {
    format!("{}.{}", nanos / 1_000_000, nanos / 100_000 % 10)
}

/// What is left of `sleep(2.5)`.
fn sleep_left(args: &str, since: u64, now: u64) -> String {
    let seconds: f64 = args.trim().parse().unwrap_or(0.0);
    let end = since.saturating_add((seconds * 1e9) as u64);
    ms(end.saturating_sub(now))
}

/// `10.0.0.80:80` from Python's `('10.0.0.80', 80)`.
pub(crate) fn address_in(args: &str) -> Option<String> {
    let inside = &args[args.rfind('(')? + 1..];
    let mut parts = inside.trim_end_matches(')').split(", ");
    let host = parts.next()?.trim_matches(['\'', '"']);
    let port: u16 = parts.next()?.trim_end_matches([')', ',']).parse().ok()?;
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}
