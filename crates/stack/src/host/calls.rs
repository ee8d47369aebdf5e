//! The system calls: arguments checked in Linux's order, then on to the room that does the work.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::addr::SockAddr;
use crate::call::{Call, CallId, Fd, Outcome, Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::ip::protocol;
use crate::snapshot::TcpState;
use crate::socket::{
    AF_INET, AF_INET6, AF_UNIX, Attempt, Body, Files, Pending, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET,
    SOCK_STREAM, Socket, SocketOptions, Unix,
};
use crate::time::Instant;

/// tcp(7).
const SIOCATMARK: u32 = 0x8905;

/// Linux `IPPROTO_MAX` and `SOCK_MAX`.
const IPPROTO_MAX: i32 = 263;
const SOCK_MAX: i32 = 10;

impl Host {
    pub(super) fn begin(&mut self, now: Instant, pid: Pid, id: CallId, call: Call) -> Outcome {
        let result = match &call {
            Call::Socket { family, kind, protocol } => self.new_socket(pid, *family, *kind, *protocol),
            Call::SocketPair { family, kind, protocol } => self.socket_pair(pid, *family, *kind, *protocol),
            Call::Dup { fd } => self.lookup_file(pid, *fd).and_then(|file| self.duplicate(pid, file)),
            Call::Close { fd } => return self.close(now, pid, id, *fd),
            Call::Bind { fd, addr } => {
                self.lookup(pid, *fd).and_then(|socket| self.bind_any(pid, socket, addr))
            }
            Call::Listen { fd, backlog } => {
                self.lookup(pid, *fd).and_then(|socket| self.listen(socket, *backlog))
            }
            Call::GetSockName { fd } => self.lookup(pid, *fd).and_then(|socket| self.name(socket)),
            Call::GetPeerName { fd } => self.lookup(pid, *fd).and_then(|socket| self.peer_name(socket)),
            Call::GetSockOpt { fd, level, name, len } => {
                self.lookup(pid, *fd).and_then(|socket| self.get_option(now, socket, *level, *name, *len))
            }
            Call::SetSockOpt { fd, level, name, value } => {
                self.lookup(pid, *fd).and_then(|socket| self.set_option(now, socket, *level, *name, value))
            }
            Call::Shutdown { fd, how } => {
                self.lookup(pid, *fd).and_then(|socket| self.shutdown(now, socket, *how))
            }
            Call::EpollCreate => self.epoll_create(pid),
            Call::EpollCtl { epoll, op, fd, events } => self
                .lookup_file(pid, *epoll)
                .and_then(|epoll| self.epoll_control(pid, epoll, *op, *fd, *events)),
            Call::EpollWait { epoll, most, .. } => match self.lookup_file(pid, *epoll) {
                Ok(_) if *most == 0 => Err(Errno::EINVAL.into()),
                Ok(epoll) => return self.start(now, pid, id, vec![epoll], call),
                Err(failure) => Err(failure),
            },
            Call::Ioctl { fd, request } => self.lookup(pid, *fd).and_then(|socket| match *request {
                SIOCATMARK => self.at_mark(socket),
                request => self.ioctl(socket, request),
            }),
            Call::FileLimit { limit } => {
                Ok(Ret::Len(self.sockets.files.entry(pid).or_default().limit(*limit)))
            }
            Call::Unlink { path } => self.unlink_unix(path),
            Call::SetUsers { real, effective, saved } => {
                match self.sockets.files.entry(pid).or_default().set_users([*real, *effective, *saved]) {
                    true => Ok(Ret::Unit),
                    false => Err(Errno::EPERM.into()),
                }
            }
            Call::SockInfo { fd } => self.lookup(pid, *fd).and_then(|socket| self.info(socket)),
            Call::Accept { fd, .. }
            | Call::Connect { fd, .. }
            | Call::Send { fd, .. }
            | Call::SendTo { fd, .. }
            | Call::SendMsg { fd, .. }
            | Call::RecvMsg { fd, .. }
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
        let limit = match (&call, sockets.as_slice()) {
            (Call::Poll { .. } | Call::EpollWait { .. }, _) => None,
            (Call::Accept { .. } | Call::Recv { .. } | Call::RecvMsg { .. }, [socket]) => {
                self.time_limit(*socket, |o| o.recv_limit)
            }
            (_, [socket]) => self.time_limit(*socket, |o| o.send_limit),
            _ => None,
        };
        self.start_limited(now, pid, id, sockets, call, limit)
    }

    fn time_limit(
        &self,
        socket: SocketId,
        which: impl Fn(&SocketOptions) -> Option<Duration>,
    ) -> Option<Duration> {
        self.sockets.get(socket).and_then(|socket| which(&socket.options))
    }

    fn start_limited(
        &mut self,
        now: Instant,
        pid: Pid,
        id: CallId,
        sockets: Vec<SocketId>,
        call: Call,
        limit: Option<Duration>,
    ) -> Outcome {
        let pending = Pending {
            pid,
            call,
            sockets,
            deadline: None,
            limit,
            otherwise: None,
            started: false,
            taken: 0,
            read: Vec::new(),
        };
        self.start_call(now, id, pending)
    }

    /// Tries a call that may have to wait.
    pub(crate) fn attempt(&mut self, now: Instant, pending: &mut Pending) -> Attempt {
        let call = pending.call.clone();
        let blocking = call.patience().is_none();
        if let (Some(events), Some(id)) = (call.polls_for(), pending.sockets.first())
            && self.readiness(*id) & events == 0
        {
            return Attempt::again();
        }
        match &call {
            Call::Accept { .. } => self.try_accept(pending),
            Call::Connect { addr: SockAddr::Ip(addr), .. } => self.try_connect(now, pending, *addr),
            Call::Connect { addr: SockAddr::Unix(path), .. } => self.connect_unix(pending, path),
            Call::Send { data, flags, .. } => {
                self.try_send(now, pending, data, *flags, (None, &[]), blocking)
            }
            Call::SendTo { data, flags, addr, .. } => {
                self.try_send(now, pending, data, *flags, (Some(addr), &[]), blocking)
            }
            Call::SendMsg { data, flags, addr, control, .. } => {
                self.try_send(now, pending, data, *flags, (addr.as_ref(), control), blocking)
            }
            Call::Recv { len, flags, .. } => self.try_recv(now, pending, (*len, None), *flags),
            Call::RecvMsg { len, room, flags, .. } => {
                self.try_recv(now, pending, (*len, Some(*room)), *flags).into_message()
            }
            Call::Close { .. } => self.try_close(pending),
            Call::Poll { fds, .. } => self.try_poll(pending, fds),
            Call::EpollWait { most, .. } => self.try_epoll_wait(pending, *most),
            _ => Errno::ENOSYS.into(),
        }
    }

    /// The socket behind a descriptor.
    fn lookup(&self, pid: Pid, fd: Fd) -> Result<SocketId, Failure> {
        let id = self.lookup_file(pid, fd)?;
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Epoll(_)) => Err(Errno::ENOTSOCK.into()),
            _ => Ok(id),
        }
    }

    /// The socket or epoll object behind a descriptor.
    fn lookup_file(&self, pid: Pid, fd: Fd) -> Result<SocketId, Failure> {
        self.socket_of(pid, fd).ok_or(Failure::from(Errno::EBADF))
    }

    fn new_socket(&mut self, pid: Pid, family: i32, kind: i32, protocol: i32) -> Result<Ret, Failure> {
        // Linux `inet_create`, `inet6_create`, `unix_create`.
        let (icmp, inet) = match family {
            AF_INET => (protocol::ICMP, true),
            AF_INET6 => (protocol::ICMPV6, true),
            AF_UNIX => (0, false),
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        if inet && !(0..IPPROTO_MAX).contains(&protocol) || kind > SOCK_MAX {
            return Err(Errno::EINVAL.into());
        }
        let (body, protocol) = match (inet, kind, protocol) {
            (true, SOCK_STREAM, 0 | 6) => (Body::Tcp(Box::default()), 6),
            (true, SOCK_DGRAM, 0 | 17) => (Body::Udp(Default::default()), 17),
            (true, SOCK_DGRAM, number) if number == i32::from(icmp) => {
                (Body::Ping(Default::default()), number)
            }
            (true, SOCK_RAW, 1..) if !self.is_privileged(pid) => return Err(Errno::EPERM.into()),
            (true, SOCK_RAW, 1..) => (Body::Raw(Default::default()), protocol),
            (false, SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET, 0 | AF_UNIX) => {
                (Body::Unix(Box::<Unix>::default()), 0)
            }
            (true, SOCK_STREAM | SOCK_DGRAM | SOCK_RAW, _)
            | (false, SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET, _) => {
                return Err(Errno::EPROTONOSUPPORT.into());
            }
            (_, 0.., _) => return Err(Errno::ESOCKTNOSUPPORT.into()),
            _ => return Err(Errno::EINVAL.into()),
        };
        if !self.sockets.files.entry(pid).or_default().has_room(1) {
            return Err(Errno::EMFILE.into());
        }
        let mut socket = Socket::new(family, kind, protocol, body);
        let raw = matches!(socket.body, Body::Raw(_));
        if raw {
            // raw(7): the place of the port shows the protocol.
            socket.local = Some(SocketAddr::new(socket.any(), u16::try_from(protocol).unwrap_or(0)));
            Arc::make_mut(&mut socket.options).ip.header_included = protocol == i32::from(protocol::RAW);
        }
        let id = self.sockets.insert(socket);
        if raw {
            self.sockets.raw.insert(id);
        }
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

    fn close(&mut self, now: Instant, pid: Pid, id: CallId, fd: Fd) -> Outcome {
        let Some(socket) = self.sockets.files.get_mut(&pid).and_then(|files| files.close(fd)) else {
            return Outcome::Done(Err(Errno::EBADF.into()));
        };
        let Some(linger) = self.begin_to_linger(now, socket) else {
            self.unhold(now, socket);
            return Outcome::Done(Ok(Ret::Unit));
        };
        // The call holds the socket in place of the descriptor.
        let outcome = self.start_limited(now, pid, id, vec![socket], Call::Close { fd }, Some(linger));
        self.unhold(now, socket);
        outcome
    }

    /// Whether a process may bind ports below 1024 and open raw sockets.
    pub(crate) fn is_privileged(&self, pid: Pid) -> bool {
        self.config.privileged_ports && self.sockets.files.get(&pid).is_none_or(Files::is_superuser)
    }

    fn bind_any(&mut self, pid: Pid, id: SocketId, addr: &SockAddr) -> Result<Ret, Failure> {
        match (addr, self.sockets.get(id).map(|socket| &socket.body)) {
            (SockAddr::Ip(addr), Some(Body::Tcp(_) | Body::Udp(_) | Body::Ping(_) | Body::Raw(_))) => {
                self.bind(pid, id, *addr).map(|()| Ret::Unit)
            }
            (SockAddr::Unix(path), Some(Body::Unix(_))) => self.bind_unix(id, path),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn name(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if let Body::Unix(_) = socket.body {
            return self.unix_name(id, false);
        }
        let any = SocketAddr::new(socket.any(), socket.stale_port);
        Ok(Ret::Addr(socket.outward(socket.local.unwrap_or(any))))
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
        // A raw socket may be connected to no port, which counts as not at all.
        match socket.peer.filter(|peer| open && peer.port() != 0) {
            Some(peer) => Ok(Ret::Addr(socket.outward(peer))),
            None => Err(Errno::ENOTCONN.into()),
        }
    }

    fn ioctl(&self, id: SocketId, request: u32) -> Result<Ret, Failure> {
        const FIONREAD: u32 = 0x541B;
        const TIOCOUTQ: u32 = 0x5411;
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if request != FIONREAD && request != TIOCOUTQ {
            return Err(Errno::ENOTTY.into());
        }
        let (readable, unsent) = match &socket.body {
            Body::Tcp(tcp) if tcp.listener.is_some() => return Err(Errno::EINVAL.into()),
            Body::Tcp(tcp) => tcp.tcb.as_ref().map_or((0, 0), crate::tcp::Tcb::queues),
            Body::Udp(datagrams) | Body::Ping(datagrams) | Body::Raw(datagrams) => {
                (datagrams.queue.front().map_or(0, |first| first.data.len()), 0)
            }
            Body::Unix(unix) if socket.kind == SOCK_STREAM => (unix.held, 0),
            Body::Unix(unix) => (unix.next_len(socket.kind == SOCK_DGRAM), 0),
            Body::Epoll(_) => return Err(Errno::ENOTTY.into()),
        };
        Ok(Ret::Len(if request == FIONREAD { readable } else { unsent }))
    }

    fn info(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        Ok(Ret::Info(socket.family, socket.kind, socket.protocol))
    }
}
