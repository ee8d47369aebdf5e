//! ICMP for IPv4 (RFC 792): its numbers and what they mean to a socket, and echo.

use super::{ICMP_LEN, Kind, checksum};
use crate::errno::Errno;
use crate::event::DropReason;
use crate::host::Host;
use crate::ip::{Arrived, Header, protocol};
use crate::time::Instant;

pub(super) const HOST_UNREACHABLE: Kind = Kind(3, 1);
pub(super) const PROTOCOL_UNREACHABLE: Kind = Kind(3, 2);
pub(super) const PORT_UNREACHABLE: Kind = Kind(3, 3);
pub(super) const FRAGMENTATION_NEEDED: Kind = Kind(3, 4);
pub(super) const REASSEMBLY: Kind = Kind(11, 1);

pub(super) const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// What an ICMP error means for a socket: its errno, and whether a connected UDP socket hears of it
/// (Linux `icmp_err_convert`). None: it is no error about a packet of ours.
pub(super) fn meaning(kind: Kind) -> Option<(Errno, bool)> {
    use Errno::{
        ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
    };
    Some(match kind {
        Kind(UNREACHABLE, 0 | 11) => (ENETUNREACH, false),
        Kind(UNREACHABLE, 1 | 12) => (EHOSTUNREACH, false),
        Kind(UNREACHABLE, 2) => (ENOPROTOOPT, true),
        Kind(UNREACHABLE, 3) => (ECONNREFUSED, true),
        Kind(UNREACHABLE, 4) => (EMSGSIZE, false),
        Kind(UNREACHABLE, 5) => (EOPNOTSUPP, false),
        Kind(UNREACHABLE, 6 | 9) => (ENETUNREACH, true),
        Kind(UNREACHABLE, 7) => (EHOSTDOWN, true),
        Kind(UNREACHABLE, 8) => (ENONET, true),
        Kind(UNREACHABLE, 10 | 13..=15) => (EHOSTUNREACH, true),
        Kind(UNREACHABLE, _) => (EHOSTUNREACH, false),
        Kind(TIME_EXCEEDED, _) => (EHOSTUNREACH, false),
        Kind(PARAMETER_PROBLEM, _) => (EPROTO, true),
        _ => return None,
    })
}

impl Host {
    pub(crate) fn receive_icmp(&mut self, now: Instant, arrived: &Arrived) {
        let Some(head) = arrived.payload.first_chunk::<ICMP_LEN>() else {
            return self.drop_packet(DropReason::Malformed);
        };
        if checksum(0, &arrived.payload) != 0 {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let [kind, code, _, _, rest @ ..] = *head;
        match kind {
            ECHO_REQUEST if self.intercept_echo(arrived) => {}
            // Linux `icmp_echo_ignore_broadcasts`: only those for us alone.
            ECHO_REQUEST if self.is_own(arrived.destination) && !arrived.to_many => {
                self.answer_echo(now, arrived);
            }
            ECHO_REPLY => self.receive_ping(arrived),
            UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => {
                // RFC 1191 4: the next hop's MTU stands in the last two octets of the header.
                let mtu = u32::from(u16::from_be_bytes([rest[2], rest[3]]));
                let quoted = arrived.payload.slice(ICMP_LEN..);
                self.receive_error(now, arrived, Kind(kind, code), mtu, &quoted);
            }
            _ => {}
        }
    }

    fn answer_echo(&mut self, now: Instant, arrived: &Arrived) {
        // RFC 1122 3.2.2.6: from the address that was asked. Linux copies the TOS.
        let tos = arrived.tos;
        let header = Header { tos, ..Header::new(arrived.destination, arrived.source, protocol::ICMP) };
        let body = arrived.payload.slice(4..);
        // Without a way back there is no reply; nobody here waits for one.
        let _ = self.send_icmp(now, &header, Kind(ECHO_REPLY, 0), &body);
    }
}
