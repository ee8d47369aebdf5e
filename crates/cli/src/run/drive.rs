//! The loop between the programs' processes and the world. Virtual time jumps from event to event, and only a program
//! that computes makes anybody wait; but while a connection to the real world is open, it follows the wall clock.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use socketlab_netsim::{Detail, ExitStatus, NodeKind, Output, RecordKind, Rest, Stdin, Stream, Turn, World};
use socketlab_stack::{CallId, Instant, Pid};

use super::RunOptions;
use super::console::Console;
use super::deadlock::Waiting;
use super::far::{FarSide, News};
use super::live::{Events, Live};
use super::pcap::Pcap;
use super::process::{Door, Heard, Process};
use super::python::Python;
use super::recorded::Recorded;
use super::source::Folders;
use super::terminal;
use super::trace::Trace;
use super::typed::Typed;
use crate::complain;

/// Status of a program that we ended by force: death by SIGKILL.
const KILLED_BY_US: i32 = -9;
/// Octets that a program may print. A choice: no lesson needs as much, and a loop that prints must end.
const MOST_OUTPUT: usize = 16 << 20;
/// How long the machine may take to copy a process.
const COPY_PATIENCE: Duration = Duration::from_secs(10);
/// How often a wait for the real world looks whether it should end. A choice.
const LOOK: Duration = Duration::from_millis(100);

/// How the run ended.
pub(crate) struct End {
    pub(crate) ending: Ending,
    /// By program; none: it had not ended.
    pub(crate) statuses: Vec<Option<ExitStatus>>,
    /// By Ctrl-C.
    pub(crate) interrupted: bool,
}

/// Why the run ended.
pub(crate) enum Ending {
    /// Every program ended.
    Finished,
    /// `--until` was reached.
    Timeout,
    /// All wait, and nothing will wake one.
    Deadlock(Vec<Waiting>),
}

struct Run<'a> {
    world: Recorded<'a>,
    python: &'a Python,
    folders: &'a Folders,
    console: &'a mut Console,
    options: &'a RunOptions,
    processes: BTreeMap<Pid, Process>,
    /// Where copies of processes come to, and those that are to come.
    door: Door,
    copies: BTreeSet<Pid>,
    programs: BTreeMap<Pid, usize>,
    calls: BTreeMap<CallId, Waiting>,
    /// For a view or a trace.
    events: Events,
    live: Option<Live>,
    colours: bool,
    trace: Option<Trace>,
    pcap: Option<Pcap>,
    typed: Typed,
    /// The far side of the lab's gateway, if it has one.
    real: Option<FarSide>,
    /// While a real connection is open, or somebody is to type: the same instant on the wall clock and in the lab.
    anchor: Option<(std::time::Instant, Instant)>,
    end: End,
}

/// Runs the lab to its end.
pub(crate) fn drive(
    world: &mut World,
    python: &Python,
    folders: &Folders,
    console: &mut Console,
    options: &RunOptions,
) -> Result<End> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("no way to hear Ctrl-C")?;
    }
    let real = match world.topology().nodes.iter().any(|node| node.kind == NodeKind::Gateway) {
        true => Some(FarSide::new(options)?),
        false => None,
    };
    let statuses = vec![None; world.programs().len()];
    let end = End { ending: Ending::Finished, statuses, interrupted: false };
    let events = Events::new(world);
    let live = Live::new(options.view, &events, terminal::columns());
    let pcap = options.pcap.as_deref().map(|path| Pcap::create(path, world.topology())).transpose()?;
    let world = Recorded::new(world, options.record.as_deref())?;
    let mut run = Run {
        world,
        python,
        folders,
        console,
        options,
        processes: BTreeMap::new(),
        door: Door::open(folders.file("engine"))?,
        copies: BTreeSet::new(),
        programs: BTreeMap::new(),
        calls: BTreeMap::new(),
        live,
        events,
        colours: terminal::colours(options.color),
        trace: options.trace.as_deref().map(Trace::create).transpose()?,
        pcap,
        typed: Typed::new(),
        real,
        anchor: None,
        end,
    };
    if run.live.is_none() && run.trace.is_none() && run.pcap.is_none() && !run.world.is_logged() {
        run.world.set_detail(Detail::Programs);
    }
    run.world.start();
    let result = run.until_the_end(&interrupted);
    // Whatever ended the run, what was written so far is whole.
    let rest = run.live.as_mut().map(|live| live.finish(run.colours)).unwrap_or_default();
    run.console.flush()?;
    run.console.show(&rest)?;
    if let Some(trace) = run.trace.take() {
        trace.finish()?;
    }
    if let Some(pcap) = run.pcap.take() {
        pcap.finish()?;
    }
    run.world.finish()?;
    result?;
    if let Some(real) = run.real.take() {
        real.finish();
    }
    Ok(run.end)
}

