//! Programs without Python: each is a Rust function on a thread of its own that speaks the shim's messages. The
//! driver waits for whoever's turn it is, as a shell does, so that runs are as repeatable as the world.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(missing_docs, reason = "helpers of tests")]
#![allow(unreachable_pub, reason = "each test file is a crate of its own")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where everything is used")]

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use socketlab_netsim::record::{Record, RecordKind, Stream};
use socketlab_netsim::{
    End, GatewayRequest, LinkParams, NodeId, Output, Program, Rest, Stdin, Turn, World, WorldBuilder,
};
use socketlab_stack::{IpCidr, MacAddr, Pid};

/// A value of Python.
#[derive(Clone, Debug, PartialEq)]
pub enum Py {
    None,
    Bool(bool),
    Int(i64),
    Bytes(Vec<u8>),
    Str(String),
    Tuple(Vec<Py>),
    List(Vec<Py>),
}

impl Py {
    pub fn int(&self) -> i64 {
        match self {
            Py::Int(n) => *n,
            other => panic!("{other:?} is no int"),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Py::Bytes(b) => b.clone(),
            other => panic!("{other:?} is no bytes"),
        }
    }

    pub fn str(&self) -> &str {
        match self {
            Py::Str(s) => s,
            other => panic!("{other:?} is no str"),
        }
    }

