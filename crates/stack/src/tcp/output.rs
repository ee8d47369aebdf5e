//! What may be sent now: windows, Nagle's rule, segment sizes, and the fields of each segment that leaves.

use core::time::Duration;

use super::options::Options;
use super::recovery::Sent;
use super::segment::{Flags, Payload, Segment};
use super::seq::Seq;
use super::{AckPolicy, MAX_RECV_SPACE, Tcb, WINDOW_SCALE};
use crate::snapshot::TcpState;
use crate::time::Instant;

impl Tcb {
    /// TSval now: Linux counts milliseconds, from a secret offset for each connection.
    pub(super) fn tsval(&self, now: Instant) -> u32 {
        ((now.as_nanos() / 1_000_000) as u32).wrapping_add(self.params.timestamp_offset)
    }

    /// Octets of data a segment of ours may carry: the peer's MSS less the timestamps.
    pub(super) fn mss(&self) -> u32 {
        let mss = self.peer_mss.min(self.params.mss);
        let options = if self.timestamps { 12 } else { 0 };
        mss.saturating_sub(options).max(48)
    }

    /// As [`Tcb::mss`], less the SACK blocks that are due, and never above half of a small peer's window
    /// (Linux `tcp_bound_to_half_wnd`), lest the peer's delayed ACK stops us.
    fn segment_size(&self) -> u32 {
        let sack = self.sack_blocks();
        let sack = if sack.is_empty() { 0 } else { 4 + 8 * sack.len() as u32 };
        let size = self.mss().saturating_sub(sack);
        let half = if self.max_window > super::DEFAULT_MSS { self.max_window / 2 } else { self.max_window };
        if half > 0 { size.min(half.max(48)) } else { size }
    }

    pub(super) fn send_syn(&mut self, now: Instant) {
        let syn = Sent::new(self.snd_nxt, 0, now).with_syn();
        self.snd_nxt += 1;
        self.transmit(now, &syn);
        self.sent.push_back(syn);
        self.rtx_timer = Some(now + self.rtt.rto());
    }

    /// Sends all that the windows and Nagle's rule allow, then sets the timers.
    pub(super) fn output(&mut self, now: Instant) {
        if matches!(
            self.state,
            TcpState::Established
                | TcpState::CloseWait
                | TcpState::FinWait1
                | TcpState::Closing
                | TcpState::LastAck
        ) && self.snd_una.gt(self.params.iss)
        {
            self.retransmit_lost(now);
            while self.send_next(now) {}
        }
        if self.acks.now {
            self.send_ack(now);
        }
        self.set_send_timers(now);
    }

    fn fin_sent(&self) -> bool {
        self.snd_nxt.gt(self.queue_end())
    }

    /// Sequence number after the last octet the program has handed over.
    pub(super) fn queue_end(&self) -> Seq {
        self.queue_seq + self.send_queue.len() as u32
    }

