//! What the program does with a connection, and what it may know of it: send(2), recv(2), shutdown(2), close(2), options.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use super::buffers::{BUFFER_HEAD, HEADERS};
use super::segment::Flags;
use super::{Segment, Seq, Settings, Tcb};
use crate::snapshot::TcpState;
use crate::spare::Spare;
use crate::time::Instant;

impl Tcb {
    /// Takes octets to send, as many as there is room for. `more` (`MSG_MORE`): a segment that is not full waits for
    /// what comes next. `urgent` (`MSG_OOB`): the last octet is urgent.
    pub(crate) fn send(&mut self, now: Instant, data: &Bytes, (more, urgent): (bool, bool)) -> usize {
        self.more = more;
        if self.board.list.is_empty()
            && self.params.sysctl.tcp_slow_start_after_idle
            && let Some(at) = self.sent_at
        {
            self.congestion.after_idle(now, now - at, self.rtt.rto());
        }
        let mut taken = 0;
        loop {
            let tail = self.room_in_tail();
            let room = if tail > 0 { tail } else { self.room_for_buffer() };
            let part = (data.len() - taken).min(room);
            if part == 0 {
                break;
            }
            self.send_queue.push(data.slice(taken..taken + part), tail == 0);
            taken += part;
            if urgent && taken == data.len() {
                self.mark_urgent();
            }
            self.output(now);
        }
        self.more = false;
        taken
    }

    /// Octets that the last buffer still takes, whatever the limits say (Linux `tcp_sendmsg_locked`).
    fn room_in_tail(&self) -> usize {
        match self.send_queue.unsent_tail(self.unsent() as usize) {
            0 => 0,
            tail => self.size_goal().saturating_sub(tail),
        }
    }

    /// Octets that a new buffer would take: none if the memory is used up, or if `TCP_NOTSENT_LOWAT` octets were never
    /// sent. Linux looks at the limits only before it begins a buffer (`sk_stream_memory_free`), so the last one may go
    /// over them.
    fn room_for_buffer(&self) -> usize {
        let free = self.send_queue.memory() < self.send_buffer() && self.unsent() < self.notsent_lowat();
        if free { self.size_goal() } else { 0 }
    }

    /// `TCP_NOTSENT_LOWAT`, or the host's; `u32::MAX` is no limit.
    fn notsent_lowat(&self) -> u32 {
        self.params.settings.notsent_lowat.unwrap_or(self.params.sysctl.tcp_notsent_lowat)
    }

    /// Size of the send buffer, in octets of memory.
    pub(crate) fn send_buffer(&self) -> usize {
        self.params.settings.send_buffer.unwrap_or(self.send_memory as usize)
    }

    /// Linux `tcp_sndbuf_expand`: memory for two windows of segments, each with its heads in a block of a power of two;
    /// `tcp_wmem[2]` at most. It never shrinks. Done when the connection is established, and when a segment comes while the
    /// program waits for room (`tcp_new_space`). Linux leaves it as it is while the congestion window is full, which its
    /// bursts hardly ever are: they wait for each other (`tcp_tso_should_defer`). Here the window is full at once.
    pub(crate) fn expand_send_buffer(&mut self) {
        let segment_memory = (self.mss() as usize + HEADERS).next_power_of_two() + BUFFER_HEAD;
        let segments = self.congestion.cwnd.max(self.loss.reordering + 1).max(10) as usize;
        let wanted = (2 * segments * segment_memory).min(self.params.sysctl.tcp_wmem[2]);
        self.send_memory = self.send_memory.max(u32::try_from(wanted).unwrap_or(u32::MAX));
    }

    /// Whether poll(2) shows the connection as writable: a third of the buffer's memory is free (Linux
    /// `sk_stream_is_writeable`).
    pub(crate) fn writable(&self) -> bool {
        self.has_room_after(0)
    }

