//! The product as its users start it: `socketlab serve` and `socketlab run`, each a child process that is ended by
//! its own pid.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The `socketlab` binary of this build.
///
/// # Errors
/// If it was not built: `cargo xtask test` builds it first.
pub fn binary() -> Result<PathBuf> {
    // target/debug/deps/page-1234 or target/debug/measure: the binary lies beside or one folder up.
    let me = std::env::current_exe()?;
    let found = me.ancestors().skip(1).take(2).map(|d| d.join("socketlab")).find(|p| p.is_file());
    found.context("target/debug/socketlab is missing; run `cargo xtask test`, which builds it")
}

/// A running relay.
pub struct Relay {
    child: Child,
    /// `http://127.0.0.1:PORT`, with TLS `https://127.0.0.1:PORT`; without the class code.
    pub url: String,
    /// `127.0.0.1:PORT`, by whatever name it calls itself.
    address: String,
}

impl Relay {
    /// Starts `socketlab serve` on a free port and waits for its address.
    ///
    /// # Errors
    /// If it ends before it has said where it listens.
    pub async fn start(extra: &[&str]) -> Result<Relay> {
        Relay::start_at("127.0.0.1:0", extra).await
    }

    /// The same at a given address.
    ///
    /// # Errors
    /// If it ends before it has said where it listens.
    pub async fn start_at(listen: &str, extra: &[&str]) -> Result<Relay> {
        let mut child = Command::new(binary()?)
            .args(["serve", "--listen", listen])
            .args(extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().context("the relay's standard output")?;
        let mut lines = BufReader::new(out).lines();
        let mut seen = String::new();
        while let Some(line) = tokio::time::timeout(crate::PATIENCE, lines.next_line()).await?? {
            if let Some(at) = line.find("http://").or_else(|| line.find("https://")) {
                // A class code stands behind #.
                let link = line[at..].split_whitespace().next().unwrap_or_default();
                let url = link.split('#').next().unwrap_or_default().trim_end_matches('/').to_owned();
                // Nobody must be stopped by a full pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let port = url.rsplit(':').next().unwrap_or_default();
                let address = format!("127.0.0.1:{port}");
                return Ok(Relay { child, url, address });
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        bail!("the relay ended without an address; it said:\n{seen}")
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets it read its settings file again (SIGHUP).
    ///
    /// # Errors
    /// If it has ended.
    pub async fn reload(&self) -> Result<()> {
        let pid = self.child.id().context("the relay has ended")?.to_string();
        let status = Command::new("kill").args(["-HUP", &pid]).status().await?;
        ensure!(status.success(), "kill -HUP {pid}: {status}");
        Ok(())
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// `socketlab run LAB --json`: what the programs printed, and how they ended.
///
/// # Errors
/// If the command fails or prints no JSON.
pub async fn run_json(args: &[&str]) -> Result<serde_json::Value> {
    let out =
        Command::new(binary()?).arg("run").args(args).arg("--json").stdin(Stdio::null()).output().await?;
    serde_json::from_slice(&out.stdout).with_context(|| {
        format!("`socketlab run {args:?}` printed no JSON; stderr: {}", String::from_utf8_lossy(&out.stderr))
    })
}
