//! A relay on a free port, a resolver of the test's own, and three ways to talk to it: as the page does ([`Page`]), packet by packet ([`Raw`]), and
//! by plain HTTP.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socketlab_server::{
    Control, DemoServices, ServeOptions, bind, bind_with,
    dial::{Lookup, Resolve},
};
use socketlab_wisp::{Client, ClientEvent, ClientOptions, Packet, Reason, StreamId, StreamKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::header::SEC_WEBSOCKET_PROTOCOL,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

/// Nothing here takes so long: a test that waits for it fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) demo: Option<DemoServices>,
    pub(crate) stop: CancellationToken,
    pub(crate) control: Control,
    pub(crate) link: String,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) done: JoinHandle<std::io::Result<()>>,
}

/// Options for a relay on a free port.
pub(crate) fn options(allow: &[&str]) -> ServeOptions {
    ServeOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        allow: allow.iter().map(|rule| rule.parse().unwrap()).collect(),
        demo_port_base: 0,
        ..ServeOptions::default()
    }
}

pub(crate) async fn start(options: ServeOptions) -> Relay {
    run(bind(options).await.unwrap())
}

fn run(server: socketlab_server::Server) -> Relay {
    Relay {
        address: server.address(),
        demo: server.demo().copied(),
        stop: server.stop_token(),
        control: server.control(),
        link: server.join_link(),
        admin: server.admin_address(),
        done: tokio::spawn(server.run()),
    }
}

/// With a resolver that knows only these names; each list is one answer, the last one stays.
pub(crate) async fn start_with_names(options: ServeOptions, names: &[(&str, &[&[&str]])]) -> Relay {
    let answers = |lists: &&[&[&str]]| -> VecDeque<Vec<IpAddr>> {
        lists.iter().map(|list| list.iter().map(|text| text.parse().unwrap()).collect()).collect()
    };
    let names = names.iter().map(|(name, lists)| ((*name).to_owned(), answers(lists))).collect();
    run(bind_with(options, Arc::new(Names(Mutex::new(names)))).await.unwrap())
}

#[derive(Debug)]
struct Names(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Resolve for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let mut names = self.0.lock().unwrap();
            let Some(answers) = names.get_mut(name) else { return Err(std::io::ErrorKind::NotFound.into()) };
            let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            Ok(next.unwrap_or_default())
        })
    }
}

impl Relay {
    /// One that allows every port of 127.0.0.1.
    pub(crate) async fn start() -> Relay {
        start(options(&["127.0.0.1:1-65535"])).await
    }

    pub(crate) async fn with_demo() -> Relay {
        start(ServeOptions { demo_services: true, ..options(&[]) }).await
    }

    pub(crate) fn demo(&self) -> DemoServices {
        self.demo.unwrap()
    }

    pub(crate) fn request(&self, path: &str) -> Request {
        format!("ws://{}{path}", self.address).into_client_request().unwrap()
    }

    pub(crate) async fn open(&self, path: &str) -> WebSocketStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        client_async(self.request(path), tcp).await.unwrap().0
    }

    /// The same, offering subprotocols: version 2.
    pub(crate) async fn open_as(&self, protocols: &str) -> WebSocketStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let mut request = self.request("/wisp/");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        client_async(request, tcp).await.unwrap().0
    }

    /// A connection of version 2, as the page has it; nothing has been read.
    pub(crate) async fn page_with(&self, protocols: &str, options: ClientOptions) -> Page {
        let client = Client::with_options(options);
        Page { socket: self.open_as(protocols).await, client, start: Instant::now() }
    }

    /// A connection with our extension, whose greeting has been read.
    pub(crate) async fn ours(&self) -> Page {
        let mut page = self.page_with("wisp-v2", ClientOptions::default()).await;
        assert_eq!(page.event().await, ClientEvent::Ready { credit: 128 });
        assert!(page.client.terms().is_some());
        page
    }

    /// A connection whose greeting has been read.
    pub(crate) async fn page(&self) -> Page {
        let mut page =
            Page { socket: self.open("/wisp/").await, client: Client::new(), start: Instant::now() };
        assert_eq!(page.event().await, ClientEvent::Ready { credit: 128 });
        page
    }

    /// A connection whose greeting has been read.
    pub(crate) async fn raw(&self) -> Raw {
        let mut raw = Raw { socket: self.open("/wisp/").await };
        assert_eq!(raw.next().await, Packet::Continue { stream: StreamId::CONNECTION, credit: 128 });
        raw
    }

    /// Status line and headers in lower case, and the body.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", self.address);
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon("an HTTP answer", tcp.read_to_end(&mut answer)).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
    }
}

