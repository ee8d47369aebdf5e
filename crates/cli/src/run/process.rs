//! One program as a child process. Its standard input is the socket to us; a message has its length in front
//! (u32, little-endian). Messages are those of `socketlab_netsim::abi`.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

/// How often a wait looks whether it should end. A choice.
const LOOK: Duration = Duration::from_millis(100);
const HEADER: usize = 4;

/// A program that runs.
pub(crate) struct Process {
    child: Child,
    stream: UnixStream,
    received: Vec<u8>,
    /// What Python itself said, outside the program: only of interest when it crashes.
    last_words: PathBuf,
    ended: bool,
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
        Ok(Process { child, stream: ours, received: Vec::new(), last_words, ended: false })
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
        let status = self.child.wait()?;
        self.ended = true;
        Ok(code(status))
    }

    /// What Python itself wrote before it crashed.
    pub(crate) fn last_words(&self) -> String {
        std::fs::read(&self.last_words)
            .map_or_else(|_| String::new(), |b| String::from_utf8_lossy(&b).into_owned())
    }
}

impl Drop for Process {
    /// No program outlives its run.
    fn drop(&mut self) {
        if !self.ended {
            // An error means that it is gone already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(1)
}
