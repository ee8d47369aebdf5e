//! Birth and death of processes.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use socketlab_stack::{Instant, Pid};

use super::{Process, Wait};
use crate::builder::Stdin;
use crate::queue::Event;
use crate::record::{ExitStatus, NodeId, RecordKind};
use crate::world::{Output, World};

/// How long servers may go on by themselves when all other programs have ended. A choice.
const SERVERS_GRACE: Duration = Duration::from_secs(1);

impl Process {
    pub(super) fn new(program: usize, node: NodeId) -> Process {
        Process {
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
            signals: Vec::new(),
            alarm: None,
            spins: false,
            parent: None,
            zombie: None,
        }
    }
}

impl World {
    pub(crate) fn new_process(&mut self, program: usize, at: Instant) -> Pid {
        self.next_pid += 1;
        let pid = Pid(self.next_pid);
        let node = self.programs.get(program).map_or(NodeId(0), |p| p.node);
        self.processes.insert(pid, Process::new(program, node));
        self.queue.push(at, Event::Start { pid });
        pid
    }

    pub(crate) fn start_process(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid).filter(|p| !p.ended) else { return };
        if self.is_configuring(process.node) {
            self.unconfigured.push((pid, process.node));
            return;
        }
        let Some(process) = self.processes.get_mut(&pid) else { return };
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
        self.tell_input(pid);
        self.record(RecordKind::ProcessStarted { node, pid, program });
        self.outputs.push_back(Output::Start { pid, program });
        self.running = Some(pid);
    }

    /// The process is over, by itself or by force.
    pub(crate) fn end_process(&mut self, pid: Pid, status: ExitStatus) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.ended) else { return };
        process.ended = true;
        let (node, started) = (process.node, process.started);
        process.zombie = process.parent.is_some().then(|| status.clone());
        if let Some((key, _)) = process.alarm.take() {
            self.queue.cancel(key);
        }
        let threads = core::mem::take(&mut process.threads);
        for wait in threads.into_values() {
            match wait {
                Wait::Reply { key, .. } => self.queue.cancel(key),
                Wait::Lookup { servant, .. } => self.drop_lookup(servant),
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
        self.tell_parent(pid);
        if self.auto_stop && self.stop_servers.is_none() && self.only_servers_left() {
            self.stop_servers = Some(self.queue.push(now + SERVERS_GRACE, Event::StopServers));
        }
    }

    /// Whether all that a process last had to say was that it computes in a loop, without any call.
    pub fn spins(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.spins)
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
