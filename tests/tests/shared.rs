//! The shared LAN as two students and a teacher meet it: two browsers in one room of a real relay.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use anyhow::{Result, ensure};
use socketlab_tests::browser::Browser;
use socketlab_tests::product::{self, Relay};
use tokio::process::Command;

async fn phase(browser: &Browser, phase: &str) -> Result<()> {
    let script =
        format!("return document.querySelector('[data-testid=lan-state]')?.dataset.phase === '{phase}'");
    browser.wait_until(&format!("the room is {phase}"), &script).await
}

/// A browser with the shared lab open, in the room.
async fn student(relay: &Relay, name: &str, word: Option<&str>) -> Result<Browser> {
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    let hash = if word.is_some() { "#teacher" } else { "" };
    browser.open(&format!("{}/?lab=shared-lan{hash}", relay.url)).await?;
    if word.is_none() {
        browser.click("lan-offer").await?;
    }
    browser
        .wait_until(
            "the lab's room is offered",
            "return document.querySelector('[data-testid=lan-room]')?.value === 'class'",
        )
        .await?;
    browser.fill("lan-name", name).await?;
    if let Some(word) = word {
        browser.fill("lan-word", word).await?;
    }
    browser.click("lan-join").await?;
    phase(&browser, "in").await?;
    browser.wait_for_text("lan-roster", name).await?;
    Ok(browser)
}

/// Runs one program, by its file.
async fn run(browser: &Browser, file: &str) -> Result<()> {
    browser.click(&format!("editor-tab-{file}")).await?;
    browser.click("run-program").await
}

/// Makes `client.py` talk to `host`.
async fn talk_to(browser: &Browser, host: &str) -> Result<()> {
    browser.click("editor-tab-client.py").await?;
    browser.wait_for_text("editor-client.py", "HOST = ").await?;
    let script = format!(
        "const c = document.querySelector('[data-testid=\"editor-client.py\"] .cm-content');\
         const view = c.cmTile?.view ?? c.cmView.view;\
         const text = view.state.doc.toString(); const from = text.indexOf('HOST = ');\
         view.dispatch({{ changes: {{ from, to: text.indexOf('\\n', from), insert: 'HOST = \"{host}\"' }} }})"
    );
    browser.script(&script).await?;
    Ok(())
}

