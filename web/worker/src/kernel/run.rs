//! One run of a lab: from virtual time zero until the next one begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socketlab_lan::HostReport;
use socketlab_netsim::{
    self as netsim, Capture, ExitStatus, FlowId, FrameId, GatewayEvent, LanEvent, NodeId, NodeKind, Output,
    Record, RecordKind, Rest, Turn, World,
};
use socketlab_protocol::{RunState, SourceFile, Speed, Step, Update};
use socketlab_stack::{CallId, Instant, Pid};
use socketlab_view::history::Teller;
use socketlab_view::{Event, Ingest, NodeChange, link_states};

use super::{Job, Loaded, Start, Wait};
use crate::lan;
use crate::pace::{Pace, Scene};

/// Events of the world between two looks at the wall clock. A choice: well below a millisecond of work.
const EVENTS_AT_A_TIME: usize = 32;
/// Least time between two batches of events: 20 a second.
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// Least time between two looks at clock and sockets: 15 a second.
const LOOK_EVERY: Duration = Duration::from_millis(67);
/// A host with more sockets is looked at only as often as that, not after each instant. A choice: a look at so many
/// costs about a tenth of a millisecond.
const MANY_SOCKETS: usize = 64;
/// How far the page may carry the clock on by itself, in time of the wall clock: two looks.
const AHEAD: Duration = Duration::from_millis(134);
/// Told to the page for "no waiting": so many virtual nanoseconds per second that each event is at once.
const NO_WAITING: u64 = 1_000_000_000_000_000;

/// What the page keeps of an event, or of a socket that changed, beside the octets of its frame. Measured in long
/// transfers: 0.7 to 1.5 KiB.
const KEPT_OF_EACH: u64 = 1024;

pub(super) struct Run {
    world: World,
    pace: Pace,
    ingest: Ingest,
    files: Vec<SourceFile>,
    seed: u64,
    started: bool,
    paused: bool,
    /// Other labs' hosts can be heard.
    shared: bool,
    stepping: Option<Step>,
    /// Processes that have not ended, with their programs.
    alive: BTreeMap<Pid, u32>,
    /// Frames on their way to a host or a gateway, where they end.
    arriving: BTreeSet<FrameId>,
    /// The capture file so far.
    capture: Capture,
    told: Told,
    events: Vec<Event>,
    /// Node of each call that has not returned.
    calling: BTreeMap<CallId, NodeId>,
    /// Nodes at which something happened since the last look at them.
    touched: BTreeSet<NodeId>,
    /// Nodes with very many sockets are not looked at again before this time of the wall clock.
    resting: BTreeMap<NodeId, Duration>,
    teller: Teller,
    changes: Vec<NodeChange>,
    links_changed: bool,
    /// Octets that the page keeps of this run: an estimate.
    kept: u64,
    /// The run pauses when it keeps so many.
    pause_at: u64,
    pause_step: u64,
    /// The page is to hear that it does.
    long_run: bool,
}

/// What the page knows, and since when.
struct Told {
    state: RunState,
    clock: Option<(Instant, u64, Option<Instant>)>,
    events_at: Duration,
    clock_at: Duration,
    nodes_at: Duration,
}

impl Run {
    /// `pause_step`: whenever the page keeps so many octets more, the run pauses, lest the browser takes the page away.
    pub(super) fn new(wall: Duration, loaded: &Loaded, speed: Speed, pause_step: u64) -> Run {
        let long_ago = wall.saturating_sub(LOOK_EVERY);
        let world = loaded.lab.build(loaded.seed);
        let capture = Capture::new(world.topology());
        let touched = (0..world.topology().nodes.len() as u32).map(NodeId).collect();
        let mut run = Run {
            world,
            pace: Pace::new(loaded.hop, speed),
            ingest: Ingest::new(&loaded.topology, &loaded.programs),
            files: loaded.files.clone(),
            seed: loaded.seed,
            started: false,
            paused: false,
            shared: false,
            stepping: None,
            alive: BTreeMap::new(),
            arriving: BTreeSet::new(),
            capture,
            told: Told {
                state: RunState::Fresh,
                clock: None,
                events_at: long_ago,
                clock_at: long_ago,
                nodes_at: long_ago,
            },
            events: Vec::new(),
            calling: BTreeMap::new(),
            touched,
            resting: BTreeMap::new(),
            teller: Teller::default(),
            changes: Vec::new(),
            links_changed: true,
            kept: 0,
            pause_at: pause_step,
            pause_step,
            long_run: false,
        };
        // The tables are there before the first instant ends, which is when Python has been loaded.
        run.look(wall);
        run
    }

