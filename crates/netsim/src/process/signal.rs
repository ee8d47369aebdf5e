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
}
