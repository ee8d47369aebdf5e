//! A real, headless Chromium through chromedriver: open, click, read, wait for a condition, collect console errors.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A browser window with a fresh profile.
pub struct Browser {
    /// The WebDriver session, for what the helpers here do not cover.
    pub client: Client,
    driver: Child,
    /// Chromium's own process, as long as it runs: it would outlive a chromedriver that is killed.
    process: Option<u64>,
    _profile: tempfile::TempDir,
}

/// chromedriver's own command: the entries of the browser's console since the last time.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> core::result::Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

impl Browser {
    /// Starts chromedriver on a free port and opens a window of this size, in this language.
    ///
    /// # Errors
    /// If chromedriver or Chromium cannot be started.
    pub async fn start(width: u32, height: u32, language: &str, extra: &[&str]) -> Result<Browser> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start chromedriver; `cargo xtask test` installs it")?;
        let out = driver.stdout.take().context("chromedriver's standard output")?;
        let mut lines = BufReader::new(out).lines();
        let port = loop {
            let line = tokio::time::timeout(crate::PATIENCE, lines.next_line()).await??;
            let Some(line) = line else { bail!("chromedriver ended without a port") };
            if let Some(rest) = line.split("successfully on port ").nth(1) {
                break rest.trim_end_matches('.').trim().to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

        let profile = tempfile::tempdir()?;
        let mut args: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ]
        .map(str::to_owned)
        .to_vec();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        args.push(format!("--window-size={width},{height}"));
        args.push(format!("--lang={language}"));
        args.extend(extra.iter().map(|&s| s.to_owned()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": args, "prefs": { "intl.accept_languages": language } },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { bail!("capabilities are an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await?;
        let process = client.capabilities().and_then(|all| all.get("goog:processID")).and_then(Value::as_u64);
        // --window-size counts the frame of a window that headless Chromium does not draw: set what the page gets.
        client
            .issue_cmd(Cdp {
                cmd: "Emulation.setDeviceMetricsOverride",
                params: json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 }),
            })
            .await?;
        Ok(Browser { client, driver, process, _profile: profile })
    }