    pub(super) fn start(&mut self) {
        self.started = true;
        self.world.start();
    }

    pub(super) fn start_program(&mut self, wall: Duration, program: u32, files: Vec<SourceFile>) {
        self.catch_up(wall);
        self.started = true;
        self.files = files;
        if let Some(pid) = self.process_of(program) {
            self.world.kill(pid);
        }
        self.world.start_program(program as usize);
    }

    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = Pid> {
        self.alive.keys().copied()
    }

    /// Processes of programs other than this one.
    pub(super) fn alive_beside(&self, program: u32) -> usize {
        self.alive.values().filter(|&&other| other != program).count()
    }

    pub(super) fn interrupt(&mut self, wall: Duration, program: u32, jobs: &mut VecDeque<Job>) {
        let Some(pid) = self.process_of(program) else { return };
        if self.world.turn() == Turn::Process(pid) {
            jobs.push_back(Job::Interrupt { pid });
        } else {
            self.catch_up(wall);
            self.world.interrupt(pid);
        }
    }

    pub(super) fn stdin(&mut self, wall: Duration, program: u32, text: &str) {
        if let Some(pid) = self.process_of(program) {
            self.catch_up(wall);
            self.world.stdin(pid, text);
        }
    }

    pub(super) fn handle_gateway(&mut self, wall: Duration, event: GatewayEvent) {
        self.catch_up(wall);
        self.world.handle_gateway(event);
    }

    pub(super) fn flow(&self, flow: FlowId) -> Option<(SocketAddr, SocketAddr, String)> {
        let (client, target, label) = self.world.flow_ends(flow)?;
        Some((client, target, label.to_owned()))
    }

    pub(super) fn time(&self) -> u64 {
        self.world.now().as_nanos()
    }

    pub(super) fn handle_lan(&mut self, wall: Duration, event: LanEvent) {
        if let LanEvent::Joined(joined) = event {
            self.shared = joined;
        }
        self.catch_up(wall);
        self.world.handle_lan(event);
    }

    /// Hosts with one of these addresses, and what is open on them.
    pub(super) fn report(&self, room: &[IpAddr]) -> Vec<HostReport> {
        let topology = self.world.topology();
        let mut reports = Vec::new();
        for (id, node) in (0..).map(NodeId).zip(&topology.nodes) {
            let shared: Vec<IpAddr> = node.addresses.iter().filter(|a| room.contains(a)).copied().collect();
            if shared.is_empty() {
                continue;
            }
            let Some(state) = self.world.host_snapshot(id) else { continue };
            let file = |pid: Pid| {
                let program = *self.alive.get(&pid)? as usize;
                self.world.programs().get(program).map(|program| program.file.clone())
            };
            let (ports, streams) = lan::sockets(&state, &shared, file);
            let addresses = shared.iter().map(ToString::to_string).collect();
            reports.push(HostReport { name: node.name.clone(), addresses, ports, streams });
        }
        reports
    }

    pub(super) fn handle_message(&mut self, pid: Pid, message: &[u8], jobs: &mut VecDeque<Job>) {
        if !self.alive.contains_key(&pid) {
            return;
        }
        if let Err(error) = self.world.handle_message(pid, message) {
            jobs.push_back(Job::Report(error.to_string()));
            self.world.kill(pid);
        }
    }

    pub(super) fn waits_for_program(&self) -> bool {
        matches!(self.world.turn(), Turn::Process(_))
    }

    pub(super) fn ended(&mut self, pid: Pid, status: i32) {
        if self.alive.contains_key(&pid) {
            self.world.exited(pid, status);
        }
    }

    pub(super) fn set_speed(&mut self, wall: Duration, speed: Speed) {
        self.pace.set_speed(wall, self.world.now(), self.next(), speed);
    }

