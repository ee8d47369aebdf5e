//! The processes: what a program asks for, when its answer comes, and what each of its threads waits for.
//!
//! There is one processor for all programs, and it is free of charge: a process runs from a reply until its message
//! without `MORE` while virtual time stands still. Only a system call costs something.
//!
//! ```text
//! here      what a process is; one message in, the request to whom it concerns
//! kernel    calls of the host's stack
//! wait      sleeping, locks, lines of standard input
//! reply     answers: into the queue, and out to the program
//! life      start, end, servers that are stopped when all others have ended
//! signal    Ctrl-C, kill(2), alarms
//! family    fork(2), waitpid(2)
//! ```

mod family;
mod kernel;
mod life;
mod reply;
mod signal;
mod wait;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use socketlab_stack::{Call, CallId, Cause, Fd, Instant, Pid};

use crate::abi::{AbiError, Message, Reply, Request, Shape};
use crate::marshal::Value;
use crate::names::Found;
use crate::python;
use crate::queue::EventKey;
use crate::record::{ExitStatus, NodeId, RecordKind};
use crate::service::{Lookup, Question};
use crate::world::World;

/// What a system call costs. A choice: about ten times what Linux needs, so that it is seen on a screen.
const CALL_COST: Duration = Duration::from_micros(10);
/// The most a call costs that asks again and again in vain.
const MAX_CALL_COST: Duration = Duration::from_millis(1);
/// Calls in vain at the normal price.
const PATIENCE: u32 = 4;
/// The shim's number for a process's main thread.
const MAIN: u32 = 1;

/// A process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) program: usize,
    pub(crate) node: NodeId,
    pub(crate) started: bool,
    pub(crate) ended: bool,
    pub(crate) threads: BTreeMap<u32, Wait>,
    /// Threads that were unparked before they parked.
    unparked: BTreeSet<u32>,
    stdin: String,
    end_of_file: bool,
    /// Calls in a row that had no effect.
    in_vain: u32,
    /// Ctrl-C came while the main thread did not wait.
    interrupted: bool,
    /// Other signals that the main thread has not heard of, in the order they came.
    signals: Vec<i32>,
    /// Its last message said that it computes in a loop.
    spins: bool,
    /// The interval timer: when it is due, and the interval after that.
    alarm: Option<(EventKey, Duration)>,
    /// The process that made this one by fork(2).
    parent: Option<Pid>,
    /// How it ended, until its parent has heard of it.
    zombie: Option<ExitStatus>,
}

/// What a thread waits for.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// Its reply is in the queue.
    Reply { call: CallId, key: EventKey, reply: Reply, shown: Option<Shown>, interruptible: bool },
    /// The stack has not answered yet. `input`: it is a poll(2) that looks at standard input too.
    Kernel { call: CallId, earliest: Instant, shape: Shape, bounded: bool, input: bool },
    /// Another thread.
    Park { call: CallId, earliest: Instant },
    /// A line on standard input.
    Line { call: CallId, earliest: Instant },
    /// A DNS server, by a lookup of this number.
    Lookup { call: CallId, servant: u32 },
    /// A child's end: of this one, or of any.
    Child { call: CallId, earliest: Instant, child: Option<Pid> },
}

/// How a call's end is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    result: String,
    failure: Option<(&'static str, Cause)>,
    made: Option<socketlab_stack::Fd>,
}

impl Shown {
    fn of(reply: &Reply, cause: Cause, made: Option<socketlab_stack::Fd>) -> Self {
        let failure = reply.error.map(|name| (name, cause));
        Shown { result: python::repr(&reply.value), failure, made }
    }
}

impl Wait {
    pub(crate) const fn call(&self) -> CallId {
        match self {
            Wait::Reply { call, .. }
            | Wait::Kernel { call, .. }
            | Wait::Park { call, .. }
            | Wait::Line { call, .. }
            | Wait::Lookup { call, .. }
            | Wait::Child { call, .. } => *call,
        }
    }

    /// Whether it waits for something to be typed.
    pub(crate) const fn wants_input(&self) -> bool {
        matches!(self, Wait::Line { .. } | Wait::Kernel { input: true, .. })
    }
}

/// Who made a call that the stack has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Thread(Pid, u32),
    Flow(crate::gateway::FlowId, crate::flow::FlowCall),
    /// A service, or a lookup.
    Servant(u32),
    /// A message that wanted no reply.
    Nobody,
}

/// Who makes a call, and when its answer may come at the earliest.
#[derive(Clone, Copy, Debug)]
struct From {
    pid: Pid,
    tid: u32,
    node: NodeId,
    call: CallId,
    post: bool,
    shown: bool,
}

/// Standard input, output and error, which the stack knows nothing of.
const fn is_standard(fd: Fd) -> bool {
    0 <= fd.0 && fd.0 <= 2
}

impl World {
    /// A message of the process whose turn it is.
    pub(crate) fn hear(&mut self, pid: Pid, bytes: &[u8]) -> Result<(), AbiError> {
        let error = |at: usize, what: &str| Err(AbiError { at, what: what.to_owned() });
        let Some(process) = self.processes.get(&pid) else { return error(0, "there is no such process") };
        if process.ended {
            return Ok(());
        }
        if self.running != Some(pid) {
            return error(0, "it is not this process's turn");
        }
        let message = Message::parse(bytes)?;
        let Message { tid, more, post, place, request } = message;
        if !post && process.threads.contains_key(&tid) {
            return error(0, "this thread still waits for its last reply");
        }
        let node = process.node;
        let call = CallId(self.next_call);
        self.next_call += 1;
        let from = From { pid, tid, node, call, post, shown: request.shown().is_some() };
        let lookup_place = place.clone();
        if let Some(name) = request.shown() {
            let socket = request.fd().and_then(|fd| self.host(node).and_then(|h| h.host.socket_of(pid, fd)));
            let args = request.args();
            self.record(RecordKind::CallEntered { call, pid, tid, name, args, socket, place });
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.spins = request == Request::Spin;
        }
        self.request(from, request, lookup_place);
        if !more && self.running == Some(pid) {
            self.running = None;
        }
        Ok(())
    }

