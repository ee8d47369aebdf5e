//! Class codes, limits, TLS, settings that change, and the relay's end.

use std::{io::Write, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use futures_util::{SinkExt, StreamExt};
use ring::{
    digest::{SHA256, SHA512, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use socketlab_lan::close;
use socketlab_server::{ServeOptions, bind};
use socketlab_wisp::{ClientEvent, ClientOptions, Packet, PasswordLayout, Reason, Signer, StreamId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::common::{Page, Relay, options, soon, start, target};
use crate::front_door::knock;

const CODE: &str = "kiva-2026";

async fn closed_relay() -> Relay {
    start(ServeOptions { token: vec![CODE.into()], demo_services: true, ..options(&[]) }).await
}

/// The first thing that a page hears: that it is in, or why not.
async fn first(mut page: Page) -> Result<Page, Reason> {
    loop {
        match page.event().await {
            ClientEvent::Ready { .. } => return Ok(page),
            ClientEvent::Ended { reason } => return Err(reason),
            ClientEvent::Motd { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_class_code_opens_the_door_and_nothing_else_does() {
    let relay = closed_relay().await;
    assert!(relay.link.ends_with(&format!("/#token={CODE}")));
    for path in ["/wisp/", "/wsproxy/127.0.0.1:1"] {
        let (status, text) = knock(&relay, path, &[]).await;
        assert_eq!(status, 401, "{text}");
        assert!(text.contains("class code"), "{text}");
        for header in [
            ("sec-websocket-protocol", format!("wisp-v2, socketlab-token.{CODE}")),
            ("authorization", format!("Bearer {CODE}")),
            ("authorization", format!("Basic {}", BASE64.encode(format!("me:{CODE}")))),
        ] {
            assert_eq!(knock(&relay, path, &[(header.0, &header.1)]).await.0, 101, "{path} {header:?}");
        }
        for code in ["", "kiva-2025", "kiva-20266", "KIVA-2026"] {
            let offer = format!("wisp-v2, socketlab-token.{code}");
            let (status, text) = knock(&relay, path, &[("sec-websocket-protocol", &offer)]).await;
            assert_eq!(status, 401, "{code:?} {text}");
        }
    }
    let metrics = relay.control.metrics();
    assert!(metrics.contains("socketlab_refused_total{reason=\"wrong_token\"} 8"), "{metrics}");
    assert!(metrics.contains("socketlab_refused_total{reason=\"no_token\"} 2"), "{metrics}");
    let page = relay.page_with(&format!("wisp-v2, socketlab-token.{CODE}"), ClientOptions::default()).await;
    let mut page = first(page).await.unwrap();
    let (echo, _) = page.connect(relay.demo().echo).await;
    page.send(echo, b"hej").await;
    assert_eq!(page.read(echo, 3).await, b"hej");
}

#[tokio::test]
async fn a_code_can_be_said_as_wisps_password() {
    let relay = closed_relay().await;
    let with = |password: Option<&str>, layout| {
        let password = password.map(|password| ("anybody".to_owned(), password.to_owned()));
        relay.page_with("wisp-v2", ClientOptions { password, layout, ..ClientOptions::default() })
    };
    for layout in [PasswordLayout::Deployed, PasswordLayout::Draft6] {
        assert!(first(with(Some(CODE), layout).await).await.is_ok(), "{layout:?}");
        assert_eq!(first(with(Some("wrong"), layout).await).await.err(), Some(Reason::BAD_PASSWORD));
    }
    let none = first(with(None, PasswordLayout::Deployed).await).await;
    assert_eq!(none.err(), Some(Reason::CREDENTIALS_REQUIRED));
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let relay = closed_relay().await;
    let mut last = 0;
    for n in 0..1000 {
        let offer = format!("wisp-v2, socketlab-token.guess{n}");
        let (status, text) = knock(&relay, "/wisp/", &[("sec-websocket-protocol", &offer)]).await;
        last = status;
        if status == 429 {
            assert!(text.contains("wait"), "{text}");
            assert!(n >= 20);
            break;
        }
        assert_eq!(status, 401);
    }
    assert_eq!(last, 429);
    let right = format!("wisp-v2, socketlab-token.{CODE}");
    assert_eq!(knock(&relay, "/wisp/", &[("sec-websocket-protocol", &right)]).await.0, 429, "for now");
}

#[derive(Debug)]
struct Key(Ed25519KeyPair);

impl Signer for Key {
    fn sign(&self, challenge: &[u8]) -> Vec<u8> {
        self.0.sign(challenge).as_ref().to_vec()
    }

    fn hash(&self, sha512: bool) -> Vec<u8> {
        digest(if sha512 { &SHA512 } else { &SHA256 }, self.0.public_key().as_ref()).as_ref().to_vec()
    }
}

/// A settings file, and a relay that has read it.
async fn with_settings(text: &str) -> (tempfile::NamedTempFile, Relay) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let relay = start(ServeOptions { config: Some(file.path().into()), ..options(&[]) }).await;
    (file, relay)
}

fn rewrite(file: &tempfile::NamedTempFile, text: &str) {
    std::fs::write(file.path(), text).unwrap();
}

#[tokio::test]
async fn each_client_has_its_own_rights_and_may_have_a_key() {
    let (_listener, address) = target().await;
    let pair = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = BASE64.encode(pair(1).public_key().as_ref());
    let (_file, relay) = with_settings(&format!(
        "token = [\"{CODE}\"]\n[[client]]\nname = \"teacher\"\ntoken = \"better-secret\"\nallow = [\"{address}\"]\n\
         streams = 1\n[[client]]\nname = \"robot\"\npublic-key = \"{public}\"\n"
    ))
    .await;
    let with = async |code: &str| {
        let offer = format!("wisp-v2, socketlab-token.{code}");
        first(relay.page_with(&offer, ClientOptions::default()).await).await.unwrap()
    };
    let mut student = with(CODE).await;
    let id = student.tcp(address);
    assert_eq!(student.failed(id).await.0, 13, "the teacher's rule");
    let mut teacher = with("better-secret").await;
    teacher.connect(address).await;
    let second = teacher.tcp(address);
    assert_eq!(teacher.failed(second).await.0, 11, "one stream");

    let by_key = |seed| {
        let key: Option<Box<dyn Signer>> = Some(Box::new(Key(pair(seed))));
        relay.page_with("wisp-v2", ClientOptions { key, ..ClientOptions::default() })
    };
    assert!(first(by_key(1).await).await.is_ok());
    assert_eq!(first(by_key(2).await).await.err(), Some(Reason::BAD_SIGNATURE));
}

#[tokio::test]
async fn settings_change_while_it_runs() {
    let (_listener, address) = target().await;
    let closed = format!("token = [\"{CODE}\"]\nmotd = \"first\"\n");
    let (file, relay) = with_settings(&closed).await;
    let offer = format!("wisp-v2, socketlab-token.{CODE}");
    let mut page = first(relay.page_with(&offer, ClientOptions::default()).await).await.unwrap();
    let id = page.tcp(address);
    assert_eq!(page.failed(id).await.0, 13);

    // A new rule is there for who is in already.
    rewrite(&file, &format!("{closed}allow = [\"{address}\"]\n"));
    relay.control.reload().unwrap();
    soon("the new rule", async {
        loop {
            let id = page.tcp(address);
            if matches!(page.event_of(id).await, ClientEvent::Opened { .. }) {
                break;
            }
        }
    })
    .await;

    // What makes no sense changes nothing, and names the line.
    rewrite(&file, "token = [\"kiva\"]\nalow = []\n");
    let error = relay.control.reload().unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("alow"), "{error}");
    page.connect(address).await;

    // A code that is withdrawn ends those who came in by it.
    rewrite(&file, "token = [\"another-one\"]\n");
    relay.control.reload().unwrap();
    let ended = soon("the end", async {
        loop {
            if let ClientEvent::Ended { reason } = page.event().await {
                return reason;
            }
        }
    });
    assert_eq!(ended.await, Reason::BLOCKED);
    assert_eq!(knock(&relay, "/wisp/", &[("sec-websocket-protocol", &offer)]).await.0, 401);
    let (metrics, _) = (relay.control.metrics(), ());
    assert!(metrics.contains("reason=\"revoked\"} 1") && metrics.contains("reloads_total 2"), "{metrics}");
}

/// Other WebSockets than Wisp's end as well when their code is withdrawn.
#[tokio::test]
async fn a_withdrawn_code_ends_every_kind_of_connection() {
    let (_listener, address) = target().await;
    let text = |code: &str| format!("token = [\"{code}\"]\nallow = [\"{address}\"]\n");
    let (file, relay) = with_settings(&text(CODE)).await;
    let mut sockets = Vec::new();
    let paths =
        [(format!("/wsproxy/{address}"), close::REFUSED), ("/lan/room".to_owned(), close::CODE_WITHDRAWN)];
    for (path, code) in paths {
        let mut request = relay.request(&path);
        request.headers_mut().insert("authorization", format!("Bearer {CODE}").parse().unwrap());
        let tcp = TcpStream::connect(relay.address).await.unwrap();
        sockets.push((client_async(request, tcp).await.unwrap().0, code));
    }
    // One more rule is no reason to go.
    rewrite(&file, &format!("{}motd = \"hej\"\n", text(CODE)));
    relay.control.reload().unwrap();
    rewrite(&file, &text("another-one"));
    relay.control.reload().unwrap();
    for (mut socket, code) in sockets {
        let ended = soon("the end", async {
            loop {
                match socket.next().await.unwrap().unwrap() {
                    Message::Close(frame) => break frame.unwrap(),
                    Message::Text(_) | Message::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
        .await;
        assert_eq!(u16::from(ended.code), code);
        assert!(ended.reason.contains("withdrawn the code"), "{}", ended.reason);
    }
}

/// A browser tells a page nothing of a handshake that failed, so it hears the reason in a close frame; also if it has said
/// something already, which nobody reads.
#[tokio::test]
async fn a_browser_hears_why_it_is_turned_away() {
    let relay = start(ServeOptions { token: vec![CODE.into()], max_connections: 1, ..options(&[]) }).await;
    let origin = format!("http://{}", relay.address);
    let open = async |path: &str, code: &str| {
        let mut request = relay.request(path);
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let offer = format!("socketlab-lan, socketlab-token.{code}");
        let offer = if code.is_empty() { "socketlab-lan" } else { &offer };
        request.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
        let tcp = TcpStream::connect(relay.address).await.unwrap();
        client_async(request, tcp).await.unwrap().0
    };
    let why = async |path: &str, code: &str| {
        let mut socket = open(path, code).await;
        // What was not read when a connection is closed makes the kernel reset it.
        let _closed_already = socket.send(Message::Binary(vec![0; 60_000].into())).await;
        soon("the reason", async {
            let why = loop {
                if let Message::Close(frame) = socket.next().await.expect("a close frame").unwrap() {
                    let frame = frame.expect("a reason");
                    break (u16::from(frame.code), frame.reason.to_string());
                }
            };
            let rest = socket.next().await;
            assert!(rest.is_none(), "no reset: {rest:?}");
            why
        })
        .await
    };
    for path in ["/lan/room", "/wsproxy/127.0.0.1:1"] {
        let (code, text) = why(path, "").await;
        assert_eq!((code, text.contains("wants a class code")), (close::CODE_WANTED, true), "{path} {text}");
        let (code, text) = why(path, "kiva-2025").await;
        assert_eq!((code, text.contains("not the class code")), (close::WRONG_CODE, true), "{path} {text}");
    }
    // In, and then there is room for nobody else.
    let mut member = open("/lan/room", CODE).await;
    let (code, text) = why("/lan/room", CODE).await;
    assert_eq!((code, text.contains("--max-connections")), (close::TRY_LATER, true), "{text}");
    assert_eq!(knock(&relay, "/lan/room?code=kiva-2026", &[]).await.0, 503, "no browser: a status");
    // A room's own refusal as well.
    member.close(None).await.unwrap();
    soon("place", async { while why("/lan/a%20b", CODE).await.0 != close::REFUSED {} }).await;
    // Guessing.
    let tries = async { while why("/lan/room", "guess").await.0 == close::WRONG_CODE {} };
    soon("the end of patience", tries).await;
    let (code, text) = why("/lan/room", CODE).await;
    assert_eq!((code, text.contains("wait two minutes")), (close::TRY_LATER, true), "{text}");
}

/// A raw client of a shared LAN can say its code in the address; nobody else can.
#[tokio::test]
async fn a_guest_says_its_code_in_the_address() {
    let relay = start(ServeOptions { token: vec!["a+b&c".into()], ..options(&[]) }).await;
    let status = async |path: &str| knock(&relay, path, &[]).await.0;
    assert_eq!(status("/lan/room?code=a%2Bb%26c").await, 101);
    assert_eq!(status("/lan/room?x=1&code=a%2Bb%26c").await, 101);
    for path in ["/lan/room", "/lan/room?code=", "/lan/room?code=a%2Bb", "/lan/room?kode=a%2Bb%26c"] {
        assert_eq!(status(path).await, 401, "{path}");
    }
    assert_eq!(status("/wisp/?code=a%2Bb%26c").await, 401);
    assert_eq!(status("/wsproxy/127.0.0.1:1?code=a%2Bb%26c").await, 401);
}

#[tokio::test]
async fn a_welcome_message_is_shown() {
    let relay = start(ServeOptions { motd: Some("välkommen".into()), ..options(&[]) }).await;
    let mut page = relay.page_with("wisp-v2", ClientOptions::default()).await;
    assert_eq!(page.event().await, ClientEvent::Motd { text: "välkommen".into() });
}

#[tokio::test]
async fn new_streams_per_second_are_limited_and_told() {
    let relay = start(ServeOptions { max_opens: 5, demo_services: true, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    for _ in 0..5 {
        page.connect(relay.demo().echo).await;
    }
    let more = page.tcp(relay.demo().echo);
    let (errno, text, reason) = page.failed(more).await;
    assert_eq!((errno, reason), (11, Reason::THROTTLED));
    assert!(text.contains("one page may open 5 streams per second"), "{text}");
}

#[tokio::test]
async fn a_rate_limit_slows_down_and_says_so() {
    let relay = start(ServeOptions { max_rate: 400_000, demo_services: true, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    let (echo, _) = page.connect(relay.demo().echo).await;
    let begin = tokio::time::Instant::now();
    page.send(echo, &[7; 200_000]).await;
    let reading = async {
        let (mut got, mut told) = (0, None);
        while got < 200_000 {
            match page.event().await {
                ClientEvent::Data { bytes, .. } => {
                    page.client.consumed(echo, bytes.len() as u64);
                    got += bytes.len();
                }
                ClientEvent::Trouble { stream: StreamId::CONNECTION, errno: 11, text } => told = Some(text),
                ClientEvent::Writable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        // Both ways count, so what is echoed here is the whole of a second; a little more takes longer.
        page.send(echo, &[7; 100_000]).await;
        while got < 300_000 {
            match page.event().await {
                ClientEvent::Data { bytes, .. } => got += bytes.len(),
                ClientEvent::Trouble { stream: StreamId::CONNECTION, errno: 11, text } => told = Some(text),
                ClientEvent::Writable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        told
    };
    let told = soon("all of it", reading).await.expect("the page is told");
    assert!(told.contains("one page may move 400000 octets per second"), "{told}");
    // 600,000 octets in all, of which the bucket holds 400,000: a limit that did not bite would take no time.
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn an_address_has_a_limit_of_its_own() {
    let relay = start(ServeOptions { max_connections_per_address: 2, ..options(&[]) }).await;
    let (_one, _two) = (relay.raw().await, relay.raw().await);
    let (status, text) = knock(&relay, "/wisp/", &[]).await;
    assert_eq!(status, 503);
    assert!(text.contains("your address has 2 connections"), "{text}");
}

#[tokio::test]
async fn limits_of_an_address_hold_over_its_connections() {
    let (_file, relay) =
        with_settings("allow = [\"127.0.0.1:1-65535\"]\n[limits.address]\nstreams = 2\n").await;
    let (_listener, address) = target().await;
    let (mut one, mut two) = (relay.ours().await, relay.ours().await);
    one.connect(address).await;
    two.connect(address).await;
    let third = two.tcp(address);
    let (errno, text, _) = two.failed(third).await;
    assert_eq!(errno, 11);
    assert!(text.contains("one address may have 2 streams"), "{text}");
    drop(one);
    soon("a place", async {
        loop {
            let id = two.tcp(address);
            if matches!(two.event_of(id).await, ClientEvent::Opened { .. }) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_moves_nothing_is_ended() {
    let relay = start(ServeOptions { stream_idle_timeout: 1, ..options(&["127.0.0.1:1-65535"]) }).await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;
    let (id, _) = page.connect(address).await;
    let (_client, _) = listener.accept().await.unwrap();
    let (errno, text, reason) = page.failed(id).await;
    assert_eq!((errno, reason), (110, Reason::TRANSFER_TIMED_OUT), "{text}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_let_go() {
    let relay = start(ServeOptions { header_timeout: 1, ..options(&[]) }).await;
    for part in ["", "GET", "GET /wisp/ HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\n"] {
        let mut tcp = TcpStream::connect(relay.address).await.unwrap();
        tcp.write_all(part.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        drop(soon("the end", tcp.read_to_end(&mut rest)).await);
        assert!(!rest.starts_with(b"HTTP/1.1 1"), "{part:?}");
    }
    // The same for one that opens the WebSocket and keeps quiet about who it is.
    let mut socket = relay.open_as("wisp-v2").await;
    let end = soon("the end", async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                return frame;
            }
        }
        None
    });
    assert_eq!(end.await.unwrap().reason.as_str(), "the handshake took too long");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let relay = start(options(&[])).await;
    let mut tcp = TcpStream::connect(relay.address).await.unwrap();
    let long = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    drop(tcp.write_all(long.as_bytes()).await);
    let mut answer = Vec::new();
    drop(soon("an answer", tcp.read_to_end(&mut answer)).await);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// A certificate of the test's own; the folder, and what a client has to trust.
fn certificate() -> (tempfile::TempDir, RootCertStore) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["lab.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
    (folder, roots)
}

async fn greeted_over_tls(relay: &Relay, roots: RootCertStore) -> std::io::Result<Packet> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(relay.address).await?;
    let name = ServerName::try_from("lab.example").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let (mut socket, _) = client_async("wss://lab.example/wisp/", tls).await.unwrap();
    let message = soon("a greeting", socket.next()).await.unwrap().unwrap();
    socket.close(None).await.unwrap();
    Ok(Packet::parse(message.into_data()).unwrap())
}

#[tokio::test]
async fn tls_with_a_certificate_that_can_be_changed() {
    let (folder, roots) = certificate();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let relay = start(ServeOptions {
        tls_cert: Some(cert.clone()),
        tls_key: Some(key.clone()),
        host: vec!["lab.example".into()],
        ..options(&[])
    })
    .await;
    assert!(relay.link.starts_with("https://lab.example:"), "{}", relay.link);
    let credit = Packet::Continue { stream: StreamId::CONNECTION, credit: 128 };
    assert_eq!(greeted_over_tls(&relay, roots.clone()).await.unwrap(), credit);

    let (new, new_roots) = certificate();
    std::fs::copy(new.path().join("cert.pem"), &cert).unwrap();
    assert!(relay.control.reload().is_err(), "certificate and key are not a pair");
    assert_eq!(greeted_over_tls(&relay, roots.clone()).await.unwrap(), credit, "the old ones stay");
    std::fs::copy(new.path().join("key.pem"), &key).unwrap();
    relay.control.reload().unwrap();
    assert_eq!(greeted_over_tls(&relay, new_roots).await.unwrap(), credit);
    assert!(greeted_over_tls(&relay, roots).await.is_err(), "nobody has the old one any more");

    // Plain HTTP to a TLS port gets no answer that could be taken for one.
    let mut tcp = TcpStream::connect(relay.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: lab.example\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    drop(soon("the end", tcp.read_to_end(&mut answer)).await);
    assert!(!answer.starts_with(b"HTTP"));
    let own = bind(ServeOptions { tls_self_signed: true, ..options(&[]) }).await.unwrap();
    assert!(own.join_link().starts_with("https://127.0.0.1:"));
}

#[tokio::test]
async fn draining_lets_streams_end_and_takes_in_nothing() {
    let relay = start(ServeOptions { drain: 50, ..options(&["127.0.0.1:1-65535"]) }).await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;
    let (id, _) = page.connect(address).await;
    let (mut client, _) = listener.accept().await.unwrap();
    relay.control.drain();
    let (errno, text) = page.notice().await;
    assert_eq!(errno, 108, "{text}");
    let refused = page.tcp(address);
    assert_eq!(page.failed(refused).await.0, 108);
    soon("the listener's end", async {
        while TcpStream::connect(relay.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What is open goes on to its end, and that is the relay's.
    client.write_all(b"the rest").await.unwrap();
    assert_eq!(page.read(id, 8).await, b"the rest");
    assert!(!relay.done.is_finished());
    page.client.close(id, Reason::VOLUNTARY);
    page.pump().await;
    drop(client);
    let ended = page.wait_for(|event| match event {
        ClientEvent::Ended { reason } => Some(*reason),
        _ => None,
    });
    assert_eq!(ended.await, Reason::VOLUNTARY);
    drop(page);
    soon("the relay", relay.done).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_operator_has_a_listener_with_metrics() {
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let relay = start(ServeOptions { admin, demo_services: true, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    let (echo, _) = page.connect(relay.demo().echo).await;
    page.send(echo, b"12345").await;
    page.read(echo, 5).await;
    let blocked = page.client.open_udp("192.168.1.1", 80).unwrap();
    page.opened(blocked).await;
    page.failed(blocked).await;
    let get = async |path: &str| {
        let mut tcp = TcpStream::connect(relay.admin.unwrap()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("an answer", tcp.read_to_string(&mut answer)).await.unwrap();
        answer
    };
    let metrics = get("/metrics").await;
    for line in [
        "socketlab_connections_open 1",
        "socketlab_streams_open 1",
        "socketlab_streams_total{kind=\"tcp\"} 1",
        "socketlab_octets_up_total 5",
        "socketlab_octets_down_total 5",
        "socketlab_refused_total{reason=\"policy_special\"} 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(get("/readyz").await.contains("200 OK"));
    let (head, _) = relay.get("/metrics", "").await;
    assert!(head.starts_with("http/1.1 404"), "not for the world");
    relay.control.drain();
    assert!(get("/readyz").await.contains("503"));
}
