//! Waiting for something that is not the network: time, another thread, a line of standard input.

use core::time::Duration;

use socketlab_stack::{Call, Cause, Fd, Outcome, Pid, Ret};

use super::{Caller, From, Process, Shown, Wait, is_standard};
use crate::abi::{Reply, Shape};
use crate::marshal::Value;
use crate::record::{RecordKind, Stream};
use crate::world::World;

/// poll(2).
const POLLIN: u16 = 0x1;
const POLLOUT: u16 = 0x4;

impl Process {
    /// Whether a read of standard input would not block: as on a terminal, when a line is complete.
    fn has_input(&self) -> bool {
        self.end_of_file || self.stdin.contains('\n')
    }
}

impl World {
    pub(super) fn sleep(&mut self, from: From, time: Duration) {
        let earliest = self.earliest(from.pid, time.is_zero());
        let reply = Reply::ok(Value::None);
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest.max(self.now + time), reply, Some(shown), true);
        self.take_interrupt(from.pid);
    }

    pub(super) fn park(&mut self, from: From, timeout: Option<Duration>) {
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

    pub(super) fn unpark(&mut self, pid: Pid, tid: u32) {
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

    pub(super) fn read_line(&mut self, from: From) {
        let From { pid, tid, call, .. } = from;
        let earliest = self.earliest(pid, false);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads.insert(tid, Wait::Line { call, earliest });
        }
        self.offer_lines(pid);
        self.take_interrupt(pid);
    }

    /// Text was typed, or a thread wants a line: gives lines to those who wait for them.
    pub(super) fn offer_lines(&mut self, pid: Pid) {
        let had_input = self.processes.get(&pid).is_some_and(Process::has_input);
        self.give_lines(pid);
        if had_input && !self.processes.get(&pid).is_some_and(Process::has_input) {
            self.tell_input(pid);
        }
    }

    fn give_lines(&mut self, pid: Pid) {
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

    /// poll(2) of standard streams, perhaps beside sockets.
    pub(super) fn poll_standard(&mut self, from: From, fds: &[(Fd, u16)], timeout: Option<Duration>) {
        let From { pid, tid, node, call: id, .. } = from;
        let has_input = self.processes.get(&pid).is_some_and(Process::has_input);
        let standard = |(fd, asked): &(Fd, u16)| {
            let events = match fd.0 {
                0 if has_input => POLLIN,
                0 => 0,
                _ => POLLOUT,
            };
            (events & asked != 0).then_some((*fd, events & asked))
        };
        let now = self.now;
        let sockets: Vec<_> = fds.iter().filter(|(fd, _)| !is_standard(*fd)).copied().collect();
        let mut ready: Vec<_> = fds.iter().filter(|(fd, _)| is_standard(*fd)).filter_map(standard).collect();
        let patience = if ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        let Some(host) = self.host_mut(node) else { return };
        match host.host.call(now, pid, id, Call::Poll { fds: sockets, timeout: patience }) {
            Outcome::Done(result) => {
                let result = result.map(|ret| {
                    if let Ret::Ready(found) = ret {
                        ready.extend(found);
                    }
                    let place = |fd: Fd| fds.iter().position(|(asked, _)| *asked == fd);
                    ready.sort_by_key(|(fd, _)| place(*fd));
                    Ret::Ready(ready)
                });
                let earliest = self.earliest(pid, super::kernel::is_in_vain(&result));
                self.kernel_answer(from, earliest, &result, Shape::Plain);
            }
            Outcome::Blocked => {
                let earliest = self.earliest(pid, false);
                self.calls.insert(id, Caller::Thread(pid, tid));
                let input = fds.iter().any(|(fd, asked)| fd.0 == 0 && asked & POLLIN != 0);
                let wait = Wait::Kernel {
                    call: id,
                    earliest,
                    shape: Shape::Plain,
                    bounded: timeout.is_some(),
                    input,
                };
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.threads.insert(tid, wait);
                }
                self.take_interrupt(pid);
            }
        }
        self.drain(node, Some(id), None);
    }

    /// The host's epoll objects hear whether the process's standard input can be read.
    pub(super) fn tell_input(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid).filter(|process| !process.ended) else { return };
        let (node, input, now) = (process.node, process.has_input(), self.now);
        if let Some(host) = self.host_mut(node) {
            host.host.set_input(now, pid, input);
        }
        self.drain(node, None, None);
    }

    /// Text was typed: those who poll standard input see it.
    fn offer_input(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get(&pid).filter(|process| process.has_input()) else { return };
        let node = process.node;
        let polling = process.threads.iter().filter_map(|(tid, wait)| match wait {
            Wait::Kernel { call, earliest, input: true, .. } => Some((*tid, *call, *earliest)),
            _ => None,
        });
        for (tid, call, earliest) in polling.collect::<Vec<_>>() {
            self.calls.remove(&call);
            if let Some(host) = self.host_mut(node) {
                host.host.cancel(now, call);
            }
            let from = From { pid, tid, node, call, post: false, shown: true };
            self.kernel_answer(from, earliest, &Ok(Ret::Ready(vec![(Fd(0), POLLIN)])), Shape::Plain);
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
        self.offer_input(pid);
        self.tell_input(pid);
    }
}
