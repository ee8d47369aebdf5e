//! `--pcap FILE`: all frames, as they come, so that FILE may be a pipe to Wireshark and a long run needs no memory.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socketlab_netsim::{Capture, Record, Topology};

/// How long a frame may wait before it is in the file, while the run goes on. A choice: whoever watches does not
/// notice it.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// The file, while it is written.
pub(crate) struct Pcap {
    path: PathBuf,
    file: BufWriter<File>,
    capture: Capture,
    flushed: Instant,
}

impl Pcap {
    /// Makes the file.
    pub(crate) fn create(path: &Path, topology: &Topology) -> Result<Pcap> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let (file, capture) = (BufWriter::new(file), Capture::new(topology));
        Ok(Pcap { path: path.to_owned(), file, capture, flushed: Instant::now() })
    }

    /// The next record.
    pub(crate) fn push(&mut self, record: &Record) {
        self.capture.push(record);
    }

    /// Writes what has come.
    pub(crate) fn write(&mut self) -> Result<()> {
        let octets = self.capture.take();
        let written = self.file.write_all(&octets);
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flushed = Instant::now();
            self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(())
    }

    /// All of it is in the file.
    pub(crate) fn finish(self) -> Result<()> {
        let Pcap { path, mut file, capture, .. } = self;
        let written = file.write_all(&capture.finish()).and_then(|()| file.flush());
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}
