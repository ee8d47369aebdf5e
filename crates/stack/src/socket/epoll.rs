//! epoll(7): objects that remember which descriptors a program wants to hear of, and which of those something has
//! happened to. An object is a file like a socket: it has descriptors, is copied by dup(2) and shared after fork(2),
//! and can be waited for itself.
//!
//! As in Linux's `fs/eventpoll.c` there are two halves. Whoever wakes a socket says what for (`wake_for`), and that
//! puts its entry on the list of those that may be ready; epoll_wait(2) walks the list, looks what is the case now, and
//! forgets an entry with `EPOLLET` until the next such wake-up. So an edge is an arrival, not a change of level.

use std::collections::{BTreeMap, VecDeque};

use super::poll::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM};
use super::wait::{Attempt, Pending};
use super::{Body, Socket};
use crate::call::{Fd, Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::time::Instant;

const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLWAKEUP: u32 = 1 << 29;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;
/// What is no event (Linux `EP_PRIVATE_BITS`).
const MODES: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;
/// What may stand beside `EPOLLEXCLUSIVE` (Linux `EPOLLEXCLUSIVE_OK_BITS`).
const EXCLUSIVE_WITH: u32 =
    (POLLIN | POLLOUT | POLLERR | POLLHUP) as u32 | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/// Objects may watch each other so deep (Linux `EP_MAX_NESTS`).
const MAX_NESTS: usize = 4;
/// `SOCK_*` has no number for it.
const NO_SOCKET: i32 = 0;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    /// A socket or another epoll object.
    File(SocketId),
    /// Standard input, output or error of a process.
    Standard(Pid),
}

/// An entry's name: Linux knows it by file and descriptor, too.
type Key = (Watched, Fd);

/// The body of an epoll object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epoll {
    entries: BTreeMap<Key, Entry>,
    /// Those that may be ready, the earliest first.
    ready: VecDeque<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Events and modes; with only modes it is spent (`EPOLLONESHOT`).
    events: u32,
    /// It stands in the list of those that may be ready.
    listed: bool,
}

impl Entry {
    /// The events that poll(2) knows.
    const fn asks(self) -> u16 {
        (self.events & !MODES & 0xffff) as u16
    }
}

impl Epoll {
    fn list(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key).filter(|entry| !entry.listed) {
            entry.listed = true;
            self.ready.push_back(key);
        }
    }

    fn remove(&mut self, key: Key) -> bool {
        self.ready.retain(|listed| *listed != key);
        self.entries.remove(&key).is_some()
    }
}

impl Host {
    pub(crate) fn epoll_create(&mut self, pid: Pid) -> Result<Ret, Failure> {
        if !self.sockets.files.entry(pid).or_default().has_room(1) {
            return Err(Errno::EMFILE.into());
        }
        let id = self.sockets.insert(Socket::new(0, NO_SOCKET, 0, Body::Epoll(Box::default())));
        self.open_fd(pid, id).map(Ret::Fd).ok_or(Errno::EMFILE.into())
    }

    fn epoll(&self, id: SocketId) -> Option<&Epoll> {
        match &self.sockets.get(id)?.body {
            Body::Epoll(epoll) => Some(epoll),
            _ => None,
        }
    }

    fn epoll_mut(&mut self, id: SocketId) -> Option<&mut Epoll> {
        match &mut self.sockets.get_mut(id)?.body {
            Body::Epoll(epoll) => Some(epoll),
            _ => None,
        }
    }

