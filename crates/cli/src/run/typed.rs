//! What the person at the terminal types, for the program that asks. Nothing is read before one does, so that a run
//! without `input()` leaves standard input alone.

use core::time::Duration;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// Standard input, a line at a time.
pub(crate) struct Typed {
    lines: Option<Receiver<String>>,
    ended: bool,
    /// Somebody types; else it is a file or a pipe, whose lines are there at once.
    pub(crate) by_hand: bool,
}

impl Typed {
    pub(crate) fn new() -> Typed {
        Typed { lines: None, ended: false, by_hand: io::stdin().is_terminal() }
    }

    /// The next line with its newline, if it comes within `wait`; empty at the end of the input.
    pub(crate) fn line(&mut self, wait: Duration) -> Option<String> {
        if self.ended {
            return Some(String::new());
        }
        let lines = self.lines.get_or_insert_with(read);
        match lines.recv_timeout(wait) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                Some(String::new())
            }
        }
    }
}

/// Reads beside the run: a read cannot be given up.
fn read() -> Receiver<String> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(n) if n > 0 && tell.send(String::from_utf8_lossy(&line).into_owned()).is_ok() => {}
                _ => return,
            }
        }
    });
    lines
}
