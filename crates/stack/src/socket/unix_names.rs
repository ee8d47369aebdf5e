//! Names of AF_UNIX sockets: bind(2), listen(2), connect(2), accept(2) and unlink(2) on them.

use super::poll::NEWS_IN;
use super::unix::{Unix, UnixListener};
use super::wait::{Attempt, Pending};
use super::{AF_UNIX, Body, SOCK_DGRAM, Socket};
use crate::addr::SockAddr;
use crate::call::{Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;

/// Linux `net.core.somaxconn`.
const MAX_BACKLOG: usize = 4096;
/// `UNIX_PATH_MAX`.
const MAX_NAME: usize = 108;

impl Host {
    /// bind(2). An empty name asks for an abstract one of the kernel's choice.
    pub(crate) fn bind_unix(&mut self, id: SocketId, name: &[u8]) -> Result<Ret, Failure> {
        let bound = self.unix(id).ok_or(Errno::EBADF)?.name.is_some();
        if name.is_empty() {
            if !bound {
                self.autobind_unix(id);
            }
            return Ok(Ret::Unit);
        }
        if name.len() > MAX_NAME {
            return Err(Errno::EINVAL.into());
        }
        if self.sockets.unix_names.contains_key(name) {
            // Linux makes the file before it looks at the socket.
            let errno = if bound && name.starts_with(&[0]) { Errno::EINVAL } else { Errno::EADDRINUSE };
            return Err(errno.into());
        }
        if bound {
            return Err(Errno::EINVAL.into());
        }
        self.sockets.unix_names.insert(name.to_owned(), id);
        if let Some(unix) = self.unix_mut(id) {
            unix.name = Some(name.to_owned());
        }
        Ok(Ret::Unit)
    }

    /// unix(7): an abstract name of five hexadecimal digits.
    fn autobind_unix(&mut self, id: SocketId) {
        let free = (0u32..=0xf_ffff)
            .map(|number| format!("\0{number:05x}").into_bytes())
            .find(|name| !self.sockets.unix_names.contains_key(name));
        if let Some(name) = free {
            self.sockets.unix_names.insert(name.clone(), id);
            if let Some(unix) = self.unix_mut(id) {
                unix.name = Some(name);
            }
        }
    }

    /// unlink(2) on the path of a socket: the name is free again; who is connected stays so.
    pub(crate) fn unlink_unix(&mut self, path: &[u8]) -> Result<Ret, Failure> {
        // An abstract name is no file, and to unlink(2) it is the empty path.
        let removed = if path.starts_with(&[0]) { None } else { self.sockets.unix_names.remove(path) };
        removed.map(|_| Ret::Unit).ok_or(Errno::ENOENT.into())
    }

    /// The socket of this name and kind (Linux `unix_find_other`).
    pub(super) fn unix_named(&self, name: &[u8], kind: i32) -> Result<SocketId, Errno> {
        let Some(&id) = self.sockets.unix_names.get(name) else {
            return Err(if name.starts_with(&[0]) { Errno::ECONNREFUSED } else { Errno::ENOENT });
        };
        // The file is there, but its socket was closed.
        let socket = self.sockets.get(id).ok_or(Errno::ECONNREFUSED)?;
        if socket.kind == kind { Ok(id) } else { Err(Errno::EPROTOTYPE) }
    }

    pub(crate) fn listen_unix(&mut self, id: SocketId, backlog: i32) -> Result<Ret, Failure> {
        let datagrams = self.sockets.get(id).is_some_and(|socket| socket.kind == SOCK_DGRAM);
        let pid = self.owner_of(id);
        let unix = self.unix_mut(id).ok_or(Errno::EBADF)?;
        if datagrams {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if unix.name.is_none() || unix.was_connected {
            return Err(Errno::EINVAL.into());
        }
        let listener = unix.listener.get_or_insert_with(UnixListener::default);
        listener.backlog = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        listener.pid = pid;
        Ok(Ret::Unit)
    }

    fn owner_of(&self, id: SocketId) -> Option<Pid> {
        let mut tables = self.sockets.files.iter();
        tables.find(|(_, files)| files.iter().any(|(_, socket)| socket == id)).map(|(pid, _)| *pid)
    }

    pub(crate) fn connect_unix(&mut self, pending: &mut Pending, name: &[u8]) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        let Some(socket) = self.sockets.get(id) else { return Errno::EBADF.into() };
        let kind = socket.kind;
        let Some(unix) = self.unix(id) else { return Errno::EAFNOSUPPORT.into() };
        if kind == SOCK_DGRAM {
            return self.connect_unix_datagram(id, name).into();
        }
        let (own_name, connected) = (unix.name.clone(), unix.was_connected);
        let listens = unix.listener.is_some();
        let other = match self.unix_named(name, kind) {
            Ok(other) => other,
            Err(errno) => return errno.into(),
        };
        let deaf = self.sockets.get(other).is_none_or(|other| other.shut_read);
        let Some(listener) = self.unix_mut(other).and_then(|unix| unix.listener.as_mut()) else {
            return Errno::ECONNREFUSED.into();
        };
        if deaf {
            return Errno::ECONNREFUSED.into();
        }
        if listener.queue.len() > listener.backlog {
            if !pending.sockets.contains(&other) {
                pending.sockets.push(other);
            }
            return Attempt::again();
        }
        if connected {
            return Errno::EISCONN.into();
        }
        if listens {
            return Errno::EINVAL.into();
        }
        let server = listener.pid;
        let child = Unix {
            peer: Some(id),
            was_connected: true,
            name: Some(name.to_owned()),
            peer_name: own_name.unwrap_or_default(),
            peer_pid: Some(pending.pid),
            ..Unix::default()
        };
        let child = self.sockets.insert(Socket::new(AF_UNIX, kind, 0, Body::Unix(Box::new(child))));
        if let Some(listener) = self.unix_mut(other).and_then(|unix| unix.listener.as_mut()) {
            listener.queue.push_back(child);
        }
        if let Some(unix) = self.unix_mut(id) {
            unix.peer = Some(child);
            unix.was_connected = true;
            name.clone_into(&mut unix.peer_name);
            unix.peer_pid = server;
        }
        self.wake_for(other, NEWS_IN);
        self.wake(id);
        Ok(Ret::Unit).into()
    }

    /// For datagrams connect(2) only remembers the peer.
    fn connect_unix_datagram(&mut self, id: SocketId, name: &[u8]) -> Result<Ret, Failure> {
        let other = self.unix_named(name, SOCK_DGRAM)?;
        // Linux `unix_may_send`.
        if self.unix(other).is_some_and(|unix| unix.peer.is_some_and(|peer| peer != id)) {
            return Err(Errno::EPERM.into());
        }
        if let Some(unix) = self.unix_mut(id) {
            unix.peer = Some(other);
            unix.was_connected = true;
            name.clone_into(&mut unix.peer_name);
        }
        Ok(Ret::Unit)
    }

    pub(crate) fn accept_unix(&mut self, pending: &Pending, id: SocketId) -> Attempt {
        let Some(socket) = self.sockets.get(id) else { return Errno::EBADF.into() };
        if socket.kind == SOCK_DGRAM {
            return Errno::EOPNOTSUPP.into();
        }
        let shut = socket.shut_read;
        let Some(listener) = self.unix_mut(id).and_then(|unix| unix.listener.as_mut()) else {
            return Errno::EINVAL.into();
        };
        let Some(&child) = listener.queue.front() else {
            return if shut { Errno::EINVAL.into() } else { Attempt::again() };
        };
        let Some(fd) = self.open_fd(pending.pid, child) else { return Errno::EMFILE.into() };
        if let Some(listener) = self.unix_mut(id).and_then(|unix| unix.listener.as_mut()) {
            listener.queue.pop_front();
        }
        // There is room for another one.
        self.wake(id);
        let peer = self.unix(child).map(|unix| unix.peer_name.clone()).unwrap_or_default();
        Ok(Ret::Accepted(fd, SockAddr::Unix(peer))).into()
    }
}
