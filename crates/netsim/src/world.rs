//! The world: all nodes, links and processes under one clock.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use socketlab_stack::{CallId, Failure, HostSnapshot, Instant, Pid, Ret};

use crate::abi::AbiError;
use crate::builder::{Program, WorldBuilder};
use crate::command::Held;
use crate::flow::{Flow, FlowCall};
use crate::gateway::{FlowId, GatewayEvent, GatewayRequest};
use crate::link::Link;
use crate::names::Names;
use crate::node::Node;
use crate::parts;
use crate::prng::Prng;
use crate::process::{Caller, Process, Wait};
use crate::publish::Published;
use crate::queue::{Event, EventKey, Queue};
use crate::record::{Detail, ExitStatus, FrameId, NodeId, Record, RecordKind};
use crate::service::{Servant, Service};
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
    /// A process made a copy of itself (fork(2)): the copy will speak for itself as `pid`.
    Fork {
        /// The process that was copied.
        parent: Pid,
        /// The copy.
        pid: Pid,
    },
    /// End a process at once; its sockets are closed already, and nothing it still says is heard.
    Kill {
        /// The process.
        pid: Pid,
    },
    /// The process has just got a reply and Ctrl-C came during that call, which did not block: SIGINT while it runs.
    Interrupt {
        /// The process.
        pid: Pid,
    },
    /// Something for the real side of a gateway.
    Gateway(GatewayRequest),
    /// A frame for the shared LAN, from the destination address on.
    Lan {
        /// Its octets.
        bytes: Bytes,
    },
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
    /// Some program waits, and a frame is held that may be what it waits for.
    Held,
    /// Some program waits for a line on its standard input.
    Input,
    /// Some program waits, and a gateway has an open flow or a shared LAN is joined: the far side may speak.
    RealWorld,
    /// Only `forever` programs are left, and none was to be stopped with the others.
    Servers,
    /// Every program is blocked, nothing is in flight and no timer will wake one.
    Deadlock(Vec<CallId>),
}

/// The world. A clone goes its own way from here on, with the same future for the same messages.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) prng: Prng,
    pub(crate) topology: Topology,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) names: Names,
    pub(crate) programs: Vec<Program>,
    pub(crate) services: Vec<Service>,
    /// Services that run, and lookups inside programs.
    pub(crate) servants: BTreeMap<u32, Servant>,
    pub(crate) next_servant: u32,
    /// Processes that begin when their host has an address.
    pub(crate) unconfigured: Vec<(Pid, NodeId)>,
    pub(crate) processes: BTreeMap<Pid, Process>,
    /// The process whose turn it is.
    pub(crate) running: Option<Pid>,
    /// Calls that the stacks have not answered yet.
    pub(crate) calls: BTreeMap<CallId, Caller>,
    pub(crate) flows: BTreeMap<FlowId, Flow>,
    /// By [`PortId`](crate::PortId).
    pub(crate) published: Vec<Published>,
    /// Answers for flows that are not looked at yet.
    pub(crate) flow_work: VecDeque<(FlowId, FlowCall, Result<Ret, Failure>)>,
    /// Connections (client, target) whose real side did not answer.
    pub(crate) silent: BTreeSet<(SocketAddr, SocketAddr)>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) records: Vec<Record>,
    detail: Detail,
    pub(crate) in_flight: usize,
    /// Frames that somebody holds.
    pub(crate) held: BTreeMap<FrameId, Held>,
    pub(crate) next_pid: u32,
    pub(crate) next_call: u64,
    pub(crate) next_frame: u64,
    pub(crate) next_packet: u64,
    pub(crate) next_flow: u32,
    /// Packets that left the node that made them.
    pub(crate) packets_sent: u64,
    /// Servers are stopped when all others have ended.
    pub(crate) auto_stop: bool,
    pub(crate) stop_servers: Option<EventKey>,
    /// Window probes since a program last moved.
    pub(crate) probes_in_vain: u32,
    /// Other labs' hosts can be heard: see [`World::handle_lan`].
    pub(crate) lan_joined: bool,
    rest: Rest,
}

