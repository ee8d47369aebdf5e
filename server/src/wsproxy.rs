//! `/wsproxy/HOST:PORT`: one WebSocket is one TCP connection, octets as binary messages. No credit but TCP's own; what
//! goes wrong is said in the close frame.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    Shared, dial, farewell,
    ledger::{self, Entry},
    meter::{ConnectionPermit, Meters},
    settings::{Profile, Scope, WITHDRAWN, withdrawn},
};

/// Octets read from the target at a time.
const READ: usize = 32 * 1024;

/// The connection, as a teacher sees it.
#[derive(Debug)]
struct Tunnel {
    began: Instant,
    octets_up: AtomicU64,
    octets_down: AtomicU64,
    cut: Notify,
}

impl ledger::Stream for Tunnel {
    fn began(&self) -> Instant {
        self.began
    }

    fn moved(&self) -> (u64, u64) {
        (self.octets_up.load(Ordering::Relaxed), self.octets_down.load(Ordering::Relaxed))
    }

    fn cut(&self) {
        self.cut.notify_one();
    }
}

/// Serves one WebSocket to its end.
pub(crate) async fn run(
    shared: Arc<Shared>,
    peer: IpAddr,
    profile: Arc<Profile>,
    permit: ConnectionPermit,
    target: String,
    socket: WebSocket,
) {
    let tracker = shared.tasks.clone();
    tracker.track_future(serve(shared, peer, profile, permit, target, socket)).await;
}

async fn serve(
    shared: Arc<Shared>,
    peer: IpAddr,
    profile: Arc<Profile>,
    permit: ConnectionPermit,
    target: String,
    mut socket: WebSocket,
) {
    let began = Instant::now();
    let tunnel = Arc::new(Tunnel { began, octets_up: 0.into(), octets_down: 0.into(), cut: Notify::new() });
    let metrics = &shared.metrics;
    metrics.connections.inc();
    metrics.connections_open.inc();
    let limits = {
        let settings = shared.settings.borrow();
        [profile.scope, settings.per_address, settings.server]
    };
    let meters = permit.meters();
    let connected = match meters.open(limits) {
        Ok(place) => connect(&shared, &profile, &target).await.map(|connected| (connected, place)),
        Err(over) => {
            metrics.refuse(over.label());
            Err((close_code::AGAIN, over.to_string()))
        }
    };
    let frame = match connected {
        Ok(((stream, to), _place)) => {
            tracing::info!(%peer, ?target, %to, "wsproxy: opened");
            metrics.stream("wsproxy");
            let _listed = shared.ledger.enter(Entry {
                who: profile.name.clone(),
                peer,
                session: shared.sessions.fetch_add(1, Ordering::Relaxed) + 1,
                kind: "wsproxy",
                host: target.rsplit_once(':').map_or_else(|| target.clone(), |(host, _)| host.to_owned()),
                to,
                stream: Arc::downgrade(&tunnel) as Weak<dyn ledger::Stream>,
            });
            let paced = Paced { shared: &shared, meters, limits };
            let (why, frame) = carry(&paced, &profile, &tunnel, &mut socket, stream).await;
            let (up, down) = ledger::Stream::moved(&*tunnel);
            let seconds = began.elapsed().as_secs_f64();
            tracing::info!(%peer, ?target, %to, up, down, seconds, why, "wsproxy: closed");
            frame
        }
        Err((code, text)) => {
            tracing::warn!(%peer, ?target, why = text, "wsproxy: refused");
            farewell::frame(code, &text)
        }
    };
    drop(tunnel);
    farewell::close(socket, frame).await;
    shared.metrics.connections_open.dec();
}

/// What moves octets within the limits.
struct Paced<'a> {
    shared: &'a Shared,
    meters: Meters,
    limits: [Scope; 3],
}