    /// Whether one who waits for room is woken: of `TCP_NOTSENT_LOWAT` only half may be in use (Linux
    /// `sk_stream_write_space`).
    pub(crate) fn wakes_sender(&self) -> bool {
        self.has_room_after(1)
    }

    fn has_room_after(&self, shift: u32) -> bool {
        let (used, low) = (self.send_queue.memory(), self.notsent_lowat());
        let free = self.send_buffer().saturating_sub(used);
        free > 0 && free >= used / 2 && u64::from(self.unsent()) << shift < u64::from(low)
    }

    /// Octets in the send buffer that were never sent.
    pub(crate) fn unsent(&self) -> u32 {
        if self.fin_sent() { 0 } else { self.queue_end().since(self.snd_nxt) }
    }

    pub(crate) fn readable(&self) -> usize {
        self.readable_octets()
    }

    /// The next octet expected from the peer.
    pub(crate) fn expected(&self) -> Seq {
        self.rcv_nxt
    }

    /// Everything from the peer has come, and its FIN.
    pub(crate) fn peer_finished(&self) -> bool {
        self.fin_received
    }

    pub(crate) fn peek(&self, len: usize) -> Bytes {
        let mark = usize::from(self.recv_queue.len() > self.readable());
        let data = self.recv_queue.peek(self.octets_before_mark(len).saturating_add(mark));
        data.slice(mark.min(data.len())..)
    }

    /// Octets that recv(2) may give now, and wait no longer (`SO_RCVLOWAT`).
    pub(crate) fn recv_low(&self) -> usize {
        self.params.settings.recv_low as usize
    }

    pub(crate) fn recv(&mut self, now: Instant, len: usize) -> Bytes {
        self.skip_urgent();
        let len = self.octets_before_mark(len);
        let data = if self.recv_queue.is_empty() { Bytes::new() } else { self.recv_queue.take(len) };
        self.tune_recv_space(now, data.len());
        self.update_window(now, data.len());
        data
    }

    /// The program has finished sending: FIN follows what is queued.
    pub(crate) fn finish(&mut self, now: Instant) {
        match self.state {
            TcpState::SynSent => self.close(),
            TcpState::Established | TcpState::SynReceived => {
                self.fin_queued = true;
                self.enter(TcpState::FinWait1);
                self.output(now);
            }
            TcpState::CloseWait => {
                self.fin_queued = true;
                self.enter(TcpState::LastAck);
                self.output(now);
            }
            _ => {}
        }
    }

    /// The last descriptor is closed. `reset`: unread data, or `SO_LINGER` with zero.
    pub(crate) fn release(&mut self, now: Instant, reset: bool) {
        self.orphan = true;
        if self.rare.keep_timer.is_some() {
            self.rare.keep_timer = None;
        }
        let reset = reset || !self.recv_queue.is_empty();
        self.recv_queue = Spare::default();
        match self.state {
            TcpState::Closed | TcpState::SynSent => self.close(),
            TcpState::TimeWait => {}
            _ if reset => self.abort(now),
            TcpState::FinWait2 => self.wait_in_fin_wait_2(now, None),
            _ => self.finish(now),
        }
    }

    /// ABORT: a RST, and it is over.
    pub(crate) fn abort(&mut self, now: Instant) {
        if !matches!(self.state, TcpState::Closed | TcpState::SynSent | TcpState::TimeWait) {
            let flags = Flags { rst: true, ack: true, ..Flags::default() };
            self.push_segment(now, self.snd_nxt, flags, Bytes::new().into());
        }
        self.out_of_order.clear();
        self.close();
    }

