//! The receiver's side: which window to offer (Linux's dynamic right-sizing), and when to acknowledge.

use core::time::Duration;

use super::Tcb;
use super::segment::Segment;
use super::seq::Seq;
use crate::time::Instant;

/// Linux `TCP_ATO_MIN` and `TCP_DELACK_MIN`; RFC 1122 4.2.3.2 allows 500 ms.
pub(super) const DELAYED_ACK: Duration = Duration::from_millis(40);
/// Linux `TCP_DELACK_MAX`.
const DELAYED_ACK_MAX: Duration = Duration::from_millis(200);
/// Linux's jiffy, with HZ=250.
const TICK: Duration = Duration::from_millis(4);
/// Linux `TCP_MAX_QUICKACKS`.
const QUICK_ACKS: u32 = 16;

/// Delayed acknowledgments (RFC 1122 4.2.3.2), as Linux does them.
#[derive(Clone, Debug, Default)]
pub(super) struct AckPolicy {
    /// An ACK must go out now.
    pub(super) now: bool,
    /// So many ACKs are still sent at once.
    pub(super) quick: u32,
    /// Data flows both ways in turns: an ACK can ride on the answer.
    pub(super) ping_pong: bool,
    /// Estimate of how long the peer's next data takes; zero before any came.
    pub(super) ato: Duration,
    /// When data came last.
    pub(super) last_data: Option<Instant>,
    /// A small segment, or the end of a write, came: once all is read, the peer may wait for the ACK.
    pub(super) pushed: bool,
    pushed_again: bool,
}

impl AckPolicy {
    pub(super) fn at_start() -> AckPolicy {
        AckPolicy { quick: QUICK_ACKS, ..AckPolicy::default() }
    }

    /// The next ACKs go at once (Linux `tcp_enter_quickack_mode`).
    pub(super) fn quicken(&mut self, most: u32) {
        self.quick = self.quick.max(most);
        self.ping_pong = false;
        self.ato = DELAYED_ACK;
    }

    /// An ACK leaves.
    pub(super) fn sent(&mut self) {
        self.now = false;
        self.pushed = false;
        self.pushed_again = false;
        self.quick = self.quick.saturating_sub(1);
        if self.quick == 0 && self.ato > DELAYED_ACK * 3 / 2 {
            self.ato = DELAYED_ACK;
        }
    }
}

impl Tcb {
    /// Data arrived: the estimates of the receiver (Linux `tcp_event_data_recv`). `before`: RCV.NXT before it.
    pub(super) fn on_data_received(&mut self, now: Instant, segment: &Segment, len: u32, before: Seq) {
        if len >= self.rcv_mss {
            self.rcv_mss = len.min(self.params.mss);
            self.acks.pushed |= segment.flags.psh;
        } else if len > 0 {
            self.acks.pushed_again |= self.acks.pushed;
            self.acks.pushed = true;
        }
        if self.rcv_nxt == before {
            // Out of order. Without SACK the window must stay, or the ACK would not count as a duplicate.
            if self.sack_ok && len >= 128 {
                self.grow_window(len);
            }
            return;
        }
        self.measure_receiver(now, segment, len);
        let most = (self.announced_window() / (2 * self.rcv_mss.max(1))).clamp(2, QUICK_ACKS);
        let rto = self.rtt.rto();
        match self.acks.last_data.map(|at| now - at) {
            _ if self.acks.ato.is_zero() => {
                self.acks.quick = self.acks.quick.max(most);
                self.acks.ato = DELAYED_ACK;
            }
            Some(gap) if gap <= DELAYED_ACK / 2 => self.acks.ato = self.acks.ato / 2 + DELAYED_ACK / 2,
            Some(gap) if gap < self.acks.ato => self.acks.ato = (self.acks.ato / 2 + gap).min(rto),
            // The sender starts again and needs its ACKs.
            Some(gap) if gap > rto => self.acks.quick = self.acks.quick.max(most),
            _ => {}
        }
        self.acks.last_data = Some(now);
        if len >= 128 {
            self.grow_window(len);
        }
    }

    /// When to acknowledge (Linux `__tcp_ack_snd_check`): at once for the first segments, for a hole and for every second
    /// full segment; else with the next data, or when the timer runs out.
    pub(super) fn schedule_ack(&mut self, now: Instant, before: Seq) {
        let unacked = self.rcv_nxt.since(self.rcv_acked);
        let quick = self.acks.quick > 0 && !self.acks.ping_pong;
        let hole = !self.out_of_order.is_empty() || self.rcv_nxt == before;
        let wide = self.window_on_offer() >= self.announced_window();
        let waits = (self.recv_queue.len() as u64) < u64::from(self.params.settings.recv_low);
        if unacked > self.rcv_mss && (wide || waits) || quick || hole {
            self.acks.now = true;
        } else {
            self.delay_ack(now);
        }
    }

