//! The world: all nodes, links and processes under one clock.

use socketlab_stack::{CallId, HostSnapshot, Instant, Pid};

use crate::abi::AbiError;
use crate::builder::{Program, WorldBuilder};
use crate::gateway::{GatewayEvent, GatewayRequest};
use crate::record::{NodeId, Record};
use crate::topology::Topology;

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Start this program (an index of [`World::programs`]) as process `pid`, and wait for its first message.
    Start {
        /// The new process.
        pid: Pid,
        /// Index of the program.
        program: usize,
    },
    /// Hand a reply to a process.
    Message {
        /// The process.
        pid: Pid,
        /// The bytes, see [`crate::abi`].
        bytes: Vec<u8>,
    },
    /// End a process at once; its sockets are closed already, and nothing it still says is heard.
    Kill {
        /// The process.
        pid: Pid,
    },
    /// Something for the real side of a gateway.
    Gateway(GatewayRequest),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This process runs: wait for its next message.
    Process(Pid),
    /// The next event of the queue is due then: [`World::step`].
    Event(Instant),
    /// Nothing happens by itself any more; [`World::rest`] says why.
    Idle,
}

/// Why nothing happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It does: [`World::turn`] is not idle.
    Busy,
    /// No process is left. Old connections may still rest in TIME-WAIT.
    Finished,
    /// Some program waits for a line on its standard input.
    Input,
    /// Some program waits, and a gateway has an open flow: its far side may answer.
    RealWorld,
    /// Only `forever` programs are left, and none was to be stopped with the others.
    Servers,
    /// Every program is blocked, nothing is in flight and no timer will wake one.
    Deadlock(Vec<CallId>),
}

/// The world. A clone goes its own way from here on, with the same future for the same messages.
#[derive(Clone, Debug)]
pub struct World {
    now: Instant,
    topology: Topology,
    programs: Vec<Program>,
}

impl World {
    pub(crate) fn new(parts: WorldBuilder) -> World {
        World { now: Instant::ZERO, topology: parts.topology, programs: parts.programs }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What is connected to what.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The lab's programs, in the file's order.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Next thing for the shell to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        Turn::Idle
    }

    /// Why [`World::turn`] is idle.
    pub fn rest(&self) -> Rest {
        Rest::Finished
    }

    /// Handles exactly one event of the queue and moves the clock to it; nothing while a process runs.
    pub fn step(&mut self) {}

    /// Moves the clock without an event, at most to the next one: for a shell whose clock follows real time.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }

    /// A message of a process.
    ///
    /// # Errors
    /// If the bytes are not a message; nothing has happened then.
    pub fn handle_message(&mut self, _pid: Pid, _message: &[u8]) -> Result<(), AbiError> {
        Ok(())
    }

    /// What happened since the last time.
    pub fn drain_records(&mut self) -> Vec<Record> {
        Vec::new()
    }

    /// Hosts and gateways as they are now.
    pub fn snapshot(&self) -> Vec<(NodeId, HostSnapshot)> {
        Vec::new()
    }

    /// Schedules every program of the lab at its start time. `forever` programs are stopped when the others ended.
    pub fn start(&mut self) {}

    /// Starts one program (again) now. From here on `forever` programs are not stopped by themselves.
    pub fn start_program(&mut self, _program: usize) -> Pid {
        Pid(0)
    }

    /// Ctrl-C: the main thread's blocking call is answered with `EINTR`.
    pub fn interrupt(&mut self, _pid: Pid) {}

    /// Ends a process from outside, even while it runs.
    pub fn kill(&mut self, _pid: Pid) {}

    /// The process ended by itself without an `exit` message (a crash): status as in `ExitStatus::Exited`.
    pub fn exited(&mut self, _pid: Pid, _status: i32) {}

    /// Text typed to a process; empty: end of file.
    pub fn stdin(&mut self, _pid: Pid, _text: &str) {}

    /// News from the real side of a gateway.
    pub fn handle_gateway(&mut self, _event: GatewayEvent) {}

    /// A real connection is open or being opened: virtual time must not run ahead of the wall clock.
    pub fn real_time(&self) -> bool {
        false
    }

    /// Frames on their way or in a link's queue.
    pub fn frames_in_flight(&self) -> usize {
        0
    }
}