impl World {
    pub(crate) fn new(parts: WorldBuilder) -> World {
        let published = parts.published.iter().cloned().map(Published::new).collect();
        let parts::Parts { prng, topology, nodes, links, names, programs, services } = parts::assemble(parts);
        let mut world = World {
            now: Instant::ZERO,
            queue: Queue::default(),
            prng,
            topology,
            nodes,
            links,
            names,
            programs,
            services,
            servants: BTreeMap::new(),
            next_servant: 0,
            unconfigured: Vec::new(),
            processes: BTreeMap::new(),
            running: None,
            calls: BTreeMap::new(),
            flows: BTreeMap::new(),
            published,
            flow_work: VecDeque::new(),
            silent: BTreeSet::new(),
            outputs: VecDeque::new(),
            records: Vec::new(),
            detail: Detail::Everything,
            in_flight: 0,
            held: BTreeMap::new(),
            next_pid: 0,
            next_call: 0,
            next_frame: 0,
            next_packet: 0,
            next_flow: 0,
            packets_sent: 0,
            auto_stop: false,
            stop_servers: None,
            probes_in_vain: 0,
            lan_joined: false,
            rest: Rest::Finished,
        };
        world.start_services();
        world
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
        self.outputs.pop_front()
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        match (self.running, &self.rest, self.next_at()) {
            (Some(pid), ..) => Turn::Process(pid),
            (None, Rest::Busy, Some(at)) => Turn::Event(at),
            _ => Turn::Idle,
        }
    }

    /// Why [`World::turn`] is idle.
    pub fn rest(&self) -> Rest {
        self.rest.clone()
    }

    /// Handles exactly one event of the queue and moves the clock to it; nothing while a process runs. Works also
    /// when [`World::turn`] is idle: timers of old connections (TIME-WAIT) are left then.
    pub fn step(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some((at, event)) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        match event {
            Event::Arrive { link, side, frame, packet, bytes } => {
                self.arrive(link, side, frame, packet, bytes);
            }
            Event::Lose { frame, reason, .. } => {
                self.in_flight -= 1;
                self.record(RecordKind::FrameLost { frame, reason });
            }
            Event::LinkFree { link, side } => self.link_free(link, side),
            Event::HostTimer { node } => self.wake(node),
            Event::Reply { pid, tid } => self.deliver_reply(pid, tid),
            Event::Start { pid } => self.start_process(pid),
            Event::Typed { pid, text } => self.typed(pid, &text),
            Event::Interrupt { pid } => self.interrupt_process(pid),
            Event::Alarm { pid } => self.alarm_rings(pid),
            Event::FlowIdle { flow } => self.flow_idle(flow),
            Event::Serve { servant } | Event::Rest { servant } => self.serve(servant),
            Event::StopServers => {
                self.stop_servers = None;
                self.end_servers();
            }
        }
        self.settle();
    }

    /// Moves the clock without an event, at most to the next one: for a shell whose clock follows real time.
    pub fn advance_to(&mut self, at: Instant) {
        if self.running.is_none() {
            let at = self.queue.next_at().map_or(at, |next| next.min(at));
            self.now = self.now.max(at);
        }
    }

    /// A message of a process.
    ///
    /// # Errors
    /// If the bytes are not a message, or it is not this process's turn; nothing has happened then. The shell should
    /// end the process.
    pub fn handle_message(&mut self, pid: Pid, message: &[u8]) -> Result<(), AbiError> {
        self.hear(pid, message)?;
        self.settle();
        Ok(())
    }

    /// Chooses what is recorded from here on. It changes nothing else.
    pub fn set_detail(&mut self, detail: Detail) {
        self.detail = detail;
    }

    /// What happened since the last time.
    pub fn drain_records(&mut self) -> Vec<Record> {
        core::mem::take(&mut self.records)
    }

    /// Drops what the shell and the views have not asked for.
    pub(crate) fn forget_news(&mut self) {
        self.outputs.clear();
        self.records.clear();
    }

    /// Drops what views have had and the real world has heard; programs still want theirs.
    pub(crate) fn forget_known_news(&mut self) {
        self.outputs.retain(|output| !matches!(output, Output::Gateway(_) | Output::Lan { .. }));
        self.records.clear();
    }

    pub(crate) fn open_flows(&self) -> Vec<FlowId> {
        self.flows.keys().copied().collect()
    }

    /// Hosts and gateways as they are now.
    pub fn snapshot(&self) -> Vec<(NodeId, HostSnapshot)> {
        let ids = (0..self.nodes.len() as u32).map(NodeId);
        ids.filter_map(|id| self.host(id).map(|node| (id, node.host.snapshot_at(self.now)))).collect()
    }

    /// Schedules every program of the lab at its start time. `forever` programs are stopped when the others have
    /// ended and nothing is left to do, at the latest a second after.
    pub fn start(&mut self) {
        self.auto_stop = true;
        self.publish_ports();
        // Hosts that announce themselves have something to do from the beginning.
        for node in 0..self.nodes.len() {
            self.drain(NodeId(node as u32), None, None);
        }
        for program in 0..self.programs.len() {
            let at = self.now + self.programs[program].start;
            self.new_process(program, at);
        }
        self.settle();
    }

