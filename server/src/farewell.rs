//! How a WebSocket ends: the close frame that says why, and the wait until the other side can have read it.

use std::sync::Arc;

use axum::{
    Error,
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    response::Response,
};
use futures_util::{Stream, StreamExt};
use tokio::{sync::Semaphore, time::timeout};

use crate::GRACE;

/// Browsers at a time that are being told why they are turned away; they count as nobody's connection. A choice.
pub(crate) const MOST: usize = 256;

/// Octets of a message from somebody who is turned away. A choice: any greeting is shorter.
const MESSAGE: usize = 64 * 1024;

/// Opens a WebSocket for nothing but its close frame: a browser does not tell a page why a handshake failed (WHATWG
/// WebSockets, "fail the WebSocket connection"). `None` if too many are being told already.
pub(crate) fn turn_away(
    upgrade: WebSocketUpgrade,
    places: &Arc<Semaphore>,
    frame: CloseFrame,
) -> Option<Response> {
    let place = Arc::clone(places).try_acquire_owned().ok()?;
    let upgrade = upgrade.max_message_size(MESSAGE).max_frame_size(MESSAGE).read_buffer_size(4096);
    Some(upgrade.on_upgrade(move |socket| async move {
        close(socket, frame).await;
        drop(place);
    }))
}

/// The close frame. It has room for 123 octets of text (RFC 6455 5.5).
pub(crate) fn frame(code: u16, why: &str) -> CloseFrame {
    let why: String = why.chars().filter(char::is_ascii).take(123).collect();
    CloseFrame { code, reason: why.into() }
}

/// Says the last word on a WebSocket. The client may have gone.
pub(crate) async fn close(mut socket: WebSocket, frame: CloseFrame) {
    if let Ok(Ok(())) = timeout(GRACE, socket.send(Message::Close(Some(frame)))).await {
        linger(&mut socket).await;
    }
}

/// Throws away what still comes until the client has answered the close frame with its own (RFC 6455 7.1.2) or is slow.
/// A connection that is closed with unread octets is reset (RFC 2525 2.17), and a reset may overtake the reason.
pub(crate) async fn linger(source: &mut (impl Stream<Item = Result<Message, Error>> + Unpin)) {
    let answered = async { while let Some(Ok(_)) = source.next().await {} };
    drop(timeout(GRACE, answered).await);
}
