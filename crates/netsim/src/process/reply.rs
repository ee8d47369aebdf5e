//! Answers: into the queue when a call is decided, and out to the program when their time has come.

use socketlab_stack::{Instant, Pid};

use super::{From, MAIN, Shown, Wait};
use crate::abi::Reply;
use crate::queue::Event;
use crate::record::RecordKind;
use crate::world::{Output, World};

impl World {
    /// Puts a call's answer into the queue; for a call that wants none, records its end.
    pub(super) fn answer(
        &mut self,
        from: From,
        at: Instant,
        reply: Reply,
        shown: Option<Shown>,
        interruptible: bool,
    ) {
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

    pub(super) fn record_return(&mut self, from: From, shown: Shown) {
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
        let signals = match self.processes.get_mut(&pid) {
            Some(process) if tid == MAIN => core::mem::take(&mut process.signals),
            _ => Vec::new(),
        };
        self.outputs.push_back(Output::Message { pid, bytes: reply.encode(tid, self.now, &signals) });
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
}
