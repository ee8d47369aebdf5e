//! ICMPv6 (RFC 4443): its numbers and what they mean to a socket, echo, and on to neighbour and listener discovery.

use core::net::IpAddr;

use super::{ICMP_LEN, Kind, checksum_v6};
use crate::errno::Errno;
use crate::event::DropReason;
use crate::host::Host;
use crate::ip::{Arrived, Header, protocol};
use crate::time::Instant;

pub(super) const ADDRESS_UNREACHABLE: Kind = Kind(1, 3);
pub(super) const PORT_UNREACHABLE: Kind = Kind(1, 4);
pub(super) const TOO_BIG: Kind = Kind(2, 0);
pub(super) const REASSEMBLY: Kind = Kind(3, 1);
pub(super) const UNKNOWN_NEXT_HEADER: Kind = Kind(4, 1);

/// RFC 4861 7.1: with any other hop limit the message came from another link.
pub(crate) const NDP_HOPS: u8 = 255;

const ECHO_REQUEST: u8 = 128;
pub(super) const ECHO_REPLY: u8 = 129;

/// What an ICMPv6 error means for a socket (Linux `icmpv6_err_convert`). None: it is no error.
pub(super) fn meaning(kind: Kind) -> Option<(Errno, bool)> {
    use Errno::{EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EPROTO};
    Some(match kind {
        Kind(1, 0) => (ENETUNREACH, false),
        Kind(1, 1 | 5 | 6) => (EACCES, true),
        Kind(1, 2 | 3) => (EHOSTUNREACH, false),
        Kind(1, 4) => (ECONNREFUSED, true),
        Kind(2, _) => (EMSGSIZE, false),
        Kind(3, _) => (EHOSTUNREACH, false),
        Kind(1 | 4, _) => (EPROTO, true),
        _ => return None,
    })
}

/// What says in ICMPv6 what this says in ICMP (RFC 7915 4.2).
pub(super) const fn from_v4(kind: Kind) -> Kind {
    match kind {
        Kind(3, 0 | 6 | 11) => Kind(1, 0),
        Kind(3, 2) => UNKNOWN_NEXT_HEADER,
        Kind(3, 3) => PORT_UNREACHABLE,
        Kind(3, 4) => TOO_BIG,
        Kind(3, 9 | 10 | 13 | 15) => Kind(1, 1),
        Kind(11, code) => Kind(3, code),
        Kind(12, _) => Kind(4, 0),
        _ => ADDRESS_UNREACHABLE,
    }
}

impl Host {
    pub(crate) fn receive_icmpv6(&mut self, now: Instant, arrived: &Arrived) {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (arrived.source, arrived.destination) else {
            return;
        };
        let Some(head) = arrived.payload.first_chunk::<4>() else {
            return self.drop_packet(DropReason::Malformed);
        };
        if checksum_v6(source, destination, &arrived.payload) != 0 {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let [kind, code, ..] = *head;
        let Some(rest) = arrived.payload.get(4..ICMP_LEN).and_then(|rest| rest.first_chunk::<4>()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        match kind {
            ECHO_REQUEST if self.intercept_echo(arrived) => {}
            // RFC 4443 4.2: also to a group; Linux answers those too.
            ECHO_REQUEST => self.answer_echo_v6(now, arrived),
            ECHO_REPLY => self.receive_ping(arrived),
            1..=4 => {
                let quoted = arrived.payload.slice(ICMP_LEN..);
                self.receive_error(now, arrived, Kind(kind, code), u32::from_be_bytes(*rest), &quoted);
            }
            130..=132 | 143 => self.receive_mld(now, arrived),
            133..=137 if arrived.ttl != NDP_HOPS || code != 0 => self.drop_packet(DropReason::Malformed),
            133..=137 => self.receive_ndp(now, arrived, kind),
            // RFC 4443 2.4 (b): unknown informational messages are dropped silently.
            _ => {}
        }
    }

    fn answer_echo_v6(&mut self, now: Instant, arrived: &Arrived) {
        if !arrived.to_many && !self.is_own(arrived.destination) {
            return;
        }
        let iface = crate::addr::needs_zone(arrived.source).then_some(arrived.iface);
        let own = (!arrived.to_many).then_some(arrived.destination);
        let way = || self.path(arrived.source, None, iface).ok().map(|path| path.source);
        let Some(source) = own.or_else(way) else { return };
        let header = Header { iface, ..Header::new(source, arrived.source, protocol::ICMPV6) };
        let body = arrived.payload.slice(4..);
        // Without a way back there is no reply; nobody here waits for one.
        let _ = self.send_icmp(now, &header, Kind(ECHO_REPLY, 0), &body);
    }
}
