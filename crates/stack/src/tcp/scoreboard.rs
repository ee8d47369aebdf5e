//! The list of segments that were sent and are not acknowledged, with what is known of each: SACKed, lost, sent again.
//! The counts beside it are Linux's `packets_out`, `sacked_out`, `lost_out` and `retrans_out`.

use std::collections::VecDeque;

use super::Tcb;
use super::ack::Ack;
use super::segment::Segment;
use super::seq::Seq;
use crate::spare::AtRest;
use crate::time::Instant;

/// One segment in flight. Its bounds stay as they were first sent, as in Linux.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) seq: Seq,
    /// Octets of data.
    pub(crate) len: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(super) sacked: bool,
    pub(super) lost: bool,
    /// A retransmission of it is in flight.
    pub(super) resent: bool,
    /// When it was sent last.
    pub(super) at: Instant,
    pub(super) transmissions: u32,
}

impl Sent {
    pub(super) fn new(seq: Seq, len: u32, at: Instant) -> Sent {
        Sent {
            seq,
            len,
            syn: false,
            fin: false,
            sacked: false,
            lost: false,
            resent: false,
            at,
            transmissions: 1,
        }
    }

    pub(super) fn end(&self) -> Seq {
        self.seq + self.len + u32::from(self.syn) + u32::from(self.fin)
    }

    /// It was sent more than once at some time.
    pub(super) fn was_resent(&self) -> bool {
        self.transmissions > 1
    }
}

/// The list and its counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Scoreboard {
    pub(super) list: VecDeque<Sent>,
    /// SACKed segments; without SACK, duplicate ACKs that stand for one each.
    pub(super) sacked: u32,
    pub(super) lost: u32,
    /// Retransmissions in flight.
    pub(super) resent: u32,
    /// Right edge of the highest SACKed segment.
    highest_sack: Option<Seq>,
}

impl AtRest for Scoreboard {
    const AT_REST: &'static Scoreboard =
        &Scoreboard { list: VecDeque::new(), sacked: 0, lost: 0, resent: 0, highest_sack: None };

    fn is_at_rest(&self) -> bool {
        self.list.is_empty() && self.sacked == 0
    }
}

impl Scoreboard {
    /// Segments sent and not acknowledged (Linux `packets_out`).
    pub(super) fn out(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }

    /// Segments thought to be in the network (RFC 6675 "pipe", Linux `tcp_packets_in_flight`).
    pub(super) fn in_flight(&self) -> u32 {
        (self.out() + self.resent).saturating_sub(self.sacked + self.lost)
    }

    pub(super) fn highest_sack(&self, snd_una: Seq) -> Seq {
        self.highest_sack.filter(|_| self.sacked > 0).unwrap_or(snd_una)
    }

    /// Marks one as lost, or its retransmission as lost (Linux `tcp_mark_skb_lost`).
    pub(super) fn mark_lost(&mut self, index: usize) {
        let Some(segment) = self.list.get_mut(index).filter(|segment| !segment.sacked) else { return };
        if !segment.lost {
            segment.lost = true;
            self.lost += 1;
        } else if segment.resent {
            segment.resent = false;
            self.resent -= 1;
        }
    }

    /// Nothing counts as lost any more.
    pub(super) fn unmark_lost(&mut self) {
        if self.lost > 0 {
            self.list.iter_mut().for_each(|segment| segment.lost = false);
            self.lost = 0;
        }
    }

    /// What the peer SACKed it has thrown away again (RFC 2018 8).
    pub(super) fn forget_sacked(&mut self) {
        self.list.iter_mut().for_each(|segment| segment.sacked = false);
        self.sacked = 0;
        self.highest_sack = None;
    }

    pub(super) fn any_resent(&self) -> bool {
        self.resent > 0 || self.list.front().is_some_and(Sent::was_resent)
    }

    pub(super) fn clear(&mut self) {
        *self = Scoreboard::default();
    }

    /// Makes the segment at `index` lose what lies before `seq`, which the peer has.
    fn cut_front(segment: &mut Sent, seq: Seq) {
        let part = (seq - segment.seq) - u32::from(segment.syn);
        segment.syn = false;
        segment.len = segment.len.saturating_sub(part);
        segment.seq = seq;
    }

