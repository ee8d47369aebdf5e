//! Rooms that several relays share: a subject of a NATS server for each room.
//!
//! ```text
//! socketlab.lan.ROOM   0x00 relay:u64be frame...      one Ethernet frame
//!                      0x01 JSON                      a Control
//! ```
//!
//! The client connects again by itself. While the server is away, members of one relay go on among themselves; those of
//! other relays drop out of the roster and come back with their relays' next announcements.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::room::{Control, RelayId};

/// Messages of one room that may wait for the server. More are lost: frames as on a full link, announcements until the
/// next.
const QUEUE: usize = 1024;

const FRAME: u8 = 0;
const CONTROL: u8 = 1;

/// A connection to the NATS server.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    client: Client,
    relay: RelayId,
}

/// What came from another relay.
pub(super) enum FromBus {
    Frame(Bytes),
    Control(Control),
}

/// Goes to the other relays.
pub(super) type ToBus = mpsc::Sender<Bytes>;

impl Bus {
    /// Connects in the background: the relay serves also while the NATS server is not there.
    pub(super) async fn connect(url: &str, relay: RelayId) -> Result<Bus, async_nats::ConnectError> {
        let client = ConnectOptions::new()
            .name("socketlab relay")
            .retry_on_initial_connect()
            .reconnect_delay_callback(|attempts| Duration::from_millis(250 * (attempts as u64).clamp(1, 8)))
            .event_callback(|event| async move {
                match event {
                    Event::Connected => tracing::info!("bus: connected"),
                    Event::Disconnected => tracing::warn!("bus: the NATS server is gone; trying again"),
                    other => tracing::debug!(%other, "bus"),
                }
            })
            .connect(url)
            .await?;
        Ok(Bus { client, relay })
    }

    /// Joins a room's subject until `stop`: what others say goes to `hear`; what is put into the answer goes to them.
    pub(super) async fn join(
        &self,
        room: &str,
        stop: CancellationToken,
        mut hear: impl FnMut(FromBus) + Send + 'static,
    ) -> Result<ToBus, async_nats::SubscribeError> {
        let subject = format!("socketlab.lan.{room}");
        let mut subscription = self.client.subscribe(subject.clone()).await?;
        let (sender, mut queue) = mpsc::channel::<Bytes>(QUEUE);
        let (client, relay, stopped) = (self.client.clone(), self.relay, stop.clone());
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    message = subscription.next() => message,
                    () = stopped.cancelled() => break,
                };
                let Some(message) = message else { break };
                if let Some(what) = parse(relay, message.payload) {
                    hear(what);
                }
            }
            // The room is closed, or the client is.
            drop(subscription.unsubscribe().await);
        });
        tokio::spawn(async move {
            while let Some(payload) = queue.recv().await {
                if let Err(error) = client.publish(subject.clone(), payload).await {
                    tracing::warn!(%error, "bus: a message could not be sent");
                }
            }
        });
        Ok(sender)
    }

    pub(super) fn frame(&self, frame: &[u8]) -> Bytes {
        let mut payload = BytesMut::with_capacity(frame.len() + 9);
        payload.put_u8(FRAME);
        payload.put_u64(self.relay.0);
        payload.put_slice(frame);
        payload.freeze()
    }

    pub(super) fn control(&self, control: &Control) -> Option<Bytes> {
        let mut payload = vec![CONTROL];
        serde_json::to_writer(&mut payload, control).ok()?;
        Some(payload.into())
    }
}

/// What another relay said; `None` for one's own words and for what is not understood.
fn parse(own: RelayId, mut payload: Bytes) -> Option<FromBus> {
    match *payload.first()? {
        FRAME => {
            let relay = u64::from_be_bytes(payload.get(1..9)?.try_into().ok()?);
            (RelayId(relay) != own).then(|| FromBus::Frame(payload.split_off(9)))
        }
        CONTROL => serde_json::from_slice(payload.get(1..)?)
            .inspect_err(|error| tracing::debug!(%error, "bus: a message is not understood"))
            .ok()
            .map(FromBus::Control),
        _ => None,
    }
}