    /// epoll_ctl(2), in the order of Linux `do_epoll_ctl`.
    pub(crate) fn epoll_control(
        &mut self,
        pid: Pid,
        id: SocketId,
        op: i32,
        fd: Fd,
        events: u32,
    ) -> Result<Ret, Failure> {
        const ADD: i32 = 1;
        const DELETE: i32 = 2;
        const MODIFY: i32 = 3;
        let watched = match fd.0 {
            0..=2 => Watched::Standard(pid),
            _ => Watched::File(self.socket_of(pid, fd).ok_or(Errno::EBADF)?),
        };
        let other = match watched {
            Watched::File(other) if self.epoll(other).is_some() => Some(other),
            _ => None,
        };
        if self.epoll(id).is_none() || other == Some(id) {
            return Err(Errno::EINVAL.into());
        }
        let exclusive = events & EPOLLEXCLUSIVE != 0;
        let cannot = op == MODIFY || op == ADD && (other.is_some() || events & !EXCLUSIVE_WITH != 0);
        if exclusive && cannot {
            return Err(Errno::EINVAL.into());
        }
        if let Some(other) = other.filter(|_| op == ADD) {
            let above = self.nesting_above(id, MAX_NESTS + 1);
            if self.reaches(other, id) || above + self.nesting_below(other, MAX_NESTS + 1) > MAX_NESTS {
                return Err(Errno::ELOOP.into());
            }
        }
        let key = (watched, fd);
        let known = self.epoll(id).and_then(|epoll| epoll.entries.get(&key)).copied();
        let events = events | u32::from(POLLERR | POLLHUP);
        match (op, known) {
            (ADD, Some(_)) => return Err(Errno::EEXIST.into()),
            (ADD, None) => self.watch(id, key, Entry { events, listed: false }),
            (DELETE | MODIFY, None) => return Err(Errno::ENOENT.into()),
            (DELETE, Some(_)) => {
                if let Some(epoll) = self.epoll_mut(id) {
                    epoll.remove(key);
                }
                if let Some(watchers) = self.watchers_mut(watched) {
                    watchers.retain(|watcher| *watcher != (id, fd));
                }
                return Ok(Ret::Unit);
            }
            (MODIFY, Some(entry)) if entry.events & EPOLLEXCLUSIVE != 0 => return Err(Errno::EINVAL.into()),
            (MODIFY, Some(_)) => {
                if let Some(entry) = self.epoll_mut(id).and_then(|epoll| epoll.entries.get_mut(&key)) {
                    entry.events = events;
                }
            }
            _ => return Err(Errno::EINVAL.into()),
        }
        // What is the case already counts as news.
        if self.look_at(watched, fd) & (Entry { events, listed: false }).asks() != 0 {
            if let Some(epoll) = self.epoll_mut(id) {
                epoll.list(key);
            }
            self.wake_for(id, POLLIN | POLLRDNORM);
        }
        Ok(Ret::Unit)
    }

    fn watch(&mut self, id: SocketId, key: Key, entry: Entry) {
        if let Some(epoll) = self.epoll_mut(id) {
            epoll.entries.insert(key, entry);
        }
        // Linux `add_wait_queue`: the newest is woken first, but those with EPOLLEXCLUSIVE after all others.
        if let Some(watchers) = self.watchers_mut(key.0) {
            let place = if entry.events & EPOLLEXCLUSIVE != 0 { watchers.len() } else { 0 };
            watchers.insert(place, (id, key.1));
        }
    }

    /// Who watches a file: epoll objects, each with the descriptor it knows it by.
    fn watchers(&self, watched: Watched) -> &[(SocketId, Fd)] {
        match watched {
            Watched::File(id) => self.sockets.get(id).map_or(&[], |socket| &socket.watchers),
            Watched::Standard(pid) => self.sockets.files.get(&pid).map_or(&[], |files| &files.watchers),
        }
    }

    fn watchers_mut(&mut self, watched: Watched) -> Option<&mut Vec<(SocketId, Fd)>> {
        match watched {
            Watched::File(id) => self.sockets.get_mut(id).map(|socket| &mut *socket.watchers),
            Watched::Standard(pid) => self.sockets.files.get_mut(&pid).map(|files| &mut files.watchers),
        }
    }

    /// A file is closed for good: it leaves all sets by itself (epoll(7), questions 6 and 7).
    pub(crate) fn forget_watched(&mut self, watched: Watched) {
        if self.watchers(watched).is_empty() {
            return;
        }
        let watchers = self.watchers_mut(watched).map(core::mem::take).unwrap_or_default();
        for (id, fd) in watchers {
            if let Some(epoll) = self.epoll_mut(id) {
                epoll.remove((watched, fd));
            }
        }
    }

    /// The last holder of an epoll object is gone.
    pub(crate) fn close_epoll(&mut self, id: SocketId) {
        let Some(Socket { body: Body::Epoll(epoll), .. }) = self.sockets.remove(id) else { return };
        for (watched, _) in epoll.entries.into_keys() {
            if let Some(watchers) = self.watchers_mut(watched) {
                watchers.retain(|(watcher, _)| *watcher != id);
            }
        }
    }

    /// Whether `from` watches `to`, perhaps through others.
    fn reaches(&self, from: SocketId, to: SocketId) -> bool {
        from == to || self.watched_epolls(from).any(|next| self.reaches(next, to))
    }

