//! SEGMENT ARRIVES (RFC 9293 3.10.7), with the checks of RFC 5961 and RFC 7323.

use bytes::Bytes;

use super::segment::Segment;
use super::seq::Seq;
use super::{Fail, Tcb};
use crate::snapshot::TcpState;
use crate::time::Instant;

/// RFC 7323 5.5: a timestamp older than this says nothing.
const TIMESTAMP_AGE: core::time::Duration = core::time::Duration::from_secs(24 * 24 * 3600);

/// Linux `TCP_TIMEOUT_MIN`: two of its ticks of 4 ms.
const SYN_AGAIN: core::time::Duration = core::time::Duration::from_millis(8);

impl Tcb {
    /// A segment of this connection arrived; its checksum is right.
    pub(crate) fn on_segment(&mut self, now: Instant, segment: &Segment) {
        self.segments_in += 1;
        self.data_segments_in += u32::from(segment.payload.len() > 0);
        if let Some((_, echo)) = segment.options.timestamps {
            self.last_echo = Some(Seq(echo));
        }
        match self.state {
            TcpState::Closed | TcpState::Listen => return,
            TcpState::SynSent => self.in_syn_sent(now, segment),
            _ => self.in_synchronized(now, segment),
        }
        if self.state != TcpState::Closed {
            self.output(now);
        }
    }

    /// Takes over what a SYN says about the peer.
    pub(super) fn take_syn(&mut self, now: Instant, syn: &Segment) {
        self.irs = syn.seq;
        self.rcv_nxt = syn.seq + 1;
        // Our own SYN has promised a window already, which was not scaled.
        let promised = if self.state == TcpState::SynSent { self.rcv_ssthresh } else { 0 };
        self.rcv_adv = self.rcv_nxt + promised;
        self.rcv_acked = self.rcv_nxt;
        self.snd_wl1 = syn.seq;
        self.snd_wl2 = syn.ack;
        // RFC 7323 2.2: the window of a segment with SYN is never scaled.
        self.snd_wnd = u32::from(syn.window);
        self.max_window = self.snd_wnd;
        self.peer_mss = syn.options.mss.map_or(super::DEFAULT_MSS, u32::from);
        if let Some(most) = self.params.settings.max_segment {
            self.peer_mss = self.peer_mss.min(u32::from(most));
        }
        let sysctl = &self.params.sysctl;
        let shift = syn.options.window_scale.filter(|_| sysctl.tcp_window_scaling);
        self.sack_ok = syn.options.sack_permitted && sysctl.tcp_sack;
        if let Some((tsval, _)) = syn.options.timestamps.filter(|_| sysctl.tcp_timestamps) {
            self.timestamps = true;
            self.ts_recent = tsval;
            self.ts_recent_at = now;
        }
        self.our_scale = self.choose_scale();
        self.scale = shift.map(|theirs| (self.our_scale, theirs));
        self.agree_on_ecn(syn, syn.flags.ack);
        self.rcv_mss = self.rcv_mss.min(self.mss());
        self.congestion = super::Congestion::new(&self.params, self.mss(), now);
        self.heard_at = now;
        self.reset_acks();
    }

    /// RFC 9293 3.10.7.3.
    fn in_syn_sent(&mut self, now: Instant, segment: &Segment) {
        let acceptable = segment.flags.ack && segment.ack.gt(self.snd_una) && segment.ack.le(self.snd_nxt);
        if segment.flags.ack && !acceptable {
            if !segment.flags.rst {
                self.refuse(segment);
            }
            // Linux: an old connection answered; our RST may have cleared the way, so ask again soon, once.
            if self.rare.timeouts == 0 {
                self.set_rtx_timer(now, SYN_AGAIN);
            }
            return;
        }
        if segment.flags.rst {
            // RFC 5961 has nothing to add: without an acceptable ACK it is dropped.
            if acceptable {
                self.fail(Fail::Refused);
            }
            return;
        }
        if !segment.flags.syn {
            return;
        }
        self.take_syn(now, segment);
        if acceptable {
            self.take_ack_of_syn(now, segment);
            self.became_established(now);
            self.acks.now = true;
        } else {
            // Simultaneous open: our SYN goes out again, now with an ACK.
            self.enter(TcpState::SynReceived);
            if let Some(syn) = self.board.list.front().cloned() {
                self.transmit(now, &syn);
            }
        }
    }

    /// The answer to our SYN.
    fn take_ack_of_syn(&mut self, now: Instant, segment: &Segment) {
        let syn = self.board.list.pop_front();
        self.snd_una = segment.ack;
        self.rtx_timer = None;
        if let Some(syn) = syn.filter(|syn| !syn.was_resent()) {
            let sample = now - syn.at;
            self.rtt.note_min(sample);
            self.rtt.measure(sample, self.snd_una, self.snd_nxt);
        } else if let (true, Some((_, echo))) = (self.timestamps, segment.options.timestamps)
            && echo != 0
        {
            let millis = self.tsval(now).wrapping_sub(echo);
            self.rtt.measure(
                core::time::Duration::from_millis(u64::from(millis)),
                self.snd_una,
                self.snd_nxt,
            );
        }
    }

