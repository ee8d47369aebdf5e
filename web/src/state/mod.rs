//! The page's state: facts as signals (what the worker said, what the person chose), everything computable as memos.

pub mod clock;
pub mod console;
pub mod files;
pub mod package;
pub mod programs;
pub mod trace;

use std::collections::BTreeMap;

// The trait has the name of the worker's message.
use leptos::prelude::{Update as _, *};
use socketlab_protocol::{
    Command, LabProblem, LanNotice, LanView, ProgramView, PythonState, RealSocket, RelayState, RunState,
    Speed, Step, Update,
};
use socketlab_view::history::History;
use socketlab_view::ladder::LadderFilter;
use socketlab_view::{LinkState, ProgramInfo, SocketsView, TopologyView};

use crate::bridge::Bridge;
use crate::glue;
use clock::ClockFact;
use files::StudentFile;
use package::{Package, Refused};
use trace::Trace;

/// A lab as the worker loaded it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedLab {
    /// Title from the lab file.
    pub title: String,
    /// What is connected to what.
    pub topology: TopologyView,
    /// Programs, in the lab's order.
    pub programs: Vec<ProgramView>,
}

impl LoadedLab {
    /// The programs as the views need to know them.
    pub fn program_infos(&self) -> Vec<ProgramInfo> {
        self.programs
            .iter()
            .map(|program| ProgramInfo {
                node: program.node,
                file: program.file.clone(),
                forever: program.forever,
            })
            .collect()
    }

    /// A program's name on a tab: its host's, with the file where the host has several.
    pub fn program_name(&self, program: u32) -> String {
        let Some(found) = self.programs.get(program as usize) else { return String::new() };
        if self.programs.iter().filter(|other| other.node == found.node).count() > 1 {
            format!("{} · {}", found.host, found.file)
        } else {
            found.host.clone()
        }
    }
}

/// `server.py:7` is line 7.
pub fn line_of(place: &str) -> Option<u32> {
    place.rsplit_once(':')?.1.parse().ok()
}

/// What is marked everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A packet.
    pub packet: Option<u64>,
    /// A conversation.
    pub conversation: Option<u32>,
    /// A system call.
    pub call: Option<u64>,
    /// A socket: node, and its number there.
    pub socket: Option<(u32, u32)>,
}

/// What the map of the network shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lens {
    /// Programs and what they say to each other.
    Application,
    /// Ports, connections, segments and datagrams.
    Transport,
    /// IP addresses and packets.
    Network,
    /// MAC addresses and frames.
    Link,
}

impl Lens {
    /// From the top of the stack down.
    pub const ALL: [Lens; 4] = [Lens::Application, Lens::Transport, Lens::Network, Lens::Link];

    /// Key of its name.
    pub const fn key(self) -> &'static str {
        match self {
            Lens::Application => "lens-application",
            Lens::Transport => "lens-transport",
            Lens::Network => "lens-network",
            Lens::Link => "lens-link",
        }
    }
}

/// The tabs below the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficTab {
    /// The ladder.
    Ladder,
    /// The packet list.
    Packets,
    /// The sockets table.
    Sockets,
    /// What nodes keep in tables: interfaces, routes, neighbours.
    Tables,
}

impl TrafficTab {
    /// From left to right.
    pub const ALL: [TrafficTab; 4] =
        [TrafficTab::Ladder, TrafficTab::Packets, TrafficTab::Sockets, TrafficTab::Tables];

    /// Key of its name; also its id.
    pub const fn key(self) -> &'static str {
        match self {
            TrafficTab::Ladder => "tab-ladder",
            TrafficTab::Packets => "tab-packets",
            TrafficTab::Sockets => "tab-sockets",
            TrafficTab::Tables => "tab-tables",
        }
    }
}

/// Which pane a phone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the panes' names")]
pub enum Pane {
    Lesson,
    Net,
    Traffic,
    Code,
    Console,
}