    /// Linux `tcp_send_delayed_ack`.
    pub(super) fn delay_ack(&mut self, now: Instant) {
        // Before any data Linux has no estimate, and takes its next tick.
        let mut ato = if self.acks.ato.is_zero() { TICK } else { self.acks.ato };
        if ato > DELAYED_ACK {
            let mut most = if self.acks.ping_pong || self.acks.pushed {
                DELAYED_ACK_MAX
            } else {
                Duration::from_millis(500)
            };
            if let Some(srtt) = self.rtt.srtt() {
                most = most.min(srtt.max(DELAYED_ACK));
            }
            ato = ato.min(most);
        }
        ato = ato.min(DELAYED_ACK_MAX);
        match self.ack_timer {
            Some(at) if at <= now + ato / 4 => self.acks.now = true,
            Some(at) => self.ack_timer = Some(at.min(now + ato)),
            None => self.ack_timer = Some(now + ato),
        }
    }

    /// The delayed ACK's timer ran out (Linux `tcp_delack_timer_handler`).
    pub(super) fn on_ack_timer(&mut self) {
        if self.acks.ping_pong {
            // The guess that an answer would come was wrong.
            self.acks.ping_pong = false;
            self.acks.ato = DELAYED_ACK;
        } else {
            self.acks.ato = (self.acks.ato * 2).min(self.rtt.rto());
        }
        self.acks.now = true;
    }

    /// The round trip as the receiver sees it, for autotuning: from the timestamp that came back (Linux
    /// `tcp_rcv_rtt_measure_ts`), else the time in which a whole window arrives (`tcp_rcv_rtt_measure`).
    fn measure_receiver(&mut self, now: Instant, segment: &Segment, len: u32) {
        match segment.options.timestamps {
            Some((_, echo)) if self.timestamps => {
                if len >= self.rcv_mss && echo != 0 && Some(Seq(echo)) != self.rcv_rtt_echo {
                    self.rcv_rtt_echo = Some(Seq(echo));
                    let millis = self.tsval(now).wrapping_sub(echo);
                    if millis < 1 << 20 {
                        self.note_rcv_rtt(Duration::from_millis(u64::from(millis.max(1))), true);
                    }
                }
            }
            _ => match self.rcv_round {
                Some((_, end)) if self.rcv_nxt.lt(end) => {}
                round => {
                    if let Some((since, _)) = round {
                        self.note_rcv_rtt((now - since).max(Duration::from_micros(1)), false);
                    }
                    self.rcv_round = Some((now, self.rcv_nxt + self.announced_window()));
                }
            },
        }
    }

    fn note_rcv_rtt(&mut self, sample: Duration, smooth: bool) {
        self.rcv_rtt = Some(match self.rcv_rtt {
            Some(old) if smooth => old * 7 / 8 + sample / 8,
            Some(old) => old.min(sample),
            None => sample,
        });
    }

    // The window.

    /// What is left of the window we announced.
    pub(super) fn announced_window(&self) -> u32 {
        self.rcv_adv.since(self.rcv_nxt)
    }

    /// Octets that the receive buffer may hold: half of its memory, the rest is overhead (Linux `tcp_full_space` with
    /// its scaling ratio of one half).
    pub(super) fn full_space(&self) -> usize {
        self.recv_space
    }

    /// The shift that the largest possible buffer needs (Linux `tcp_select_initial_window`).
    pub(super) fn choose_scale(&self) -> u8 {
        let mut space = self.recv_space;
        if self.params.settings.recv_buffer.is_none() {
            space = space.max(self.params.sysctl.tcp_rmem[2]);
        }
        if let Some(clamp) = self.params.settings.window_clamp {
            space = space.min(clamp as usize);
        }
        let bits = usize::BITS - space.max(1).leading_zeros();
        u8::try_from(bits.saturating_sub(16)).unwrap_or(14).min(14)
    }

    /// The first window: whole segments of our own MSS, 65,535 octets at most.
    pub(super) fn choose_first_window(&mut self) {
        let mut space = u32::try_from(self.recv_space).unwrap_or(u32::MAX);
        if let Some(clamp) = self.params.settings.window_clamp {
            space = space.min(clamp);
        }
        let mss = self.params.mss - if self.timestamps { 12 } else { 0 };
        if space > mss {
            space = space / mss * mss;
        }
        self.rcv_ssthresh = space.min(65_535 / mss.max(1) * mss.max(1)).max(1);
        if space < mss {
            self.rcv_ssthresh = space;
        }
    }

    /// Linux `tcp_init_buffer_space`, when the connection is established.
    pub(super) fn init_window(&mut self, now: Instant) {
        let mss = self.params.mss - if self.timestamps { 12 } else { 0 };
        let full = u32::try_from(self.recv_space).unwrap_or(u32::MAX);
        let mut clamp = full;
        if clamp > 2 * mss {
            clamp = (full - mss).max(2 * mss);
        }
        if let Some(asked) = self.params.settings.window_clamp {
            clamp = clamp.min(asked);
        }
        self.window_clamp = clamp;
        self.rcv_ssthresh = self.rcv_ssthresh.min(clamp);
        self.copied = (now, 0);
        self.copied_before = self.rcv_ssthresh.min(10 * mss) as usize;
    }

