//! `cargo xtask fuzz`: libFuzzer on the targets of `crates/fuzz`. Their plain form, with the same inputs every time, is
//! among the native tests.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{command, root, run, say};
use crate::tools;

/// Seconds for each target unless said otherwise.
const SECONDS: u32 = 60;

/// An input that takes longer, in seconds, counts as a bug; virtual time costs nothing.
const SLOWEST: u32 = 20;

/// `cargo xtask fuzz [TARGET]... [--seconds N]`.
pub(crate) fn run_targets(args: &[String]) -> Result<()> {
    let folder = root().join("fuzz");
    let all = names(&folder.join("fuzz_targets"))?;
    let (mut wanted, mut seconds) = (Vec::new(), SECONDS);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let number = args.next().context("--seconds: how many?")?;
            seconds = number.parse().with_context(|| format!("--seconds: `{number}` is no number"))?;
        } else if all.contains(arg) {
            wanted.push(arg.clone());
        } else {
            bail!("there is no target `{arg}`; targets: {}", all.join(", "));
        }
    }
    if wanted.is_empty() {
        wanted = all;
    }
    let cargo_fuzz = tools::for_fuzzing()?;
    say("seeds: what the targets begin with");
    run(command("cargo")
        .args(["run", "--quiet", "--package", "socketlab-fuzz", "--bin", "fuzz-seeds", "--"])
        .arg(folder.join("corpus")))?;
    let mut broken = Vec::new();
    for target in wanted {
        say(&format!("{target}: {seconds} s"));
        // Nothing that is fuzzed has `unsafe` in it: the counters for coverage are all that is needed, and those
        // stable Rust can build. Debug assertions stay on.
        let options = ["--sanitizer", "none", "--release", "--debug-assertions"];
        let ran = run(command(&cargo_fuzz)
            .arg("run")
            .args(options)
            .arg(&target)
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={SLOWEST}"))
            .args(["-max_len=4096", "-print_final_stats=1", "-verbosity=0"])
            .current_dir(&folder));
        if let Err(error) = ran {
            println!("{error:#}");
            broken.push(target);
        }
    }
    if !broken.is_empty() {
        bail!(
            "broken: {}; the inputs are in fuzz/artifacts/, and belong into crates/fuzz/regressions/TARGET/ once mended",
            broken.join(", ")
        );
    }
    Ok(())
}

/// The targets: the files of their folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