    /// Starts one program (again) now. From here on `forever` programs are not stopped by themselves. A number that
    /// is no program's starts nothing that the shell would know; see [`World::programs`].
    pub fn start_program(&mut self, program: usize) -> Pid {
        self.auto_stop = false;
        if let Some(key) = self.stop_servers.take() {
            self.queue.cancel(key);
        }
        let pid = self.new_process(program, self.now);
        self.settle();
        pid
    }

    /// Ctrl-C: the main thread's blocking call is answered with `EINTR`; after one that does not block comes
    /// [`Output::Interrupt`]. A process whose turn it is must be interrupted by the shell itself.
    pub fn interrupt(&mut self, pid: Pid) {
        self.queue.push(self.now, Event::Interrupt { pid });
        self.settle();
    }

    /// Ends a process from outside, even while it runs.
    pub fn kill(&mut self, pid: Pid) {
        self.force(pid);
        self.settle();
    }

    /// The process ended by itself without an `exit` message (a crash): status as in
    /// [`ExitStatus::Exited`](crate::ExitStatus::Exited).
    pub fn exited(&mut self, pid: Pid, status: i32) {
        self.end_process(pid, ExitStatus::Exited(status));
        self.settle();
    }

    /// Text typed to a process; empty: end of file.
    pub fn stdin(&mut self, pid: Pid, text: &str) {
        self.queue.push(self.now, Event::Typed { pid, text: text.to_owned() });
        self.settle();
    }

    /// Processes that wait for text on their standard input, in the order in which they began to.
    pub fn waiting_for_input(&self) -> Vec<Pid> {
        let mut waiting: Vec<(CallId, Pid)> = self
            .processes
            .iter()
            .filter(|(_, process)| !process.ended)
            .flat_map(|(pid, process)| process.threads.values().map(move |wait| (wait, *pid)))
            .filter(|(wait, _)| wait.wants_input())
            .map(|(wait, pid)| (wait.call(), pid))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, pid)| pid).collect()
    }

    /// News from the real side of a gateway, at the present virtual time (see [`World::advance_to`]).
    pub fn handle_gateway(&mut self, event: GatewayEvent) {
        self.gateway_event(event);
        self.settle();
    }

    /// Frames on their way or in a link's queue.
    pub fn frames_in_flight(&self) -> usize {
        self.in_flight
    }

    /// Packets that hosts, routers and gateways made and sent, each counted once on all its way.
    pub fn packets_sent(&self) -> u64 {
        self.packets_sent
    }

    pub(crate) fn record(&mut self, kind: RecordKind) {
        if self.detail == Detail::Everything || kind.is_about_programs() {
            self.records.push(Record { at: self.now, kind });
        }
    }

    /// After anything was done from outside: finishes what it started, and finds out whether the world is at rest.
    pub(crate) fn settle(&mut self) {
        self.run_flows();
        if self.running.is_some() {
            self.rest = Rest::Busy;
            return;
        }
        let mut rest = self.find_rest();
        if rest == Rest::Servers && self.auto_stop {
            self.end_servers();
            self.run_flows();
            rest = self.find_rest();
        }
        if let Rest::Deadlock(waiting) = &rest
            && rest != self.rest
        {
            let waiting = waiting.clone();
            self.record(RecordKind::Deadlock { waiting });
        }
        self.rest = rest;
    }

    /// Whether some thread sleeps in a call of its host's stack.
    pub(crate) fn a_call_sleeps(&self) -> bool {
        let mut waits = self.processes.values().flat_map(|process| process.threads.values());
        waits.any(|wait| matches!(wait, Wait::Kernel { .. }))
    }

    fn find_rest(&self) -> Rest {
        if self.queue.is_lively() {
            return Rest::Busy;
        }
        let mut living = self.processes.values().filter(|p| !p.ended).peekable();
        let alive = living.peek().is_some();
        let waits: Vec<&Wait> = living.flat_map(|p| p.threads.values()).collect();
        let bounded = waits.iter().any(|wait| matches!(wait, Wait::Kernel { bounded: true, .. }))
            || self.a_servant_works();
        let timers = self.queue.next_at().is_some();
        if timers && (bounded || (alive && self.real_time()) || self.a_timer_matters()) {
            return Rest::Busy;
        }
        if !alive {
            return Rest::Finished;
        }
        if self.real_time() {
            return Rest::RealWorld;
        }
        if !self.held.is_empty() {
            return Rest::Held;
        }
        if waits.iter().any(|wait| wait.wants_input()) {
            return Rest::Input;
        }
        if self.only_servers_left() {
            return Rest::Servers;
        }
        let mut waiting: Vec<CallId> = waits.iter().map(|wait| wait.call()).collect();
        waiting.sort_unstable();
        Rest::Deadlock(waiting)
    }
}
