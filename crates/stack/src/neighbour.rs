//! The neighbour table: which MAC address a neighbour on a link has, how sure we are of it, and packets that wait for
//! the answer (RFC 1122 2.3.2.2, RFC 4861 7.3). One table for ARP and for IPv6 neighbour discovery, with the states
//! and times of Linux's `neighbour.c`; what a question or an answer looks like is `arp`'s and `ndp`'s business.
//!
//! Entries are never thrown away: Linux does so above 128 (`gc_thresh1`).

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::addr::MacAddr;
use crate::event::IfaceId;
use crate::rng;
use crate::snapshot::NeighbourState;
use crate::time::Instant;

/// Linux `mcast_solicit` and `ucast_solicit`; RFC 4861 10 `MAX_MULTICAST_SOLICIT`, `MAX_UNICAST_SOLICIT`.
const TRIES: u32 = 3;
/// Linux `retrans_time_ms`: one question a second (RFC 1122 2.3.2.1, RFC 4861 10 `RETRANS_TIMER`).
const INTERVAL: Duration = Duration::from_secs(1);
/// Linux `delay_first_probe_time`, RFC 4861 10 `DELAY_FIRST_PROBE_TIME`.
const DELAY: Duration = Duration::from_secs(5);
/// Linux `base_reachable_time_ms`, RFC 4861 10 `REACHABLE_TIME`; a link's own time is between half and one and a half
/// of it (RFC 4861 6.3.2).
const BASE_REACHABLE_MS: u64 = 30_000;
/// Linux `locktime`: so soon after an answer another one does not replace it.
const LOCK: Duration = Duration::from_secs(1);
/// Linux `unres_qlen_bytes`: so many octets of memory may wait for one neighbour.
const QUEUE: usize = 212_992;

/// An interface and a neighbour on its link.
pub(crate) type Key = (IfaceId, IpAddr);

/// One neighbour.
#[derive(Clone, Debug)]
struct Entry {
    state: NeighbourState,
    mac: Option<MacAddr>,
    /// Something proved that it is there (Linux `confirmed`).
    confirmed: Instant,
    /// The address was set (Linux `updated`).
    updated: Instant,
    /// Questions asked in this state, and our address in them.
    tries: u32,
    source: IpAddr,
    /// When the state's timer runs out.
    next: Option<Instant>,
    /// Frames without a destination address, with their cost.
    waiting: VecDeque<Vec<u8>>,
    held: usize,
}

/// A question to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) key: Key,
    /// Our address.
    pub(crate) source: IpAddr,
    /// Known: only that neighbour is asked whether it is still there.
    pub(crate) mac: Option<MacAddr>,
}

/// What to do with a frame for a neighbour.
pub(crate) enum Resolved {
    /// Send it to this address.
    To(MacAddr, Vec<u8>),
    /// It waits; ask now if told so.
    Waits(Option<Ask>),
}

/// What the neighbour table's timer brought up.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) ask: Vec<Ask>,
    /// Frames whose neighbour never answered.
    pub(crate) failed: Vec<(IpAddr, Vec<u8>)>,
}

/// What a message says about a neighbour (Linux `neigh_update`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// Its address, if the message has one.
    pub(crate) mac: Option<MacAddr>,
    /// It answered us: the way there works. Otherwise it only spoke.
    pub(crate) answered: bool,
    /// May replace another address.
    pub(crate) overrides: bool,
    /// If it may not: another address makes the old one doubtful (RFC 4861 7.2.5).
    pub(crate) casts_doubt: bool,
    /// It spoke to us, so remember it even if we never asked.
    pub(crate) create: bool,
}

/// All neighbours of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours {
    table: BTreeMap<Key, Entry>,
    due: BTreeSet<(Instant, Key)>,
    seed: u64,
}

impl Entry {
    /// Nothing is known, and nobody has asked.
    fn unknown(now: Instant, source: IpAddr) -> Entry {
        Entry {
            state: NeighbourState::Failed,
            mac: None,
            confirmed: now,
            updated: now,
            tries: 0,
            source,
            next: None,
            waiting: VecDeque::new(),
            held: 0,
        }
    }

    /// The state, with the silent change from REACHABLE to STALE.
    fn state_at(&self, now: Instant, reachable: Duration) -> NeighbourState {
        match self.state {
            NeighbourState::Reachable if now > self.confirmed + reachable => NeighbourState::Stale,
            state => state,
        }
    }
}

/// Memory that a frame takes in a queue: Linux `truesize`.
fn cost(frame: &[u8]) -> usize {
    (frame.len() + 320).next_power_of_two().max(512) + 256
}

impl Neighbours {
    pub(crate) fn new(seed: u64) -> Neighbours {
        Neighbours { seed, ..Neighbours::default() }
    }

