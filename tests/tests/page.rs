//! The page as a student meets it: real relay, real browser, real Python. Any error on the browser's console fails
//! the test.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use socketlab_tests::browser::Browser;
use socketlab_tests::product::{self, Relay};

const SCRIPT_DONE: &str =
    "return document.querySelector('[data-testid=run-state]')?.dataset.state === 'finished'";

async fn open(lab: &str) -> Result<(Relay, Browser)> {
    // The demo services have fixed ports, which the lab's programs name: only their lab asks for them.
    let services: &[&str] = if lab == "real-world" { &["--demo-services"] } else { &[] };
    let relay = Relay::start(services).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.open(&format!("{}/?lab={lab}", relay.url)).await?;
    browser.wait_for("run").await?;
    Ok((relay, browser))
}

async fn run_to_the_end(browser: &Browser) -> Result<()> {
    browser.click("speed-instant").await?;
    browser.click("run").await?;
    browser.wait_until("the run has ended", SCRIPT_DONE).await
}

async fn done(relay: Relay, browser: Browser) -> Result<()> {
    browser.expect_clean_console().await?;
    browser.close().await?;
    relay.stop().await
}

/// What each program printed, by file name.
async fn consoles(browser: &Browser, files: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for file in files {
        // Without the times that stand before the lines.
        let script = format!(
            "return [...document.querySelectorAll('[data-testid=\"console-{file}\"] .console__text')]\
             .map(line => line.textContent).join('\\n')"
        );
        let text = browser.client.execute(&script, vec![]).await?;
        all.insert((*file).to_owned(), text.as_str().unwrap_or_default().to_owned());
    }
    Ok(all)
}

const SENSORS: [&str; 5] = ["sensor1.py", "sensor2.py", "sensor3.py", "sensor4.py", "server.py"];

