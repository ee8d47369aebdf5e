//! Urgent data (RFC 9293 3.8.5, RFC 6093) as BSD and Linux have it: one octet out of band, with a mark in the stream.

use super::segment::Segment;
use super::seq::Seq;
use super::{Note, Tcb};
use crate::snapshot::TcpState;

/// The peer's urgent octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Octet {
    /// Announced, not here yet.
    Announced,
    Here(u8),
    /// The program has read it.
    Read,
}

/// Where the peer's urgent octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    seq: Seq,
    octet: Octet,
}

impl Mark {
    pub(super) fn seq(self) -> Seq {
        self.seq
    }
}

/// What `MSG_OOB` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutOfBand {
    /// There is none, it was read before, or it stands in the stream (`EINVAL`).
    None,
    /// Announced, but not here (`EAGAIN`).
    NotYet,
    Octet(u8),
}

impl Tcb {
    /// The program said that what it has written ends in an urgent octet.
    pub(crate) fn mark_urgent(&mut self) {
        self.rare.snd_up = Some(self.queue_end());
    }

    /// The urgent pointer of a segment that begins at `seq`, in Linux's way: it points behind the urgent octet.
    pub(super) fn urgent_pointer(&self, seq: Seq) -> Option<u16> {
        let up = self.rare.snd_up.filter(|up| seq.lt(*up))?;
        Some(u16::try_from(up - seq).unwrap_or(u16::MAX))
    }

    /// Sequence number of the next octet the program reads.
    fn read_seq(&self) -> Seq {
        let fin = u32::from(self.fin_received);
        self.rcv_nxt - fin - u32::try_from(self.recv_queue.len()).unwrap_or(u32::MAX)
    }

    /// Linux `tcp_urg`: takes note of the urgent pointer, before the data is taken in.
    pub(super) fn take_urgent(&mut self, segment: &Segment) {
        if segment.flags.urg
            && matches!(self.state, TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2)
        {
            let back = u32::from(segment.urgent > 0 && !self.params.sysctl.tcp_stdurg);
            let at = segment.seq + u32::from(segment.urgent) - back;
            let read = self.read_seq();
            let newer = self.rare.urgent.is_none_or(|mark| at.gt(mark.seq));
            if !read.gt(at) && !at.lt(self.rcv_nxt) && newer {
                self.rare.urgent = Some(Mark { seq: at, octet: Octet::Announced });
                self.notes.push(Note::Urgent);
            }
        }
        if let Some(Mark { seq, octet: Octet::Announced }) = self.rare.urgent
            && seq.ge(segment.seq)
            && let Some(found) = segment.payload.octet((seq - segment.seq) as usize)
        {
            self.rare.urgent = Some(Mark { seq, octet: Octet::Here(found) });
        }
    }

    /// `POLLPRI`: an urgent octet is here.
    pub(crate) fn has_urgent(&self) -> bool {
        matches!(self.rare.urgent, Some(Mark { octet: Octet::Here(_), .. }))
    }

    /// `SIOCATMARK`: the next octet to read is the urgent one, or would be.
    pub(crate) fn at_mark(&self) -> bool {
        self.rare.urgent.is_some_and(|mark| mark.seq == self.read_seq())
    }

    /// recv(2) with `MSG_OOB`.
    pub(crate) fn recv_urgent(&mut self, peek: bool) -> OutOfBand {
        if self.params.settings.urgent_inline {
            return OutOfBand::None;
        }
        match self.rare.urgent {
            None | Some(Mark { octet: Octet::Read, .. }) => OutOfBand::None,
            Some(Mark { octet: Octet::Announced, .. }) => OutOfBand::NotYet,
            Some(Mark { seq, octet: Octet::Here(found) }) => {
                if !peek {
                    self.rare.urgent = Some(Mark { seq, octet: Octet::Read });
                }
                OutOfBand::Octet(found)
            }
        }
    }

    /// How many octets an ordinary read may take at once: it stops before the mark. `Some(0)` cannot be, as the urgent
    /// octet itself is taken out by [`Tcb::skip_urgent`] first.
    pub(super) fn octets_before_mark(&self, len: usize) -> usize {
        match self.rare.urgent {
            Some(mark) if mark.seq.gt(self.read_seq()) => len.min((mark.seq - self.read_seq()) as usize),
            _ => len,
        }
    }

    /// The urgent octet is next in the stream: it is left out, unless `SO_OOBINLINE` is set. Past it, it is forgotten.
    pub(super) fn skip_urgent(&mut self) {
        let Some(mark) = self.rare.urgent else { return };
        let inline = self.params.settings.urgent_inline;
        if mark.seq == self.read_seq() && !self.recv_queue.is_empty() && !inline {
            self.recv_queue.take(1);
        }
        if self.read_seq().gt(mark.seq) {
            self.rare.urgent = None;
        }
    }

    /// Octets that a read can give, without the urgent one if it is next.
    pub(super) fn readable_octets(&self) -> usize {
        let skipped = self.at_mark() && !self.params.settings.urgent_inline;
        self.recv_queue.len().saturating_sub(usize::from(skipped))
    }
}
