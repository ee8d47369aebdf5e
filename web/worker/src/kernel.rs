//! The lab as the worker runs it, without a browser: commands and messages of programs go in, with the wall clock's
//! time; updates for the page and jobs for the interpreters come out. Wall time is counted from any fixed point.

mod run;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use socketlab_lab::{Lab, RoomAddress};
use socketlab_lan::HostReport;
use socketlab_netsim::{
    self as netsim, FlowId, FrameId, GatewayEvent, GatewayRequest, LanEvent, LinkId, Topology,
};
use socketlab_protocol::{Command, FrameDeed, LabProblem, ProgramView, RunState, SourceFile, Speed, Update};
use socketlab_stack::Pid;
use socketlab_view::{ProgramInfo, TopologyView, link_params};

use run::Run;

/// Programs that may run at once: each interpreter costs about 45 MB.
pub const MAX_PROGRAMS: usize = 8;

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Start an interpreter with this program.
    Start(Start),
    /// Hand a message to a program that was started; virtual time is `now`, in nanoseconds.
    Message {
        /// The process.
        pid: Pid,
        /// Virtual time, in nanoseconds.
        now: u64,
        /// The message.
        bytes: Vec<u8>,
    },
    /// `KeyboardInterrupt` in a program that computes.
    Interrupt {
        /// The process.
        pid: Pid,
    },
    /// Throw the interpreter away.
    Kill {
        /// The process.
        pid: Pid,
    },
    /// For whoever reads the browser's console: something that should not happen did.
    Report(String),
    /// For the relay.
    Gateway(GatewayRequest),
    /// A frame for the shared LAN.
    Lan(Bytes),
    /// Every flow through the relay is over: a new world begins.
    HangUp,
}

/// A program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process.
    pub pid: Pid,
    /// Its main file.
    pub file: String,
    /// Arguments after the file's name.
    pub args: Vec<String>,
    /// All files of the lab, for `import` and `open`.
    pub files: Vec<SourceFile>,
    /// Virtual time, in nanoseconds.
    pub now: u64,
    /// For `random` and `os.urandom`.
    pub seed: u64,
}

/// When [`Kernel::pump`] wants to be called again, if nothing else comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// At once: there is more to do.
    Again,
    /// At this time of the wall clock.
    Until(Duration),
    /// Only after a command, a message or news from the relay.
    News,
}

/// A lab that was loaded.
struct Loaded {
    toml: String,
    lab: Lab,
    files: Vec<SourceFile>,
    seed: u64,
    topology: TopologyView,
    programs: Vec<ProgramInfo>,
    /// Typical one-way delay of its links.
    hop: Duration,
}

/// A run pauses whenever the page keeps so many octets more of it, by estimate. A choice: half a gibibyte is what a small
/// computer can spare for one page.
const PAUSE_STEP: u64 = 512 << 20;

/// See the module's text.
pub struct Kernel {
    loaded: Option<Loaded>,
    run: Option<Run>,
    speed: Speed,
    jobs: VecDeque<Job>,
    updates: VecDeque<Update>,
    /// The addresses in the shared LAN that was joined.
    room: Option<Vec<RoomAddress>>,
    /// What every new world has to know of the shared LAN.
    lan_joined: bool,
    lan_names: Vec<(String, Vec<IpAddr>)>,
    pause_step: u64,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            loaded: None,
            run: None,
            speed: Speed::Permille(1000),
            jobs: VecDeque::new(),
            updates: VecDeque::new(),
            room: None,
            lan_joined: false,
            lan_names: Vec::new(),
            pause_step: PAUSE_STEP,
        }
    }
}