#[tokio::test(flavor = "multi_thread")]
async fn the_slides_scene_runs_and_shows_itself() -> Result<()> {
    let (relay, browser) = open("sensors").await?;
    run_to_the_end(&browser).await?;

    let printed = consoles(&browser, &SENSORS).await?;
    ensure!(printed["server.py"].contains("13401"), "the server saw sensor1: {printed:#?}");
    ensure!(printed["server.py"].contains("13404"), "the server saw sensor4: {printed:#?}");

    // The ladder's text twin tells the handshake, the data and the goodbye of each of the four connections.
    let ladder: Vec<String> = browser.rows("ladder-table").await?.iter().map(|r| r.join(" | ")).collect();
    for port in 13401..=13404 {
        let of_port: Vec<_> = ladder.iter().filter(|r| r.contains(&port.to_string())).collect();
        for label in ["SYN seq=0", "SYN, ACK seq=0 ack=1", "PSH, ACK", "FIN, ACK"] {
            ensure!(of_port.iter().any(|r| r.contains(label)), "{port} has no {label:?}: {of_port:#?}");
        }
    }

    // Every host's sockets: the listener, and the end of each connection.
    let sockets: Vec<String> = browser.rows("sockets-table").await?.iter().map(|r| r.join(" ")).collect();
    for port in 13401..=13404 {
        ensure!(
            sockets.iter().any(|r| r.contains(&port.to_string()) && r.contains("TIME-WAIT")),
            "whoever closed first rests in TIME-WAIT: {sockets:#?}"
        );
    }

    // A click on a segment shows its layers with source and destination port.
    browser.click("tab-packets").await?;
    browser
        .wait_until(
            "a segment was clicked",
            "const r = [...document.querySelectorAll('[data-testid=packet-list] tbody tr')]\
             .find(r => r.textContent.includes('13402 → 80 [SYN]')); if (!r) return false; r.click(); return true",
        )
        .await?;
    let tree = browser.wait_for_text("packet-tree", "tcp.srcport").await?;
    for part in ["Ethernet II", "Internet Protocol Version 4", "Transmission Control Protocol", "13402", "80"]
    {
        ensure!(tree.contains(part), "the layers show {part:?}: {tree}");
    }
    done(relay, browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn page_and_command_line_print_the_same() -> Result<()> {
    for (lab, files) in [("sensors", &SENSORS[..]), ("sensors-udp", &SENSORS[..])] {
        let (relay, browser) = open(lab).await?;
        run_to_the_end(&browser).await?;
        let in_page = consoles(&browser, files).await?;
        done(relay, browser).await?;

        let on_command_line = product::run_json(&[lab]).await?;
        for program in on_command_line["programs"].as_array().context("programs")? {
            let file = program["file"].as_str().context("file")?;
            let stdout = program["stdout"].as_str().context("stdout")?;
            let page: String = in_page[file].split_whitespace().collect();
            let cli: String = stdout.split_whitespace().collect();
            ensure!(!cli.is_empty(), "{lab}: {file} printed nothing");
            ensure!(page.contains(&cli), "{lab}: {file}\npage: {}\ncommand line: {stdout}", in_page[file]);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_answer_through_the_relay() -> Result<()> {
    let (relay, browser) = open("real-world").await?;
    browser.click("run").await?;
    browser.wait_until("the run has ended", SCRIPT_DONE).await?;
    let printed = consoles(&browser, &["http.py", "echo.py", "udp_echo.py", "blocked.py"]).await?;
    ensure!(printed["http.py"].contains("200 OK"), "a real HTTP server answered: {printed:#?}");
    ensure!(printed["echo.py"].to_lowercase().contains("hej"), "the real TCP echo answered: {printed:#?}");
    ensure!(
        printed["udp_echo.py"].to_lowercase().contains("hej"),
        "the real UDP echo answered: {printed:#?}"
    );
    // Refused by policy: the exception that Linux gives, and a sentence that says why.
    ensure!(printed["blocked.py"].contains("[Errno 113]"), "EHOSTUNREACH: {printed:#?}");
    browser.wait_for_text("problem", "--allow 127.0.0.1:22").await?;
    let ladder: Vec<String> = browser.rows("ladder-table").await?.iter().map(|r| r.join(" | ")).collect();
    ensure!(ladder.iter().any(|r| r.contains("SYN, ACK")), "frames to the gateway are seen: {ladder:#?}");
    done(relay, browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_stops_one_program_and_not_the_others() -> Result<()> {
    let (relay, browser) = open("sensors").await?;
    browser.click("editor-tab-sensor2.py").await?;
    browser
        .wait_until(
            "the editor shows sensor2.py",
            "return !!document.querySelector('[data-testid=\"editor-sensor2.py\"] .cm-content')",
        )
        .await?;
    let editor = browser
        .client
        .find(fantoccini::Locator::Css("[data-testid=\"editor-sensor2.py\"] .cm-content"))
        .await?;
    editor.click().await?;
    editor.send_keys("def (:\n").await?;
    run_to_the_end(&browser).await?;
    browser.wait_for_text("console-sensor2.py", "SyntaxError: invalid syntax").await?;
    let printed = consoles(&browser, &SENSORS).await?;
    ensure!(printed["sensor1.py"].trim().len() > 2, "sensor1 went on: {printed:#?}");
    ensure!(printed["sensor4.py"].trim().len() > 2, "sensor4 went on: {printed:#?}");

    // What the student wrote survives a reload.
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    browser.click("editor-tab-sensor2.py").await?;
    browser.wait_for_text("editor-sensor2.py", "def (:").await?;
    done(relay, browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn time_stands_still_when_paused_and_goes_one_step_at_a_time() -> Result<()> {
    let (relay, browser) = open("sensors").await?;
    browser.click("run").await?;
    browser
        .wait_until(
            "a first frame is in the ladder",
            "return document.querySelectorAll('[data-testid=ladder-table] tbody tr').length > 0",
        )
        .await?;
    browser.click("pause").await?;
    browser
        .wait_until(
            "the run is paused",
            "return document.querySelector('[data-testid=run-state]').dataset.state === 'paused'",
        )
        .await?;
    let clock = "return document.querySelector('[data-testid=clock]').dataset.nanos";
    let before = browser.client.execute(clock, vec![]).await?;
    browser.click("step").await?;
    let before_text = before.as_str().context("the clock says its nanoseconds")?;
    browser
        .wait_until(
            "one step moved the clock",
            &format!(
                "return Number(document.querySelector('[data-testid=clock]').dataset.nanos) > {before_text}"
            ),
        )
        .await?;
    let state = browser
        .client
        .execute("return document.querySelector('[data-testid=run-state]').dataset.state", vec![]);
    ensure!(state.await?.as_str() == Some("paused"), "still paused after a step");
    done(relay, browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_goes_and_comes_back() -> Result<()> {
    let (relay, browser) = open("real-world").await?;
    browser.click("run").await?;
    browser.wait_until("the run has ended", SCRIPT_DONE).await?;
    browser.expect_clean_console().await?;
    let address = relay.address().to_owned();
    relay.stop().await?;
    browser.wait_for_text("relay-status", "relay").await?;
    browser
        .wait_until(
            "the page says that the relay is gone",
            "return document.querySelector('[data-testid=relay-status]').dataset.state === 'lost'",
        )
        .await?;
    let relay = Relay::start_at(&address, &["--demo-services"]).await?;
    browser
        .wait_until(
            "the page found the relay again by itself",
            "return document.querySelector('[data-testid=relay-status]').dataset.state === 'open'",
        )
        .await?;
    // Failed attempts are the browser's own lines; forget them before the next run.
    browser.console_errors().await?;
    browser.click("run").await?;
    browser.wait_for_text("console-echo.py", "Hej").await?;
    done(relay, browser).await
}

/// Makes of this browser one from before WebAssembly could wait: the worker finds no `WebAssembly.Suspending`.
const WITHOUT_JSPI: &str = r"
    const Real = Worker;
    window.Worker = class extends Real {
        constructor(url, options) {
            const real = JSON.stringify(new URL(url, location).href);
            const text = `delete WebAssembly.Suspending; await import(${real});`;
            super(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), options);
        }
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_cannot_run_python_is_told_which_can() -> Result<()> {
    let relay = Relay::start(&[]).await?;
    let browser = Browser::start(1280, 800, "en", &[]).await?;
    browser.before_pages(WITHOUT_JSPI).await?;
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    browser.click("run").await?;
    browser.wait_for_text("no-jspi", "Use a current Chrome, Edge or Firefox").await?;
    // The files are still there to be read.
    browser.click("editor-tab-sensor1.py").await?;
    done(relay, browser).await
}
