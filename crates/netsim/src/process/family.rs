//! fork(2) and waitpid(2).

use socketlab_stack::{Cause, Instant, Pid};

use super::{From, MAIN, Process, Shown, Wait};
use crate::abi::Reply;
use crate::marshal::Value;
use crate::queue::Event;
use crate::record::{ExitStatus, RecordKind};
use crate::world::{Output, World};

impl World {
    /// The child has copies of the parent's descriptors and one thread, which returns from this call too, with 0.
    pub(super) fn fork(&mut self, from: From) {
        let From { pid: parent, node, call, .. } = from;
        let earliest = self.earliest(parent, false);
        self.next_pid += 1;
        let pid = Pid(self.next_pid);
        let Some(program) = self.processes.get(&parent).map(|p| p.program) else { return };
        let mut child = Process::new(program, node);
        child.started = true;
        child.parent = Some(parent);
        // What nobody has read yet is the parent's; the child's standard input is at its end.
        child.end_of_file = true;
        self.processes.insert(pid, child);
        if let Some(host) = self.host_mut(node) {
            host.host.fork(parent, pid);
        }
        self.tell_input(pid);
        self.record(RecordKind::ProcessStarted { node, pid, program });
        self.outputs.push_back(Output::Fork { parent, pid });
        let reply = Reply::ok(Value::Int(i64::from(pid.0)));
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest, reply, Some(shown), false);
        let key = self.queue.push(earliest, Event::Reply { pid, tid: MAIN });
        let reply = Reply::ok(Value::Int(0));
        if let Some(child) = self.processes.get_mut(&pid) {
            child.threads.insert(MAIN, Wait::Reply { call, key, reply, shown: None, interruptible: false });
        }
    }

    /// Waits for a child's end. `child`: none means any; without `hang` the answer may be that none has ended.
    pub(super) fn wait_pid(&mut self, from: From, child: Option<Pid>, hang: bool) {
        let From { pid, tid, call, .. } = from;
        let mine = |(other, process): (&Pid, &Process)| {
            let mine = process.parent == Some(pid) && child.is_none_or(|wanted| wanted == *other);
            mine.then_some((*other, process.ended, process.zombie.is_some()))
        };
        let mut children = self
            .processes
            .iter()
            .filter_map(mine)
            .filter(|(_, ended, unheard)| !ended || *unheard)
            .peekable();
        let earliest_child = children.peek().copied();
        let ended = children.find(|(_, _, unheard)| *unheard).map(|(other, ..)| other);
        let earliest = self.earliest(pid, ended.is_none() && !hang);
        match (ended, earliest_child) {
            (Some(other), _) => {
                let from_child = self.reap(other);
                self.answer_wait(from, earliest, from_child);
            }
            (None, None) => {
                let reply = Reply::error("ECHILD");
                let shown = Shown::of(&reply, Cause::Rule, None);
                self.answer(from, earliest, reply, Some(shown), false);
            }
            (None, Some(_)) if hang => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.threads.insert(tid, Wait::Child { call, earliest, child });
                }
                self.take_interrupt(pid);
            }
            (None, Some(_)) => self.answer_wait(from, earliest, (0, 0)),
        }
    }

    /// A process has ended: its parent may wait for that.
    pub(super) fn tell_parent(&mut self, pid: Pid) {
        let Some(parent) = self.processes.get(&pid).and_then(|p| p.parent) else { return };
        let Some(process) = self.processes.get(&parent) else { return };
        let node = process.node;
        let waiting = process.threads.iter().find_map(|(tid, wait)| match wait {
            Wait::Child { call, earliest, child } if child.is_none_or(|child| child == pid) => {
                Some((*tid, *call, *earliest))
            }
            _ => None,
        });
        if let Some((tid, call, earliest)) = waiting {
            let end = self.reap(pid);
            self.answer_wait(From { pid: parent, tid, node, call, post: false, shown: true }, earliest, end);
        }
    }

    /// Number and wait(2) status of a child that has ended; nobody hears of it again.
    fn reap(&mut self, child: Pid) -> (u32, i32) {
        let status = self.processes.get_mut(&child).and_then(|process| process.zombie.take());
        let status = match status {
            Some(ExitStatus::Exited(status)) if status < 0 => -status,
            Some(ExitStatus::Exited(status)) => (status & 0xFF) << 8,
            // SIGKILL.
            Some(ExitStatus::Killed) | None => 9,
        };
        (child.0, status)
    }

    fn answer_wait(&mut self, from: From, earliest: Instant, (child, status): (u32, i32)) {
        let reply = Reply::ok(Value::Tuple(vec![Value::Int(child.into()), Value::Int(status.into())]));
        let shown = Shown::of(&reply, Cause::Rule, None);
        self.answer(from, earliest, reply, Some(shown), false);
    }
}
