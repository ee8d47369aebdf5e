//! What most connections never need: urgent data, probes, time-outs, duplicates, the timers of an end. A connection
//! without any of it has no room for it.

use super::seq::Seq;
use super::urgent;
use crate::spare::AtRest;
use crate::time::Instant;

/// The state of what is out of the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// End of our urgent data, if it is not all acknowledged.
    pub(super) snd_up: Option<Seq>,
    /// Where the peer's urgent octet stands.
    pub(super) urgent: Option<urgent::Mark>,
    /// A duplicate to report first among the SACK blocks (RFC 2883).
    pub(super) duplicate: Option<(Seq, Seq)>,
    pub(super) dup_acks: u32,
    /// Time-outs in a row without an answer.
    pub(super) timeouts: u32,
    pub(super) total_timeouts: u32,
    /// Window or keep-alive probes in a row without an answer.
    pub(super) probes: u32,
    pub(super) probing_since: Option<Instant>,
    /// When a suspicious segment was last answered.
    pub(super) challenged_at: Option<Instant>,
    /// `TCP_DEFER_ACCEPT`: the third segment came, without data.
    pub(super) deferred: bool,
    pub(super) persist_timer: Option<Instant>,
    pub(super) keep_timer: Option<Instant>,
    /// TIME-WAIT, or FIN-WAIT-2 of an orphan.
    pub(super) wait_timer: Option<Instant>,
    pub(super) retransmissions: u64,
    pub(super) bytes_resent: u64,
    pub(super) out_of_order_in: u32,
}

impl AtRest for Rare {
    const AT_REST: &'static Rare = &Rare {
        snd_up: None,
        urgent: None,
        duplicate: None,
        dup_acks: 0,
        timeouts: 0,
        total_timeouts: 0,
        probes: 0,
        probing_since: None,
        challenged_at: None,
        deferred: false,
        persist_timer: None,
        keep_timer: None,
        wait_timer: None,
        retransmissions: 0,
        bytes_resent: 0,
        out_of_order_in: 0,
    };

    fn is_at_rest(&self) -> bool {
        self == Rare::AT_REST
    }
}
