//! What the network's own state says about a call that failed: one sentence, and the packet to look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{CallView, Event, EventKind, FailureView, SocketsView, TopologyNode, TopologyView};
use crate::topology::port_of;
use crate::wait;

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
    /// The number in `[Errno 111]`, if it is known.
    pub number: Option<i32>,
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
        // A listener opened (or closed) that port at `ms` milliseconds, after (or before) the SYN came.
        ("evidence-refused-too-early", &["peer", "host", "ms"]),
        ("evidence-refused-closed-since", &["peer", "host", "ms"]),
        ("evidence-refused-loopback-only", &["peer", "host", "local"]),
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

/// Errnos that tell a program to try again: no mistake, nothing to explain.
const NO_MISTAKE: [&str; 5] = ["EAGAIN", "EINPROGRESS", "EALREADY", "EINTR", "EISCONN"];

/// Follows failed calls.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    open: BTreeMap<u64, (u64, CallView)>,
    failed: Vec<Failed>,
    /// Who listened: node, local address, from, until.
    listeners: Vec<Listener>,
    /// Conversation of each TCP socket.
    sockets: BTreeMap<(u32, u32), u32>,
    /// Packets that refuse or reset, newest last: (conversation, packet).
    resets: BTreeMap<u32, u64>,
    /// Last ICMP error on its way to a node.
    icmp: BTreeMap<u32, u64>,
    /// What gateways said last, by the simulated end.
    gateway: BTreeMap<String, (String, String)>,
    /// What the relay's policy refused last.
    not_allowed: Option<String>,
}

#[derive(Clone, Debug)]
struct Failed {
    at: u64,
    entered: u64,
    call: CallView,
    failure: FailureView,
    packet: Option<u64>,
}

#[derive(Clone, Debug)]
struct Listener {
    node: u32,
    local: String,
    from: u64,
    until: Option<u64>,
}