    pub fn at(&self, i: usize) -> &Py {
        match self {
            Py::Tuple(items) | Py::List(items) => &items[i],
            other => panic!("{other:?} has no items"),
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut sized = |kind: u8, n: usize| {
            out.push(kind);
            out.extend((n as u32).to_le_bytes());
        };
        match self {
            Py::None => out.push(b'N'),
            Py::Bool(b) => out.push(if *b { b'T' } else { b'F' }),
            Py::Int(n) if i32::try_from(*n).is_ok() => {
                out.push(b'i');
                out.extend((*n as i32).to_le_bytes());
            }
            Py::Int(n) => {
                let mut digits = Vec::new();
                let mut rest = n.unsigned_abs();
                while rest > 0 {
                    digits.push((rest & 0x7fff) as u16);
                    rest >>= 15;
                }
                let count = digits.len() as i32 * n.signum() as i32;
                out.push(b'l');
                out.extend(count.to_le_bytes());
                digits.iter().for_each(|d| out.extend(d.to_le_bytes()));
            }
            Py::Bytes(b) => {
                sized(b's', b.len());
                out.extend(b);
            }
            Py::Str(s) => {
                sized(b'u', s.len());
                out.extend(s.as_bytes());
            }
            Py::Tuple(items) => {
                sized(b'(', items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Py::List(items) => {
                sized(b'[', items.len());
                items.iter().for_each(|item| item.write(out));
            }
        }
    }

    pub fn read(bytes: &mut &[u8]) -> Py {
        fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
            let (head, tail) = bytes.split_at(n);
            *bytes = tail;
            head
        }
        let number = |bytes: &mut &[u8]| i32::from_le_bytes(take(bytes, 4).try_into().unwrap());
        match take(bytes, 1)[0] {
            b'N' => Py::None,
            b'T' => Py::Bool(true),
            b'F' => Py::Bool(false),
            b'i' => Py::Int(i64::from(number(bytes))),
            b'l' => {
                let n = number(bytes);
                let mut sum = 0_i64;
                for i in 0..n.abs() {
                    let digit = u16::from_le_bytes(take(bytes, 2).try_into().unwrap());
                    sum |= i64::from(digit) << (15 * i);
                }
                Py::Int(sum * i64::from(n.signum()))
            }
            b's' => {
                let n = number(bytes) as usize;
                Py::Bytes(take(bytes, n).to_vec())
            }
            b'u' => {
                let n = number(bytes) as usize;
                Py::Str(String::from_utf8(take(bytes, n).to_vec()).unwrap())
            }
            b'(' => {
                let n = number(bytes);
                Py::Tuple((0..n).map(|_| Py::read(bytes)).collect())
            }
            b'[' => {
                let n = number(bytes);
                Py::List((0..n).map(|_| Py::read(bytes)).collect())
            }
            other => panic!("unknown type {other}"),
        }
    }
}

impl From<i64> for Py {
    fn from(n: i64) -> Py {
        Py::Int(n)
    }
}
impl From<&str> for Py {
    fn from(s: &str) -> Py {
        Py::Str(s.to_owned())
    }
}
impl From<&[u8]> for Py {
    fn from(b: &[u8]) -> Py {
        Py::Bytes(b.to_vec())
    }
}
impl<const N: usize> From<&[u8; N]> for Py {
    fn from(b: &[u8; N]) -> Py {
        Py::Bytes(b.to_vec())
    }
}
impl From<(&str, i64)> for Py {
    fn from((host, port): (&str, i64)) -> Py {
        Py::Tuple(vec![host.into(), port.into()])
    }
}
impl From<Option<Duration>> for Py {
    fn from(d: Option<Duration>) -> Py {
        d.map_or(Py::None, |d| Py::Int(d.as_nanos() as i64))
    }
}

/// `args![fd, ("10.0.0.80", 80)]`
#[macro_export]
macro_rules! args {
    ($($x:expr),* $(,)?) => { vec![$($crate::common::Py::from($x)),*] };
}

/// No time-out.
pub const FOREVER: Option<Duration> = None;
pub const AF_INET: i64 = 2;
pub const TCP: i64 = 1;
pub const UDP: i64 = 2;

pub const MORE: u8 = 1;
pub const POST: u8 = 2;

/// A message as the shim makes it.
pub fn message(tid: u32, flags: u8, op: &str, place: &str, args: Vec<Py>) -> Vec<u8> {
    let mut items = vec![Py::from(op), Py::from(place)];
    items.extend(args);
    let mut out = tid.to_le_bytes().to_vec();
    out.push(flags);
    Py::Tuple(items).write(&mut out);
    out
}

/// What a program sees of the world.
pub struct Sys {
    to_world: Sender<Vec<u8>>,
    from_world: Receiver<Vec<u8>>,
    pub now: u64,
    line: u32,
    file: String,
}

struct Killed;

impl Sys {
    fn place(&mut self) -> String {
        self.line += 1;
        format!("{}:{}", self.file, self.line)
    }

    /// Sends a message; a killed program goes no further.
    pub fn send(&mut self, bytes: Vec<u8>) {
        if self.to_world.send(bytes).is_err() {
            resume_unwind(Box::new(Killed));
        }
    }

    /// The next reply: thread, error, value.
    pub fn reply(&mut self) -> (u32, Option<String>, Py) {
        let Ok(bytes) = self.from_world.recv() else { resume_unwind(Box::new(Killed)) };
        let tid = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let Py::Tuple(items) = Py::read(&mut &bytes[4..]) else { panic!("a reply is a tuple") };
        self.now = items[2].int() as u64;
        let error = match &items[0] {
            Py::None => None,
            name => Some(name.str().to_owned()),
        };
        (tid, error, items[1].clone())
    }

    /// A system call of the main thread.
    pub fn call(&mut self, op: &str, args: Vec<Py>) -> Result<Py, String> {
        let place = self.place();
        self.send(message(1, 0, op, &place, args));
        let (tid, error, value) = self.reply();
        assert_eq!(tid, 1);
        error.map_or(Ok(value), Err)
    }

    /// A call that must succeed.
    pub fn ok(&mut self, op: &str, args: Vec<Py>) -> Py {
        self.call(op, args).unwrap_or_else(|error| panic!("{op}: {error}"))
    }

    pub fn print(&mut self, text: &str) {
        let place = self.place();
        self.send(message(
            1,
            MORE | POST,
            "write",
            &place,
            vec![Py::Int(1), Py::from(&*format!("{text}\n"))],
        ));
    }

    pub fn socket(&mut self, kind: i64) -> i64 {
        self.ok("socket", args![AF_INET, kind, 0]).int()
    }

    pub fn listener(&mut self, host: &str, port: i64) -> i64 {
        let s = self.socket(TCP);
        self.ok("bind", args![s, (host, port)]);
        self.ok("listen", args![s, 5]);
        s
    }

    pub fn accept(&mut self, s: i64) -> i64 {
        self.ok("accept", args![s, FOREVER]).at(0).int()
    }

    pub fn connect(&mut self, s: i64, host: &str, port: i64) -> Result<Py, String> {
        self.call("connect", args![s, (host, port), FOREVER])
    }

    pub fn send_all(&mut self, s: i64, mut data: &[u8]) -> Result<(), String> {
        while !data.is_empty() {
            let n = self.call("send", args![s, data, 0, FOREVER])?.int() as usize;
            data = &data[n..];
        }
        Ok(())
    }

    pub fn recv(&mut self, s: i64, n: i64) -> Result<Vec<u8>, String> {
        self.call("recv", args![s, n, 0, FOREVER]).map(|b| b.bytes())
    }

    /// Everything until the peer's end.
    pub fn recv_all(&mut self, s: i64) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let piece = self.recv(s, 65536).unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend(piece);
        }
    }

