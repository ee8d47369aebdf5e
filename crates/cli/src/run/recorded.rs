//! The world of a run, with `--record FILE`: all that comes to it from outside is written there, so that the run can be
//! had again without Python (`socketlab_netsim::replay`).

use core::ops::Deref;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use socketlab_netsim::{AbiError, Detail, GatewayEvent, Output, Record, RunLog, TraceHash, World};
use socketlab_stack::{Instant, Pid};

/// The world, and the log of what comes to it.
pub(crate) struct Recorded<'a> {
    world: &'a mut World,
    log: Option<Log>,
}

struct Log {
    file: BufWriter<File>,
    log: RunLog,
    hash: TraceHash,
}

/// Octets in memory before they go to the file. A choice.
const ENOUGH: usize = 1 << 16;

impl Deref for Recorded<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        self.world
    }
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(world: &'a mut World, path: Option<&Path>) -> Result<Recorded<'a>> {
        let log = path.map(|path| {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(Log { file: BufWriter::new(file), log: RunLog::default(), hash: TraceHash::default() })
        });
        Ok(Recorded { world, log: log.transpose()? })
    }

    /// Whether everything must be recorded, whatever else is asked for.
    pub(crate) fn is_logged(&self) -> bool {
        self.log.is_some()
    }

    /// All of the log is in the file.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.drain_records();
        let Some(Log { mut file, log, hash }) = self.log else { return Ok(()) };
        file.write_all(&log.finish(&hash)).and_then(|()| file.flush()).context("the record cannot be written")
    }

    /// Writes what has come, if it is much.
    pub(crate) fn write(&mut self) -> Result<()> {
        let Some(Log { file, log, .. }) = &mut self.log else { return Ok(()) };
        match log.len() > ENOUGH {
            true => file.write_all(&log.take()).context("the record cannot be written"),
            false => Ok(()),
        }
    }

    fn note(&mut self, what: impl FnOnce(&mut RunLog)) {
        if let Some(log) = &mut self.log {
            what(&mut log.log);
        }
    }

    pub(crate) fn set_detail(&mut self, detail: Detail) {
        self.world.set_detail(detail);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.world.poll_output()
    }

    pub(crate) fn drain_records(&mut self) -> Vec<Record> {
        let records = self.world.drain_records();
        if let Some(log) = &mut self.log {
            records.iter().for_each(|record| log.hash.push(record));
        }
        records
    }

    pub(crate) fn start(&mut self) {
        self.note(RunLog::start);
        self.world.start();
    }

    pub(crate) fn step(&mut self) {
        self.note(RunLog::step);
        self.world.step();
    }

    pub(crate) fn advance_to(&mut self, at: Instant) {
        self.note(|log| log.advance_to(at));
        self.world.advance_to(at);
    }

    pub(crate) fn handle_message(&mut self, pid: Pid, message: &[u8]) -> Result<(), AbiError> {
        self.world.handle_message(pid, message)?;
        self.note(|log| log.message(pid, message));
        Ok(())
    }

    pub(crate) fn exited(&mut self, pid: Pid, status: i32) {
        self.note(|log| log.exited(pid, status));
        self.world.exited(pid, status);
    }

    pub(crate) fn stdin(&mut self, pid: Pid, text: &str) {
        self.note(|log| log.typed(pid, text));
        self.world.stdin(pid, text);
    }

    pub(crate) fn handle_gateway(&mut self, event: GatewayEvent) {
        self.note(|log| log.gateway(&event));
        self.world.handle_gateway(event);
    }
}
