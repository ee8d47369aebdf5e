//! `/lan/ROOM`: Ethernets that simulated hosts in several pages share. One WebSocket is one member: binary messages are
//! frames, text messages are [`socketlab_lan`]'s.
//!
//! ```text
//! WebSocket ▸ member ▸ Room (a state machine) ▸ Effect ▸ the members' queues, the bus
//! ```
//!
//! A member that does not take its frames loses them above [`MAX_FRAMES_QUEUED`] octets, as at a full switch port; one
//! that does not even take the roster is disconnected.

mod bus;
mod member;
mod options;
mod room;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::extract::ws::Message;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use socketlab_lan::{LeftReason, MemberId, ToRelay, close};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use bus::{Bus, FromBus, ToBus};
pub(crate) use member::run;
pub use options::LanOptions;
use room::{Effect, Greeting, Owner, RelayId, Room};

/// Octets of frames that may wait for one member: about a third of a second at 10 Mbit/s.
const MAX_FRAMES_QUEUED: usize = 512 * 1024;

/// Octets of anything that may wait for one member before it is disconnected.
const MAX_QUEUED: usize = 4 * 1024 * 1024;

/// How long a relay that opens a room waits for others to say who is there.
const ASK: Duration = Duration::from_millis(300);

/// All rooms of this relay.
pub(crate) struct Lan {
    options: LanOptions,
    relay: RelayId,
    bus: Option<Bus>,
    halls: Mutex<HashMap<String, Arc<Hall>>>,
    /// What the room's clock said when `start` was.
    epoch: u64,
    start: Instant,
}

/// A room and the ways to its members.
pub(crate) struct Hall {
    name: String,
    state: Mutex<State>,
    /// The room is closed.
    closed: CancellationToken,
}

struct State {
    room: Room,
    queues: HashMap<MemberId, Queue>,
    to_bus: Option<(Bus, ToBus)>,
}

/// The way to one member.
#[derive(Clone)]
struct Queue {
    sender: mpsc::UnboundedSender<Message>,
    /// Octets in it.
    octets: Arc<AtomicUsize>,
    /// Cancelled to close the connection; the text says why.
    end: CancellationToken,
    why: Arc<Mutex<(u16, &'static str)>>,
}

/// The bus was asked for and cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--bus {url}: {why}; it looks like nats://127.0.0.1:4222")]
pub struct BusError {
    url: String,
    why: String,
}

impl Lan {
    /// Prepares for rooms; connects to the bus in the background, if there is one.
    pub(crate) async fn open(options: LanOptions) -> Result<Lan, BusError> {
        let relay = RelayId(random());
        let bus = match &options.bus {
            Some(url) => Some(
                Bus::connect(url, relay)
                    .await
                    .map_err(|error| BusError { url: url.clone(), why: error.to_string() })?,
            ),
            None => None,
        };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = u64::try_from(since_1970.as_nanos()).unwrap_or(0);
        Ok(Lan { options, relay, bus, halls: Mutex::default(), epoch, start: Instant::now() })
    }