    /// The network said that this cannot work (ICMP, no neighbour).
    pub(crate) fn give_up(&mut self) {
        self.close();
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Arc<Settings> {
        &mut self.params.settings
    }

    /// Settings changed: what was held back may go now.
    pub(crate) fn apply_settings(&mut self, now: Instant) {
        if let Some(size) = self.params.settings.recv_buffer {
            self.recv_space = size / 2;
        }
        if let Some(clamp) = self.params.settings.window_clamp {
            self.window_clamp = clamp;
            self.rcv_ssthresh = self.rcv_ssthresh.min(clamp);
        }
        if self.congestion.name() != self.params.congestion().name() {
            self.congestion.choose(self.params.congestion(), self.params.sysctl.hystart);
        }
        let idle = self.params.keep_idle();
        let wanted = self.params.settings.keepalive && self.synchronized();
        // Linux `tcp_sock_set_keepidle_locked`: counted from what was heard last.
        let first = (self.heard_at + idle).max(now);
        self.rare.keep_timer =
            wanted.then(|| self.rare.keep_timer.filter(|_| self.rare.probes > 0).unwrap_or(first));
        self.output(now);
    }

    /// The peer's octets that were acknowledged, but not read: Recv-Q. And ours not acknowledged: Send-Q.
    pub(crate) fn queues(&self) -> (usize, usize) {
        (self.recv_queue.len(), self.send_queue.len())
    }

    pub(crate) fn recv_buffer(&self) -> usize {
        self.recv_space
    }

    /// Segment size without options: what `TCP_MAXSEG` reads.
    pub(crate) fn max_segment(&self) -> u32 {
        self.mss()
    }

    /// Whether a segment of ours with this sequence number may be in flight.
    pub(crate) fn has_in_flight(&self, seq: Seq) -> bool {
        self.snd_una.le(seq) && seq.lt(self.snd_nxt)
    }

    /// Whether a SYN on a connection in TIME-WAIT may open a new one (RFC 6191, RFC 9293 3.10.7.4).
    pub(crate) fn may_be_reopened_by(&self, syn: &Segment) -> bool {
        if self.state != TcpState::TimeWait || syn.flags.ack || syn.flags.rst || !syn.flags.syn {
            return false;
        }
        let newer = match syn.options.timestamps {
            Some((tsval, _)) if self.timestamps => Seq(tsval).gt(Seq(self.ts_recent)),
            _ => false,
        };
        newer || syn.seq.gt(self.rcv_nxt)
    }

    /// Up to here the peer has everything of ours: `SND.UNA`.
    pub(crate) fn acknowledged(&self) -> Seq {
        self.snd_una
    }

    /// It is in TIME-WAIT, and timestamps tell its segments from those of a new connection (RFC 6191).
    pub(crate) fn can_be_told_from_newer(&self) -> bool {
        self.state == TcpState::TimeWait && self.timestamps
    }

    /// Whether connect(2) may take its place unasked: for over a second nothing came.
    pub(crate) fn may_be_replaced(&self, now: Instant) -> bool {
        self.can_be_told_from_newer() && now - self.ts_recent_at > Duration::from_secs(1)
    }

    pub(crate) fn synchronized(&self) -> bool {
        !matches!(self.state, TcpState::Closed | TcpState::Listen | TcpState::SynSent | TcpState::SynReceived)
    }

    /// `TCP_DEFER_ACCEPT`: the third segment of the handshake is not enough, there must be data. So many
    /// retransmissions of the SYN,ACK cover the time that the program gave (Linux `secs_to_retrans`).
    pub(super) fn defer_retries(&self) -> u32 {
        let mut covered = 0;
        let mut retries = 0;
        let mut timeout = 1;
        while covered < self.params.settings.defer_accept && retries < 255 {
            covered += timeout;
            timeout = (2 * timeout).min(120);
            retries += 1;
        }
        retries
    }

    /// `TCP_QUICKACK`.
    pub(crate) fn set_quick_ack(&mut self, now: Instant, on: bool) {
        self.acks.ping_pong = !on;
        if on {
            self.acks.pushed = true;
            self.update_window(now, 1);
        }
    }

    pub(crate) fn quick_ack(&self) -> bool {
        !self.acks.ping_pong
    }

    pub(crate) fn window_clamp(&self) -> u32 {
        self.window_clamp
    }

    pub(crate) fn congestion_name(&self) -> &'static str {
        self.congestion.name()
    }
}