    pub(super) fn became_established(&mut self, now: Instant) {
        if matches!(self.state, TcpState::SynSent | TcpState::SynReceived) {
            self.enter(TcpState::Established);
        }
        if self.rtt.srtt().is_none() {
            self.rtt.after_lost_syn();
        }
        // RFC 5681 3.1: start with one segment if the SYN was lost; Linux wants it lost twice.
        if self.rare.retransmissions > 1 {
            self.congestion.cwnd = 1;
        }
        if self.rare.retransmissions > 0 || self.rare.timeouts > 0 {
            self.rare.retransmissions = 0;
            self.rare.timeouts = 0;
        }
        self.rtt.backoff = 0;
        self.stalled_since = None;
        self.loss.forget_resent_since();
        self.loss.high_seq = self.snd_nxt;
        self.init_window(now);
        self.expand_send_buffer();
        self.acks.last_data.get_or_insert(now);
        if self.params.settings.keepalive {
            self.rare.keep_timer = Some(now + self.params.keep_idle());
        }
    }

    /// RFC 9293 3.10.7.4.
    fn in_synchronized(&mut self, now: Instant, segment: &Segment) {
        if self.state == TcpState::SynReceived
            && segment.flags.syn
            && segment.seq == self.irs
            && !segment.flags.rst
        {
            return self.on_repeated_syn(now, segment);
        }
        // RFC 7323 5.3 R1: protection against wrapped sequence numbers.
        if let Some((tsval, _)) = segment.options.timestamps
            && self.timestamps
            && !segment.flags.rst
            && Seq(tsval).lt(Seq(self.ts_recent))
            && now - self.ts_recent_at < TIMESTAMP_AGE
        {
            self.report_duplicate(segment);
            return self.answer_invalid(now, segment);
        }
        // Sequence number. Linux's form: a segment that touches the window; what lies outside is cut off later.
        let window_end = self.rcv_adv.max(self.rcv_nxt);
        if segment.end().lt(self.rcv_nxt) || segment.seq.gt(window_end) {
            if !segment.flags.rst {
                self.report_duplicate(segment);
                self.answer_invalid(now, segment);
                self.restart_time_wait(now, segment);
            }
            return;
        }
        if segment.flags.rst {
            return self.on_reset(now, segment);
        }
        // RFC 5961 4.2: a SYN is never believed here.
        if segment.flags.syn {
            return self.challenge(now);
        }
        if !segment.flags.ack {
            return;
        }
        self.heard_at = now;
        if self.params.settings.keepalive && self.rare.keep_timer.is_some() {
            self.rare.keep_timer = Some(now + self.params.keep_idle());
        }
        if !self.on_ack(now, segment) {
            return;
        }
        if self.state == TcpState::Closed {
            return;
        }
        self.note_congestion(segment);
        self.take_urgent(segment);
        self.on_data(now, segment);
    }

    /// Our SYN,ACK was lost, or the peer opens at the same time (RFC 9293 3.5 figure 7).
    fn on_repeated_syn(&mut self, now: Instant, segment: &Segment) {
        if segment.flags.ack {
            if segment.ack == self.snd_nxt {
                self.take_ack_of_syn(now, segment);
                self.became_established(now);
                // The peer waits for this ACK, as after any SYN (RFC 9293 3.5 figure 7).
                self.acks.now = true;
            }
            return;
        }
        if let Some(syn) = self.board.list.front().cloned() {
            self.transmit(now, &syn);
        }
    }

    /// RFC 7323 4.3 (2): the timestamp of the segment at the left edge is the one to echo.
    pub(super) fn remember_timestamp(&mut self, now: Instant, segment: &Segment) {
        if let Some((tsval, _)) = segment.options.timestamps.filter(|_| self.timestamps)
            && segment.seq.le(self.rcv_acked)
            && Seq(tsval).ge(Seq(self.ts_recent))
        {
            self.ts_recent = tsval;
            self.ts_recent_at = now;
        }
    }

    /// RFC 5961 3.2: only a RST exactly at `rcv_nxt` is believed, others in the window are asked about.
    fn on_reset(&mut self, now: Instant, segment: &Segment) {
        if segment.seq != self.rcv_nxt {
            if self.state != TcpState::TimeWait {
                self.challenge(now);
            }
            return;
        }
        match self.state {
            TcpState::TimeWait => self.close(),
            TcpState::SynReceived => self.fail(Fail::Refused),
            state => self.fail(Fail::Reset { closing: state == TcpState::CloseWait }),
        }
    }

