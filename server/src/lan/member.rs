//! One member's WebSocket.

use std::{net::IpAddr, sync::Arc};

use axum::extract::ws::{Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use socketlab_lan::{LeftReason, MAX_TEXT, MemberId, ToRelay, close};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{Hall, Ordering, Queue, random};
use crate::{
    GRACE, Shared, farewell,
    settings::{Profile, WITHDRAWN, withdrawn},
};

/// Characters of a member's key. Shorter ones could be guessed.
const KEY: core::ops::RangeInclusive<usize> = 16..=128;

/// Serves one WebSocket to its end.
pub(crate) async fn run(
    shared: Arc<Shared>,
    peer: IpAddr,
    profile: Arc<Profile>,
    room: String,
    socket: WebSocket,
) {
    let tracker = shared.tasks.clone();
    tracker.track_future(serve(shared, peer, profile, room, socket)).await;
}

async fn serve(shared: Arc<Shared>, peer: IpAddr, profile: Arc<Profile>, room: String, socket: WebSocket) {
    let start = Instant::now();
    let id = MemberId(random());
    let (queue, receiver) = Queue::new();
    let hall = match shared.lan.enter(&room, id, &queue).await {
        Ok(hall) => hall,
        Err(why) => {
            tracing::warn!(%peer, ?room, why, "lan: turned away");
            return farewell::close(socket, farewell::frame(close::REFUSED, &why)).await;
        }
    };
    let (sink, mut source) = socket.split();
    tracing::info!(%peer, room, member = %id, "lan: joined");
    let writer = tokio::spawn(write(Arc::clone(&shared), sink, receiver, queue.clone()));
    let (left, code, why) = tokio::select! {
        left = read(&shared, &mut source, &hall, id, &queue) => left,
        () = withdrawn(shared.settings.subscribe(), &profile) => {
            shared.metrics.refuse("revoked");
            (LeftReason::Lost, close::CODE_WITHDRAWN, WITHDRAWN.to_owned())
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(%peer, room, member = %id, seconds, why, "lan: left");
    shared.lan.leave(&hall, id, left);
    // The writer may be gone already.
    drop(queue.sender.send(Message::Close(Some(farewell::frame(code, &why)))));
    let abort = writer.abort_handle();
    match timeout(GRACE, writer).await {
        Ok(_) => farewell::linger(&mut source).await,
        Err(_) => abort.abort(),
    }
}

/// Takes in what the member says until it is to leave.
async fn read(
    shared: &Arc<Shared>,
    source: &mut SplitStream<WebSocket>,
    hall: &Hall,
    id: MemberId,
    queue: &Queue,
) -> (LeftReason, u16, String) {
    let idle = shared.settings.borrow().idle_timeout;
    loop {
        let message = tokio::select! {
            message = timeout(idle, source.next()) => message,
            () = queue.end.cancelled() => {
                let (code, why) = queue.why();
                return (LeftReason::Lost, code, why.to_owned());
            }
            () = shared.stop.cancelled() => {
                return (LeftReason::Lost, close_code::AWAY, "the relay is being stopped".to_owned());
            }
        };
        match message {
            Ok(Some(Ok(Message::Binary(frame)))) => {
                let now = shared.lan.now();
                hall.act(now, |room| room.handle_frame(now, id, frame));
            }
            Ok(Some(Ok(Message::Text(text)))) => match understand(&text) {
                Ok(message) => {
                    let now = shared.lan.now();
                    let greeting = shared.lan.greeting(&message);
                    hall.act(now, |room| room.handle_text(now, id, message, greeting));
                }
                Err(why) => return (LeftReason::Lost, close_code::POLICY, why),
            },
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(Message::Close(_)))) => {
                return (LeftReason::Closed, close_code::NORMAL, "closed by the member".to_owned());
            }
            Ok(None) => return (LeftReason::Lost, close_code::ABNORMAL, "the member went away".to_owned()),
            Ok(Some(Err(error))) => return (LeftReason::Lost, close_code::PROTOCOL, error.to_string()),
            Err(_) => {
                let why = format!("nothing was heard from the member for {idle:?}");
                return (LeftReason::Lost, close_code::POLICY, why);
            }
        }
    }
}

/// Reads a text message; an error is a sentence for the close frame.
fn understand(text: &str) -> Result<ToRelay, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("a text message is longer than {MAX_TEXT} octets"));
    }
    let message: ToRelay = serde_json::from_str(text).map_err(|error| format!("not understood: {error}"))?;
    if let ToRelay::Hello { key, .. } = &message
        && !KEY.contains(&key.chars().count())
    {
        return Err(format!("a key has {} to {} characters", KEY.start(), KEY.end()));
    }
    Ok(message)
}

/// Sends what waits for the member, as much at a time as there is.
async fn write(
    shared: Arc<Shared>,
    mut sink: SplitSink<WebSocket, Message>,
    mut receiver: mpsc::UnboundedReceiver<Message>,
    queue: Queue,
) {
    let patience = shared.settings.borrow().idle_timeout;
    let mut ping = interval(shared.settings.borrow().ping_every());
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let first = tokio::select! {
            next = receiver.recv() => next,
            _ = ping.tick() => Some(Message::Ping(Bytes::new())),
        };
        let Some(first) = first else { break };
        let batch = async {
            let mut next = Some(first);
            while let Some(message) = next {
                let octets = match &message {
                    Message::Binary(frame) => frame.len(),
                    Message::Text(text) => text.len(),
                    _ => 0,
                };
                let last = matches!(message, Message::Close(_));
                sink.feed(message).await?;
                queue.octets.fetch_sub(octets, Ordering::Relaxed);
                if last {
                    sink.flush().await?;
                    return Ok(false);
                }
                next = receiver.try_recv().ok();
            }
            sink.flush().await?;
            Ok::<bool, axum::Error>(true)
        };
        match timeout(patience, batch).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => break,
            Err(_) => {
                queue.end(close_code::POLICY, "the member takes nothing");
                break;
            }
        }
    }
    // Without a writer the member cannot stay.
    queue.end.cancel();
}