    pub(super) fn pause(&mut self, wall: Duration) {
        self.paused = true;
        self.pace.stop(wall, self.world.now(), self.next());
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
        self.stepping = None;
    }

    pub(super) fn step(&mut self, wall: Duration, step: Step) {
        self.pause(wall);
        self.stepping = Some(step);
    }

    /// Does something to the network. What is about a frame that has arrived meanwhile does nothing.
    pub(super) fn change(&mut self, wall: Duration, change: netsim::Command) {
        self.catch_up(wall);
        let _too_late = self.world.command(change);
        self.links_changed = true;
    }

    pub(super) fn pcap(&self) -> Vec<u8> {
        self.capture.clone().finish()
    }

    pub(super) fn pump(&mut self, wall: Duration, jobs: &mut VecDeque<Job>) -> Wait {
        for _ in 0..EVENTS_AT_A_TIME {
            self.collect(jobs);
            if self.kept >= self.pause_at {
                self.pause_at = self.kept + self.pause_step;
                self.long_run = true;
                self.stepping = None;
                self.pause(wall);
            }
            let now = self.world.now();
            match self.world.turn() {
                Turn::Process(_) => return Wait::News,
                Turn::Idle => {
                    self.look(wall);
                    if self.world.real_time() && !self.paused {
                        self.pace.due(wall, now, None, self.scene());
                    } else {
                        self.pace.stop(wall, now, Some(now));
                    }
                    return Wait::News;
                }
                Turn::Event(_) if self.paused && self.stepping.is_none() => {
                    self.look(wall);
                    return Wait::News;
                }
                Turn::Event(at) => {
                    if at > now {
                        self.look(wall);
                    }
                    let due = self.pace.due(wall, now, Some(at), self.scene());
                    if let Some(due) = due.filter(|&due| due > wall && self.stepping.is_none()) {
                        return Wait::Until(due);
                    }
                    self.world.step();
                    self.stepping.take_if(|step| *step == Step::Event);
                    if self.stepping.is_none() && self.paused {
                        self.pace.stop(wall, self.world.now(), Some(self.world.now()));
                    }
                }
            }
        }
        Wait::Again
    }

    /// Virtual time between two events becomes the world's own: something comes in from outside.
    fn catch_up(&mut self, wall: Duration) {
        if let Turn::Process(_) = self.world.turn() {
            return;
        }
        let shown = self.pace.shown(wall, self.world.now(), self.next());
        if self.pace.rate() != 0 && self.pace.rate() != u64::MAX {
            self.world.advance_to(shown);
        }
    }

    fn scene(&self) -> Scene {
        // Others' clocks do not wait: what they hear from here must come when it would on a real wire.
        if self.shared {
            return Scene::RealStill;
        }
        match (self.world.real_time(), self.world.frames_in_flight() > 0) {
            (false, true) => Scene::Frames,
            (false, false) => Scene::Still,
            (true, true) => Scene::RealFrames,
            (true, false) => Scene::RealStill,
        }
    }

    fn next(&self) -> Option<Instant> {
        match self.world.turn() {
            Turn::Event(at) => Some(at),
            Turn::Process(_) => Some(self.world.now()),
            Turn::Idle => None,
        }
    }

    fn process_of(&self, program: u32) -> Option<Pid> {
        self.alive.iter().find(|&(_, &other)| other == program).map(|(&pid, _)| pid)
    }

