//! What may be sent now: windows, Nagle's rule, segment sizes, and the fields of each segment that leaves.

use core::time::Duration;

use super::options::Options;
use super::recovery::Phase;
use super::scoreboard::Sent;
use super::segment::{Flags, Payload, Segment};
use super::seq::Seq;
use super::timers::RtxTimer;
use super::{Tcb, receive};
use crate::snapshot::TcpState;
use crate::time::Instant;

/// Why new data is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push {
    Normal,
    /// The program has set `TCP_NODELAY`: what Nagle's rule or `TCP_CORK` held back goes once.
    Once,
    /// A tail loss probe: one segment, whatever the congestion window and Nagle's rule say.
    Probe,
}

impl Tcb {
    /// TSval now: Linux counts milliseconds, from a secret offset for each connection.
    pub(super) fn tsval(&self, now: Instant) -> u32 {
        ((now.as_nanos() / 1_000_000) as u32).wrapping_add(self.params.timestamp_offset)
    }

    /// Octets of data a segment of ours may carry: the peer's MSS, or what the path takes, less the timestamps.
    pub(super) fn mss(&self) -> u32 {
        let path = self.params.path_mtu.saturating_sub(self.params.headers);
        // Linux `TCP_MIN_SND_MSS`: all options, and eight octets. What a peer asks for below that is not believed.
        let mss = self.peer_mss.min(path).max(48);
        mss - if self.timestamps { 12 } else { 0 }
    }

    /// As [`Tcb::mss`], less the SACK blocks that are due, and never above half of a small peer's window
    /// (Linux `tcp_bound_to_half_wnd`), lest the peer's delayed ACK stops us.
    fn segment_size(&self) -> u32 {
        let sack = self.sack_count() as u32;
        let sack = if sack == 0 { 0 } else { 4 + 8 * sack };
        let size = self.mss().saturating_sub(sack);
        self.bound_to_half_window(size)
    }

    /// Linux `tcp_bound_to_half_wnd`: at most half of the largest window that the peer has offered.
    fn bound_to_half_window(&self, size: u32) -> u32 {
        let half = if self.max_window > super::DEFAULT_MSS { self.max_window / 2 } else { self.max_window };
        if half > 0 { size.min(half.max(48)) } else { size }
    }

    /// Octets that one buffer of the send queue takes: a burst of whole segments (Linux `tcp_xmit_size_goal`).
    pub(super) fn size_goal(&self) -> usize {
        /// Linux `GSO_LEGACY_MAX_SIZE`, less `MAX_TCP_HEADER` and one.
        const BURST: u32 = 65_536 - 321;
        let size = self.segment_size().max(1);
        ((self.bound_to_half_window(BURST) / size).max(1) * size) as usize
    }

    pub(super) fn send_syn(&mut self, now: Instant) {
        let syn = Sent { syn: true, ..Sent::new(self.snd_nxt, 0, now) };
        self.snd_nxt += 1;
        self.transmit(now, &syn);
        self.board.list.push_back(syn);
        self.set_rtx_timer(now, self.rtt.rto());
    }

    /// Sends all that the windows and Nagle's rule allow, then sets the timers.
    pub(super) fn output(&mut self, now: Instant) {
        self.send_unsent(now);
        if self.acks.now {
            self.send_ack(now);
        }
        self.set_send_timers(now);
    }

    /// As [`Tcb::output`], past Nagle's rule and `TCP_CORK`.
    pub(crate) fn push(&mut self, now: Instant) {
        if self.synchronized() && self.state != TcpState::TimeWait {
            while self.send_next(now, Push::Once) {}
            self.set_send_timers(now);
        }
    }

    /// New data, as far as windows and Nagle's rule allow (Linux `tcp_write_xmit`).
    pub(super) fn send_unsent(&mut self, now: Instant) {
        let open = matches!(
            self.state,
            TcpState::Established
                | TcpState::CloseWait
                | TcpState::FinWait1
                | TcpState::Closing
                | TcpState::LastAck
        );
        if !open || !self.snd_una.gt(self.params.iss) || !self.has_unsent() {
            return;
        }
        let mut any = false;
        while self.send_next(now, Push::Normal) {
            any = true;
        }
        let limited = self.board.in_flight() >= self.congestion.cwnd;
        if any {
            let unsent = self.unsent() as usize;
            self.send_queue.split(unsent);
            self.schedule_probe(now, false);
        }
        if any || limited && self.has_unsent() {
            let open = self.loss.phase == Phase::Open;
            let (out, rto) = (self.board.out(), self.rtt.rto());
            self.congestion.validate(now, limited, out, (self.snd_una, self.snd_nxt), (rto, open));
        }
    }

