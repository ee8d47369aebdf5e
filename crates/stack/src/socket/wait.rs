//! Calls that sleep. A call is tried; if it cannot end yet it is kept with its deadline, and tried again whenever one
//! of the sockets it looks at changes.

use core::time::Duration;

use bytes::Bytes;

use super::poll::{POLLERR, POLLHUP, POLLIN, POLLOUT};
use crate::call::{Call, CallId, Outcome, Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::{Host, TimerKey};
use crate::time::Instant;

/// A call between its start and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) pid: Pid,
    pub(crate) call: Call,
    /// The sockets it looks at, found by their descriptors when it began.
    pub(crate) sockets: Vec<SocketId>,
    pub(crate) deadline: Option<Instant>,
    /// How long the socket's own options let it block (`SO_RCVTIMEO`, `SO_SNDTIMEO`, `SO_LINGER`), where the caller
    /// would wait for ever.
    pub(crate) limit: Option<Duration>,
    /// What it says when that is over: what it would have said if it did not wait.
    pub(crate) otherwise: Option<Failure>,
    /// It was tried before.
    pub(crate) started: bool,
    /// send(2): octets taken so far. recv(2) with `MSG_WAITALL`: octets read so far.
    pub(crate) taken: usize,
    pub(crate) read: Vec<Bytes>,
}

impl Pending {
    /// What it has done so far, if that is an answer.
    pub(crate) fn part(&self) -> Option<Ret> {
        if self.taken > 0 {
            return Some(Ret::Len(self.taken));
        }
        // A close(2) that lingers has closed.
        if let Call::Close { .. } = self.call {
            return Some(Ret::Unit);
        }
        let data = (!self.read.is_empty()).then(|| Ret::Data(self.read.concat().into(), None, 0));
        let message = matches!(self.call, Call::RecvMsg { .. });
        data.map(|data| if message { data.into_message() } else { data })
    }
}

/// How an attempt ended.
pub(crate) enum Attempt {
    Done(Result<Ret, Failure>),
    /// Not yet. A caller that does not want to block gets this.
    Wait(Result<Ret, Failure>),
}

impl Attempt {
    pub(crate) fn again() -> Attempt {
        Attempt::Wait(Err(Errno::EAGAIN.into()))
    }

    /// As recvmsg(2) is answered.
    pub(crate) fn into_message(self) -> Attempt {
        match self {
            Attempt::Done(result) => Attempt::Done(result.map(Ret::into_message)),
            Attempt::Wait(result) => Attempt::Wait(result.map(Ret::into_message)),
        }
    }
}

impl From<Result<Ret, Failure>> for Attempt {
    fn from(result: Result<Ret, Failure>) -> Attempt {
        Attempt::Done(result)
    }
}

impl From<Errno> for Attempt {
    fn from(errno: Errno) -> Attempt {
        Attempt::Done(Err(errno.into()))
    }
}

impl Call {
    /// How long it may block; none: for ever. Calls that never block: zero.
    pub(crate) fn patience(&self) -> Option<Duration> {
        const MSG_DONTWAIT: i32 = 0x40;
        match self {
            // With a time-out it is Python that waits, with poll(2), before it asks again.
            Call::Send { flags, timeout: None, .. }
            | Call::SendTo { flags, timeout: None, .. }
            | Call::SendMsg { flags, timeout: None, .. }
            | Call::Recv { flags, timeout: None, .. }
            | Call::RecvMsg { flags, timeout: None, .. }
                if flags & MSG_DONTWAIT != 0 =>
            {
                Some(Duration::ZERO)
            }
            Call::Accept { timeout, .. }
            | Call::Connect { timeout, .. }
            | Call::Send { timeout, .. }
            | Call::SendTo { timeout, .. }
            | Call::Recv { timeout, .. }
            | Call::SendMsg { timeout, .. }
            | Call::RecvMsg { timeout, .. }
            | Call::EpollWait { timeout, .. }
            | Call::Poll { timeout, .. } => *timeout,
            // Only one that lingers gets so far.
            Call::Close { .. } => None,
            _ => Some(Duration::ZERO),
        }
    }
}