    pub fn close(&mut self, s: i64) {
        self.ok("close", args![s]);
    }

    pub fn resolve(&mut self, name: &str) -> Result<String, String> {
        self.call("resolve", args![name, 0]).map(|list| list.at(0).at(1).str().to_owned())
    }

    pub fn sleep(&mut self, time: Duration) -> Result<Py, String> {
        self.call("sleep", vec![Py::Int(time.as_nanos() as i64)])
    }
}

pub type Code = Arc<dyn Fn(&mut Sys) + Send + Sync>;

pub struct Running {
    from_program: Receiver<Vec<u8>>,
    to_program: Sender<Vec<u8>>,
}

impl Running {
    pub fn start(code: Code, file: String) -> Running {
        let (to_world, from_program) = channel();
        let (to_program, from_world) = channel();
        thread::spawn(move || {
            let mut sys = Sys { to_world, from_world, now: 0, line: 0, file };
            code(&mut sys);
            sys.send(message(1, POST, "exit", "", vec![Py::Int(0)]));
        });
        Running { from_program, to_program }
    }

    pub fn hear(&self) -> Vec<u8> {
        self.from_program.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    pub fn tell(&self, bytes: Vec<u8>) {
        let _ = self.to_program.send(bytes);
    }
}

/// A world with programs, and the shell around them.
pub struct Stage {
    pub world: World,
    code: Vec<Code>,
    running: BTreeMap<Pid, Running>,
    pub records: Vec<Record>,
    pub requests: Vec<GatewayRequest>,
    /// Frames for a shared LAN.
    pub lan: Vec<Vec<u8>>,
    /// Processes that got Ctrl-C after a call that did not block.
    pub interrupted: Vec<Pid>,
    /// Every message of a process, for replays.
    pub heard: Vec<(Pid, Vec<u8>)>,
}

impl Stage {
    /// `code`: one function for each of the world's programs.
    pub fn new(world: World, code: Vec<Code>) -> Stage {
        assert_eq!(world.programs().len(), code.len());
        Stage {
            world,
            code,
            running: BTreeMap::new(),
            records: Vec::new(),
            requests: Vec::new(),
            lan: Vec::new(),
            interrupted: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub fn outputs(&mut self) {
        while let Some(output) = self.world.poll_output() {
            match output {
                Output::Start { pid, program } => {
                    let file = self.world.programs()[program].file.clone();
                    self.running.insert(pid, Running::start(self.code[program].clone(), file));
                }
                Output::Message { pid, bytes } => {
                    let _ = self.running[&pid].to_program.send(bytes);
                }
                // A closure cannot be copied: the child never speaks. It is there to be waited for.
                Output::Fork { .. } => {}
                Output::Interrupt { pid } => self.interrupted.push(pid),
                Output::Kill { pid } => {
                    self.running.remove(&pid);
                }
                Output::Gateway(request) => self.requests.push(request),
                Output::Lan { bytes } => self.lan.push(bytes.to_vec()),
            }
        }
        self.records.extend(self.world.drain_records());
    }

    /// One turn; false if nothing happens by itself.
    pub fn turn(&mut self) -> bool {
        self.outputs();
        match self.world.turn() {
            Turn::Process(pid) => match self.running[&pid].from_program.recv_timeout(Duration::from_secs(60))
            {
                Ok(bytes) => {
                    self.world.handle_message(pid, &bytes).unwrap();
                    self.heard.push((pid, bytes));
                }
                Err(_) => self.world.exited(pid, 1),
            },
            Turn::Event(_) => self.world.step(),
            Turn::Idle => return false,
        }
        true
    }

    /// Until the world is at rest.
    pub fn play(&mut self) -> Rest {
        for _ in 0..2_000_000 {
            if !self.turn() {
                self.outputs();
                return self.world.rest();
            }
        }
        panic!("does not come to rest");
    }

    /// Starts all programs and plays to the end.
    pub fn run(&mut self) -> Rest {
        self.world.start();
        self.play()
    }

    /// What a program printed.
    pub fn console(&self, program: usize) -> String {
        let mut pids = self.records.iter().filter_map(|r| match r.kind {
            RecordKind::ProcessStarted { pid, program: p, .. } if p == program => Some(pid),
            _ => None,
        });
        let pid = pids.next();
        let texts = self.records.iter().filter_map(|r| match &r.kind {
            RecordKind::Console { pid: p, stream: Stream::Stdout, text } if Some(*p) == pid => {
                Some(text.as_str())
            }
            _ => None,
        });
        texts.collect()
    }

    pub fn kinds(&self) -> impl Iterator<Item = &RecordKind> {
        self.records.iter().map(|r| &r.kind)
    }
}

/// The programs' words alone, without the programs: what happens in the world.
pub fn replay(mut world: World, words: &[(Pid, Vec<u8>)]) -> Vec<Record> {
    let mut words = words.iter();
    let mut records = Vec::new();
    loop {
        while world.poll_output().is_some() {}
        records.extend(world.drain_records());
        match world.turn() {
            Turn::Process(pid) => {
                let (speaker, bytes) = words.next().unwrap();
                assert_eq!(pid, *speaker);
                world.handle_message(pid, bytes).unwrap();
            }
            Turn::Event(_) => world.step(),
            Turn::Idle => return records,
        }
    }
}

/// Hosts 10.0.0.1, 10.0.0.2, ... on one switch, each with programs.
pub struct Lan {
    pub builder: WorldBuilder,
    switch: NodeId,
    count: u8,
    pub link: LinkParams,
    code: Vec<Code>,
}

pub fn delay(ms: u64) -> LinkParams {
    LinkParams { delay: Duration::from_millis(ms), ..LinkParams::default() }
}

impl Lan {
    pub fn new(link: LinkParams) -> Lan {
        let mut builder = WorldBuilder::new(7);
        let switch = builder.switch("lan");
        Lan { builder, switch, count: 0, link, code: Vec::new() }
    }

    pub fn plug(&mut self, node: NodeId) -> u8 {
        self.count += 1;
        let n = self.count;
        let addresses = vec![IpCidr { address: [10, 0, 0, n].into(), prefix_len: 24 }];
        let end = End { node, mac: MacAddr([2, 0, 0, 0, 0, n]), addresses };
        let other = End { node: self.switch, mac: MacAddr::default(), addresses: Vec::new() };
        self.builder.link(end, other, self.link);
        n
    }

    pub fn host(&mut self) -> NodeId {
        let node = self.builder.host(&format!("host{}", self.count + 1));
        self.plug(node);
        node
    }

    pub fn program(&mut self, node: NodeId, start_ms: u64, code: impl Fn(&mut Sys) + Send + Sync + 'static) {
        self.add(node, start_ms, false, code);
    }

    pub fn server(&mut self, node: NodeId, code: impl Fn(&mut Sys) + Send + Sync + 'static) {
        self.add(node, 0, true, code);
    }

    fn add(
        &mut self,
        node: NodeId,
        start_ms: u64,
        forever: bool,
        code: impl Fn(&mut Sys) + Send + Sync + 'static,
    ) {
        let program = Program {
            node,
            host: format!("host{}", node.0),
            file: format!("program{}.py", self.code.len()),
            args: Vec::new(),
            start: Duration::from_millis(start_ms),
            stdin: Stdin::Open,
            forever,
        };
        self.builder.program(program);
        self.code.push(Arc::new(code));
    }

    pub fn stage(self) -> Stage {
        Stage::new(self.builder.build(), self.code)
    }
}

impl Stage {
    /// Plays so much of virtual time, or until the world is at rest.
    pub fn play_for(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while !matches!(self.world.turn(), Turn::Event(at) if at > end) && self.turn() {}
        self.outputs();
    }

    /// Plays until a gateway asks for something.
    pub fn request(&mut self) -> GatewayRequest {
        for _ in 0..100_000 {
            self.outputs();
            if !self.requests.is_empty() {
                return self.requests.remove(0);
            }
            assert!(self.turn(), "at rest ({:?}) without a request", self.world.rest());
        }
        panic!("no request");
    }
}
