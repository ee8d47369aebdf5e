//! Every test in one command, with the sum of what the runners counted as the last line.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cpython;
use crate::page;
use crate::shell::{command, output, root, run, run_watching, say, shown, timed};
use crate::tools::{self, Wasm};

const PARTS: [&str; 5] = ["lint", "native", "cpython", "wasm", "e2e"];

/// What the test runners counted.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
    broken: Vec<String>,
    /// What failed tests said, to be read again at the end.
    said: Vec<String>,
}

/// Lines of one failed test that are shown again. A choice: a difference or a panic, not its backtrace.
const SAID: usize = 60;

/// Finds what failed tests said in the output of a runner.
#[derive(Default)]
struct Failures {
    said: Vec<String>,
    left: usize,
}

impl Failures {
    /// Rust's runner heads it with `---- NAME stdout ----`, wasm-bindgen's with `---- NAME output ----`.
    fn line(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            self.said.push(String::new());
            self.left = SAID;
        } else if line == "failures:" || line.starts_with("stack backtrace:") {
            self.left = 0;
        }
        if let (Some(said), 1..) = (self.said.last_mut(), self.left) {
            self.left -= 1;
            *said += line;
            said.push('\n');
        }
    }
}

impl Totals {
    /// Runs a `cargo test` and adds what its runners say: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn cargo_test(&mut self, what: &str, command: &mut Command) -> Result<()> {
        say(what);
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        let mut failures = Failures::default();
        let ok = timed(what, || {
            run_watching(command, |line| {
                failures.line(line);
                let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
                for part in rest.split([';', '.']) {
                    let mut words = part.split_whitespace();
                    let (Some(n), Some(kind)) = (words.next(), words.next()) else { continue };
                    let Ok(n) = n.parse::<u64>() else { continue };
                    match kind {
                        "passed" => passed += n,
                        "failed" => failed += n,
                        "ignored" => skipped += n,
                        _ => {}
                    }
                }
            })
        })?;
        self.said.append(&mut failures.said);
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
        if !ok {
            self.broken.push(what.to_owned());
        } else if passed == 0 {
            self.broken.push(format!("{what} (ran no test)"));
        }
        Ok(())
    }

    /// Runs tests that count themselves.
    fn count(&mut self, what: &str, work: impl FnOnce() -> Result<u64>) -> Result<()> {
        say(what);
        match timed(what, work) {
            Ok(passed) => self.passed += passed,
            Err(error) => {
                println!("{error:#}");
                self.failed += 1;
                self.broken.push(what.to_owned());
            }
        }
        Ok(())
    }

    /// Runs a check that either holds or not.
    fn check(&mut self, what: &str, work: impl FnOnce() -> Result<()>) {
        say(what);
        match timed(what, work) {
            Ok(()) => self.passed += 1,
            Err(error) => {
                println!("{error:#}");
                self.failed += 1;
                self.broken.push(what.to_owned());
            }
        }
    }
}