impl Failures {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match &event.kind {
            EventKind::CallEntered(call) => {
                self.open.insert(call.call, (event.at, CallView::clone(call)));
            }
            EventKind::CallReturned { call, failure, .. } => {
                let Some((entered, call)) = self.open.remove(call) else { return };
                let Some(failure) = failure.clone() else { return };
                if NO_MISTAKE.contains(&failure.errno.as_str()) {
                    return;
                }
                let packet = self.proof(&call, &failure);
                self.failed.push(Failed { at: event.at, entered, call, failure, packet });
            }
            EventKind::TcpState { node, socket, local, from, to, conversation, .. } => {
                if let Some(conversation) = conversation {
                    self.sockets.insert((*node, *socket), *conversation);
                }
                if to == "LISTEN" {
                    let (node, local) = (*node, local.clone());
                    self.listeners.push(Listener { node, local, from: event.at, until: None });
                } else if from == "LISTEN" && to == "CLOSED" {
                    // Not the connections that are born of it: they go from LISTEN to SYN-RECEIVED.
                    let mut open = self.listeners.iter_mut().rev();
                    if let Some(l) = open.find(|l| l.node == *node && l.local == *local && l.until.is_none())
                    {
                        l.until = Some(event.at);
                    }
                }
            }
            EventKind::FrameSent(f) => {
                let reset = f.tcp.as_ref().is_some_and(|t| t.flags & 0x004 != 0);
                if let (true, Some(conversation)) = (reset, f.conversation) {
                    self.resets.insert(conversation, f.packet);
                }
                if let (true, Some(target)) = (f.protocol.starts_with("ICMP"), f.target) {
                    self.icmp.insert(target, f.packet);
                }
            }
            EventKind::Gateway(g) => {
                if g.fact == "gateway-not-allowed" {
                    self.not_allowed = Some(g.target.clone());
                }
                self.gateway.insert(g.client.clone(), (g.fact.clone(), g.target.clone()));
            }
            _ => {}
        }
    }

    /// The packet that made a call fail.
    fn proof(&self, call: &CallView, failure: &FailureView) -> Option<u64> {
        match failure.cause.as_str() {
            "cause-refused-by-peer" | "cause-reset-by-peer" | "cause-peer-gone" => {
                let conversation = call
                    .socket
                    .and_then(|s| self.sockets.get(&(call.node, s)).copied())
                    .or(call.conversation)?;
                self.resets.get(&conversation).copied()
            }
            "cause-icmp" | "cause-port-unreachable" => self.icmp.get(&call.node).copied(),
            _ => None,
        }
    }

    /// Failed calls that reached the program as an exception, in order, explained by the sockets as they are now.
    pub fn evidence(&self, topology: &TopologyView, sockets: &SocketsView) -> Vec<Evidence> {
        self.failed.iter().map(|f| self.explain(f, topology, sockets)).collect()
    }

    fn explain(&self, f: &Failed, topology: &TopologyView, sockets: &SocketsView) -> Evidence {
        let arg = |name: &str| {
            f.failure.args.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let peer = arg("peer");
        let host = host_of(topology, &peer);
        let name = host.map(|(_, name)| name.to_string()).unwrap_or_default();
        let local = wait::address_in(&f.call.args).unwrap_or_default();
        let (key, args): (&str, Vec<(&str, String)>) = match f.failure.cause.as_str() {
            "cause-refused-by-peer" => match host {
                Some((node, name)) => self.refused(f, &peer, node, name, sockets),
                None => ("evidence-refused", vec![("peer", peer)]),
            },
            "cause-port-unreachable" => ("evidence-port-unreachable", vec![("peer", peer), ("host", name)]),
            "cause-held-by" | "cause-held-by-time-wait" => held(f, &arg("socket"), local, sockets),
            "cause-reset-by-peer" => ("evidence-reset-by-peer", vec![("peer", peer), ("host", name)]),
            "cause-peer-gone" => ("evidence-peer-gone", vec![("peer", peer), ("host", name)]),
            "cause-closed-by-program" => ("evidence-closed-by-program", vec![]),
            "cause-not-my-address" => {
                let node = topology.nodes.get(f.call.node as usize);
                let own = node.map(|n| n.addresses.join(", ")).unwrap_or_default();
                ("evidence-not-my-address", vec![("addr", arg("addr")), ("own", own)])
            }
            "cause-no-route" => ("evidence-no-route", vec![("to", arg("to"))]),
            "cause-no-neighbour" => ("evidence-no-neighbour", vec![("next_hop", arg("next_hop"))]),
            "cause-no-answer" => {
                ("evidence-no-answer", vec![("peer", peer), ("transmissions", arg("transmissions"))])
            }
            "cause-icmp" => match self.not_allowed(f, sockets) {
                Some(target) => ("evidence-not-allowed", vec![("target", target)]),
                None => {
                    let args = ["from", "kind", "code"].map(|name| (name, arg(name)));
                    ("evidence-icmp", args.to_vec())
                }
            },
            _ => match f.failure.errno.as_str() {
                "timeout" => {
                    let waited = wait::ms(f.at.saturating_sub(f.entered));
                    ("evidence-timeout", vec![("call", f.call.name.clone()), ("ms", waited)])
                }
                "ENOTCONN" => ("evidence-not-connected", vec![]),
                "EBADF" => ("evidence-bad-descriptor", vec![]),
                errno if errno.starts_with("EAI_") => {
                    let name = f.call.args.trim_matches(['\'', '"']).to_string();
                    ("evidence-name-unknown", vec![("name", name)])
                }
                errno => ("evidence-rule", vec![("call", f.call.name.clone()), ("errno", errno.to_string())]),
            },
        };
        let (exception, number) = exception(&f.failure.errno);
        Evidence {
            call: f.call.call,
            program: f.call.program,
            place: f.call.place.clone(),
            name: f.call.name.clone(),
            errno: f.failure.errno.clone(),
            exception: exception.to_string(),
            number,
            key: key.to_string(),
            args: args.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
            packet: f.packet,
            at: f.at,
        }
    }

    /// Nobody listened at `peer` when the SYN came: what was open there instead?
    fn refused(
        &self,
        f: &Failed,
        peer: &str,
        node: u32,
        name: &str,
        sockets: &SocketsView,
    ) -> (&'static str, Vec<(&'static str, String)>) {
        let base = vec![("peer", peer.to_string()), ("host", name.to_string())];
        let with = |mut args: Vec<(&'static str, String)>, arg: &'static str, value: String| {
            args.push((arg, value));
            args
        };
        let port = port_of(peer);
        let own = self.listeners.iter().filter(|l| l.node == node && port_of(&l.local) == port);
        for l in own {
            if l.from > f.at {
                return ("evidence-refused-too-early", with(base, "ms", wait::ms(l.from)));
            }
            if l.until.is_some_and(|until| until <= f.at) {
                return ("evidence-refused-closed-since", with(base, "ms", wait::ms(l.until.unwrap_or(0))));
            }
            if l.local.starts_with("127.") || l.local.starts_with("[::1]") {
                return ("evidence-refused-loopback-only", with(base, "local", l.local.clone()));
            }
        }
        // As it was when the call failed: a server may have ended since. Only when nothing is known of that time (a
        // listener from before the trace) do the sockets as they are now speak.
        let outside = |local: &str| !local.starts_with("127.") && !local.starts_with("[::1]");
        let mut history = self.listeners.iter().filter(|l| l.node == node).peekable();
        let mut open: Vec<u16> = if history.peek().is_some() {
            history
                .filter(|l| l.from <= f.at && l.until.is_none_or(|until| until > f.at) && outside(&l.local))
                .filter_map(|l| port_of(&l.local))
                .collect()
        } else {
            let rows = sockets.hosts.iter().filter(|h| h.node == node).flat_map(|h| &h.sockets);
            rows.filter(|s| s.netid == "tcp" && s.state == "LISTEN" && outside(&s.local))
                .filter_map(|s| port_of(&s.local))
                .collect()
        };
        open.sort_unstable();
        open.dedup();
        if open.is_empty() {
            return ("evidence-refused-no-port", base);
        }
        let open: Vec<_> = open.iter().map(u16::to_string).collect();
        ("evidence-refused-other-port", with(base, "open", open.join(", ")))
    }

    /// What the relay's policy did not allow this call to reach.
    fn not_allowed(&self, f: &Failed, sockets: &SocketsView) -> Option<String> {
        let rows = sockets.hosts.iter().find(|h| h.node == f.call.node)?;
        let local = rows.sockets.iter().find(|s| Some(s.socket) == f.call.socket).map(|s| s.local.as_str());
        match local.and_then(|local| self.gateway.get(local)) {
            Some((fact, target)) => (fact == "gateway-not-allowed").then(|| target.clone()),
            // The socket is gone: the last refusal of all.
            None => self.not_allowed.clone(),
        }
    }
}