impl Kernel {
    /// A command of the page. `Boot`, the class code and what is about the shared LAN are the shell's.
    pub fn handle_command(&mut self, wall: Duration, command: Command) {
        match command {
            Command::Boot { .. }
            | Command::SetCode { .. }
            | Command::JoinLan(_)
            | Command::LeaveLan
            | Command::LanDeed(_) => {}
            Command::LoadLab { toml, files, seed } => self.load(wall, &toml, files, seed),
            Command::RunAll { files } => self.run_all(wall, files),
            Command::RunProgram { program, files } => self.run_program(wall, program, files),
            Command::Reset => self.fresh_run(wall),
            Command::SetSpeed(speed) => {
                self.speed = speed;
                self.in_run(|run, _| run.set_speed(wall, speed));
            }
            Command::Interrupt { program } => self.in_run(|run, jobs| run.interrupt(wall, program, jobs)),
            Command::Pause => self.in_run(|run, _| run.pause(wall)),
            Command::Resume => self.in_run(|run, _| run.resume()),
            Command::Step(step) => self.in_run(|run, _| run.step(wall, step)),
            Command::Stdin { program, text } => self.in_run(|run, _| run.stdin(wall, program, &text)),
            Command::SetLink { link, state } => {
                let (link, params) = (LinkId(link), link_params(&state));
                self.in_run(|run, _| run.change(wall, netsim::Command::SetLink { link, params }));
            }
            Command::CutLink { link, cut } => {
                let link = LinkId(link);
                let change = if cut { netsim::Command::Cut { link } } else { netsim::Command::Mend { link } };
                self.in_run(|run, _| run.change(wall, change));
            }
            Command::Frame { frame, deed } => {
                let frame = FrameId(frame);
                let change = match deed {
                    FrameDeed::Hold => netsim::Command::Hold { frame },
                    FrameDeed::Release => netsim::Command::Release { frame },
                    FrameDeed::Drop => netsim::Command::Drop { frame },
                    FrameDeed::Edit(bytes) => netsim::Command::Edit { frame, bytes: bytes.into() },
                };
                self.in_run(|run, _| run.change(wall, change));
            }
            Command::ExportPcap => self.updates.extend(self.run.as_ref().map(|run| Update::Pcap(run.pcap()))),
        }
    }

    /// A message of a program.
    pub fn handle_message(&mut self, pid: Pid, message: &[u8]) {
        self.in_run(|run, jobs| run.handle_message(pid, message, jobs));
    }

    /// The interpreter of a program has ended, perhaps without having said `exit`: the status to show then.
    pub fn handle_ended(&mut self, pid: Pid, status: i32) {
        self.in_run(|run, _| run.ended(pid, status));
    }

    /// News from the relay.
    pub fn handle_gateway(&mut self, wall: Duration, event: GatewayEvent) {
        self.in_run(|run, _| run.handle_gateway(wall, event));
    }

    /// The simulated connection of a flow through the relay: its end in the lab, the other one, what that is in the
    /// real world.
    pub fn flow(&self, flow: FlowId) -> Option<(SocketAddr, SocketAddr, String)> {
        self.run.as_ref()?.flow(flow)
    }

    /// Virtual time of the run, in nanoseconds.
    pub fn time(&self) -> Option<u64> {
        self.run.as_ref().map(Run::time)
    }

    /// News from the shared LAN.
    pub fn handle_lan(&mut self, wall: Duration, event: LanEvent) {
        match &event {
            LanEvent::Joined(joined) => self.lan_joined = *joined,
            LanEvent::Names(names) => self.lan_names.clone_from(names),
            LanEvent::Frame(_) | LanEvent::Reset { .. } => {}
        }
        self.in_run(|run, _| run.handle_lan(wall, event));
    }

    /// The hosts in the network that leads to a shared LAN have these addresses from now on; none: the lab's own.
    /// What runs is ended, because a running host cannot move.
    pub fn set_room(&mut self, wall: Duration, room: Option<Vec<RoomAddress>>) {
        if self.room == room {
            return;
        }
        self.room = room;
        if let Some(Loaded { toml, files, seed, .. }) = self.loaded.take() {
            self.load(wall, &toml, files, seed);
        }
    }

    /// What the others in the shared LAN are told of this lab's hosts there.
    pub fn report(&self) -> Vec<HostReport> {
        let room = self.room.as_deref().unwrap_or_default();
        let known: Vec<IpAddr> =
            room.iter().flat_map(|host| &host.addresses).map(|cidr| cidr.address).collect();
        self.run.as_ref().map(|run| run.report(&known)).unwrap_or_default()
    }

    /// A host by its name.
    pub fn host(&self, name: &str) -> Option<socketlab_netsim::NodeId> {
        let nodes = &self.loaded.as_ref()?.topology.nodes;
        let place = nodes.iter().position(|node| node.name == name)?;
        Some(socketlab_netsim::NodeId(u32::try_from(place).ok()?))
    }

    /// Does what is due, a little at a time, and says when to come back.
    pub fn pump(&mut self, wall: Duration) -> Wait {
        match &mut self.run {
            Some(run) => run.pump(wall, &mut self.jobs),
            None => Wait::News,
        }
    }

    /// A program runs: nothing else happens until its next message.
    pub fn waits_for_program(&self) -> bool {
        self.run.as_ref().is_some_and(Run::waits_for_program)
    }

    /// The next thing for the shell to do.
    pub fn poll_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// The next update for the page. Those that would come too often wait; see [`Kernel::poll_timeout`].
    pub fn poll_update(&mut self, wall: Duration) -> Option<Update> {
        let run = self.run.as_mut();
        self.updates.pop_front().or_else(|| run.and_then(|run| run.poll_update(wall)))
    }