    fn request(&mut self, from: From, request: Request, place: String) {
        let From { pid, node, .. } = from;
        let simple = |value| (Reply::ok(value), false);
        let (reply, in_vain) = match request {
            Request::Kernel(Call::Poll { fds, timeout }, _) if fds.iter().any(|(fd, _)| is_standard(*fd)) => {
                return self.poll_standard(from, &fds, timeout);
            }
            Request::Kernel(call, shape) => return self.kernel_call(from, call, shape),
            Request::Alarm { first, interval } => (self.set_alarm(pid, first, interval), false),
            Request::Kill { pid: target, signal } => (self.signal_process(node, target, signal), false),
            Request::Fork => return self.fork(from),
            Request::WaitPid { child, hang } => return self.wait_pid(from, child, hang),
            Request::Sleep(time) => return self.sleep(from, time),
            Request::Park(timeout) => return self.park(from, timeout),
            Request::ReadLine => return self.read_line(from),
            Request::Unpark { tid } => return self.unpark(pid, tid),
            Request::Write { stream, text } => {
                self.record(RecordKind::Console { pid, stream, text });
                simple(Value::None)
            }
            Request::Exit { status } => return self.end_process(pid, ExitStatus::Exited(status)),
            Request::Thread | Request::Idle => simple(Value::None),
            Request::Now | Request::Spin => (Reply::ok(Value::None), true),
            Request::GetHostName => {
                let name = self.topology.nodes.get(node.0 as usize).map(|n| n.name.clone());
                simple(Value::Str(name.unwrap_or_default()))
            }
            Request::Ifaces => simple(self.interfaces(node)),
            Request::Resolve { name, family } => match self.resolve(node, &name, family) {
                Ok(reply) => (reply, false),
                Err(server) => {
                    let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
                    return self.look_up(from, place, Question::Addresses { name, family }, server);
                }
            },
            Request::RevResolve { address } => {
                let address: Option<IpAddr> = address.parse().ok();
                if let Some(address) = address
                    && let Some(server) = self.names.reverse_at(node, address)
                {
                    return self.look_up(from, place, Question::Name(address), server);
                }
                let name = address.and_then(|address| self.names.reverse(address));
                (name.map_or(Reply::error("EAI_NONAME"), |name| Reply::ok(Value::Str(name))), false)
            }
        };
        let earliest = self.earliest(pid, in_vain);
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest, reply, Some(shown), false);
    }

    fn interfaces(&self, node: NodeId) -> Value {
        let names = self.host(node).map(|h| h.host.snapshot().ifaces).unwrap_or_default();
        let rows = names.into_iter().enumerate();
        // if_nametoindex(3) counts from 1: `lo`.
        let row = |(i, iface): (usize, socketlab_stack::IfaceSnapshot)| {
            Value::Tuple(vec![Value::Int(i as i64 + 1), Value::Str(iface.name)])
        };
        Value::List(rows.map(row).collect())
    }

    /// The program's own resolver asks a DNS server.
    fn look_up(&mut self, from: From, place: String, question: Question, server: IpAddr) {
        let From { pid, tid, node, call, .. } = from;
        // Any number does that differs from question to question (RFC 5452 asks for a random one).
        let id = (call.0.wrapping_mul(40_503) >> 3) as u16;
        let servant = self.new_lookup(node, (pid, tid), place, Lookup::new(question, server, id));
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads.insert(tid, Wait::Lookup { call, servant });
        }
        self.take_interrupt(pid);
    }

    /// A lookup is over.
    pub(crate) fn looked_up(&mut self, pid: Pid, tid: u32, reply: Reply) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let node = process.node;
        let Some(Wait::Lookup { call, .. }) = process.threads.get(&tid) else { return };
        let from = From { pid, tid, node, call: *call, post: false, shown: true };
        let earliest = self.earliest(pid, false);
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest, reply, Some(shown), false);
    }

    /// What the names at hand say; else the DNS server to ask.
    fn resolve(&mut self, node: NodeId, name: &str, family: i32) -> Result<Reply, IpAddr> {
        let row = |(family, a): (i32, _)| {
            Value::Tuple(vec![Value::Int(i64::from(family)), Value::Str(format!("{a}"))])
        };
        Ok(match self.names.resolve(node, name, family) {
            Found::Ask(server) => return Err(server),
            Found::Error(error) => Reply::error(error),
            Found::Addresses(found) => Reply::ok(Value::List(found.into_iter().map(row).collect())),
            Found::New { gateway, address } => {
                self.record(RecordKind::NameResolved { node: gateway, name: name.to_owned(), address });
                Reply::ok(Value::List(vec![row((2, address))]))
            }
        })
    }

    /// When a call's reply may come at the earliest; a call in vain after many others costs more.
    fn earliest(&mut self, pid: Pid, in_vain: bool) -> Instant {
        let Some(process) = self.processes.get_mut(&pid) else { return self.now };
        process.in_vain = if in_vain { process.in_vain.saturating_add(1) } else { 0 };
        let doublings = process.in_vain.saturating_sub(PATIENCE).min(7);
        self.now + (CALL_COST * (1 << doublings)).min(MAX_CALL_COST)
    }
}
