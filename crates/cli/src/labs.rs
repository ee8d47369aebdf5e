//! `socketlab labs`, `socketlab new` and `socketlab lab schema`: the labs that ship with socketlab, one to begin with,
//! and what editors know a lab file by.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

/// The flags of `socketlab new`.
#[derive(Args, Debug)]
pub(crate) struct NewOptions {
    /// The folder to make
    folder: PathBuf,
}

/// What there is to know of lab files.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Print the JSON schema of lab.toml, for editors that complete and check it
    Schema,
}

/// A test of the `lab` crate keeps it equal to what the reader knows.
const SCHEMA: &str = include_str!("../../../docs/lab.schema.json");
const LAB: &str = include_str!("../new/lab.toml");
const SERVER: &str = include_str!("../new/server.py");
const CLIENT: &str = include_str!("../new/client.py");

/// Prints what was asked for.
pub(crate) fn tell(command: LabCommand) -> Result<ExitCode> {
    match command {
        LabCommand::Schema => std::io::stdout().lock().write_all(SCHEMA.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints name and title of each shipped lab.
pub(crate) fn list() -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let labs = socketlab_lab::library();
    let width = labs.iter().map(|lab| lab.name.len()).max().unwrap_or(0);
    for lab in labs {
        writeln!(out, "{:width$}  {}", lab.name, lab.en.title)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the starter lab.
pub(crate) fn create(options: &NewOptions) -> Result<ExitCode> {
    let folder = &options.folder;
    if folder.exists() {
        bail!("{} exists already; name a folder that does not", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in [("lab.toml", LAB), ("server.py", SERVER), ("client.py", CLIENT)] {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    writeln!(std::io::stdout(), "A lab is in {0}. Run it: socketlab run {0}", folder.display())?;
    Ok(ExitCode::SUCCESS)
}
