//! One Wisp WebSocket: a reader that hands out what the client sends, a way out that all streams share, and a task for
//! each stream.
//!
//! What may wait is bounded everywhere:
//! * for a target that does not read: by the stream's credit ([`socketlab_wisp::Server`]), and by [`MAX_QUEUED`] octets
//!   of all streams, above which the WebSocket is not read;
//! * for a page that does not read: by [`UNSENT`] octets, above which no target is read. The permits are handed out in
//!   turn, so that a big download does not hold up a small answer. With our extension each stream has a window besides;
//! * for control packets: by the writer's queue, which the reader waits for as well.

mod ask;
mod hello;
mod inbox;
mod out;
mod port;
mod stream;
mod udp;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::{Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::{StreamExt, stream::SplitStream};
use socketlab_wisp::{Ext, Limits, Packet, Reason, Request, Server, StreamId, StreamKey, StreamKind};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::inbox::Inbox;
use self::{inbox::Item, out::Out};
use crate::{
    GRACE, Shared,
    dial::{Names, Pins},
    farewell,
    meter::{ConnectionPermit, Meters, StreamPermit},
    settings::{Profile, Scope, Settings, WITHDRAWN},
};

/// Octets from the client that may wait for targets before the WebSocket is read no further.
const MAX_QUEUED: usize = 8 * 1024 * 1024;

/// Octets from targets that may wait for the client before no target is read any more.
const UNSENT: usize = 256 * 1024;

/// How often a page is told that a rate limit bites, while it does.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How the client's side of a stream reaches the stream's task.
struct Handle {
    key: StreamKey,
    inbox: Arc<Inbox>,
    is_port: bool,
}

struct Table {
    book: Server,
    handles: HashMap<StreamId, Handle>,
}

/// Who the client is, and what it may use now.
struct Rights {
    profile: Arc<Profile>,
    limits: [Scope; 3],
    connect_timeout: Duration,
    patience: Patience,
}

/// When a stream is ended that its sides do not end.
#[derive(Clone, Copy)]
struct Patience {
    /// Nothing moved for so long.
    idle: Option<Duration>,
    /// The target's machine acknowledged nothing for so long.
    target: Option<Duration>,
}

struct Connection {
    shared: Arc<Shared>,
    peer: IpAddr,
    /// Its number among all.
    session: u64,
    rights: Mutex<Option<Arc<Rights>>>,
    meters: Meters,
    /// Version 2: the client has sent its INFO and been let in.
    is_greeted: AtomicBool,
    /// Some rate of octets is limited.
    is_paced: AtomicBool,
    told: Mutex<Option<Instant>>,
    /// The client's first window for each stream, if our extension is in force.
    window: OnceLock<u32>,
    table: Mutex<Table>,
    out: Out,
    unsent: Arc<Semaphore>,
    /// Something was consumed: perhaps the WebSocket may be read again.
    consumed: Notify,
    /// The writer is gone.
    lost: CancellationToken,
    octets_up: AtomicU64,
    octets_down: AtomicU64,
    /// Addresses that the client was told.
    pins: Pins,
}

/// Why a connection ends.
struct Ending {
    reason: Reason,
    code: u16,
    text: String,
    /// For the metrics, when it is the client's fault.
    label: Option<&'static str>,
}

impl Ending {
    fn new(reason: Reason, code: u16, text: impl Into<String>) -> Ending {
        Ending { reason, code, text: text.into(), label: None }
    }