impl Pane {
    /// From left to right.
    pub const ALL: [Pane; 5] = [Pane::Lesson, Pane::Net, Pane::Traffic, Pane::Code, Pane::Console];

    /// Its id in `data-pane`.
    pub const fn id(self) -> &'static str {
        match self {
            Pane::Lesson => "lesson",
            Pane::Net => "net",
            Pane::Traffic => "traffic",
            Pane::Code => "code",
            Pane::Console => "console",
        }
    }
}

/// The page's state. Handles to signals: copied freely.
#[derive(Clone, Copy)]
pub struct Page {
    /// To the worker.
    pub bridge: Bridge,
    /// Name of the open lab: of a shipped one, or the key of a package.
    pub lab_name: RwSignal<String>,
    /// The open lab, if it is not a shipped one.
    pub own: RwSignal<Option<Package>>,
    /// Why the last lab from a link or the disk was not opened.
    pub refused: RwSignal<Option<Refused>>,
    /// The text of the lab file that the worker has.
    pub lab_text: RwSignal<String>,
    /// A file in the editor that is no program: the lab file, a module, data.
    pub other_file: RwSignal<Option<String>>,
    /// The lab as loaded.
    pub lab: RwSignal<LoadedLab>,
    /// What is wrong with the lab file.
    pub problems: RwSignal<Vec<LabProblem>>,
    /// The program files.
    pub files: RwSignal<Vec<StudentFile>>,
    /// The run so far.
    pub trace: RwSignal<Trace>,
    /// The clock, as last heard.
    pub clock: RwSignal<ClockFact>,
    /// Virtual time as shown while live, in nanoseconds.
    pub live: RwSignal<u64>,
    /// A moment of the past that is looked at; none: live.
    pub past: RwSignal<Option<u64>>,
    /// The time that all pictures show.
    pub time: Memo<u64>,
    /// Run, pause, done.
    pub run: RwSignal<RunState>,
    /// How fast.
    pub speed: RwSignal<Speed>,
    /// What a step is.
    pub step: RwSignal<Step>,
    /// Every change of sockets and tables in this run.
    pub history: RwSignal<History>,
    /// Sockets and tables of all nodes at the time shown.
    pub sockets: Memo<SocketsView>,
    /// All links as they are now.
    pub links: RwSignal<Vec<LinkState>>,
    /// A link whose settings are open.
    pub open_link: RwSignal<Option<u32>>,
    /// How far Python has come.
    pub python: RwSignal<PythonState>,
    /// Did the worker itself fail? The text is for a bug report.
    pub broken: RwSignal<Option<String>>,
    /// The run was paused because it has grown long: what it takes, in MiB.
    pub long_run: RwSignal<Option<u32>>,
    /// The last run was refused: how many programs may run at once, and how many would have.
    pub too_many: RwSignal<Option<(u32, u32)>>,
    /// The shared LAN.
    pub lan: RwSignal<LanView>,
    /// What happened there and was not put away yet, oldest first.
    pub lan_says: RwSignal<Vec<LanNotice>>,
    /// The lab has a port to a shared LAN; the room that it names.
    pub lan_port: RwSignal<Option<Option<String>>>,
    /// The shared LAN's dialog is open.
    pub lan_open: RwSignal<bool>,
    /// How the connection to the relay is.
    pub relay: RwSignal<RelayState>,
    /// What the relay said last, in its own words.
    pub relay_says: RwSignal<Option<String>>,
    /// The real connections of this run, as last heard.
    pub real: RwSignal<Vec<RealSocket>>,
    /// The conversation whose words are shown.
    pub stream: RwSignal<Option<u32>>,
    /// Octets that were put into the place of a held frame's, by frame.
    pub edited: RwSignal<BTreeMap<u64, Vec<u8>>>,
    /// What is marked.
    pub selection: RwSignal<Selection>,
    /// Which program's editor is open.
    pub program: RwSignal<u32>,
    /// Whose console is shown; none: all.
    pub console: RwSignal<Option<u32>>,
    /// Which layer the map shows.
    pub lens: RwSignal<Lens>,
    /// Which picture of the traffic is shown.
    pub tab: RwSignal<TrafficTab>,
    /// Which pane a phone shows.
    pub pane: RwSignal<Pane>,
    /// What the ladder leaves out.
    pub filter: RwSignal<LadderFilter>,
    /// Lines of consoles before this index were cleared away.
    pub cleared: RwSignal<usize>,
}