    /// Appends what follows on the segment at `index` to it while the sum has at most `most` octets, as Linux does
    /// before it sends again (`tcp_retrans_try_collapse`).
    pub(super) fn collapse(&mut self, index: usize, most: u32) {
        while let (Some(first), Some(next)) = (self.list.get(index), self.list.get(index + 1)) {
            if first.syn || first.fin || next.sacked || first.len + next.len > most || next.syn {
                break;
            }
            let Some(next) = self.list.remove(index + 1) else { break };
            self.lost -= u32::from(next.lost);
            self.resent -= u32::from(next.resent);
            if let Some(first) = self.list.get_mut(index) {
                first.len += next.len;
                first.fin = next.fin;
            }
        }
    }

    /// Cuts what is longer than `size`, as it was sent; the parts count as lost.
    pub(super) fn cut(&mut self, size: u32) -> bool {
        let mut any = false;
        let mut cut = VecDeque::with_capacity(self.list.len());
        for mut segment in core::mem::take(&mut self.list) {
            let long = segment.len > size && !segment.sacked;
            if long {
                any = true;
                self.resent -= u32::from(segment.resent);
                self.lost -= u32::from(segment.lost);
                (segment.resent, segment.lost) = (false, true);
            }
            while long && segment.len > size {
                cut.push_back(Sent { len: size, fin: false, ..segment.clone() });
                self.lost += 1;
                segment.seq += size;
                segment.len -= size;
            }
            self.lost += u32::from(long);
            cut.push_back(segment);
        }
        self.list = cut;
        any
    }

    pub(super) fn sacked_ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for segment in self.list.iter().filter(|s| s.sacked) {
            match ranges.last_mut() {
                Some((_, right)) if *right == segment.seq.0 => *right = segment.end().0,
                _ => ranges.push((segment.seq.0, segment.end().0)),
            }
        }
        ranges
    }
}

impl Tcb {
    /// Takes in the SACK blocks of a segment (Linux `tcp_sacktag_write_queue`).
    pub(super) fn mark_sacked(&mut self, now: Instant, segment: &Segment, prior_una: Seq, ack: &mut Ack) {
        let blocks = segment.options.sack.as_slice();
        let Some(&(first_left, first_right)) = blocks.first() else { return };
        // RFC 2883 4: a first block below the ACK, or within the second, reports a duplicate.
        let looks_so = first_left.lt(segment.ack)
            || blocks.get(1).is_some_and(|(left, right)| first_right.le(*right) && first_left.ge(*left));
        let duplicate = looks_so && self.take_dsack(first_left, first_right, prior_una, ack);
        for (index, &(left, right)) in blocks.iter().enumerate() {
            let is_duplicate = index == 0 && duplicate;
            if right.le(left) || right.gt(self.snd_nxt) || left.lt(self.snd_una) && !is_duplicate {
                continue;
            }
            self.mark_block(now, (left, right), is_duplicate, ack);
        }
    }

    fn mark_block(&mut self, now: Instant, (left, right): (Seq, Seq), duplicate: bool, ack: &mut Ack) {
        let first = self.board.list.partition_point(|s| s.seq.lt(left));
        let mut index = first;
        while index < self.board.list.len() {
            let board = &mut *self.board;
            let Some(segment) = board.list.get_mut(index) else { break };
            if segment.end().gt(right) {
                break;
            }
            let (seq, end, at) = (segment.seq, segment.end(), segment.at);
            let (was_resent, in_flight_again) = (segment.was_resent(), segment.resent);
            if duplicate && was_resent {
                self.loss.handle_duplicate(end);
                if segment.sacked {
                    ack.reordered = ack.reordered.min(seq);
                }
            }
            if !segment.sacked {
                if in_flight_again && segment.lost {
                    (segment.lost, segment.resent) = (false, false);
                    board.lost -= 1;
                    board.resent -= 1;
                } else if !in_flight_again {
                    if !was_resent {
                        // It was in a hole, and came late: reordering, not loss.
                        let highest = board.highest_sack.unwrap_or(self.snd_una);
                        if board.sacked > 0 && seq.lt(highest) {
                            ack.reordered = ack.reordered.min(seq);
                        }
                        ack.original_acked |= end.le(self.loss.high_seq);
                        ack.first_sacked.get_or_insert(at);
                        ack.last_sacked = Some(at);
                    }
                    if segment.lost {
                        segment.lost = false;
                        board.lost -= 1;
                    }
                }
                segment.sacked = true;
                board.sacked += 1;
                ack.delivered += 1;
                ack.data_sacked = true;
                let highest = board.highest_sack.filter(|_| board.sacked > 1);
                board.highest_sack = Some(highest.map_or(end, |highest| highest.max(end)));
                self.rack_advance(now, was_resent, end, at);
            }
            if duplicate && let Some(segment) = self.board.list.get_mut(index).filter(|s| s.resent) {
                segment.resent = false;
                self.board.resent -= 1;
            }
            index += 1;
        }
    }

