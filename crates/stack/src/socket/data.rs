//! send(2), sendto(2), sendmsg(2), recv(2) and recvmsg(2).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::Body;
use super::control::{self, Control, Wishes, of_datagram};
use super::errors::MSG_ERRQUEUE;
use super::names::own_if_unspecified;
use super::wait::{Attempt, Pending};
use crate::addr::{SockAddr, zone};
use crate::call::Ret;
use crate::errno::{Cause, Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::ip::{DEFAULT_TTL, Header, protocol};
use crate::snapshot::TcpState;
use crate::tcp::OutOfBand;
use crate::time::Instant;
use crate::udp::{MAX_PAYLOAD, MAX_PAYLOAD_V6, UDP_LEN, emit, flow_label};

/// What Linux counts for one fragment of a full Ethernet frame: its `truesize`.
const FRAGMENT_COST: usize = 2304;
const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x20;
const MSG_WAITALL: i32 = 0x100;
const MSG_MORE: i32 = 0x8000;

impl Host {
    /// send(2) and sendto(2). `blocking`: the caller waits until all is taken, as a blocking send(2) does.
    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        pending: &mut Pending,
        data: &Bytes,
        flags: i32,
        (to, control): (Option<&SockAddr>, &[Control]),
        blocking: bool,
    ) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        let urgent = flags & MSG_OOB != 0;
        if urgent && !self.sockets.get(id).is_some_and(super::Socket::is_tcp) {
            return Errno::EOPNOTSUPP.into();
        }
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Tcp(_)) => {
                self.send_stream(now, id, pending, data, (flags & MSG_MORE != 0, urgent, blocking))
            }
            Some(Body::Udp(_) | Body::Ping(_) | Body::Raw(_)) => {
                self.send_datagram(now, id, data, to, control).into()
            }
            Some(Body::Unix(_)) => self.send_unix(id, pending, data, (to, control), blocking),
            Some(Body::Epoll(_)) => Errno::ENOTSOCK.into(),
            None => Errno::EBADF.into(),
        }
    }

    fn send_stream(
        &mut self,
        now: Instant,
        id: SocketId,
        pending: &mut Pending,
        data: &Bytes,
        (more, urgent, blocking): (bool, bool, bool),
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        let shut = socket.shut_write;
        let error = socket.error.as_deref().cloned();
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
                let cause = tcp.ended.as_deref().cloned();
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
        if pending.started && !tcb.wakes_sender() {
            return Attempt::again();
        }
        let rest = data.slice(pending.taken.min(data.len())..);
        let taken = tcb.send(now, &rest, (more, urgent));
        pending.taken += taken;
        let all = pending.taken >= data.len();
        tcp.no_space |= !all;
        self.flush(now, id);
        if all || !blocking && pending.taken > 0 {
            Ok(Ret::Len(pending.taken)).into()
        } else {
            Attempt::again()
        }
    }

    /// send(2), sendto(2), sendmsg(2) of a datagram, a raw packet or an echo request.
    fn send_datagram(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &Bytes,
        to: Option<&SockAddr>,
        control: &[Control],
    ) -> Result<Ret, Failure> {
        if data.len() > 0xffff {
            return Err(Errno::EMSGSIZE.into());
        }
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let udp = matches!(socket.body, Body::Udp(_));
        let to = match (to, socket.peer) {
            (Some(SockAddr::Ip(to)), _) if to.port() == 0 && udp => return Err(Errno::EINVAL.into()),
            (Some(SockAddr::Ip(to)), _) => {
                own_if_unspecified(self.inward(socket, *to, Errno::ENETUNREACH)?)
            }
            (Some(SockAddr::Unix(_)), _) => return Err(Errno::EAFNOSUPPORT.into()),
            (None, Some(peer)) => peer,
            (None, None) => return Err(Errno::EDESTADDRREQ.into()),
        };
        if socket.shut_write {
            return Err(Failure::Errno(Errno::EPIPE, Cause::ClosedByProgram));
        }
        let wishes = self.wishes(control)?;
        match &socket.body {
            Body::Raw(_) => self.send_raw(now, id, data, to, &wishes),
            Body::Ping(_) => self.send_ping(now, id, data, to, &wishes),
            _ => self.send_udp(now, id, data, to, &wishes),
        }
    }

    fn send_udp(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &Bytes,
        to: SocketAddr,
        wishes: &Wishes,
    ) -> Result<Ret, Failure> {
        let most = if to.is_ipv4() { MAX_PAYLOAD } else { MAX_PAYLOAD_V6 };
        if data.len() > most {
            return Err(Errno::EMSGSIZE.into());
        }
        let header = self.datagram_header(id, to, protocol::UDP, wishes)?;
        self.check_send_buffer(id, &header, UDP_LEN + data.len())?;
        self.take_error(id)?;
        let port = self.name_for_sending(id)?;
        let from = SocketAddr::new(header.source, port);
        let header = Header { flow: flow_label(self.config.seed, from, to), ..header };
        self.send_datagram_packet(now, id, to, &header, UDP_LEN + data.len(), |out| {
            emit(from, to, data, out)
        })?;
        Ok(Ret::Len(data.len()))
    }

    /// The IP header of what a datagram socket sends to `to` (Linux `udp_sendmsg`, `ip6_datagram_dst_update`).
    pub(super) fn datagram_header(
        &self,
        id: SocketId,
        to: SocketAddr,
        protocol: u8,
        wishes: &Wishes,
    ) -> Result<Header, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let (options, ip) = (&socket.options, to.ip());
        let (v6, many) = (ip.is_ipv6(), ip.is_multicast());
        let bound = socket.bound_for(ip)?;
        let group = many.then(|| options.ip.group_iface[usize::from(v6)]).flatten();
        let zones = [wishes.iface, zone(to), socket.local.and_then(zone), options.ip.device, group];
        let iface = zones.into_iter().flatten().next();
        let group_source = options.ip.group_source.filter(|_| many && !v6).map(IpAddr::V4);
        // A socket that is bound to a group or a broadcast address sends from one of the host's own.
        let source = wishes.source.or(bound.filter(|own| self.is_own(*own))).or(group_source);
        let path = self.path(ip, source, iface)?;
        // RFC 919: a program must ask for it.
        if path.broadcast && !options.broadcast {
            return Err(Errno::EACCES.into());
        }
        let ttl = match (many, v6) {
            (true, _) => options.ip.group_ttl[usize::from(v6)],
            (false, true) => options.ip.hops.unwrap_or(DEFAULT_TTL),
            (false, false) => options.ttl,
        };
        let class = if v6 { options.ip.class } else { options.tos };
        Ok(Header {
            ttl: wishes.ttl.unwrap_or(ttl),
            tos: wishes.tos.unwrap_or(class),
            fragment: options.ip.fragment(v6),
            iface,
            loops: options.ip.group_loop[usize::from(v6)],
            ..Header::new(source.unwrap_or(path.source), ip, protocol)
        })
    }

    /// Linux `__ip_append_data`: all fragments but the first may take twice the send buffer.
    fn check_send_buffer(&self, id: SocketId, header: &Header, len: usize) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let mtu = self.path(header.destination, Some(header.source), header.iface)?.mtu;
        let fragments = len.div_ceil(mtu.saturating_sub(20).max(8) / 8 * 8);
        if fragments.saturating_sub(1) * FRAGMENT_COST > 2 * socket.options.udp_send_buffer() {
            return Err(Errno::ENOBUFS.into());
        }
        Ok(())
    }

    /// Sends what a datagram socket made; says on the error queue why it was too long.
    pub(super) fn send_datagram_packet(
        &mut self,
        now: Instant,
        id: SocketId,
        to: SocketAddr,
        header: &Header,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), Failure> {
        let sent = self.send_packet(now, header, len, fill);
        if sent == Err(Errno::EMSGSIZE.into()) {
            let mtu = self.path(to.ip(), None, header.iface).map_or(0, |path| path.mtu);
            self.local_error(id, to, mtu);
        }
        sent
    }

    /// The port that the socket sends from: the next free one, if it has none.
    pub(super) fn name_for_sending(&mut self, id: SocketId) -> Result<u16, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if let Some(local) = socket.local {
            return Ok(local.port());
        }
        let any = socket.any();
        let port = self.free_port(id)?;
        self.set_local(id, SocketAddr::new(any, port));
        Ok(port)
    }

    /// What the next call hears, once.
    pub(super) fn take_error(&mut self, id: SocketId) -> Result<(), Failure> {
        match self.sockets.get_mut(id).and_then(|socket| socket.take_error()) {
            Some((errno, cause)) => Err(Failure::Errno(errno, cause)),
            None => Ok(()),
        }
    }

    /// recv(2) and recvmsg(2). `room`: octets of buffer for ancillary data, if it was recvmsg(2).
    pub(crate) fn try_recv(
        &mut self,
        now: Instant,
        pending: &mut Pending,
        (len, room): (usize, Option<usize>),
        flags: i32,
    ) -> Attempt {
        let Some(&id) = pending.sockets.first() else { return Errno::EBADF.into() };
        if flags & MSG_ERRQUEUE != 0 && self.has_error_queue(id) {
            return self.recv_error(id, pending, len, room);
        }
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Tcp(_)) => self.recv_stream(now, id, pending, len, flags),
            Some(Body::Udp(_) | Body::Ping(_) | Body::Raw(_)) => {
                self.recv_datagram(id, pending, len, flags, room)
            }
            Some(Body::Unix(_)) => self.recv_unix(id, pending, (len, room), flags),
            Some(Body::Epoll(_)) => Errno::ENOTSOCK.into(),
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
        let Some(tcb) = tcp.tcb.as_mut() else {
            return if flags & MSG_OOB != 0 { Errno::EINVAL } else { Errno::ENOTCONN }.into();
        };
        if flags & MSG_OOB != 0 {
            return match tcb.recv_urgent(flags & MSG_PEEK != 0) {
                OutOfBand::Octet(octet) => {
                    Ok(Ret::Data(Bytes::copy_from_slice(&[octet][..len.min(1)]), None, MSG_OOB)).into()
                }
                OutOfBand::None => Errno::EINVAL.into(),
                OutOfBand::NotYet if tcb.peer_finished() || shut => {
                    Ok(Ret::Data(Bytes::new(), None, 0)).into()
                }
                OutOfBand::NotYet => Attempt::Done(Err(Errno::EAGAIN.into())),
            };
        }
        let so_far: usize = pending.read.iter().map(Bytes::len).sum();
        let wanted = len.saturating_sub(so_far);
        let available = tcb.readable();
        let target = if flags & MSG_WAITALL != 0 { len } else { len.min(tcb.recv_low()) };
        let all = target > 1;
        let peek = flags & MSG_PEEK != 0;
        // The stream can bring no more.
        let over = tcb.peer_finished() || shut || state == TcpState::Closed;
        if available > 0 && (!all || !peek || available >= target || over) {
            let data = if peek { tcb.peek(wanted) } else { tcb.recv(now, wanted) };
            if !peek {
                self.flush(now, id);
            }
            // MSG_TRUNC on a stream: the octets are thrown away (tcp(7)); the caller sees how many by their length.
            pending.read.push(data);
            let so_far: usize = pending.read.iter().map(Bytes::len).sum();
            if peek || so_far >= target {
                return Ok(Ret::Data(joined(pending), None, 0)).into();
            }
            return if over { Ok(Ret::Data(joined(pending), None, 0)).into() } else { wait_for_all(pending) };
        }
        if so_far > 0 {
            let stop = over || self.sockets.get(id).is_some_and(|socket| socket.error.is_some());
            return if stop { Ok(Ret::Data(joined(pending), None, 0)).into() } else { wait_for_all(pending) };
        }
        if tcb.peer_finished() {
            return Ok(Ret::Data(Bytes::new(), None, 0)).into();
        }
        if let Some((errno, cause)) = self.sockets.get_mut(id).and_then(|socket| socket.take_error()) {
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

    /// recvmsg(2) with `MSG_ERRQUEUE` never blocks in Linux; a caller with a time-out of its own (Python) polls.
    fn recv_error(&mut self, id: SocketId, pending: &Pending, len: usize, room: Option<usize>) -> Attempt {
        match self.take_queued_error(id, len, room.unwrap_or(0)) {
            Some(found) => Ok(found).into(),
            None if pending.call.patience().is_none() => Errno::EAGAIN.into(),
            None => Attempt::again(),
        }
    }

    fn recv_datagram(
        &mut self,
        id: SocketId,
        pending: &Pending,
        len: usize,
        flags: i32,
        room: Option<usize>,
    ) -> Attempt {
        let Some(socket) = self.sockets.get_mut(id) else { return Errno::EBADF.into() };
        if let Some((errno, cause)) = socket.take_error() {
            return Attempt::Done(Err(Failure::Errno(errno, cause)));
        }
        let shut = socket.shut_read;
        let Some(queue) = socket.datagrams_mut() else { return Errno::EBADF.into() };
        let datagram = if flags & MSG_PEEK != 0 {
            queue.queue.front().cloned()
        } else {
            let taken = queue.queue.pop_front();
            queue.held -= taken.as_ref().map_or(0, |datagram| datagram.cost);
            taken
        };
        match datagram {
            Some(datagram) => {
                let cut = datagram.data.len() > len;
                let data = cut_to(&datagram.data, len, flags);
                let flags = if cut { MSG_TRUNC } else { 0 };
                let from = Some(socket.outward(datagram.from));
                match room {
                    None => Ok(Ret::Data(data, from, flags)).into(),
                    Some(room) => {
                        let (control, short) = control::fit(of_datagram(socket, &datagram.meta), room);
                        Ok(Ret::Message { data, from, flags: flags | short, control }).into()
                    }
                }
            }
            // Linux `__skb_wait_for_more_packets`: only one who would sleep hears of the end.
            None if shut && pending.call.patience().is_none() => Ok(Ret::Data(Bytes::new(), None, 0)).into(),
            None => Attempt::again(),
        }
    }
}

/// A datagram for a buffer of `len` octets. With `MSG_TRUNC` recv(2) answers with the real length, so that many octets
/// come; what did not fit is not the datagram's, but zeros.
pub(super) fn cut_to(data: &Bytes, len: usize, flags: i32) -> Bytes {
    if data.len() <= len || flags & MSG_TRUNC == 0 {
        return data.slice(..data.len().min(len));
    }
    let mut whole = vec![0; data.len()];
    for (to, from) in whole.iter_mut().zip(data.iter().take(len)) {
        *to = *from;
    }
    whole.into()
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