impl Call {
    /// What a transfer with Python's time-out waits for before it is tried: CPython calls poll(2) first, so a call that
    /// would fail at once may time out instead.
    pub(crate) fn polls_for(&self) -> Option<u16> {
        let (events, timeout) = match self {
            Call::Accept { timeout, .. } | Call::Recv { timeout, .. } | Call::RecvMsg { timeout, .. } => {
                (POLLIN, timeout)
            }
            Call::Send { timeout, .. } | Call::SendTo { timeout, .. } | Call::SendMsg { timeout, .. } => {
                (POLLOUT, timeout)
            }
            _ => return None,
        };
        timeout.is_some_and(|timeout| !timeout.is_zero()).then_some(events | POLLERR | POLLHUP)
    }
}

impl Host {
    /// Tries a call for the first time, and keeps it if it has to wait.
    pub(crate) fn start_call(&mut self, now: Instant, id: CallId, mut pending: Pending) -> Outcome {
        let own = pending.call.patience();
        let patience = own.or(pending.limit);
        if own.is_some() {
            pending.limit = None;
        }
        match self.attempt(now, &mut pending) {
            Attempt::Done(result) => Outcome::Done(result),
            Attempt::Wait(result) if patience == Some(Duration::ZERO) => Outcome::Done(result),
            Attempt::Wait(result) => {
                pending.started = true;
                pending.otherwise = result.err().filter(|_| pending.limit.is_some());
                pending.deadline = patience.map(|patience| now + patience);
                if let Some(deadline) = pending.deadline {
                    self.timers.insert((deadline, TimerKey::Call(id)));
                }
                for socket in &pending.sockets {
                    if let Some(socket) = self.sockets.get_mut(*socket) {
                        socket.refs += 1;
                        socket.waiting.push(id);
                    }
                }
                self.waiters.insert(id, pending);
                Outcome::Blocked
            }
        }
    }

    /// Whether a call sleeps at a UDP socket with this local port.
    pub fn waits_for_datagram(&self, port: u16) -> bool {
        let holders = self.sockets.udp_ports.holders(port);
        holders.into_iter().any(|id| self.sockets.get(id).is_some_and(|socket| !socket.waiting.is_empty()))
    }

    /// Something about the socket changed: those who sleep there may go on.
    pub(crate) fn wake(&mut self, id: SocketId) {
        if self.sockets.get(id).is_some_and(|socket| !socket.waiting.is_empty())
            && !self.changed.contains(&id)
        {
            self.changed.push_back(id);
        }
    }

    /// Tries every call again that sleeps at the socket, in the order they came.
    pub(crate) fn retry_waiters(&mut self, now: Instant, socket: SocketId) {
        let waiting = self.sockets.get(socket).map(|socket| socket.waiting.to_vec()).unwrap_or_default();
        for id in waiting {
            let Some(mut pending) = self.waiters.remove(&id) else { continue };
            match self.attempt(now, &mut pending) {
                Attempt::Done(result) => {
                    self.forget(now, id, &pending);
                    self.completions.push_back((id, result));
                }
                Attempt::Wait(_) => {
                    self.waiters.insert(id, pending);
                }
            }
        }
    }

    /// The time a call could wait is over.
    pub(crate) fn call_timed_out(&mut self, now: Instant, id: CallId) {
        let Some(pending) = self.waiters.remove(&id) else { return };
        self.forget(now, id, &pending);
        let result = match (&pending.call, pending.part()) {
            (Call::Poll { .. } | Call::EpollWait { .. }, _) => Ok(Ret::Ready(Vec::new())),
            (_, Some(part)) => Ok(part),
            (_, None) => Err(pending.otherwise.unwrap_or(Failure::TimedOut)),
        };
        self.completions.push_back((id, result));
    }

    /// Takes a call off the lists it stands in.
    pub(crate) fn forget(&mut self, now: Instant, id: CallId, pending: &Pending) {
        if let Some(deadline) = pending.deadline {
            self.timers.remove(&(deadline, TimerKey::Call(id)));
        }
        for socket_id in &pending.sockets {
            if let Some(socket) = self.sockets.get_mut(*socket_id) {
                socket.waiting.retain(|waiting| *waiting != id);
                socket.waiting.settle();
            }
            self.unhold(now, *socket_id);
        }
    }
}