    pub(super) fn enter_time_wait(&mut self, now: Instant) {
        self.enter(TcpState::TimeWait);
        let keep_ack = self.acks.now;
        self.stop_timers();
        self.acks.now = keep_ack;
        self.rare.wait_timer = Some(now + self.time_wait());
    }

    /// RFC 9293 3.10.7.4, eighth, TIME-WAIT: "restart the 2 MSL time-wait timeout", on a repeated FIN only.
    fn restart_time_wait(&mut self, now: Instant, segment: &Segment) {
        if self.state == TcpState::TimeWait && segment.flags.fin {
            self.rare.wait_timer = Some(now + self.time_wait());
        }
    }

    /// What of the segment we have already is reported by D-SACK.
    fn report_duplicate(&mut self, segment: &Segment) {
        if self.sack_ok
            && self.params.sysctl.tcp_dsack
            && segment.payload.len() > 0
            && segment.seq.lt(self.rcv_nxt)
        {
            self.acks.quicken(16);
            self.rare.duplicate = Some((segment.seq, segment.end().min(self.rcv_nxt)));
        }
    }

    fn on_data(&mut self, now: Instant, segment: &Segment) {
        let open = matches!(self.state, TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2);
        let data_len = segment.payload.len() as u32;
        if !open {
            // After the peer's FIN its data is ignored, but a repeated FIN is acknowledged.
            if segment.flags.fin || data_len > 0 {
                self.acks.now = true;
                self.restart_time_wait(now, segment);
            }
            return;
        }
        if data_len == 0 && !segment.flags.fin {
            return;
        }
        // Data that no program can ever read is answered by a RST (RFC 9293 3.6.1, RFC 2525 2.17).
        let data_end = segment.seq + data_len;
        if self.orphan && self.state != TcpState::Established && data_end.gt(self.rcv_nxt) && data_len > 0 {
            self.refuse(segment);
            self.close();
            return;
        }
        let window_end = self.rcv_adv.max(self.rcv_nxt);
        if segment.seq.ge(window_end) && data_len > 0 {
            // No room: a window probe. The ACK says so.
            self.acks.now = true;
            return;
        }
        self.report_duplicate(segment);
        let before = self.rcv_nxt;
        let mut data = segment.payload.to_bytes();
        if data_end.gt(window_end) {
            data.truncate(window_end.since(segment.seq) as usize);
        } else if segment.flags.fin {
            self.out_of_order.fin = Some(data_end);
        }
        let skip = self.rcv_nxt.since(segment.seq) as usize;
        let data = if skip < data.len() { data.slice(skip..) } else { Bytes::new() };
        self.take_data(segment.seq.max(self.rcv_nxt), data);
        self.bytes_received += u64::from(self.rcv_nxt - before);
        if data_len > 0 {
            self.on_data_received(now, segment, data_len, before);
        }
        if self.out_of_order.fin == Some(self.rcv_nxt) {
            self.on_fin(now);
        } else {
            self.schedule_ack(now, before);
        }
    }

    fn take_data(&mut self, seq: Seq, data: Bytes) {
        if seq == self.rcv_nxt && !data.is_empty() {
            self.rcv_nxt += data.len() as u32;
            self.recv_queue.push(data);
            if !self.out_of_order.is_empty() {
                // RFC 5681 4.2: an ACK at once when a hole is filled.
                self.acks.now = true;
                self.rcv_nxt = self.out_of_order.take_contiguous(self.rcv_nxt, &mut self.recv_queue);
            }
        } else if seq.gt(self.rcv_nxt) {
            self.rare.out_of_order_in += 1;
            let duplicate = self.out_of_order.insert(seq, data);
            if self.sack_ok && self.params.sysctl.tcp_dsack && self.rare.duplicate.is_none() {
                self.rare.duplicate = duplicate;
            }
        }
    }

    /// RFC 9293 3.10.7.4, eighth: the peer has finished.
    fn on_fin(&mut self, now: Instant) {
        self.rcv_nxt += 1;
        self.fin_received = true;
        self.out_of_order.clear();
        match self.state {
            TcpState::Established | TcpState::SynReceived => {
                self.enter(TcpState::CloseWait);
                // Linux `tcp_fin`: the ACK may wait for the program's answer, or for its own FIN.
                self.acks.ping_pong = true;
                if self.rcv_nxt.since(self.rcv_acked) > self.rcv_mss {
                    self.acks.now = true;
                } else {
                    self.delay_ack(now);
                }
            }
            TcpState::FinWait1 => {
                self.acks.now = true;
                self.enter(TcpState::Closing);
            }
            TcpState::FinWait2 => {
                self.acks.now = true;
                self.enter_time_wait(now);
            }
            _ => {}
        }
    }
}
