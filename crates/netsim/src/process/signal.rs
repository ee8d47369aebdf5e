//! Ctrl-C and other signals. They concern the main thread: its blocking call is answered with `EINTR`; otherwise they
//! come with its next reply.

use core::time::Duration;

use socketlab_stack::{Cause, Pid};

use super::{From, MAIN, Shown, Wait};
use crate::abi::Reply;
use crate::marshal::Value;
use crate::queue::Event;
use crate::record::{ExitStatus, NodeId};
use crate::world::{Output, World};

/// Linux's numbers: signal(7).
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGALRM: i32 = 14;

impl World {
    pub(crate) fn interrupt_process(&mut self, pid: Pid) {
        if let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) {
            process.interrupted = true;
            self.take_interrupt(pid);
        }
    }

    /// kill(2) by a process of the same host. 0 only asks whether the target is there.
    pub(super) fn signal_process(&mut self, node: NodeId, target: Pid, signal: i32) -> Reply {
        let Some(process) = self.processes.get_mut(&target).filter(|p| p.node == node && !p.ended) else {
            return Reply::error("ESRCH");
        };
        match signal {
            0 => {}
            SIGKILL => {
                self.outputs.push_back(Output::Kill { pid: target });
                self.end_process(target, ExitStatus::Exited(-SIGKILL));
            }
            _ => {
                process.signals.push(signal);
                self.take_interrupt(target);
            }
        }
        Reply::ok(Value::None)
    }

    /// setitimer(2) `ITIMER_REAL`; zero stops it. Answers with what was left of the timer before, and its interval.
    pub(super) fn set_alarm(&mut self, pid: Pid, first: Duration, interval: Duration) -> Reply {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid) else { return Reply::ok(Value::None) };
        let (left, before) = match process.alarm.take() {
            Some((key, interval)) => {
                self.queue.cancel(key);
                (key.at.saturating_since(now), interval)
            }
            None => (Duration::ZERO, Duration::ZERO),
        };
        if !first.is_zero() {
            process.alarm = Some((self.queue.push(now + first, Event::Alarm { pid }), interval));
        }
        let nanoseconds = |d: Duration| Value::Int(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
        Reply::ok(Value::Tuple(vec![nanoseconds(left), nanoseconds(before)]))
    }

    pub(crate) fn alarm_rings(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) else { return };
        if let Some((_, interval)) = process.alarm.take().filter(|(_, interval)| !interval.is_zero()) {
            process.alarm = Some((self.queue.push(now + interval, Event::Alarm { pid }), interval));
        }
        // A signal that is pending does not become pending twice: signal(7).
        if !process.signals.contains(&SIGALRM) {
            process.signals.push(SIGALRM);
        }
        self.take_interrupt(pid);
    }

    /// Answers the main thread's blocking call with EINTR, if it was interrupted and is in one.
    pub(super) fn take_interrupt(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.interrupted || !p.signals.is_empty())
        else {
            return;
        };
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
            Some(Wait::Park { call, .. } | Wait::Line { call, .. } | Wait::Child { call, .. }) => {
                (*call, None)
            }
            Some(Wait::Lookup { call, servant }) => {
                let (call, servant) = (*call, *servant);
                self.drop_lookup(servant);
                (call, None)
            }
            Some(Wait::Reply { .. }) | None => return,
        };
        // A call that has done a part of its work says so, as on Linux (signal(7)); the signal follows right after it.
        let reply = part.unwrap_or_else(|| {
            if let Some(process) = self.processes.get_mut(&pid)
                && core::mem::take(&mut process.interrupted)
            {
                process.signals.push(SIGINT);
            }
            Reply::error("EINTR")
        });
        let shown = Shown::of(&reply, Cause::Rule, None);
        let from = From { pid, tid: MAIN, node, call, post: false, shown: true };
        self.answer(from, now, reply, Some(shown), false);
        self.drain(node, None, None);
    }
}
