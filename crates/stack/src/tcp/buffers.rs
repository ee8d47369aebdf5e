//! What waits in a connection: octets to send (until acknowledged), octets to read, and pieces that came out of
//! order. All of it is shared with the frames and calls it came from; nothing is copied here.

use std::collections::VecDeque;

use bytes::Bytes;

use super::segment::Payload;
use super::seq::Seq;
use crate::spare::AtRest;

/// Linux `MAX_TCP_HEADER` and `struct skb_shared_info`, as distributions configure it (`SO_SNDBUF` is 87,040 on Ethernet).
pub(super) const HEADERS: usize = 640;
/// Linux `struct sk_buff`, aligned.
pub(super) const BUFFER_HEAD: usize = 256;
/// What a buffer costs beyond its octets (its `truesize`, as `SO_MEMINFO` shows it).
const OVERHEAD: usize = HEADERS + BUFFER_HEAD;

/// Octets from `snd_una` on that the program has handed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendQueue {
    /// Chunks with the position of their first octet in the stream.
    chunks: VecDeque<(u64, Bytes)>,
    /// Where the buffers end in which Linux would keep the octets: a send(2) fills them up to the size of a burst, and a
    /// buffer of which only a part is sent becomes two. They decide how much a program may hand over.
    buffers: VecDeque<u64>,
    /// Position in the stream of the first octet still held.
    start: u64,
    /// Position after the last one.
    end: u64,
}

impl AtRest for SendQueue {
    const AT_REST: &'static SendQueue =
        &SendQueue { chunks: VecDeque::new(), buffers: VecDeque::new(), start: 0, end: 0 };

    /// The positions mean nothing without octets.
    fn is_at_rest(&self) -> bool {
        self.start == self.end
    }
}

impl SendQueue {
    pub(crate) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Memory in use, with the heads of the buffers (Linux `sk_wmem_queued`).
    pub(crate) fn memory(&self) -> usize {
        self.len() + OVERHEAD * self.buffers.len()
    }

    /// Octets in the last buffer, if one stands there of which nothing was sent: only the last `unsent` octets were not.
    pub(crate) fn unsent_tail(&self, unsent: usize) -> usize {
        if unsent == 0 {
            return 0;
        }
        let before = self.buffers.len().checked_sub(2).and_then(|at| self.buffers.get(at)).copied();
        let begin = before.unwrap_or(self.start).max(self.start);
        ((self.end - begin) as usize).min(unsent)
    }

    /// Takes `data` into the last buffer, or into a new one.
    pub(crate) fn push(&mut self, data: Bytes, new_buffer: bool) {
        if !data.is_empty() {
            let at = self.end;
            self.end += data.len() as u64;
            self.chunks.push_back((at, data));
            match self.buffers.back_mut() {
                Some(last) if !new_buffer => *last = self.end,
                _ => self.buffers.push_back(self.end),
            }
        }
    }

    /// All but the last `unsent` octets were sent: a buffer sent in part becomes two (Linux `tso_fragment`).
    pub(crate) fn split(&mut self, unsent: usize) {
        let at = self.end.saturating_sub(unsent as u64);
        let place = self.buffers.partition_point(|end| *end < at);
        if at > self.start && self.buffers.get(place).is_some_and(|end| *end > at) {
            self.buffers.insert(place, at);
        }
    }

    /// Forgets the first `n` octets: they are acknowledged.
    pub(crate) fn release(&mut self, n: usize) {
        self.start = (self.start + n as u64).min(self.end);
        while let Some((at, chunk)) = self.chunks.front() {
            if at + chunk.len() as u64 > self.start {
                break;
            }
            self.chunks.pop_front();
        }
        while self.buffers.front().is_some_and(|end| *end <= self.start) {
            self.buffers.pop_front();
        }
    }

    /// `len` octets from `offset` after the first one held; fewer if there are no more.
    pub(crate) fn range(&self, offset: usize, len: usize) -> Payload {
        let mut payload = Payload::default();
        let mut from = self.start + offset as u64;
        let to = (from + len as u64).min(self.end);
        let first = self.chunks.partition_point(|(at, chunk)| at + chunk.len() as u64 <= from);
        for (at, chunk) in self.chunks.range(first..) {
            if from >= to {
                break;
            }
            let begin = (from - at) as usize;
            let end = chunk.len().min((to - at) as usize);
            payload.push(chunk.slice(begin..end));
            from = at + end as u64;
        }
        payload
    }
}

/// Octets in order that the program has not read.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecvQueue {
    chunks: VecDeque<Bytes>,
    len: usize,
}

impl AtRest for RecvQueue {
    const AT_REST: &'static RecvQueue = &RecvQueue { chunks: VecDeque::new(), len: 0 };

    fn is_at_rest(&self) -> bool {
        self.len == 0
    }
}