    fn fault(reason: Reason, code: u16, text: impl Into<String>, label: &'static str) -> Ending {
        Ending { label: Some(label), ..Ending::new(reason, code, text) }
    }
}

/// Who knocks, as far as the request's head says it.
pub(crate) struct Visitor {
    pub(crate) peer: IpAddr,
    /// None: it has to say who it is in the handshake.
    pub(crate) profile: Option<Arc<Profile>>,
    /// It asked for Wisp version 2.
    pub(crate) version2: bool,
    pub(crate) permit: ConnectionPermit,
}

/// Serves one WebSocket to its end.
pub(crate) async fn run(shared: Arc<Shared>, visitor: Visitor, socket: WebSocket) {
    let tracker = shared.tasks.clone();
    tracker.track_future(serve(shared, visitor, socket)).await;
}

async fn serve(shared: Arc<Shared>, visitor: Visitor, socket: WebSocket) {
    let start = Instant::now();
    let Visitor { peer, profile, version2, permit } = visitor;
    let settings = shared.settings.subscribe();
    let who = profile.as_ref().map_or("not said yet", |profile| profile.name.as_str()).to_owned();
    tracing::info!(%peer, who, version = if version2 { 2 } else { 1 }, "wisp: connected");
    shared.metrics.connections.inc();
    shared.metrics.connections_open.inc();
    // Streams are counted by the meters, whose limits may change; the book's own number is the memory's bound.
    let limits = Limits { streams: MOST_STREAMS, ..Limits::default() };
    let offer = version2.then(|| hello::offer(&settings.borrow(), profile.as_ref()));
    let book = match offer.clone() {
        Some(offer) => Server::version2(limits, offer),
        None => Server::new(limits),
    };
    let greeting = book.greeting();
    let (sink, mut source) = socket.split();
    let (out, queue) = Out::new(sink);
    let connection = Arc::new(Connection {
        peer,
        session: shared.sessions.fetch_add(1, Ordering::Relaxed) + 1,
        rights: Mutex::new(None),
        meters: permit.meters(),
        is_greeted: AtomicBool::new(!version2),
        is_paced: AtomicBool::new(false),
        told: Mutex::new(None),
        window: OnceLock::new(),
        table: Mutex::new(Table { book, handles: HashMap::new() }),
        out,
        unsent: Arc::new(Semaphore::new(UNSENT)),
        consumed: Notify::new(),
        lost: CancellationToken::new(),
        octets_up: AtomicU64::new(0),
        octets_down: AtomicU64::new(0),
        pins: Pins::default(),
        shared,
    });
    if let Some(profile) = profile {
        connection.set_rights(&settings.borrow(), profile);
    }
    let writer = tokio::spawn(out::write(queue, Arc::clone(&connection)));
    connection.send(&greeting).await;
    let ending = read(&mut source, &connection, settings).await;

    let handles = std::mem::take(&mut connection.lock().handles);
    handles.into_values().for_each(|handle| handle.inbox.close(Reason::NETWORK_ERROR));
    let metrics = &connection.shared.metrics;
    if let Some(label) = ending.label {
        metrics.refuse(label);
    }
    let (octets_up, octets_down) =
        (connection.octets_up.load(Ordering::Relaxed), connection.octets_down.load(Ordering::Relaxed));
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(%peer, octets_up, octets_down, seconds, why = ending.text, "wisp: ended");
    metrics.connections_open.dec();
    let farewell = async {
        connection.send(&Packet::Close { stream: StreamId::CONNECTION, reason: ending.reason }).await;
        // The writer may have ended with the WebSocket.
        drop(connection.out.end(farewell::frame(ending.code, &ending.text)).await);
    };
    drop(timeout(GRACE, farewell).await);
    let abort = writer.abort_handle();
    match timeout(GRACE, writer).await {
        Ok(_) => farewell::linger(&mut source).await,
        Err(_) => abort.abort(),
    }
    drop(permit);
}

/// Streams of one connection, whatever the settings say.
const MOST_STREAMS: usize = 1 << 16;

/// Takes in what the client sends until the connection is to end.
async fn read(
    source: &mut SplitStream<WebSocket>,
    connection: &Arc<Connection>,
    mut settings: watch::Receiver<Arc<Settings>>,
) -> Ending {
    let shared = &connection.shared;
    let mut idle = settings.borrow().idle_timeout;
    let shaking = Instant::now() + shared.options.header_timeout();
    let mut is_drained = false;
    loop {
        let is_in = connection.is_greeted.load(Ordering::Relaxed);
        let patience = if is_in { idle } else { shaking.saturating_duration_since(Instant::now()).min(idle) };
        let next = async {
            connection.wait_for_room().await;
            timeout(patience, source.next()).await
        };
        let message = tokio::select! {
            next = next => next,
            () = shared.stop.cancelled() => {
                return Ending::new(Reason::VOLUNTARY, close_code::AWAY, "the relay is being stopped");
            }
            () = connection.lost.cancelled() => {
                return Ending::new(Reason::NETWORK_ERROR, close_code::ABNORMAL, "the client takes nothing any more");
            }
            () = shared.drain.cancelled(), if !is_drained => {
                is_drained = true;
                connection.notice(108, "the relay is being stopped: what is open may end, nothing new is opened").await;
                continue;
            }
            // The sender lives as long as the server.
            _ = settings.changed() => {
                let now = Arc::clone(&settings.borrow_and_update());
                idle = now.idle_timeout;
                if !connection.follow(&now) {
                    return Ending::fault(Reason::BLOCKED, close_code::POLICY, WITHDRAWN, "revoked");
                }
                continue;
            }
        };
        let message = match message {
            Ok(Some(Ok(Message::Binary(message)))) => message,
            Ok(Some(Ok(Message::Text(_)))) => {
                return Ending::fault(
                    Reason::INVALID,
                    close_code::UNSUPPORTED,
                    "Wisp packets are binary messages",
                    "text",
                );
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Close(_))) | None) => {
                return Ending::new(Reason::VOLUNTARY, close_code::NORMAL, "closed by the client");
            }
            Ok(Some(Err(error))) => return broken(&error.to_string(), settings.borrow().message),
            Err(_) if !is_in => {
                let text = "the handshake took too long";
                return Ending::fault(
                    Reason::TRANSFER_TIMED_OUT,
                    close_code::POLICY,
                    text,
                    "handshake_timed_out",
                );
            }
            Err(_) => {
                let text = format!("nothing was heard from the client for {idle:?}");
                return Ending::fault(Reason::TRANSFER_TIMED_OUT, close_code::POLICY, text, "idle");
            }
        };
        if let Err(ending) = connection.handle(message).await {
            return ending;
        }
    }
}

