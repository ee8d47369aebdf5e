//! `socketlab packetdrill FILE...`: TCP scripts in packetdrill's language against our stack, in virtual time.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use socketlab_packetdrill::{Comparison, run_script_in};

/// What `socketlab packetdrill` takes.
#[derive(Args)]
pub(crate) struct PacketdrillOptions {
    /// Scripts (.pkt)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// For scripts written for another kernel than Linux: compare neither PSH, nor windows, nor options other than SACK
    #[arg(long)]
    loose: bool,
}

/// Runs the scripts; status 1 if one fails.
pub(crate) fn packetdrill(options: &PacketdrillOptions) -> Result<ExitCode> {
    let how = if options.loose { Comparison::Loose } else { Comparison::Exact };
    let mut out = std::io::stdout().lock();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for file in &options.files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        // Files that the script runs as commands (a suite's `defaults.sh`) lie beside it.
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let outcome = run_script_in(&text, &file.display().to_string(), how, &read);
        writeln!(out, "{outcome}")?;
        if outcome.passed() {
            passed += 1;
        } else if outcome.failed() {
            failed += 1;
        } else {
            skipped += 1;
        }
    }
    writeln!(out, "{passed} passed, {failed} failed, {skipped} not interpretable")?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}
