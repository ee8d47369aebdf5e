//! Between TCP sockets and their TCBs: which socket a segment is for, what a TCB did, SYN and accept queues.

use core::net::SocketAddr;

use bytes::Bytes;
use smoltcp::wire::{IpAddress, TcpPacket};

use super::poll::{NEWS_IN, POLLERR};
use super::{Body, Phase, SOCK_STREAM, Socket, Tcp};
use crate::addr::{endpoint, zone};
use crate::errno::{Cause, Errno, Failure};
use crate::event::{Demux, DropReason, HostEvent, IfaceId, SocketId};
use crate::host::{Host, Intercept, InterceptId, TimerKey};
use crate::icmp::Report;
use crate::ip::{Arrived, DEFAULT_TTL, Fragment, Header, protocol};
use crate::rng;
use crate::snapshot::TcpState;
use crate::tcp::{Fail, Note, Params, Segment, Seq, TIMER_KINDS, Tcb, reset_for};
use crate::time::Instant;

/// So many sockets that did not match are named in a [`Demux`]; a port of a busy server has thousands.
const MAX_PASSED_OVER: usize = 8;

/// A SYN that a gateway holds.
#[derive(Clone, Debug)]
pub(crate) struct HeldSyn {
    pub(crate) client: SocketAddr,
    pub(crate) target: SocketAddr,
    pub(crate) syn: Segment,
    /// The packet, to be quoted by an ICMP error.
    pub(crate) packet: Bytes,
}