/// Who holds the address that a program wanted to bind.
fn held(
    f: &Failed,
    socket: &str,
    local: String,
    sockets: &SocketsView,
) -> (&'static str, Vec<(&'static str, String)>) {
    let rows = sockets.hosts.iter().find(|h| h.node == f.call.node).map(|h| h.sockets.as_slice());
    let holder = rows.unwrap_or_default().iter().find(|s| s.socket.to_string() == socket);
    if f.failure.cause == "cause-held-by-time-wait" {
        let timer = holder.and_then(|h| h.timers.iter().find(|(key, _)| key == "timer-time-wait"));
        let left =
            timer.map_or(0, |(_, deadline)| deadline.saturating_sub(sockets.at).div_ceil(1_000_000_000));
        return ("evidence-in-use-time-wait", vec![("local", local), ("seconds", left.to_string())]);
    }
    match holder {
        Some(h) if h.program == Some(f.call.program) => ("evidence-in-use-by-self", vec![("local", local)]),
        Some(h) if h.program.is_some() => {
            let file = h.process.split(' ').next().unwrap_or_default().to_string();
            let args = vec![("local", local), ("program", file), ("state", h.state.clone())];
            ("evidence-in-use-by-program", args)
        }
        _ => ("evidence-in-use", vec![("local", local)]),
    }
}

/// Index and name of the host that has the address of `10.0.0.80:80`.
fn host_of<'a>(topology: &'a TopologyView, peer: &str) -> Option<(u32, &'a str)> {
    let address = peer.rsplit_once(':')?.0.trim_matches(['[', ']']);
    let owns = |n: &TopologyNode| n.addresses.iter().any(|a| a.split('/').next() == Some(address));
    (0u32..).zip(&topology.nodes).find(|(_, n)| owns(n)).map(|(i, n)| (i, n.name.as_str()))
}

/// Python's exception class for an errno, and Linux's number.
fn exception(errno: &str) -> (&'static str, Option<i32>) {
    match errno {
        "EPERM" => ("PermissionError", Some(1)),
        "ENOENT" => ("FileNotFoundError", Some(2)),
        "EACCES" => ("PermissionError", Some(13)),
        "EPIPE" => ("BrokenPipeError", Some(32)),
        "EBADF" => ("OSError", Some(9)),
        "EINVAL" => ("OSError", Some(22)),
        "EDESTADDRREQ" => ("OSError", Some(89)),
        "EMSGSIZE" => ("OSError", Some(90)),
        "EOPNOTSUPP" => ("OSError", Some(95)),
        "EADDRINUSE" => ("OSError", Some(98)),
        "EADDRNOTAVAIL" => ("OSError", Some(99)),
        "ENETUNREACH" => ("OSError", Some(101)),
        "ECONNABORTED" => ("ConnectionAbortedError", Some(103)),
        "ECONNRESET" => ("ConnectionResetError", Some(104)),
        "ENOTCONN" => ("OSError", Some(107)),
        "ETIMEDOUT" => ("TimeoutError", Some(110)),
        "ECONNREFUSED" => ("ConnectionRefusedError", Some(111)),
        "EHOSTUNREACH" => ("OSError", Some(113)),
        "timeout" => ("TimeoutError", None),
        _ if errno.starts_with("EAI_") => ("socket.gaierror", None),
        _ => ("OSError", None),
    }
}