    /// Takes what the world has for the shell and for the page.
    fn collect(&mut self, jobs: &mut VecDeque<Job>) {
        while let Some(output) = self.world.poll_output() {
            let now = self.world.now().as_nanos();
            match output {
                Output::Start { pid, program } => {
                    self.alive.insert(pid, program as u32);
                    let given = self.world.programs().get(program);
                    let (file, args) = given.map(|p| (p.file.clone(), p.args.clone())).unwrap_or_default();
                    let (files, seed) = (self.files.clone(), self.seed);
                    jobs.push_back(Job::Start(Start { pid, file, args, files, now, seed }));
                }
                Output::Message { pid, bytes } => jobs.push_back(Job::Message { pid, now, bytes }),
                // A WebAssembly program cannot be copied while it runs; the shim says so to the program.
                Output::Fork { .. } => {}
                Output::Kill { pid } => {
                    self.alive.remove(&pid);
                    jobs.push_back(Job::Kill { pid });
                }
                Output::Interrupt { pid } => jobs.push_back(Job::Interrupt { pid }),
                Output::Gateway(request) => jobs.push_back(Job::Gateway(request)),
                Output::Lan { bytes } => jobs.push_back(Job::Lan(bytes)),
            }
        }
        for record in self.world.drain_records() {
            self.note(&record);
            self.kept += KEPT_OF_EACH;
            if let RecordKind::FrameSent { bytes, .. } = &record.kind {
                self.kept += bytes.len() as u64;
            }
            self.events.push(self.ingest.ingest(&record));
            self.capture.push(&record);
        }
    }

    /// Finds out what changed at the nodes where something happened: at the end of each instant.
    fn look(&mut self, wall: Duration) {
        let now = self.world.now();
        let resting = &self.resting;
        let due = |node: &NodeId| resting.get(node).is_none_or(|until| *until <= wall);
        let (due, later): (BTreeSet<_>, BTreeSet<_>) =
            core::mem::take(&mut self.touched).into_iter().partition(due);
        self.touched = later;
        for node in due {
            if let Some(table) = self.world.switch_table(node) {
                let row = self.ingest.switch(now, node, &table, &self.neighbours(node));
                self.changes.extend(self.teller.tell(now.as_nanos(), row));
            }
            let Some(state) = self.world.host_snapshot(node) else { continue };
            if state.sockets.len() > MANY_SOCKETS {
                self.resting.insert(node, wall + LOOK_EVERY);
            }
            let change = self.teller.tell(now.as_nanos(), self.ingest.host(node, &state));
            self.kept += change.as_ref().map_or(0, |change| change.sockets.len() as u64) * KEPT_OF_EACH;
            self.changes.extend(change);
        }
    }

    /// What a record means for the run itself.
    fn note(&mut self, record: &Record) {
        match &record.kind {
            RecordKind::FrameSent { frame, from, to, .. } => {
                self.touched.insert(*from);
                let kind = self.world.topology().nodes.get(to.0 as usize).map(|node| node.kind);
                if matches!(kind, Some(NodeKind::Host | NodeKind::Gateway | NodeKind::Lan)) {
                    self.arriving.insert(*frame);
                }
            }
            RecordKind::Demux { node, .. }
            | RecordKind::Dropped { node, .. }
            | RecordKind::TcpState { node, .. }
            | RecordKind::Retransmitted { node, .. }
            | RecordKind::TimerFired { node, .. } => {
                self.touched.insert(*node);
            }
            RecordKind::FrameLost { frame, .. } => {
                self.arriving.remove(frame);
            }
            RecordKind::FrameDelivered { frame } => {
                let ends_here = self.arriving.remove(frame);
                self.stepping.take_if(|step| ends_here && *step == Step::Packet);
            }
            RecordKind::CallEntered { call, pid, .. } => {
                let node = self.node_of(*pid);
                self.calling.extend(node.map(|node| (*call, node)));
                self.touched.extend(node);
                self.stepping.take_if(|step| *step == Step::Call);
            }
            RecordKind::CallReturned { call, .. } => {
                self.touched.extend(self.calling.remove(call));
                self.stepping.take_if(|step| *step == Step::Call);
            }
            RecordKind::ProcessExited { pid, status: ExitStatus::Exited(_) | ExitStatus::Killed } => {
                self.touched.extend(self.node_of(*pid));
                self.alive.remove(pid);
            }
            _ => {}
        }
    }

    /// Names of the nodes behind a node's ports.
    fn neighbours(&self, node: NodeId) -> Vec<String> {
        let topology = self.world.topology();
        let other = |link: &netsim::TopologyLink| match link.ends {
            (a, b) if a == node => Some(b),
            (a, b) if b == node => Some(a),
            _ => None,
        };
        let others = topology.links.iter().filter_map(other);
        let name = |id: NodeId| topology.nodes.get(id.0 as usize).map(|node| node.name.clone());
        others.map(|id| name(id).unwrap_or_default()).collect()
    }

