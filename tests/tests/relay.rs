//! The way from the page to the real world, where schools put it: behind TLS, behind nginx, with class codes, with a
//! relay that goes away in the middle of a lab. One browser for all of it, as a student's is.

use anyhow::{Context, Result, ensure};
use socketlab_tests::browser::Browser;
use socketlab_tests::nginx::{NAME, Nginx};
use socketlab_tests::product::Relay;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const LAB: &str = r#"
version = 1
title = "Out"

[[host]]
name = "client"

[[gateway]]
name = "internet"

[[gateway.real]]
name = "relay"
target = "127.0.0.1"

[[program]]
host = "client"
file = "talk.py"

[[program]]
host = "client"
file = "beat.py"
forever = true
"#;

/// Says a word, prints the answer, and then how the connection ended.
const TALK: &str = "
import socket, time

WORD = 'go'
try:
    s = socket.create_connection(('relay', PORT))
    s.sendall(WORD.encode())
    print('heard', s.recv(100).decode())
    while s.recv(100):
        pass
except OSError as error:
    print(type(error).__name__, error.errno)
    time.sleep(2)
print('over')
";

/// Another program of the lab, which has nothing to do with the real world.
const BEAT: &str = "
import time

beats = 0
while True:
    time.sleep(0.25)
    beats += 1
    print('beat', beats)
";

const CODE: &str = "kiva-2026";
const NEXT_CODE: &str = "skogen-2027";

/// A real server: answers each word; after `go` it closes, after all others it waits for the other side.
async fn real_server() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut word = [0; 100];
                while let Ok(octets @ 1..) = stream.read(&mut word).await {
                    let word = &word[..octets];
                    if stream.write_all(word).await.is_err() || word == b"go" {
                        break;
                    }
                }
            });
        }
    });
    Ok(port)
}

/// Opens the page, and in it the lab whose real server has this port.
async fn open_lab(browser: &Browser, url: &str, port: u16) -> Result<()> {
    browser.open(url).await?;
    browser.wait_for("run").await?;
    let disk = tempfile::tempdir()?;
    let talk = TALK.replace("PORT", &port.to_string());
    let files = [("lab.toml", LAB), ("talk.py", talk.as_str()), ("beat.py", BEAT)];
    let paths = files.map(|(name, _)| disk.path().join(name));
    for (path, (_, text)) in paths.iter().zip(files) {
        std::fs::write(path, text)?;
    }
    browser.pick("open-files", &paths).await?;
    browser.wait_for("editor-tab-talk.py").await
}

async fn run_state(browser: &Browser, state: &str) -> Result<()> {
    let script =
        format!("return document.querySelector('[data-testid=run-state]')?.dataset.state === '{state}'");
    browser.wait_until(&format!("the run is {state}"), &script).await
}

async fn relay_state(browser: &Browser, state: &str) -> Result<()> {
    let script =
        format!("return document.querySelector('[data-testid=relay-status]')?.dataset.state === '{state}'");
    browser.wait_until(&format!("the relay is {state}"), &script).await
}

/// The highest number that beat.py has printed.
async fn beats(browser: &Browser) -> Result<u32> {
    let text = browser.text("console-beat.py").await?;
    Ok(text.matches("beat ").count().try_into()?)
}

/// Runs the lab until its program has been answered and waits, with the connection open.
async fn talk_and_stay(browser: &Browser) -> Result<()> {
    browser.click("run").await?;
    run_state(browser, "live").await?;
    browser.wait_for_text("console-talk.py", "heard stay").await?;
    Ok(())
}

/// The open connection has ended under the program, and nothing else has.
async fn only_the_connection_is_lost(browser: &Browser) -> Result<()> {
    browser.wait_for_text("console-talk.py", "ConnectionResetError 104").await?;
    let before = beats(browser).await?;
    browser.wait_for_text("console-talk.py", "over").await?;
    run_state(browser, "finished").await?;
    let after = beats(browser).await?;
    ensure!(after > before, "the other program went on: {before} beats, then {after}");
    let ladder: Vec<String> = browser.rows("ladder-table").await?.iter().map(|r| r.join(" | ")).collect();
    ensure!(ladder.iter().any(|r| r.contains("SYN, ACK")), "what was drawn is still there: {ladder:#?}");
    ensure!(ladder.iter().any(|r| r.contains("RST")), "the gateway has reset the connection: {ladder:#?}");
    browser.wait_for_text("editor-talk.py", "WORD = 'stay'").await?;
    Ok(())
}