impl Page {
    /// Nothing loaded yet.
    pub fn new(bridge: Bridge) -> Self {
        let live = RwSignal::new(0);
        let past = RwSignal::new(None::<u64>);
        let history = RwSignal::new(History::default());
        Page {
            bridge,
            lab_name: RwSignal::new(String::new()),
            own: RwSignal::new(None),
            refused: RwSignal::new(None),
            lab_text: RwSignal::new(String::new()),
            other_file: RwSignal::new(None),
            lab: RwSignal::new(LoadedLab::default()),
            problems: RwSignal::new(Vec::new()),
            files: RwSignal::new(Vec::new()),
            trace: RwSignal::new(Trace::new(&TopologyView::default(), &[], LadderFilter::default())),
            clock: RwSignal::new(ClockFact::default()),
            live,
            past,
            time: Memo::new(move |_| past.get().unwrap_or_else(|| live.get())),
            run: RwSignal::new(RunState::Fresh),
            speed: RwSignal::new(Speed::Permille(1000)),
            step: RwSignal::new(Step::Event),
            history,
            sockets: Memo::new(move |_| {
                // The last instant known while live: the clock on screen may lag behind it.
                let at = past.get().unwrap_or(u64::MAX);
                history.with(|history| history.at(at))
            }),
            links: RwSignal::new(Vec::new()),
            open_link: RwSignal::new(None),
            python: RwSignal::new(PythonState::NotLoaded),
            broken: RwSignal::new(None),
            long_run: RwSignal::new(None),
            too_many: RwSignal::new(None),
            lan: RwSignal::new(LanView::default()),
            lan_says: RwSignal::new(Vec::new()),
            lan_port: RwSignal::new(None),
            lan_open: RwSignal::new(false),
            relay: RwSignal::new(RelayState::Unused),
            relay_says: RwSignal::new(None),
            real: RwSignal::new(Vec::new()),
            stream: RwSignal::new(None),
            edited: RwSignal::new(BTreeMap::new()),
            selection: RwSignal::new(Selection::default()),
            program: RwSignal::new(0),
            console: RwSignal::new(None),
            lens: RwSignal::new(Lens::Transport),
            tab: RwSignal::new(TrafficTab::Ladder),
            pane: RwSignal::new(Pane::Net),
            filter: RwSignal::new(LadderFilter::default()),
            cleared: RwSignal::new(0),
        }
    }