    /// When an update that waits will be due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.run.as_ref().and_then(Run::poll_timeout)
    }

    fn in_run(&mut self, work: impl FnOnce(&mut Run, &mut VecDeque<Job>)) {
        if let Some(run) = &mut self.run {
            work(run, &mut self.jobs);
        }
    }

    fn load(&mut self, wall: Duration, toml: &str, files: Vec<SourceFile>, seed: u64) {
        let there = files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
        let checked = Lab::parse(toml).and_then(|lab| match &self.room {
            Some(room) => Lab::parse_in(&lab.with_lan(toml), room),
            None => Ok(lab),
        });
        let checked = checked.and_then(|lab| {
            let missing = lab.check_files(&there);
            if missing.is_empty() { Ok(lab) } else { Err(missing) }
        });
        let lab = match checked {
            Ok(lab) => lab,
            Err(problems) => {
                let refused = problems.into_iter().map(problem).collect();
                self.end_run();
                self.loaded = None;
                self.updates.push_back(Update::LabRefused(refused));
                return;
            }
        };
        let topology = lab.topology();
        let programs = lab.programs().iter().map(ProgramInfo::from).collect();
        let listed = (0..).zip(lab.programs()).map(|(program, p)| ProgramView {
            program,
            node: p.node.0,
            host: p.host.clone(),
            file: p.file.clone(),
            forever: p.forever,
        });
        self.updates.push_back(Update::LabLoaded {
            title: lab.title().to_owned(),
            topology: TopologyView::from(&topology),
            programs: listed.collect(),
        });
        if let Some(room) = lab.lan() {
            self.updates.push_back(Update::LanPort(room.map(str::to_owned)));
        }
        let (hop, topology) = (typical_delay(&topology), TopologyView::from(&topology));
        let toml = toml.to_owned();
        self.loaded = Some(Loaded { toml, lab, files, seed, topology, programs, hop });
        self.fresh_run(wall);
    }

    fn run_all(&mut self, wall: Duration, files: Vec<SourceFile>) {
        let Some(loaded) = &mut self.loaded else { return };
        loaded.files = files;
        let asked = loaded.programs.len();
        if self.refuses(asked) {
            return;
        }
        self.fresh_run(wall);
        self.in_run(|run, _| run.start());
    }

    fn run_program(&mut self, wall: Duration, program: u32, files: Vec<SourceFile>) {
        let Some(loaded) = &mut self.loaded else { return };
        loaded.files = files.clone();
        let asked = self.run.as_ref().map_or(0, |run| run.alive_beside(program)) + 1;
        if (program as usize) < loaded.programs.len() && !self.refuses(asked) {
            self.in_run(|run, _| run.start_program(wall, program, files));
        }
    }

    fn refuses(&mut self, asked: usize) -> bool {
        let refuses = asked > MAX_PROGRAMS;
        if refuses {
            let (limit, asked) = (MAX_PROGRAMS as u32, asked as u32);
            self.updates.push_back(Update::TooManyPrograms { limit, asked });
        }
        refuses
    }

    /// Ends every program.
    fn end_run(&mut self) {
        if let Some(old) = self.run.take().filter(Run::has_started) {
            self.jobs.clear();
            self.jobs.extend(old.processes().map(|pid| Job::Kill { pid }));
            self.jobs.push_back(Job::HangUp);
        }
    }

    /// Ends every program and goes back to virtual time zero.
    fn fresh_run(&mut self, wall: Duration) {
        self.end_run();
        let Some(loaded) = &self.loaded else { return };
        self.updates.push_back(Update::RunStarted);
        self.updates.push_back(Update::Run(RunState::Fresh));
        self.run = Some(Run::new(wall, loaded, self.speed, self.pause_step));
        let (joined, names) = (self.lan_joined, self.lan_names.clone());
        self.in_run(|run, _| {
            run.handle_lan(wall, LanEvent::Names(names));
            run.handle_lan(wall, LanEvent::Joined(joined));
        });
    }
}

fn problem(problem: socketlab_lab::Problem) -> LabProblem {
    LabProblem {
        file: "lab.toml".to_owned(),
        line: problem.line,
        field: problem.field,
        key: problem.key.to_owned(),
        args: problem.args,
        text: problem.text,
    }
}

/// The median of the links' delays.
fn typical_delay(topology: &Topology) -> Duration {
    let mut delays: Vec<Duration> = topology.links.iter().map(|link| link.delay).collect();
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().unwrap_or_default()
}
