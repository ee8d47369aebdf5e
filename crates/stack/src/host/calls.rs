//! The system calls: arguments checked in Linux's order, then on to the room that does the work.

use crate::addr::SockAddr;
use crate::call::{Call, CallId, Fd, Outcome, Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::snapshot::TcpState;
use crate::socket::{AF_INET, AF_UNIX, Attempt, Body, Pending, SOCK_DGRAM, SOCK_STREAM, Socket, Unix};
use crate::time::Instant;

impl Host {
    pub(super) fn begin(&mut self, now: Instant, pid: Pid, id: CallId, call: Call) -> Outcome {
        let result = match &call {
            Call::Socket { family, kind, protocol } => self.new_socket(pid, *family, *kind, *protocol),
            Call::SocketPair { family, kind, protocol } => self.socket_pair(pid, *family, *kind, *protocol),
            Call::Dup { fd } => self.lookup(pid, *fd).and_then(|socket| self.duplicate(pid, socket)),
            Call::Close { fd } => self.close(now, pid, *fd),
            Call::Bind { fd, addr } => self.lookup(pid, *fd).and_then(|socket| self.bind_any(socket, addr)),
            Call::Listen { fd, backlog } => {
                self.lookup(pid, *fd).and_then(|socket| self.listen(socket, *backlog))
            }
            Call::GetSockName { fd } => self.lookup(pid, *fd).and_then(|socket| self.name(socket)),
            Call::GetPeerName { fd } => self.lookup(pid, *fd).and_then(|socket| self.peer_name(socket)),
            Call::GetSockOpt { fd, level, name, len } => {
                self.lookup(pid, *fd).and_then(|socket| self.get_option(socket, *level, *name, *len))
            }
            Call::SetSockOpt { fd, level, name, value } => {
                self.lookup(pid, *fd).and_then(|socket| self.set_option(now, socket, *level, *name, value))
            }
            Call::Shutdown { fd, how } => {
                self.lookup(pid, *fd).and_then(|socket| self.shutdown(now, socket, *how))
            }
            Call::SockInfo { fd } => self.lookup(pid, *fd).and_then(|socket| self.info(socket)),
            Call::Accept { fd, .. }
            | Call::Connect { fd, .. }
            | Call::Send { fd, .. }
            | Call::SendTo { fd, .. }
            | Call::Recv { fd, .. } => match self.lookup(pid, *fd) {
                Ok(socket) => return self.start(now, pid, id, vec![socket], call),
                Err(failure) => Err(failure),
            },
            Call::Poll { fds, .. } => {
                let files = self.sockets.files.entry(pid).or_default();
                let mut sockets: Vec<SocketId> = fds.iter().filter_map(|(fd, _)| files.get(*fd)).collect();
                sockets.sort_unstable();
                sockets.dedup();
                return self.start(now, pid, id, sockets, call);
            }
        };
        Outcome::Done(result)
    }

    fn start(&mut self, now: Instant, pid: Pid, id: CallId, sockets: Vec<SocketId>, call: Call) -> Outcome {
        let pending =
            Pending { pid, call, sockets, deadline: None, started: false, taken: 0, read: Vec::new() };
        self.start_call(now, id, pending)
    }

    /// Tries a call that may have to wait.
    pub(crate) fn attempt(&mut self, now: Instant, pending: &mut Pending) -> Attempt {
        let call = pending.call.clone();
        let blocking = call.patience().is_none();
        match &call {
            Call::Accept { .. } => self.try_accept(pending),
            Call::Connect { addr: SockAddr::Ip(addr), .. } => self.try_connect(now, pending, *addr),
            Call::Connect { addr: SockAddr::Unix(_), .. } => self.connect_unix(pending).into(),
            Call::Send { data, flags, .. } => self.try_send(now, pending, data, *flags, None, blocking),
            Call::SendTo { data, flags, addr, .. } => {
                self.try_send(now, pending, data, *flags, Some(addr), blocking)
            }
            Call::Recv { len, flags, .. } => self.try_recv(now, pending, *len, *flags),
            Call::Poll { fds, .. } => self.try_poll(pending, fds),
            _ => Errno::ENOSYS.into(),
        }
    }

    fn lookup(&self, pid: Pid, fd: Fd) -> Result<SocketId, Failure> {
        self.socket_of(pid, fd).ok_or(Failure::from(Errno::EBADF))
    }

    fn new_socket(&mut self, pid: Pid, family: i32, kind: i32, protocol: i32) -> Result<Ret, Failure> {
        let (body, protocol) = match (family, kind, protocol) {
            (AF_INET, SOCK_STREAM, 0 | 6) => (Body::Tcp(Box::default()), 6),
            (AF_INET, SOCK_DGRAM, 0 | 17) => (Body::Udp(Default::default()), 17),
            (AF_UNIX, SOCK_STREAM | SOCK_DGRAM, 0 | AF_UNIX) => (Body::Unix(Unix::default()), 0),
            // Raw sockets are for the privileged.
            (AF_INET, 3, _) => return Err(Errno::EPERM.into()),
            (AF_INET | AF_UNIX, SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno::EPROTONOSUPPORT.into()),
            (AF_INET | AF_UNIX, 0..=10, _) => return Err(Errno::ESOCKTNOSUPPORT.into()),
            (AF_INET | AF_UNIX, _, _) => return Err(Errno::EINVAL.into()),
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        if !self.sockets.files.entry(pid).or_default().has_room(1) {
            return Err(Errno::EMFILE.into());
        }
        let id = self.sockets.insert(Socket::new(family, kind, protocol, body));
        self.duplicate(pid, id)
    }

    fn duplicate(&mut self, pid: Pid, id: SocketId) -> Result<Ret, Failure> {
        self.open_fd(pid, id).map(Ret::Fd).ok_or(Errno::EMFILE.into())
    }

    /// Opens a descriptor on a socket and counts it.
    pub(crate) fn open_fd(&mut self, pid: Pid, id: SocketId) -> Option<Fd> {
        let fd = self.sockets.files.entry(pid).or_default().open(id)?;
        self.sockets.get_mut(id)?.refs += 1;
        Some(fd)
    }

    fn close(&mut self, now: Instant, pid: Pid, fd: Fd) -> Result<Ret, Failure> {
        let socket = self.sockets.files.get_mut(&pid).and_then(|files| files.close(fd));
        self.unhold(now, socket.ok_or(Errno::EBADF)?);
        Ok(Ret::Unit)
    }

    fn bind_any(&mut self, id: SocketId, addr: &SockAddr) -> Result<Ret, Failure> {
        match (addr, self.sockets.get(id).map(|socket| &socket.body)) {
            (SockAddr::Ip(addr), Some(Body::Tcp(_) | Body::Udp(_))) => {
                self.bind(id, *addr).map(|()| Ret::Unit)
            }
            (SockAddr::Unix(_), Some(Body::Unix(_))) => Err(Errno::EOPNOTSUPP.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn connect_unix(&self, pending: &Pending) -> Result<Ret, Failure> {
        let socket = pending.sockets.first().and_then(|id| self.sockets.get(*id)).ok_or(Errno::EBADF)?;
        // There are no AF_UNIX names yet.
        Err(if matches!(socket.body, Body::Unix(_)) { Errno::ENOENT } else { Errno::EAFNOSUPPORT }.into())
    }

    fn name(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if let Body::Unix(_) = socket.body {
            return self.unix_name(id, false);
        }
        let any = (core::net::Ipv4Addr::UNSPECIFIED, 0).into();
        Ok(Ret::Addr(SockAddr::Ip(socket.local.unwrap_or(any))))
    }

    fn peer_name(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if let Body::Unix(_) = socket.body {
            return self.unix_name(id, true);
        }
        // Linux `inet_getname`.
        let open = socket.tcp().is_none_or(|tcp| {
            !matches!(tcp.program_state(), TcpState::Closed | TcpState::SynSent | TcpState::Listen)
        });
        match socket.peer.filter(|_| open) {
            Some(peer) => Ok(Ret::Addr(SockAddr::Ip(peer))),
            None => Err(Errno::ENOTCONN.into()),
        }
    }

    fn info(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        Ok(Ret::Info(socket.family, socket.kind, socket.protocol))
    }
}
