//! How many ICMP errors a host sends: Linux's token bucket for each destination (`icmp_ratelimit`, RFC 1812 4.3.2.8,
//! RFC 4443 2.4 (f)), and one for all together.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::Kind;
use crate::time::Instant;

/// Linux `icmp_ratelimit`: one error a second to one destination.
const INTERVAL_V4: Duration = Duration::from_millis(1000);
/// The same, divided as Linux does for a network of 64 bits (`icmpv6_xrlim_allow`: "more bandwidth to wider
/// prefixes").
const INTERVAL_V6: Duration = Duration::from_millis(250);
/// Linux `XRLIM_BURST_FACTOR`.
const BURST: u32 = 6;
/// Linux `icmp_msgs_per_sec` and `icmp_msgs_burst`.
const ALL_PER_SECOND: u64 = 1000;
const ALL_BURST: u64 = 50;
/// So many destinations are remembered; a choice. The oldest makes room, with a full bucket again.
const MOST: usize = 1024;

/// The buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Time saved up, and when that was reckoned.
    of: BTreeMap<IpAddr, (Duration, Instant)>,
    /// Errors that may be sent to anybody, and when that was reckoned.
    all: Option<(u64, Instant)>,
}

impl Limits {
    /// Takes a token for an error to `to`, if there is one.
    pub(crate) fn allow(&mut self, now: Instant, to: IpAddr, kind: Kind) -> bool {
        // Path MTU discovery is never slowed down (Linux `icmpv4_mask_allow`, `icmpv6_mask_allow`).
        if kind == super::v4::FRAGMENTATION_NEEDED && to.is_ipv4() || kind.0 == 2 && to.is_ipv6() {
            return true;
        }
        if !self.allow_any(now) {
            return false;
        }
        let interval = if to.is_ipv4() { INTERVAL_V4 } else { INTERVAL_V6 };
        if self.of.len() >= MOST && !self.of.contains_key(&to) {
            let oldest = self.of.iter().min_by_key(|(_, (_, at))| *at).map(|(to, _)| *to);
            oldest.map(|oldest| self.of.remove(&oldest));
        }
        let (saved, at) = self.of.entry(to).or_insert((interval * BURST, now));
        *saved = (*saved + (now - *at)).min(interval * BURST);
        *at = now;
        let allowed = *saved >= interval;
        if allowed {
            *saved -= interval;
        }
        allowed
    }

    /// Linux `icmp_global_allow`.
    fn allow_any(&mut self, now: Instant) -> bool {
        let (left, at) = self.all.get_or_insert((ALL_BURST, now));
        let passed = u64::try_from((now - *at).as_millis()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(ALL_PER_SECOND) / 1000;
        if more > 0 {
            *left = left.saturating_add(more).min(ALL_BURST);
            *at = now;
        }
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}
