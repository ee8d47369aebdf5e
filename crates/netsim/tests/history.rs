//! The past: any earlier instant, one event back, and going on from there with programs that are started anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{Code, FOREVER, Lan, Running, UDP};
use socketlab_netsim::{
    Chance, Command, History, LinkId, LinkParams, Output, Position, Record, RecordKind, Rerun, Rest, Stream,
    Turn, World, WorldSnapshot, trace_hash,
};
use socketlab_stack::Pid;

/// A shell around a history.
struct Shell {
    history: History,
    code: Vec<Code>,
    running: BTreeMap<Pid, Running>,
    records: Vec<Record>,
}

impl Shell {
    fn new(world: World, code: Vec<Code>) -> Shell {
        let history = History::new(world);
        Shell { history, code, running: BTreeMap::new(), records: Vec::new() }
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Start { pid, program } => {
                let file = format!("program{program}.py");
                self.running.insert(pid, Running::start(self.code[program].clone(), file));
            }
            Output::Message { pid, bytes } => self.running[&pid].tell(bytes),
            Output::Kill { pid } => _ = self.running.remove(&pid),
            Output::Fork { .. } | Output::Interrupt { .. } | Output::Gateway(_) | Output::Lan { .. } => {}
        }
    }

    /// Plays to the end; `seen` is told of every position.
    fn play(&mut self, mut seen: impl FnMut(Position, &World)) -> Rest {
        loop {
            while let Some(output) = self.history.poll_output() {
                self.put_out(output);
            }
            self.records.extend(self.history.drain_records());
            seen(self.history.position(), self.history.world());
            match self.history.world().turn() {
                Turn::Process(pid) => {
                    let bytes = self.running[&pid].hear();
                    self.history.handle_message(pid, &bytes).unwrap();
                }
                Turn::Event(_) => self.history.step(),
                Turn::Idle => return self.history.world().rest(),
            }
        }
    }

    /// Goes back to a position, with other programs perhaps.
    fn go_back(&mut self, position: Position, code: Vec<Code>) -> bool {
        let mut rerun: Rerun = self.history.rerun(position);
        self.code = code;
        self.running.clear();
        loop {
            let turn = rerun.turn();
            while let Some(output) = rerun.poll_output() {
                self.put_out(output);
            }
            let Some(pid) = turn else { break };
            let bytes = self.running[&pid].hear();
            rerun.handle_message(pid, &bytes).unwrap();
        }
        let diverged = rerun.has_diverged();
        self.history = rerun.finish();
        diverged
    }

    fn said(&self) -> String {
        let said = self.records.iter().filter_map(|r| match &r.kind {
            RecordKind::Console { stream: Stream::Stdout, text, .. } => Some(text.as_str()),
            _ => None,
        });
        said.collect()
    }
}

fn client(word: &'static [u8]) -> Code {
    Arc::new(move |sys| {
        for n in 0..5u8 {
            let s = sys.socket(common::TCP);
            sys.connect(s, "10.0.0.2", 80).unwrap();
            sys.send_all(s, word).unwrap();
            sys.send_all(s, &[b'0' + n]).unwrap();
            sys.send_all(s, &vec![b'.'; 40_000]).unwrap();
            sys.ok("shutdown", args![s, 1]);
            let answer = sys.recv_all(s);
            sys.print(&String::from_utf8(answer).unwrap());
            sys.close(s);
            sys.sleep(Duration::from_millis(50)).unwrap();
        }
    })
}

fn server() -> Code {
    Arc::new(|sys| {
        let l = sys.listener("0.0.0.0", 80);
        loop {
            let s = sys.accept(l);
            let all = sys.recv_all(s);
            sys.send_all(s, &all[..4]).unwrap();
            sys.close(s);
        }
    })
}

/// Five connections over a bad link, and the word that the client says.
fn shell(word: &'static [u8]) -> Shell {
    let bad = LinkParams {
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(2),
        rate_bits_per_s: Some(5_000_000),
        loss: Chance::per_million(50_000),
        reorder: Chance::per_million(20_000),
        duplicate: Chance::per_million(20_000),
        corrupt: Chance::per_million(10_000),
        ..LinkParams::default()
    };
    let mut lan = Lan::new(bad);
    let (a, b) = (lan.host(), lan.host());
    lan.program(a, 1, |_| {});
    lan.server(b, |_| {});
    let mut shell = Shell::new(lan.builder.build(), vec![client(word), server()]);
    shell.history.start();
    shell
}