    fn node_of(&self, pid: Pid) -> Option<NodeId> {
        let program = *self.alive.get(&pid)? as usize;
        self.world.programs().get(program).map(|program| program.node)
    }

    fn state(&self) -> RunState {
        if !self.started {
            return RunState::Fresh;
        }
        match self.world.rest() {
            Rest::Finished => RunState::Finished,
            Rest::Deadlock(_) => RunState::Deadlocked,
            Rest::Busy | Rest::Held | Rest::Input | Rest::RealWorld | Rest::Servers
                if self.paused && self.stepping.is_none() =>
            {
                RunState::Paused
            }
            Rest::Busy | Rest::Held | Rest::Input | Rest::RealWorld | Rest::Servers => RunState::Running,
        }
    }

    /// Where virtual time is on screen, how fast it goes and where it will stop.
    fn clock(&self, wall: Duration) -> (Instant, u64, Option<Instant>) {
        let now = self.world.now();
        match self.world.turn() {
            Turn::Process(_) => (now, 0, None),
            Turn::Event(at) => {
                let rate = self.pace.rate().min(NO_WAITING);
                let shown = self.pace.shown(wall, now, Some(at));
                // While frames move, one event follows the other at the same pace: the page may carry on past the
                // next one until it hears from us again.
                let until = match self.scene() {
                    Scene::Frames | Scene::RealFrames => at.max(shown + AHEAD.mul_f64(rate as f64 / 1e9)),
                    Scene::Still | Scene::RealStill => at,
                };
                (shown, rate, Some(until))
            }
            Turn::Idle => (self.pace.shown(wall, now, None), self.pace.rate().min(NO_WAITING), None),
        }
    }

    /// The next update that is due.
    pub(super) fn poll_update(&mut self, wall: Duration) -> Option<Update> {
        let state = self.state();
        let changes = state != self.told.state;
        if !self.events.is_empty() && (changes || wall >= self.told.events_at + BATCH_EVERY) {
            self.told.events_at = wall;
            return Some(Update::Events(std::mem::take(&mut self.events)));
        }
        if !self.changes.is_empty() && (changes || wall >= self.told.nodes_at + LOOK_EVERY) {
            self.told.nodes_at = wall;
            return Some(Update::Nodes(std::mem::take(&mut self.changes)));
        }
        if self.links_changed {
            self.links_changed = false;
            let (links, held) = self.world.links();
            return Some(Update::Links(link_states(&links, &held)));
        }
        if core::mem::take(&mut self.long_run) {
            let mebibytes = u32::try_from(self.kept >> 20).unwrap_or(u32::MAX);
            return Some(Update::LongRun { mebibytes });
        }
        if changes {
            self.told.state = state;
            self.told.clock = None;
            return Some(Update::Run(state));
        }
        if self.clock_changed() && (self.told.clock.is_none() || wall >= self.told.clock_at + LOOK_EVERY) {
            let (now, rate, next) = self.clock(wall);
            self.told.clock_at = wall;
            self.told.clock = Some(self.clock_key());
            return Some(Update::Clock { now: now.as_nanos(), rate, next: next.map(Instant::as_nanos) });
        }
        None
    }

    /// What makes the page's own reckoning of the clock wrong when it changes.
    fn clock_key(&self) -> (Instant, u64, Option<Instant>) {
        match self.world.turn() {
            Turn::Process(_) => (self.world.now(), 0, None),
            Turn::Event(at) => (self.world.now(), self.pace.rate(), Some(at)),
            Turn::Idle => (self.world.now(), self.pace.rate(), None),
        }
    }

    fn clock_changed(&self) -> bool {
        self.told.clock != Some(self.clock_key())
    }

    /// When an update that waits now will be due.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let events = (!self.events.is_empty()).then(|| self.told.events_at + BATCH_EVERY);
        let clock = self.clock_changed().then(|| self.told.clock_at + LOOK_EVERY);
        let nodes = (!self.changes.is_empty()).then(|| self.told.nodes_at + LOOK_EVERY);
        [events, clock, nodes].into_iter().flatten().min()
    }
}