    pub(super) fn fin_sent(&self) -> bool {
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

    /// Sends the next segment of new data, if it may go.
    pub(super) fn send_next(&mut self, now: Instant, push: Push) -> bool {
        if !self.has_unsent() {
            return false;
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
        if push != Push::Probe {
            if self.board.in_flight() >= self.congestion.cwnd {
                return false;
            }
            // RFC 1122 4.2.3.4 with Minshall's change: one small segment in flight holds back the next one.
            if len < size && !fin && self.rare.snd_up.is_none() && push == Push::Normal {
                let small_in_flight = self.small_end.is_some_and(|end| end.gt(self.snd_una));
                let held = self.params.settings.cork || self.more;
                if held || !self.params.settings.nodelay && small_in_flight {
                    return false;
                }
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
        if self.board.in_flight() == 0 {
            self.congestion.on_start(now, self.sent_at);
        }
        let first = self.board.list.is_empty();
        let segment = Sent { fin, ..Sent::new(self.snd_nxt, len, now) };
        self.snd_nxt = segment.end();
        self.sent_at = Some(now);
        self.bytes_sent += u64::from(len);
        self.fresh = true;
        self.transmit(now, &segment);
        self.fresh = false;
        self.board.list.push_back(segment);
        self.loss.note_sent(1);
        self.stalled_since.get_or_insert(now);
        if first || matches!(self.rtx_timer, Some((RtxTimer::Probe, _))) {
            self.rearm_rto(now);
        }
        // Linux `tcp_event_data_sent`: an answer soon after a question makes the connection interactive.
        if len > 0 && self.acks.last_data.is_some_and(|at| now - at < self.acks.ato) {
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
            psh: sent.len > 0 && sent.seq + sent.len == self.queue_end(),
            ack: self.state != TcpState::SynSent,
            ..Flags::default()
        };
        self.push_segment(now, sent.seq, flags, payload);
    }

    pub(super) fn send_ack(&mut self, now: Instant) {
        let flags = Flags { ack: true, ..Flags::default() };
        self.push_segment(now, self.snd_nxt, flags, Payload::default());
    }

    /// Makes the segment: acknowledgment, window and options are always of this moment.
    pub(super) fn push_segment(&mut self, now: Instant, seq: Seq, mut flags: Flags, payload: Payload) {
        let mut options = Options::default();
        let tsecr = if flags.ack { self.ts_recent } else { 0 };
        let sysctl = &self.params.sysctl;
        if flags.syn {
            let answer = self.state != TcpState::SynSent;
            options.mss = Some(self.params.mss as u16);
            options.sack_permitted = if answer { self.sack_ok } else { sysctl.tcp_sack };
            let scales = if answer { self.scale.is_some() } else { sysctl.tcp_window_scaling };
            options.window_scale = scales.then_some(self.our_scale);
            if if answer { self.timestamps } else { sysctl.tcp_timestamps } {
                options.timestamps = Some((self.tsval(now), tsecr));
            }
        } else {
            if self.timestamps {
                options.timestamps = Some((self.tsval(now), tsecr));
            }
            if flags.ack && !flags.rst && self.sack_count() > 0 {
                options.sack = self.sack_blocks();
                // A segment sent again may leave less room for blocks than when it was cut.
                let room = (self.mss() as usize).saturating_sub(payload.len());
                options.sack.truncate(room.saturating_sub(4) / 8);
                self.rare.duplicate = None;
            }
        }
        let window = if flags.rst { 0 } else { self.announce_window(flags.syn) };
        if flags.ack && !flags.rst {
            self.acks.sent();
            self.ack_timer = None;
            self.rcv_acked = self.rcv_nxt;
        }
        self.segments_out += 1;
        let mut urgent = 0;
        if payload.len() > 0 {
            self.data_segments_out += 1;
            if let Some(pointer) = self.urgent_pointer(seq) {
                flags.urg = true;
                urgent = pointer;
            }
        }
        let capable = self.ecn_bits(&mut flags, self.fresh && payload.len() > 0);
        let ack = self.rcv_nxt;
        self.out.push(Segment {
            seq,
            ack,
            flags,
            window,
            urgent,
            capable,
            congested: false,
            options,
            payload,
        });
    }

    /// How many SACK blocks the next segment bears.
    fn sack_count(&self) -> usize {
        if !self.sack_ok
            || self.rare.duplicate.is_none()
                && self.out_of_order.is_empty()
                && self.out_of_order.fin.is_none()
        {
            return 0;
        }
        self.sack_blocks().len()
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
        self.rare.duplicate.into_iter().chain(held).take(room).collect()
    }

    /// An ACK that answers something suspicious (RFC 5961 3.2, 4.2, 5.2), at most one in half a second (Linux
    /// `tcp_invalid_ratelimit`): two confused ends must not answer each other for ever.
    pub(super) fn challenge(&mut self, now: Instant) {
        let interval: Duration = self.params.sysctl.tcp_invalid_ratelimit;
        if self.rare.challenged_at.is_none_or(|at| now - at >= interval) {
            self.rare.challenged_at = Some(now);
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
        self.acks = receive::AckPolicy::at_start();
    }
}