/// Errors on the console but those about a WebSocket that could not be opened, which the browser writes itself.
async fn other_errors(browser: &Browser) -> Result<Vec<String>> {
    let mut errors = browser.console_errors().await?;
    errors.retain(|error| !error.contains("WebSocket"));
    Ok(errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_out_through_tls_nginx_class_codes_and_a_restart() -> Result<()> {
    let port = real_server().await?;
    let allow = format!("127.0.0.1:{port}");
    let map = format!("--host-resolver-rules=MAP {NAME} 127.0.0.1");
    let browser = Browser::start(1280, 800, "en", &["--ignore-certificate-errors", &map]).await?;

    // The relay's own TLS.
    let relay = Relay::start(&["--tls-self-signed", "--allow", &allow]).await?;
    ensure!(relay.url.starts_with("https://"), "{}", relay.url);
    open_lab(&browser, &relay.url, port).await?;
    browser.click("run").await?;
    browser.wait_for_text("console-talk.py", "heard go").await?;
    run_state(&browser, "finished").await?;
    relay_state(&browser, "open").await?;
    browser.expect_clean_console().await?;
    relay.stop().await?;

    // nginx does TLS, and the relay wants a class code.
    let settings = tempfile::NamedTempFile::new()?;
    let write = |code: &str| {
        let text = format!("token = [\"{code}\"]\nallow = [\"{allow}\"]\n");
        std::fs::write(settings.path(), text).context("the relay's settings")
    };
    write(CODE)?;
    let config = settings.path().display().to_string();
    let flags = ["--host", NAME, "--trusted-proxy", "127.0.0.1", "--config", &config];
    let mut relay = Relay::start(&flags).await?;
    let address = relay.address().to_owned();
    let nginx = Nginx::start(&address).await?;
    open_lab(&browser, &nginx.url(), port).await?;

    // Without a code, with a wrong one: the page says so, and the program sees a network that cannot be reached.
    browser.click("run").await?;
    browser.wait_for_text("code-wanted", "The relay wants a class code").await?;
    browser.wait_for_text("console-talk.py", "OSError 101").await?;
    run_state(&browser, "finished").await?;
    browser.fill("code", "fel-kod").await?;
    browser.click("code-send").await?;
    browser.wait_for_text("code-wanted", "not the relay's class code").await?;
    // The right one: nothing has to be loaded again, and a later visit remembers it.
    browser.fill("code", CODE).await?;
    browser.click("code-send").await?;
    relay_state(&browser, "open").await?;
    open_lab(&browser, &nginx.url(), port).await?;
    browser.edit("talk.py", "'go'", "'stay'").await?;
    talk_and_stay(&browser).await?;

    // The operator withdraws it while a connection is open.
    write(NEXT_CODE)?;
    relay.reload().await?;
    browser.wait_for_text("code-wanted", "has been withdrawn").await?;
    only_the_connection_is_lost(&browser).await?;
    browser.fill("code", NEXT_CODE).await?;
    browser.click("code-send").await?;
    relay_state(&browser, "open").await?;
    talk_and_stay(&browser).await?;

    // The relay goes away in the middle and comes back: the page finds it by itself.
    relay.stop().await?;
    only_the_connection_is_lost(&browser).await?;
    relay_state(&browser, "lost").await?;
    relay = Relay::start_at(&address, &flags).await?;
    relay_state(&browser, "open").await?;
    talk_and_stay(&browser).await?;

    // How the kernel of the relay's machine sees the real connection, beside the simulated one.
    browser.click("tab-sockets").await?;
    browser
        .wait_until(
            "the program's connection was marked",
            "const r = [...document.querySelectorAll('[data-testid=sockets-table] tbody tr')]\
             .find(r => r.textContent.includes('ESTAB') && r.textContent.includes('talk.py'));\
             (r?.querySelector('button') ?? r)?.click(); return !!r",
        )
        .await?;
    let real = browser.wait_for_text("real-ends", &format!("127.0.0.1:{port}")).await?;
    ensure!(real.starts_with("127.0.0.1:"), "{real}");
    browser.wait_for_text("real-state", "ESTAB").await?;
    // Linux counts the SYN among the octets that were acknowledged.
    browser.wait_for_text("real-octets", "5 / 4").await?;
    let rtt = browser.text("real-SRTT").await?;
    ensure!(rtt.ends_with("µs") || rtt.ends_with("ms"), "a round trip on loopback: {rtt}");

    let errors = other_errors(&browser).await?;
    ensure!(errors.is_empty(), "{errors:#?}");
    browser.close().await?;
    relay.stop().await
}
