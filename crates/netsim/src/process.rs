//! The processes: what a program asks for, when its answer comes, and what each of its threads waits for.
//!
//! There is one processor for all programs, and it is free of charge: a process runs from a reply until its message
//! without `MORE` while virtual time stands still. Only a system call costs something.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use socketlab_stack::{CallId, Cause, Failure, Instant, Outcome, Pid, Ret};

use crate::abi::{AbiError, Message, Reply, Request, Shape};
use crate::builder::Stdin;
use crate::marshal::Value;
use crate::names::Found;
use crate::python;
use crate::queue::{Event, EventKey};
use crate::record::{ExitStatus, NodeId, RecordKind, Stream};
use crate::world::{Output, World};

/// What a system call costs. A choice: about ten times what Linux needs, so that it is seen on a screen.
const CALL_COST: Duration = Duration::from_micros(10);
/// The most a call costs that asks again and again in vain.
const MAX_CALL_COST: Duration = Duration::from_millis(1);
/// Calls in vain at the normal price.
const PATIENCE: u32 = 4;
/// How long servers may go on by themselves when all other programs have ended. A choice.
const SERVERS_GRACE: Duration = Duration::from_secs(1);
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
}

/// What a thread waits for.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// Its reply is in the queue.
    Reply { call: CallId, key: EventKey, reply: Reply, shown: Option<Shown>, interruptible: bool },
    /// The stack has not answered yet.
    Kernel { call: CallId, earliest: Instant, shape: Shape, bounded: bool },
    /// Another thread.
    Park { call: CallId, earliest: Instant },
    /// A line on standard input.
    Line { call: CallId, earliest: Instant },
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
            | Wait::Line { call, .. } => *call,
        }
    }
}

/// Who made a call that the stack has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Thread(Pid, u32),
    Flow(crate::gateway::FlowId, crate::flow::FlowCall),
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

impl World {
    pub(crate) fn new_process(&mut self, program: usize, at: Instant) -> Pid {
        self.next_pid += 1;
        let pid = Pid(self.next_pid);
        let node = self.programs.get(program).map_or(NodeId(0), |p| p.node);
        let process = Process {
            program,
            node,
            started: false,
            ended: false,
            threads: BTreeMap::new(),
            unparked: BTreeSet::new(),
            stdin: String::new(),
            end_of_file: false,
            in_vain: 0,
            interrupted: false,
        };
        self.processes.insert(pid, process);
        self.queue.push(at, Event::Start { pid });
        pid
    }