    /// Neighbours with their addresses and states, by interface and address.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = (Key, Option<MacAddr>, NeighbourState)> {
        self.table.iter().map(move |(key, entry)| {
            let state = entry.state_at(now, self.reachable_time(*key));
            (*key, entry.mac.filter(|_| state != NeighbourState::Failed), state)
        })
    }

    fn reachable_time(&self, key: Key) -> Duration {
        let family = u64::from(key.1.is_ipv6());
        let spread = rng::hash(self.seed, &[key.0.0 as u64, family]) % BASE_REACHABLE_MS;
        Duration::from_millis(BASE_REACHABLE_MS / 2 + spread)
    }

    fn set_timer(&mut self, key: Key, next: Option<Instant>) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        if let Some(old) = core::mem::replace(&mut entry.next, next) {
            self.due.remove(&(old, key));
        }
        if let Some(next) = next {
            self.due.insert((next, key));
        }
    }

    /// Finds the address for `frame`, or keeps it until an answer comes.
    pub(crate) fn resolve(&mut self, now: Instant, key: Key, source: IpAddr, frame: Vec<u8>) -> Resolved {
        let reachable = self.reachable_time(key);
        let entry = self.table.entry(key).or_insert_with(|| Entry::unknown(now, source));
        let state = entry.state_at(now, reachable);
        match (state, entry.mac) {
            (NeighbourState::Reachable | NeighbourState::Delay | NeighbourState::Probe, Some(mac)) => {
                Resolved::To(mac, frame)
            }
            (NeighbourState::Stale, Some(mac)) => {
                // RFC 4861 7.3.3: used, so it had better be true; upper layers have some time to tell.
                entry.state = NeighbourState::Delay;
                entry.source = source;
                self.set_timer(key, Some(now + DELAY));
                Resolved::To(mac, frame)
            }
            _ => {
                entry.held += cost(&frame);
                entry.waiting.push_back(frame);
                while entry.held > QUEUE && entry.waiting.len() > 1 {
                    entry.held -= entry.waiting.pop_front().map_or(0, |old| cost(&old));
                }
                if state == NeighbourState::Incomplete {
                    return Resolved::Waits(None);
                }
                entry.state = NeighbourState::Incomplete;
                (entry.mac, entry.tries, entry.source) = (None, 1, source);
                self.set_timer(key, Some(now + INTERVAL));
                Resolved::Waits(Some(Ask { key, source, mac: None }))
            }
        }
    }

    /// A neighbour told something about itself. Returns its address and the frames that waited for it.
    pub(crate) fn learn(&mut self, now: Instant, key: Key, news: News) -> Option<(MacAddr, Vec<Vec<u8>>)> {
        let reachable = self.reachable_time(key);
        if news.create {
            let source = crate::addr::unspecified(key.1);
            self.table.entry(key).or_insert_with(|| Entry::unknown(now, source));
        }
        let entry = self.table.get_mut(&key)?;
        let old = entry.state_at(now, reachable);
        let valid = !matches!(old, NeighbourState::Incomplete | NeighbourState::Failed);
        let known = entry.mac.filter(|_| valid);
        let mac = news.mac.or(known)?;
        let same = known == Some(mac);
        let mut new = if news.answered { NeighbourState::Reachable } else { NeighbourState::Stale };
        let mut mac = mac;
        if valid && !same && !news.overrides {
            // RFC 4861 7.2.5, and Linux's `NEIGH_UPDATE_F_WEAK_OVERRIDE`.
            if !news.casts_doubt || old != NeighbourState::Reachable {
                return None;
            }
            mac = known?;
            new = NeighbourState::Stale;
        } else if valid && same && new == NeighbourState::Stale {
            new = old;
        }
        if !same {
            entry.updated = now;
        }
        if new == NeighbourState::Reachable {
            entry.confirmed = now;
        }
        let keeps_timer = new == old && matches!(new, NeighbourState::Delay | NeighbourState::Probe);
        (entry.mac, entry.state) = (Some(mac), new);
        entry.held = 0;
        let waiting = core::mem::take(&mut entry.waiting).into();
        if !keeps_timer {
            self.set_timer(key, None);
        }
        Some((mac, waiting))
    }

    /// Whether the address was set so long ago that an answer may replace it (ARP only).
    pub(crate) fn may_replace(&self, now: Instant, key: Key) -> bool {
        self.table.get(&key).is_some_and(|entry| now > entry.updated + LOCK)
    }

    /// An upper layer knows that packets reach the neighbour (RFC 4861 7.3.1).
    pub(crate) fn confirm(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.table.get_mut(&key) else { return };
        if entry.mac.is_none() {
            return;
        }
        entry.confirmed = now;
        if matches!(entry.state, NeighbourState::Delay | NeighbourState::Probe | NeighbourState::Stale) {
            entry.state = NeighbourState::Reachable;
            self.set_timer(key, None);
        }
    }

    /// The earliest moment at which a question is asked again, or given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Runs what is due.
    pub(crate) fn on_timer(&mut self, now: Instant) -> Due {
        let mut found = Due::default();
        while let Some((_, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            let Some(entry) = self.table.get_mut(&key) else { break };
            let mut next = Some(now + INTERVAL);
            let (source, mac) = (entry.source, entry.mac);
            match entry.state {
                NeighbourState::Delay => {
                    (entry.state, entry.tries) = (NeighbourState::Probe, 1);
                    found.ask.push(Ask { key, source, mac });
                }
                NeighbourState::Incomplete | NeighbourState::Probe if entry.tries < TRIES => {
                    entry.tries += 1;
                    let mac = mac.filter(|_| entry.state == NeighbourState::Probe);
                    found.ask.push(Ask { key, source, mac });
                }
                _ => {
                    entry.state = NeighbourState::Failed;
                    entry.held = 0;
                    found.failed.extend(entry.waiting.drain(..).map(|frame| (key.1, frame)));
                    next = None;
                }
            }
            self.set_timer(key, next);
        }
        found
    }
}
