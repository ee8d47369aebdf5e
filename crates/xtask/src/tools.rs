//! Set-up steps: each names what it installs and why, does nothing when it is there already, and when it may not
//! install says the exact command to run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{command, output, root, run, say, which};

/// Newer ones need a newer Rust than this project asks for.
const TRUNK: &str = "0.21.14";
const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";
const WASM: &str = "wasm32-unknown-unknown";

/// What building the page needs.
pub(crate) fn for_page() -> Result<()> {
    debian("cc", &["build-essential"], "a linker and a C compiler, for Rust")?;
    wasm_target()?;
    cargo_tool("trunk", "trunk", TRUNK, &["--locked", "--no-default-features"], "builds the page")?;
    wasm_bindgen()?;
    node()?;
    npm_packages("web", "Pyodide (Python for the page), the editor, fonts")
}

/// What the tests need on top.
pub(crate) fn for_tests() -> Result<()> {
    debian("chromium", &["chromium"], "the browser of the page's tests")?;
    debian("chromedriver", &["chromium-driver"], "drives that browser")?;
    debian("tshark", &["tshark"], "reads our captures: the judge of every byte")?;
    debian("nginx", &["nginx-light"], "stands in front of the relay, as the documentation says")?;
    debian("nats-server", &["nats-server"], "carries rooms that several relays share")?;
    debian("tcpdump", &["tcpdump"], "prints our captures: its lines are compared with ours")?;
    debian("python3", &["python3"], "runs the labs' programs without a browser")?;
    debian("ip", &["iproute2"], "the real kernel's hosts, that the simulated ones are compared with")?;
    debian("nsenter", &["util-linux"], "runs programs on those hosts")?;
    if root().join("tests/package.json").exists() {
        npm_packages("tests", "relay clients that others wrote, to test against")?;
    }
    python_packages()
}

/// What the relay's benchmark needs.
pub(crate) fn for_relay_bench(with_wisp_js: bool) -> Result<()> {
    debian("socat", &["socat"], "a plain TCP proxy, to measure the relay against")?;
    if with_wisp_js {
        node()?;
        npm_packages("tests", "relay clients that others wrote, to test against")?;
    }
    Ok(())
}

/// CPython's own tests, which some systems keep in a package of their own.
pub(crate) fn python_tests(python: &str) -> Result<()> {
    let ask = |code: &str| output(Command::new(python).args(["-c", code]));
    let there = || ask("import test.test_socket").is_some();
    if there() {
        return Ok(());
    }
    // Debian's package bears the version: libpython3.11-testsuite.
    if let Some(version) = ask("import sys; print('%d.%d' % sys.version_info[:2])") {
        let package = format!("libpython{}-testsuite", version.trim());
        apt(&[&package], "CPython's own tests, to run on a simulated host")?;
    }
    if there() {
        return Ok(());
    }
    bail!(
        "`{python}` has no module test.test_socket: name a Python that came with its tests, with --python PATH"
    )
}

/// What the lints need on top.
pub(crate) fn for_lints() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let found = if component == "rustfmt" { "cargo-fmt" } else { "cargo-clippy" };
        if which(found).is_none() {
            say(&format!("{component}: keeps the code's form"));
            run(command("rustup").args(["component", "add", component]))?;
        }
    }
    cargo_tool(
        "cargo-deny",
        "cargo-deny",
        CARGO_DENY,
        &["--locked", "--no-default-features"],
        "checks licences and advisories of dependencies",
    )
}

/// What fuzzing needs: gives cargo-fuzz's path.
pub(crate) fn for_fuzzing() -> Result<PathBuf> {
    debian("c++", &["build-essential"], "a C++ compiler, for libFuzzer")?;
    cargo_tool("cargo-fuzz", "cargo-fuzz", CARGO_FUZZ, &["--locked"], "drives libFuzzer")?;
    tool("cargo-fuzz", "cargo-fuzz", CARGO_FUZZ)
}

/// The folder of one tool at one version, shared by all checkouts of this user and in nobody else's way.
fn tool_dir(name: &str, version: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: say where tools may be kept")?;
    Ok(cache.join("socketlab/tools").join(format!("{name}-{version}")))
}

