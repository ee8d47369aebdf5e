//! The judge of the simulated hosts is the real kernel: the same Python programs run on two network namespaces joined
//! by a veth pair and on two simulated hosts, and must print the same to the byte.
//!
//! A case is a story (`differential/stories/NAME.py`: told from one host, which has pieces run on the other, see
//! `story.py`) or a lab (`differential/labs/NAME/lab.toml` with its programs). `SOCKETLAB_CASES=close,udp` runs those
//! whose names contain one of these words, and prints what both sides said.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use socketlab_tests::namespace::{HostPlan, Namespace};
use socketlab_tests::{PATIENCE, product};

/// Cases that run at once: most of the time they sleep.
const AT_ONCE: usize = 6;
/// How long servers may still print when all other programs have ended.
const GRACE: Duration = Duration::from_millis(200);
/// Cases that differ, and why; each must still differ.
const DIFFER: &[(&str, &str)] = &[];
/// Like the shim's Python: no user's packages, nothing compiled to disk.
const PYTHON_FLAGS: [&str; 5] = ["-s", "-S", "-B", "-X", "utf8"];

/// The part of a lab file that the real side needs.
#[derive(Deserialize)]
struct LabFile {
    host: Vec<HostEntry>,
    program: Vec<ProgramEntry>,
}

#[derive(Deserialize)]
struct HostEntry {
    name: String,
    address: Vec<String>,
    default_route: Option<String>,
}

#[derive(Deserialize)]
struct ProgramEntry {
    host: String,
    file: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    forever: bool,
}

/// What one program did.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    file: String,
    stdout: String,
    stderr: String,
    exit: String,
}

