//! listen(2), accept(2), connect(2), shutdown(2), close(2) for IP sockets.

use core::net::SocketAddr;
use core::time::Duration;

use super::names::own_if_unspecified;
use super::poll::NEWS_ALL;
use super::wait::{Attempt, Pending};
use super::{Body, Phase, Watched};
use crate::addr::{SockAddr, endpoint, with_port, zone};
use crate::call::Ret;
use crate::errno::{Cause, Errno, Failure};
use crate::event::{HostEvent, SocketId};
use crate::host::Host;
use crate::snapshot::TcpState;
use crate::tcp::Tcb;
use crate::time::Instant;

impl Host {
    pub(crate) fn listen(&mut self, id: SocketId, backlog: i32) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if matches!(socket.body, Body::Unix(_)) {
            return self.listen_unix(id, backlog);
        }
        let Some(tcp) = socket.tcp() else { return Err(Errno::EOPNOTSUPP.into()) };
        // A negative backlog is a very large one, as in Linux.
        let most = self.sysctl.somaxconn;
        let backlog = usize::try_from(backlog).unwrap_or(most).min(most);
        match tcp.program_state() {
            TcpState::Listen => {}
            TcpState::Closed if tcp.phase == Phase::Unconnected => {
                match socket.local {
                    Some(local) if socket.bound => self.check_listen_conflict(id, local)?,
                    _ => {
                        let any = socket.any();
                        let port = self.free_port(id)?;
                        self.set_local(id, SocketAddr::new(any, port));
                    }
                }
                let Some(local) = self.sockets.get(id).and_then(|socket| socket.local) else {
                    return Err(Errno::EINVAL.into());
                };
                self.sockets.listeners.entry(local.port()).or_default().insert(id);
                self.events.push_back(HostEvent::TcpState {
                    socket: id,
                    local,
                    peer: None,
                    from: TcpState::Closed,
                    to: TcpState::Listen,
                });
                if let Some(tcp) = self.sockets.get_mut(id).and_then(|socket| socket.tcp_mut()) {
                    tcp.tcb = None;
                    tcp.listener = Some(Box::default());
                }
            }
            _ => return Err(Errno::EINVAL.into()),
        }
        if let Some(listener) = self.sockets.get_mut(id).and_then(|socket| socket.listener_mut()) {
            listener.backlog = backlog;
        }
        Ok(Ret::Unit)
    }

    /// Two sockets may be bound to one port with `SO_REUSEADDR`, but only one may listen.
    fn check_listen_conflict(&self, id: SocketId, local: SocketAddr) -> Result<(), Failure> {
        self.check_conflict(id, local)
    }

    pub(crate) fn try_accept(&mut self, pending: &mut Pending) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        match socket.body {
            Body::Tcp(_) => {}
            Body::Unix(_) => return self.accept_unix(pending, id),
            Body::Epoll(_) => return Errno::ENOTSOCK.into(),
            _ => return Errno::EOPNOTSUPP.into(),
        }
        let Some(listener) = socket.listener_mut() else { return Errno::EINVAL.into() };
        if listener.accept_queue.is_empty() {
            return Attempt::again();
        }
        let files = self.sockets.files.entry(pending.pid).or_default();
        if !files.has_room(1) {
            return Errno::EMFILE.into();
        }
        let Some(child) =
            self.sockets.get_mut(id).and_then(|socket| socket.listener_mut()?.accept_queue.pop_front())
        else {
            return Attempt::again();
        };
        match self.adopt(pending.pid, child) {
            Some((fd, peer)) => {
                let peer = self.sockets.get(child).map_or(SockAddr::Ip(peer), |socket| socket.outward(peer));
                Ok(Ret::Accepted(fd, peer)).into()
            }
            None => Errno::ECONNABORTED.into(),
        }
    }

    /// Gives a connection from a queue to a process.
    pub(crate) fn adopt(
        &mut self,
        pid: crate::call::Pid,
        child: SocketId,
    ) -> Option<(crate::call::Fd, SocketAddr)> {
        let fd = self.open_fd(pid, child)?;
        let socket = self.sockets.get_mut(child)?;
        let tcp = socket.tcp_mut()?;
        tcp.waits_at = None;
        tcp.phase = Phase::Connected;
        Some((fd, socket.peer?))
    }

    pub(crate) fn try_connect(&mut self, now: Instant, pending: &mut Pending, addr: SocketAddr) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        let Some(socket) = self.sockets.get(id) else { return Errno::EBADF.into() };
        if socket.is_datagram() {
            return self.connect_datagram(id, addr).map(|()| Ret::Unit).into();
        }
        let Some(tcp) = socket.tcp() else { return Errno::EOPNOTSUPP.into() };
        // Linux `__inet_stream_connect`.
        let mut would_block = Errno::EINPROGRESS;
        let patience = pending.call.patience();
        // Python's time-out is a socket that does not block, poll(2) and `SO_ERROR`.
        let by_poll = patience.is_some_and(|patience| !patience.is_zero());
        match tcp.phase {
            Phase::Connected => return Errno::EISCONN.into(),
            Phase::Connecting => would_block = Errno::EALREADY,
            Phase::Unconnected if pending.started => {}
            Phase::Unconnected => {
                if tcp.program_state() != TcpState::Closed {
                    return Errno::EISCONN.into();
                }
                if let Err(failure) = self.begin_connect(now, id, addr) {
                    return Attempt::Done(Err(failure));
                }
            }
        }
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let error = socket.error.as_deref().cloned();
        let Some(tcp) = socket.tcp_mut() else { return Errno::EOPNOTSUPP.into() };
        match tcp.state() {
            TcpState::SynSent | TcpState::SynReceived if by_poll && !pending.started => {
                if would_block == Errno::EALREADY {
                    return would_block.into();
                }
                Attempt::Wait(Err(would_block.into()))
            }
            TcpState::SynSent | TcpState::SynReceived => Attempt::Wait(Err(would_block.into())),
            _ if by_poll && pending.started => {
                // The socket does not know that the program knows: the next connect(2) ends this one.
                match socket.take_error() {
                    Some((errno, cause)) => Attempt::Done(Err(Failure::Errno(errno, cause))),
                    None => Ok(Ret::Unit).into(),
                }
            }
            TcpState::Closed if tcp.phase == Phase::Connecting => {
                tcp.phase = Phase::Unconnected;
                let ended = tcp.ended.take();
                // Linux `tcp_disconnect`: the socket can be used for another attempt.
                tcp.tcb = None;
                socket.error = None;
                socket.shut_read = false;
                socket.shut_write = false;
                socket.peer = None;
                forget_name(socket);
                let (errno, cause) =
                    error.unwrap_or((Errno::ECONNABORTED, ended.map_or(Cause::Rule, |cause| *cause)));
                Attempt::Done(Err(Failure::Errno(errno, cause)))
            }
            TcpState::Closed => Errno::ECONNABORTED.into(),
            _ => {
                tcp.phase = Phase::Connected;
                Ok(Ret::Unit).into()
            }
        }
    }

    /// Linux `tcp_v4_connect`: picks the route, the source address and the port, and sends the SYN.
    fn begin_connect(&mut self, now: Instant, id: SocketId, addr: SocketAddr) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let peer = own_if_unspecified(self.inward(socket, addr, Errno::ENETUNREACH)?);
        let to = peer.ip();
        if to.is_multicast() || self.is_broadcast(to) {
            return Err(Failure::Errno(Errno::ENETUNREACH, Cause::NoRoute { to }));
        }
        if Host::lacks_zone(peer) {
            return Err(Errno::EINVAL.into());
        }
        let bound = socket.bound_for(to)?;
        let path = self.path(to, None, zone(peer).or(socket.options.ip.device))?;
        let old = socket.local;
        let source = endpoint(bound.unwrap_or(path.source), 0, path.iface);
        let local = match old {
            Some(local) => with_port(source, local.port()),
            None => with_port(source, self.connect_port(source.ip(), peer)?),
        };
        if let Some(other) = self.sockets.connection(local, peer) {
            let tcb = self.sockets.get(other).and_then(|socket| socket.tcb());
            // Linux `tcp_twsk_unique`: timestamps make old segments known, after one second; one who asked for this
            // very port need not wait.
            let allowed = match self.sysctl.tcp_tw_reuse {
                1 => true,
                2 => peer.ip().is_loopback(),
                _ => false,
            };
            let replaced = allowed && tcb.is_some_and(|tcb| tcb.may_be_replaced(now));
            let reopened = old.is_some() && tcb.is_some_and(Tcb::can_be_told_from_newer);
            if !(replaced || reopened) {
                let time_wait = tcb.is_some_and(|tcb| tcb.state() == TcpState::TimeWait);
                return Err(Failure::Errno(Errno::EADDRNOTAVAIL, Cause::HeldBy { socket: other, time_wait }));
            }
            if let Some(tcb) = self.sockets.get_mut(other).and_then(|socket| socket.tcb_mut()) {
                tcb.give_up();
            }
            self.flush(now, other);
        }
        self.set_local(id, local);
        let params = self.tcp_params(now, local, peer, id, path.mtu);
        let tcb = Tcb::connect(now, params);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.peer = Some(peer);
            if let Some(tcp) = socket.tcp_mut() {
                tcp.tcb = Some(tcb);
                tcp.phase = Phase::Connecting;
                tcp.ended = None;
                tcp.soft_error = None;
            }
        }
        self.sockets.connect(id);
        self.flush(now, id);
        Ok(())
    }

    /// For datagrams connect(2) only remembers the peer (Linux `__ip4_datagram_connect`, `__ip6_datagram_connect`).
    fn connect_datagram(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let peer = own_if_unspecified(self.inward(socket, addr, Errno::ENETUNREACH)?);
        let group = socket.options.ip.group_iface[usize::from(peer.is_ipv6())];
        let group = group.filter(|_| peer.ip().is_multicast());
        let iface = zone(peer).or(socket.options.ip.device).or(group);
        if Host::lacks_zone(peer) && iface.is_none() {
            return Err(Errno::EINVAL.into());
        }
        let bound = socket.bound_for(peer.ip())?;
        let path = self.path(peer.ip(), bound, iface)?;
        if path.broadcast && !socket.options.broadcast {
            return Err(Errno::EACCES.into());
        }
        let port = match socket.local {
            Some(local) => local.port(),
            None => self.free_port(id)?,
        };
        self.set_local(id, endpoint(bound.unwrap_or(path.source), port, path.iface));
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.peer = Some(peer);
        }
        Ok(())
    }

    pub(crate) fn shutdown(&mut self, now: Instant, id: SocketId, how: i32) -> Result<Ret, Failure> {
        let (read, write) = match how {
            0 => (true, false),
            1 => (false, true),
            2 => (true, true),
            _ => return Err(Errno::EINVAL.into()),
        };
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let connected = socket.peer.is_some();
        let state = match &socket.body {
            Body::Unix(_) => return self.shutdown_unix(id, read, write),
            Body::Epoll(_) => return Err(Errno::ENOTSOCK.into()),
            Body::Udp(_) | Body::Ping(_) | Body::Raw(_) if connected => TcpState::Established,
            Body::Udp(_) | Body::Ping(_) | Body::Raw(_) => TcpState::Closed,
            Body::Tcp(tcp) => tcp.program_state(),
        };
        match state {
            TcpState::Listen | TcpState::SynSent if read || state == TcpState::SynSent => {
                self.disconnect(now, id);
            }
            TcpState::Listen => {}
            _ => {
                socket.shut_read |= read;
                socket.shut_write |= write;
                if let Some(tcb) = socket.tcb_mut().filter(|_| write) {
                    tcb.finish(now);
                    self.flush(now, id);
                }
            }
        }
        self.wake_for(id, NEWS_ALL);
        if state == TcpState::Closed { Err(Errno::ENOTCONN.into()) } else { Ok(Ret::Unit) }
    }

    /// Linux `tcp_disconnect`: back to a socket without a connection or a queue.
    fn disconnect(&mut self, now: Instant, id: SocketId) {
        self.close_listener(now, id);
        let mut connecting = false;
        if let Some(tcb) = self.sockets.get_mut(id).and_then(|socket| socket.tcb_mut()) {
            connecting = tcb.state() == TcpState::SynSent;
            tcb.abort(now);
        }
        self.flush(now, id);
        if let Some(socket) = self.sockets.get_mut(id) {
            forget_name(socket);
            socket.peer = None;
            socket.shut_read = false;
            socket.shut_write = false;
            if connecting {
                socket.set_error(Errno::ECONNRESET, Cause::ClosedByProgram);
            }
            if let Some(tcp) = socket.tcp_mut() {
                tcp.phase = Phase::Unconnected;
                tcp.tcb = None;
            }
        }
    }

    /// Ends a TCP connection from outside, as `ss -K` does (Linux `tcp_abort`): a RST goes to the peer, and whoever
    /// uses the socket gets `ECONNABORTED`. `false` if there is no such connection.
    pub fn reset_connection(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> bool {
        let Some(id) = self.sockets.connection(local, remote) else { return false };
        if let Some(tcb) = self.sockets.get_mut(id).and_then(|socket| socket.tcb_mut()) {
            tcb.abort(now);
        }
        self.flush(now, id);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.set_error(Errno::ECONNABORTED, Cause::Rule);
        }
        self.wake_for(id, NEWS_ALL);
        self.settle(now);
        true
    }

    /// Stops listening: connections that nobody accepted are reset.
    fn close_listener(&mut self, now: Instant, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let Some(local) = socket.local else { return };
        let bound = socket.bound;
        let Some(listener) = socket.tcp_mut().and_then(|tcp| tcp.listener.take()) else { return };
        if let Some(listeners) = self.sockets.listeners.get_mut(&local.port()) {
            listeners.remove(&id);
            if listeners.is_empty() {
                self.sockets.listeners.remove(&local.port());
            }
        }
        if !bound {
            self.release_port(id);
        }
        let (from, to) = (TcpState::Listen, TcpState::Closed);
        self.events.push_back(HostEvent::TcpState { socket: id, local, peer: None, from, to });
        for child in listener.accept_queue {
            if let Some(tcb) = self.sockets.get_mut(child).and_then(|socket| socket.tcb_mut()) {
                tcb.abort(now);
            }
            self.flush(now, child);
        }
        // Half-open ones are forgotten without a word, as Linux does.
        for child in listener.syn_queue {
            if let Some(tcb) = self.sockets.get_mut(child).and_then(|socket| socket.tcb_mut()) {
                tcb.give_up();
            }
            self.flush(now, child);
        }
    }

    /// `SO_LINGER` with a time above zero, and this is the last descriptor: finishes, and says how long close(2) waits
    /// until all is acknowledged (Linux `tcp_close`).
    pub(crate) fn begin_to_linger(&mut self, now: Instant, id: SocketId) -> Option<Duration> {
        let socket = self.sockets.get_mut(id)?;
        let linger = socket.options.linger.filter(|seconds| *seconds > 0 && socket.refs == 1)?;
        socket.shut_read = true;
        socket.shut_write = true;
        let tcb = socket.tcb_mut()?;
        if !tcb.synchronized() || tcb.readable() > 0 {
            return None;
        }
        tcb.finish(now);
        self.flush(now, id);
        Some(Duration::from_secs(linger.into()))
    }

    /// A close(2) that lingers: is all acknowledged?
    pub(crate) fn try_close(&self, pending: &Pending) -> Attempt {
        let socket = pending.sockets.first().and_then(|id| self.sockets.get(*id));
        match socket.and_then(|socket| socket.tcp()).map(super::Tcp::state) {
            Some(TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck) => Attempt::Wait(Ok(Ret::Unit)),
            _ => Ok(Ret::Unit).into(),
        }
    }

    /// One holder less; the last one closes the socket.
    pub(crate) fn unhold(&mut self, now: Instant, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.refs = socket.refs.saturating_sub(1);
        if socket.refs > 0 {
            let unix = matches!(socket.body, Body::Unix(_));
            if unix && self.sockets.in_flight > 0 {
                self.collect_unreachable();
            }
            return;
        }
        if !socket.watchers.is_empty() {
            self.forget_watched(Watched::File(id));
        }
        let Some(socket) = self.sockets.get_mut(id) else { return };
        match &mut socket.body {
            Body::Udp(_) | Body::Ping(_) | Body::Raw(_) => {
                self.leave_groups(now, id);
                self.release_port(id);
                self.sockets.raw.remove(&id);
                self.sockets.remove(id);
            }
            Body::Unix(_) => self.close_unix(id),
            Body::Epoll(_) => self.close_epoll(id),
            Body::Tcp(tcp) if tcp.listener.is_some() => {
                self.close_listener(now, id);
                self.release_port(id);
                self.sockets.remove(id);
            }
            Body::Tcp(tcp) => {
                // SO_LINGER with zero: throw the connection away.
                let reset = socket.options.linger == Some(0);
                match &mut tcp.tcb {
                    Some(tcb) => {
                        tcb.release(now, reset);
                        self.flush(now, id);
                    }
                    None => {
                        self.release_port(id);
                        self.sockets.remove(id);
                    }
                }
            }
        }
    }
}

/// The kernel chose the name: the connection over, it is gone but for the port that getsockname(2) shows.
fn forget_name(socket: &mut super::Socket) {
    if !socket.bound {
        socket.stale_port = socket.local.take().map_or(0, |local| local.port());
    }
}