/// Path of an installed tool.
fn tool(krate: &str, binary: &str, version: &str) -> Result<PathBuf> {
    Ok(tool_dir(krate, version)?.join("bin").join(binary))
}

/// cargo-deny's path.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    tool("cargo-deny", "cargo-deny", CARGO_DENY)
}

/// trunk's path.
pub(crate) fn trunk() -> Result<PathBuf> {
    tool("trunk", "trunk", TRUNK)
}

/// The folder with `wasm-bindgen` and `wasm-bindgen-test-runner` of the locked version.
pub(crate) fn wasm_bindgen_dir() -> Result<PathBuf> {
    Ok(tool_dir("wasm-bindgen-cli", &locked_version("wasm-bindgen")?)?.join("bin"))
}

fn cargo_tool(krate: &str, binary: &str, version: &str, extra: &[&str], why: &str) -> Result<()> {
    if tool(krate, binary, version)?.exists() {
        return Ok(());
    }
    say(&format!("{krate} {version}: {why} (a debug build, a few minutes; only once)"));
    let dir = tool_dir(krate, version)?;
    run(command("cargo")
        .args(["install", krate, "--version", version, "--debug", "--root"])
        .arg(&dir)
        .args(extra)
        // The checkout's own settings are not for the tool.
        .env_remove("RUSTFLAGS")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .current_dir(std::env::temp_dir()))
}

/// The version of a crate in Cargo.lock.
pub(crate) fn locked_version(krate: &str) -> Result<String> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("reading Cargo.lock")?;
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line == format!("name = \"{krate}\"")
            && let Some(version) = lines.next().and_then(|l| l.strip_prefix("version = \""))
        {
            return Ok(version.trim_end_matches('"').to_owned());
        }
    }
    bail!("Cargo.lock has no package `{krate}`")
}

fn wasm_bindgen() -> Result<()> {
    let version = locked_version("wasm-bindgen")?;
    // Without --locked: the lock file that comes with it names a crate that was withdrawn.
    cargo_tool(
        "wasm-bindgen-cli",
        "wasm-bindgen",
        &version,
        &[],
        "joins wasm and JavaScript; must equal Cargo.lock",
    )
}

/// How to compile for wasm on this machine.
pub(crate) enum Wasm {
    /// The toolchain has the target.
    Rustup,
    /// Debian's own Rust, with its standard library built from source.
    Debian {
        /// A linker that Debian's compiler can use.
        linker: PathBuf,
    },
}

impl Wasm {
    /// Finds out; `None` if neither way is there yet. `SOCKETLAB_DEBIAN_RUST=1` asks for the second way.
    pub(crate) fn find() -> Option<Wasm> {
        let debian_wanted = std::env::var_os("SOCKETLAB_DEBIAN_RUST").is_some();
        let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
        let lib = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(WASM).join("lib");
        if lib.is_dir() && !debian_wanted {
            return Some(Wasm::Rustup);
        }
        debian_std_source()?;
        Some(Wasm::Debian { linker: rust_lld()? })
    }

    /// Sets the environment of a cargo or trunk that compiles for wasm.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Wasm::Debian { linker } = self {
            command
                .env("CARGO", "/usr/bin/cargo")
                .env("RUSTC", "/usr/bin/rustc")
                .env("RUSTDOC", "/usr/bin/rustdoc")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                // Host and page get their own folders: two compilers must not share one.
                .env("CARGO_TARGET_DIR", root().join("target/debian"))
                .env_remove("RUSTUP_TOOLCHAIN");
        }
    }

    /// The cargo to compile for wasm with.
    pub(crate) fn cargo(&self) -> &'static str {
        match self {
            Wasm::Rustup => "cargo",
            Wasm::Debian { .. } => "/usr/bin/cargo",
        }
    }
}

/// Where Debian's compiler keeps the source of the standard library, if both are installed.
fn debian_std_source() -> Option<PathBuf> {
    let sysroot = output(command("/usr/bin/rustc").args(["--print", "sysroot"]))?;
    let src = PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library/std");
    src.is_dir().then_some(src)
}

