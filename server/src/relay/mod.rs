//! One Wisp WebSocket: a reader that hands out what the client sends, a writer that all streams share, and a task for
//! each stream.
//!
//! What may wait is bounded everywhere:
//! * for a target that does not read: by the stream's credit ([`socketlab_wisp::Server`]), and by [`MAX_QUEUED`] octets
//!   of all streams, above which the WebSocket is not read;
//! * for a page that does not read: by [`UNSENT`] octets, above which no target is read. The permits are handed out in
//!   turn, so that a big download does not hold up a small answer;
//! * for control packets: by the writer's queue, which the reader waits for as well.

mod stream;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use socketlab_wisp::{Limits, Packet, Reason, Request, Server, StreamId, StreamKey, StreamKind};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{GRACE, Shared};

/// Octets from the client that may wait for targets before the WebSocket is read no further.
const MAX_QUEUED: usize = 8 * 1024 * 1024;

/// Octets from targets that may wait for the client before no target is read any more.
const UNSENT: usize = 256 * 1024;

/// Messages that may wait for the writer. Small ones: the big ones are bounded by [`UNSENT`].
const OUT_QUEUE: usize = 256;

/// What goes to the client.
enum Outgoing {
    /// A message, and the permit for its octets, which is given back when they are written.
    Message(Message, Option<OwnedSemaphorePermit>),
    /// The last one.
    End(CloseFrame),
}

/// How the client's side of a stream reaches the stream's task.
struct Handle {
    key: StreamKey,
    /// Bounded by the credit.
    data: mpsc::UnboundedSender<Bytes>,
    /// The client's CLOSE. Dropped without a word when the connection is gone.
    close: oneshot::Sender<Reason>,
}

struct Table {
    book: Server,
    handles: HashMap<StreamId, Handle>,
}

struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    table: Mutex<Table>,
    out: mpsc::Sender<Outgoing>,
    unsent: Arc<Semaphore>,
    /// Something was consumed: perhaps the WebSocket may be read again.
    consumed: Notify,
    /// The writer is gone.
    lost: CancellationToken,
    octets_up: AtomicU64,
    octets_down: AtomicU64,
}

/// Why a connection ends.
struct Ending {
    reason: Reason,
    code: u16,
    text: String,
}

impl Ending {
    fn new(reason: Reason, code: u16, text: impl Into<String>) -> Ending {
        Ending { reason, code, text: text.into() }
    }
}

/// Serves one WebSocket to its end.
pub(crate) async fn run(shared: Arc<Shared>, peer: SocketAddr, socket: WebSocket) {
    let tracker = shared.tasks.clone();
    tracker.track_future(serve(shared, peer, socket)).await;
}

async fn serve(shared: Arc<Shared>, peer: SocketAddr, socket: WebSocket) {
    let start = Instant::now();
    tracing::info!(%peer, "wisp: connected");
    let limits = Limits { streams: shared.options.max_streams, ..Limits::default() };
    let book = Server::new(limits);
    let greeting = book.greeting();
    let (out, queue) = mpsc::channel(OUT_QUEUE);
    let connection = Arc::new(Connection {
        peer,
        table: Mutex::new(Table { book, handles: HashMap::new() }),
        out,
        unsent: Arc::new(Semaphore::new(UNSENT)),
        consumed: Notify::new(),
        lost: CancellationToken::new(),
        octets_up: AtomicU64::new(0),
        octets_down: AtomicU64::new(0),
        shared,
    });
    let (sink, source) = socket.split();
    let writer = tokio::spawn(write(sink, queue, Arc::clone(&connection)));
    connection.send(&greeting).await;
    let ending = read(source, &connection).await;

    connection.lock().handles.clear();
    let (octets_up, octets_down) =
        (connection.octets_up.load(Ordering::Relaxed), connection.octets_down.load(Ordering::Relaxed));
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(%peer, octets_up, octets_down, seconds, why = ending.text, "wisp: ended");
    let farewell = async {
        connection.send(&Packet::Close { stream: StreamId::CONNECTION, reason: ending.reason }).await;
        // A close frame has room for 123 octets of text (RFC 6455 5.5).
        let text: String = ending.text.chars().filter(char::is_ascii).take(123).collect();
        let end = Outgoing::End(CloseFrame { code: ending.code, reason: text.into() });
        // The writer may have ended with the WebSocket.
        drop(connection.out.send(end).await);
    };
    drop(timeout(GRACE, farewell).await);
    let abort = writer.abort_handle();
    if timeout(GRACE, writer).await.is_err() {
        abort.abort();
    }
}

