//! Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them, the receiver echoes the
//! mark, the sender halves its window as for a loss.

use super::Tcb;
use super::segment::{Flags, Segment};
use crate::snapshot::TcpState;

/// What is agreed and what is to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ecn {
    /// Both ends speak it.
    pub(super) agreed: bool,
    /// A marked packet came: every ACK says ECE until the peer answers with CWR.
    echo: bool,
    /// The window was reduced: the next new data says CWR.
    reduced: bool,
    seen: bool,
}

impl Ecn {
    pub(super) fn queue_reduced(&mut self) {
        self.reduced = self.agreed;
    }

    pub(super) fn withdraw_reduced(&mut self) {
        self.reduced = false;
    }
}

impl Tcb {
    /// RFC 3168 6.1.1: the SYN said what the peer can do. `answer`: it was a SYN,ACK.
    pub(super) fn agree_on_ecn(&mut self, syn: &Segment, answer: bool) {
        let sysctl = &self.params.sysctl;
        self.ecn.agreed = match (answer, self.state) {
            (true, TcpState::SynSent) => sysctl.tcp_ecn == 1 && syn.flags.ece && !syn.flags.cwr,
            _ => sysctl.tcp_ecn > 0 && syn.flags.ece && syn.flags.cwr && !syn.congested,
        };
    }

    /// A segment with data arrived: was it marked on its way (RFC 3168 6.1.3)?
    pub(super) fn note_congestion(&mut self, segment: &Segment) {
        if !self.ecn.agreed {
            return;
        }
        if segment.flags.cwr {
            self.ecn.echo = false;
            if segment.seq_len() > 0 {
                self.acks.now = true;
            }
        }
        if segment.payload.len() == 0 {
            return;
        }
        if segment.congested {
            if !self.ecn.echo {
                self.acks.quicken(2);
            }
            self.ecn.echo = true;
            self.ecn.seen = true;
        } else if segment.capable {
            self.ecn.seen = true;
        } else if self.ecn.seen {
            // Not capable: most likely sent again.
            self.acks.quicken(2);
        }
    }

    /// The bits of an outgoing segment. `fresh`: data that was never sent before. Whether IP may mark it.
    pub(super) fn ecn_bits(&mut self, flags: &mut Flags, fresh: bool) -> bool {
        if flags.syn {
            flags.ece = if flags.ack { self.ecn.agreed } else { self.wants_ecn() };
            flags.cwr = !flags.ack && flags.ece;
            return false;
        }
        if !self.ecn.agreed || flags.rst {
            return false;
        }
        if fresh && core::mem::take(&mut self.ecn.reduced) {
            flags.cwr = true;
        }
        flags.ece = self.ecn.echo && flags.ack;
        fresh
    }

    /// RFC 3168 6.1.1.1: a middlebox may drop SYNs that ask for it, so the second one does not.
    fn wants_ecn(&self) -> bool {
        let sysctl = &self.params.sysctl;
        sysctl.tcp_ecn == 1 && !(sysctl.tcp_ecn_fallback && self.rare.timeouts > 0)
    }
}
