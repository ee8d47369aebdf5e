//! The path MTUs that ICMP has told (RFC 1191, RFC 8201): remembered for ten minutes, as Linux does.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::time::Instant;

/// Linux `net.ipv4.route.mtu_expires` and `net.ipv6.route.mtu_expires`; RFC 1191 6.3 wants about as much.
const EXPIRES: Duration = Duration::from_secs(600);
/// Linux `net.ipv4.route.min_pmtu`.
const LEAST_V4: usize = 552;
/// RFC 8200 5: every link takes so much.
pub(crate) const LEAST_MTU_V6: usize = 1280;
/// So many destinations are remembered; a choice. The one that expires first makes room.
const MOST: usize = 1024;

/// Path MTUs by destination.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathMtus(BTreeMap<IpAddr, (usize, Instant)>);

impl PathMtus {
    /// What is known of the way to `to`, in octets of IP packet.
    pub(crate) fn get(&self, now: Instant, to: IpAddr) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&to).filter(|(_, until)| *until > now).map(|(mtu, _)| *mtu)
    }

    /// A router told that only packets of `mtu` octets get through. `known`: what we believed until now. Returns what
    /// we believe from now on; none if that is not news.
    pub(crate) fn lower(&mut self, now: Instant, to: IpAddr, mtu: usize, known: usize) -> Option<usize> {
        let least = if to.is_ipv4() { LEAST_V4 } else { LEAST_MTU_V6 };
        let mtu = mtu.max(least);
        if mtu >= known {
            return None;
        }
        if self.0.len() >= MOST && !self.0.contains_key(&to) {
            let oldest = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(to, _)| *to);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(to, (mtu, now + EXPIRES));
        Some(mtu)
    }
}
