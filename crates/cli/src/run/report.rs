//! How a run ended: the JSON object of `--json`, or sentences.

use serde::Serialize;
use socketlab_netsim::{ExitStatus, World};

use super::console::Console;
use super::deadlock::Waiting;
use super::drive::{End, Ending};

/// The run, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// One for each `[[program]]`, in the file's order.
    programs: Vec<ProgramReport>,
    /// When the last thing happened, in virtual time.
    virtual_time_ns: u64,
    seed: u64,
    /// What each program waits for, when all wait and nothing will wake one.
    deadlock: Option<Vec<WaitingReport>>,
    /// Frames that a host or gateway sent; one that a switch passed on is not counted again.
    frames: u64,
}

#[derive(Debug, Serialize)]
struct ProgramReport {
    host: String,
    file: String,
    stdout: String,
    stderr: String,
    exit: Exit,
}

/// An exit status, `"killed"` for a `forever` program, `"timeout"` for one that did not end.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Exit {
    Status(i32),
    Word(&'static str),
}

#[derive(Debug, Serialize)]
struct WaitingReport {
    host: String,
    file: String,
    /// Thread of the program; the main thread is 1.
    thread: u32,
    /// The call with its arguments: `recv(4, 1024)`.
    call: String,
    /// The line that made it: `server.py:7`.
    #[serde(rename = "where")]
    place: String,
    /// In words: `octets from 10.0.0.2:7`.
    waits_for: String,
    /// When it made the call, in virtual time.
    since_ns: u64,
}

impl Report {
    pub(crate) fn new(world: &World, console: &Console, end: &End, seed: u64) -> Report {
        let programs = world.programs().iter().enumerate().map(|(number, program)| {
            let printed = console.printed(number);
            let exit = match end.statuses.get(number).and_then(Option::as_ref) {
                Some(ExitStatus::Exited(status)) => Exit::Status(*status),
                Some(ExitStatus::Killed) => Exit::Word("killed"),
                None => Exit::Word("timeout"),
            };
            let (host, file) = (program.host.clone(), program.file.clone());
            ProgramReport { host, file, stdout: printed.stdout, stderr: printed.stderr, exit }
        });
        let deadlock = match &end.ending {
            Ending::Deadlock(waiting) => Some(waiting.iter().map(|w| waiting_report(world, w)).collect()),
            Ending::Finished | Ending::Timeout => None,
        };
        Report {
            programs: programs.collect(),
            virtual_time_ns: world.now().as_nanos(),
            seed,
            deadlock,
            frames: world.packets_sent(),
        }
    }

    /// Whether every program exited with 0, or was stopped as it was meant to be.
    pub(crate) fn all_well(&self, world: &World) -> bool {
        let well = |(number, program): (usize, &ProgramReport)| match program.exit {
            Exit::Status(status) => status == 0,
            Exit::Word(word) => word == "killed" && world.programs().get(number).is_some_and(|p| p.forever),
        };
        self.deadlock.is_none() && self.programs.iter().enumerate().all(well)
    }

    /// What a person at the terminal should know beside what the programs printed.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(waiting) = &self.deadlock {
            sentences.push("every program waits, and nothing is on its way that could wake one:".to_owned());
            for w in waiting {
                let place = if w.place.is_empty() { w.file.clone() } else { w.place.clone() };
                let call = match w.call.starts_with("park(") {
                    true => String::new(),
                    false => format!("in {} ", w.call),
                };
                sentences.push(format!("  {} waits {call}at {place} for {}", w.host, w.waits_for));
            }
            return sentences;
        }
        for program in &self.programs {
            match program.exit {
                Exit::Status(0) | Exit::Word("killed") => {}
                Exit::Status(status) => {
                    sentences
                        .push(format!("{} on {} ended with status {status}", program.file, program.host));
                }
                Exit::Word(_) => {
                    let seconds = self.virtual_time_ns as f64 / 1e9;
                    sentences.push(format!(
                        "{} on {} had not ended after {seconds} s of virtual time; --until TIME waits longer",
                        program.file, program.host
                    ));
                }
            }
        }
        sentences
    }
}

fn waiting_report(world: &World, waiting: &Waiting) -> WaitingReport {
    let program = world.programs().get(waiting.program);
    WaitingReport {
        host: program.map(|p| p.host.clone()).unwrap_or_default(),
        file: program.map(|p| p.file.clone()).unwrap_or_default(),
        thread: waiting.thread,
        call: format!("{}({})", waiting.name, waiting.args),
        place: waiting.place.clone(),
        waits_for: waiting.waits_for.clone(),
        since_ns: waiting.since.as_nanos(),
    }
}
