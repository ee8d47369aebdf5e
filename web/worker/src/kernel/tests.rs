//! The kernel through its front door, with programs that speak the messages of `socketlab_netsim::abi` themselves.

use std::time::Duration;

use socketlab_protocol::{Command, RunState, SourceFile, Speed, Step, Update};
use socketlab_stack::Pid;
use socketlab_view::{ConsoleStream, EventKind};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Job, Kernel, Wait};

const MORE: u8 = 1;
const POST: u8 = 2;

const TWO_HOSTS: &str = r#"
version = 1
title = "Two"
[[host]]
name = "a"
[[host]]
name = "b"
[[program]]
host = "a"
file = "one.py"
[[program]]
host = "b"
file = "two.py"
args = ["--port", "7007"]
"#;

/// A value as Python's marshal format, version 0, has it.
enum Value<'a> {
    None,
    Int(i32),
    Str(&'a str),
}

/// `tid flags marshal((op, where, *args))` of the main thread.
fn message(flags: u8, op: &str, args: &[Value<'_>]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, flags, b'('];
    let values = [Value::Str(op), Value::Str("one.py:7")];
    bytes.extend((args.len() as u32 + 2).to_le_bytes());
    for value in values.iter().chain(args) {
        match value {
            Value::None => bytes.push(b'N'),
            Value::Int(number) => {
                bytes.push(b'i');
                bytes.extend(number.to_le_bytes());
            }
            Value::Str(text) => {
                bytes.push(b'u');
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    bytes
}

/// A kernel, a wall clock that only the test moves, and what the page has heard.
struct Page {
    kernel: Kernel,
    wall: Duration,
    heard: Vec<Update>,
    jobs: Vec<Job>,
}

impl Page {
    fn new(lab: &str) -> Page {
        let wall = Duration::from_secs(1);
        let mut page = Page { kernel: Kernel::default(), wall, heard: Vec::new(), jobs: Vec::new() };
        page.says(Command::LoadLab { toml: lab.to_owned(), files: files(), seed: 1 });
        page
    }

    fn says(&mut self, command: Command) -> Wait {
        self.kernel.handle_command(self.wall, command);
        self.goes_on()
    }

    fn program_says(&mut self, pid: Pid, flags: u8, op: &str, args: &[Value<'_>]) -> Wait {
        self.kernel.handle_message(pid, &message(flags, op, args));
        self.goes_on()
    }

    fn goes_on(&mut self) -> Wait {
        let wait = loop {
            match self.kernel.pump(self.wall) {
                Wait::Again => {}
                wait => break wait,
            }
        };
        self.jobs.extend(std::iter::from_fn(|| self.kernel.poll_job()));
        self.heard.extend(std::iter::from_fn(|| self.kernel.poll_update(self.wall)));
        wait
    }

    /// The wall clock goes on by so much, and the kernel is called whenever it asked to be.
    fn after(&mut self, ms: u64) -> Wait {
        let end = self.wall + Duration::from_millis(ms);
        loop {
            match self.goes_on() {
                Wait::Until(due) if due < end => self.wall = due,
                wait if self.wall == end => return wait,
                _ => self.wall = end,
            }
        }
    }

    /// The next program that is to be started: its process and its file.
    fn started(&mut self) -> (Pid, String) {
        for at in 0..self.jobs.len() {
            if let Job::Start(_) = self.jobs[at]
                && let Job::Start(start) = self.jobs.remove(at)
            {
                return (start.pid, start.file);
            }
        }
        panic!("no program is to be started: {:?}", self.jobs);
    }

    /// The next reply for a program, from its marshalled part on.
    fn reply(&mut self, to: Pid) -> Vec<u8> {
        let at = self.jobs.iter().position(|job| matches!(job, Job::Message { pid, .. } if *pid == to));
        match self.jobs.remove(at.expect("a reply")) {
            Job::Message { bytes, .. } => bytes[4..].to_vec(),
            _ => unreachable!("it was a message"),
        }
    }

    fn states(&self) -> Vec<RunState> {
        self.heard
            .iter()
            .filter_map(|u| if let Update::Run(state) = u { Some(*state) } else { None })
            .collect()
    }

    fn printed(&self) -> String {
        let events = self.heard.iter().filter_map(|u| if let Update::Events(e) = u { Some(e) } else { None });
        let texts = events.flatten().filter_map(|event| match &event.kind {
            EventKind::Console { stream: ConsoleStream::Stdout, text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

fn files() -> Vec<SourceFile> {
    ["one.py", "two.py"].map(|name| SourceFile { name: name.to_owned(), text: String::new() }).into()
}

#[wasm_bindgen_test]
fn a_lab_is_loaded_and_shown() {
    let page = Page::new(TWO_HOSTS);
    let Some(Update::LabLoaded { title, topology, programs }) = page.heard.first() else {
        panic!("{:?}", page.heard)
    };
    assert_eq!(title, "Two");
    assert_eq!(topology.nodes[0].name, "a");
    assert_eq!(programs[1].host, "b");
    assert_eq!(programs[1].file, "two.py");
    assert_eq!(page.states(), [RunState::Fresh]);
}

#[wasm_bindgen_test]
fn a_wrong_lab_is_refused_with_its_line() {
    let page = Page::new("version = 1\n[[host]]\nname = \"a\"\n[[program]]\nhost = \"c\"\nfile = \"x.py\"\n");
    let Some(Update::LabRefused(problems)) = page.heard.first() else { panic!("{:?}", page.heard) };
    assert_eq!(problems[0].line, 5);
}

#[wasm_bindgen_test]
fn programs_run_print_and_end() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunAll { files: files() });
    for expected in ["one.py", "two.py"] {
        let (pid, file) = page.started();
        assert_eq!(file, expected);
        page.program_says(pid, POST | MORE, "write", &[Value::Int(1), Value::Str("hej\n")]);
        page.program_says(pid, POST, "exit", &[Value::Int(0)]);
    }
    page.after(1000);
    assert_eq!(page.printed(), "hej\nhej\n");
    assert_eq!(page.states(), [RunState::Fresh, RunState::Fresh, RunState::Running, RunState::Finished]);
}

#[wasm_bindgen_test]
fn a_program_gets_its_arguments_and_all_files() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunProgram { program: 1, files: files() });
    let Some(Job::Start(start)) = page.jobs.iter().find(|job| matches!(job, Job::Start(_))) else {
        panic!("{:?}", page.jobs)
    };
    assert_eq!(start.args, ["--port", "7007"]);
    assert_eq!(start.files, files());
}

#[wasm_bindgen_test]
fn too_many_programs_are_refused_clearly() {
    let mut lab = String::from("version = 1\n[[host]]\nname = \"a\"\n");
    lab.push_str(&"[[program]]\nhost = \"a\"\nfile = \"one.py\"\n".repeat(9));
    let mut page = Page::new(&lab);
    page.says(Command::RunAll { files: files() });
    assert!(page.heard.contains(&Update::TooManyPrograms { limit: 8, asked: 9 }), "{:?}", page.heard);
    assert_eq!(page.jobs, []);
}

#[wasm_bindgen_test]
fn every_nodes_tables_are_there_before_the_first_instant_ends() {
    let mut page = Page::new(TWO_HOSTS);
    page.heard.clear();
    // Its Python takes its time: nothing happens in the lab until it has come.
    page.says(Command::RunAll { files: files() });
    let nodes: Vec<u32> = page
        .heard
        .iter()
        .filter_map(|update| if let Update::Nodes(changes) = update { Some(changes) } else { None })
        .flatten()
        .filter(|change| change.tables.is_some())
        .map(|change| change.node)
        .collect();
    assert_eq!(nodes, [0, 1, 2], "two hosts and their switch: {:?}", page.heard);
}

#[wasm_bindgen_test]
fn a_run_that_grows_very_long_pauses_and_goes_on() {
    let wall = Duration::from_secs(1);
    let kernel = Kernel { pause_step: 40 << 10, ..Kernel::default() };
    let mut page = Page { kernel, wall, heard: Vec::new(), jobs: Vec::new() };
    page.says(Command::LoadLab { toml: TWO_HOSTS.to_owned(), files: files(), seed: 1 });
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    let long = |page: &Page| page.heard.iter().filter(|u| matches!(u, Update::LongRun { .. })).count();
    let paused = |page: &Page| {
        page.heard.iter().rev().find_map(|u| if let Update::Run(state) = u { Some(*state) } else { None })
            == Some(RunState::Paused)
    };
    // Each sleep is a call, its timer and its return.
    let mut calls = 0;
    while !paused(&page) {
        calls += 1;
        assert!(calls < 100, "it never pauses: {:?}", page.heard);
        page.program_says(pid, 0, "sleep", &[Value::Int(1_000_000)]);
        page.after(400);
    }
    assert!(calls > 5, "it pauses at once");
    assert_eq!(long(&page), 1);
    page.says(Command::Resume);
    page.after(400);
    assert!(!paused(&page));
    for _ in 0..calls {
        page.program_says(pid, 0, "sleep", &[Value::Int(1_000_000)]);
        page.after(400);
    }
    assert_eq!(long(&page), 2, "and once more after as much again");
}

#[wasm_bindgen_test]
fn a_sleep_is_skipped_within_three_tenths_of_a_second() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    let Wait::Until(due) = page.program_says(pid, 0, "sleep", &[Value::Int(2_000_000_000)]) else {
        panic!("the sleep takes time")
    };
    assert!(due <= page.wall + Duration::from_millis(300), "{due:?}");
    page.after(300);
    assert_eq!(page.reply(pid)[..3], [b'(', 3, 0]);
}

#[wasm_bindgen_test]
fn while_it_is_paused_nothing_happens_until_a_step() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::SetSpeed(Speed::Instant));
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    page.says(Command::Pause);
    page.program_says(pid, 0, "sleep", &[Value::Int(1_000_000)]);
    assert_eq!(page.after(5000), Wait::News);
    assert_eq!(page.jobs, []);
    assert_eq!(page.states().last(), Some(&RunState::Paused));
    page.says(Command::Step(Step::Call));
    page.reply(pid);
    page.program_says(pid, 0, "sleep", &[Value::Int(1_000_000)]);
    assert_eq!(page.after(5000), Wait::News, "one step, then it stands still again");
    page.says(Command::Resume);
    page.reply(pid);
}

#[wasm_bindgen_test]
fn a_run_can_begin_with_a_step() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunAll { files: files() });
    page.says(Command::Pause);
    page.says(Command::Step(Step::Event));
    let (first, file) = page.started();
    assert_eq!(file, "one.py");
    page.program_says(first, 0, "sleep", &[Value::Int(1_000_000)]);
    let (_, file) = page.started();
    assert_eq!(file, "two.py", "the one step");
    page.after(5000);
    assert_eq!(page.jobs, []);
    assert_eq!(page.states().last(), Some(&RunState::Paused));
}

#[wasm_bindgen_test]
fn control_c_reaches_a_blocked_and_a_computing_program() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    page.says(Command::Interrupt { program: 0 });
    assert_eq!(page.jobs, [Job::Interrupt { pid }]);
    page.jobs.clear();
    page.program_says(pid, 0, "readline", &[]);
    page.says(Command::Interrupt { program: 0 });
    page.after(300);
    let reply = page.reply(pid);
    assert!(reply.windows(5).any(|w| w == b"EINTR"), "{reply:?}");
}

#[wasm_bindgen_test]
fn what_is_typed_is_read() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    page.program_says(pid, 0, "readline", &[]);
    page.after(1000);
    assert_eq!(page.states().last(), Some(&RunState::Running), "waiting for a person is no dead-lock");
    page.says(Command::Stdin { program: 0, text: "åäö\n".to_owned() });
    page.after(1000);
    let reply = page.reply(pid);
    assert!(reply.windows(6).any(|w| w == "åäö".as_bytes()), "{reply:?}");
}