    fn watched_epolls(&self, id: SocketId) -> impl Iterator<Item = SocketId> + '_ {
        let keys = self.epoll(id).into_iter().flat_map(|epoll| epoll.entries.keys());
        keys.filter_map(|(watched, _)| match watched {
            Watched::File(other) if self.epoll(*other).is_some() => Some(*other),
            _ => None,
        })
    }

    /// How many objects stand one above the other, from `id` upwards or downwards; at most `limit`.
    fn nesting_below(&self, id: SocketId, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        1 + self.watched_epolls(id).map(|next| self.nesting_below(next, limit - 1)).max().unwrap_or(0)
    }

    fn nesting_above(&self, id: SocketId, limit: usize) -> usize {
        let watchers = self.watchers(Watched::File(id));
        if limit == 0 {
            return 0;
        }
        1 + watchers.iter().map(|(next, _)| self.nesting_above(*next, limit - 1)).max().unwrap_or(0)
    }

    /// Something about the socket changed, and these events may be news of it: those who sleep there may go on, and
    /// those who watch it hear of it.
    pub(crate) fn wake_for(&mut self, id: SocketId, news: u16) {
        self.wake(id);
        self.mark(Watched::File(id), news);
    }

    /// Linux `ep_poll_callback`, for each entry about the file.
    fn mark(&mut self, watched: Watched, news: u16) {
        let watchers = self.watchers(watched).to_vec();
        for (id, fd) in watchers {
            let asleep = self.sockets.get(id).is_some_and(|epoll| !epoll.waiting.is_empty());
            let Some(epoll) = self.epoll_mut(id) else { continue };
            let key = (watched, fd);
            let Some(entry) = epoll.entries.get(&key).filter(|entry| entry.asks() & news != 0) else {
                continue;
            };
            let exclusive = entry.events & EPOLLEXCLUSIVE != 0;
            epoll.list(key);
            self.wake_for(id, POLLIN | POLLRDNORM);
            // One that somebody sleeps at is enough.
            if exclusive && asleep {
                break;
            }
        }
    }

    /// What poll(2) says of the file. Remembers that somebody wants to hear when there is room again.
    fn look_at(&mut self, watched: Watched, fd: Fd) -> u16 {
        match watched {
            Watched::File(id) => self.poll_file(id),
            Watched::Standard(pid) if fd.0 == 0 => {
                let input = self.sockets.files.get(&pid).is_some_and(|files| files.input);
                if input { POLLIN } else { 0 }
            }
            Watched::Standard(_) => POLLOUT,
        }
    }

    /// Whether a process can read its standard input without waiting. More input is news each time.
    pub fn set_input(&mut self, now: Instant, pid: Pid, input: bool) {
        self.clock = now;
        self.sockets.files.entry(pid).or_default().input = input;
        if input {
            self.mark(Watched::Standard(pid), POLLIN | POLLRDNORM);
        }
        self.settle(now);
    }

    /// poll(2) of an epoll object.
    pub(crate) fn epoll_readiness(&self, epoll: &Epoll) -> u16 {
        let ready = |key: &Key| {
            let asks = epoll.entries.get(key).map_or(0, |entry| entry.asks());
            let found = match *key {
                (Watched::File(id), _) => self.readiness(id),
                (Watched::Standard(pid), Fd(0)) => {
                    self.sockets.files.get(&pid).map_or(0, |files| if files.input { POLLIN } else { 0 })
                }
                (Watched::Standard(_), _) => POLLOUT,
            };
            found & asks != 0
        };
        if epoll.ready.iter().any(ready) { POLLIN | POLLRDNORM } else { 0 }
    }

    /// epoll_wait(2) (Linux `ep_send_events`).
    pub(crate) fn try_epoll_wait(&mut self, pending: &Pending, most: usize) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        let Some(epoll) = self.epoll_mut(id) else { return Errno::EINVAL.into() };
        let mut left = core::mem::take(&mut epoll.ready);
        let (mut told, mut level) = (Vec::new(), VecDeque::new());
        while told.len() < most {
            let Some(key) = left.pop_front() else { break };
            let found = self.look_at(key.0, key.1);
            let Some(entry) = self.epoll_mut(id).and_then(|epoll| epoll.entries.get_mut(&key)) else {
                continue;
            };
            entry.listed = false;
            let events = found & entry.asks();
            if events == 0 {
                continue;
            }
            told.push((key.1, events));
            if entry.events & EPOLLONESHOT != 0 {
                entry.events &= MODES;
            } else if entry.events & EPOLLET == 0 {
                entry.listed = true;
                level.push_back(key);
            }
        }
        left.append(&mut level);
        if let Some(epoll) = self.epoll_mut(id) {
            epoll.ready = left;
        }
        if told.is_empty() { Attempt::Wait(Ok(Ret::Ready(told))) } else { Ok(Ret::Ready(told)).into() }
    }
}
