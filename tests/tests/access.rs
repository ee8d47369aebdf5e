//! Can everybody use the page? axe looks at each main view in both themes, and the keyboard alone reaches the controls.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use socketlab_tests::browser::Browser;
use socketlab_tests::product::Relay;

/// axe's findings that keep somebody from using the page: rule, and what it is about.
async fn serious(browser: &Browser, axe: &str) -> Result<Vec<String>> {
    let loaded = browser.script("return typeof window.axe === 'object'").await?;
    if loaded.as_bool() != Some(true) {
        browser.script(axe).await?;
    }
    let found = browser
        .client
        .execute_async(
            "const done = arguments[0];\
             axe.run(document, { resultTypes: ['violations'] }).then(r => done(r.violations\
                .filter(v => v.impact === 'serious' || v.impact === 'critical')\
                .flatMap(v => v.nodes.slice(0, 5).map(n => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary}`))),\
                e => done([String(e)]))",
            vec![],
        )
        .await?;
    let Value::Array(found) = found else { anyhow::bail!("axe said {found}") };
    Ok(found.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
}

/// axe's findings in both themes, each with the view it was found in.
async fn look(browser: &Browser, axe: &str, view: &str, all: &mut Vec<String>) -> Result<()> {
    for theme in ["light", "dark"] {
        browser.color_scheme(theme).await?;
        // What fades from one colour to the other has arrived.
        browser.wait_until("nothing moves", "return document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)").await?;
        all.extend(serious(browser, axe).await?.into_iter().map(|one| format!("{view}, {theme}: {one}")));
    }
    Ok(())
}

async fn mark(browser: &Browser, table: &str, word: &str) -> Result<()> {
    let script = format!(
        "const r = [...document.querySelectorAll('[data-testid={table}] tbody tr')]\
         .find(r => r.textContent.includes('{word}')); r?.click(); return !!r"
    );
    browser.wait_until(&format!("a row with {word} was marked"), &script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_view_keeps_anybody_out() -> Result<()> {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).context("axe-core is missing; `cargo xtask test` installs it")?;
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    browser.wait_for("run").await?;
    let mut all = Vec::new();
    look(&browser, &axe, "before a run", &mut all).await?;

    browser.click("speed-instant").await?;
    browser.click("run").await?;
    browser
        .wait_until(
            "the run has ended",
            "return document.querySelector('[data-testid=run-state]')?.dataset.state === 'finished'",
        )
        .await?;
    look(&browser, &axe, "ladder", &mut all).await?;
    browser.click("ladder-as-table").await?;
    look(&browser, &axe, "ladder as a table", &mut all).await?;
    browser.click("tab-packets").await?;
    mark(&browser, "packet-list", "PSH, ACK").await?;
    look(&browser, &axe, "packets and inspector", &mut all).await?;
    browser.click("stream-follow").await?;
    look(&browser, &axe, "stream", &mut all).await?;
    browser.click("stream-close").await?;
    browser.click("tab-sockets").await?;
    mark(&browser, "sockets-table", "TIME-WAIT").await?;
    look(&browser, &axe, "sockets and TCB", &mut all).await?;
    browser.click("tab-tables").await?;
    look(&browser, &axe, "tables", &mut all).await?;
    browser.click("help").await?;
    look(&browser, &axe, "help", &mut all).await?;
    browser.open(&format!("{}/?lab=shared-lan#teacher", relay.url)).await?;
    browser.wait_for("lan-join").await?;
    look(&browser, &axe, "shared LAN", &mut all).await?;
    ensure!(all.is_empty(), "{} findings: {all:#?}", all.len());

    // The keyboard alone comes to every control of the header, out of the editor again, and sees where it is (in the
    // editor by its caret).
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    browser
        .wait_until(
            "Run can be clicked",
            "return !!document.querySelector('[data-testid=run]:not([disabled])')",
        )
        .await?;
    let mut walked = Vec::new();
    for _ in 0..60 {
        // In the editor Tab indents; Escape gives it back, as the help says.
        let in_editor = browser.script("return document.activeElement.isContentEditable").await?;
        let escape = (in_editor.as_bool() == Some(true)).then_some(("Escape", 27));
        for (name, code) in escape.into_iter().chain([("Tab", 9)]) {
            for kind in ["rawKeyDown", "keyUp"] {
                let key = json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code });
                browser.devtools("Input.dispatchKeyEvent", key).await?;
            }
        }
        let at = browser
            .script(
                "const e = document.activeElement; const s = getComputedStyle(e);\
                 return [e.dataset.testid ?? '', e.isContentEditable || s.outlineStyle !== 'none' || s.boxShadow !== 'none' ? 'seen' : e.outerHTML.slice(0, 120)]",
            )
            .await?;
        let [testid, seen] = [at[0].as_str().unwrap_or_default(), at[1].as_str().unwrap_or_default()];
        ensure!(
            seen == "seen" || at[1].as_str().is_some_and(|html| html.starts_with("<body")),
            "no focus ring: {seen}"
        );
        walked.push(testid.to_owned());
    }
    for control in ["lab-picker", "run", "step", "step-kind", "theme", "help", "tab-packets", "run-program"] {
        ensure!(walked.iter().any(|at| at == control), "Tab does not come to {control}: {walked:?}");
    }
    let ran = walked.iter().position(|at| at == "run-program").unwrap_or(0);
    let trapped = walked.iter().skip(ran + 1).take(20).all(String::is_empty);
    ensure!(!trapped, "the keyboard does not leave the editor: {walked:?}");
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}