#[wasm_bindgen_test]
fn programs_that_wait_for_each_other_for_ever_are_told() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    page.program_says(pid, 0, "park", &[Value::None]);
    page.after(1000);
    assert_eq!(page.states().last(), Some(&RunState::Deadlocked));
}

#[wasm_bindgen_test]
fn a_new_run_throws_the_old_programs_away() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunAll { files: files() });
    let (pid, _) = page.started();
    page.says(Command::Reset);
    assert_eq!(page.jobs, [Job::Kill { pid }, Job::HangUp]);
    // Nothing it still says is heard.
    page.program_says(pid, POST | MORE, "write", &[Value::Int(1), Value::Str("late\n")]);
    page.after(1000);
    assert_eq!(page.printed(), "");
    assert_eq!(page.states().last(), Some(&RunState::Fresh));
}

#[wasm_bindgen_test]
fn a_broken_interpreter_ends_its_program_only() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::RunAll { files: files() });
    let (pid, _) = page.started();
    page.kernel.handle_ended(pid, -6);
    page.goes_on();
    let (second, file) = page.started();
    assert_eq!(file, "two.py");
    page.program_says(second, POST, "exit", &[Value::Int(0)]);
    page.after(1000);
    assert_eq!(page.states().last(), Some(&RunState::Finished));
}

#[wasm_bindgen_test]
fn the_page_is_not_flooded() {
    let mut page = Page::new(TWO_HOSTS);
    page.says(Command::SetSpeed(Speed::Instant));
    page.says(Command::RunProgram { program: 0, files: files() });
    let (pid, _) = page.started();
    page.heard.clear();
    // 100 calls within one second of the wall clock.
    for _ in 0..100 {
        page.wall += Duration::from_millis(10);
        page.program_says(pid, 0, "socket", &[Value::Int(2), Value::Int(1), Value::Int(0)]);
        page.jobs.clear();
    }
    let batches = page.heard.iter().filter(|u| matches!(u, Update::Events(_))).count();
    let clocks = page.heard.iter().filter(|u| matches!(u, Update::Clock { .. })).count();
    let sockets = page.heard.iter().filter(|u| matches!(u, Update::Nodes(_))).count();
    assert!(batches <= 20 && clocks <= 16 && sockets <= 16, "{batches} {clocks} {sockets}");
    assert!(batches >= 10 && clocks >= 10 && sockets >= 10, "{batches} {clocks} {sockets}");
}
