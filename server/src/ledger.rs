//! The streams that are open, for a teacher: who has them, where they lead, how much they move; and the means to end one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use serde::Serialize;
use tokio::time::Instant;

/// Why a stream ends that a teacher ends.
pub(crate) const CUT: &str = "a teacher closed this connection";

/// Rows of one answer, the youngest first. A choice: more than a class has, 200 KB; the answer tells how many there are.
const MOST_ROWS: usize = 1000;

/// An open stream, to a teacher.
pub(crate) trait Stream: Send + Sync + std::fmt::Debug {
    /// When it began.
    fn began(&self) -> Instant;
    /// Octets moved so far: to the target, and from it.
    fn moved(&self) -> (u64, u64);
    /// Ends it.
    fn cut(&self);
}

/// All open streams, by number.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    last: u64,
    open: BTreeMap<u64, Entry>,
}

/// What is known of a stream when it begins.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name that the settings give to the client's class code.
    pub(crate) who: String,
    /// Where the client is.
    pub(crate) peer: IpAddr,
    /// Its WebSocket's number.
    pub(crate) session: u64,
    /// `tcp`, `udp`, `wsproxy`, or `tcp-accepted` if the target came to a port of the client's.
    pub(crate) kind: &'static str,
    /// The target as the client named it.
    pub(crate) host: String,
    /// Where that is.
    pub(crate) to: SocketAddr,
    pub(crate) stream: Weak<dyn Stream>,
}

/// Keeps an entry in the ledger.
#[derive(Debug)]
pub(crate) struct Listed {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.ledger.lock().open.remove(&self.number);
    }
}

/// An answer to a teacher.
#[derive(Debug, Serialize)]
pub(crate) struct Streams {
    /// How many are open; `streams` has the youngest of them.
    total: usize,
    streams: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: u64,
    who: String,
    address: IpAddr,
    session: u64,
    kind: &'static str,
    host: String,
    target: SocketAddr,
    octets_up: u64,
    octets_down: u64,
    age_ms: u64,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a stream, until the result is dropped.
    pub(crate) fn enter(self: &Arc<Self>, entry: Entry) -> Listed {
        let mut book = self.lock();
        book.last += 1;
        let number = book.last;
        book.open.insert(number, entry);
        Listed { ledger: Arc::clone(self), number }
    }

    /// What is open now.
    pub(crate) fn streams(&self) -> Streams {
        let book = self.lock();
        let rows = book.open.iter().rev().take(MOST_ROWS).filter_map(|(id, entry)| {
            let stream = entry.stream.upgrade()?;
            let (octets_up, octets_down) = stream.moved();
            Some(Row {
                id: *id,
                who: entry.who.clone(),
                address: entry.peer,
                session: entry.session,
                kind: entry.kind,
                host: entry.host.clone(),
                target: entry.to,
                octets_up,
                octets_down,
                age_ms: u64::try_from(stream.began().elapsed().as_millis()).unwrap_or(u64::MAX),
            })
        });
        Streams { streams: rows.collect(), total: book.open.len() }
    }

    /// Ends a stream. `false`: there is none of this number (any more).
    pub(crate) fn cut(&self, number: u64) -> bool {
        let stream = self.lock().open.get(&number).and_then(|entry| entry.stream.upgrade());
        stream.is_some_and(|stream| {
            stream.cut();
            true
        })
    }
}