    /// The rooms' clock: nanoseconds since 1970, never going back.
    fn now(&self) -> u64 {
        self.epoch.saturating_add(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn halls(&self) -> MutexGuard<'_, HashMap<String, Arc<Hall>>> {
        self.halls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in a room, which is opened if it is not there. An error says why there is no place.
    async fn enter(self: &Arc<Self>, name: &str, id: MemberId, queue: &Queue) -> Result<Arc<Hall>, String> {
        if self.options.lan_rooms == 0 {
            return Err("this relay has no shared LANs (--lan-rooms 0)".to_owned());
        }
        if !socketlab_lan::is_room(name) {
            let most = socketlab_lan::MAX_ROOM;
            return Err(format!(
                "a room's name has 1 to {most} letters (a to z), digits, hyphens or underscores"
            ));
        }
        let now = self.now();
        let (hall, new) = {
            let mut halls = self.halls();
            let most = self.options.lan_rooms;
            let (hall, new) = match halls.get(name) {
                Some(hall) => (Arc::clone(hall), false),
                None if halls.len() >= most => {
                    return Err(format!(
                        "this relay has {most} rooms, which is as many as it may (--lan-rooms)"
                    ));
                }
                None => (Arc::new(self.hall(name)), true),
            };
            // Entered while the map is held: a room is never closed under somebody who has just found it.
            hall.act(now, |room| room.enter(now, id))?;
            hall.lock().queues.insert(id, queue.clone());
            if new {
                halls.insert(name.to_owned(), Arc::clone(&hall));
            }
            (hall, new)
        };
        if new {
            self.start_hall(&hall).await;
        }
        Ok(hall)
    }

    fn hall(&self, name: &str) -> Hall {
        let (limits, relay_name) = (self.options.limits(), &self.options.relay_name);
        let room = Room::new(name, self.relay, relay_name, limits, self.bus.is_some());
        let state = State { room, queues: HashMap::new(), to_bus: None };
        Hall { name: name.to_owned(), state: Mutex::new(state), closed: CancellationToken::new() }
    }

    /// The room's own tasks: the bus and the tick.
    async fn start_hall(self: &Arc<Self>, hall: &Arc<Hall>) {
        if let Some(bus) = &self.bus {
            let (lan, heard) = (Arc::clone(self), Arc::clone(hall));
            let hear = move |message| {
                let now = lan.now();
                heard.act(now, |room| match message {
                    FromBus::Frame(frame) => room.handle_bus_frame(now, frame),
                    FromBus::Control(control) => room.handle_control(now, control),
                });
            };
            match bus.join(&hall.name, hall.closed.clone(), hear).await {
                Ok(to_bus) => {
                    hall.lock().to_bus = Some((bus.clone(), to_bus));
                    hall.act(self.now(), Room::ask_who);
                    // Others answer at once; who is first in an empty school waits for nobody.
                    tokio::time::sleep(ASK).await;
                }
                Err(error) => tracing::warn!(room = hall.name, %error, "bus: this room is not shared"),
            }
        }
        let (lan, hall) = (Arc::clone(self), Arc::clone(hall));
        tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = second.tick() => {}
                    () = hall.closed.cancelled() => break,
                }
                let now = lan.now();
                hall.act(now, |room| room.tick(now));
            }
        });
    }

    fn leave(&self, hall: &Arc<Hall>, id: MemberId, why: LeftReason) {
        let now = self.now();
        hall.lock().queues.remove(&id);
        hall.act(now, |room| room.leave(now, id, why));
        let mut halls = self.halls();
        let empty = hall.lock().room.is_empty();
        if empty && halls.get(&hall.name).is_some_and(|held| Arc::ptr_eq(held, hall)) {
            halls.remove(&hall.name);
            hall.closed.cancel();
            hall.lock().to_bus = None;
        }
    }

    /// Whether this is the word that makes a teacher. Nothing is, if there is none.
    pub(crate) fn is_teachers_word(&self, said: &str) -> bool {
        // Digests, so that the time the comparison takes tells nothing about the word.
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        self.options.teacher_word.as_ref().is_some_and(|word| digest(word) == digest(said))
    }

    /// What the member's key leaves behind, and whether the teacher's word is right.
    fn greeting(&self, message: &ToRelay) -> Option<Greeting> {
        let ToRelay::Hello { key, teacher, .. } = message else { return None };
        let mut owner = [0; 8];
        owner.copy_from_slice(&Sha256::digest(key.as_bytes())[..8]);
        let teacher = teacher.as_ref().map(|said| self.is_teachers_word(said));
        Some(Greeting { owner: Owner(u64::from_be_bytes(owner)), teacher })
    }
}

impl Hall {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something in the room, and what follows from it.
    fn act<T>(&self, now: u64, what: impl FnOnce(&mut Room) -> T) -> T {
        let mut state = self.lock();
        let result = what(&mut state.room);
        while let Some(effect) = state.room.poll_effect() {
            state.carry_out(now, effect);
        }
        result
    }
}

impl State {
    fn carry_out(&mut self, now: u64, effect: Effect) {
        match effect {
            Effect::Frame { to, frame } => {
                let octets = frame.len();
                let taken = self.queues.get(&to).is_some_and(|queue| queue.frame(frame));
                self.room.delivered(now, to, octets, taken);
            }
            Effect::Text { to, message } => {
                if let (Some(queue), Ok(text)) = (self.queues.get(&to), serde_json::to_string(&message)) {
                    queue.text(text);
                }
            }
            Effect::End { member, code, why } => {
                if let Some(queue) = self.queues.get(&member) {
                    queue.end(code, why);
                }
            }
            Effect::BusFrame { frame, .. } => self.to_bus(|bus| Some(bus.frame(&frame))),
            Effect::Bus(control) => self.to_bus(|bus| bus.control(&control)),
        }
    }

    fn to_bus(&self, payload: impl FnOnce(&Bus) -> Option<Bytes>) {
        if let Some((bus, queue)) = &self.to_bus
            && let Some(payload) = payload(bus)
        {
            // Full: the NATS server is away or slow. Frames are lost as on a full link; announcements come again.
            drop(queue.try_send(payload));
        }
    }
}

impl Queue {
    fn new() -> (Queue, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = Queue {
            sender,
            octets: Arc::default(),
            end: CancellationToken::new(),
            why: Arc::new(Mutex::new((close::REFUSED, ""))),
        };
        (queue, receiver)
    }

    /// `false`: the queue is full and the frame is lost.
    fn frame(&self, frame: Bytes) -> bool {
        let octets = frame.len();
        if self.octets.load(Ordering::Relaxed) + octets > MAX_FRAMES_QUEUED {
            return false;
        }
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.sender.send(Message::Binary(frame)).is_ok()
    }

    fn text(&self, text: String) {
        if self.octets.fetch_add(text.len(), Ordering::Relaxed) > MAX_QUEUED {
            return self.end(close::REFUSED, "the member takes nothing");
        }
        // Its WebSocket may have ended.
        drop(self.sender.send(Message::Text(text.into())));
    }

    fn end(&self, code: u16, why: &'static str) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = (code, why);
        self.end.cancel();
    }

    fn why(&self) -> (u16, &'static str) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hall").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A number nobody can guess.
fn random() -> u64 {
    let number = ring::rand::generate::<[u8; 8]>(&ring::rand::SystemRandom::new());
    match number {
        Ok(number) => u64::from_ne_bytes(number.expose()),
        // The system's source fails only before it is seeded at boot; the time will then do to tell members apart.
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64,
    }
}