    /// Pretends that the system prefers this colour scheme: `light` or `dark`.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn color_scheme(&self, scheme: &str) -> Result<()> {
        let params = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.client.issue_cmd(Cdp { cmd: "Emulation.setEmulatedMedia", params }).await?;
        Ok(())
    }

    /// Runs `script` in every page to come, before the page's own scripts, whatever the page's policy for scripts is.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn before_pages(&self, script: &str) -> Result<()> {
        self.client.issue_cmd(Cdp { cmd: "Page.setBypassCSP", params: json!({ "enabled": true }) }).await?;
        let params = json!({ "source": script });
        self.client.issue_cmd(Cdp { cmd: "Page.addScriptToEvaluateOnNewDocument", params }).await?;
        Ok(())
    }

    /// Opens an address.
    ///
    /// # Errors
    /// If the page cannot be loaded.
    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// Waits until an element with this `data-testid` is there and not disabled, and clicks it.
    ///
    /// # Errors
    /// If it does not come, or cannot be clicked.
    pub async fn click(&self, testid: &str) -> Result<()> {
        let script = format!("return !!document.querySelector('{}:not([disabled])')", css(testid));
        self.wait_until(&format!("{testid} can be clicked"), &script).await?;
        self.client
            .find(Locator::Css(&css(testid)))
            .await?
            .click()
            .await
            .with_context(|| format!("clicking {testid}"))
    }

    /// Waits until an element with this `data-testid` is in the document.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn wait_for(&self, testid: &str) -> Result<()> {
        self.wait_until(
            &format!("{testid} is there"),
            &format!("return !!document.querySelector('{}')", css(testid)),
        )
        .await
    }

    /// Writes a text into a field, in the place of what was there.
    ///
    /// # Errors
    /// If there is no such field.
    pub async fn fill(&self, testid: &str, text: &str) -> Result<()> {
        self.wait_for(testid).await?;
        let field = self.client.find(Locator::Css(&css(testid))).await?;
        field.clear().await?;
        field.send_keys(text).await.with_context(|| format!("filling {testid}"))
    }

    /// Replaces a piece of a file in the editor, as typing would.
    ///
    /// # Errors
    /// If the file or the piece is not there.
    pub async fn edit(&self, file: &str, old: &str, new: &str) -> Result<()> {
        self.click(&format!("editor-tab-{file}")).await?;
        self.wait_for_text(&format!("editor-{file}"), old).await?;
        let script = format!(
            "const c = document.querySelector('[data-testid=\"editor-{file}\"] .cm-content');\
             const view = c.cmTile?.view ?? c.cmView.view; const old = {};\
             const from = view.state.doc.toString().indexOf(old);\
             view.dispatch({{ changes: {{ from, to: from + old.length, insert: {} }} }})",
            Value::from(old),
            Value::from(new)
        );
        self.script(&script).await?;
        Ok(())
    }

    /// Waits until a script returns `true`.
    ///
    /// # Errors
    /// If it never does; the error shows the page's text.
    pub async fn wait_until(&self, what: &str, script: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            if self.client.execute(script, vec![]).await?.as_bool() == Some(true) {
                return Ok(());
            }
            if start.elapsed() > crate::PATIENCE {
                let text = self.client.execute("return document.body.innerText", vec![]).await?;
                let errors = self.console_errors().await.unwrap_or_default();
                bail!(
                    "waited in vain until {what}. The page says:\n{}\nconsole: {errors:#?}",
                    text.as_str().unwrap_or_default()
                );
            }
            // One look each frame: the condition itself is what is waited for.
            self.client
                .execute_async(
                    "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 30));",
                    vec![],
                )
                .await?;
        }
    }

    /// Waits until the text of an element contains `wanted`, and returns it whole.
    ///
    /// # Errors
    /// If it never does.
    pub async fn wait_for_text(&self, testid: &str, wanted: &str) -> Result<String> {
        let script = format!(
            "const e = document.querySelector('{}'); return !!e && e.textContent.includes({})",
            css(testid),
            Value::from(wanted)
        );
        self.wait_until(&format!("{testid} contains {wanted:?}"), &script).await?;
        self.text(testid).await
    }

    /// The text of an element as the document holds it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn text(&self, testid: &str) -> Result<String> {
        let script = format!("return document.querySelector('{}').textContent", css(testid));
        let text = self.client.execute(&script, vec![]).await.with_context(|| format!("reading {testid}"))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The rows of a table, cell by cell.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn rows(&self, testid: &str) -> Result<Vec<Vec<String>>> {
        let script = format!(
            "return [...document.querySelector('{}').querySelectorAll('tbody tr')]\
             .map(r => [...r.cells].map(c => c.textContent.trim()))",
            css(testid)
        );
        let rows =
            self.client.execute(&script, vec![]).await.with_context(|| format!("reading table {testid}"))?;
        Ok(serde_json::from_value(rows)?)
    }

    /// Errors on the browser's console since the last time: uncaught exceptions, failed loads, `console.error`.
    ///
    /// # Errors
    /// If chromedriver does not give them.
    pub async fn console_errors(&self) -> Result<Vec<String>> {
        let log = self.client.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().cloned().unwrap_or_default();
        Ok(entries
            .iter()
            .filter(|e| e["level"] == "SEVERE")
            .map(|e| e["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Fails if the console holds an error.
    ///
    /// # Errors
    /// The errors.
    pub async fn expect_clean_console(&self) -> Result<()> {
        let errors = self.console_errors().await?;
        if errors.is_empty() { Ok(()) } else { bail!("the browser's console has errors: {errors:#?}") }
    }

    /// A command of the Chrome DevTools protocol, such as `Page.setDownloadBehavior`.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn devtools(&self, cmd: &'static str, params: Value) -> Result<Value> {
        Ok(self.client.issue_cmd(Cdp { cmd, params }).await?)
    }

    /// Runs a script and returns what it returns.
    ///
    /// # Errors
    /// If it throws.
    pub async fn script(&self, script: &str) -> Result<Value> {
        self.client.execute(script, vec![]).await.with_context(|| format!("running {script}"))
    }

    /// Gives files to a file picker, by the picker's `data-testid`.
    ///
    /// # Errors
    /// If there is no such picker.
    pub async fn pick(&self, testid: &str, files: &[std::path::PathBuf]) -> Result<()> {
        let picker = self.client.find(Locator::Css(&css(testid))).await?;
        let paths: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        picker.send_keys(&paths.join("\n")).await.with_context(|| format!("picking files for {testid}"))
    }

    /// A picture of the window, as PNG.
    ///
    /// # Errors
    /// If it cannot be taken.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// Closes the window and ends chromedriver.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn close(mut self) -> Result<()> {
        self.client.clone().close().await?;
        self.process = None;
        self.driver.kill().await?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(process) = self.process {
            // A test has failed; the browser may have ended by itself.
            let _ended = std::process::Command::new("kill").arg(process.to_string()).status();
        }
    }
}

/// CSS selector of a `data-testid`.
fn css(testid: &str) -> String {
    format!("[data-testid=\"{testid}\"]")
}

/// A command of the Chrome DevTools protocol.
#[derive(Debug)]
struct Cdp {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> core::result::Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.cmd, "params": self.params }).to_string()))
    }
}
