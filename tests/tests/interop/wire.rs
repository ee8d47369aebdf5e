//! A host of ours and a real kernel on one cable. The kernel lives in a network namespace of its own; the other end of
//! its TAP device is here, and every frame of either side passes through [`Lab::turn`], where it may get lost.
//!
//! Time is the machine's: what the host's timers wait for, we wait for. Nothing else waits but for a condition.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde_json::Value;
use socketlab_stack::{
    Call, CallId, Failure, Fd, Host, HostConfig, IfaceId, Instant, IpCidr, MacAddr, Outcome, Pid, Ret,
    SockAddr, SocketSnapshot, TcbSnapshot, TcpState,
};
use socketlab_tests::PATIENCE;
use socketlab_tests::namespace::Namespace;

const PID: Pid = Pid(1);
const ETH0: IfaceId = IfaceId(1);
/// Longest frame, in octets.
const LONGEST: usize = 2048;
/// The device's largest packet, in octets.
pub(crate) const MTU: usize = 1500;

/// Which family a test speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// `AF_INET`, `AF_INET6`.
    pub(crate) fn number(self) -> i32 {
        match self {
            Family::V4 => 2,
            Family::V6 => 10,
        }
    }

    /// Our host's address.
    pub(crate) fn ours(self) -> IpAddr {
        match self {
            Family::V4 => [10, 9, 0, 1].into(),
            Family::V6 => [0xfd09, 0, 0, 0, 0, 0, 0, 1].into(),
        }
    }

    /// The kernel's address.
    pub(crate) fn kernel(self) -> IpAddr {
        match self {
            Family::V4 => [10, 9, 0, 2].into(),
            Family::V6 => [0xfd09, 0, 0, 0, 0, 0, 0, 2].into(),
        }
    }
}

/// What the line does to frames, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) late: u64,
}

/// A line that does everything that a line may do.
pub(crate) const BAD_LINE: Faults = Faults { seed: 1, lost: 20, twice: 20, late: 30 };
/// A line that was cut.
pub(crate) const CUT: Faults = Faults { seed: 0, lost: 1000, twice: 0, late: 0 };

