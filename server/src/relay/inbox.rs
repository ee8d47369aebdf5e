//! How a stream's task hears from the client: octets, the end of octets, the end of everything, and how much it may
//! send back. A few hundred octets for an idle stream.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use socketlab_wisp::Reason;
use tokio::{net::TcpStream, sync::Notify, time::Instant};

use crate::ledger::Stream;

/// See the module's text. Bounded by the credit that the client gets.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Something changed in `state`; for the one that reads the queue.
    more: Notify,
    /// `closed` was set; for the one that ends the stream.
    ended: Notify,
    /// Octets that may be sent to the client.
    window: AtomicU64,
    widened: Notify,
    /// When it began.
    began: Instant,
    /// A teacher has ended it.
    is_cut: AtomicBool,
    /// The socket, for questions about it.
    socket: OnceLock<Weak<TcpStream>>,
    pub(super) octets_up: AtomicU64,
    pub(super) octets_down: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    /// The stream's task has taken something from the queue and is not done with it.
    busy: bool,
    finished: bool,
    closed: Option<Reason>,
    /// Writing failed where the stream's task did not see it.
    failed: Option<io::Error>,
}

/// Messages that may wait in the buffers that they were read into. A message keeps all of its buffer, which may be many
/// times its length; copying costs time, which a target that takes so little does not lack. A choice.
const AS_READ: usize = 48;

impl State {
    fn put(&mut self, item: Item) {
        let item = match item {
            Item::Data(bytes) if self.queue.len() >= AS_READ => Item::Data(Bytes::copy_from_slice(&bytes)),
            other => other,
        };
        self.queue.push_back(item);
    }
}

/// Something to be sent to the target.
#[derive(Debug)]
pub(super) enum Item {
    /// Octets of a stream, or one datagram.
    Data(Bytes),
    /// What is left of a message of so many octets.
    Rest(Bytes, usize),
    /// A datagram of a port.
    To(SocketAddr, Bytes),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Item(Item),
    /// The client sends no more.
    Finished,
    /// The client has closed the stream.
    Closed,
    /// The target takes nothing any more.
    Failed(io::Error),
}

impl Inbox {
    /// `window`: octets that may be sent to the client at first; none: without limit.
    pub(super) fn new(window: Option<u32>) -> Inbox {
        Inbox {
            state: Mutex::default(),
            more: Notify::new(),
            ended: Notify::new(),
            window: AtomicU64::new(window.map_or(u64::MAX / 2, u64::from)),
            widened: Notify::new(),
            began: Instant::now(),
            is_cut: AtomicBool::new(false),
            socket: OnceLock::new(),
            octets_up: AtomicU64::new(0),
            octets_down: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, item: Item) {
        self.lock().put(item);
        self.more.notify_one();
    }

    /// Writes to the target at once if nothing waits for it, else leaves it to the stream's task, which costs a change
    /// of tasks for each message. `true`: all of it is written.
    pub(super) fn write_or_push(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        let idle = state.queue.is_empty() && !state.busy && !state.finished && state.closed.is_none();
        let socket = if idle && state.failed.is_none() { self.socket() } else { None };
        let item = match socket.map(|socket| socket.try_write(&bytes)) {
            Some(Ok(octets)) if octets == bytes.len() => return true,
            Some(Ok(octets)) => Item::Rest(bytes.slice(octets..), bytes.len()),
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                state.failed = Some(error);
                Item::Data(bytes)
            }
            Some(Err(_)) | None => Item::Data(bytes),
        };
        state.put(item);
        drop(state);
        self.more.notify_one();
        false
    }

    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.more.notify_one();
    }

    pub(super) fn close(&self, reason: Reason) {
        self.lock().closed.get_or_insert(reason);
        self.more.notify_one();
        self.ended.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// What the client sent, in order; then how that ended.
    pub(super) async fn next(&self) -> Next {
        loop {
            let more = self.more.notified();
            {
                let mut state = self.lock();
                state.busy = false;
                if let Some(error) = state.failed.take() {
                    return Next::Failed(error);
                }
                if let Some(item) = state.queue.pop_front() {
                    state.busy = true;
                    return Next::Item(item);
                }
                // What a burst needed is given back.
                state.queue = VecDeque::new();
                if state.closed.is_some() {
                    return Next::Closed;
                }
                if state.finished {
                    return Next::Finished;
                }
            }
            more.await;
        }
    }

    /// What has come and is not taken, at most so many pieces, without waiting.
    pub(super) fn take_data(&self, most: usize, out: &mut Vec<Bytes>) {
        let mut state = self.lock();
        while out.len() < most {
            match state.queue.pop_front() {
                Some(Item::Data(bytes)) => out.push(bytes),
                Some(other) => return state.queue.push_front(other),
                None => return,
            }
        }
    }

    /// When the client has closed the stream.
    pub(super) async fn closed(&self) -> Reason {
        loop {
            let ended = self.ended.notified();
            if let Some(reason) = self.lock().closed {
                return reason;
            }
            ended.await;
        }
    }

    /// So many more octets may be sent to the client.
    pub(super) fn widen(&self, octets: u32) {
        // Far from the end of the numbers even if a client does this all day.
        if self.window.fetch_add(u64::from(octets), Ordering::AcqRel) > u64::MAX / 2 {
            self.window.store(u64::MAX / 2, Ordering::Release);
        }
        self.widened.notify_one();
    }

    /// How many octets may be sent to the client; waits for one at least.
    pub(super) async fn room(&self) -> u64 {
        loop {
            let widened = self.widened.notified();
            let room = self.window.load(Ordering::Acquire);
            if room > 0 {
                return room;
            }
            widened.await;
        }
    }

    /// So many were sent.
    pub(super) fn used(&self, octets: usize) {
        self.window.fetch_sub(octets as u64, Ordering::AcqRel);
        self.octets_down.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(super) fn set_socket(&self, socket: Weak<TcpStream>) {
        // A stream has one socket.
        drop(self.socket.set(socket));
    }

    pub(super) fn socket(&self) -> Option<std::sync::Arc<TcpStream>> {
        self.socket.get().and_then(Weak::upgrade)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

impl Stream for Inbox {
    fn began(&self) -> Instant {
        self.began
    }

    fn moved(&self) -> (u64, u64) {
        (self.octets_up.load(Ordering::Relaxed), self.octets_down.load(Ordering::Relaxed))
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.close(Reason::NETWORK_ERROR);
    }
}
