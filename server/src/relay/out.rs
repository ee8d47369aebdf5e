//! The way to the client: one WebSocket that all streams write to.
//!
//! Whoever has a message writes it at once if nobody else is writing and the socket has room, which is most often so
//! and saves a change of tasks. What does not go at once is the writer's business, in the order of its queue: as long as
//! something waits there, everything goes there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, stream::SplitSink};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};

use super::Connection;

/// Messages that may wait for the writer. Small ones: the big ones are bounded by the octets that may be unsent.
const QUEUE: usize = 256;

/// What goes to the client.
pub(super) enum Outgoing {
    /// A message, and the permit for its octets, which is given back when they are written.
    Message(Message, Option<OwnedSemaphorePermit>),
    /// A message that is in the socket's buffer already, but did not leave it.
    Rest(Option<OwnedSemaphorePermit>),
    /// The last one.
    End(CloseFrame),
}

/// The client takes nothing any more.
#[derive(Debug)]
pub(super) struct Gone;

/// See the module's text.
pub(super) struct Out {
    sink: Mutex<SplitSink<WebSocket, Message>>,
    queue: mpsc::Sender<Outgoing>,
    /// What is in the queue, or was taken from it and is not in the sink yet.
    queued: AtomicUsize,
}

impl Out {
    /// And the queue for [`write`].
    pub(super) fn new(sink: SplitSink<WebSocket, Message>) -> (Out, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Out { sink: Mutex::new(sink), queue: sender, queued: AtomicUsize::new(0) }, receiver)
    }

    /// Sends a message, at once or in turn; waits while too many do.
    pub(super) async fn send(
        &self,
        message: Message,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Gone> {
        match self.try_now(message, permit) {
            None => Ok(()),
            Some(outgoing) => self.put(outgoing).await,
        }
    }

    /// The last message.
    pub(super) async fn end(&self, frame: CloseFrame) -> Result<(), Gone> {
        self.put(Outgoing::End(frame)).await
    }

    async fn put(&self, outgoing: Outgoing) -> Result<(), Gone> {
        let place = self.queue.reserve().await.map_err(|_| Gone)?;
        self.queued.fetch_add(1, Ordering::AcqRel);
        place.send(outgoing);
        Ok(())
    }

    /// Writes without waiting; what is left to be done.
    fn try_now(&self, message: Message, permit: Option<OwnedSemaphorePermit>) -> Option<Outgoing> {
        if self.queued.load(Ordering::Acquire) > 0 || self.queue.is_closed() {
            return Some(Outgoing::Message(message, permit));
        }
        let Ok(mut sink) = self.sink.try_lock() else { return Some(Outgoing::Message(message, permit)) };
        // Once more: the writer holds the lock when it lowers the number.
        if self.queued.load(Ordering::Acquire) > 0 {
            return Some(Outgoing::Message(message, permit));
        }
        // Nobody has to be woken: what cannot go now is given to the writer, which asks again.
        let mut context = Context::from_waker(Waker::noop());
        if !matches!(sink.poll_ready_unpin(&mut context), Poll::Ready(Ok(()))) {
            return Some(Outgoing::Message(message, permit));
        }
        // The writer runs into the same error, and ends the connection.
        if sink.start_send_unpin(message).is_err() {
            return Some(Outgoing::Rest(permit));
        }
        match sink.poll_flush_unpin(&mut context) {
            Poll::Ready(Ok(())) => None,
            Poll::Ready(Err(_)) | Poll::Pending => Some(Outgoing::Rest(permit)),
        }
    }
}

/// Sends what is put into the queue, as much at a time as there is.
pub(super) async fn write(mut queue: mpsc::Receiver<Outgoing>, connection: Arc<Connection>) {
    let out = &connection.out;
    let (patience, every) = {
        let settings = connection.shared.settings.borrow();
        (settings.idle_timeout, settings.ping_every())
    };
    let mut ping = interval(every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let first = tokio::select! {
            next = queue.recv() => next,
            _ = ping.tick() => {
                // Counted like everything that comes out of the queue.
                out.queued.fetch_add(1, Ordering::AcqRel);
                Some(Outgoing::Message(Message::Ping(Bytes::new()), None))
            }
        };
        let Some(first) = first else { break };
        let batch = async {
            let mut permits = Vec::new();
            let mut next = Some(first);
            let mut sink = out.sink.lock().await;
            while let Some(outgoing) = next {
                match outgoing {
                    Outgoing::Message(message, permit) => {
                        sink.feed(message).await?;
                        permits.extend(permit);
                    }
                    Outgoing::Rest(permit) => permits.extend(permit),
                    Outgoing::End(frame) => {
                        sink.send(Message::Close(Some(frame))).await?;
                        return Ok(false);
                    }
                }
                out.queued.fetch_sub(1, Ordering::AcqRel);
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
                connection.shared.metrics.refuse("slow_client");
                break;
            }
        }
    }
    connection.lost.cancel();
}