impl RecvQueue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.len += data.len();
            self.chunks.push_back(data);
        }
    }

    /// At most `n` octets, which stay in the queue.
    pub(crate) fn peek(&self, n: usize) -> Bytes {
        match self.chunks.front() {
            None => Bytes::new(),
            Some(first) if first.len() >= n || self.chunks.len() == 1 => first.slice(..first.len().min(n)),
            Some(_) => {
                let mut out = Vec::with_capacity(n.min(self.len));
                for chunk in &self.chunks {
                    let left = n - out.len();
                    if left == 0 {
                        break;
                    }
                    out.extend_from_slice(chunk.get(..left).unwrap_or(chunk));
                }
                out.into()
            }
        }
    }

    /// Takes at most `n` octets out.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        let data = self.peek(n);
        self.len -= data.len();
        let mut left = data.len();
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.len() > left {
                let _ = chunk.split_to(left);
                break;
            }
            left -= chunk.len();
            self.chunks.pop_front();
        }
        data
    }
}

/// Pieces of the stream beyond a hole (RFC 9293 3.10.7.4: "held for processing later"). Most connections have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutOfOrder {
    held: Option<Box<Held>>,
    /// Where the peer's FIN stands, once it is known.
    pub(crate) fin: Option<Seq>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    /// Pieces in order, not overlapping.
    pieces: VecDeque<(Seq, Bytes)>,
    len: usize,
    /// Contiguous ranges, the one that changed last first: the order of SACK blocks (RFC 2018 4).
    ranges: Vec<(Seq, Seq)>,
}

impl OutOfOrder {
    pub(crate) fn is_empty(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.pieces.is_empty())
    }

    pub(crate) fn len(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.len)
    }

    /// The ranges held, the newest first.
    pub(crate) fn ranges(&self) -> &[(Seq, Seq)] {
        self.held.as_ref().map_or(&[], |held| &held.ranges)
    }

    /// Keeps what of `data` is not held yet. Returns the first part that was, for a D-SACK (RFC 2883).
    pub(crate) fn insert(&mut self, seq: Seq, data: Bytes) -> Option<(Seq, Seq)> {
        if data.is_empty() {
            return None;
        }
        self.held.get_or_insert_default().insert(seq, data)
    }

    /// Takes the pieces that follow on `rcv_nxt` without a hole.
    pub(crate) fn take_contiguous(&mut self, rcv_nxt: Seq, into: &mut RecvQueue) -> Seq {
        let Some(held) = &mut self.held else { return rcv_nxt };
        let rcv_nxt = held.take_contiguous(rcv_nxt, into);
        if held.pieces.is_empty() && held.ranges.is_empty() {
            self.held = None;
        }
        rcv_nxt
    }

    pub(crate) fn clear(&mut self) {
        *self = OutOfOrder::default();
    }
}

impl Held {
    fn insert(&mut self, seq: Seq, data: Bytes) -> Option<(Seq, Seq)> {
        let (first, end) = (seq, seq + data.len() as u32);
        let mut duplicate = None;
        let mut at = seq;
        let mut place = self.pieces.partition_point(|(s, d)| (*s + d.len() as u32).le(seq));
        while at.lt(end) {
            let next = self.pieces.get(place).map(|(s, d)| (*s, *s + d.len() as u32));
            let gap_end = next.map_or(end, |(s, _)| s.min(end));
            if at.lt(gap_end) {
                let part = data.slice((at - seq) as usize..(gap_end - seq) as usize);
                self.len += part.len();
                self.pieces.insert(place, (at, part));
                place += 1;
                at = gap_end;
            }
            if at.lt(end) {
                let Some((_, held_end)) = next else { break };
                let covered = held_end.min(end);
                duplicate.get_or_insert((at, covered));
                at = held_end;
                place += 1;
            }
        }
        self.touch(first, end);
        duplicate
    }

    /// The range around `[left, right)` becomes the first one.
    fn touch(&mut self, mut left: Seq, mut right: Seq) {
        self.ranges.retain(|(l, r)| {
            let joins = l.le(right) && left.le(*r);
            if joins {
                left = left.min(*l);
                right = right.max(*r);
            }
            !joins
        });
        self.ranges.insert(0, (left, right));
    }

    fn take_contiguous(&mut self, mut rcv_nxt: Seq, into: &mut RecvQueue) -> Seq {
        while let Some((seq, data)) = self.pieces.front() {
            if seq.gt(rcv_nxt) {
                break;
            }
            let (seq, data) = (*seq, data.clone());
            self.pieces.pop_front();
            self.len -= data.len();
            let skip = (rcv_nxt - seq) as usize;
            if skip < data.len() {
                rcv_nxt = seq + data.len() as u32;
                into.push(data.slice(skip..));
            }
        }
        self.ranges.retain(|(_, right)| right.gt(rcv_nxt));
        rcv_nxt
    }
}
