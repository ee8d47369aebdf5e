//! `/wsproxy/HOST:PORT`: one WebSocket is one TCP connection, octets as binary messages. No credit but TCP's own; what
//! goes wrong is said in the close frame.

use std::{net::SocketAddr, sync::Arc};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{GRACE, Shared, dial};

/// Octets read from the target at a time.
const READ: usize = 32 * 1024;

/// Serves one WebSocket to its end.
pub(crate) async fn run(shared: Arc<Shared>, peer: SocketAddr, target: String, socket: WebSocket) {
    let tracker = shared.tasks.clone();
    tracker.track_future(serve(shared, peer, target, socket)).await;
}

async fn serve(shared: Arc<Shared>, peer: SocketAddr, target: String, mut socket: WebSocket) {
    let start = Instant::now();
    let frame = match connect(&shared, &target).await {
        Ok((stream, to)) => {
            tracing::info!(%peer, ?target, %to, "wsproxy: opened");
            let (why, frame, up, down) = carry(&shared, &mut socket, stream).await;
            let seconds = start.elapsed().as_secs_f64();
            tracing::info!(%peer, ?target, %to, up, down, seconds, why, "wsproxy: closed");
            frame
        }
        Err((code, text)) => {
            tracing::warn!(%peer, ?target, why = text, "wsproxy: refused");
            close(code, &text)
        }
    };
    // The client may have gone.
    drop(timeout(GRACE, socket.send(Message::Close(Some(frame)))).await);
}

fn close(code: u16, text: &str) -> CloseFrame {
    // A close frame has room for 123 octets of text (RFC 6455 5.5).
    let text: String = text.chars().filter(char::is_ascii).take(123).collect();
    CloseFrame { code, reason: text.into() }
}

async fn connect(
    shared: &Shared,
    target: &str,
) -> Result<(tokio::net::TcpStream, SocketAddr), (u16, String)> {
    let bad = || (close_code::POLICY, format!("{target:?} is not HOST:PORT"));
    let (host, port) = target.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    dial::tcp(&shared.policy, host, port, shared.options.connect_timeout()).await.map_err(|error| {
        let denied = matches!(error, dial::DialError::Denied { .. });
        (if denied { close_code::POLICY } else { close_code::ERROR }, error.to_string())
    })
}

/// Moves octets until one side ends. Each direction waits for its own receiver, so nothing piles up.
async fn carry(
    shared: &Shared,
    socket: &mut WebSocket,
    mut target: tokio::net::TcpStream,
) -> (String, CloseFrame, u64, u64) {
    let idle = shared.options.idle_timeout();
    let (mut sink, mut source) = socket.split();
    let (mut reading, mut writing) = target.split();
    let (mut octets_up, mut octets_down) = (0, 0);
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
            octets_up += bytes.len() as u64;
        }
    };
    let down = async {
        let mut ping = interval(shared.options.ping_every());
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ);
            let message = tokio::select! {
                read = reading.read_buf(&mut buffer) => match read {
                    Ok(0) => break ("closed by the target".to_owned(), close_code::NORMAL),
                    Ok(octets) => {
                        octets_down += octets as u64;
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
        () = shared.stop.cancelled() => ("the relay is being stopped".to_owned(), close_code::AWAY),
    };
    let frame = close(code, &why);
    (why, frame, octets_up, octets_down)
}
