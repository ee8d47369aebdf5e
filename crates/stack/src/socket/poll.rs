//! poll(2): readiness as Linux's `tcp_poll`, `datagram_poll` and `unix_poll` tell it.

use super::wait::{Attempt, Pending};
use super::{Body, Phase, Socket};
use crate::call::{Fd, Ret};
use crate::event::SocketId;
use crate::host::Host;
use crate::snapshot::TcpState;

pub(crate) const POLLIN: u16 = 0x1;
pub(crate) const POLLPRI: u16 = 0x2;
pub(crate) const POLLOUT: u16 = 0x4;
pub(crate) const POLLERR: u16 = 0x8;
pub(crate) const POLLHUP: u16 = 0x10;
const POLLNVAL: u16 = 0x20;
pub(crate) const POLLRDNORM: u16 = 0x40;
pub(crate) const POLLWRNORM: u16 = 0x100;
pub(crate) const POLLWRBAND: u16 = 0x200;
pub(crate) const POLLRDHUP: u16 = 0x2000;

/// What a wake-up is news of: octets or connections have come (Linux `sock_def_readable`).
pub(crate) const NEWS_IN: u16 = POLLIN | POLLPRI | POLLRDNORM | 0x80;
/// There is room to send again (Linux `sk_stream_write_space`).
pub(crate) const NEWS_OUT: u16 = POLLOUT | POLLWRNORM | POLLWRBAND;
/// The socket's state changed, which is news of all (Linux `sock_def_wakeup`).
pub(crate) const NEWS_ALL: u16 = 0xffff;

impl Host {
    pub(crate) fn try_poll(&mut self, pending: &Pending, fds: &[(Fd, u16)]) -> Attempt {
        let mut ready = Vec::new();
        for (fd, asked) in fds {
            // A negative descriptor is passed over.
            if fd.0 < 0 {
                continue;
            }
            let events = match self.socket_of(pending.pid, *fd) {
                Some(socket) => self.poll_file(socket) & (asked | POLLERR | POLLHUP),
                None => POLLNVAL,
            };
            if events != 0 {
                ready.push((*fd, events));
            }
        }
        if ready.is_empty() { Attempt::Wait(Ok(Ret::Ready(ready))) } else { Ok(Ret::Ready(ready)).into() }
    }

    /// Readiness; who finds the send buffer full is to hear when there is room again.
    pub(crate) fn poll_file(&mut self, id: SocketId) -> u16 {
        let events = self.readiness(id);
        if events & POLLOUT == 0
            && let Some(tcp) = self.sockets.get_mut(id).and_then(Socket::tcp_mut)
        {
            tcp.no_space = true;
        }
        events
    }

    pub(crate) fn readiness(&self, id: SocketId) -> u16 {
        let Some(socket) = self.sockets.get(id) else { return POLLNVAL };
        match &socket.body {
            Body::Tcp(_) => tcp_readiness(socket),
            Body::Udp(udp) | Body::Ping(udp) | Body::Raw(udp) => {
                let mut events = POLLOUT | POLLWRNORM | POLLWRBAND;
                if !udp.queue.is_empty() {
                    events |= POLLIN | POLLRDNORM;
                }
                if socket.error.is_some() || !socket.errors.is_empty() {
                    events |= POLLERR;
                }
                if socket.shut_read {
                    events |= POLLIN | POLLRDNORM | POLLRDHUP;
                }
                if socket.shut_read && socket.shut_write {
                    events |= POLLHUP;
                }
                events
            }
            Body::Unix(_) => self.unix_readiness(socket),
            Body::Epoll(epoll) => self.epoll_readiness(epoll),
        }
    }
}

/// Linux `tcp_poll`.
fn tcp_readiness(socket: &Socket) -> u16 {
    let Some(tcp) = socket.tcp() else { return 0 };
    if let Some(listener) = &tcp.listener {
        return if listener.accept_queue.is_empty() { 0 } else { POLLIN | POLLRDNORM };
    }
    let state = tcp.program_state();
    let finished = tcp.tcb.as_ref().is_some_and(crate::tcp::Tcb::peer_finished);
    let shut_read = socket.shut_read || finished;
    let mut events = 0;
    if shut_read && socket.shut_write || state == TcpState::Closed {
        events |= POLLHUP;
    }
    if shut_read {
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    }
    let connecting = matches!(state, TcpState::SynSent | TcpState::SynReceived);
    if !connecting || tcp.phase == Phase::Connected && state != TcpState::SynReceived {
        if tcp.tcb.as_ref().is_some_and(|tcb| tcb.readable() >= tcb.recv_low().max(1)) {
            events |= POLLIN | POLLRDNORM;
        }
        if tcp.tcb.as_ref().is_some_and(crate::tcp::Tcb::has_urgent) {
            events |= POLLPRI;
        }
        if socket.shut_write || tcp.tcb.as_ref().is_none_or(crate::tcp::Tcb::writable) {
            events |= POLLOUT | POLLWRNORM;
        }
    }
    if socket.error.is_some() || !socket.errors.is_empty() {
        events |= POLLERR;
    }
    events
}
