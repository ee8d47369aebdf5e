//! What programs print: kept for the report, and passed through line by line as it comes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use socketlab_netsim::{Stream, World};

use super::terminal::Progress;

/// What one program has printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// All programs' consoles.
pub(crate) struct Console {
    printed: Vec<Printed>,
    /// What is put before each line; empty when there is only one program.
    prefixes: Vec<String>,
    /// The beginning of a line whose end has not come, by program and whether it is an error line.
    begun: BTreeMap<(usize, bool), String>,
    quiet: bool,
    progress: Progress,
}

impl Console {
    /// `quiet`: nothing is passed through. `progress`: a long run is told of.
    pub(crate) fn new(world: &World, quiet: bool, progress: bool) -> Console {
        let programs = world.programs();
        let prefixes = programs.iter().map(|program| {
            let sharing = programs.iter().filter(|other| other.host == program.host).count();
            match (programs.len(), sharing) {
                (1, _) => String::new(),
                (_, 1) => format!("[{}] ", program.host),
                _ => format!("[{} {}] ", program.host, program.file),
            }
        });
        let prefixes = prefixes.collect();
        Console {
            printed: vec![Printed::default(); programs.len()],
            prefixes,
            begun: BTreeMap::new(),
            quiet,
            progress: Progress::new(progress),
        }
    }

    /// What a program has printed so far.
    pub(crate) fn printed(&self, program: usize) -> Printed {
        self.printed.get(program).cloned().unwrap_or_default()
    }

    /// How much that is.
    pub(crate) fn octets(&self, program: usize) -> usize {
        self.printed.get(program).map_or(0, |printed| printed.stdout.len() + printed.stderr.len())
    }

    /// A program prints.
    pub(crate) fn print(&mut self, program: usize, stream: Stream, text: &str) -> io::Result<()> {
        let Some(printed) = self.printed.get_mut(program) else { return Ok(()) };
        let error = match stream {
            Stream::Stdin => return Ok(()),
            Stream::Stdout => false,
            Stream::Stderr => true,
        };
        if error { &mut printed.stderr } else { &mut printed.stdout }.push_str(text);
        if self.quiet {
            return Ok(());
        }
        self.progress.clear();
        let prefix = self.prefixes.get(program).map_or("", String::as_str);
        if prefix.is_empty() {
            return put(error, text);
        }
        let line = self.begun.entry((program, error)).or_default();
        line.push_str(text);
        if let Some(end) = line.rfind('\n') {
            let rest = line.split_off(end + 1);
            let lines: String = line.split_inclusive('\n').map(|line| format!("{prefix}{line}")).collect();
            *line = rest;
            put(error, &lines)?;
        }
        Ok(())
    }

    /// Lines of a view.
    pub(crate) fn show(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() || self.quiet {
            return Ok(());
        }
        self.progress.clear();
        put(false, lines)
    }

    /// How the run goes on, now and then.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        self.progress.tell(text);
    }

    /// A program waits for what the person types: its question is shown though its line has not ended.
    pub(crate) fn ask(&mut self, program: usize) -> io::Result<()> {
        self.progress.clear();
        if let Some(question) = self.begun.remove(&(program, false)).filter(|line| !line.is_empty())
            && !self.quiet
        {
            let prefix = self.prefixes.get(program).map_or("", String::as_str);
            put(false, &format!("{prefix}{question}"))?;
        }
        Ok(())
    }

    /// Lines that were never ended.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.progress.clear();
        for ((program, error), line) in core::mem::take(&mut self.begun) {
            if !line.is_empty() {
                let prefix = self.prefixes.get(program).map_or("", String::as_str);
                put(error, &format!("{prefix}{line}\n"))?;
            }
        }
        Ok(())
    }
}

fn put(error: bool, text: &str) -> io::Result<()> {
    if error {
        return io::stderr().write_all(text.as_bytes());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