impl Paced<'_> {
    async fn moved(&self, octets: usize) {
        if let Some((wait, ..)) = self.meters.moved(octets, self.limits) {
            self.shared.metrics.waits.inc();
            tokio::time::sleep(wait).await;
        }
    }
}

async fn connect(
    shared: &Shared,
    profile: &Profile,
    target: &str,
) -> Result<(tokio::net::TcpStream, SocketAddr), (u16, String)> {
    let bad = || (close_code::POLICY, format!("{target:?} is not HOST:PORT"));
    let (host, port) = target.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let wait = shared.settings.borrow().connect_timeout;
    let names = dial::Names { resolver: &*shared.resolver, pins: &dial::Pins::default() };
    let patience = shared.settings.borrow().target_timeout;
    let dialled = dial::tcp(names, &profile.policy, host, port, wait).await;
    if let (Ok((stream, _)), Some(patience)) = (&dialled, patience) {
        dial::keep_alive(stream, patience);
    }
    dialled.map_err(|error| {
        shared.metrics.refuse(error.label());
        let denied = matches!(error, dial::DialError::Denied { .. });
        (if denied { close_code::POLICY } else { close_code::ERROR }, error.to_string())
    })
}

/// Moves octets until one side ends. Each direction waits for its own receiver, so nothing piles up.
async fn carry(
    paced: &Paced<'_>,
    profile: &Profile,
    tunnel: &Tunnel,
    socket: &mut WebSocket,
    mut target: tokio::net::TcpStream,
) -> (String, CloseFrame) {
    let shared = paced.shared;
    let (idle, every) = {
        let settings = shared.settings.borrow();
        (settings.idle_timeout, settings.ping_every())
    };
    let (mut sink, mut source) = socket.split();
    let (mut reading, mut writing) = target.split();
    let up = async {
        loop {
            let bytes = match timeout(idle, source.next()).await {
                Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
                Ok(Some(Ok(Message::Text(text)))) => text.into(),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(Some(Ok(Message::Close(_))) | None) => {
                    break ("closed by the client".to_owned(), close_code::NORMAL);
                }
                Ok(Some(Err(error))) => break (error.to_string(), close_code::PROTOCOL),
                Err(_) => {
                    break (format!("nothing was heard from the client for {idle:?}"), close_code::POLICY);
                }
            };
            if let Err(error) = writing.write_all(&bytes).await {
                break (error.to_string(), close_code::ERROR);
            }
            tunnel.octets_up.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            shared.metrics.octets_up.inc_by(bytes.len() as u64);
            paced.moved(bytes.len()).await;
        }
    };
    let down = async {
        let mut ping = interval(every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ);
            let message = tokio::select! {
                read = reading.read_buf(&mut buffer) => match read {
                    Ok(0) => break ("closed by the target".to_owned(), close_code::NORMAL),
                    Ok(octets) => {
                        tunnel.octets_down.fetch_add(octets as u64, Ordering::Relaxed);
                        shared.metrics.octets_down.inc_by(octets as u64);
                        paced.moved(octets).await;
                        Message::Binary(buffer.split().freeze())
                    }
                    Err(error) => break (error.to_string(), close_code::ERROR),
                },
                _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
            };
            match timeout(idle, sink.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => break (error.to_string(), close_code::ABNORMAL),
                Err(_) => break ("the client takes nothing".to_owned(), close_code::ABNORMAL),
            }
        }
    };
    let (why, code) = tokio::select! {
        ended = up => ended,
        ended = down => ended,
        () = withdrawn(shared.settings.subscribe(), profile) => {
            shared.metrics.refuse("revoked");
            (WITHDRAWN.to_owned(), close_code::POLICY)
        }
        () = tunnel.cut.notified() => (ledger::CUT.to_owned(), close_code::POLICY),
        () = shared.stop.cancelled() => ("the relay is being stopped".to_owned(), close_code::AWAY),
    };
    let frame = farewell::frame(code, &why);
    (why, frame)
}