    /// Linux `tcp_grow_window`: each segment of some size lets the window grow, within the buffer.
    fn grow_window(&mut self, len: u32) {
        let free = self.free_space();
        let room = self.window_clamp.min(free).saturating_sub(self.rcv_ssthresh);
        if room > 0 {
            let mss = self.params.mss - if self.timestamps { 12 } else { 0 };
            self.rcv_ssthresh += room.min((2 * mss).max(2 * len));
            self.acks.quick |= 1;
        }
    }

    fn free_space(&self) -> u32 {
        let held = self.recv_queue.len() + self.out_of_order.len();
        u32::try_from(self.full_space().saturating_sub(held)).unwrap_or(u32::MAX)
    }

    /// The window we could offer now, before the rule that it never shrinks (Linux `__tcp_select_window`).
    pub(super) fn window_on_offer(&self) -> u32 {
        let allowed = u32::try_from(self.full_space()).unwrap_or(u32::MAX);
        let full = allowed.min(self.window_clamp);
        let mss = self.rcv_mss.min(full);
        if mss == 0 {
            return 0;
        }
        let shift = self.scale.map_or(0, |(ours, _)| ours);
        let mut free = self.free_space();
        if free < full / 2 {
            free = free >> shift << shift;
            // RFC 9293 3.8.6.2.2: do not offer a silly window.
            if free < allowed / 16 || free < mss {
                return 0;
            }
        }
        free = free.min(self.rcv_ssthresh);
        if shift > 0 {
            return free.next_multiple_of(1 << shift);
        }
        let window = self.announced_window();
        if window <= free.saturating_sub(mss) || window > free {
            free / mss * mss
        } else if mss == full && free > window + full / 2 {
            free
        } else {
            window
        }
    }

    /// The window field, and the right edge that it promises.
    pub(super) fn announce_window(&mut self, syn: bool) -> u16 {
        let shift = if syn { 0 } else { self.scale.map_or(0, |(ours, _)| ours) };
        let promised = self.announced_window();
        let offer = if syn { self.rcv_ssthresh } else { self.window_on_offer() };
        // The right edge never moves left (RFC 9293 3.8.6).
        let window = if offer < promised { promised.next_multiple_of(1 << shift) } else { offer };
        let field = (window >> shift).min(0xffff);
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt + (field << shift));
        field as u16
    }

    /// The program has read: tells the peer if it waits for an ACK, or if the window at least doubled (Linux
    /// `tcp_cleanup_rbuf`).
    pub(super) fn update_window(&mut self, now: Instant, read: usize) {
        if read == 0 || !self.synchronized() {
            return;
        }
        if self.ack_timer.is_some() {
            let unacked = self.rcv_nxt.since(self.rcv_acked);
            let small = self.acks.pushed_again || self.acks.pushed && !self.acks.ping_pong;
            if unacked > self.rcv_mss || small && self.recv_queue.is_empty() {
                self.send_ack(now);
                return;
            }
        }
        if self.fin_received {
            return;
        }
        let promised = self.announced_window();
        if 2 * u64::from(promised) <= u64::from(self.window_clamp) {
            let offer = self.window_on_offer();
            if offer > 0 && offer >= 2 * promised {
                self.send_ack(now);
            }
        }
    }

    /// Linux's dynamic right-sizing (`tcp_rcv_space_adjust`): the buffer holds twice what the program reads in a round
    /// trip, and more while that grows.
    pub(super) fn tune_recv_space(&mut self, now: Instant, read: usize) {
        self.copied.1 += read;
        let Some(rtt) = self.rcv_rtt else { return };
        if now - self.copied.0 < rtt {
            return;
        }
        let (copied, before) = (self.copied.1, self.copied_before.max(1));
        self.copied = (now, 0);
        if copied <= before {
            return;
        }
        self.copied_before = copied;
        if self.params.settings.recv_buffer.is_some() || !self.params.sysctl.tcp_moderate_rcvbuf {
            return;
        }
        let mut wanted = 2 * copied + 16 * self.params.mss as usize;
        wanted += 2 * (wanted.saturating_mul(copied - before) / before);
        let wanted = wanted.min(self.params.sysctl.tcp_rmem[2] / 2);
        if wanted > self.recv_space {
            self.recv_space = wanted;
            self.window_clamp = u32::try_from(wanted).unwrap_or(u32::MAX);
            if let Some(asked) = self.params.settings.window_clamp {
                self.window_clamp = self.window_clamp.min(asked);
            }
        }
    }
}
