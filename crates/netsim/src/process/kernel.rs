//! Calls of the host's stack: answered at once, or when the stack has an answer.

use socketlab_stack::{CallId, Cause, Failure, Instant, Outcome, Ret};

use super::{Caller, From, Shown, Wait};
use crate::abi::{Reply, Shape};
use crate::world::World;

impl World {
    pub(super) fn kernel_call(&mut self, from: From, call: socketlab_stack::Call, shape: Shape) {
        let From { pid, tid, node, call: id, post, .. } = from;
        let now = self.now;
        let caller = if post { Caller::Nobody } else { Caller::Thread(pid, tid) };
        let Some(host) = self.host_mut(node) else { return };
        match host.host.call(now, pid, id, call) {
            Outcome::Done(result) => {
                let earliest = self.earliest(pid, is_in_vain(&result));
                self.kernel_answer(from, earliest, &result, shape);
            }
            Outcome::Blocked => {
                let bounded = host.host.ends_by_itself(id);
                let earliest = self.earliest(pid, false);
                self.calls.insert(id, caller);
                if !post && let Some(process) = self.processes.get_mut(&pid) {
                    process
                        .threads
                        .insert(tid, Wait::Kernel { call: id, earliest, shape, bounded, input: false });
                }
                self.take_interrupt(pid);
            }
        }
        self.drain(node, Some(id), None);
    }

    pub(super) fn kernel_answer(
        &mut self,
        from: From,
        earliest: Instant,
        result: &Result<Ret, Failure>,
        shape: Shape,
    ) {
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
            Some(Caller::Servant(servant)) => self.servant_completed(servant, call, result),
            Some(Caller::Nobody) | None => {}
        }
    }
}

/// A call that found nothing to do: the program asks again and again.
pub(super) fn is_in_vain(result: &Result<Ret, Failure>) -> bool {
    use socketlab_stack::Errno::{EAGAIN, EALREADY};
    match result {
        Ok(Ret::Ready(ready)) => ready.is_empty(),
        Err(Failure::Errno(errno, _)) => matches!(errno, EAGAIN | EALREADY),
        Err(Failure::TimedOut) => true,
        Ok(_) => false,
    }
}
