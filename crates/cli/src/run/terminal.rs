//! The terminal: its width, colours, and the line that tells how a long run goes on.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Columns where there is no terminal to ask. A choice: fits into a page of A4 in landscape.
const COLUMNS: usize = 120;
/// A run that takes longer is told of.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is written again.
const PAUSE: Duration = Duration::from_millis(200);
/// Takes the line away: carriage return, then "erase in line" of ECMA-48.
const ERASE: &str = "\r\x1b[K";

/// How wide a line of the views may be.
pub(crate) fn columns() -> usize {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    named.or_else(asked).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Whether to colour what goes to standard output.
pub(crate) fn colours(wanted: clap::ColorChoice) -> bool {
    match wanted {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto => {
            // https://no-color.org
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            io::stdout().is_terminal() && !refused
        }
    }
}

/// The line on standard error; on a terminal only.
pub(crate) struct Progress {
    begin: Instant,
    written: Option<Instant>,
    shown: bool,
    wanted: bool,
}

impl Progress {
    /// Nothing is written yet. `wanted`: whether anything is to be.
    pub(crate) fn new(wanted: bool) -> Progress {
        let wanted = wanted && io::stderr().is_terminal();
        Progress { begin: Instant::now(), written: None, shown: false, wanted }
    }

    /// Writes the line, if it is time. `text` makes it.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        if !self.wanted || self.begin.elapsed() < PATIENCE {
            return;
        }
        if self.written.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.written = Some(Instant::now());
        self.shown = true;
        // A terminal that is gone is noticed elsewhere.
        let _ = write!(io::stderr(), "{ERASE}{}", text());
    }

    /// Takes the line away before something else is written.
    pub(crate) fn clear(&mut self) {
        if core::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }
}