/// The WebSocket itself failed: by the network, or because the client broke the rules of RFC 6455 or the size limit.
fn broken(error: &str, most: usize) -> Ending {
    if error.starts_with("Space limit exceeded") {
        let text = format!("a message is longer than {most} octets");
        return Ending::fault(Reason::INVALID, close_code::SIZE, text, "message_too_long");
    }
    if error.contains("without closing handshake") || error.starts_with("IO error") {
        return Ending::new(Reason::NETWORK_ERROR, close_code::PROTOCOL, "the client went away");
    }
    Ending::fault(Reason::NETWORK_ERROR, close_code::PROTOCOL, error, "not_websocket")
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How names become addresses for this client.
    fn names(&self) -> Names<'_> {
        Names { resolver: &*self.shared.resolver, pins: &self.pins }
    }

    fn rights(&self) -> Option<Arc<Rights>> {
        self.rights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_let_in(&self) -> bool {
        self.rights().is_some()
    }

    fn set_rights(&self, settings: &Settings, profile: Arc<Profile>) {
        let limits = [profile.scope, settings.per_address, settings.server];
        self.is_paced.store(limits.iter().any(|scope| scope.octets_per_s.is_some()), Ordering::Relaxed);
        let Settings { connect_timeout, stream_idle, target_timeout, .. } = *settings;
        let patience = Patience { idle: stream_idle, target: target_timeout };
        let rights = Rights { profile, limits, connect_timeout, patience };
        *self.rights.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rights));
    }

    /// Takes over new settings. `false`: the client would not be let in any more.
    fn follow(&self, settings: &Settings) -> bool {
        let Some(rights) = self.rights() else { return true };
        let now = settings.still(&rights.profile);
        let holds = now.is_some();
        if let Some(profile) = now {
            self.set_rights(settings, profile);
        }
        holds
    }

    /// Queues a small packet; waits when the queue is full. A lost connection is noticed elsewhere.
    async fn send(&self, packet: &Packet) {
        drop(self.out.send(Message::Binary(packet.emit()), None).await);
    }

    /// Tells the page something that concerns all of it, if it can be told.
    async fn notice(&self, errno: u16, text: &str) {
        self.error(StreamId::CONNECTION, errno, text).await;
    }

    /// Tells the page what is wrong with a stream, if it can be told.
    async fn error(&self, stream: StreamId, errno: u16, text: &str) {
        if self.window.get().is_some() {
            let body = Ext::Error { errno, text: text.to_owned() };
            self.send(&Packet::Ext { stream, body }).await;
        }
    }

    async fn wait_for_room(&self) {
        loop {
            let consumed = self.consumed.notified();
            if self.lock().book.queued_octets() <= MAX_QUEUED {
                return;
            }
            consumed.await;
        }
    }

    async fn handle(self: &Arc<Self>, message: Bytes) -> Result<(), Ending> {
        let request = self.lock().book.handle_message(message);
        let request = request.map_err(|violation| {
            let text = format!("not Wisp: {violation}");
            Ending::fault(Reason::INVALID, close_code::PROTOCOL, text, "not_wisp")
        })?;
        match request {
            Request::Data { stream, bytes } => self.data(stream, bytes).await,
            Request::Datagram { stream, to, bytes } => self.push(stream, Item::To(to, bytes)),
            Request::Open { stream, kind, host, port } => self.open(stream, kind, host, port).await,
            Request::Listen { stream, kind, port } => self.listen(stream, kind, port).await,
            Request::Finish { stream } => {
                if let Some(handle) = self.lock().handles.get(&stream) {
                    handle.inbox.finish();
                }
            }
            Request::Window { stream, octets } => {
                if let Some(handle) = self.lock().handles.get(&stream) {
                    handle.inbox.widen(octets);
                }
            }
            Request::Close { stream: StreamId::CONNECTION, reason } => {
                let text = format!("the client does not go on: {reason}");
                return Err(Ending::new(Reason::VOLUNTARY, close_code::NORMAL, text));
            }
            Request::Close { stream, reason } => {
                if let Some(handle) = self.lock().handles.remove(&stream) {
                    handle.inbox.close(reason);
                }
                self.consumed.notify_one();
            }
            Request::Refuse { stream, reason, why } => {
                tracing::warn!(peer = %self.peer, %stream, %reason, %why, "wisp: stream refused");
                self.shared.metrics.refuse("stream");
                if let Some(handle) = self.lock().handles.remove(&stream) {
                    handle.inbox.close(Reason::NETWORK_ERROR);
                }
                let errno = if reason == Reason::THROTTLED { 11 } else { 22 };
                self.error(stream, errno, &why.to_string()).await;
                self.send(&Packet::Close { stream, reason }).await;
            }
            Request::Hello(hello) => self.judge(*hello).await?,
            Request::Ask { question, what } => self.ask(question, what),
            Request::TooManyQuestions { question, what } => self.too_many(question, &what).await,
            Request::Ignore => {}
        }
        Ok(())
    }

    /// Octets for a stream's target, which most often has room for them.
    async fn data(&self, stream: StreamId, bytes: Bytes) {
        let found = self.lock().handles.get(&stream).map(|handle| (handle.key, Arc::clone(&handle.inbox)));
        let Some((key, inbox)) = found else { return };
        if self.is_paced.load(Ordering::Relaxed) {
            return inbox.push(Item::Data(bytes));
        }
        let octets = bytes.len();
        if inbox.write_or_push(bytes) {
            inbox.octets_up.fetch_add(octets as u64, Ordering::Relaxed);
            self.took(key, octets).await;
        }
    }

    fn push(&self, stream: StreamId, item: Item) {
        if let Some(handle) = self.lock().handles.get(&stream) {
            handle.inbox.push(item);
        }
    }

    /// A place in the counts for a new stream; refuses it, and says so, when there is none.
    async fn permit(&self, key: StreamKey) -> Option<(Arc<Rights>, StreamPermit)> {
        let rights = self.rights()?;
        let over = match self.meters.open(rights.limits) {
            Ok(permit) if !self.shared.drain.is_cancelled() => return Some((rights, permit)),
            Ok(_) => None,
            Err(over) => Some(over),
        };
        let text = over.map_or("the relay is being stopped".to_owned(), |over| over.to_string());
        let label = over.map_or("draining", |over| over.label());
        tracing::warn!(peer = %self.peer, stream = %key.id, why = text, "wisp: stream refused");
        self.shared.metrics.refuse(label);
        let errno = if over.is_some() { 11 } else { 108 };
        self.fail(key, Reason::THROTTLED, errno, &text).await;
        None
    }

    fn add(&self, key: StreamKey, is_port: bool) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(self.window.get().copied()));
        self.lock().handles.insert(key.id, Handle { key, inbox: Arc::clone(&inbox), is_port });
        inbox
    }

    async fn open(self: &Arc<Self>, key: StreamKey, kind: StreamKind, host: String, port: u16) {
        let Some((rights, permit)) = self.permit(key).await else { return };
        let inbox = self.add(key, false);
        let connection = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            match kind {
                StreamKind::Tcp => stream::tcp(&connection, key, rights, &host, port, inbox).await,
                StreamKind::Udp => udp::udp(&connection, key, rights, &host, port, inbox).await,
            }
            drop(permit);
        });
    }

    async fn listen(self: &Arc<Self>, key: StreamKey, kind: StreamKind, wish: u16) {
        let Some((rights, permit)) = self.permit(key).await else { return };
        let have = self.lock().handles.values().filter(|handle| handle.is_port).count();
        let inbox = self.add(key, true);
        let connection = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            match kind {
                StreamKind::Tcp => port::tcp(&connection, key, rights, wish, have, inbox).await,
                StreamKind::Udp => port::udp(&connection, key, rights, wish, have, inbox).await,
            }
            drop(permit);
        });
    }

    /// The stream reached its target.
    async fn opened(&self, key: StreamKey) {
        let packet = self.lock().book.opened(key);
        if let Some(packet) = packet {
            self.send(&packet).await;
        }
    }

    /// The target took one packet.
    async fn took(&self, key: StreamKey, octets: usize) {
        let packet = self.lock().book.consumed(key, octets);
        self.consumed.notify_one();
        self.octets_up.fetch_add(octets as u64, Ordering::Relaxed);
        self.shared.metrics.octets_up.inc_by(octets as u64);
        if let Some(packet) = packet {
            self.send(&packet).await;
        }
    }

    /// Waits as long as a rate limit says, after so many octets were moved; and tells the page.
    async fn pace(&self, octets: usize) {
        if !self.is_paced.load(Ordering::Relaxed) {
            return;
        }
        let Some(rights) = self.rights() else { return };
        let Some((wait, who, per_s)) = self.meters.moved(octets, rights.limits) else { return };
        self.shared.metrics.waits.inc();
        let tell = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let due = told.is_none_or(|at| at.elapsed() >= TELL_EVERY);
            if due {
                *told = Some(Instant::now());
            }
            due
        };
        if tell {
            tracing::info!(peer = %self.peer, who, per_s, "wisp: slowed down");
            self.notice(11, &format!("{who} may move {per_s} octets per second: this is slowed down")).await;
        }
        tokio::time::sleep(wait).await;
    }

    /// The stream ended on the target's side; tells the client, unless the client ended it.
    async fn close(&self, key: StreamKey, reason: Reason) {
        if self.forget(key) {
            self.send(&Packet::Close { stream: key.id, reason }).await;
        }
    }

    /// The same with an errno and a sentence before it, where that can be said.
    async fn fail(&self, key: StreamKey, reason: Reason, errno: u16, text: &str) {
        if self.forget(key) {
            self.error(key.id, errno, text).await;
            self.send(&Packet::Close { stream: key.id, reason }).await;
        }
    }

    fn forget(&self, key: StreamKey) -> bool {
        let open = {
            let mut table = self.lock();
            if table.handles.get(&key.id).is_some_and(|handle| handle.key == key) {
                table.handles.remove(&key.id);
            }
            table.book.close(key)
        };
        self.consumed.notify_one();
        open
    }
}
