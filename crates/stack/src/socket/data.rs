//! send(2), sendto(2) and recv(2).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::connect::own_if_unspecified;
use super::wait::{Attempt, Pending};
use super::{Body, SocketOptions};
use crate::addr::SockAddr;
use crate::call::Ret;
use crate::errno::{Cause, Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::snapshot::TcpState;
use crate::time::Instant;
use crate::udp::MAX_PAYLOAD;

const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x20;
const MSG_WAITALL: i32 = 0x100;
const MSG_ERRQUEUE: i32 = 0x2000;
const MSG_MORE: i32 = 0x8000;

impl Host {
    /// send(2) and sendto(2). `blocking`: the caller waits until all is taken, as a blocking send(2) does.
    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        pending: &mut Pending,
        data: &Bytes,
        flags: i32,
        to: Option<&SockAddr>,
        blocking: bool,
    ) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        if flags & MSG_OOB != 0 {
            return Errno::EOPNOTSUPP.into();
        }
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Tcp(_)) => self.send_stream(now, id, pending, data, (flags & MSG_MORE != 0, blocking)),
            Some(Body::Udp(_)) => self.send_datagram(now, id, data, to).into(),
            Some(Body::Unix(_)) => self.send_unix(id, pending, data, blocking),
            None => Errno::EBADF.into(),
        }
    }

    fn send_stream(
        &mut self,
        now: Instant,
        id: SocketId,
        pending: &mut Pending,
        data: &Bytes,
        (more, blocking): (bool, bool),
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let shut = socket.shut_write;
        let error = socket.error.clone();
        let Some(tcp) = socket.tcp_mut() else { return Errno::EBADF.into() };
        let state = tcp.program_state();
        let failure = match (&error, state) {
            (Some((errno, cause)), _) => Some((*errno, cause.clone())),
            (
                None,
                TcpState::Established | TcpState::CloseWait | TcpState::SynSent | TcpState::SynReceived,
            ) if !shut => None,
            (None, _) => {
                let by_program = tcp.tcb.is_some() && tcp.ended.is_none();
                let cause = tcp.ended.clone();
                Some((
                    Errno::EPIPE,
                    cause.unwrap_or(if by_program { Cause::ClosedByProgram } else { Cause::Rule }),
                ))
            }
        };
        if let Some((errno, cause)) = failure {
            if pending.taken > 0 {
                return Ok(Ret::Len(pending.taken)).into();
            }
            socket.error = None;
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        if matches!(state, TcpState::SynSent | TcpState::SynReceived) {
            return Attempt::again();
        }
        let Some(tcb) = tcp.tcb.as_mut() else { return Errno::EPIPE.into() };
        // One who sleeps is woken when a third of the buffer is free (Linux `sk_stream_write_space`).
        if pending.started && !tcb.writable() {
            return Attempt::again();
        }
        let rest = data.slice(pending.taken.min(data.len())..);
        let taken = tcb.send(now, &rest, more);
        pending.taken += taken;
        self.flush(now, id);
        let all = pending.taken >= data.len();
        if all || !blocking && pending.taken > 0 {
            Ok(Ret::Len(pending.taken)).into()
        } else {
            Attempt::again()
        }
    }

    fn send_datagram(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &Bytes,
        to: Option<&SockAddr>,
    ) -> Result<Ret, Failure> {
        if data.len() > 0xffff {
            return Err(Errno::EMSGSIZE.into());
        }
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let to = match (to, socket.peer) {
            (Some(SockAddr::Ip(to)), _) if to.port() == 0 => return Err(Errno::EINVAL.into()),
            (Some(SockAddr::Ip(to)), _) => own_if_unspecified(*to),
            (Some(SockAddr::Unix(_)), _) => return Err(Errno::EAFNOSUPPORT.into()),
            (None, Some(peer)) => peer,
            (None, None) => return Err(Errno::EDESTADDRREQ.into()),
        };
        if socket.shut_write {
            return Err(Failure::Errno(Errno::EPIPE, Cause::ClosedByProgram));
        }
        if data.len() > MAX_PAYLOAD {
            return Err(Errno::EMSGSIZE.into());
        }
        let local = socket.local;
        let SocketOptions { broadcast, ttl, tos, .. } = socket.options;
        let IpAddr::V4(ip) = to.ip() else { return Err(Errno::EAFNOSUPPORT.into()) };
        let bound = local.map(|local| local.ip()).and_then(|ip| match ip {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        });
        // RFC 919: a program must ask for it.
        if self.is_broadcast(to.ip()) && !broadcast {
            return Err(Errno::EACCES.into());
        }
        let path = self.path(ip, bound)?;
        if let Some((errno, cause)) = self.sockets.get_mut(id).and_then(|socket| socket.error.take()) {
            return Err(Failure::Errno(errno, cause));
        }
        let port = match local {
            Some(local) => local.port(),
            None => {
                let port = self.free_port(id)?;
                self.set_local(id, SocketAddr::from((core::net::Ipv4Addr::UNSPECIFIED, port)));
                port
            }
        };
        let source = bound.unwrap_or(path.source);
        let ttl = if ip.is_multicast() { 1 } else { ttl };
        self.send_udp(now, (source, port), (ip, to.port()), data, Some((ttl, tos)))?;
        Ok(Ret::Len(data.len()))
    }

    pub(crate) fn try_recv(
        &mut self,
        now: Instant,
        pending: &mut Pending,
        len: usize,
        flags: i32,
    ) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        if flags & MSG_ERRQUEUE != 0 {
            return Errno::EAGAIN.into();
        }
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Tcp(_)) => self.recv_stream(now, id, pending, len, flags),
            Some(Body::Udp(_)) => self.recv_datagram(id, len, flags),
            Some(Body::Unix(_)) => self.recv_unix(id, pending, len, flags),
            None => Errno::EBADF.into(),
        }
    }

    fn recv_stream(
        &mut self,
        now: Instant,
        id: SocketId,
        pending: &mut Pending,
        len: usize,
        flags: i32,
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let shut = socket.shut_read;
        let Some(tcp) = socket.tcp_mut() else { return Errno::EBADF.into() };
        let state = tcp.program_state();
        if state == TcpState::Listen {
            return Errno::ENOTCONN.into();
        }
        if flags & MSG_OOB != 0 {
            return Errno::EINVAL.into();
        }
        let Some(tcb) = tcp.tcb.as_mut() else { return Errno::ENOTCONN.into() };
        let so_far: usize = pending.read.iter().map(Bytes::len).sum();
        let wanted = len.saturating_sub(so_far);
        let available = tcb.readable();
        let all = flags & MSG_WAITALL != 0;
        let peek = flags & MSG_PEEK != 0;
        // The stream can bring no more.
        let over = tcb.peer_finished() || shut || state == TcpState::Closed;
        if available > 0 && (!all || !peek || available >= wanted || over) {
            let data = if peek { tcb.peek(wanted) } else { tcb.recv(now, wanted) };
            if !peek {
                self.flush(now, id);
            }
            // MSG_TRUNC on a stream: the octets are thrown away (tcp(7)); the caller sees how many by their length.
            pending.read.push(data);
            let so_far: usize = pending.read.iter().map(Bytes::len).sum();
            if !all || peek || so_far >= len {
                return Ok(Ret::Data(joined(pending), None, 0)).into();
            }
            return if over { Ok(Ret::Data(joined(pending), None, 0)).into() } else { Attempt::again() };
        }
        if so_far > 0 {
            let stop = over || self.sockets.get(id).is_some_and(|socket| socket.error.is_some());
            return if stop { Ok(Ret::Data(joined(pending), None, 0)).into() } else { wait_for_all(pending) };
        }
        if tcb.peer_finished() {
            return Ok(Ret::Data(Bytes::new(), None, 0)).into();
        }
        if let Some((errno, cause)) = self.sockets.get_mut(id).and_then(|socket| socket.error.take()) {
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        if shut {
            return Ok(Ret::Data(Bytes::new(), None, 0)).into();
        }
        if state == TcpState::Closed {
            return Errno::ENOTCONN.into();
        }
        Attempt::again()
    }

    fn recv_datagram(&mut self, id: SocketId, len: usize, flags: i32) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        if let Some((errno, cause)) = socket.error.take() {
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        let shut = socket.shut_read;
        let Body::Udp(udp) = &mut socket.body else { return Errno::EBADF.into() };
        let datagram = if flags & MSG_PEEK != 0 {
            udp.queue.front().cloned()
        } else {
            let taken = udp.queue.pop_front();
            udp.held -= taken.as_ref().map_or(0, |datagram| datagram.cost);
            taken
        };
        match datagram {
            Some(datagram) => {
                let cut = datagram.data.len() > len;
                let data = datagram.data.slice(..datagram.data.len().min(len));
                let flags = if cut { MSG_TRUNC } else { 0 };
                Ok(Ret::Data(data, Some(SockAddr::Ip(datagram.from)), flags)).into()
            }
            None if shut => Ok(Ret::Data(Bytes::new(), None, 0)).into(),
            None => Attempt::again(),
        }
    }
}

pub(super) fn joined(pending: &mut Pending) -> Bytes {
    match pending.read.as_mut_slice() {
        [one] => core::mem::take(one),
        many => many.concat().into(),
    }
}

/// `MSG_WAITALL` has some octets. A caller that does not want to block gets those.
fn wait_for_all(pending: &mut Pending) -> Attempt {
    let so_far: Bytes = pending.read.concat().into();
    Attempt::Wait(Ok(Ret::Data(so_far, None, 0)))
}