impl Run<'_> {
    fn until_the_end(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let until = Instant::ZERO + self.options.until;
        loop {
            while let Some(output) = self.world.poll_output() {
                self.put_out(output, interrupted)?;
            }
            self.read_records()?;
            if interrupted.load(Ordering::Relaxed) {
                self.end.interrupted = true;
                return Ok(());
            }
            self.keep_pace();
            self.tell_progress();
            if self.type_in()? {
                continue;
            }
            match self.world.turn() {
                Turn::Process(pid) => self.listen_to(pid, interrupted)?,
                Turn::Event(at) if at <= until => {
                    if !self.hear_real_world(Some(at)) {
                        self.world.step();
                    }
                }
                Turn::Idle if self.world.rest() == Rest::RealWorld && self.real_now() < until => {
                    self.hear_real_world(None);
                }
                // The next event of the lab's own comes too late, but the real world's news may come before.
                Turn::Event(_) if self.world.real_time() && self.real_now() < until => {
                    self.hear_real_world(Some(until));
                }
                Turn::Event(_) => {
                    self.world.advance_to(until);
                    self.end.ending = Ending::Timeout;
                    return Ok(());
                }
                Turn::Idle => {
                    if self.world.rest() == Rest::RealWorld {
                        self.end.ending = Ending::Timeout;
                    }
                    if let Rest::Deadlock(calls) = self.world.rest() {
                        let waiting = calls.iter().filter_map(|call| self.calls.get(call).cloned());
                        self.end.ending = Ending::Deadlock(self.explained(waiting.collect()));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// What each of these calls waits for, in the order of programs and threads.
    fn explained(&self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        let sockets = self.events.ingest.sockets(self.world.now(), &self.world.snapshot());
        for call in &mut waiting {
            let host = self.world.programs().get(call.program).map(|program| program.host.as_str());
            let nodes = &self.events.topology.nodes;
            let node = nodes.iter().position(|node| Some(node.name.as_str()) == host);
            call.explain(node, &sockets, self.world.topology());
        }
        waiting.sort_by_key(|call| (call.program, call.thread));
        waiting
    }

    /// Ties the lab's clock to the wall clock when a real connection opens, and unties it when the last one is gone.
    fn keep_pace(&mut self) {
        if !self.world.real_time() && !self.somebody_types() {
            self.anchor = None;
        } else if self.anchor.is_none() {
            self.anchor = Some((std::time::Instant::now(), self.world.now()));
        }
    }

    /// What the lab's clock should show by the wall clock.
    fn real_now(&self) -> Instant {
        self.anchor.map_or(self.world.now(), |(wall, lab)| lab + wall.elapsed())
    }

    /// While a real connection is open: waits for news of it, at most until the lab's clock may show `at`. Whether
    /// the world must be asked again before that event may happen.
    fn hear_real_world(&mut self, at: Option<Instant>) -> bool {
        let real_now = self.real_now();
        let (Some(real), Some(_)) = (&mut self.real, self.anchor) else { return false };
        let wait = at.map_or(LOOK, |at| at.saturating_since(real_now).min(LOOK));
        match real.listen(wait) {
            Some(News::Event(event)) => {
                self.world.advance_to(self.real_now());
                self.world.handle_gateway(event);
                true
            }
            Some(News::Refusal(sentence)) => {
                complain(&sentence);
                true
            }
            None => at.is_none_or(|at| at > self.real_now()),
        }
    }

    /// The program that has waited longest for what the person at the terminal types.
    fn asks(&self) -> Option<(Pid, usize)> {
        let open = |pid: &Pid| {
            let program = *self.programs.get(pid)?;
            (self.world.programs().get(program)?.stdin == Stdin::Open).then_some((*pid, program))
        };
        self.world.waiting_for_input().iter().find_map(open)
    }

    /// Whether virtual time follows the wall clock because somebody is to type.
    fn somebody_types(&self) -> bool {
        self.typed.by_hand && self.asks().is_some()
    }

    /// Gives a line of our standard input to the program that asks. From a file it is there at once, and virtual time
    /// stands still until it is; from a keyboard it comes when it comes, and the network goes on meanwhile. Whether
    /// the world must be asked again.
    fn type_in(&mut self) -> Result<bool> {
        if matches!(self.world.turn(), Turn::Process(_)) {
            return Ok(false);
        }
        // What was typed last is an event of this instant: it comes first.
        if matches!(self.world.turn(), Turn::Event(at) if at <= self.world.now()) {
            return Ok(false);
        }
        let Some((pid, program)) = self.asks() else { return Ok(false) };
        self.console.ask(program)?;
        let next = match self.world.turn() {
            Turn::Event(at) => Some(at),
            _ => None,
        };
        let real = self.world.real_time();
        let wait = match next {
            // News of the real world must not wait.
            _ if real => Duration::from_millis(5),
            Some(at) if self.typed.by_hand => at.saturating_since(self.real_now()).min(LOOK),
            _ => LOOK,
        };
        match self.typed.line(wait) {
            Some(line) => {
                if self.typed.by_hand {
                    self.world.advance_to(self.real_now());
                }
                self.world.stdin(pid, &line);
                Ok(true)
            }
            // The network goes on while nobody types.
            None => Ok(!(real || self.typed.by_hand && next.is_some_and(|at| at <= self.real_now()))),
        }
    }

    fn tell_progress(&mut self) {
        let (world, end) = (&self.world, &self.end);
        self.console.tell(|| {
            let ended = end.statuses.iter().flatten().count();
            let (ms, all) = (world.now().as_nanos() / 1_000_000, end.statuses.len());
            let frames = world.packets_sent();
            format!(
                "{}.{:03} s of virtual time, {ended} of {all} programs ended, {frames} frames",
                ms / 1000,
                ms % 1000
            )
        });
    }

    fn put_out(&mut self, output: Output, interrupted: &AtomicBool) -> Result<()> {
        match output {
            Output::Start { pid, program } => self.start(pid, program),
            Output::Fork { parent, pid } => {
                if let Some(&program) = self.programs.get(&parent) {
                    self.programs.insert(pid, program);
                }
                self.copies.insert(pid);
                Ok(())
            }
            Output::Message { pid, bytes } => {
                if self.copies.contains(&pid) && !self.processes.contains_key(&pid) {
                    let stop = || interrupted.load(Ordering::Relaxed);
                    match self.door.wait_for(pid.0, COPY_PATIENCE, &stop)? {
                        Some(copy) => _ = self.processes.insert(pid, copy),
                        None => {
                            self.world.exited(pid, KILLED_BY_US);
                            return Ok(());
                        }
                    }
                }
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.send(&bytes).context("a program cannot be spoken to")?;
                }
                Ok(())
            }
            Output::Kill { pid } => {
                self.processes.remove(&pid);
                Ok(())
            }
            // Nobody presses Ctrl-C for one program here: the command ends with all of them.
            Output::Interrupt { .. } => Ok(()),
            // Nobody else is on the wire: the command line joins no room.
            Output::Lan { .. } => Ok(()),
            Output::Gateway(request) => {
                if let Some(real) = &mut self.real {
                    real.handle(request);
                }
                Ok(())
            }
        }
    }

    fn start(&mut self, pid: Pid, number: usize) -> Result<()> {
        let Some(program) = self.world.programs().get(number) else { return Ok(()) };
        let mut command = self.python.command();
        command
            // The socket is standard input.
            .arg("0")
            .arg(self.door.path())
            .args([&pid.to_string(), &self.world.now().as_nanos().to_string()])
            .arg(self.options.seed.to_string())
            .arg(&program.file)
            .args(&program.args)
            .current_dir(self.folders.of(&program.host));
        self.processes.insert(pid, Process::start(command, self.folders.file(&format!("{pid}.log")))?);
        self.programs.insert(pid, number);
        Ok(())
    }

    /// Waits for the message of the process whose turn it is.
    fn listen_to(&mut self, pid: Pid, interrupted: &AtomicBool) -> Result<()> {
        let Some(process) = self.processes.get_mut(&pid) else { bail!("process {pid} never started") };
        let stop = || interrupted.load(Ordering::Relaxed);
        let begin = std::time::Instant::now();
        match process.receive(self.options.cpu_limit, &stop).context("a program cannot be heard")? {
            Heard::Message(message) => {
                let result = self.world.handle_message(pid, &message);
                let spun =
                    if self.world.spins(pid) { process.spun + begin.elapsed() } else { Duration::ZERO };
                process.spun = spun;
                if let Err(error) = result {
                    self.put_down(
                        pid,
                        KILLED_BY_US,
                        &format!("socketlab: a message it sent cannot be read: {error}\n"),
                    )?;
                } else if spun > self.options.cpu_limit {
                    self.stop_computing(pid)?;
                }
            }
            Heard::Ended(status) => {
                let words = process.last_words();
                self.put_down(pid, status, &words)?;
            }
            Heard::Silent => self.stop_computing(pid)?,
            Heard::Interrupted => {}
        }
        Ok(())
    }

    /// It has computed for too long.
    fn stop_computing(&mut self, pid: Pid) -> Result<()> {
        let limit = self.options.cpu_limit.as_secs_f64();
        let words =
            format!("socketlab: stopped: it computed for {limit} s without any system call (--cpu-limit)\n");
        self.put_down(pid, KILLED_BY_US, &words)
    }

    /// A process is over that did not say so itself.
    fn put_down(&mut self, pid: Pid, status: i32, words: &str) -> Result<()> {
        if let Some(program) = self.programs.get(&pid) {
            self.console.print(*program, Stream::Stderr, words)?;
        }
        self.processes.remove(&pid);
        self.world.exited(pid, status);
        Ok(())
    }

    fn read_records(&mut self) -> Result<()> {
        for record in self.world.drain_records() {
            if self.live.is_some() || self.trace.is_some() {
                let event = self.events.event(&record);
                if let Some(live) = &mut self.live {
                    let lines = live.see(&event, &record, &self.world, &self.events, self.colours);
                    self.console.show(&lines)?;
                }
                if let Some(trace) = &mut self.trace {
                    trace.write(&event).context("the trace cannot be written")?;
                }
            }
            match &record.kind {
                RecordKind::Console { pid, stream, text } => {
                    if let Some(program) = self.programs.get(pid) {
                        self.console.print(*program, *stream, text)?;
                        if self.console.octets(*program) > MOST_OUTPUT && self.processes.contains_key(pid) {
                            let limit = MOST_OUTPUT >> 20;
                            self.put_down(
                                *pid,
                                KILLED_BY_US,
                                &format!("\nsocketlab: stopped: it printed more than {limit} MiB\n"),
                            )?;
                        }
                    }
                }
                RecordKind::ProcessExited { pid, status } => {
                    let own = !self.copies.contains(pid);
                    if own
                        && let Some(slot) = self.programs.get(pid).and_then(|p| self.end.statuses.get_mut(*p))
                    {
                        *slot = Some(status.clone());
                    }
                    self.processes.remove(pid);
                }
                RecordKind::CallEntered { call, pid, tid, name, args, place, socket } => {
                    if let Some(&program) = self.programs.get(pid) {
                        let (args, place) = (args.clone(), place.clone());
                        let waiting = Waiting {
                            program,
                            thread: *tid,
                            name,
                            args,
                            place,
                            socket: *socket,
                            since: record.at,
                            waits_for: String::new(),
                        };
                        self.calls.insert(*call, waiting);
                    }
                }
                RecordKind::CallReturned { call, .. } => {
                    self.calls.remove(call);
                }
                _ => {}
            }
            if let Some(pcap) = &mut self.pcap {
                pcap.push(&record);
            }
        }
        self.world.write()?;
        match &mut self.pcap {
            Some(pcap) => pcap.write(),
            None => Ok(()),
        }
    }
}