struct Case {
    name: String,
    folder: tempfile::TempDir,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("differential")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn names(folder: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(root().join(folder)).with_context(|| format!("differential/{folder}"))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Each case in a folder of its own.
fn cases() -> Result<Vec<Case>> {
    let wanted = std::env::var("SOCKETLAB_CASES").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.split(',').any(|word| name.contains(word));
    let mut cases = Vec::new();
    for file in names("stories")?.into_iter().filter(|file| file.ends_with(".py") && is_wanted(file)) {
        let folder = tempfile::tempdir()?;
        copy(&root().join("story"), folder.path())?;
        let lab = folder.path().join("lab.toml");
        fs::write(&lab, fs::read_to_string(&lab)?.replace("STORY.py", &file))?;
        fs::copy(root().join("stories").join(&file), folder.path().join(&file))?;
        cases.push(Case { name: file, folder });
    }
    for name in names("labs")?.into_iter().filter(|name| is_wanted(name)) {
        let folder = tempfile::tempdir()?;
        copy(&root().join("labs").join(&name), folder.path())?;
        cases.push(Case { name, folder });
    }
    Ok(cases)
}

/// The machine's Python itself, not a script that looks for it.
fn python() -> Result<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn on_the_real_kernel(case: &Case, python: &str) -> Result<Vec<Told>> {
    let files = tempfile::tempdir()?;
    copy(case.folder.path(), files.path())?;
    let lab: LabFile = toml::from_str(&fs::read_to_string(case.folder.path().join("lab.toml"))?)?;
    let plans: Vec<HostPlan> = lab
        .host
        .iter()
        .map(|host| HostPlan {
            name: host.name.clone(),
            addresses: host.address.clone(),
            on_link: host.default_route.is_some(),
        })
        .collect();
    let Ok(plans) = <&[HostPlan; 2]>::try_from(plans.as_slice()) else { bail!("a case has two hosts") };
    let config = tempfile::tempdir()?;
    let hosts = Namespace::two(plans, config.path())?;
    let mut running: Vec<Child> = Vec::new();
    for (number, program) in lab.program.iter().enumerate() {
        let host = plans.iter().position(|host| host.name == program.host).context("a program's host")?;
        let output = |what: &str| File::create(config.path().join(format!("{what}{number}")));
        let child = hosts[host]
            .command(files.path(), python)
            .args(PYTHON_FLAGS)
            .arg(&program.file)
            .args(&program.args)
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::null())
            .stdout(output("stdout")?)
            .stderr(output("stderr")?)
            .spawn()?;
        running.push(child);
    }
    let give_up = Instant::now() + PATIENCE;
    let mut exits = vec![String::from("killed"); running.len()];
    for (number, child) in running.iter_mut().enumerate().filter(|(number, _)| !lab.program[*number].forever)
    {
        exits[number] = loop {
            if let Some(status) = child.try_wait()? {
                break status.code().map_or("a signal".to_owned(), |code| code.to_string());
            }
            if Instant::now() > give_up {
                child.kill()?;
                break "timeout".to_owned();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
    }
    std::thread::sleep(GRACE);
    let mut told = Vec::new();
    for (number, (mut child, program)) in running.into_iter().zip(&lab.program).enumerate() {
        if program.forever {
            if let Some(status) = child.try_wait()? {
                exits[number] = status.code().map_or("a signal".to_owned(), |code| code.to_string());
            }
            child.kill()?;
            child.wait()?;
        }
        let read = |what: &str| fs::read_to_string(config.path().join(format!("{what}{number}")));
        let here = format!("{}/", files.path().display());
        told.push(Told {
            file: program.file.clone(),
            stdout: read("stdout")?,
            // A traceback names the main file with its whole path.
            stderr: read("stderr")?.replace(&here, ""),
            exit: exits[number].clone(),
        });
    }
    Ok(told)
}

fn on_simulated_hosts(case: &Case, python: &str) -> Result<Vec<Told>> {
    let output = Command::new(product::binary()?)
        .args(["run", "--json", "--until", "1000s", "--python", python])
        .arg(case.folder.path())
        .stdin(Stdio::null())
        .output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let programs = report["programs"].as_array().context("programs")?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(programs
        .iter()
        .map(|program| Told {
            file: text(&program["file"]),
            stdout: text(&program["stdout"]),
            stderr: text(&program["stderr"]),
            exit: text(&program["exit"]),
        })
        .collect())
}

/// How two texts differ, line by line.
fn difference(what: &str, real: &str, lab: &str) -> String {
    let mut report = String::new();
    let (real, lab): (Vec<_>, Vec<_>) = (real.lines().collect(), lab.lines().collect());
    for line in 0..real.len().max(lab.len()) {
        let at = |lines: &[&str]| lines.get(line).map_or("(nothing)".to_owned(), |line| (*line).to_owned());
        let (real, lab) = (at(&real), at(&lab));
        if real != lab {
            report += &format!("    {what}:{}\n      Linux: {real}\n      lab:   {lab}\n", line + 1);
        }
    }
    report
}

/// Numbers of five or more digits, in the case that prints ephemeral ports and what fits into a buffer, as `#`.
fn masked(case: &str, text: &str) -> String {
    if case != "mistakes" {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            out += if digits.len() >= 5 { "#" } else { &digits };
            digits.clear();
            out.push(c);
        }
    }
    out
}

/// Runs a case on both sides; gives the differences.
fn run(case: &Case, python: &str) -> Result<String> {
    let real = on_the_real_kernel(case, python)?;
    let lab = on_simulated_hosts(case, python)?;
    let mut report = String::new();
    for (real, lab) in real.iter().zip(&lab) {
        report += &difference(
            &format!("{} says", real.file),
            &masked(&case.name, &real.stdout),
            &masked(&case.name, &lab.stdout),
        );
        report += &difference(&format!("{} complains", real.file), &real.stderr, &lab.stderr);
        report += &difference(&format!("{} exits", real.file), &real.exit, &lab.exit);
    }
    if std::env::var_os("SOCKETLAB_CASES").is_some() {
        eprintln!("== {}\n{real:#?}", case.name);
    }
    if real.len() != lab.len() {
        report += "    another number of programs\n";
    }
    Ok(report)
}

#[test]
fn linux_and_the_lab_print_the_same() -> Result<()> {
    let cases = cases()?;
    let python = python()?;
    let queue = Mutex::new((0..cases.len()).collect::<VecDeque<_>>());
    let unequal = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(number) = next() {
                    let begin = Instant::now();
                    let same = run(&cases[number], &python).is_ok_and(|report| report.is_empty());
                    eprintln!("{} {same} {:?}", cases[number].name, begin.elapsed());
                    if let (false, Ok(mut unequal)) = (same, unequal.lock()) {
                        unequal.push(number);
                    }
                }
            });
        }
    });
    // The real side depends on a machine that may be busy: what differed has a second chance, alone.
    let mut unequal = unequal.into_inner().unwrap_or_default();
    unequal.sort_unstable();
    let mut report = String::new();
    let mut differ = 0;
    for &number in &unequal {
        let case = &cases[number];
        let found = run(case, &python).unwrap_or_else(|error| format!("    {error:#}\n"));
        let known = DIFFER.iter().find(|(name, _)| *name == case.name);
        if let (Some((name, why)), false) = (known, found.is_empty()) {
            eprintln!("{name} differs as it is known to: {why}");
        } else if !found.is_empty() {
            differ += 1;
            report += &format!("{}:\n{found}", case.name);
        }
    }
    for (name, _) in DIFFER {
        if cases.iter().enumerate().any(|(number, case)| case.name == *name && !unequal.contains(&number)) {
            differ += 1;
            report += &format!("{name}: is equal now; strike it off the list DIFFER\n");
        }
    }
    eprintln!("{} of {} cases are equal", cases.len() - differ, cases.len());
    if !report.is_empty() {
        bail!("{differ} of {} cases differ:\n{report}", cases.len());
    }
    Ok(())
}
