//! Waiting for something that is not the network: time, another thread, a line of standard input.

use core::time::Duration;

use socketlab_stack::{Cause, Pid};

use super::{From, Shown, Wait};
use crate::abi::Reply;
use crate::marshal::Value;
use crate::record::{RecordKind, Stream};
use crate::world::World;

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
}
