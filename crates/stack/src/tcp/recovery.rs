//! What was sent and is not acknowledged, and how losses are repaired: fast retransmit and NewReno (RFC 5681,
//! RFC 6582), with SACK the pipe algorithm (RFC 6675).

use std::collections::VecDeque;

use super::seq::Seq;
use super::{Note, Tcb};
use crate::time::Instant;

/// RFC 5681 3.2: so many duplicate ACKs mean a loss.
const DUP_THRESHOLD: u32 = 3;

/// One segment in flight. Its bounds stay as they were first sent, as in Linux.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) seq: Seq,
    /// Octets of data.
    pub(crate) len: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    at: Instant,
    transmissions: u32,
    sacked: bool,
    lost: bool,
    /// Sent again since it was found lost.
    resent: bool,
}

impl Sent {
    pub(crate) fn new(seq: Seq, len: u32, at: Instant) -> Sent {
        Sent {
            seq,
            len,
            syn: false,
            fin: false,
            at,
            transmissions: 1,
            sacked: false,
            lost: false,
            resent: false,
        }
    }

    pub(crate) fn with_syn(self) -> Sent {
        Sent { syn: true, ..self }
    }

    pub(crate) fn with_fin(self) -> Sent {
        Sent { fin: true, ..self }
    }

    pub(crate) fn end(&self) -> Seq {
        self.seq + self.len + u32::from(self.syn) + u32::from(self.fin)
    }

    fn octets(&self) -> u32 {
        self.end() - self.seq
    }

    fn in_flight(&self) -> bool {
        !self.sacked && (!self.lost || self.resent)
    }
}

/// Where loss recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    Open,
    /// Fast recovery until all up to here is acknowledged.
    Fast(Seq),
    /// After a time-out, until all up to here is acknowledged.
    Loss(Seq),
}

/// What an acceptable ACK took off the list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acked {
    pub(super) octets: u32,
    pub(super) segments: u32,
    /// When the newest of them was sent, if once only (Karn).
    pub(super) sent_at: Option<Instant>,
}

impl Tcb {
    /// Octets thought to be in the network (RFC 6675 "pipe").
    pub(super) fn pipe(&self) -> u32 {
        if !self.marked && (self.sack_ok || self.dup_acks == 0) {
            return self.flight();
        }
        let in_flight: u32 = self.sent.iter().filter(|s| s.in_flight()).map(Sent::octets).sum();
        if self.sack_ok {
            return in_flight;
        }
        // Without SACK, each duplicate ACK says that one segment has left the network.
        in_flight.saturating_sub(self.dup_acks.saturating_mul(self.mss()))
    }

    /// Octets sent and not acknowledged.
    pub(super) fn flight(&self) -> u32 {
        self.snd_nxt - self.snd_una
    }

    /// Takes off the list what `ack` covers.
    pub(super) fn take_acked(&mut self, ack: Seq) -> Acked {
        let mut acked = Acked { octets: ack - self.snd_una, ..Acked::default() };
        while let Some(first) = self.sent.front_mut() {
            if first.end().le(ack) {
                acked.segments += 1;
                if !first.sacked {
                    acked.sent_at = (first.transmissions == 1).then_some(first.at);
                }
                self.sent.pop_front();
                continue;
            }
            if first.seq.lt(ack) {
                // Part of a segment: the SYN (which stands first) or some octets.
                let part = (ack - first.seq) - u32::from(first.syn);
                first.syn = false;
                first.len = first.len.saturating_sub(part);
                first.seq = ack;
            }
            break;
        }
        self.marked = self.marked && self.sent.iter().any(|segment| segment.sacked || segment.lost);
        acked
    }

    /// Marks what the SACK blocks cover. Returns how many octets are new.
    pub(super) fn mark_sacked(&mut self, blocks: &[(Seq, Seq)]) -> u32 {
        let mut new = 0;
        for &(left, right) in blocks {
            // RFC 2883: a block below the ACK reports a duplicate. Others must lie in what was sent.
            if left.lt(self.snd_una) || right.gt(self.snd_nxt) || right.le(left) {
                continue;
            }
            let first = self.sent.partition_point(|s| s.seq.lt(left));
            for segment in self.sent.range_mut(first..) {
                if segment.end().gt(right) {
                    break;
                }
                if !segment.sacked {
                    segment.sacked = true;
                    segment.lost = false;
                    segment.resent = false;
                    new += segment.octets();
                }
            }
        }
        self.marked |= new > 0;
        new
    }

    /// RFC 6675 IsLost: three segments, or three times the MSS, were SACKed above. Returns whether one is.
    fn mark_lost(&mut self) -> bool {
        let mss = self.mss();
        let (mut segments, mut octets, mut any) = (0, 0, false);
        for segment in self.sent.iter_mut().rev() {
            if segment.sacked {
                segments += 1;
                octets += segment.octets();
            } else if segments >= DUP_THRESHOLD || octets > (DUP_THRESHOLD - 1) * mss {
                segment.lost = true;
                any = true;
            }
        }
        any
    }

    fn mark_first_lost(&mut self) {
        if let Some(first) = self.sent.iter_mut().find(|s| !s.sacked) {
            self.marked = true;
            first.lost = true;
            first.resent = false;
        }
    }