/// Our client at a relay, ours or another; its greeting has been read.
pub(crate) async fn page_at(relay: SocketAddr) -> Page {
    let tcp = TcpStream::connect(relay).await.unwrap();
    let (socket, _) = client_async(format!("ws://{relay}/wisp/"), tcp).await.unwrap();
    let mut page = Page { socket, client: Client::new(), start: Instant::now() };
    assert_eq!(page.event().await, ClientEvent::Ready { credit: 128 });
    page
}

/// Our client of version 2 at any relay; nothing has been read.
pub(crate) async fn page_of(relay: SocketAddr, options: ClientOptions) -> Page {
    let tcp = TcpStream::connect(relay).await.unwrap();
    let mut request = format!("ws://{relay}/wisp/").into_client_request().unwrap();
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, "wisp-v2".parse().unwrap());
    let (socket, _) = client_async(request, tcp).await.unwrap();
    Page { socket, client: Client::with_options(options), start: Instant::now() }
}

/// What the page's worker does: our own client over a WebSocket.
pub(crate) struct Page {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) client: Client,
    start: Instant,
}

impl Page {
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends what the client wants to send.
    pub(crate) async fn pump(&mut self) {
        while let Some(message) = self.client.poll_message() {
            self.socket.send(Message::Binary(message)).await.unwrap();
        }
    }

