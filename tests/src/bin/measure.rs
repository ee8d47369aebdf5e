//! Prints the figures of the page: size of its wasm, time from load to interactive, from Run to the first line of
//! Python output (first visit, and again with Python warm). Figures, not tests: nothing here fails for being slow.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use socketlab_tests::browser::Browser;
use socketlab_tests::product::Relay;

#[expect(clippy::print_stdout, reason = "it prints figures")]
#[tokio::main]
async fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("| what | octets | gzip -9 |\n|---|---|---|");
    let mut files: Vec<_> = std::fs::read_dir(root.join("dist"))?
        .flatten()
        .map(|f| f.path())
        .filter(|p| p.extension().is_some_and(|e| e == "wasm"))
        .collect();
    files.sort();
    for file in files {
        let gzip = Command::new("gzip").args(["-9", "-c"]).arg(&file).output()?.stdout.len();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("| {name} | {} | {gzip} |", std::fs::metadata(&file)?.len());
    }

    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    println!("\n| what | ms |\n|---|---|");
    for visit in ["first visit", "second visit"] {
        let start = Instant::now();
        browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
        browser
            .wait_until(
                "the page can be used",
                "return !!document.querySelector('[data-testid=run]:not([disabled])')",
            )
            .await?;
        println!("| load to interactive, {visit} | {} |", start.elapsed().as_millis());
        for run in ["first run", "second run"] {
            browser.click("speed-instant").await?;
            browser
                .client
                .execute(
                    "window.__t0 = performance.now(); window.__t1 = null;
                     const lines = () => document.querySelectorAll(
                         '[data-testid=\"console-server.py\"] .console__text').length;
                     let armed = lines() === 0;
                     new MutationObserver(() => {
                         const now = lines();
                         if (now === 0) armed = true;
                         else if (armed && window.__t1 === null) window.__t1 = performance.now();
                     }).observe(document.body, { childList: true, subtree: true, characterData: true });
                     document.querySelector('[data-testid=run]').click()",
                    vec![],
                )
                .await?;
            browser.wait_until("the server printed", "return window.__t1 !== null").await?;
            let ms = browser.client.execute("return Math.round(window.__t1 - window.__t0)", vec![]).await?;
            println!("| Run to first line of Python output, {visit}, {run} | {ms} |");
            browser
                .wait_until(
                    "the run has ended",
                    "return document.querySelector('[data-testid=run-state]')?.dataset.state === 'finished'",
                )
                .await?;
        }
    }
    browser.close().await?;
    relay.stop().await
}