/// `cargo xtask test [PART]...`.
pub(crate) fn run_parts(parts: &[String]) -> Result<()> {
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    if let Some(unknown) = parts.iter().find(|p| !PARTS.contains(&p.as_str())) {
        bail!("`{unknown}` is not a part of the tests; parts: {}", PARTS.join(", "));
    }
    let mut totals = Totals::default();
    if wanted("lint") {
        timed("set-up for lints", tools::for_lints)?;
        lint(&mut totals)?;
    }
    if wanted("native") || wanted("e2e") || wanted("wasm") {
        timed("set-up for tests", tools::for_tests)?;
    }
    if wanted("native") {
        let mut tests = command("cargo");
        tests.args(["test", "--no-fail-fast", "--exclude", "socketlab-tests", "--workspace"]);
        for krate in WASM_CRATES {
            tests.args(["--exclude", krate]);
        }
        totals.cargo_test("native tests", &mut tests)?;
    }
    if wanted("cpython") {
        totals.count("CPython's own tests on a simulated host", || cpython::run_suites(&[]))?;
    }
    if wanted("wasm") {
        timed("set-up for the page", tools::for_page)?;
        run(command("cargo").args(["build", "--package", "socketlab-cli"]))?;
        let mut tests = command(Wasm::find().context("no compiler for wasm")?.cargo());
        tests.args([
            "test",
            "--target",
            "wasm32-unknown-unknown",
            "--package",
            "socketlab-lab",
            "--test",
            "replay",
        ]);
        page::for_wasm(&mut tests)?;
        tests
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
                tools::wasm_bindgen_dir()?.join("wasm-bindgen-test-runner"),
            )
            .env("SOCKETLAB_RECORDINGS", recordings()?);
        totals.cargo_test("shipped labs in wasm as natively", &mut tests)?;
        let relay = TestRelay::start()?;
        for krate in WASM_CRATES {
            let mut tests = command(Wasm::find().context("no compiler for wasm")?.cargo());
            tests.args(["test", "--target", "wasm32-unknown-unknown", "--package", krate]);
            page::for_wasm(&mut tests)?;
            tests
                .env(
                    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
                    tools::wasm_bindgen_dir()?.join("wasm-bindgen-test-runner"),
                )
                .env(
                    "CHROMEDRIVER",
                    crate::shell::which("chromedriver").context("chromedriver is not on PATH")?,
                )
                .env("WASM_BINDGEN_TEST_ADDRESS", &relay.page)
                .env("SOCKETLAB_TEST_RELAY", &relay.url)
                .env("SOCKETLAB_TEST_ECHO", &relay.echo)
                .env("WASM_BINDGEN_TEST_TIMEOUT", "300");
            totals.cargo_test(&format!("headless browser tests of {krate}"), &mut tests)?;
        }
    }
    if wanted("e2e") {
        page::build()?;
        run(command("cargo").args(["build", "--package", "socketlab-cli"]))?;
        let mut tests = command("cargo");
        // One browser at a time: each has a Python to start.
        tests.args(["test", "--no-fail-fast", "--package", "socketlab-tests", "--", "--test-threads=1"]);
        totals.cargo_test("whole-product tests, in a real browser", &mut tests)?;
    }
    finish(&totals)
}

/// Runs each shipped lab natively. Gives the folder with what the programs said.
fn recordings() -> Result<PathBuf> {
    let folder = root().join("target/recordings");
    std::fs::create_dir_all(&folder)?;
    let list = output(command("target/debug/socketlab").arg("labs")).context("`socketlab labs` failed")?;
    for lab in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let file = folder.join(format!("{lab}.run"));
        let mut run = command("target/debug/socketlab");
        run.args(["run", lab, "--json", "--record"]).arg(file);
        // Programs that fail are a part of some lessons; 2 says that there was no run.
        let status = run.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if status.code().is_none_or(|code| code > 1) {
            bail!("`{}` failed ({status})", shown(&run));
        }
    }
    Ok(folder)
}

/// A relay for the browser tests that talk to a real one. Ended when it goes out of scope.
struct TestRelay {
    child: Child,
    /// Where the test runner shall serve its page: the origin that the relay lets in.
    page: String,
    /// The relay's Wisp address.
    url: String,
    /// Port of its echo service.
    echo: String,
}