    pub(crate) fn start_process(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) else { return };
        process.started = true;
        let (node, program) = (process.node, process.program);
        match self.programs.get(program).map(|p| p.stdin.clone()) {
            Some(Stdin::Text(text)) => {
                process.stdin = text;
                process.end_of_file = true;
            }
            Some(Stdin::Typed(lines)) => {
                for (after, text) in lines {
                    self.queue.push(self.now + after, Event::Typed { pid, text });
                }
            }
            Some(Stdin::Open) | None => {}
        }
        self.record(RecordKind::ProcessStarted { node, pid, program });
        self.outputs.push_back(Output::Start { pid, program });
        self.running = Some(pid);
    }

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
        if let Some(name) = request.shown() {
            let socket = request.fd().and_then(|fd| self.host(node).and_then(|h| h.host.socket_of(pid, fd)));
            let args = request.args();
            self.record(RecordKind::CallEntered { call, pid, tid, name, args, socket, place });
        }
        self.request(from, request);
        if !more && self.running == Some(pid) {
            self.running = None;
        }
        Ok(())
    }

    fn request(&mut self, from: From, request: Request) {
        let From { pid, node, .. } = from;
        let simple = |value| (Reply::ok(value), false);
        let (reply, in_vain) = match request {
            Request::Kernel(call, shape) => return self.kernel_call(from, call, shape),
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
            Request::Now => (Reply::ok(Value::None), true),
            Request::GetHostName => {
                let name = self.topology.nodes.get(node.0 as usize).map(|n| n.name.clone());
                simple(Value::Str(name.unwrap_or_default()))
            }
            Request::Ifaces => simple(self.interfaces(node)),
            Request::Resolve { name, family } => (self.resolve(&name, family), false),
            Request::RevResolve { address } => {
                let name = address.parse().ok().and_then(|address| self.names.reverse(address));
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

    fn resolve(&mut self, name: &str, family: i32) -> Reply {
        let row = |(family, a): (i32, _)| {
            Value::Tuple(vec![Value::Int(i64::from(family)), Value::Str(format!("{a}"))])
        };
        match self.names.resolve(name, family) {
            Found::Error(error) => Reply::error(error),
            Found::Addresses(found) => Reply::ok(Value::List(found.into_iter().map(row).collect())),
            Found::New { gateway, address } => {
                self.record(RecordKind::NameResolved { node: gateway, name: name.to_owned(), address });
                Reply::ok(Value::List(vec![row((2, address))]))
            }
        }
    }

    /// When a call's reply may come at the earliest; a call in vain after many others costs more.
    fn earliest(&mut self, pid: Pid, in_vain: bool) -> Instant {
        let Some(process) = self.processes.get_mut(&pid) else { return self.now };
        process.in_vain = if in_vain { process.in_vain.saturating_add(1) } else { 0 };
        let doublings = process.in_vain.saturating_sub(PATIENCE).min(7);
        self.now + (CALL_COST * (1 << doublings)).min(MAX_CALL_COST)
    }

    fn kernel_call(&mut self, from: From, call: socketlab_stack::Call, shape: Shape) {
        let From { pid, tid, node, call: id, post, .. } = from;
        let bounded = Request::Kernel(call.clone(), shape).timeout().is_some();
        let now = self.now;
        let caller = if post { Caller::Nobody } else { Caller::Thread(pid, tid) };
        let Some(host) = self.host_mut(node) else { return };
        match host.host.call(now, pid, id, call) {
            Outcome::Done(result) => {
                let earliest = self.earliest(pid, is_in_vain(&result));
                self.kernel_answer(from, earliest, &result, shape);
            }
            Outcome::Blocked => {
                let earliest = self.earliest(pid, false);
                self.calls.insert(id, caller);
                if !post && let Some(process) = self.processes.get_mut(&pid) {
                    process.threads.insert(tid, Wait::Kernel { call: id, earliest, shape, bounded });
                }
                self.take_interrupt(pid);
            }
        }
        self.drain(node, Some(id), None);
    }

    fn kernel_answer(&mut self, from: From, earliest: Instant, result: &Result<Ret, Failure>, shape: Shape) {
        let reply = Reply::of(result, shape);
        let made = match result {
            Ok(Ret::Fd(fd) | Ret::Accepted(fd, _)) => Some(*fd),
            _ => None,
        };
        let cause = match result {
            Err(Failure::Errno(_, cause)) => cause.clone(),
            _ => Cause::Rule,
        };
        let shown = Shown::of(&reply, cause, made);
        self.answer(from, earliest, reply, Some(shown), false);
    }

    /// The stack has answered a blocked call.
    pub(crate) fn completed(&mut self, call: CallId, result: Result<Ret, Failure>) {
        match self.calls.remove(&call) {
            Some(Caller::Thread(pid, tid)) => {
                let Some(process) = self.processes.get_mut(&pid) else { return };
                let node = process.node;
                if let Some(Wait::Kernel { earliest, shape, .. }) = process.threads.get(&tid) {
                    let (earliest, shape) = (*earliest, *shape);
                    let from = From { pid, tid, node, call, post: false, shown: true };
                    self.kernel_answer(from, earliest, &result, shape);
                }
            }
            Some(Caller::Flow(flow, which)) => self.flow_work.push_back((flow, which, result)),
            Some(Caller::Nobody) | None => {}
        }
    }

    fn sleep(&mut self, from: From, time: Duration) {
        let earliest = self.earliest(from.pid, time.is_zero());
        let reply = Reply::ok(Value::None);
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest.max(self.now + time), reply, Some(shown), true);
        self.take_interrupt(from.pid);
    }

    fn park(&mut self, from: From, timeout: Option<Duration>) {
        let From { pid, tid, call, .. } = from;
        let earliest = self.earliest(pid, timeout.is_some_and(|t| t.is_zero()));
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let unparked = process.unparked.remove(&tid);
        let reply = Reply::ok(Value::Bool(unparked));
        let shown = Shown::of(&reply, Cause::Rule, None);
        match timeout {
            _ if unparked => self.answer(from, earliest, reply, Some(shown), false),
            Some(timeout) => {
                let at = earliest.max(self.now + timeout);
                self.answer(from, at, reply, Some(shown), true);
            }
            None => _ = process.threads.insert(tid, Wait::Park { call, earliest }),
        }
        self.take_interrupt(pid);
    }

    fn unpark(&mut self, pid: Pid, tid: u32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let node = process.node;
        let (call, earliest) = match process.threads.get(&tid) {
            Some(Wait::Park { call, earliest }) => (*call, *earliest),
            // A park with a time-out that has not passed.
            Some(Wait::Reply {
                call, key, reply: Reply { error: None, value: Value::Bool(false) }, ..
            }) => {
                let (call, key) = (*call, *key);
                self.queue.cancel(key);
                (call, self.now)
            }
            _ => {
                process.unparked.insert(tid);
                return;
            }
        };
        let reply = Reply::ok(Value::Bool(true));
        let shown = Shown::of(&reply, Cause::Rule, None);
        let from = From { pid, tid, node, call, post: false, shown: true };
        self.answer(from, earliest, reply, Some(shown), false);
    }

    fn read_line(&mut self, from: From) {
        let From { pid, tid, call, .. } = from;
        let earliest = self.earliest(pid, false);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads.insert(tid, Wait::Line { call, earliest });
        }
        self.offer_lines(pid);
        self.take_interrupt(pid);
    }

    /// Text was typed, or a thread wants a line: gives lines to those who wait for them.
    fn offer_lines(&mut self, pid: Pid) {
        loop {
            let Some(process) = self.processes.get_mut(&pid) else { return };
            let waiting = process.threads.iter().find_map(|(tid, wait)| match wait {
                Wait::Line { call, earliest } => Some((*tid, *call, *earliest)),
                _ => None,
            });
            let Some((tid, call, earliest)) = waiting else { return };
            let line = match process.stdin.find('\n') {
                Some(end) => process.stdin.drain(..=end).collect(),
                None if process.end_of_file => core::mem::take(&mut process.stdin),
                None => return,
            };
            let node = process.node;
            if !line.is_empty() {
                self.record(RecordKind::Console { pid, stream: Stream::Stdin, text: line.clone() });
            }
            let reply = Reply::ok(Value::Str(line));
            let shown = Shown::of(&reply, Cause::Rule, None);
            let from = From { pid, tid, node, call, post: false, shown: true };
            self.answer(from, earliest, reply, Some(shown), false);
        }
    }

    pub(crate) fn typed(&mut self, pid: Pid, text: &str) {
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) else { return };
        if process.end_of_file {
            return;
        }
        process.stdin.push_str(text);
        process.end_of_file = text.is_empty();
        self.offer_lines(pid);
    }

    /// Puts a call's answer into the queue; for a call that wants none, records its end.
    fn answer(&mut self, from: From, at: Instant, reply: Reply, shown: Option<Shown>, interruptible: bool) {
        let From { pid, tid, call, post, .. } = from;
        // Calls whose beginning the trace does not show have no end in it either.
        let shown = shown.filter(|_| from.shown);
        if post {
            if let Some(shown) = shown {
                self.record_return(from, shown);
            }
            return;
        }
        let at = at.max(self.now);
        let key = self.queue.push(at, Event::Reply { pid, tid });
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads.insert(tid, Wait::Reply { call, key, reply, shown, interruptible });
        }
    }

    fn record_return(&mut self, from: From, shown: Shown) {
        let From { pid, node, call, .. } = from;
        let Shown { result, failure, made } = shown;
        let made = made.and_then(|fd| self.host(node).and_then(|h| h.host.socket_of(pid, fd)));
        self.record(RecordKind::CallReturned { call, result, failure, made });
    }

    /// A thread gets its reply and its process runs.
    pub(crate) fn deliver_reply(&mut self, pid: Pid, tid: u32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let node = process.node;
        let Some(Wait::Reply { call, reply, shown, .. }) = process.threads.remove(&tid) else { return };
        if let Some(shown) = shown {
            self.record_return(From { pid, tid, node, call, post: false, shown: true }, shown);
        }
        self.outputs.push_back(Output::Message { pid, bytes: reply.encode(tid, self.now) });
        // The call could not be interrupted (it did not block): the signal comes right after it, as on Linux.
        if tid == MAIN
            && let Some(process) = self.processes.get_mut(&pid)
            && core::mem::take(&mut process.interrupted)
        {
            self.outputs.push_back(Output::Interrupt { pid });
        }
        self.running = Some(pid);
        self.probes_in_vain = 0;
    }

    pub(crate) fn interrupt_process(&mut self, pid: Pid) {
        if let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) {
            process.interrupted = true;
            self.take_interrupt(pid);
        }
    }

    /// Answers the main thread's blocking call with EINTR, if it was interrupted and is in one.
    fn take_interrupt(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.interrupted) else { return };
        let node = process.node;
        let call = match process.threads.get(&MAIN) {
            Some(Wait::Kernel { call, .. }) => {
                let call = *call;
                self.calls.remove(&call);
                if let Some(host) = self.host_mut(node) {
                    host.host.cancel(now, call);
                }
                call
            }
            Some(Wait::Reply { call, key, interruptible: true, .. }) => {
                let (call, key) = (*call, *key);
                self.queue.cancel(key);
                call
            }
            Some(Wait::Park { call, .. } | Wait::Line { call, .. }) => *call,
            Some(Wait::Reply { .. }) | None => return,
        };
        if let Some(process) = self.processes.get_mut(&pid) {
            process.interrupted = false;
        }
        let reply = Reply::error("EINTR");
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(
            From { pid, tid: MAIN, node, call, post: false, shown: true },
            now,
            reply,
            Some(shown),
            false,
        );
        self.drain(node, None, None);
    }

    /// The process is over, by itself or by force.
    pub(crate) fn end_process(&mut self, pid: Pid, status: ExitStatus) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) else { return };
        process.ended = true;
        let (node, started) = (process.node, process.started);
        let threads = core::mem::take(&mut process.threads);
        for wait in threads.into_values() {
            match wait {
                Wait::Reply { key, .. } => self.queue.cancel(key),
                other => _ = self.calls.remove(&other.call()),
            }
        }
        if self.running == Some(pid) {
            self.running = None;
        }
        if let Some(host) = self.host_mut(node) {
            host.host.kill(now, pid);
        }
        if started {
            self.record(RecordKind::ProcessExited { pid, status });
        }
        self.drain(node, None, None);
        if self.auto_stop && self.stop_servers.is_none() && self.only_servers_left() {
            self.stop_servers = Some(self.queue.push(now + SERVERS_GRACE, Event::StopServers));
        }
    }

    /// Whether servers are all that is left.
    pub(crate) fn only_servers_left(&self) -> bool {
        let mut left = self.processes.values().filter(|p| !p.ended).peekable();
        left.peek().is_some()
            && left.all(|process| self.programs.get(process.program).is_some_and(|p| p.forever))
    }

    pub(crate) fn end_servers(&mut self) {
        if let Some(key) = self.stop_servers.take() {
            self.queue.cancel(key);
        }
        let left: Vec<Pid> = self.processes.iter().filter(|(_, p)| !p.ended).map(|(pid, _)| *pid).collect();
        for pid in left {
            self.force(pid);
        }
    }

    /// Ends a process from outside.
    pub(crate) fn force(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid).filter(|p| !p.ended) else { return };
        if process.started {
            self.outputs.push_back(Output::Kill { pid });
        }
        self.end_process(pid, ExitStatus::Killed);
    }
}

/// A call that found nothing to do: the program asks again and again.
fn is_in_vain(result: &Result<Ret, Failure>) -> bool {
    use socketlab_stack::Errno::{EAGAIN, EALREADY};
    match result {
        Ok(Ret::Ready(ready)) => ready.is_empty(),
        Err(Failure::Errno(errno, _)) => matches!(errno, EAGAIN | EALREADY),
        Err(Failure::TimedOut) => true,
        Ok(_) => false,
    }
}
