//! AF_UNIX inside a host (unix(7)): streams, datagrams and sequenced packets, in pairs or by names. A name is a path or,
//! with a zero first, abstract. The path of a socket that is closed stays, as its file would, until unlink(2).
//!
//! Who may connect to whom is in `unix_names`, descriptors that travel in `rights`. Left out: credentials as ancillary
//! data, and the file itself (the shim's business).

use std::collections::VecDeque;

use bytes::Bytes;

use super::control::Control;
use super::data::{cut_to, joined};
use super::poll::{
    NEWS_ALL, NEWS_IN, NEWS_OUT, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND,
    POLLWRNORM,
};
use super::rights::Right;
use super::wait::{Attempt, Pending};
use super::{AF_UNIX, Body, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, Socket};
use crate::addr::SockAddr;
use crate::call::{Pid, Ret};
use crate::errno::{Cause, Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;

/// Linux `wmem_default`.
const BUFFER: usize = 212_992;
/// Linux `net.unix.max_dgram_qlen`: so many datagrams, and one more, may wait for a reader.
const MAX_DATAGRAMS: usize = 10;
const MSG_PEEK: i32 = 0x2;
const MSG_WAITALL: i32 = 0x100;
const MSG_TRUNC: i32 = 0x20;

/// An AF_UNIX socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unix {
    /// The other end of a connection; for datagrams where send(2) goes.
    pub(crate) peer: Option<SocketId>,
    /// It once had one.
    pub(crate) was_connected: bool,
    /// What bind(2), or the listener it comes from, called it.
    pub(super) name: Option<Vec<u8>>,
    /// The other end's name, which outlives it.
    pub(super) peer_name: Vec<u8>,
    pub(super) listener: Option<UnixListener>,
    /// Who is at the other end: `SO_PEERCRED`.
    pub(super) peer_pid: Option<Pid>,
    pub(super) queue: VecDeque<Message>,
    pub(crate) held: usize,
}

/// Connections that wait for accept(2).
#[derive(Clone, Debug, Default)]
pub(super) struct UnixListener {
    pub(super) backlog: usize,
    pub(super) queue: VecDeque<SocketId>,
    pub(super) pid: Option<Pid>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    data: Bytes,
    /// The sender's name, if it has one.
    from: Option<Vec<u8>>,
    /// The sender, who hears when it is read.
    by: SocketId,
    rights: Vec<Right>,
}

impl Unix {
    /// The octets that wait, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u8> + '_ {
        self.queue.iter().flat_map(|message| message.data.iter().copied())
    }

    /// The next octets of a stream, as one read would give them, and the rights that come with them.
    fn peek(&self, wanted: usize) -> (Bytes, Vec<Right>) {
        let mut data = Vec::new();
        for message in &self.queue {
            data.extend(message.data.iter().take(wanted - data.len()));
            if data.len() == wanted || !message.rights.is_empty() {
                return (data.into(), message.rights.clone());
            }
        }
        (data.into(), Vec::new())
    }

    /// What is on the way in its queue.
    pub(super) fn rights(&self) -> impl Iterator<Item = &Right> {
        self.queue.iter().flat_map(|message| &message.rights)
    }

    pub(super) fn take_rights(&mut self) -> Vec<Right> {
        self.queue.iter_mut().flat_map(|message| core::mem::take(&mut message.rights)).collect()
    }

    /// Connections that wait for accept(2).
    pub(super) fn unaccepted(&self) -> impl Iterator<Item = SocketId> + '_ {
        self.listener.iter().flat_map(|listener| listener.queue.iter().copied())
    }

    /// `FIONREAD`: octets that wait, or those of the first datagram.
    pub(crate) fn next_len(&self, datagrams: bool) -> usize {
        if datagrams { self.queue.front().map_or(0, |first| first.data.len()) } else { self.held }
    }

    pub(super) fn peer_pid(&self) -> Option<Pid> {
        self.peer_pid
    }

    pub(super) fn listens(&self) -> bool {
        self.listener.is_some()
    }

    fn is_full(&self) -> bool {
        self.queue.len() > MAX_DATAGRAMS
    }
}

