//! nginx in front, with the configuration that docs/deploy/nginx.conf tells an operator to use: TLS, class codes right,
//! wrong and withdrawn, other pages.

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use socketlab_lan::close;
use socketlab_wisp::{Packet, Reason, StreamId, StreamKind};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::{common::soon, faults::echo, process::Process};

const NAME: &str = "lab.school.example";
const CODE: &str = "kiva-2026";

type Socket = WebSocketStream<TlsStream<TcpStream>>;

struct Nginx {
    /// Ends with the value.
    child: Child,
    address: SocketAddr,
    trust: RootCertStore,
    folder: tempfile::TempDir,
}

/// A change of the documented file that has to find its place.
fn put(text: &mut String, old: &str, new: &str) {
    assert!(text.contains(old), "docs/deploy/nginx.conf has no {old:?}");
    *text = text.replace(old, new);
}

impl Nginx {
    async fn start(relay: SocketAddr) -> Nginx {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        let mut trust = RootCertStore::empty();
        trust.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/nginx.conf");
        let mut site = std::fs::read_to_string(documented).unwrap();
        let place = folder.path().display();
        put(&mut site, "listen 443 ssl;", &format!("listen {address} ssl;"));
        put(&mut site, "/etc/ssl/lab.school.example.pem", &format!("{place}/cert.pem"));
        put(&mut site, "/etc/ssl/lab.school.example.key", &format!("{place}/key.pem"));
        put(&mut site, "http://127.0.0.1:8080", &format!("http://{relay}"));
        write("site.conf", &site);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {place}/{what};\n"))
            .collect();
        write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log info;\n\
                 events {{}}\nhttp {{ access_log {place}/access.log;\n{temporary}include {place}/site.conf; }}\n"
            ),
        );
        let child = Command::new("nginx")
            .args(["-c", &format!("{place}/nginx.conf"), "-e", &format!("{place}/error.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx: `cargo xtask test` installs it");
        let mut nginx = Nginx { child, address, trust, folder };
        soon("nginx", async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = nginx.child.try_wait().unwrap() {
                    panic!("nginx: {status}: {}", nginx.read("error.log"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        nginx
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// A WebSocket as the page opens it, or the status that it gets instead.
    async fn knock(&self, path: &str, code: &str, origin: &str) -> Result<Socket, u16> {
        let offer = format!("wisp, socketlab-token.{code}");
        self.knock_with(path, &[("origin", origin), ("sec-websocket-protocol", &offer)]).await
    }

    /// The same with any headers; none: a client that is neither a browser nor ours.
    async fn knock_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trust.clone())
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let url = format!("wss://{NAME}:{}{path}", self.address.port());
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match soon("an answer", client_async(request, tls)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    fn origin(&self) -> String {
        format!("https://{NAME}:{}", self.address.port())
    }
}

/// The code of the close frame, which is all that a page is told.
async fn turned_away(mut socket: Socket) -> u16 {
    match soon("the close frame", socket.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("{other:?}"),
    }
}

async fn next(socket: &mut Socket) -> Option<Packet> {
    loop {
        match soon("a message", socket.next()).await? {
            Ok(Message::Binary(message)) => return Some(Packet::parse(message).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn the_documented_nginx_carries_codes_streams_and_revocations() {
    let echo = echo().await;
    let settings = tempfile::NamedTempFile::new().unwrap();
    let text = |code: &str| format!("token = [\"{code}\"]\nallow = [\"{echo}\"]\n");
    std::fs::write(settings.path(), text(CODE)).unwrap();
    let config = settings.path().display().to_string();
    let flags = ["--host", NAME, "--trusted-proxy", "127.0.0.1", "--config", &config];
    // What must not be in the log must not be in this one either, which has everything.
    let mut relay = Process::start_logging("trace", 1000, &flags).await;
    let nginx = Nginx::start(relay.address).await;
    let origin = nginx.origin();

    assert_eq!(turned_away(nginx.knock("/wisp/", "wrong", &origin).await.unwrap()).await, close::WRONG_CODE);
    assert_eq!(nginx.knock("/wisp/", CODE, "https://evil.example").await.err(), Some(403));
    let other_port = format!("https://{NAME}");
    assert_eq!(nginx.knock("/wisp/", CODE, &other_port).await.err(), Some(403), "the port is the origin's");

    // Version 2, since a subprotocol is offered: INFO, INFO, CONTINUE.
    let mut socket = nginx.knock("/wisp/", CODE, &origin).await.unwrap();
    assert!(matches!(next(&mut socket).await, Some(Packet::Info { .. })));
    let stream = StreamId(7);
    let connect =
        Packet::Connect { stream, kind: StreamKind::Tcp, port: echo.port(), host: echo.ip().to_string() };
    let info = Packet::Info { stream: StreamId::CONNECTION, major: 2, minor: 0, extensions: Vec::new() };
    let big = vec![b'.'; 60_000];
    let data = Packet::Data { stream, bytes: big.clone().into() };
    for packet in [info, connect, data] {
        socket.send(Message::Binary(packet.emit())).await.unwrap();
    }
    let mut octets = 0;
    while octets < big.len() {
        match next(&mut socket).await.unwrap() {
            Packet::Data { bytes, .. } => octets += bytes.len(),
            Packet::Continue { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    // A guest's code in the address gets in, and into no log.
    let guest = format!("/lan/v86?code={CODE}");
    let mut guest = nginx.knock_with(&guest, &[]).await.unwrap();
    assert_eq!(nginx.knock_with("/lan/v86?code=wrong", &[]).await.err(), Some(401));
    assert_eq!(nginx.knock_with("/lan/v86", &[]).await.err(), Some(401));
    assert_eq!(nginx.knock_with(&format!("/wisp/?code={CODE}"), &[]).await.err(), Some(401), "LANs only");

    // The operator withdraws the code: who came in by it is let go, and nobody comes in any more.
    std::fs::write(settings.path(), text("another-one")).unwrap();
    relay.signal("HUP").await;
    let reason = loop {
        match next(&mut socket).await {
            Some(Packet::Close { stream: StreamId::CONNECTION, reason }) => break Some(reason),
            Some(_) => {}
            None => break None,
        }
    };
    assert_eq!(reason, Some(Reason::BLOCKED));
    assert!(next(&mut guest).await.is_none());
    assert_eq!(turned_away(nginx.knock("/wisp/", CODE, &origin).await.unwrap()).await, close::WRONG_CODE);
    assert!(nginx.knock("/wisp/", "another-one", &origin).await.is_ok());
    assert_eq!(relay.metric("socketlab_refused_total{reason=\"revoked\"}").await, 2);

    let logs = [relay.log(), nginx.read("access.log"), nginx.read("error.log")].concat();
    assert!(logs.contains("GET /wisp/ HTTP/1.1"), "{logs}");
    assert!(!logs.contains("/lan/v86?code=") && !relay.log().contains(CODE), "{logs}");
}