#[test]
fn any_earlier_instant_looks_as_it_did_the_first_time() {
    let mut shell = shell(b"hej");
    let mut pictures: Vec<(Position, WorldSnapshot)> = Vec::new();
    let rest = shell.play(|position, world| pictures.push((position, world.picture())));
    assert_eq!(rest, Rest::Finished);
    assert!(pictures.len() > 1000, "{}", pictures.len());
    let history = &shell.history;
    // A hundred positions, picked by a linear congruence.
    let mut pick = 12345_usize;
    for _ in 0..100 {
        pick = (pick * 1_103_515_245 + 12_345) % (1 << 31);
        let (position, first) = &pictures[pick % pictures.len()];
        assert_eq!(history.at(*position).picture(), *first, "{position:?}");
        // By the clock: the last position of that instant.
        let at = history.position_at(first.at);
        let last = pictures.iter().rev().find(|(_, picture)| picture.at <= first.at).unwrap();
        assert_eq!(at, last.0);
        // One event back, and again forward.
        let before = history.before(*position);
        assert!(before < *position || position.0 == 0);
        assert!(history.after(before) >= *position);
        let steps: Vec<_> = pictures.iter().filter(|(p, _)| *p == before).collect();
        assert!(steps.is_empty() || history.at(before).picture() == steps[0].1);
    }
    assert_eq!(history.at(history.position()).picture(), history.world().picture());
}

#[test]
fn a_rerun_with_the_same_programs_goes_on_as_the_first_time() {
    let mut shell = shell(b"hej");
    let mut middle = Position(0);
    shell.play(|position, world| {
        if world.now().as_nanos() < 120_000_000 {
            middle = position;
        }
    });
    let (whole, said) = (shell.records.clone(), shell.said());
    assert_eq!(said, "hej0\nhej1\nhej2\nhej3\nhej4\n");
    let at = shell.history.at(middle).now();
    assert!(!shell.go_back(middle, vec![client(b"hej"), server()]));
    assert_eq!(shell.history.position(), middle);
    let known = whole.iter().filter(|r| r.at <= at).count();
    shell.records = whole[..known].to_vec();
    shell.play(|_, _| {});
    // Records of the very instant may belong to either side; the rest is the same.
    let tail =
        |records: &[Record]| trace_hash(&records.iter().filter(|r| r.at > at).cloned().collect::<Vec<_>>());
    assert_eq!(tail(&shell.records), tail(&whole));
    assert_eq!(shell.said(), said);
}

#[test]
fn a_program_that_was_changed_begins_a_new_future() {
    let mut shell = shell(b"hej");
    shell.play(|_, _| {});
    let end = shell.history.position();
    shell.records.clear();
    assert!(shell.go_back(end, vec![client(b"tja"), server()]), "it says something else");
    assert!(shell.history.position() < end);
    assert_eq!(shell.play(|_, _| {}), Rest::Finished);
    assert_eq!(shell.said(), "tja0\ntja1\ntja2\ntja3\ntja4\n");
    // And that future has a past, too.
    let now = shell.history.world().picture();
    assert_eq!(shell.history.at(shell.history.position()).picture(), now);
}

#[test]
fn what_was_done_from_outside_is_done_again() {
    let mut lan = Lan::new(common::delay(1));
    let (a, b) = (lan.host(), lan.host());
    lan.program(a, 1, |_| {});
    lan.program(b, 0, |_| {});
    let sender: Code = Arc::new(|sys| {
        let s = sys.socket(UDP);
        for n in 0..4u8 {
            let line = sys.ok("readline", vec![]);
            sys.ok("sendto", args![s, &[b'0' + n], 0, ("10.0.0.2", 9), FOREVER]);
            sys.print(line.str().trim());
        }
    });
    let receiver: Code = Arc::new(|sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 9)]);
        for _ in 0..3 {
            let got = sys.recv(s, 9).unwrap();
            sys.print(core::str::from_utf8(&got).unwrap());
        }
    });
    let code = vec![sender, receiver];
    let mut shell = Shell::new(lan.builder.build(), code.clone());
    shell.history.start();
    assert_eq!(shell.play(|_, _| {}), Rest::Input);
    for (n, line) in ["a\n", "b\n", "c\n", "d\n"].into_iter().enumerate() {
        shell.history.advance_to(shell.history.world().now() + Duration::from_secs(1));
        shell.history.advance_to(shell.history.world().now() + Duration::from_secs(1));
        if n == 1 {
            shell.history.command(Command::Cut { link: LinkId(0) }).unwrap();
        }
        if n == 2 {
            shell.history.command(Command::Mend { link: LinkId(0) }).unwrap();
        }
        shell.history.stdin(Pid(1), line);
        shell.play(|_, _| {});
    }
    assert_eq!(shell.said(), "a\n0\nb\nc\n2\nd\n3\n");
    let before = shell.history.world().picture();
    let end = shell.history.position();
    assert!(!shell.go_back(end, code));
    assert_eq!(shell.history.world().picture(), before);
}