    /// Something stands in the queue that was never sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.snd_nxt.lt(self.queue_end()) || self.fin_queued && !self.fin_sent()
    }

    fn send_next(&mut self, now: Instant) -> bool {
        if !self.has_unsent() {
            return false;
        }
        if self.sent.is_empty() {
            let idle = self.sent_at.map_or(Duration::ZERO, |at| now - at);
            self.congestion.after_idle(idle, self.rtt.rto(), self.mss());
        }
        let unsent = self.queue_end().since(self.snd_nxt);
        let size = self.segment_size();
        let len = unsent.min(size);
        let last = len == unsent;
        let fin = last && self.fin_queued;
        // Receiver's window. A FIN takes one octet of it, as in Linux.
        if (self.snd_nxt + len + u32::from(fin)).gt(self.snd_una + self.snd_wnd) {
            return false;
        }
        // Congestion window; one segment may always be in flight.
        let pipe = self.pipe();
        if pipe > 0 && pipe + len > self.congestion.cwnd {
            return false;
        }
        // RFC 1122 4.2.3.4 with Minshall's change: one small segment in flight holds back the next one.
        if len < size && !fin {
            let small_in_flight = self.small_end.is_some_and(|end| end.gt(self.snd_una));
            let held = self.params.settings.cork || self.more;
            if held || !self.params.settings.nodelay && small_in_flight {
                return false;
            }
        }
        if len > 0 && len < size {
            self.small_end = Some(self.snd_nxt + len);
        }
        self.send_new(now, len, fin);
        true
    }

    /// Sends `len` octets from `snd_nxt` on for the first time.
    pub(super) fn send_new(&mut self, now: Instant, len: u32, fin: bool) {
        let mut segment = Sent::new(self.snd_nxt, len, now);
        if fin {
            segment = segment.with_fin();
        }
        self.snd_nxt = segment.end();
        self.sent_at = Some(now);
        self.bytes_sent += u64::from(len);
        self.transmit(now, &segment);
        self.sent.push_back(segment);
        self.stalled_since.get_or_insert(now);
        if self.rtx_timer.is_none() {
            self.rtx_timer = Some(now + self.rtt.rto());
        }
        // Linux `tcp_event_data_sent`: an answer soon after a question makes the connection interactive.
        if len > 0 && self.acks.last_data.is_some_and(|at| now - at < super::timers::DELAYED_ACK) {
            self.acks.ping_pong = true;
        }
    }

    /// Puts a segment on the wire, the first time or again.
    pub(super) fn transmit(&mut self, now: Instant, sent: &Sent) {
        let payload = if sent.len > 0 {
            self.send_queue.range(sent.seq.since(self.queue_seq) as usize, sent.len as usize)
        } else {
            Payload::default()
        };
        let flags = Flags {
            syn: sent.syn,
            fin: sent.fin,
            rst: false,
            psh: sent.len > 0 && sent.seq + sent.len == self.queue_end(),
            ack: self.state != TcpState::SynSent,
        };
        self.push_segment(now, sent.seq, flags, payload);
    }

    pub(super) fn send_ack(&mut self, now: Instant) {
        let flags = Flags { ack: true, ..Flags::default() };
        self.push_segment(now, self.snd_nxt, flags, Payload::default());
    }

    /// Makes the segment: acknowledgment, window and options are always of this moment.
    pub(super) fn push_segment(&mut self, now: Instant, seq: Seq, flags: Flags, payload: Payload) {
        let mut options = Options::default();
        let tsecr = if flags.ack { self.ts_recent } else { 0 };
        if flags.syn {
            let answer = self.state != TcpState::SynSent;
            options.mss = Some(self.params.mss as u16);
            options.sack_permitted = !answer || self.sack_ok;
            options.window_scale = (!answer || self.scale.is_some()).then_some(WINDOW_SCALE);
            if !answer || self.timestamps {
                options.timestamps = Some((self.tsval(now), tsecr));
            }
        } else {
            if self.timestamps {
                options.timestamps = Some((self.tsval(now), tsecr));
            }
            if flags.ack && !flags.rst {
                options.sack = self.sack_blocks();
                // A segment sent again may leave less room for blocks than when it was cut.
                let room = (self.mss() as usize).saturating_sub(payload.len());
                options.sack.truncate(room.saturating_sub(4) / 8);
                self.duplicate = None;
            }
        }
        let window = if flags.rst { 0 } else { self.announce_window(flags.syn) };
        if flags.ack && !flags.rst {
            self.acks.now = false;
            self.ack_timer = None;
            self.acks.quick = self.acks.quick.saturating_sub(1);
            self.rcv_acked = self.rcv_nxt;
        }
        self.out.push(Segment { seq, ack: self.rcv_nxt, flags, window, options, payload });
    }

    /// The blocks to report: a duplicate first (RFC 2883), then what is held, the newest first.
    fn sack_blocks(&self) -> Vec<(Seq, Seq)> {
        if !self.sack_ok {
            return Vec::new();
        }
        let room = if self.timestamps { 3 } else { 4 };
        let fin = self.out_of_order.fin;
        // The FIN takes a number, too: alone in its block if data before it is missing.
        let alone = fin.filter(|fin| {
            fin.gt(self.rcv_nxt) && !self.out_of_order.ranges().iter().any(|(_, right)| right == fin)
        });
        let alone = alone.map(|fin| (fin, fin + 1));
        let with_fin = |(left, right)| (left, if fin == Some(right) { right + 1 } else { right });
        let held = alone.into_iter().chain(self.out_of_order.ranges().iter().copied().map(with_fin));
        self.duplicate.into_iter().chain(held).take(room).collect()
    }

    /// The window we could offer now, before the rule that it never shrinks (Linux `__tcp_select_window`).
    fn window_on_offer(&self) -> u32 {
        let held = self.recv_queue.len() + self.out_of_order.len();
        let free = self.recv_space.saturating_sub(held);
        let tight = free < self.recv_space / 2;
        // RFC 9293 3.8.6.2.2: do not offer a silly window.
        if tight && (free < self.recv_space / 16 || free < self.rcv_mss as usize) {
            return 0;
        }
        free as u32
    }

    /// The window field, and the right edge that it promises.
    fn announce_window(&mut self, syn: bool) -> u16 {
        let shift = if syn { 0 } else { self.scale.map_or(0, |(ours, _)| ours) };
        let promised = self.rcv_adv.since(self.rcv_nxt);
        let window = self.window_on_offer().max(promised);
        let field = window.div_ceil(1 << shift).min(0xffff);
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt + (field << shift));
        field as u16
    }

    /// The program has read: tells the peer if the window at least doubled (Linux `tcp_cleanup_rbuf`).
    pub(super) fn update_window(&mut self, now: Instant, read: usize) {
        if read == 0 || !self.synchronized() || self.peer_finished() {
            return;
        }
        let promised = self.rcv_adv.since(self.rcv_nxt);
        let offer = self.window_on_offer();
        if 2 * promised as usize <= self.recv_space && offer > 0 && offer >= 2 * promised {
            self.send_ack(now);
        }
    }

    /// Linux's dynamic right-sizing: the buffer holds twice what the program reads in a round trip.
    pub(super) fn tune_recv_space(&mut self, now: Instant, read: usize) {
        self.copied.1 += read;
        let Some(rtt) = self.rcv_rtt else { return };
        if self.params.settings.recv_buffer.is_some() || now - self.copied.0 < rtt {
            return;
        }
        let wanted = 2 * self.copied.1 + 16 * self.mss() as usize;
        if wanted > self.recv_space && self.copied.1 > 0 {
            self.recv_space = wanted.min(MAX_RECV_SPACE).max(self.recv_space);
        }
        self.copied = (now, 0);
    }

    /// An ACK that answers something suspicious (RFC 5961 3.2, 4.2, 5.2), at most one in half a second (Linux
    /// `tcp_invalid_ratelimit`): two confused ends must not answer each other for ever.
    pub(super) fn challenge(&mut self, now: Instant) {
        const INTERVAL: Duration = Duration::from_millis(500);
        if self.challenged_at.is_none_or(|at| now - at >= INTERVAL) {
            self.challenged_at = Some(now);
            self.acks.now = true;
        }
    }

    /// An ACK that answers a segment outside the window. Data without SYN cannot be part of a loop of ACKs.
    pub(super) fn answer_invalid(&mut self, now: Instant, segment: &Segment) {
        if segment.seq_len() > 0 && !segment.flags.syn {
            self.acks.now = true;
        } else {
            self.challenge(now);
        }
    }

    /// RST with this sequence number, for a segment that cannot belong to us.
    pub(super) fn refuse(&mut self, segment: &Segment) {
        self.out.extend(super::reset_for(segment));
    }

    pub(super) fn reset_acks(&mut self) {
        self.acks = AckPolicy { quick: super::QUICK_ACKS, ..AckPolicy::default() };
    }
}
