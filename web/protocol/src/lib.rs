//! What the page and the lab worker say to each other: [`Command`] out, [`Update`] in. Travels as postcard bytes in
//! `postMessage`; both sides are built from the same source.

mod lan;
mod real;

pub use lan::{
    LanDeed, LanHost, LanJoin, LanMember, LanNotice, LanPhase, LanPort, LanStream, LanTraffic, LanView,
};
pub use real::{RealSocket, TurnedAway};
use serde::{Deserialize, Serialize};
use socketlab_view::{Event, LinkState, NodeChange, TopologyView};

/// A program's file in the editor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// File name as in the lab: `server.py`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A program of the lab, as the page lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramView {
    /// Index in the lab's order.
    pub program: u32,
    /// Index of the node it runs on.
    pub node: u32,
    /// The host's name.
    pub host: String,
    /// Its main file.
    pub file: String,
    /// Stopped when all others have ended.
    pub forever: bool,
}

/// What one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The next thing of any kind.
    Event,
    /// Until a frame arrives at a host.
    Packet,
    /// Until a system call begins or ends.
    Call,
}

/// How fast virtual time passes, in thousandths of the normal pace (one link hop in about 700 ms on screen).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speed {
    /// 250, 500, 1000, 2000, 4000.
    Permille(u32),
    /// As fast as the machine can.
    Instant,
}

/// Why a lab could not be loaded, in the lab file's own terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabProblem {
    /// File, `lab.toml`.
    pub file: String,
    /// Line, from 1; 0 if unknown.
    pub line: u32,
    /// Field, such as `link[0].between`.
    pub field: String,
    /// Message key such as `lab-unknown-field`.
    pub key: String,
    /// Parameters of the message.
    pub args: Vec<(String, String)>,
    /// English text with the fix, as the command line prints it.
    pub text: String,
}

/// From the page to the lab worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields say it")]
pub enum Command {
    /// First message. `base`: URL of the folder with Pyodide, snapshot and shim, ending in `/`. `relay`: `ws://.../wisp/`.
    Boot { base: String, relay: String },
    /// Load a lab (replaces the one before): the text of lab.toml, and the program files.
    LoadLab { toml: String, files: Vec<SourceFile>, seed: u64 },
    /// Start all programs from a fresh world, with these files.
    RunAll { files: Vec<SourceFile> },
    /// Start one program again (or for the first time) in the running world.
    RunProgram { program: u32, files: Vec<SourceFile> },
    /// Ctrl-C for one program: `KeyboardInterrupt`.
    Interrupt { program: u32 },
    /// Kill all programs and go back to a fresh world.
    Reset,
    /// Virtual time stands still.
    Pause,
    /// Virtual time goes on.
    Resume,
    /// One step, then pause.
    Step(Step),
    /// How fast.
    SetSpeed(Speed),
    /// A line typed into a program's console, with its newline; empty: end of file.
    Stdin { program: u32, text: String },
    /// A link behaves like this from now on; `cut` and `held` do not count.
    SetLink { link: u32, state: LinkState },
    /// Cuts a link, or mends it.
    CutLink { link: u32, cut: bool },
    /// Does something to a frame that is under way or held.
    Frame { frame: u64, deed: FrameDeed },
    /// Join a shared LAN; a lab without a port to one gets one. Ends what runs: its hosts get other addresses.
    JoinLan(LanJoin),
    /// Leave it.
    LeaveLan,
    /// A teacher does something in it.
    LanDeed(LanDeed),
    /// The relay's class code from now on; the relay is tried again if it turned the page away.
    SetCode { code: String },
    /// Ask for the trace as pcapng; answered by [`Update::Pcap`].
    ExportPcap,
}

/// What is done to one frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameDeed {
    /// It stays where it is.
    Hold,
    /// It arrives, if it was held.
    Release,
    /// It is lost.
    Drop,
    /// It has these octets from now on.
    Edit(Vec<u8>),
}

/// How far Python has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PythonState {
    /// Nothing fetched yet.
    NotLoaded,
    /// Fetching: octets so far and in all (0: unknown).
    Loading {
        /// Octets so far.
        loaded: u64,
        /// Octets in all, 0 if unknown.
        total: u64,
    },
    /// Ready to run.
    Ready,
    /// This browser cannot run it: no JSPI.
    NoJspi,
    /// Something failed; the text is for a bug report.
    Failed(String),
}

/// How the connection to the relay is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayState {
    /// The lab has no gateway, or nothing was sent yet.
    Unused,
    /// Trying.
    Connecting,
    /// Open.
    Open,
    /// Lost; next try in so many milliseconds.
    Lost {
        /// Wait before the next try.
        retry_ms: u32,
    },
    /// Ended by the relay; not tried again before [`Command::SetCode`].
    TurnedAway(TurnedAway),
}

/// Run, pause, done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Nothing was started.
    Fresh,
    /// Virtual time passes.
    Running,
    /// It stands still by the user's wish.
    Paused,
    /// Every program has ended, or was stopped.
    Finished,
    /// Every program waits and nothing will wake one.
    Deadlocked,
}

/// From the lab worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Update {
    /// The worker's code runs.
    Booted,
    /// State of Python.
    Python(PythonState),
    /// A lab was loaded.
    LabLoaded {
        /// Title from the lab file.
        title: String,
        /// Topology.
        topology: TopologyView,
        /// Programs.
        programs: Vec<ProgramView>,
    },
    /// A lab could not be loaded.
    LabRefused(Vec<LabProblem>),
    /// A new run begins: forget all events.
    RunStarted,
    /// What happened since the last time, in order.
    Events(Vec<Event>),
    /// Virtual time, and how it passes: nanoseconds now, nanoseconds per second of the wall clock.
    Clock {
        /// Now, in nanoseconds.
        now: u64,
        /// Nanoseconds of virtual time per wall-clock second, 0 when it stands still.
        rate: u64,
        /// How far time may be carried on without another update: the next thing that will happen, if known, or a
        /// little more while frames are under way.
        next: Option<u64>,
    },
    /// State of the run.
    Run(RunState),
    /// What changed in sockets and tables, node by node, in the order of time.
    Nodes(Vec<NodeChange>),
    /// All links as they are now, by number.
    Links(Vec<LinkState>),
    /// State of the relay.
    Relay(RelayState),
    /// A sentence of the relay for the person: what it refused and why, which limit bites, its welcome.
    RelaySays(String),
    /// How a real connection is.
    Real(RealSocket),
    /// The lab has a port to a shared LAN: the room that its file names, if it does.
    LanPort(Option<String>),
    /// The shared LAN as it is now.
    Lan(LanView),
    /// What happened there, for the person.
    LanSays(LanNotice),
    /// The trace as a pcapng file.
    Pcap(Vec<u8>),
    /// The run was paused: what the page keeps of it has grown by a large step since it last said so.
    LongRun {
        /// What it takes by now, in MiB: an estimate.
        mebibytes: u32,
    },
    /// Nothing was started: more programs would run at once than a browser has memory for.
    TooManyPrograms {
        /// How many may run at once.
        limit: u32,
        /// How many would have.
        asked: u32,
    },
}

impl Command {
    /// To bytes for `postMessage`.
    ///
    /// # Panics
    /// Never: these types have no form that postcard refuses.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data always encodes")
    }

    /// From bytes.
    ///
    /// # Errors
    /// If the bytes are not those of a command of this build.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

impl Update {
    /// To bytes for `postMessage`.
    ///
    /// # Panics
    /// Never: these types have no form that postcard refuses.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data always encodes")
    }

    /// From bytes.
    ///
    /// # Errors
    /// If the bytes are not those of an update of this build.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