    /// From the component's context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Takes in what the worker said, at `wall_ms` of the page's clock.
    pub fn apply(self, update: Update, wall_ms: f64) {
        match update {
            Update::Booted => self.broken.set(None),
            Update::Python(state) => self.python.set(state),
            Update::LabLoaded { title, topology, programs } => {
                let lab = LoadedLab { title, topology, programs };
                self.filter.update(|filter| filter.conversation = None);
                self.trace.set(Trace::new(&lab.topology, &lab.program_infos(), self.filter.get_untracked()));
                self.problems.set(Vec::new());
                self.history.set(History::default());
                self.selection.set(Selection::default());
                self.real.set(Vec::new());
                self.stream.set(None);
                self.edited.set(BTreeMap::new());
                self.past.set(None);
                self.clock.set(ClockFact::default());
                self.live.set(0);
                self.run.set(RunState::Fresh);
                self.cleared.set(0);
                self.open_link.set(None);
                self.lan_port.set(None);
                self.lab.set(lab);
            }
            Update::LabRefused(problems) => {
                // The worker has none now: nothing of the one before may be run.
                self.apply(
                    Update::LabLoaded {
                        title: String::new(),
                        topology: TopologyView::default(),
                        programs: Vec::new(),
                    },
                    wall_ms,
                );
                self.problems.set(problems);
            }
            Update::RunStarted => {
                self.too_many.set(None);
                self.long_run.set(None);
                self.filter.update(|filter| filter.conversation = None);
                self.trace.update(Trace::restart);
                self.history.set(History::default());
                self.selection.set(Selection::default());
                self.real.set(Vec::new());
                self.stream.set(None);
                self.edited.set(BTreeMap::new());
                self.past.set(None);
                self.cleared.set(0);
                self.clock.set(ClockFact { heard_ms: wall_ms, ..ClockFact::default() });
                self.live.set(0);
            }
            Update::Events(events) => self.trace.update(|trace| trace.extend(events)),
            Update::Clock { now, rate, next } => {
                self.clock.set(ClockFact { now, rate, next, heard_ms: wall_ms });
                self.tick(wall_ms);
            }
            Update::Run(state) => {
                if state != RunState::Paused {
                    self.long_run.set(None);
                }
                self.run.set(state);
            }
            Update::Nodes(changes) => self.history.update(|history| {
                for change in changes {
                    history.push(change);
                }
            }),
            Update::Links(links) => self.links.set(links),
            Update::Relay(state) => self.relay.set(state),
            Update::Real(socket) => self.real.update(|all| {
                match all.iter_mut().find(|old| (old.client, old.target) == (socket.client, socket.target)) {
                    Some(old) => *old = socket,
                    None => all.push(socket),
                }
            }),
            Update::LanPort(room) => self.lan_port.set(Some(room)),
            Update::Lan(view) => self.lan.set(view),
            Update::LanSays(notice) => self.lan_says.update(|says| {
                // The same sentence again takes the place of the old one.
                says.retain(|old| old.key != notice.key);
                says.push(notice);
            }),
            Update::RelaySays(text) => self.relay_says.set(Some(text)),
            Update::Pcap(octets) => {
                let lab = self.lab_name.get_untracked();
                glue::disk::save(&format!("{lab}.pcapng"), &octets, "application/x-pcapng");
            }
            Update::LongRun { mebibytes } => self.long_run.set(Some(mebibytes)),
            Update::TooManyPrograms { limit, asked } => self.too_many.set(Some((limit, asked))),
        }
    }

    /// Carries the shown time on to `wall_ms` of the page's clock.
    pub fn tick(self, wall_ms: f64) {
        let now = self.clock.with_untracked(|clock| clock.at(wall_ms));
        if now != self.live.get_untracked() {
            self.live.set(now);
        }
    }

    /// The text of the lab file in the editor.
    pub fn lab_file(self) -> String {
        self.files.with(|files| {
            files
                .iter()
                .find(|file| file.name == package::LAB_FILE)
                .map(|file| file.text.clone())
                .unwrap_or_default()
        })
    }

    /// Starts all programs from a fresh world.
    pub fn run_all(self) {
        self.past.set(None);
        self.bridge.send(Command::RunAll { files: self.sources() });
    }

    /// Starts one program.
    pub fn run_program(self, program: u32) {
        self.past.set(None);
        self.bridge.send(Command::RunProgram { program, files: self.sources() });
    }

    /// Pause if time passes, else go on.
    pub fn toggle_pause(self) {
        match self.run.get_untracked() {
            RunState::Running => self.bridge.send(Command::Pause),
            RunState::Paused => {
                self.past.set(None);
                self.bridge.send(Command::Resume);
            }
            RunState::Fresh | RunState::Finished | RunState::Deadlocked => self.run_all(),
        }
    }