/// rust-lld of rustup's toolchain: Debian's compiler has none of its own.
fn rust_lld() -> Option<PathBuf> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    let host = output(command("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|l| l.strip_prefix("host: "))?.to_owned();
    let lld = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    lld.is_file().then_some(lld)
}

fn wasm_target() -> Result<()> {
    if Wasm::find().is_some() {
        return Ok(());
    }
    if std::env::var_os("SOCKETLAB_DEBIAN_RUST").is_none() {
        say("wasm32-unknown-unknown: Rust's standard library for the page");
        if run(command("rustup").args(["target", "add", WASM])).is_ok() {
            return Ok(());
        }
        say("rustup's server gave nothing; Debian's own Rust can build the page as well");
    }
    apt(
        &["rustc-web", "cargo-web", "rust-web-src"],
        "Debian's Rust, with the source of its standard library",
    )?;
    match Wasm::find() {
        Some(_) => Ok(()),
        None => bail!(
            "neither `rustup target add {WASM}` nor Debian's rustc-web gave a compiler for the page; \
             install one of them and run this again"
        ),
    }
}

fn node() -> Result<()> {
    let version = output(command("node").arg("--version")).unwrap_or_default();
    let major: u32 =
        version.trim().trim_start_matches('v').split('.').next().unwrap_or("").parse().unwrap_or(0);
    if major < 18 {
        apt(&["nodejs", "npm"], "Node.js, which fetches and prepares the page's packages")?;
    }
    Ok(())
}

/// `npm ci` in a folder, unless its packages are already those of the lock file.
fn npm_packages(folder: &str, why: &str) -> Result<()> {
    let dir = root().join(folder);
    let lock = std::fs::read(dir.join("package-lock.json"))
        .with_context(|| format!("reading {folder}/package-lock.json"))?;
    let stamp = dir.join("node_modules/.socketlab-lock");
    if std::fs::read(&stamp).is_ok_and(|s| s == lock) {
        return Ok(());
    }
    say(&format!("npm packages of {folder}/: {why}"));
    run(command("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&dir))?;
    std::fs::write(stamp, lock)?;
    Ok(())
}

/// The packages of tests/requirements.txt, in a folder of their own, unless they are those already.
fn python_packages() -> Result<()> {
    let tests = root().join("tests");
    let wanted = std::fs::read(tests.join("requirements.txt")).context("reading tests/requirements.txt")?;
    let stamp = tests.join("python_modules/.socketlab-requirements");
    if std::fs::read(&stamp).is_ok_and(|s| s == wanted) {
        return Ok(());
    }
    if output(Command::new("python3").args(["-m", "pip", "--version"])).is_none() {
        apt(&["python3-pip"], "fetches Python packages")?;
    }
    say("Python packages of tests/: relays that others wrote, to test against");
    run(command("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"])
        .args(["--target", "python_modules", "--requirement", "requirements.txt"])
        // A warning about root does not concern a folder of our own.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .current_dir(&tests))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// Installs Debian packages unless `program` is there.
fn debian(program: &str, packages: &[&str], why: &str) -> Result<()> {
    if which(program).is_some() {
        return Ok(());
    }
    apt(packages, why)
}

fn apt(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    say(&format!("{list}: {why}"));
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|o| o.trim() == "0");
    let sudo = !is_root && which("sudo").is_some();
    if which("apt-get").is_none() || !(is_root || sudo) {
        bail!(
            "this needs the packages `{list}`; please run (as an administrator):\n\n    apt-get install -y {list}\n"
        );
    }
    let prefix = if is_root { "" } else { "sudo " };
    let script = format!(
        "{prefix}env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {list}"
    );
    // Old package lists may name versions that are gone: refresh them if the first try fails.
    if run(command("sh").args(["-c", &script])).is_ok() {
        return Ok(());
    }
    run(command("sh").args(["-c", &format!("{prefix}apt-get update && {script}")]))
        .with_context(|| format!("could not install `{list}`; please run: {prefix}apt-get install -y {list}"))
}
