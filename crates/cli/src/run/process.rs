//! One program as a child process. Its standard input is the socket to us; a message has its length in front
//! (u32, little-endian). Messages are those of `socketlab_netsim::abi`. A copy that a program makes of itself (fork)
//! comes to a socket of ours by itself, and says who it is.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

/// How often a wait looks whether it should end. A choice.
const LOOK: Duration = Duration::from_millis(100);
const HEADER: usize = 4;

/// A program that runs.
pub(crate) struct Process {
    body: Body,
    stream: UnixStream,
    received: Vec<u8>,
    ended: bool,
    /// Real time that it has computed without a call, as far as its messages have told.
    pub(crate) spun: Duration,
}

enum Body {
    /// We started it. `last_words`: what Python itself said, outside the program: only of interest when it crashes.
    Child { child: Child, last_words: PathBuf },
    /// A program made it.
    Copy(rustix::process::Pid),
}

/// Where copies come to.
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Copies that came before they were asked for.
    early: BTreeMap<u32, Process>,
}

impl Door {
    /// A socket with this path in the file system.
    pub(crate) fn open(path: PathBuf) -> Result<Door> {
        let listener = UnixListener::bind(&path).with_context(|| format!("no socket {}", path.display()))?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener, path, early: BTreeMap::new() })
    }

    /// What programs are told of it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the copy `pid`, at most `limit` of real time. None: it never came.
    pub(crate) fn wait_for(
        &mut self,
        pid: u32,
        limit: Duration,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Option<Process>> {
        let begin = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            if let Some(process) = self.early.remove(&pid) {
                return Ok(Some(process));
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some((pid, process)) = Process::come(stream)? {
                        self.early.insert(pid, process);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if begin.elapsed() >= limit || stop() {
                        return Ok(None);
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LOOK);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What came of waiting for a message.
pub(crate) enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// The process ended by itself: exit status, or `-N` for death by signal N.
    Ended(i32),
    /// Nothing for as long as the limit says.
    Silent,
    /// We are to stop.
    Interrupted,
}

impl Process {
    /// Starts it. `command` lacks its standard streams.
    pub(crate) fn start(mut command: Command, last_words: PathBuf) -> Result<Process> {
        let (ours, theirs) = UnixStream::pair().context("no socket for a program")?;
        ours.set_read_timeout(Some(LOOK))?;
        let words = File::create(&last_words)?;
        let child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(words.try_clone()?))
            .stderr(Stdio::from(words))
            // Ctrl-C at our terminal is ours to pass on.
            .process_group(0)
            .spawn()
            .context("cannot start Python")?;
        Ok(Process {
            body: Body::Child { child, last_words },
            stream: ours,
            received: Vec::new(),
            ended: false,
            spun: Duration::ZERO,
        })
    }

    /// A copy has come: its number and that of the real process.
    fn come(mut stream: UnixStream) -> io::Result<Option<(u32, Process)>> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LOOK * 20))?;
        let (mut pid, mut real) = ([0; HEADER], [0; HEADER]);
        if stream.read_exact(&mut pid).and_then(|()| stream.read_exact(&mut real)).is_err() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(LOOK))?;
        let real = i32::try_from(u32::from_le_bytes(real)).ok().and_then(rustix::process::Pid::from_raw);
        let process = |real| Process {
            body: Body::Copy(real),
            stream,
            received: Vec::new(),
            ended: false,
            spun: Duration::ZERO,
        };
        Ok(real.map(|real| (u32::from_le_bytes(pid), process(real))))
    }

    /// Hands it a message. Its end is noticed at the next [`Process::receive`].
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(HEADER + message.len());
        framed.extend((message.len() as u32).to_le_bytes());
        framed.extend(message);
        match self.stream.write_all(&framed) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Waits for its next message, at most `limit` of real time.
    pub(crate) fn receive(&mut self, limit: Duration, stop: &dyn Fn() -> bool) -> io::Result<Heard> {
        let begin = Instant::now();
        let mut chunk = [0; 65536];
        loop {
            if let Some(message) = self.take_message() {
                return Ok(Heard::Message(message));
            }
            if stop() {
                return Ok(Heard::Interrupted);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Heard::Ended(self.end()?)),
                Ok(n) => self.received.extend(chunk.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Heard::Ended(self.end()?));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    if begin.elapsed() >= limit {
                        return Ok(Heard::Silent);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        let header = self.received.first_chunk::<HEADER>()?;
        let end = HEADER + u32::from_le_bytes(*header) as usize;
        if self.received.len() < end {
            return None;
        }
        let rest = self.received.split_off(end);
        let mut message = core::mem::replace(&mut self.received, rest);
        message.drain(..HEADER);
        Some(message)
    }

    /// It has closed its socket: waits for its exit status.
    fn end(&mut self) -> io::Result<i32> {
        self.ended = true;
        match &mut self.body {
            Body::Child { child, .. } => Ok(code(child.wait()?)),
            // Its parent may know more; to us it is as if it had been killed.
            Body::Copy(_) => Ok(-9),
        }
    }

    /// What Python itself wrote before it crashed.
    pub(crate) fn last_words(&self) -> String {
        let Body::Child { last_words, .. } = &self.body else { return String::new() };
        std::fs::read(last_words).map_or_else(|_| String::new(), |b| String::from_utf8_lossy(&b).into_owned())
    }
}

impl Drop for Process {
    /// No program outlives its run.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // An error means that it is gone already.
        match &mut self.body {
            Body::Child { child, .. } => {
                drop(child.kill());
                drop(child.wait());
            }
            Body::Copy(pid) => drop(rustix::process::kill_process(*pid, rustix::process::Signal::KILL)),
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(1)
}