impl Host {
    pub(crate) fn socket_pair(
        &mut self,
        pid: Pid,
        family: i32,
        kind: i32,
        protocol: i32,
    ) -> Result<Ret, Failure> {
        if family != AF_UNIX {
            return Err(if family == super::AF_INET { Errno::EOPNOTSUPP } else { Errno::EAFNOSUPPORT }.into());
        }
        if protocol != 0 && protocol != AF_UNIX {
            return Err(Errno::EPROTONOSUPPORT.into());
        }
        if !matches!(kind, SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET) {
            return Err(Errno::ESOCKTNOSUPPORT.into());
        }
        if !self.sockets.files.entry(pid).or_default().has_room(2) {
            return Err(Errno::EMFILE.into());
        }
        let unix = Unix { was_connected: true, peer_pid: Some(pid), ..Unix::default() };
        let make = || Socket::new(AF_UNIX, kind, 0, Body::Unix(Box::new(unix.clone())));
        let (a, b) = (self.sockets.insert(make()), self.sockets.insert(make()));
        self.set_unix_peer(a, Some(b));
        self.set_unix_peer(b, Some(a));
        match (self.open_fd(pid, a), self.open_fd(pid, b)) {
            (Some(a), Some(b)) => Ok(Ret::Pair(a, b)),
            _ => Err(Errno::EMFILE.into()),
        }
    }

    pub(super) fn set_unix_peer(&mut self, id: SocketId, peer: Option<SocketId>) {
        if let Some(unix) = self.unix_mut(id) {
            unix.peer = peer;
        }
    }

