//! Labs that come from the disk or from a link and go out again, and the look at the past: in a real browser.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use socketlab_tests::browser::Browser;
use socketlab_tests::product::Relay;

const LAB: &str = "version = 1\ntitle = \"Från disken\"\n\n[[host]]\nname = \"ensam\"\n\n\
                   [[program]]\nhost = \"ensam\"\nfile = \"hej.py\"\n";
const PROGRAM: &str = "import hjälp\nprint(hjälp.TEXT)\n";
const MODULE: &str = "TEXT = 'hej från en modul'\n";

async fn finished(browser: &Browser) -> Result<()> {
    browser.click("speed-instant").await?;
    browser.click("run").await?;
    browser
        .wait_until(
            "the run has ended",
            "return document.querySelector('[data-testid=run-state]')?.dataset.state === 'finished'",
        )
        .await
}

async fn wait_for_file(browser: &Browser, folder: &std::path::Path, name: &str) -> Result<Vec<u8>> {
    let file = folder.join(name);
    let start = std::time::Instant::now();
    loop {
        // Chromium writes under another name and renames when all is there.
        if let Ok(octets) = std::fs::read(&file) {
            return Ok(octets);
        }
        ensure!(start.elapsed() < socketlab_tests::PATIENCE, "{name} was not saved");
        // One look each frame.
        browser
            .client
            .execute_async("requestAnimationFrame(() => setTimeout(arguments[0], 30))", vec![])
            .await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_from_the_disk_runs_and_travels_in_a_link() -> Result<()> {
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "sv", &[]).await?;
    browser.open(&relay.url).await?;
    browser.wait_for("run").await?;

    let disk = tempfile::tempdir()?;
    let files = [("lab.toml", LAB), ("hej.py", PROGRAM), ("hjälp.py", MODULE)];
    let paths = files.map(|(name, _)| disk.path().join(name));
    for (path, (_, text)) in paths.iter().zip(files) {
        std::fs::write(path, text)?;
    }
    browser.pick("open-files", &paths).await?;
    browser.wait_for("editor-tab-hej.py").await?;
    browser.wait_for("editor-tab-hjälp.py").await?;
    finished(&browser).await?;
    browser.wait_for_text("console-hej.py", "hej från en modul").await?;

    // The address holds it now: another visit opens the same lab.
    browser.wait_until("the address holds the lab", "return location.hash.startsWith('#lab=')").await?;
    let address = browser.client.current_url().await?;
    browser.open("about:blank").await?;
    browser.open(address.as_str()).await?;
    browser.wait_for("editor-tab-hjälp.py").await?;
    finished(&browser).await?;
    browser.wait_for_text("console-hej.py", "hej från en modul").await?;

    // It goes out as an archive that holds the same files.
    let saved = tempfile::tempdir()?;
    let folder = saved.path().display().to_string();
    browser
        .devtools("Page.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": folder }))
        .await?;
    browser.click("disk").await?;
    browser.click("download-lab").await?;
    let name = browser.script("return document.querySelector('[data-testid=lab-picker]').value").await?;
    let name = name.as_str().context("the lab has a name")?.to_owned();
    let archive = wait_for_file(&browser, saved.path(), &format!("{name}.zip")).await?;
    let again = saved.path().join("again.zip");
    std::fs::write(&again, &archive)?;
    browser.open(&relay.url).await?;
    browser.wait_for("editor-tab-server.py").await?;
    browser.pick("open-files", &[again]).await?;
    browser.wait_for("editor-tab-hjälp.py").await?;

    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_lab_is_told_with_its_line() -> Result<()> {
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&relay.url).await?;
    browser.wait_for("editor-tab-server.py").await?;
    let disk = tempfile::tempdir()?;
    let (lab, program) = (disk.path().join("lab.toml"), disk.path().join("hej.py"));
    std::fs::write(&program, "print('hej')\n")?;

    std::fs::write(&lab, LAB.replace("name = \"ensam\"", "nam = \"ensam\""))?;
    browser.pick("open-files", &[lab.clone(), program.clone()]).await?;
    let told = "[...document.querySelectorAll('[data-testid=problem]')].find(p => p.textContent.includes('lab.toml:5'))";
    browser.wait_until("the line is told", &format!("return !!{told}?.textContent.includes('nam')")).await?;
    // A click shows the line in the editor, where it can be mended.
    browser.script(&format!("{told}.querySelector('button').click()")).await?;
    browser.wait_for_text("editor-lab.toml", "nam = \"ensam\"").await?;
    let editor = browser
        .client
        .find(fantoccini::Locator::Css("[data-testid=\"editor-lab.toml\"] .cm-content"))
        .await?;
    editor.click().await?;
    browser
        .script(
            "const view = document.querySelector('[data-testid=\"editor-lab.toml\"] .cm-content').cmTile?.view\
             ?? document.querySelector('[data-testid=\"editor-lab.toml\"] .cm-content').cmView.view;\
             const at = view.state.doc.toString().indexOf('nam =');\
             view.dispatch({ changes: { from: at, to: at + 3, insert: 'name' } })",
        )
        .await?;
    browser.click("use-lab-file").await?;
    browser.wait_for("editor-tab-hej.py").await?;
    browser
        .wait_until("the problem is gone", "return !document.querySelector('[data-testid=problem]')")
        .await?;

    // A program that the lab names and that is not there.
    std::fs::write(&lab, LAB)?;
    browser.pick("open-files", &[lab]).await?;
    browser.wait_for_text("problem", "hej.py").await?;
    browser.pick("open-files", &[program]).await?;
    browser.wait_for_text("not-opened", "lab.toml").await?;

    browser.open("about:blank").await?;
    browser.open(&format!("{}/#lab=AAAA", relay.url)).await?;
    browser.wait_for_text("not-opened", "broken").await?;
    browser.wait_for("editor-tab-server.py").await?;
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_has_its_own_sockets() -> Result<()> {
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    finished(&browser).await?;
    let table = "document.querySelector('[data-testid=sockets-table]').textContent";
    browser.wait_until("all connections are closed", &format!("return !{table}.includes('ESTAB')")).await?;

    // A packet of the handshake; then back in time to before it was answered.
    browser.click("tab-sockets").await?;
    browser.script("document.querySelector('[data-testid=timeline]').focus()").await?;
    let back = "document.querySelector('[data-testid=timeline]').dispatchEvent(\
                new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }))";
    browser
        .wait_until(
            "a connection is open at an earlier moment",
            &format!("if ({table}.includes('ESTAB') && {table}.includes('LISTEN')) return true; {back}; return false"),
        )
        .await?;
    let rows = browser.rows("sockets-table").await?;
    ensure!(
        rows.iter().any(|row| row.join(" ").contains("LISTEN")),
        "the listener is there again: {rows:#?}"
    );

    // Its fields at that moment, and the samples of its graphs up to it.
    browser
        .wait_until(
            "an open connection was clicked",
            "const row = [...document.querySelectorAll('[data-testid=sockets-table] tbody tr')]\
             .find(r => r.textContent.includes('ESTAB')); row?.click(); return !!row",
        )
        .await?;
    browser.wait_for("tcp-inspector").await?;
    let cwnd = browser.text("tcp-cwnd").await?;
    ensure!(cwnd.chars().any(|c| c.is_ascii_digit()), "the congestion window is a number: {cwnd}");
    ensure!(browser.text("tcp-iss").await? != "0", "the initial sequence number is there");
    ensure!(!browser.rows("tcp-samples").await?.is_empty(), "the graphs have samples");

    // The packet list shows what fits a filter, and says what is wrong with one.
    browser.click("tab-packets").await?;
    let filter = browser.client.find(fantoccini::Locator::Css("[data-testid=filter]")).await?;
    filter.send_keys("tcp.flags.syn == 1 && tcp.srcport == 13402").await?;
    browser.wait_for_text("filter-says", "1 of ").await?;
    let rows = browser.rows("packet-list").await?;
    ensure!(rows.len() == 1 && rows[0].join(" ").contains("13402 → 80 [SYN]"), "only the SYN: {rows:#?}");
    filter.send_keys(" && tcp.sport").await?;
    browser.wait_for_text("filter-says", "tcp.sport").await?;

    browser.click("tab-tables").await?;
    browser.wait_for_text("tables", "ip route").await?;
    browser.wait_for_text("tables", "10.0.0.0/").await?;
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_can_be_followed_and_a_held_frame_changed() -> Result<()> {
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&format!("{}/?lab=dns-http", relay.url)).await?;
    browser.wait_for("run").await?;
    finished(&browser).await?;

    // From any packet of a conversation to all that was said in it, side by side.
    browser.click("tab-packets").await?;
    browser
        .wait_until(
            "a packet of the web server's connection was marked",
            "const r = [...document.querySelectorAll('[data-testid=packet-list] tbody tr')]\
             .find(r => r.textContent.includes('GET / HTTP/1.1')); r?.click(); return !!r",
        )
        .await?;
    browser.click("stream-follow").await?;
    let said = |side: &str| {
        format!(
            "return [...document.querySelectorAll('[data-testid=stream-text] [data-side={side}] pre')]\
             .map(e => e.textContent).join('')"
        )
    };
    browser.wait_for_text("stream-text", "GET / HTTP/1.1").await?;
    let asked = browser.script(&said("first")).await?;
    let answered = browser.script(&said("second")).await?;
    ensure!(asked.as_str().is_some_and(|text| text.starts_with("GET / HTTP/1.1\nHost:")), "{asked}");
    ensure!(answered.as_str().is_some_and(|text| text.starts_with("HTTP/1.")), "{answered}");
    browser.click("stream-sides-second").await?;
    browser.click("stream-form-hex").await?;
    browser.wait_for_text("stream-text", "00000000  48 54 54 50 2f 31 2e").await?;
    let asked = browser.script(&said("first")).await?;
    ensure!(asked.as_str() == Some(""), "one side only: {asked}");
    browser.click("stream-close").await?;

    // A frame on its way is held, written over and let go.
    browser.click("speed-250").await?;
    browser.click("run").await?;
    browser
        .wait_until(
            "a frame on its way was marked",
            "const r = [...document.querySelectorAll('[data-testid=packet-list] tbody tr')].at(-1);\
             if (!document.querySelector('[data-testid=frame-hold]')) { r?.click(); return false; }\
             document.querySelector('[data-testid=frame-hold]').click(); return true",
        )
        .await?;
    browser.click("frame-edit").await?;
    browser.fill("frame-octets", "00 11 zz").await?;
    browser.wait_for_text("frame-edit-form", "zz is no byte").await?;
    browser.fill("frame-octets", &"a5 ".repeat(60)).await?;
    browser.click("frame-octets-save").await?;
    browser.wait_for("frame-edited").await?;
    browser.wait_for_text("packet-tree", "a5:a5:a5:a5:a5:a5").await?;
    browser.click("frame-release").await?;
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}