    /// One step of the chosen kind; in the past: to the next thing.
    pub fn step_forward(self) {
        if let Some(at) = self.past.get_untracked() {
            let live = self.live.get_untracked();
            let next = self.trace.with_untracked(|trace| trace.after(at)).filter(|next| *next < live);
            self.past.set(next);
            return;
        }
        if let RunState::Fresh | RunState::Finished | RunState::Deadlocked = self.run.get_untracked() {
            self.run_all();
            self.bridge.send(Command::Pause);
        }
        self.bridge.send(Command::Step(self.step.get_untracked()));
    }

    /// Look at the moment before.
    pub fn step_back(self) {
        let at = self.time.get_untracked();
        if let Some(before) = self.trace.with_untracked(|trace| trace.before(at)) {
            if self.run.get_untracked() == RunState::Running {
                self.bridge.send(Command::Pause);
            }
            self.past.set(Some(before));
        }
    }

    /// Look at a moment of the past, or live if it is now.
    pub fn look_at(self, at: u64) {
        let live = self.live.get_untracked();
        if at < live {
            if self.run.get_untracked() == RunState::Running {
                self.bridge.send(Command::Pause);
            }
            self.past.set(Some(at));
        } else {
            self.past.set(None);
        }
    }

    /// Chooses how fast time passes.
    pub fn set_speed(self, speed: Speed) {
        self.speed.set(speed);
        self.bridge.send(Command::SetSpeed(speed));
    }

    /// Changes what the ladder leaves out.
    pub fn set_filter(self, change: impl FnOnce(&mut LadderFilter)) {
        let mut filter = self.filter.get_untracked();
        change(&mut filter);
        self.filter.set(filter.clone());
        self.trace.update(|trace| trace.set_filter(filter));
    }

    /// The address of a host that has none by the lab file, at the time shown; empty: it has none.
    pub fn lent_address(self, node: u32) -> String {
        self.sockets.with(|sockets| sockets.address_of(node).unwrap_or_default().to_owned())
    }

    /// Marks a packet everywhere, and its conversation.
    pub fn select_packet(self, packet: u64) {
        let conversation =
            self.trace.with_untracked(|trace| trace.packets.row_of(packet).and_then(|row| row.conversation));
        self.selection.set(Selection { packet: Some(packet), conversation, ..Selection::default() });
    }

    /// Marks a packet and brings the ladder to it.
    pub fn show_packet(self, packet: u64) {
        self.select_packet(packet);
        self.follow(self.selection.with_untracked(|selection| selection.conversation));
        self.tab.set(TrafficTab::Ladder);
        self.pane.set(Pane::Traffic);
    }

    /// Marks a conversation and lets the ladder follow it; none: all.
    pub fn select_conversation(self, conversation: Option<u32>) {
        self.selection.update(|selection| selection.conversation = conversation);
        if conversation.is_some() {
            self.follow(conversation);
        }
    }

    /// Marks a socket, and its conversation.
    pub fn select_socket(self, node: u32, socket: u32, conversation: Option<u32>) {
        self.selection.set(Selection { conversation, socket: Some((node, socket)), ..Selection::default() });
        if conversation.is_some() {
            self.follow(conversation);
        }
    }

    /// Lets the ladder follow one conversation, or all.
    pub fn follow(self, conversation: Option<u32>) {
        if self.filter.with_untracked(|filter| filter.conversation) != conversation {
            self.set_filter(|filter| filter.conversation = conversation);
        }
    }

    /// Marks a call and brings the ladder to it.
    pub fn show_call(self, call: u64, program: u32) {
        self.select_call(call, program);
        self.tab.set(TrafficTab::Ladder);
        self.pane.set(Pane::Traffic);
    }

    /// Marks a call and brings its line into the editor.
    pub fn select_call(self, call: u64, program: u32) {
        self.selection.set(Selection { call: Some(call), ..Selection::default() });
        self.program.set(program);
    }

    /// Nothing is marked any more.
    pub fn clear_selection(self) {
        self.selection.set(Selection::default());
    }

    /// The files as they are now.
    pub fn sources(self) -> Vec<socketlab_protocol::SourceFile> {
        self.files.with_untracked(|files| files::sources(files))
    }
}
