//! Real programs at both ends: a Wisp client that others wrote, and a server that everybody has.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
};

use bytes::Bytes;
use socketlab_server::ServeOptions;
use socketlab_wisp::{ClientEvent, Reason};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::Command,
};

use crate::common::{Relay, nobody, options, page_at, pattern, soon, start};

/// A program of `tests/peers`.
fn node(program: &str) -> Command {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    for package in ["@mercuryworkshop/wisp-js", "@mercuryworkshop/epoxy-tls", "libcurl.js", "v86"] {
        assert!(
            tests.join("node_modules").join(package).exists(),
            "{package} is not installed: `cargo xtask setup` does it, or `npm ci` in tests/"
        );
    }
    let mut command = Command::new("node");
    command.arg(program).current_dir(tests).kill_on_drop(true);
    command
}

/// Our client at somebody else's relay, which does not say when a stream is connected.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_is_at_home_at_wisp_js() {
    let mut server =
        node("peers/wisp-js-server.mjs").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = soon("wisp-js", lines.next_line()).await.unwrap().unwrap().parse().unwrap();
    our_client_is_at_home_at(([127, 0, 0, 1], port).into()).await;
}

/// The same at the one in Python.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_is_at_home_at_wisp_python() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let modules = tests.join("python_modules");
    assert!(modules.join("wisp").exists(), "wisp-python is not installed: `cargo xtask setup` does it");
    // A port that was free a moment ago.
    let address = nobody().await;
    let _server = Command::new("python3")
        .args(["-m", "wisp.server", "--host", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--threads", "1", "--allow-loopback", "--allow-private"])
        .env("PYTHONPATH", modules)
        .current_dir(tests)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    soon("wisp-python", async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    our_client_is_at_home_at(address).await;
}

async fn our_client_is_at_home_at(relay: SocketAddr) {
    let demo = Relay::with_demo().await.demo();
    let mut page = page_at(relay).await;

    let echo = page.tcp(demo.echo);
    let sent = pattern(3_000_000);
    let (mut given, mut got) = (page.client.send(echo, &sent), Vec::new());
    page.opened(echo).await;
    while got.len() < sent.len() {
        given += page.client.send(echo, &sent[given..]);
        match page.event().await {
            ClientEvent::Data { bytes, .. } => got.extend_from_slice(&bytes),
            ClientEvent::Writable { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(got == sent);
    page.client.close(echo, Reason::VOLUNTARY);

    let datagram = page.udp(demo.echo);
    page.opened(datagram).await;
    assert!(page.client.send_datagram(datagram, b"a datagram"));
    let bytes = Bytes::from_static(b"a datagram");
    assert_eq!(page.event_of(datagram).await, ClientEvent::Data { stream: datagram, bytes });

    let clock = page.tcp(demo.daytime);
    page.opened(clock).await;
    assert!(page.read(clock, 1000).await.ends_with(b" GMT\r\n"));

    // Nothing comes and nothing is refused: believed to be open after a while.
    let quiet = page.tcp(demo.http);
    let at = page.client.poll_timeout().unwrap();
    page.client.handle_timeout(at);
    page.opened(quiet).await;
}

/// A client of others against our relay: each prints a line for each thing that worked.
async fn is_at_home_here(program: &str, lines: usize) {
    let refusing = nobody().await;
    // Each brings servers of its own.
    let relay = start(ServeOptions { demo_services: true, ..options(&["127.0.0.1:1024-65535"]) }).await;
    let client = node(program)
        .arg(format!("ws://{}/wisp/", relay.address))
        .args([relay.demo().echo.port(), refusing.port()].map(|port| port.to_string()))
        .output();
    let Output { status, stdout, stderr } = soon(program, client).await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    // A stack trace through a bundle shows the whole bundle.
    let stderr: Vec<&str> = stderr.lines().filter(|line| line.len() < 500).collect();
    assert!(status.success(), "{stdout}\n{}", stderr.join("\n"));
    assert_eq!(stdout.lines().count(), lines, "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wisp_js_is_at_home_here() {
    is_at_home_here("peers/wisp-js.mjs", 14).await;
}

/// A client in Rust, as wasm: HTTP over our streams, many at a time, and datagrams.
#[tokio::test(flavor = "multi_thread")]
async fn epoxy_is_at_home_here() {
    is_at_home_here("peers/epoxy.mjs", 7).await;
}

/// curl, as wasm.
#[tokio::test(flavor = "multi_thread")]
async fn libcurl_js_is_at_home_here() {
    is_at_home_here("peers/libcurl.mjs", 6).await;
}

/// v86's network adapter with a guest that is played: TCP as it comes out of an emulated network card.
#[tokio::test(flavor = "multi_thread")]
async fn v86_is_at_home_here() {
    is_at_home_here("peers/v86.mjs", 4).await;
}

#[tokio::test]
async fn pythons_web_server_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let text = "hej från en riktig server\n".repeat(100_000);
    std::fs::write(folder.path().join("hej.txt"), &text).unwrap();
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    // Serving HTTP on 127.0.0.1 port 40077 (http://127.0.0.1:40077/) ...
    let line = soon("the server", lines.next_line()).await.unwrap().unwrap();
    let port: u16 = line.split_whitespace().nth(5).unwrap().parse().unwrap();

    let relay = Relay::start().await;
    let mut page = relay.page().await;
    let now = page.now();
    let id = page.client.open_tcp(now, "127.0.0.1", port).unwrap();
    page.opened(id).await;
    page.send(id, b"GET /hej.txt HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(page.read(id, usize::MAX).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(body == text, "{} octets of {}", body.len(), text.len());
}
