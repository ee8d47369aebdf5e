//! `socketlab check LAB...`: what a teacher wants to know of a lab before a class opens it. The lab is read and put
//! together, its programs are parsed (by the machine's Python, `check.py`), and nothing runs.
//!
//! Exit status: 0 nothing found, 1 only what is seldom meant, 2 something that will not work.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use socketlab_lab::nearest;
use socketlab_netsim::{NodeKind, Topology};

use crate::run::source;

/// The flags of `socketlab check`.
#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// Folders with a lab.toml, lab.toml files, or names of shipped labs
    #[arg(required = true)]
    labs: Vec<String>,

    /// The Python that parses the programs (3.10 or later)
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
}

const LOOK: &str = include_str!("check.py");

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Good to know.
    Note,
    /// Seldom meant.
    Warning,
    /// It will not work.
    Error,
}

struct Finding {
    level: Level,
    text: String,
}

/// Looks the labs through and prints what is found.
pub(crate) fn check(options: &CheckOptions) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut worst = Level::Note;
    for lab in &options.labs {
        let findings = findings(lab, &options.python)?;
        for finding in &findings {
            let word = match finding.level {
                Level::Note => "note",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            writeln!(out, "{lab}: {word}: {}", finding.text)?;
        }
        let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Note);
        if level == Level::Note {
            writeln!(out, "{lab}: sound")?;
        }
        worst = worst.max(level);
    }
    Ok(ExitCode::from(match worst {
        Level::Note => 0,
        Level::Warning => 1,
        Level::Error => 2,
    }))
}

fn findings(lab: &str, python: &Path) -> Result<Vec<Finding>> {
    let source = match source::load(lab)? {
        Ok(source) => source,
        Err(problems) => {
            return Ok(problems.into_iter().map(|text| Finding { level: Level::Error, text }).collect());
        }
    };
    let warnings = source.lab().warnings(source.texts());
    let mut findings: Vec<Finding> =
        warnings.iter().map(|warning| Finding { level: Level::Warning, text: warning.to_string() }).collect();
    let topology = source.lab().topology();
    // One finding for each place, however many hosts run the program.
    let remarks: BTreeSet<Remark> = parse(python, source.texts())?.into_iter().collect();
    findings.extend(remarks.into_iter().filter_map(|remark| understood(remark, &topology)));
    Ok(findings)
}

/// What the parser says: file, line, what, about.
type Remark = (String, u32, String, String);

/// Has Python look at the programs' texts.
fn parse(python: &Path, texts: &BTreeMap<String, String>) -> Result<Vec<Remark>> {
    let name = python.display();
    let mut child = Command::new(python)
        .args(["-I", "-S", "-X", "utf8", "-c", LOOK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("cannot start `{name}`: install Python 3, or name one with --python PATH")
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        serde_json::to_writer(&mut stdin, texts).context("Python cannot be spoken to")?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{name}` could not look at the programs ({})", output.status);
    }
    let text = String::from_utf8(output.stdout).context("Python's answer")?;
    text.lines().map(|line| serde_json::from_str(line).context("Python's answer")).collect()
}

/// A remark as a finding, if it is one in this lab.
fn understood((file, line, what, about): Remark, topology: &Topology) -> Option<Finding> {
    let place = format!("{file}:{line}");
    match what.as_str() {
        "syntax" => Some(Finding { level: Level::Error, text: format!("{place}: {about}") }),
        "port" => {
            let text = format!(
                "{place}: port {about} is below 1024: outside the lab only the superuser may bind it"
            );
            Some(Finding { level: Level::Note, text })
        }
        "host" => {
            let text = unknown_host(&about, topology)?;
            Some(Finding { level: Level::Warning, text: format!("{place}: {text}") })
        }
        _ => None,
    }
}

/// What is said of a name or address that nobody in the lab has.
fn unknown_host(name: &str, topology: &Topology) -> Option<String> {
    let nodes = &topology.nodes;
    // Then names and addresses may be somebody's whom the file does not tell.
    let open = |kind| matches!(kind, NodeKind::Gateway | NodeKind::Lan);
    if nodes.iter().any(|node| open(node.kind) || node.services.iter().any(|(kind, _)| *kind == "dns")) {
        return None;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        let special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.octets()[3] == 255);
        let dhcp = nodes.iter().any(|node| node.services.iter().any(|(kind, _)| *kind == "dhcp"));
        let known = nodes.iter().any(|node| node.addresses.contains(&address));
        return (!special && !broadcast && !dhcp && !known)
            .then(|| format!("no node has the address {address}"));
    }
    let special = ["localhost", "<broadcast>"].contains(&name);
    if special || nodes.iter().any(|node| node.name.eq_ignore_ascii_case(name)) {
        return None;
    }
    let near = nearest(name, nodes.iter().map(|node| node.name.as_str()));
    let meant = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    Some(format!("there is no host \"{name}\"{meant}"))
}
