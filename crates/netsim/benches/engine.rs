//! `cargo bench -p socketlab-netsim` (or `cargo xtask bench engine`): what the world costs around the stacks. Two
//! programs move 100 MB through their sockets, with all that is recorded of it or without; and what a record weighs.
//! Nothing here is a test: a busy machine only prints other numbers.
//!
//! With smoltcp's time for the same octets in `SOCKETLAB_SMOLTCP_SECONDS` (the stack's own benchmark measures it) each
//! line has its ratio.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{Seek as _, Write as _};
use std::time::{Duration, Instant};

use common::{FOREVER, POST, Py, TCP, message};
use socketlab_netsim::{
    Capture, Detail, End, LinkParams, Output, Program, Record, Stdin, Turn, World, WorldBuilder,
};
use socketlab_stack::{IpCidr, MacAddr, Pid};

const OCTETS: usize = 100_000_000;
/// Octets of one send(2).
const CHUNK: usize = 65_536;
const ROUNDS: usize = 3;

fn main() {
    // `cargo test` builds and starts benchmarks as well, without `--bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("a record: {} octets of its own", size_of::<Record>());
    weigh();
    let smoltcp: Option<f64> =
        std::env::var("SOCKETLAB_SMOLTCP_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    println!("two programs, 100 MB over 1 Gbit/s, 10 ms each way; best of {ROUNDS}");
    for (what, keeps) in [
        ("only what programs do is recorded", Keeps::Programs),
        ("everything is recorded, and dropped", Keeps::Nothing),
        ("everything is recorded, and kept", Keeps::All),
        ("everything is recorded, frames written as pcapng", Keeps::Capture),
    ] {
        let best = (0..ROUNDS).map(|_| transfer(OCTETS, keeps)).min_by_key(|done| done.took);
        let Some(best) = best else { continue };
        let seconds = best.took.as_secs_f64();
        let ratio = smoltcp.map(|theirs| format!("  {:.2} times smoltcp's", seconds / theirs));
        println!(
            "  {what:50} {seconds:6.3} s  {:8} packets  {:8} records{}",
            best.packets,
            best.records,
            ratio.unwrap_or_default()
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Programs,
    Nothing,
    All,
    Capture,
}

struct Done {
    took: Duration,
    packets: u64,
    records: usize,
    kept: Vec<Record>,
}

fn transfer(octets: usize, keeps: Keeps) -> Done {
    let mut world = world();
    if keeps == Keeps::Programs {
        world.set_detail(Detail::Programs);
    }
    let mut programs: BTreeMap<Pid, Talker> = BTreeMap::new();
    let mut capture = Capture::new(world.topology());
    let mut file = tempfile();
    let (mut records, mut kept) = (0, Vec::new());
    let begin = Instant::now();
    world.start();
    loop {
        while let Some(output) = world.poll_output() {
            match output {
                Output::Start { pid, program } => _ = programs.insert(pid, Talker::new(program == 1, octets)),
                Output::Message { pid, bytes } => {
                    if let Some(talker) = programs.get_mut(&pid) {
                        talker.hear(&bytes);
                    }
                }
                _ => {}
            }
        }
        let news = world.drain_records();
        records += news.len();
        match keeps {
            Keeps::All => kept.extend(news),
            Keeps::Capture => {
                news.iter().for_each(|record| capture.push(record));
                file.write_all(&capture.take()).expect("a temporary file");
            }
            Keeps::Programs | Keeps::Nothing => {}
        }
        match world.turn() {
            Turn::Process(pid) => {
                let said = programs.get_mut(&pid).map(Talker::speak).unwrap_or_default();
                world.handle_message(pid, &said).expect("a message of the shim");
            }
            Turn::Event(_) => world.step(),
            Turn::Idle => break,
        }
    }
    let took = begin.elapsed();
    assert!(programs.values().all(|talker| talker.left == 0), "the octets have not arrived");
    Done { took, packets: world.packets_sent(), records, kept }
}

/// A file without a name.
fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("socketlab-bench-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    std::fs::remove_file(path).expect("our own file");
    file.rewind().expect("a file");
    file
}

/// Two hosts on one cable.
fn world() -> World {
    let mut builder = WorldBuilder::new(7);
    let [(a, from), (b, to)] = [1, 2].map(|n| {
        let node = builder.host(&format!("host{n}"));
        let addresses = vec![IpCidr { address: [10, 0, 0, n].into(), prefix_len: 24 }];
        (node, End { node, mac: MacAddr([2, 0, 0, 0, 0, n]), addresses })
    });
    let params = LinkParams {
        delay: Duration::from_millis(10),
        rate_bits_per_s: Some(1_000_000_000),
        ..LinkParams::default()
    };
    builder.link(from, to, params);
    for (node, start) in [(b, 0), (a, 1)] {
        builder.program(Program {
            node,
            host: String::new(),
            file: "bench.py".to_owned(),
            args: Vec::new(),
            start: Duration::from_millis(start),
            stdin: Stdin::Open,
            forever: false,
        });
    }
    builder.build()
}

/// A program without a thread of its own.
struct Talker {
    sends: bool,
    left: usize,
    step: usize,
    fd: i64,
    chunk: Vec<u8>,
    over: bool,
}

impl Talker {
    fn new(sends: bool, octets: usize) -> Talker {
        Talker { sends, left: octets, step: 0, fd: 0, chunk: vec![0x5a; CHUNK], over: false }
    }

    fn speak(&mut self) -> Vec<u8> {
        let call = |name: &str, args| message(1, 0, name, "bench.py:1", args);
        match (self.step, self.sends) {
            _ if self.over => message(1, POST, "exit", "", args![0]),
            (0, _) => call("socket", args![2, TCP, 0]),
            (1, true) => call("connect", args![self.fd, ("10.0.0.2", 5001), FOREVER]),
            (_, true) => {
                let octets = self.chunk.get(..self.left.min(CHUNK)).unwrap_or_default();
                call("send", args![self.fd, octets, 0, FOREVER])
            }
            (1, false) => call("bind", args![self.fd, ("10.0.0.2", 5001)]),
            (2, false) => call("listen", args![self.fd, 5]),
            (3, false) => call("accept", args![self.fd, FOREVER]),
            (_, false) => call("recv", args![self.fd, CHUNK as i64, 0, FOREVER]),
        }
    }

    fn hear(&mut self, reply: &[u8]) {
        let value = Py::read(&mut reply.get(4..).unwrap_or_default()).at(1).clone();
        match (self.step, self.sends) {
            (0, _) => self.fd = value.int(),
            (3, false) => self.fd = value.at(0).int(),
            (2.., true) => self.left -= value.int() as usize,
            (4.., false) => self.left -= value.bytes().len(),
            _ => {}
        }
        self.step += 1;
        self.over = self.left == 0;
    }
}

/// Resident memory, from the kernel; an allocator that counts would need unsafe code.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn weigh() {
    let before = resident();
    let done = transfer(OCTETS, Keeps::All);
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / done.records.max(1) as u64;
        println!("with its share of the frames' octets, in this transfer: {each} octets\n");
    }
    black_box(done.kept);
}