    /// A D-SACK: something arrived twice (Linux `tcp_check_dsack`, `tcp_dsack_seen`). False: it cannot be.
    fn take_dsack(&mut self, left: Seq, right: Seq, prior_una: Seq, ack: &mut Ack) -> bool {
        let octets = right.since(left);
        if octets == 0 || octets > self.max_window.max(self.mss()) || right.gt(self.snd_nxt) {
            return false;
        }
        let segments = octets.div_ceil(self.mss());
        self.loss.episode.dsacks += segments;
        if u64::from(self.loss.episode.dsacks) > self.rare.retransmissions {
            // More duplicates than retransmissions: the network copies.
            return false;
        }
        if self.loss.episode.tlp_high == Some(right) {
            ack.dsack_of_probe = true;
        } else {
            self.loss.episode.late.dsack_seen = true;
        }
        ack.dsack = true;
        ack.delivered += segments;
        self.loss.forget_resent(segments, right, prior_una);
        true
    }

    /// Takes off the list what the cumulative acknowledgment covers (Linux `tcp_clean_rtx_queue`).
    pub(super) fn take_acked(&mut self, now: Instant, segment: &Segment, prior_una: Seq, ack: &mut Ack) {
        let prior_highest = self.board.highest_sack(prior_una);
        let mut reordered = prior_highest;
        while let Some(first) = self.board.list.front_mut() {
            if first.end().gt(self.snd_una) {
                if first.seq.lt(self.snd_una) {
                    Scoreboard::cut_front(first, self.snd_una);
                }
                break;
            }
            let Some(first) = self.board.list.pop_front() else { break };
            ack.segments += 1;
            ack.syn_acked |= first.syn;
            self.board.resent -= u32::from(first.resent);
            self.board.lost -= u32::from(first.lost);
            if first.was_resent() {
                ack.resent_acked = true;
            } else if !first.sacked {
                ack.last_acked = Some(first.at);
                ack.first_acked.get_or_insert(first.at);
                reordered = reordered.min(first.seq);
                ack.original_acked |= first.end().le(self.loss.high_seq);
            }
            if first.sacked {
                self.board.sacked -= 1;
            } else if self.sack_ok {
                ack.delivered += 1;
                if !self.is_echo_of_original(segment, &first) {
                    self.rack_advance(now, first.was_resent(), first.end(), first.at);
                }
            }
        }
        if self.board.list.is_empty() {
            self.board.highest_sack = None;
            // A connection that rests needs no room for what is in flight.
            self.board.list = VecDeque::new();
        }
        ack.reneged = self.board.list.front().is_some_and(|first| first.sacked);
        if ack.segments > 0 && self.sack_ok && reordered.lt(prior_highest) {
            self.handle_reordering(reordered, prior_highest);
        }
    }

    /// The acknowledgment answers the first transmission, not the second (RFC 3522, by timestamp).
    fn is_echo_of_original(&self, segment: &Segment, sent: &Sent) -> bool {
        let echo = segment.options.timestamps.filter(|_| self.timestamps).map(|(_, echo)| Seq(echo));
        sent.was_resent() && echo.is_some_and(|echo| echo.lt(Seq(self.tsval(sent.at))))
    }
}