/// Takes in what the client sends until the connection is to end.
async fn read(mut source: SplitStream<WebSocket>, connection: &Arc<Connection>) -> Ending {
    let stop = &connection.shared.stop;
    let idle = connection.shared.options.idle_timeout();
    loop {
        let next = async {
            connection.wait_for_room().await;
            timeout(idle, source.next()).await
        };
        let message = tokio::select! {
            next = next => next,
            () = stop.cancelled() => {
                return Ending::new(Reason::VOLUNTARY, close_code::AWAY, "the relay is being stopped");
            }
            () = connection.lost.cancelled() => {
                return Ending::new(Reason::NETWORK_ERROR, close_code::ABNORMAL, "the client takes nothing any more");
            }
        };
        let message = match message {
            Ok(Some(Ok(Message::Binary(message)))) => message,
            Ok(Some(Ok(Message::Text(_)))) => {
                return Ending::new(
                    Reason::INVALID,
                    close_code::UNSUPPORTED,
                    "Wisp packets are binary messages",
                );
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Close(_))) | None) => {
                return Ending::new(Reason::VOLUNTARY, close_code::NORMAL, "closed by the client");
            }
            Ok(Some(Err(error))) => return broken(&error.to_string()),
            Err(_) => {
                let text = format!("nothing was heard from the client for {idle:?}");
                return Ending::new(Reason::TRANSFER_TIMED_OUT, close_code::POLICY, text);
            }
        };
        if let Err(ending) = connection.handle(message).await {
            return ending;
        }
    }
}

/// The WebSocket itself failed: by the network, or because the client broke the rules of RFC 6455 or the size limit.
fn broken(error: &str) -> Ending {
    if error.starts_with("Space limit exceeded") {
        let text = format!("a message is longer than {} octets", crate::http::MAX_MESSAGE);
        return Ending::new(Reason::INVALID, close_code::SIZE, text);
    }
    if error.contains("without closing handshake") || error.starts_with("IO error") {
        return Ending::new(Reason::NETWORK_ERROR, close_code::PROTOCOL, "the client went away");
    }
    Ending::new(Reason::NETWORK_ERROR, close_code::PROTOCOL, error)
}

/// Sends what all streams put into the queue, as much at a time as there is.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    connection: Arc<Connection>,
) {
    let patience = connection.shared.options.idle_timeout();
    let mut ping = interval(connection.shared.options.ping_every());
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let first = tokio::select! {
            next = queue.recv() => next,
            _ = ping.tick() => Some(Outgoing::Message(Message::Ping(Bytes::new()), None)),
        };
        let Some(first) = first else { break };
        let batch = async {
            let mut permits = Vec::new();
            let mut next = Some(first);
            while let Some(outgoing) = next {
                match outgoing {
                    Outgoing::Message(message, permit) => {
                        sink.feed(message).await?;
                        permits.extend(permit);
                    }
                    Outgoing::End(frame) => {
                        sink.send(Message::Close(Some(frame))).await?;
                        return Ok(false);
                    }
                }
                next = queue.try_recv().ok();
            }
            sink.flush().await?;
            Ok::<bool, axum::Error>(true)
        };
        match timeout(patience, batch).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => break,
            Ok(Err(error)) => {
                tracing::debug!(peer = %connection.peer, %error, "wisp: cannot write");
                break;
            }
            Err(_) => {
                tracing::warn!(peer = %connection.peer, ?patience, "wisp: the client takes nothing");
                break;
            }
        }
    }
    connection.lost.cancel();
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a small packet; waits when the queue is full. A lost connection is noticed elsewhere.
    async fn send(&self, packet: &Packet) {
        drop(self.out.send(Outgoing::Message(Message::Binary(packet.emit()), None)).await);
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
            Ending::new(Reason::INVALID, close_code::PROTOCOL, format!("not Wisp: {violation}"))
        })?;
        match request {
            Request::Open { stream, kind, host, port } => self.open(stream, kind, host, port),
            Request::Data { stream, bytes } => {
                if let Some(handle) = self.lock().handles.get(&stream) {
                    // A stream that ended by itself takes nothing more, and says so to the client.
                    drop(handle.data.send(bytes));
                }
            }
            Request::Close { stream, reason } => {
                if let Some(handle) = self.lock().handles.remove(&stream) {
                    // The task may have ended meanwhile: then there is nobody to tell.
                    let _ = handle.close.send(reason);
                }
                self.consumed.notify_one();
            }
            Request::Refuse { stream, reason, why } => {
                tracing::warn!(peer = %self.peer, %stream, %reason, %why, "wisp: stream refused");
                self.lock().handles.remove(&stream);
                self.send(&Packet::Close { stream, reason }).await;
            }
            // What only version 2 brings, which is not offered yet.
            _ => {}
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, key: StreamKey, kind: StreamKind, host: String, port: u16) {
        let (data, data_out) = mpsc::unbounded_channel();
        let (close, close_out) = oneshot::channel();
        self.lock().handles.insert(key.id, Handle { key, data, close });
        let inbox = stream::Inbox { data: data_out, close: close_out };
        let connection = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            match kind {
                StreamKind::Tcp => stream::tcp(&connection, key, &host, port, inbox).await,
                StreamKind::Udp => stream::udp(&connection, key, &host, port, inbox).await,
            }
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
        if let Some(packet) = packet {
            self.send(&packet).await;
        }
    }

    /// The stream ended on the target's side; tells the client, unless the client ended it.
    async fn close(&self, key: StreamKey, reason: Reason) {
        let open = {
            let mut table = self.lock();
            if table.handles.get(&key.id).is_some_and(|handle| handle.key == key) {
                table.handles.remove(&key.id);
            }
            table.book.close(key)
        };
        self.consumed.notify_one();
        if open {
            self.send(&Packet::Close { stream: key.id, reason }).await;
        }
    }
}