    pub(crate) async fn event(&mut self) -> ClientEvent {
        soon("an event", async {
            loop {
                self.pump().await;
                if let Some(event) = self.client.poll_event() {
                    return event;
                }
                match self.socket.next().await {
                    Some(Ok(Message::Binary(message))) => {
                        let now = self.now();
                        self.client.handle_message(now, message).unwrap();
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => self.client.handle_lost(),
                    Some(Ok(_)) => {}
                }
            }
        })
        .await
    }

    pub(crate) fn tcp(&mut self, to: SocketAddr) -> StreamId {
        let now = self.now();
        self.client.open_tcp(now, &to.ip().to_string(), to.port()).unwrap()
    }

    pub(crate) fn udp(&mut self, to: SocketAddr) -> StreamId {
        self.client.open_udp(&to.ip().to_string(), to.port()).unwrap()
    }

    /// The next event of this stream that is not about room to write.
    pub(crate) async fn event_of(&mut self, id: StreamId) -> ClientEvent {
        loop {
            match self.event().await {
                ClientEvent::Ready { .. } | ClientEvent::Writable { .. } => {}
                ClientEvent::Motd { .. } | ClientEvent::Accepted { .. } | ClientEvent::Answered { .. } => {}
                ClientEvent::Trouble { stream: StreamId::CONNECTION, .. } => {}
                ClientEvent::Ended { reason } => panic!("the connection ended: {reason}"),
                event @ (ClientEvent::Opened { stream }
                | ClientEvent::Data { stream, .. }
                | ClientEvent::Addresses { stream, .. }
                | ClientEvent::Listening { stream, .. }
                | ClientEvent::Datagram { stream, .. }
                | ClientEvent::Finished { stream }
                | ClientEvent::Trouble { stream, .. }
                | ClientEvent::Closed { stream, .. }) => {
                    if stream == id {
                        return event;
                    }
                }
            }
        }
    }

    pub(crate) async fn opened(&mut self, id: StreamId) {
        assert_eq!(self.event_of(id).await, ClientEvent::Opened { stream: id });
    }

    /// Opens a TCP stream with our extension; the addresses of its real socket.
    pub(crate) async fn connect(&mut self, to: SocketAddr) -> (StreamId, SocketAddr) {
        let id = self.tcp(to);
        self.opened(id).await;
        match self.event_of(id).await {
            ClientEvent::Addresses { local, remote, .. } => {
                assert_eq!(remote, to);
                (id, local)
            }
            other => panic!("no addresses but {other:?}"),
        }
    }

    pub(crate) async fn closed(&mut self, id: StreamId) -> Reason {
        match self.event_of(id).await {
            ClientEvent::Closed { reason, .. } => reason,
            other => panic!("not closed but {other:?}"),
        }
    }

    /// A failure with our extension: errno, sentence, reason.
    pub(crate) async fn failed(&mut self, id: StreamId) -> (u16, String, Reason) {
        match self.event_of(id).await {
            ClientEvent::Trouble { errno, text, .. } => (errno, text, self.closed(id).await),
            other => panic!("no trouble but {other:?}"),
        }
    }

    /// The next event that `choose` knows what to do with; others are dropped.
    pub(crate) async fn wait_for<T>(&mut self, choose: impl Fn(&ClientEvent) -> Option<T>) -> T {
        loop {
            let event = self.event().await;
            if let Some(found) = choose(&event) {
                return found;
            }
            assert!(!matches!(event, ClientEvent::Ended { .. }), "{event:?}");
        }
    }

    /// The next notice for the whole page.
    pub(crate) async fn notice(&mut self) -> (u16, String) {
        self.wait_for(|event| match event {
            ClientEvent::Trouble { stream: StreamId::CONNECTION, errno, text } => {
                Some((*errno, text.clone()))
            }
            _ => None,
        })
        .await
    }

    /// At least so many octets, or fewer if the target finishes.
    pub(crate) async fn read(&mut self, id: StreamId, octets: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < octets {
            match self.event_of(id).await {
                ClientEvent::Data { bytes, .. } => {
                    self.client.consumed(id, bytes.len() as u64);
                    got.extend_from_slice(&bytes);
                }
                ClientEvent::Finished { .. } | ClientEvent::Closed { reason: Reason::VOLUNTARY, .. } => break,
                other => panic!("no data but {other:?}"),
            }
        }
        got
    }

    pub(crate) async fn send(&mut self, id: StreamId, bytes: &[u8]) {
        assert_eq!(self.client.send(id, bytes), bytes.len());
        self.pump().await;
    }
}

/// Packet by packet, right or wrong.
pub(crate) struct Raw {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Raw {
    pub(crate) async fn send(&mut self, packet: &Packet) {
        self.socket.send(Message::Binary(packet.emit())).await.unwrap();
    }

    pub(crate) async fn send_octets(&mut self, octets: impl Into<Bytes>) {
        self.socket.send(Message::Binary(octets.into())).await.unwrap();
    }

    pub(crate) async fn connect(&mut self, id: u32, to: SocketAddr) -> StreamId {
        let stream = StreamId(id);
        let host = to.ip().to_string();
        self.send(&Packet::Connect { stream, kind: StreamKind::Tcp, port: to.port(), host }).await;
        stream
    }

    pub(crate) async fn next(&mut self) -> Packet {
        match self.message().await {
            Message::Binary(message) => Packet::parse(message).unwrap(),
            other => panic!("no packet but {other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> Message {
        loop {
            match soon("a message", self.socket.next()).await.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// Reads on until the close frame; packets before it are in the list.
    pub(crate) async fn end(&mut self) -> (Vec<Packet>, CloseCode, String) {
        let mut packets = Vec::new();
        loop {
            match self.message().await {
                Message::Binary(message) => packets.push(Packet::parse(message).unwrap()),
                Message::Close(Some(CloseFrame { code, reason })) => {
                    return (packets, code, reason.to_string());
                }
                other => panic!("neither packet nor close frame: {other:?}"),
            }
        }
    }
}

/// A target on a free port of 127.0.0.1.
pub(crate) async fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port where nothing listens.
pub(crate) async fn nobody() -> SocketAddr {
    target().await.1
}

/// Octets that betray a loss, a double or a swap.
pub(crate) fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|n| (n ^ (n >> 8) ^ (n >> 16)).to_le_bytes()[0]).collect()
}