    /// An ACK came while something is in flight: `acked` if it was for new data, `duplicate` if RFC 5681's
    /// definition of a duplicate ACK holds or it brought new SACK information.
    pub(super) fn on_ack_for_recovery(&mut self, acked: Option<Acked>, duplicate: bool, limited: bool) {
        let mss = self.mss();
        let flight = self.flight();
        if duplicate && acked.is_none() {
            self.dup_acks += 1;
        }
        match self.recovery {
            Recovery::Open => {
                if acked.is_some() {
                    self.dup_acks = 0;
                }
                let lost = if self.sack_ok {
                    duplicate && self.mark_lost()
                } else {
                    acked.is_none() && self.dup_acks >= DUP_THRESHOLD && duplicate
                };
                if lost {
                    self.mark_first_lost();
                    self.recovery = Recovery::Fast(self.snd_nxt);
                    self.congestion.on_fast_retransmit(flight, mss);
                    return;
                }
            }
            Recovery::Fast(recover) => {
                match acked {
                    Some(_) if self.snd_una.ge(recover) => {
                        self.recovery = Recovery::Open;
                        self.dup_acks = 0;
                        self.congestion.on_recovered();
                        return;
                    }
                    Some(acked) => {
                        // RFC 6582 3.2: a partial ACK shows the next hole.
                        self.dup_acks = self.dup_acks.saturating_sub(acked.segments.saturating_sub(1));
                        if !self.sent.front().is_some_and(|first| first.resent) {
                            self.mark_first_lost();
                        }
                    }
                    None => {}
                }
                if self.sack_ok {
                    self.mark_lost();
                }
                return;
            }
            Recovery::Loss(recover) => {
                if acked.is_some() {
                    self.dup_acks = 0;
                    if self.snd_una.ge(recover) {
                        self.recovery = Recovery::Open;
                    }
                }
            }
        }
        if let Some(acked) = acked.filter(|_| limited || self.recovery != Recovery::Open) {
            self.congestion.on_ack(acked.octets, mss);
        }
    }

    /// The retransmission timer ran out: all that was not SACKed counts as lost.
    pub(super) fn on_timeout_for_recovery(&mut self) {
        let first = !matches!(self.recovery, Recovery::Loss(_));
        // RFC 2018 8: the peer may have thrown away what it SACKed.
        let reneged = self.sent.front().is_some_and(|s| s.sacked);
        let flight = self.flight();
        for segment in &mut self.sent {
            segment.sacked &= !reneged;
            segment.lost = !segment.sacked;
            segment.resent = false;
        }
        self.marked = true;
        self.dup_acks = 0;
        self.congestion.on_timeout(flight, self.mss(), first);
        self.recovery = Recovery::Loss(self.snd_nxt);
    }

    /// RFC 1191: a router said that packets of more than `mtu` octets do not get through. What was too long is cut
    /// and sent again (Linux `tcp_simple_retransmit`); the congestion window has done nothing wrong.
    pub(crate) fn reduce_mtu(&mut self, now: Instant, mtu: u32) {
        /// Linux `min_pmtu`.
        const LEAST: u32 = 552;
        let mss = mtu.max(LEAST) - 40;
        if mss >= self.peer_mss.min(self.params.mss) || !self.synchronized() {
            return;
        }
        self.peer_mss = mss;
        let size = self.mss();
        let mut cut = VecDeque::with_capacity(self.sent.len());
        for mut segment in core::mem::take(&mut self.sent) {
            while segment.len > size {
                let first = Sent { len: size, fin: false, lost: true, resent: false, ..segment.clone() };
                segment.seq += size;
                segment.len -= size;
                segment.lost = true;
                segment.resent = false;
                cut.push_back(first);
            }
            cut.push_back(segment);
        }
        self.sent = cut;
        if self.sent.iter().any(|segment| segment.lost) {
            self.marked = true;
            self.recovery = Recovery::Loss(self.snd_nxt);
            self.output(now);
        }
    }

    /// Sends lost segments again, as the congestion window allows; the first one always.
    pub(super) fn retransmit_lost(&mut self, now: Instant) {
        if self.recovery == Recovery::Open {
            return;
        }
        let mut pipe = self.pipe();
        let mut at = 0;
        while let Some(segment) = self.sent.get(at) {
            if segment.lost && !segment.resent {
                let octets = segment.octets();
                if pipe > 0 && pipe + octets > self.congestion.cwnd && at > 0 {
                    break;
                }
                self.resend(now, at);
                pipe += octets;
            }
            at += 1;
        }
    }

    /// Sends the segment at `index` of the list again.
    pub(super) fn resend(&mut self, now: Instant, index: usize) {
        let Some(segment) = self.sent.get_mut(index) else { return };
        segment.resent = segment.lost;
        segment.transmissions += 1;
        segment.at = now;
        let segment = segment.clone();
        self.retransmissions += 1;
        self.notes.push(Note::Retransmitted {
            seq: segment.seq,
            len: segment.len,
            attempt: segment.transmissions - 1,
        });
        self.transmit(now, &segment);
        if self.rtx_timer.is_none() {
            self.rtx_timer = Some(now + self.rtt.rto());
        }
    }

    pub(super) fn sacked_ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for segment in self.sent.iter().filter(|s| s.sacked) {
            match ranges.last_mut() {
                Some((_, right)) if *right == segment.seq.0 => *right = segment.end().0,
                _ => ranges.push((segment.seq.0, segment.end().0)),
            }
        }
        ranges
    }
}
