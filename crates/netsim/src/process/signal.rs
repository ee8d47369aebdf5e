//! Ctrl-C.

use socketlab_stack::{Cause, Pid};

use super::{From, MAIN, Shown, Wait};
use crate::abi::Reply;
use crate::world::World;

impl World {
    pub(crate) fn interrupt_process(&mut self, pid: Pid) {
        if let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) {
            process.interrupted = true;
            self.take_interrupt(pid);
        }
    }

    /// Answers the main thread's blocking call with EINTR, if it was interrupted and is in one.
    pub(super) fn take_interrupt(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.interrupted) else { return };
        let node = process.node;
        let (call, part) = match process.threads.get(&MAIN) {
            Some(Wait::Kernel { call, shape, .. }) => {
                let (call, shape) = (*call, *shape);
                self.calls.remove(&call);
                let part = self.host_mut(node).and_then(|host| host.host.cancel(now, call));
                (call, part.map(|part| Reply::of(&Ok(part), shape)))
            }
            Some(Wait::Reply { call, key, interruptible: true, .. }) => {
                let (call, key) = (*call, *key);
                self.queue.cancel(key);
                (call, None)
            }
            Some(Wait::Park { call, .. } | Wait::Line { call, .. }) => (*call, None),
            Some(Wait::Lookup { call, servant }) => {
                let (call, servant) = (*call, *servant);
                self.drop_lookup(servant);
                (call, None)
            }
            Some(Wait::Reply { .. }) | None => return,
        };
        // A call that has done a part of its work says so, as on Linux (signal(7)); the signal follows right after it.
        let reply = part.unwrap_or_else(|| {
            if let Some(process) = self.processes.get_mut(&pid) {
                process.interrupted = false;
            }
            Reply::error("EINTR")
        });
        let shown = Shown::of(&reply, Cause::Rule, None);
        let from = From { pid, tid: MAIN, node, call, post: false, shown: true };
        self.answer(from, now, reply, Some(shown), false);
        self.drain(node, None, None);
    }
}
