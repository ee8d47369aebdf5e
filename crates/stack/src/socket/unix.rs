//! AF_UNIX: stream pairs of socketpair(2), which programs use to wake a sleeping thread. Names in the file system are
//! left out for now.

use bytes::Bytes;

use super::data::joined;
use super::poll::{POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM};
use super::wait::{Attempt, Pending};
use super::{AF_UNIX, Body, SOCK_DGRAM, SOCK_STREAM, Socket};
use crate::addr::SockAddr;
use crate::call::{Pid, Ret};
use crate::errno::{Cause, Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use std::collections::VecDeque;

/// Linux `wmem_default`.
const BUFFER: usize = 212_992;
const MSG_PEEK: i32 = 0x2;
const MSG_WAITALL: i32 = 0x100;
const MSG_TRUNC: i32 = 0x20;

/// One end of a pair, or a socket that has no other end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unix {
    pub(crate) peer: Option<SocketId>,
    /// It once had one.
    pub(crate) was_connected: bool,
    pub(crate) queue: VecDeque<Bytes>,
    pub(crate) held: usize,
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
        if kind != SOCK_STREAM && kind != SOCK_DGRAM {
            return Err(Errno::ESOCKTNOSUPPORT.into());
        }
        if !self.sockets.files.entry(pid).or_default().has_room(2) {
            return Err(Errno::EMFILE.into());
        }
        let make =
            || Socket::new(AF_UNIX, kind, 0, Body::Unix(Unix { was_connected: true, ..Unix::default() }));
        let (a, b) = (self.sockets.insert(make()), self.sockets.insert(make()));
        self.set_unix_peer(a, Some(b));
        self.set_unix_peer(b, Some(a));
        match (self.open_fd(pid, a), self.open_fd(pid, b)) {
            (Some(a), Some(b)) => Ok(Ret::Pair(a, b)),
            _ => Err(Errno::EMFILE.into()),
        }
    }

    fn set_unix_peer(&mut self, id: SocketId, peer: Option<SocketId>) {
        if let Some(unix) = self.unix_mut(id) {
            unix.peer = peer;
        }
    }

    fn unix_mut(&mut self, id: SocketId) -> Option<&mut Unix> {
        match &mut self.sockets.get_mut(id)?.body {
            Body::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    fn unix(&self, id: SocketId) -> Option<&Unix> {
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
        blocking: bool,
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let (stream, shut) = (socket.kind == SOCK_STREAM, socket.shut_write);
        if let Some((errno, cause)) = socket.error.take() {
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        let Some(unix) = self.unix(id) else { return Errno::EBADF.into() };
        if !unix.was_connected {
            return Errno::ENOTCONN.into();
        }
        let reader = unix.peer.filter(|peer| self.sockets.get(*peer).is_some_and(|peer| !peer.shut_read));
        if shut || reader.is_none() {
            if pending.taken > 0 {
                return Ok(Ret::Len(pending.taken)).into();
            }
            let errno = if stream || shut { Errno::EPIPE } else { Errno::ECONNREFUSED };
            return Attempt::Done(Err(Failure::Errno(errno, Cause::ClosedByProgram)));
        }
        let Some(unix) = reader.and_then(|peer| self.unix_mut(peer)) else { return Errno::EPIPE.into() };
        let rest = data.slice(pending.taken.min(data.len())..);
        let room = BUFFER.saturating_sub(unix.held);
        let n = if stream { rest.len().min(room) } else { rest.len() };
        if !stream && n > BUFFER {
            return Errno::EMSGSIZE.into();
        }
        if n > room || n == 0 && !rest.is_empty() {
            return Attempt::again();
        }
        if n > 0 || !stream {
            unix.held += n;
            unix.queue.push_back(rest.slice(..n));
        }
        pending.taken += n;
        if let Some(peer) = reader {
            self.wake(peer);
        }
        if pending.taken >= data.len() || !blocking {
            Ok(Ret::Len(pending.taken)).into()
        } else {
            Attempt::again()
        }
    }

    pub(crate) fn recv_unix(
        &mut self,
        id: SocketId,
        pending: &mut Pending,
        len: usize,
        flags: i32,
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let (stream, shut) = (socket.kind == SOCK_STREAM, socket.shut_read);
        let error = socket.error.clone();
        let Some(unix) = self.unix_mut(id) else { return Errno::EBADF.into() };
        if stream && !unix.was_connected {
            return Errno::EINVAL.into();
        }
        let peek = flags & MSG_PEEK != 0;
        let peer = unix.peer;
        if !stream {
            let message = if peek { unix.queue.front().cloned() } else { unix.queue.pop_front() };
            if let Some(message) = message {
                if !peek {
                    unix.held -= message.len();
                }
                let cut = if message.len() > len { MSG_TRUNC } else { 0 };
                let data = message.slice(..message.len().min(len));
                return Ok(Ret::Data(data, None, cut)).into();
            }
        }
        let so_far: usize = pending.read.iter().map(Bytes::len).sum();
        let mut wanted = len.saturating_sub(so_far);
        if stream && unix.held > 0 {
            if peek {
                let all = unix.queue.iter().flat_map(|chunk| chunk.iter().copied());
                let data: Vec<u8> = all.take(wanted).collect();
                return Ok(Ret::Data(data.into(), None, 0)).into();
            }
            while wanted > 0 {
                let Some(mut chunk) = unix.queue.pop_front() else { break };
                let data = chunk.split_to(chunk.len().min(wanted));
                if !chunk.is_empty() {
                    unix.queue.push_front(chunk);
                }
                unix.held -= data.len();
                wanted -= data.len();
                pending.read.push(data);
            }
            if let Some(peer) = peer {
                self.wake(peer);
            }
        }
        let gone = peer.is_none_or(|peer| self.sockets.get(peer).is_none_or(|peer| peer.shut_write));
        let over = shut || stream && gone;
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
        if over { Ok(Ret::Data(Bytes::new(), None, 0)).into() } else { Attempt::again() }
    }

    pub(crate) fn shutdown_unix(&mut self, id: SocketId, read: bool, write: bool) -> Result<Ret, Failure> {
        let peer = self.unix(id).and_then(|unix| unix.peer);
        let connected = self.unix(id).is_some_and(|unix| unix.was_connected);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.shut_read |= read;
            socket.shut_write |= write;
        }
        self.wake(id);
        if let Some(peer) = peer {
            if let Some(other) = self.sockets.get_mut(peer) {
                other.shut_write |= read;
            }
            self.wake(peer);
        }
        if connected { Ok(Ret::Unit) } else { Err(Errno::ENOTCONN.into()) }
    }

    /// The last holder is gone. Unread octets reset the other end, as in Linux.
    pub(crate) fn close_unix(&mut self, id: SocketId) {
        let Some(Socket { body: Body::Unix(unix), kind, .. }) = self.sockets.remove(id) else { return };
        let Some(peer) = unix.peer else { return };
        self.set_unix_peer(peer, None);
        if let Some(other) = self.sockets.get_mut(peer).filter(|_| kind == SOCK_STREAM) {
            other.shut_write = true;
            if unix.held > 0 {
                other.error = Some((Errno::ECONNRESET, Cause::ClosedByProgram));
            }
        }
        self.wake(peer);
    }

    pub(crate) fn unix_readiness(&self, socket: &Socket) -> u16 {
        let Body::Unix(unix) = &socket.body else { return 0 };
        let stream = socket.kind == SOCK_STREAM;
        let other = unix.peer.and_then(|peer| self.sockets.get(peer));
        let ended =
            stream && unix.was_connected && other.is_none_or(|other| other.shut_write) || socket.shut_read;
        let gone = stream && other.is_none();
        let mut events = 0;
        if ended {
            events |= POLLIN | POLLRDNORM | POLLRDHUP;
        }
        if !unix.queue.is_empty() {
            events |= POLLIN | POLLRDNORM;
        }
        if gone || ended && socket.shut_write {
            events |= POLLHUP;
        }
        let held = unix.peer.and_then(|peer| self.unix(peer)).map_or(0, |peer| peer.held);
        // Linux `unix_writable`: three quarters of the buffer are free.
        if held * 4 <= BUFFER {
            events |= POLLOUT | POLLWRNORM;
        }
        if socket.error.is_some() {
            events |= super::poll::POLLERR;
        }
        events
    }

    /// The name of an AF_UNIX socket, which it does not have.
    pub(crate) fn unix_name(&self, id: SocketId, of_peer: bool) -> Result<Ret, Failure> {
        let connected = self.unix(id).is_some_and(|unix| unix.was_connected);
        if of_peer && !connected {
            return Err(Errno::ENOTCONN.into());
        }
        Ok(Ret::Addr(SockAddr::Unix(String::new())))
    }
}
