//! Building the page and starting the relay that serves it.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::shell::{command, root, run, run_quietly, say, timed};
use crate::tools::{self, Wasm};

/// Sets up what is missing and builds the page into dist/.
pub(crate) fn build() -> Result<()> {
    tools::for_page()?;
    timed("page", || {
        let web = root().join("web");
        run(command("npm").args(["run", "--silent", "build"]).current_dir(&web))?;
        trunk(&["--cargo-profile", "wasm"])?;
        optimise("socketlab-web", "-Oz")?;
        optimise("socketlab-worker", "-O3")?;
        compress(&root().join("dist"))
    })
}

/// The same for whoever works on the page: its wasm is compiled fast instead of small, and Python's files are made
/// anew only when something they are made of has changed.
pub(crate) fn build_dev() -> Result<()> {
    tools::for_page()?;
    timed("page, for development", || {
        let web = root().join("web");
        run(command("node").arg("build.mjs").current_dir(&web))?;
        let python = web.join("assets-gen/python");
        let sources =
            [root().join("python/socketlab"), web.join("worker/python"), web.join("worker/build-python.mjs")];
        let made = python.join("python.json").metadata().and_then(|m| m.modified()).ok();
        if made.is_none_or(|made| sources.iter().any(|source| changed_since(source, made))) {
            run(command("node").args(["worker/build-python.mjs", "assets-gen/python"]).current_dir(&web))?;
        }
        trunk(&[])
    })
}

fn changed_since(path: &Path, then: SystemTime) -> bool {
    match path.read_dir() {
        Ok(entries) => entries.flatten().any(|entry| changed_since(&entry.path(), then)),
        Err(_) => path.metadata().and_then(|m| m.modified()).is_ok_and(|changed| changed > then),
    }
}

fn trunk(profile: &[&str]) -> Result<()> {
    let mut trunk = command(tools::trunk()?);
    trunk.args(["build", "--offline=true", "--color=never"]).args(profile);
    for_wasm(&mut trunk)?;
    run(&mut trunk)
}

/// Binaryen's optimiser over the wasm of one crate in dist/. Only features that every browser with JSPI has.
fn optimise(krate: &str, level: &str) -> Result<()> {
    let dist = root().join("dist");
    for entry in dist.read_dir().with_context(|| format!("reading {}", dist.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(krate) && name.ends_with("_bg.wasm") {
            let features = ["bulk-memory", "mutable-globals", "multivalue", "nontrapping-float-to-int"];
            let features = features.iter().chain(&["reference-types", "sign-ext"]);
            let mut wasm_opt = command("node");
            wasm_opt.arg(root().join("web/node_modules/binaryen/bin/wasm-opt")).arg(level);
            wasm_opt
                .args(features.map(|feature| format!("--enable-{feature}")))
                .arg(&path)
                .arg("-o")
                .arg(&path);
            run_quietly(&mut wasm_opt)?;
        }
    }
    Ok(())
}

/// Puts a `.gz` beside each file that gets smaller by it; the relay sends that one to browsers that take it.
fn compress(folder: &Path) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            compress(&path)?;
        } else if path
            .extension()
            .is_some_and(|e| ["wasm", "js", "mjs", "css", "json", "svg"].iter().any(|&k| e == k))
        {
            run_quietly(command("gzip").args(["-9", "--keep", "--force", "--no-name"]).arg(&path))?;
        }
    }
    Ok(())
}

/// Puts the tools on PATH and the compiler for wasm into the environment.
pub(crate) fn for_wasm(command: &mut Command) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = vec![tools::wasm_bindgen_dir()?, root().join("web/node_modules/.bin")];
    dirs.extend(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(dirs)?).env_remove("NO_COLOR");
    Wasm::find().context("no compiler for wasm; run `cargo xtask setup`")?.apply(command);
    Ok(())
}

/// `cargo xtask serve`.
pub(crate) fn serve(args: &[String]) -> Result<()> {
    build()?;
    let mut server = command("cargo");
    server.args(["run", "--quiet", "--package", "socketlab-cli", "--bin", "socketlab", "--", "serve"]);
    if args.is_empty() {
        server.arg("--demo-services");
    }
    server.args(args);
    say("the relay; stop it with Ctrl-C");
    run(&mut server)
}

/// `cargo xtask dist`: one binary that holds the page.
pub(crate) fn dist() -> Result<()> {
    build()?;
    timed("binary", || run(command("cargo").args(["build", "--release", "--package", "socketlab-cli"])))?;
    say("target/release/socketlab serves the page from within itself");
    Ok(())
}

/// Runs one of the programs of `tests/` that look at the real page: screenshots, measurements.
pub(crate) fn probe(name: &str, mut args: &[String]) -> Result<()> {
    match args.first().map(String::as_str) {
        // The page as it was built last.
        Some("--built") => args = &args[1..],
        _ => build()?,
    }
    tools::for_tests()?;
    run(command("cargo").args(["build", "--quiet", "--package", "socketlab-cli"]))?;
    run(command("cargo")
        .args(["run", "--quiet", "--package", "socketlab-tests", "--bin", name, "--"])
        .args(args))
}
