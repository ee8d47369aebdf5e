//! epoll(7), played by the interpreter on the host's poll(2): interest lists, one-shot and edge-triggered reports.

use std::collections::BTreeMap;

use socketlab_stack::{Fd, SocketSnapshot};

/// `EPOLLONESHOT`.
const ONE_SHOT: i64 = 1 << 30;
/// `EPOLLET`.
const EDGE: i64 = 1 << 31;
/// Errors and hang-ups are reported unasked.
const ALWAYS: i64 = 0x18;
/// What poll(2) knows.
const EVENTS: i64 = 0xffff;

/// One interest list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epoll {
    watched: BTreeMap<i64, Watch>,
}

/// One descriptor on it.
#[derive(Clone, Debug)]
struct Watch {
    host: Fd,
    events: i64,
    /// What the socket was like when it was last reported (edge-triggered).
    seen: Option<Stamp>,
    now: Stamp,
    /// What was ready then.
    ready: i64,
}

/// What makes a new edge: more octets have come, or another state.
type Stamp = (u64, String);

impl Epoll {
    /// epoll_ctl(2). An errno's symbol if it cannot be.
    pub(crate) fn control(
        &mut self,
        operation: i64,
        fd: i64,
        host: Fd,
        events: i64,
    ) -> Result<(), &'static str> {
        let watch = Watch { host, events, seen: None, now: (0, String::new()), ready: 0 };
        match (operation, self.watched.contains_key(&fd)) {
            (1, true) => return Err("EEXIST"),
            (2 | 3, false) => return Err("ENOENT"),
            (1 | 3, _) => _ = self.watched.insert(fd, watch),
            (2, true) => _ = self.watched.remove(&fd),
            _ => return Err("EINVAL"),
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self, fd: i64) {
        self.watched.remove(&fd);
    }

    /// What to poll(2) for, as the sockets are now.
    pub(crate) fn questions(&mut self, sockets: &[SocketSnapshot]) -> Vec<(Fd, u16)> {
        for watch in self.watched.values_mut() {
            let socket = sockets.iter().find(|s| s.owners.iter().any(|(_, fd)| *fd == watch.host));
            watch.now = socket.map_or((0, String::new()), |s| {
                let received = s.tcb.as_ref().map_or(0, |tcb| tcb.bytes_received);
                (received + s.recv_queue as u64 * u64::from(s.tcb.is_none()), format!("{:?}", s.state))
            });
        }
        let asked = |watch: &Watch| (watch.host, u16::try_from(watch.events & EVENTS).unwrap_or(0));
        self.watched.values().filter(|watch| watch.events & EVENTS != 0).map(asked).collect()
    }

    /// What epoll_wait(2) reports of what poll(2) found: descriptor and events.
    pub(crate) fn report(&mut self, ready: &[(Fd, u16)], most: usize) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        for (fd, watch) in &mut self.watched {
            let events = ready
                .iter()
                .find(|(host, _)| *host == watch.host)
                .map_or(0, |(_, events)| i64::from(*events));
            let events = events & (watch.events & EVENTS | ALWAYS);
            let edge = watch.seen.as_ref() != Some(&watch.now) || events & !watch.ready != 0;
            watch.ready &= events;
            if events == 0 || found.len() >= most || watch.events & EDGE != 0 && !edge {
                continue;
            }
            watch.seen = Some(watch.now.clone());
            watch.ready = events;
            if watch.events & ONE_SHOT != 0 {
                watch.events = 0;
            }
            found.push((*fd, events));
        }
        found
    }
}