impl Host {
    pub(crate) fn receive_tcp(&mut self, now: Instant, arrived: &Arrived) {
        let (source, destination) = (arrived.source, arrived.destination);
        let Ok(packet) = TcpPacket::new_checked(arrived.payload.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        // RFC 9293 3.10.7: TCP is between two hosts.
        if arrived.to_many {
            return self.drop_packet(DropReason::NotForThisHost);
        }
        if !packet.verify_checksum(&IpAddress::from(source), &IpAddress::from(destination)) {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let iface = arrived.iface;
        let peer = endpoint(source, packet.src_port(), iface);
        let local = endpoint(destination, packet.dst_port(), iface);
        let Some(mut segment) = Segment::parse(&arrived.payload) else {
            return self.drop_packet(DropReason::Malformed);
        };
        // The ECN field (RFC 3168 5).
        segment.capable = arrived.tos & 3 != 0;
        segment.congested = arrived.tos & 3 == 3;
        let mut connection = self.sockets.connection(local, peer);
        if let Some(id) = connection {
            // A new connection takes the place of one in TIME-WAIT.
            if self.sockets.get(id).and_then(Socket::tcb).is_some_and(|tcb| tcb.may_be_reopened_by(&segment))
                && self.listener_for(peer, local, iface).is_some()
            {
                if let Some(tcb) = self.sockets.get_mut(id).and_then(|socket| socket.tcb_mut()) {
                    tcb.give_up();
                }
                self.flush(now, id);
                connection = None;
            }
        }
        let foreign = self.config.any_ip && !self.is_own(arrived.destination);
        let listener =
            if connection.is_none() && !foreign { self.listener_for(peer, local, iface) } else { None };
        let chosen = connection.or(listener);
        let passed_over = self.sockets.tcp_ports.others(local.port(), chosen, MAX_PASSED_OVER);
        if !foreign || chosen.is_some() {
            self.events.push_back(HostEvent::Demux(Demux {
                protocol: 6,
                from: peer,
                to: local,
                chosen,
                passed_over,
            }));
        }
        match (connection, listener) {
            (Some(id), _) => self.segment_for_connection(now, id, &segment),
            (None, Some(id)) => self.segment_for_listener(now, id, local, peer, &segment),
            (None, None) if foreign => self.segment_for_gateway(now, local, peer, segment, arrived),
            (None, None) => {
                self.drop_packet(DropReason::NoListener);
                if let Some(reset) = reset_for(&segment) {
                    self.send_segment(now, local, peer, (crate::ip::DEFAULT_TTL, 0), &reset);
                }
            }
        }
    }

    /// The listener for a local end: the most specific one, of equals the first.
    fn listener_for(&self, peer: SocketAddr, local: SocketAddr, iface: IfaceId) -> Option<SocketId> {
        let mut best: Option<(u32, SocketId)> = None;
        for id in self.sockets.listeners.get(&local.port())? {
            let score = self.sockets.get(*id).and_then(|socket| socket.fit(peer, local, iface));
            if let Some(score) = score.filter(|score| best.is_none_or(|(best, _)| *score > best)) {
                best = Some((score, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn segment_for_connection(&mut self, now: Instant, id: SocketId, segment: &Segment) {
        let Some(socket) = self.sockets.get(id) else { return };
        let Some(tcp) = socket.tcp() else { return };
        // The handshake may end only if there is room in the accept queue; else the client has to try again.
        if let (Some(listener), TcpState::SynReceived) = (tcp.waits_at, tcp.state()) {
            let full = self
                .sockets
                .get(listener)
                .and_then(|socket| socket.tcp()?.listener.as_deref())
                .is_some_and(super::Listener::is_full);
            if full && segment.flags.ack && !segment.flags.rst {
                if self.sysctl.tcp_abort_on_overflow
                    && let Some(tcb) = self.sockets.get_mut(id).and_then(|socket| socket.tcb_mut())
                {
                    tcb.abort(now);
                    self.flush(now, id);
                }
                return self.drop_packet(DropReason::AcceptQueueFull);
            }
        }
        let peer = self.sockets.get(id).and_then(|socket| socket.peer);
        let mut progress = false;
        if let Some(tcp) = self.sockets.get_mut(id).and_then(|socket| socket.tcp_mut())
            && let Some(tcb) = tcp.tcb.as_mut()
        {
            let before = tcb.acknowledged();
            tcb.on_segment(now, segment);
            progress = tcb.acknowledged() != before;
            if tcp.no_space {
                tcb.expand_send_buffer();
            }
        }
        if let Some(peer) = peer.filter(|_| progress) {
            self.confirm_neighbour(now, peer.ip(), zone(peer));
        }
        self.flush(now, id);
    }

    /// RFC 9293 3.10.7.2.
    fn segment_for_listener(
        &mut self,
        now: Instant,
        id: SocketId,
        local: SocketAddr,
        peer: SocketAddr,
        segment: &Segment,
    ) {
        if segment.flags.rst {
            return;
        }
        if segment.flags.ack {
            if let Some(reset) = reset_for(segment) {
                self.send_segment(now, local, peer, (crate::ip::DEFAULT_TTL, 0), &reset);
            }
            return;
        }
        if !segment.flags.syn || segment.flags.fin {
            return;
        }
        let most_half_open = self.sysctl.tcp_max_syn_backlog;
        let Some(listener) = self.sockets.get_mut(id).and_then(|socket| socket.listener_mut()) else {
            return;
        };
        if listener.is_full() {
            return self.drop_packet(DropReason::AcceptQueueFull);
        }
        // Linux turns to SYN cookies when the queue is full, so that the limit of listen(2) is not seen; this one is.
        if listener.syn_queue.len() >= most_half_open {
            return self.drop_packet(DropReason::SynQueueFull);
        }
        let child = self.make_child(now, Some(id), local, peer, segment);
        if let Some(listener) = self.sockets.get_mut(id).and_then(|socket| socket.listener_mut()) {
            listener.syn_queue.insert(child);
        }
        self.flush(now, child);
    }

    /// A socket for a connection that begins with this SYN. It inherits the listener's options.
    pub(crate) fn make_child(
        &mut self,
        now: Instant,
        listener: Option<SocketId>,
        local: SocketAddr,
        peer: SocketAddr,
        syn: &Segment,
    ) -> SocketId {
        let family = if peer.is_ipv4() { super::AF_INET } else { super::AF_INET6 };
        let mut socket = Socket::new(family, SOCK_STREAM, 6, Body::Tcp(Box::default()));
        if let Some(listener) = listener.and_then(|id| self.sockets.get(id)) {
            socket.options = listener.options.clone();
            socket.family = listener.family;
        }
        socket.peer = Some(peer);
        let child = self.sockets.insert(socket);
        self.set_local(child, local);
        let mtu = self.path_mtu(peer);
        let params = self.tcp_params(now, local, peer, child, mtu);
        let tcb = Tcb::accept(now, params, syn);
        self.sockets.connect(child);
        if let Some(tcp) = self.sockets.get_mut(child).and_then(|socket| socket.tcp_mut()) {
            *tcp = Tcp { phase: Phase::Connected, tcb: Some(tcb), waits_at: listener, ..Tcp::default() };
        }
        child
    }

    fn path_mtu(&self, peer: SocketAddr) -> usize {
        self.path(peer.ip(), None, zone(peer)).map_or(1500, |path| path.mtu)
    }

    /// RFC 6528: the ISS is a clock of 4 us plus a keyed hash of the four numbers.
    pub(crate) fn tcp_params(
        &self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        id: SocketId,
        mtu: usize,
    ) -> Params {
        let ([a, b, c], [d, e, f]) = (rng::endpoint(local), rng::endpoint(peer));
        let hash = rng::hash(self.config.seed, &[a, b, c, d, e, f]);
        let offset = rng::hash(self.config.seed, &[a, b, d, e]);
        let settings = self.sockets.get(id).map(|socket| socket.options.tcp.clone()).unwrap_or_default();
        let headers: u32 = if peer.is_ipv4() { 40 } else { 60 };
        let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
        let most = settings.max_segment.map_or(u32::MAX, u32::from);
        Params {
            profile: self.config.profile,
            sysctl: self.sysctl.clone(),
            path_mtu: mtu,
            headers,
            iss: Seq((hash as u32).wrapping_add((now.as_nanos() / 4_000) as u32)),
            timestamp_offset: offset as u32,
            mss: mtu.saturating_sub(headers).clamp(88, 65_495).min(most),
            settings,
        }
    }

    fn segment_for_gateway(
        &mut self,
        now: Instant,
        target: SocketAddr,
        client: SocketAddr,
        segment: Segment,
        arrived: &Arrived,
    ) {
        let held = self.held.iter().find(|(_, held)| held.client == client && held.target == target);
        if let Some((id, held)) = held.map(|(id, held)| (*id, held.clone())) {
            // The client gives up before we answered. Repeated SYNs wait like the first.
            let about_it = segment.seq == held.syn.seq || segment.seq == held.syn.seq + 1;
            if segment.flags.rst && about_it {
                self.held.remove(&id);
            } else if segment.flags.syn && segment.seq != held.syn.seq {
                self.held.remove(&id);
                self.segment_for_gateway(now, target, client, segment, arrived);
            }
            return;
        }
        if segment.flags.syn && !segment.flags.ack && !segment.flags.rst && !segment.flags.fin {
            let id = InterceptId(self.next_intercept);
            self.next_intercept += 1;
            self.held.insert(id, HeldSyn { client, target, syn: segment, packet: arrived.packet.clone() });
            self.intercepts.push_back(Intercept::Syn { id, client, target });
        } else if let Some(reset) = reset_for(&segment) {
            self.send_segment(now, target, client, (crate::ip::DEFAULT_TTL, 0), &reset);
        }
    }

    pub(crate) fn send_segment(
        &mut self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        (ttl, tos): (u8, u8),
        segment: &Segment,
    ) {
        // Without a route the segment is lost, and its timer goes on.
        let _ = self.try_segment(now, (local, peer), (ttl, tos), None, segment);
    }

    fn try_segment(
        &mut self,
        now: Instant,
        (local, peer): (SocketAddr, SocketAddr),
        (ttl, tos): (u8, u8),
        device: Option<IfaceId>,
        segment: &Segment,
    ) -> Result<(), Failure> {
        let header = Header {
            ttl,
            tos,
            flow: if peer.is_ipv6() { crate::udp::flow_label(self.config.seed, local, peer) } else { 0 },
            fragment: Fragment::Do,
            iface: zone(peer).or(device),
            ..Header::new(local.ip(), peer.ip(), protocol::TCP)
        };
        self.send_packet(now, &header, segment.wire_len(), |out| segment.emit(local, peer, out))
    }

    /// Takes what a TCB has made: sends segments, reports notes, keeps tables and timers true, wakes those who wait.
    pub(crate) fn flush(&mut self, now: Instant, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let (Some(local), Some(peer)) = (socket.local, socket.peer) else { return };
        let options = &socket.options;
        let (ttl, tos) = match peer {
            SocketAddr::V4(_) => (options.ttl, options.tos),
            SocketAddr::V6(_) => (options.ip.hops.unwrap_or(DEFAULT_TTL), options.ip.class),
        };
        let device = options.ip.device;
        let Some(tcp) = socket.tcp_mut() else { return };
        let Some(tcb) = tcp.tcb.as_mut() else { return };
        let segments = core::mem::take(&mut tcb.out);
        let notes = core::mem::take(&mut tcb.notes);
        let (state, deadline) = (tcb.state(), tcb.deadline());
        let deadlines = tcb.deadlines();
        tcb.settle();
        let before = tcp.timers.0;
        if deadlines != before {
            tcp.timers.0 = deadlines;
            tcp.timers.settle();
        }
        let news = tcp.news(&notes);
        let mut too_long = false;
        for segment in &segments {
            // RFC 3168 6.1.5: new data only.
            let tos = tos & !3 | if segment.capable { 2 } else { 0 };
            let sent = self.try_segment(now, (local, peer), (ttl, tos), device, segment);
            too_long |= sent == Err(Errno::EMSGSIZE.into());
        }
        for note in notes {
            self.report(id, local, peer, note);
        }
        for ((timer, old), deadline) in TIMER_KINDS.into_iter().zip(before).zip(deadlines) {
            if old != deadline {
                self.events.push_back(HostEvent::TimerSet { socket: id, timer, deadline });
            }
        }
        self.set_deadline(id, deadline);
        self.wake_for(id, news);
        if state == TcpState::Closed {
            self.connection_closed(id);
        } else if too_long {
            // Somebody else has found out that the way is narrower (Linux `tcp_sync_mss`).
            self.shrink_segments(now, id, self.path_mtu(peer));
        }
    }

    fn set_deadline(&mut self, id: SocketId, deadline: Option<Instant>) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if socket.deadline == deadline {
            return;
        }
        if let Some(old) = socket.deadline {
            self.timers.remove(&(old, TimerKey::Socket(id)));
        }
        socket.deadline = deadline;
        if let Some(new) = deadline {
            self.timers.insert((new, TimerKey::Socket(id)));
        }
    }

    fn report(&mut self, id: SocketId, local: SocketAddr, peer: SocketAddr, note: Note) {
        match note {
            Note::State(from, to) => {
                self.events.push_back(HostEvent::TcpState { socket: id, local, peer: Some(peer), from, to });
                if from == TcpState::SynReceived && to != TcpState::Closed {
                    self.handshake_done(id);
                }
            }
            Note::Retransmitted { seq, len, attempt } => {
                let (seq, len) = (seq.0, len as usize);
                self.events.push_back(HostEvent::Retransmitted { socket: id, seq, len, attempt });
            }
            Note::Urgent => {}
            Note::Timer(timer) => self.events.push_back(HostEvent::TimerFired { socket: id, timer }),
            Note::Failed(why) => {
                let Some(socket) = self.sockets.get_mut(id) else { return };
                let soft = socket.tcp_mut().and_then(|tcp| tcp.soft_error.take().map(|soft| *soft));
                let (errno, cause) = match why {
                    Fail::Refused => (Errno::ECONNREFUSED, Cause::RefusedByPeer { peer }),
                    Fail::Reset { closing: false } => (Errno::ECONNRESET, Cause::ResetByPeer { peer }),
                    Fail::Reset { closing: true } => (Errno::EPIPE, Cause::PeerGone { peer }),
                    // Linux `tcp_write_err`: what ICMP said last is the better answer.
                    Fail::TimedOut { transmissions } => {
                        soft.unwrap_or((Errno::ETIMEDOUT, Cause::NoAnswer { peer, transmissions }))
                    }
                };
                socket.set_error(errno, cause.clone());
                if let Some(tcp) = socket.tcp_mut() {
                    tcp.ended = Some(Box::new(cause));
                }
            }
        }
    }

    /// A child moves from its listener's SYN queue to the accept queue.
    fn handshake_done(&mut self, id: SocketId) {
        let Some(listener_id) = self.sockets.get(id).and_then(|socket| socket.tcp()?.waits_at) else {
            return;
        };
        let Some(listener) = self.sockets.get_mut(listener_id).and_then(|socket| socket.listener_mut())
        else {
            return;
        };
        if listener.syn_queue.remove(&id) {
            listener.accept_queue.push_back(id);
            self.wake_for(listener_id, NEWS_IN);
        }
    }

    /// Linux `tcp_done`: out of the tables; and gone, if nobody holds the socket.
    fn connection_closed(&mut self, id: SocketId) {
        self.sockets.disconnect(id);
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.shut_read = true;
        socket.shut_write = true;
        let (refs, bound) = (socket.refs, socket.bound);
        let queue = socket.tcp().and_then(|tcp| tcp.waits_at);
        if !bound || refs == 0 {
            self.release_port(id);
        }
        let mut kept = refs > 0;
        if let Some(listener) = queue.and_then(|id| self.sockets.get_mut(id)).and_then(|s| s.listener_mut()) {
            listener.syn_queue.remove(&id);
            // A connection that broke while it waited is still accepted; the program finds out then.
            kept |= listener.accept_queue.contains(&id);
        }
        if !kept {
            self.set_deadline(id, None);
            self.sockets.remove(id);
        }
    }

    /// A segment of ours was too long for the way.
    pub(crate) fn tcp_too_big(
        &mut self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        seq: u32,
        mtu: u32,
    ) {
        let Some(id) = self.sockets.connection(local, peer) else { return };
        let tcb = self.sockets.get(id).and_then(|socket| socket.tcb());
        if tcb.is_some_and(|tcb| tcb.has_in_flight(Seq(seq))) {
            self.lower_path_mtu(now, peer.ip(), mtu);
            self.shrink_segments(now, id, self.path_mtu(peer));
        }
    }

    fn shrink_segments(&mut self, now: Instant, id: SocketId, mtu: usize) {
        let Some(tcb) = self.sockets.get_mut(id).and_then(|socket| socket.tcb_mut()) else { return };
        let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
        let before = tcb.max_segment();
        tcb.reduce_mtu(now, mtu);
        if tcb.max_segment() < before {
            self.flush(now, id);
        }
    }

    /// An ICMP error about a segment of ours (Linux `tcp_v4_err`).
    pub(crate) fn tcp_unreachable(
        &mut self,
        now: Instant,
        (local, peer): (SocketAddr, SocketAddr),
        seq: u32,
        report: &Report,
        quoted: &Bytes,
    ) {
        let error = (report.errno, report.cause.clone());
        let Some(id) = self.sockets.connection(local, peer) else { return };
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let Some(tcp) = socket.tcp_mut() else { return };
        // RFC 5927 4.1: it must be about something that is in flight.
        if !tcp.tcb.as_ref().is_some_and(|tcb| tcb.has_in_flight(Seq(seq))) {
            return;
        }
        let connecting = matches!(tcp.state(), TcpState::SynSent | TcpState::SynReceived);
        if !connecting {
            // RFC 1122 4.2.3.9: only a hint, the connection may recover.
            tcp.soft_error = Some(Box::new(error.clone()));
            if socket.options.ip.recverr(peer.is_ipv6()) {
                socket.error = Some(Box::new(error));
                self.wake_for(id, POLLERR);
            }
            return;
        }
        tcp.ended = Some(Box::new(error.1.clone()));
        if let Some(tcb) = &mut tcp.tcb {
            tcb.give_up();
        }
        socket.error = Some(Box::new(error));
        // Linux `tcp_v4_err`, unlike `tcp_v6_err`: nobody has to ask for it (`IP_RECVERR`).
        if peer.is_ipv4() || socket.options.ip.recverr(true) {
            socket.queue_error(report, peer, quoted.clone());
        }
        self.flush(now, id);
    }
}
