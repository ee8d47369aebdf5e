//! `cargo xtask cpython`: CPython's own tests of sockets, selectors, threads and servers, run as a program on a
//! simulated host. What does not pass there is in `table.txt`, by reason; a test that newly fails, or newly passes, is
//! told, and either is an error.

mod table;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::shell::{command, run, say};
use crate::tools;
use table::Table;

/// The modules that are run when none is named, the long ones first.
const MODULES: &[&str] = &[
    "test_socket",
    "test_selectors",
    "test_socketserver",
    "test_httpservers",
    "test_httplib",
    "test_threading",
    "test_smtplib",
    "test_ftplib",
    "test_imaplib",
    "test_poplib",
    "test_wsgiref",
    "test_asyncio.test_selector_events",
    "test_select",
    "test_poll",
    "test_epoll",
    "test_asyncio.test_streams",
    "test_asyncio.test_sock_lowlevel",
    "test_asyncio.test_server",
    "test_threading_local",
    "test_thread",
    "test_queue",
    "test_http_cookies",
    "test_urllib2_localnet",
];
/// Modules at a time: one computes while the other starts.
const AT_ONCE: usize = 2;
const SUITE: &str = include_str!("suite.py");
/// Virtual time that one module may take.
const UNTIL: &str = "10h";
/// Real time that a test may compute without a system call.
const CPU_LIMIT: &str = "30s";
/// Tests in one module that may hang before we give up. A choice: so many mean that something else is wrong.
const MOST_HANGS: usize = 20;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Pass,
    Fail(String),
    Skip,
    /// The program ended in the middle of it, or never.
    Hang,
}

/// Runs the modules, with the machine's Python or another (`--python PATH`). Gives how many tests passed.
pub(crate) fn run_suites(args: &[String]) -> Result<u64> {
    let mut python = "python3".to_owned();
    let mut modules = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--python" => python = args.next().context("--python wants a path")?.clone(),
            other if other.starts_with('-') => bail!("`{other}` is not a flag of `cargo xtask cpython`"),
            module => modules.push(module.trim_start_matches("test.").to_owned()),
        }
    }
    if modules.is_empty() {
        modules = MODULES.iter().map(|&module| module.to_owned()).collect();
    }
    tools::python_tests(&python)?;
    run(command("cargo").args(["build", "--package", "socketlab-cli"]))?;

    let table = Table::read()?;
    let todo = Mutex::new(modules.iter().rev().cloned().collect::<Vec<_>>());
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| -> Result<()> {
        let work = || -> Result<()> {
            loop {
                let next = todo.lock().map(|mut todo| todo.pop()).unwrap_or_default();
                let Some(module) = next else { return Ok(()) };
                let found = run_module(&python, &module, &table).with_context(|| module.clone())?;
                if let Ok(mut outcomes) = outcomes.lock() {
                    outcomes.insert(module, found);
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap_or_else(|_| bail!("a worker panicked"))?;
        }
        Ok(())
    })?;
    let outcomes = outcomes.into_inner().unwrap_or_default();
    report(&modules, &outcomes, &table)
}

/// One module's tests, by name. After a hang the rest is run in a program of its own.
fn run_module(python: &str, module: &str, table: &Table) -> Result<BTreeMap<String, Outcome>> {
    let mut outcomes = BTreeMap::new();
    let mut first = 0;
    for _ in 0..MOST_HANGS {
        let folder = Folder::new(module, first, &table.left_out())?;
        let mut child = command("target/debug/socketlab")
            .args(["run", "--until", UNTIL, "--cpu-limit", CPU_LIMIT, "--python", python])
            .arg(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start target/debug/socketlab")?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err) = (out.context("no standard output")?, err.context("no standard error")?);
        // Read beside standard output: nobody must be stopped by a full pipe. Its end says why a program ended.
        let complaints = std::thread::spawn(move || {
            let lines: Vec<String> = BufReader::new(err).lines().map_while(Result::ok).collect();
            lines.last().cloned().unwrap_or_default()
        });
        let mut begun = None;
        for line in BufReader::new(out).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            let Some(line) = line.strip_prefix('\x1e') else { continue };
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["begin", id] => {
                    begun = Some(short(id));
                    first += 1;
                }
                ["end", id, outcome, ref why @ ..] => {
                    let outcome = match outcome {
                        "pass" => Outcome::Pass,
                        "skip" => Outcome::Skip,
                        _ => Outcome::Fail(why.join(" ")),
                    };
                    outcomes.insert(short(id), outcome);
                    begun = None;
                }
                _ => {}
            }
        }
        let status = child.wait()?;
        let complaint = complaints.join().unwrap_or_default();
        match begun {
            Some(test) => _ = outcomes.insert(test, Outcome::Hang),
            None if status.success() => return Ok(outcomes),
            None => bail!("the tests did not run to their end: {complaint}"),
        }
    }
    bail!("{MOST_HANGS} tests ended their program or never ended")
}

/// `test_socket.BasicTCPTest.testRecv`.
fn short(id: &str) -> String {
    id.trim_start_matches("test.").to_owned()
}

fn report(
    modules: &[String],
    outcomes: &BTreeMap<String, BTreeMap<String, Outcome>>,
    table: &Table,
) -> Result<u64> {
    let mut news = Vec::new();
    let (mut passed, mut all_listed, mut skipped) = (0, 0, 0);
    let mut reasons = BTreeMap::<&str, u64>::new();
    for module in modules {
        let (mut pass, mut listed, mut skip) = (0, 0, 0);
        for (test, outcome) in outcomes.get(module).into_iter().flatten() {
            let reason = table.reason(test);
            match (outcome, reason) {
                (Outcome::Pass, None) => pass += 1,
                (Outcome::Pass, Some(_)) => news.push(format!("{test} passes now: take it out of table.txt")),
                (Outcome::Skip, None) => skip += 1,
                (Outcome::Skip | Outcome::Fail(_) | Outcome::Hang, Some(reason)) => {
                    listed += 1;
                    *reasons.entry(reason).or_default() += 1;
                }
                (Outcome::Fail(why), None) => news.push(format!("{test} fails: {why}")),
                (Outcome::Hang, None) => news.push(format!("{test} never ends, or ends the program")),
            }
        }
        println!("{module:<34} {pass:>4} pass {listed:>4} listed {skip:>4} skipped by CPython itself");
        passed += pass;
        all_listed += listed;
        skipped += skip;
    }
    println!("{:<34} {passed:>4} pass {all_listed:>4} listed {skipped:>4} skipped", "all");
    for (reason, count) in reasons {
        println!("  {count:>4} {reason}");
    }
    if news.is_empty() {
        return Ok(passed);
    }
    for line in &news {
        say(line);
    }
    bail!("{} of CPython's tests end otherwise than crates/xtask/src/cpython/table.txt says", news.len())
}

/// The lab that runs a module. Goes when it is dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(module: &str, first: usize, left_out: &str) -> Result<Folder> {
        let folder = std::env::temp_dir().join(format!("socketlab-cpython-{}-{module}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let folder = Folder(folder);
        let lab = format!(
            "version = 1\n[[host]]\nname = \"alone\"\n[[program]]\nhost = \"alone\"\nfile = \"suite.py\"\n\
             args = [\"test.{module}\", \"{first}\"]\n"
        );
        let file = |name: &str, text: &str| std::fs::write(Path::new(&folder.0).join(name), text);
        file("lab.toml", &lab)?;
        file("suite.py", SUITE)?;
        file("left-out", left_out)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