    pub(super) fn unix_mut(&mut self, id: SocketId) -> Option<&mut Unix> {
        match &mut self.sockets.get_mut(id)?.body {
            Body::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    pub(super) fn unix(&self, id: SocketId) -> Option<&Unix> {
        match &self.sockets.get(id)?.body {
            Body::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    pub(crate) fn send_unix(
        &mut self,
        id: SocketId,
        pending: &mut Pending,
        data: &Bytes,
        (to, control): (Option<&SockAddr>, &[Control]),
        blocking: bool,
    ) -> Attempt {
        // They go with the first octets.
        let control = if pending.taken == 0 { control } else { &[] };
        let rights = match self.rights(pending.pid, control) {
            Ok(rights) => rights,
            Err(errno) => return errno.into(),
        };
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        if socket.kind == SOCK_DGRAM {
            return self.send_unix_datagram(id, pending, data, to, rights);
        }
        let (stream, shut) = (socket.kind == SOCK_STREAM, socket.shut_write);
        let Some(unix) = self.unix(id) else { return Errno::EBADF.into() };
        // seqpacket does not look at the address.
        if stream && to.is_some() {
            return if unix.was_connected { Errno::EISCONN } else { Errno::EOPNOTSUPP }.into();
        }
        if !unix.was_connected {
            return Errno::ENOTCONN.into();
        }
        let reader = unix.peer.filter(|peer| self.sockets.get(*peer).is_some_and(|peer| !peer.shut_read));
        if shut || reader.is_none() {
            if pending.taken > 0 {
                return Ok(Ret::Len(pending.taken)).into();
            }
            if let Some((errno, cause)) =
                self.sockets.get_mut(id).filter(|_| !stream).and_then(|socket| socket.take_error())
            {
                return Attempt::Done(Err(Failure::Errno(errno, cause)));
            }
            return Attempt::Done(Err(Failure::Errno(Errno::EPIPE, Cause::ClosedByProgram)));
        }
        let name = unix.name.clone();
        let Some(peer) = reader else { return Errno::EPIPE.into() };
        let Some(unix) = self.unix(peer) else { return Errno::EPIPE.into() };
        let rest = data.slice(pending.taken.min(data.len())..);
        let room = BUFFER.saturating_sub(unix.held);
        if !stream && rest.len() > BUFFER {
            return Errno::EMSGSIZE.into();
        }
        let n = if stream { rest.len().min(room) } else { rest.len() };
        if n > room || n == 0 && !rest.is_empty() || !stream && unix.is_full() {
            return Attempt::again();
        }
        pending.taken += n;
        if n > 0 || !stream {
            if let Err(errno) = self.send_rights(pending.pid, peer, &rights) {
                return errno.into();
            }
            if let Some(unix) = self.unix_mut(peer) {
                unix.held += n;
                unix.queue.push_back(Message { data: rest.slice(..n), from: name, by: id, rights });
            }
            self.wake_for(peer, NEWS_IN);
        }
        if pending.taken >= data.len() || !blocking {
            Ok(Ret::Len(pending.taken)).into()
        } else {
            Attempt::again()
        }
    }

    /// Linux `unix_dgram_sendmsg`.
    fn send_unix_datagram(
        &mut self,
        id: SocketId,
        pending: &mut Pending,
        data: &Bytes,
        to: Option<&SockAddr>,
        rights: Vec<Right>,
    ) -> Attempt {
        let Some(socket) = self.sockets.get(id) else { return Errno::EBADF.into() };
        let shut = socket.shut_write;
        let Some(unix) = self.unix(id) else { return Errno::EBADF.into() };
        let name = unix.name.clone();
        let to = match to {
            Some(SockAddr::Unix(path)) => match self.unix_named(path, SOCK_DGRAM) {
                Ok(to) => to,
                Err(errno) => return errno.into(),
            },
            Some(SockAddr::Ip(_)) => return Errno::EINVAL.into(),
            None => match unix.peer {
                Some(peer) => peer,
                None if unix.was_connected => {
                    // Linux forgets a dead peer, and says so once.
                    if let Some(unix) = self.unix_mut(id) {
                        unix.was_connected = false;
                    }
                    return Errno::ECONNREFUSED.into();
                }
                None => return Errno::ENOTCONN.into(),
            },
        };
        if data.len() > BUFFER - 32 {
            return Errno::EMSGSIZE.into();
        }
        if shut {
            return Attempt::Done(Err(Failure::Errno(Errno::EPIPE, Cause::ClosedByProgram)));
        }
        let deaf = self.sockets.get(to).is_none_or(|to| to.shut_read);
        let Some(receiver) = self.unix(to) else { return Errno::ECONNREFUSED.into() };
        // Linux `unix_may_send`.
        if receiver.peer.is_some_and(|peer| peer != id) {
            return Errno::EPERM.into();
        }
        if deaf {
            return Attempt::Done(Err(Failure::Errno(Errno::EPIPE, Cause::ClosedByProgram)));
        }
        if receiver.is_full() && to != id {
            if !pending.sockets.contains(&to) {
                pending.sockets.push(to);
            }
            return Attempt::again();
        }
        if let Err(errno) = self.send_rights(pending.pid, to, &rights) {
            return errno.into();
        }
        if let Some(receiver) = self.unix_mut(to) {
            receiver.held += data.len();
            receiver.queue.push_back(Message { data: data.clone(), from: name, by: id, rights });
        }
        self.wake_for(to, NEWS_IN);
        Ok(Ret::Len(data.len())).into()
    }

    pub(crate) fn recv_unix(
        &mut self,
        id: SocketId,
        pending: &mut Pending,
        (len, room): (usize, Option<usize>),
        flags: i32,
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let (kind, shut) = (socket.kind, socket.shut_read);
        let stream = kind == SOCK_STREAM;
        let error = socket.error.as_deref().cloned();
        let Some(unix) = self.unix_mut(id) else { return Errno::EBADF.into() };
        if kind != SOCK_DGRAM && !unix.was_connected {
            return if stream { Errno::EINVAL } else { Errno::ENOTCONN }.into();
        }
        // Linux `unix_stream_read_generic`: the least to wait for is nothing, and that is there.
        if stream && len == 0 {
            return Ok(Ret::Data(Bytes::new(), None, 0)).into();
        }
        let peek = flags & MSG_PEEK != 0;
        let peer = unix.peer;
        if !stream {
            let was_full = unix.is_full();
            let message = if peek { unix.queue.front().cloned() } else { unix.queue.pop_front() };
            if let Some(message) = message {
                if !peek {
                    unix.held -= message.data.len();
                }
                if !peek && was_full {
                    self.wake(id);
                    self.wake_senders(id);
                }
                if !peek {
                    self.wake_for(message.by, NEWS_OUT);
                }
                let cut = if message.data.len() > len { MSG_TRUNC } else { 0 };
                let from = message.from.filter(|_| kind == SOCK_DGRAM).map(SockAddr::Unix);
                let answer = (cut_to(&message.data, len, flags), from, cut);
                return Ok(self.deliver_rights(pending.pid, answer, &message.rights, room, peek)).into();
            }
        }
        let so_far: usize = pending.read.iter().map(Bytes::len).sum();
        let mut wanted = len.saturating_sub(so_far);
        if stream && unix.held > 0 {
            if peek {
                let (data, rights) = unix.peek(wanted);
                return Ok(self.deliver_rights(pending.pid, (data, None, 0), &rights, room, true)).into();
            }
            let (mut emptied, mut rights) = (false, Vec::new());
            // No read goes beyond a message with rights.
            while wanted > 0 && rights.is_empty() {
                let Some(mut message) = unix.queue.pop_front() else { break };
                let data = message.data.split_to(message.data.len().min(wanted));
                rights = core::mem::take(&mut message.rights);
                match message.data.is_empty() {
                    true => emptied = true,
                    false => unix.queue.push_front(message),
                }
                unix.held -= data.len();
                wanted -= data.len();
                pending.read.push(data);
            }
            // Linux `unix_write_space`, for each buffer that is free again.
            if let Some(peer) = peer {
                self.wake_for(peer, if emptied { NEWS_OUT } else { 0 });
            }
            if !rights.is_empty() {
                let answer = (joined(pending), None, 0);
                return Ok(self.deliver_rights(pending.pid, answer, &rights, room, false)).into();
            }
        }
        let connected = kind != SOCK_DGRAM;
        let gone = peer.is_none_or(|peer| self.sockets.get(peer).is_none_or(|peer| peer.shut_write));
        let over = shut || connected && gone;
        let so_far: usize = pending.read.iter().map(Bytes::len).sum();
        if so_far > 0 {
            if flags & MSG_WAITALL == 0 || so_far >= len || over {
                return Ok(Ret::Data(joined(pending), None, 0)).into();
            }
            return Attempt::Wait(Ok(Ret::Data(pending.read.concat().into(), None, 0)));
        }
        if let Some((errno, cause)) = error {
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.error = None;
            }
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        // As with UDP, one who does not sleep does not hear of the end of datagrams.
        if over && (connected || pending.call.patience().is_none()) {
            Ok(Ret::Data(Bytes::new(), None, 0)).into()
        } else {
            Attempt::again()
        }
    }

    /// Those who send to `id` by connect(2) may go on.
    fn wake_senders(&mut self, id: SocketId) {
        let senders = self.sockets.iter().filter(|(_, socket)| match &socket.body {
            Body::Unix(unix) => unix.peer == Some(id),
            _ => false,
        });
        for sender in senders.map(|(sender, _)| sender).collect::<Vec<_>>() {
            self.wake_for(sender, NEWS_OUT);
        }
    }

    pub(crate) fn shutdown_unix(&mut self, id: SocketId, read: bool, write: bool) -> Result<Ret, Failure> {
        let datagrams = self.sockets.get(id).is_some_and(|socket| socket.kind == SOCK_DGRAM);
        let peer = self.unix(id).and_then(|unix| unix.peer);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.shut_read |= read;
            socket.shut_write |= write;
        }
        self.wake_for(id, NEWS_ALL);
        if let Some(peer) = peer.filter(|_| !datagrams) {
            if let Some(other) = self.sockets.get_mut(peer) {
                other.shut_write |= read;
                other.shut_read |= write;
            }
            self.wake_for(peer, NEWS_ALL);
        }
        // Unlike those of other families it never fails (Linux `unix_shutdown`).
        Ok(Ret::Unit)
    }

    /// The last holder is gone. Unread octets reset the other end, as in Linux, and so does a listener those whom it
    /// has not accepted.
    pub(crate) fn close_unix(&mut self, id: SocketId) {
        let Some(Socket { body: Body::Unix(unix), kind, .. }) = self.sockets.remove(id) else { return };
        if let Some(name) = unix.name.as_ref().filter(|name| name.starts_with(&[0])) {
            self.sockets.unix_names.remove(name);
        }
        for message in unix.queue {
            self.drop_rights(&message.rights);
        }
        for child in unix.listener.into_iter().flat_map(|listener| listener.queue) {
            let other = self.unix(child).and_then(|unix| unix.peer);
            self.close_unix(child);
            if let Some(other) = other.and_then(|other| self.sockets.get_mut(other)) {
                other.set_error(Errno::ECONNRESET, Cause::ClosedByProgram);
            }
        }
        if kind == SOCK_DGRAM {
            return self.forget_datagram_peer(id);
        }
        let Some(peer) = unix.peer else { return };
        self.set_unix_peer(peer, None);
        if let Some(other) = self.sockets.get_mut(peer) {
            other.shut_write = true;
            other.shut_read = true;
            if unix.held > 0 {
                other.set_error(Errno::ECONNRESET, Cause::ClosedByProgram);
            }
        }
        self.wake_for(peer, NEWS_ALL);
    }

    fn forget_datagram_peer(&mut self, id: SocketId) {
        self.wake_senders(id);
        let senders = self.sockets.iter().filter(|(_, socket)| match &socket.body {
            Body::Unix(unix) => unix.peer == Some(id),
            _ => false,
        });
        for sender in senders.map(|(sender, _)| sender).collect::<Vec<_>>() {
            self.set_unix_peer(sender, None);
        }
    }

    /// Linux `unix_poll` and `unix_dgram_poll`.
    pub(crate) fn unix_readiness(&self, socket: &Socket) -> u16 {
        let Body::Unix(unix) = &socket.body else { return 0 };
        let mut events = 0;
        if let Some(listener) = &unix.listener {
            return if listener.queue.is_empty() { 0 } else { POLLIN | POLLRDNORM };
        }
        if socket.shut_read {
            events |= POLLIN | POLLRDNORM | POLLRDHUP;
        }
        if !unix.queue.is_empty() {
            events |= POLLIN | POLLRDNORM;
        }
        let unconnected = socket.kind != SOCK_DGRAM && !unix.was_connected;
        if unconnected || socket.shut_read && socket.shut_write {
            events |= POLLHUP;
        }
        let peer = unix.peer.and_then(|peer| self.unix(peer));
        let held = peer.map_or(0, |peer| peer.held);
        let full = socket.kind == SOCK_DGRAM && peer.is_some_and(Unix::is_full);
        // Linux `unix_writable`: three quarters of the buffer are free.
        if held * 4 <= BUFFER && !full {
            events |= POLLOUT | POLLWRNORM | POLLWRBAND;
        }
        if socket.error.is_some() {
            events |= POLLERR;
        }
        events
    }

    /// getsockname(2), getpeername(2).
    pub(crate) fn unix_name(&self, id: SocketId, of_peer: bool) -> Result<Ret, Failure> {
        let unix = self.unix(id).ok_or(Errno::EBADF)?;
        if of_peer && !unix.was_connected {
            return Err(Errno::ENOTCONN.into());
        }
        let name = if of_peer { unix.peer_name.clone() } else { unix.name.clone().unwrap_or_default() };
        Ok(Ret::Addr(SockAddr::Unix(name)))
    }
}