/// The dialog says so, with the field for the code at hand.
async fn turned_away(browser: &Browser, sentence: &str) -> Result<()> {
    browser.wait_for_text("lan-state", sentence).await?;
    phase(browser, "out").await?;
    browser
        .wait_until(
            "the field is in sight",
            "return document.querySelector('[data-testid=lan-code]')?.checkVisibility()",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_asks_for_the_class_code() -> Result<()> {
    let settings = tempfile::NamedTempFile::new()?;
    let write = |code: &str| fs::write(settings.path(), format!("token = [\"{code}\"]\n"));
    write("kiva-2026")?;
    let relay = Relay::start(&["--config", &settings.path().display().to_string()]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&format!("http://{}/?lab=shared-lan", relay.address())).await?;
    browser.click("lan-offer").await?;
    browser.fill("lan-name", "Åsa").await?;

    browser.click("lan-join").await?;
    turned_away(&browser, "asks for a class code").await?;
    browser.fill("lan-code", "fel-kod").await?;
    browser.click("lan-join").await?;
    turned_away(&browser, "not the relay's class code").await?;
    browser.fill("lan-code", "kiva-2026").await?;
    browser.click("lan-join").await?;
    phase(&browser, "in").await?;
    browser.wait_for_text("lan-roster", "Åsa").await?;

    // The operator withdraws it.
    write("another-one")?;
    relay.reload().await?;
    turned_away(&browser, "has been withdrawn").await?;
    browser.fill("lan-code", "another-one").await?;
    browser.click("lan-join").await?;
    phase(&browser, "in").await?;
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_one_browser_reaches_a_server_in_another() -> Result<()> {
    // A real server that says nothing.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let real = silent.local_addr()?;
    let relay = Relay::start(&["--teacher-word", "sesam", "--allow", &real.to_string()]).await?;
    // One after the other, so that each has its slot.
    let asa = student(&relay, "Åsa", Some("sesam")).await?;
    let bo = student(&relay, "Bo", None).await?;
    // Each sees both, and its own addresses differ from the other's.
    asa.wait_for_text("lan-roster", "Bo").await?;
    bo.wait_for_text("lan-roster", "10.77.2.").await?;
    let roster = bo.wait_for_text("lan-roster", "server.asa").await?;
    ensure!(roster.contains("10.77.1.") && roster.contains("10.77.2."), "one slice each: {roster}");

    // A server in one browser, a client in the other.
    asa.click("lan-close").await?;
    run(&asa, "server.py").await?;
    bo.wait_for_text("lan-roster", "7777/tcp server.py").await?;
    bo.click("lan-close").await?;
    talk_to(&bo, "server.asa").await?;
    bo.click("run-program").await?;
    bo.wait_for_text("console-client.py", "Hej, Ada").await?;
    let said = asa.wait_for_text("console-server.py", "said Ada").await?;
    ensure!(said.contains("10.77."), "accept() returned the other's address: {said}");
    // Frames from outside are frames like others.
    let ladder: Vec<String> = asa.rows("ladder-table").await?.iter().map(|r| r.join(" | ")).collect();
    ensure!(ladder.iter().any(|r| r.contains("SYN, ACK")), "the handshake is seen: {ladder:#?}");

    // The teacher takes the other's voice and gives it back; both are told.
    asa.click("lan").await?;
    asa.click("lan-mute-Bo").await?;
    bo.wait_for_text("lan-says", "Åsa has muted you").await?;
    asa.wait_until(
        "the roster says so",
        "return document.querySelector('[data-testid=lan-mute-Bo]')?.getAttribute('aria-pressed') === 'true'",
    )
    .await?;
    asa.click("lan-mute-Bo").await?;
    bo.wait_until(
        "it may speak again",
        "return [...document.querySelectorAll('[data-testid=lan-says]')].some(e => e.textContent.includes('speak again'))",
    )
    .await?;

    // A program somewhere talks to a real server through this relay: the teacher sees it, and ends it.
    asa.wait_for_text("lan-real-note", "no program at this relay").await?;
    let lab = tempfile::tempdir()?;
    fs::write(
        lab.path().join("lab.toml"),
        "version = 1\n[[host]]\nname = \"pc\"\n[[gateway]]\nname = \"out\"\n\
         [[gateway.real]]\nname = \"real\"\ntarget = \"127.0.0.1\"\n\
         [[program]]\nhost = \"pc\"\nfile = \"waits.py\"\n",
    )?;
    let program = format!(
        "import socket\ns = socket.create_connection(('real', {}))\n\
         try:\n    s.recv(1)\nexcept OSError as error:\n    print(type(error).__name__)\n",
        real.port()
    );
    fs::write(lab.path().join("waits.py"), program)?;
    let elsewhere = Command::new(product::binary()?)
        .args(["run", &lab.path().display().to_string(), "--until", "120s"])
        .args(["--relay", &format!("ws://{}/", relay.address())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let listed = asa.wait_for_text("lan-real", &real.to_string()).await?;
    ensure!(listed.contains("127.0.0.1 → "), "it says who: {listed}");
    asa.click("lan-end-real").await?;
    let ended = elsewhere.wait_with_output().await?;
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
    ensure!(printed.contains("ConnectionResetError"), "the program is told: {ended:?}");
    asa.wait_for_text("lan-real-note", "no program at this relay").await?;
    asa.expect_clean_console().await?;

    // One browser goes; the other goes on, with its own server.
    asa.close().await?;
    bo.wait_until(
        "only one member is left",
        "return document.querySelectorAll('[data-testid=lan-roster] > li').length === 1",
    )
    .await?;
    talk_to(&bo, "server").await?;
    bo.click("run").await?;
    bo.wait_for_text("console-server.py", "said Ada").await?;
    bo.wait_for_text("console-client.py", "Hej, Ada").await?;

    // The relay goes and comes back: the page joins again by itself, with the address it had.
    bo.expect_clean_console().await?;
    let address = relay.address().to_owned();
    relay.stop().await?;
    bo.wait_for("lan-lost").await?;
    let relay = Relay::start_at(&address, &[]).await?;
    phase(&bo, "in").await?;
    bo.wait_until(
        "its hosts have the addresses they had",
        "return document.querySelector('[data-testid=lan-roster]').textContent.includes('10.77.2.1')",
    )
    .await?;
    bo.close().await?;
    relay.stop().await
}