impl Faults {
    /// A number below 1000 (SplitMix64).
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % 1000
    }

    /// When the copies of the next frame arrive.
    fn fate(&mut self) -> Vec<Duration> {
        let draw = self.draw();
        let lost = self.lost;
        let twice = lost + self.twice;
        let late = twice + self.late;
        if draw < lost {
            Vec::new()
        } else if draw < twice {
            vec![Duration::ZERO, Duration::from_micros(5 * self.draw())]
        } else if draw < late {
            vec![Duration::from_micros(5 * self.draw())]
        } else {
            vec![Duration::ZERO]
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Host,
    Kernel,
}

/// What comes from outside.
enum Input {
    Frame(Bytes),
    Told(String),
    /// One of the helpers ended.
    Gone(&'static str),
}

/// Our host, the kernel, and the cable.
pub(crate) struct Lab {
    pub(crate) host: Host,
    began: std::time::Instant,
    inputs: Receiver<Input>,
    cable: UnixDatagram,
    faults: Option<Faults>,
    /// Frames that arrive later.
    air: BTreeMap<(Instant, u64), (To, Bytes)>,
    /// Frames so far, of all that were put on the cable.
    frames: u64,
    /// Frames that reached each side since the beginning: ours, the kernel's.
    pub(crate) arrived: [u64; 2],
    answers: BTreeMap<CallId, Result<Ret, Failure>>,
    next_call: u64,
    program: ChildStdin,
    told: VecDeque<Value>,
    children: [Child; 2],
    readers: Vec<JoinHandle<()>>,
    _namespace: Namespace,
    _folder: tempfile::TempDir,
}

/// Octets in which every aligned word is another one.
pub(crate) fn pattern(len: usize) -> Bytes {
    let words = u32::try_from(len.div_ceil(4)).unwrap_or(u32::MAX);
    let mut octets: Vec<u8> = (0..words).flat_map(u32::to_le_bytes).collect();
    octets.truncate(len);
    octets.into()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

fn read_frames(cable: &UnixDatagram, inputs: &Sender<Input>) {
    let mut frame = [0; LONGEST];
    while let Ok(len @ 1..) = cable.recv(&mut frame) {
        if inputs.send(Input::Frame(Bytes::copy_from_slice(&frame[..len]))).is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::Gone("the cable"));
}

impl Lab {
    /// A fresh kernel and a fresh host that have not heard of each other.
    pub(crate) fn new() -> Result<Lab> {
        Lab::with(HostConfig { seed: 7, ..HostConfig::default() })
    }

    pub(crate) fn with(config: HostConfig) -> Result<Lab> {
        let folder = tempfile::tempdir()?;
        let mut batch = String::from("tuntap add dev eth0 mode tap\n");
        for family in [Family::V4, Family::V6] {
            let (bits, dad) = if family == Family::V4 { (24, "") } else { (64, " nodad") };
            batch += &format!("addr add {}/{bits} dev eth0{dad}\n", family.kernel());
        }
        batch += "link set eth0 up\n";
        let namespace = Namespace::one("kernel", &batch, folder.path()).context(
            "no TAP device in a network namespace: this needs root, namespaces and /dev/net/tun (modprobe tun)",
        )?;
        let (cable, far) = UnixDatagram::pair()?;
        let mut tap = namespace
            .command(&scripts(), "python3")
            .args(["-S", "-B", "tap.py", "eth0"])
            .stdin(OwnedFd::from(far))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Err(error) = plugged_in(&cable, &mut tap) {
            // It may have ended by itself.
            let _ = tap.kill();
            tap.wait()?;
            return Err(error);
        }
        let mut peer = namespace
            .command(&scripts(), "python3")
            .args(["-S", "-B", "peer.py"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let program = peer.stdin.take().context("its standard input")?;
        let lines = BufReader::new(peer.stdout.take().context("its standard output")?);
        let children = [tap, peer];
        let (sender, inputs) = channel();
        let far_cable = cable.try_clone()?;
        let frames = sender.clone();
        let readers = vec![
            std::thread::spawn(move || read_frames(&far_cable, &frames)),
            std::thread::spawn(move || {
                for line in lines.lines().map_while(Result::ok) {
                    if sender.send(Input::Told(line)).is_err() {
                        return;
                    }
                }
                let _ = sender.send(Input::Gone("the kernel's program"));
            }),
        ];
        let mut host = Host::new(config);
        let own: Vec<IpCidr> = [(Family::V4, 24), (Family::V6, 64)]
            .map(|(family, prefix_len)| IpCidr { address: family.ours(), prefix_len })
            .to_vec();
        host.add_interface("eth0", MacAddr([2, 0, 0, 0, 0, 1]), &own, MTU);
        Ok(Lab {
            host,
            began: std::time::Instant::now(),
            inputs,
            cable,
            faults: None,
            air: BTreeMap::new(),
            frames: 0,
            arrived: [0; 2],
            answers: BTreeMap::new(),
            next_call: 1,
            program,
            told: VecDeque::new(),
            children,
            readers,
            _namespace: namespace,
            _folder: folder,
        })
    }

    pub(crate) fn faults(&mut self, faults: Faults) {
        self.faults = Some(faults);
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.began.elapsed()
    }

    /// A frame leaves one side.
    fn put(&mut self, to: To, frame: Bytes) -> Result<()> {
        let Some(faults) = &mut self.faults else { return self.deliver(to, frame) };
        for delay in faults.fate() {
            if delay.is_zero() {
                self.deliver(to, frame.clone())?;
            } else {
                self.frames += 1;
                self.air.insert((self.now() + delay, self.frames), (to, frame.clone()));
            }
        }
        Ok(())
    }

    /// A frame reaches the other side.
    fn deliver(&mut self, to: To, frame: Bytes) -> Result<()> {
        self.arrived[to as usize] += 1;
        match to {
            To::Kernel => {
                self.cable.send(&frame).context("the cable to the kernel")?;
            }
            To::Host => self.host.handle_frame(self.now(), ETH0, frame),
        }
        Ok(())
    }

    /// What our host has to say.
    fn drain(&mut self) -> Result<()> {
        while let Some((_, frame)) = self.host.poll_transmit(self.now()) {
            self.put(To::Kernel, frame)?;
        }
        while let Some((id, result)) = self.host.poll_completion() {
            self.answers.insert(id, result);
        }
        while self.host.poll_event().is_some() {}
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Frame(frame) => self.put(To::Host, frame)?,
            Input::Told(line) => {
                let mut told: Value = serde_json::from_str(&line)?;
                if let Some(error) = told["error"].as_str() {
                    bail!("on the kernel's side: {error}");
                }
                self.told.push_back(told["answer"].take());
            }
            Input::Gone(who) => bail!("{who} ended"),
        }
        self.drain()
    }

    /// The next thing that happens, if it does before `give_up`.
    fn turn(&mut self, give_up: Instant) -> Result<()> {
        let now = self.now();
        while let Some(first) = self.air.first_entry()
            && first.key().0 <= now
        {
            let (to, frame) = first.remove();
            self.deliver(to, frame)?;
            self.drain()?;
        }
        if self.host.poll_timeout().is_some_and(|at| at <= now) {
            self.host.handle_timeout(now);
            self.drain()?;
        }
        let air = self.air.first_key_value().map(|((at, _), _)| *at);
        let next =
            [self.host.poll_timeout(), air].into_iter().flatten().min().unwrap_or(give_up).min(give_up);
        match self.inputs.recv_timeout(next.saturating_since(self.now())) {
            Ok(input) => self.take(input)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("nobody is there any more"),
        }
        Ok(())
    }

    /// Lets time pass until `done` has something to say. `what` is what we wait for.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Lab) -> Result<Option<T>>,
    ) -> Result<T> {
        let give_up = self.now() + PATIENCE;
        loop {
            if let Some(found) = done(self)? {
                return Ok(found);
            }
            ensure!(
                self.now() < give_up,
                "waited in vain: {what}; sockets {:#?}",
                self.host.snapshot().sockets
            );
            self.turn(give_up)?;
        }
    }

    /// Begins a call.
    pub(crate) fn start(&mut self, call: Call) -> Result<CallId> {
        let id = CallId(self.next_call);
        self.next_call += 1;
        if let Outcome::Done(result) = self.host.call(self.now(), PID, id, call) {
            self.answers.insert(id, result);
        }
        self.drain()?;
        Ok(id)
    }

    pub(crate) fn answer(&mut self, id: CallId) -> Option<Result<Ret, Failure>> {
        self.answers.remove(&id)
    }

    /// A call, to its end.
    pub(crate) fn call(&mut self, call: Call) -> Result<Result<Ret, Failure>> {
        let what = format!("{call:.80?}");
        let id = self.start(call)?;
        self.until(&what, |lab| Ok(lab.answer(id)))
    }

    /// A call that must succeed.
    pub(crate) fn good(&mut self, call: Call) -> Result<Ret> {
        let name = call.name();
        self.call(call)?.map_err(|failure| anyhow::anyhow!("{name}: {failure:?}"))
    }

    /// The name of the error that a call gives.
    pub(crate) fn failure(&mut self, call: Call) -> Result<String> {
        Ok(match self.call(call)? {
            Err(Failure::Errno(errno, _)) => format!("{errno:?}"),
            other => format!("{other:?}"),
        })
    }

    /// The kernel's program begins a piece of Python.
    pub(crate) fn tell(&mut self, piece: &str) -> Result<()> {
        let line = serde_json::to_string(&unindented(piece))? + "\n";
        self.program.write_all(line.as_bytes())?;
        Ok(())
    }

    /// What the oldest unanswered piece left in `answer`.
    pub(crate) fn told(&mut self) -> Result<Value> {
        self.until("the kernel's program", |lab| Ok(lab.told.pop_front()))
    }

    /// A piece of Python on the kernel's side, to its end.
    pub(crate) fn kernel(&mut self, piece: &str) -> Result<Value> {
        self.tell(piece)?;
        self.told()
    }

    /// Asks the kernel's program until an expression has this value.
    pub(crate) fn kernel_says(&mut self, expression: &str, value: &Value) -> Result<()> {
        let give_up = self.now() + PATIENCE;
        loop {
            let told = self.kernel(&format!("answer = {expression}"))?;
            if told == *value {
                return Ok(());
            }
            ensure!(self.now() < give_up, "waited in vain: {expression} is {told}, not {value}");
        }
    }

    pub(crate) fn socket(&mut self, family: Family, kind: i32, protocol: i32) -> Result<Fd> {
        match self.good(Call::Socket { family: family.number(), kind, protocol })? {
            Ret::Fd(fd) => Ok(fd),
            other => bail!("socket: {other:?}"),
        }
    }

    pub(crate) fn tcp(&mut self, family: Family) -> Result<Fd> {
        self.socket(family, 1, 0)
    }

    pub(crate) fn connect(&mut self, fd: Fd, to: SocketAddr) -> Result<()> {
        self.good(Call::Connect { fd, addr: SockAddr::Ip(to), timeout: None })?;
        Ok(())
    }

    pub(crate) fn bind(&mut self, fd: Fd, family: Family, port: u16) -> Result<()> {
        let addr = SockAddr::Ip(SocketAddr::new(family.ours(), port));
        self.good(Call::Bind { fd, addr })?;
        Ok(())
    }

    /// A listening socket at our address.
    pub(crate) fn listener(&mut self, family: Family, port: u16) -> Result<Fd> {
        let fd = self.tcp(family)?;
        self.option(fd, 1, 2, &[1])?;
        self.bind(fd, family, port)?;
        self.good(Call::Listen { fd, backlog: 5 })?;
        Ok(fd)
    }

    pub(crate) fn accept(&mut self, fd: Fd) -> Result<Fd> {
        match self.good(Call::Accept { fd, timeout: None })? {
            Ret::Accepted(fd, _) => Ok(fd),
            other => bail!("accept: {other:?}"),
        }
    }

    pub(crate) fn option(&mut self, fd: Fd, level: i32, name: i32, value: &[i32]) -> Result<()> {
        let value: Vec<u8> = value.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.good(Call::SetSockOpt { fd, level, name, value: value.into() })?;
        Ok(())
    }

    pub(crate) fn send(&mut self, fd: Fd, data: &[u8]) -> Result<()> {
        let data = Bytes::copy_from_slice(data);
        self.good(Call::Send { fd, data, flags: 0, timeout: None })?;
        Ok(())
    }

    pub(crate) fn recv(&mut self, fd: Fd, len: usize) -> Result<Bytes> {
        match self.good(Call::Recv { fd, len, flags: 0, timeout: None })? {
            Ret::Data(data, ..) => Ok(data),
            other => bail!("recv: {other:?}"),
        }
    }

    pub(crate) fn read_all(&mut self, fd: Fd) -> Result<Vec<u8>> {
        let mut got = Vec::new();
        loop {
            let piece = self.recv(fd, 1 << 18)?;
            if piece.is_empty() {
                return Ok(got);
            }
            got.extend_from_slice(&piece);
        }
    }

    pub(crate) fn shutdown(&mut self, fd: Fd) -> Result<()> {
        self.good(Call::Shutdown { fd, how: 1 })?;
        Ok(())
    }

    pub(crate) fn close(&mut self, fd: Fd) -> Result<()> {
        self.good(Call::Close { fd })?;
        Ok(())
    }

    /// What our host tells of a socket.
    pub(crate) fn picture(&self, fd: Fd) -> Result<SocketSnapshot> {
        let id = self.host.socket_of(PID, fd).context("an open descriptor")?;
        let sockets = self.host.snapshot().sockets;
        sockets.into_iter().find(|socket| socket.id == id).context("its socket")
    }

    pub(crate) fn tcb(&self, fd: Fd) -> Result<TcbSnapshot> {
        self.picture(fd)?.tcb.context("a TCB")
    }

    /// States of our connections, of those too that no program owns.
    pub(crate) fn states(&self) -> Vec<TcpState> {
        self.host.snapshot().sockets.iter().filter_map(|socket| socket.state).collect()
    }
}

/// Waits for the first datagram, which says that the device has its cable.
fn plugged_in(cable: &UnixDatagram, tap: &mut Child) -> Result<()> {
    cable.set_read_timeout(Some(Duration::from_millis(50)))?;
    let give_up = std::time::Instant::now() + PATIENCE;
    while cable.recv(&mut [0]).is_err() {
        ensure!(
            tap.try_wait()?.is_none() && std::time::Instant::now() < give_up,
            "no TAP device in a network namespace: this needs root (or CAP_NET_ADMIN) and /dev/net/tun (`modprobe tun`; \
             the helper's own words are above)"
        );
    }
    cable.set_read_timeout(None)?;
    Ok(())
}

/// Python counts the blanks: those of the first line are ours.
fn unindented(piece: &str) -> String {
    let piece = piece.trim_start_matches('\n');
    let blanks = piece.len() - piece.trim_start_matches(' ').len();
    let line = |line: &str| line.get(blanks..).unwrap_or_default().to_owned() + "\n";
    piece.lines().map(line).collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.cable.shutdown(std::net::Shutdown::Both);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}