impl TestRelay {
    fn start() -> Result<TestRelay> {
        // A port that was free a moment ago.
        let page = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut child = command("target/debug/socketlab")
            .args(["serve", "--listen", "127.0.0.1:0", "--demo-services", "--demo-port-base", "0"])
            .args(["--allow-origin", &format!("http://{page}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start target/debug/socketlab")?;
        let out = child.stdout.take().context("the relay's standard output")?;
        let mut relay = TestRelay { child, page, url: String::new(), echo: String::new() };
        let mut lines = BufReader::new(out).lines();
        while relay.echo.is_empty() || relay.url.is_empty() {
            let line = lines
                .next()
                .context("the relay for the browser tests ended before it said where it listens")??;
            if let Some((_, address)) = line.split_once("http://") {
                relay.url = format!("ws://{}/wisp/", address.trim_end_matches('/'));
            }
            if let (Some((target, _)), true) = (line.split_once("/tcp"), line.contains("echo")) {
                relay.echo = target.rsplit(':').next().unwrap_or_default().to_owned();
            }
        }
        // Nobody must be stopped by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(relay)
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Crates that only make sense in a browser.
const WASM_CRATES: [&str; 2] = ["socketlab-web", "socketlab-worker"];

fn lint(totals: &mut Totals) -> Result<()> {
    totals.check("formatting", || run(command("cargo").args(["fmt", "--all", "--check"])));
    totals
        .check("clippy", || run(command("cargo").args(["clippy", "--all-targets", "--", "-D", "warnings"])));
    tools::for_page()?;
    totals.check("clippy for the page", || {
        let wasm = Wasm::find().context("no compiler for wasm")?;
        if matches!(wasm, Wasm::Debian { .. }) {
            say("skipped: Debian's Rust has no clippy for wasm");
            return Ok(());
        }
        let mut clippy = command("cargo");
        clippy.args(["clippy", "--target", "wasm32-unknown-unknown", "--all-targets"]);
        for krate in WASM_CRATES {
            clippy.args(["--package", krate]);
        }
        clippy.args(["--", "-D", "warnings"]);
        run(&mut clippy)
    });
    totals.check("licences and sources of dependencies", || {
        run(command(tools::cargo_deny()?).args([
            "--log-level",
            "error",
            "check",
            "licenses",
            "bans",
            "sources",
        ]))
    });
    // The advisory database lies on a server that is not reached from everywhere: told, not hidden.
    let database = std::env::var_os("HOME").map(|h| std::path::PathBuf::from(h).join(".cargo/advisory-dbs"));
    let fetch = crate::shell::output(command(tools::cargo_deny()?).arg("fetch").arg("db"));
    let fetched = database
        .and_then(|d| d.read_dir().ok())
        .is_some_and(|mut entries| entries.any(|e| e.is_ok_and(|e| e.path().is_dir())));
    if fetch.is_some() || fetched {
        totals.check("advisories", || {
            run(command(tools::cargo_deny()?).args([
                "--log-level",
                "error",
                "check",
                "--hide-inclusion-graph",
                "advisories",
            ]))
        });
    } else {
        say("advisories: not checked, their database cannot be reached from here");
    }
    Ok(())
}

fn finish(totals: &Totals) -> Result<()> {
    println!();
    for said in &totals.said {
        println!("{}\n", said.trim_end());
    }
    for part in &totals.broken {
        say(&format!("failed: {part}"));
    }
    println!(
        "{} passed, {} failed, {} skipped",
        totals.passed,
        totals.failed.max(totals.broken.len() as u64),
        totals.skipped
    );
    if !totals.broken.is_empty() || totals.failed > 0 {
        bail!("not every test passed");
    }
    Ok(())
}

/// `cargo xtask bless`: expected outputs are rewritten by the tests themselves.
pub(crate) fn bless() -> Result<()> {
    run(command("cargo").args(["test", "--no-fail-fast"]).env("SOCKETLAB_BLESS", "1"))?;
    run(command("git").args(["status", "--short"]))
}

/// `cargo xtask bench`: the stack's benchmark beside smoltcp's, the whole engine's, or the relay's beside socat; it
/// prints, and holds nothing.
pub(crate) fn bench(cases: &[String]) -> Result<()> {
    if let Some(("relay", rest)) = cases.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        tools::for_relay_bench(rest.iter().any(|word| word == "wisp-js"))?;
        return run(command("cargo")
            .args(["bench", "-p", "socketlab-server", "--bench", "relay", "--"])
            .args(rest));
    }
    if cases.first().is_some_and(|first| first == "engine") {
        return bench_engine();
    }
    run(command("cargo").args(["bench", "-p", "socketlab-stack", "--bench", "engine", "--"]).args(cases))
}

/// What the world costs around the stacks, beside smoltcp's time for the same octets; and many hosts with Pythons.
fn bench_engine() -> Result<()> {
    let mut stack = command("cargo");
    stack.args(["bench", "-p", "socketlab-stack", "--bench", "engine", "--", "bulk"]);
    let mut smoltcp = None;
    let ran = run_watching(&mut stack, |line| {
        // `  smoltcp    0.301 s ...`; the first line is the one without trace.
        if let (Some(rest), None) = (line.trim().strip_prefix("smoltcp"), &smoltcp) {
            smoltcp = rest.split_whitespace().next().map(str::to_owned);
        }
    })?;
    if !ran {
        bail!("the stack's benchmark failed");
    }
    let mut world = command("cargo");
    world.args(["bench", "-p", "socketlab-netsim", "--bench", "engine"]);
    run(world.envs(smoltcp.map(|seconds| ("SOCKETLAB_SMOLTCP_SECONDS", seconds))))?;
    run(command("cargo").args(["bench", "-p", "socketlab-cli", "--bench", "hosts"]))
}
