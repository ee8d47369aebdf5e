//! A DNS server (RFC 1035) over UDP: it knows the lab's hosts and the names it was given, forward and backward. With a
//! gateway in the lab it also answers for the real world: a foreign name is looked up there, and the question waits for
//! the answer. Left out: zones, transfers, DNS over TCP; no answer here is as long as that.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use simple_dns::rdata::{PTR, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE};

use super::Cx;
use crate::names::Foreign;

/// How long an answer may be kept, in seconds. A choice: short, so that a second question is seen.
const TTL: u32 = 60;

/// What a server knows beside the lab's hosts.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    names: Vec<(String, IpAddr)>,
    /// Questions, and whose, that wait for the real world.
    waiting: Vec<(SocketAddr, Bytes)>,
}

/// Questions that may wait; the next is answered by SERVFAIL. A choice: two for each host of a big lab.
const MOST_WAITING: usize = 256;

/// What the zone knows of a name.
enum Known {
    /// Whether it is one of the lab's, and what the question is answered with.
    Rows(bool, Vec<RData<'static>>),
    NoSuchName,
    Failed,
    /// The real world is asked.
    Wait,
}

impl Zone {
    pub(super) fn new(names: Vec<(String, IpAddr)>) -> Zone {
        let lower = names.into_iter().map(|(name, address)| (name.to_ascii_lowercase(), address));
        Zone { names: lower.collect(), waiting: Vec::new() }
    }

    /// Questions wait for the real world.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The replies to questions that have waited long enough.
    pub(super) fn look_again(&mut self, cx: &mut Cx<'_>) -> Vec<(SocketAddr, Bytes)> {
        let waiting = core::mem::take(&mut self.waiting);
        let replies = waiting
            .into_iter()
            .filter_map(|(from, message)| self.answer(cx, from, &message).map(|reply| (from, reply)));
        replies.collect()
    }

    /// The reply to a message; none if it is no question, or one that waits.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, from: SocketAddr, message: &Bytes) -> Option<Bytes> {
        let asked = Packet::parse(message).ok().filter(|p| !p.has_flags(PacketFlag::RESPONSE))?;
        let mut reply = Packet::new_reply(asked.id());
        reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
        if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
            reply.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        reply.questions.clone_from(&asked.questions);
        let question = match asked.questions.as_slice() {
            [one] if asked.opcode() == OPCODE::StandardQuery => one,
            _ => {
                *reply.rcode_mut() = RCODE::NotImplemented;
                return reply.build_bytes_vec_compressed().ok().map(Bytes::from);
            }
        };
        let name = question.qname.to_string().to_ascii_lowercase();
        let internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
        let found = if internet { self.find(cx, from, &name, question.qtype) } else { Known::NoSuchName };
        match found {
            Known::NoSuchName => *reply.rcode_mut() = RCODE::NameError,
            Known::Wait if self.waiting.len() < MOST_WAITING => {
                // A client that asks again hears one answer.
                let question = (from, message.clone());
                if !self.waiting.contains(&question) {
                    self.waiting.push(question);
                }
                return None;
            }
            Known::Wait | Known::Failed => *reply.rcode_mut() = RCODE::ServerFailure,
            Known::Rows(ours, rows) => {
                if ours {
                    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
                }
                let qname = question.qname.clone().into_owned();
                let row = |data| ResourceRecord::new(qname.clone(), CLASS::IN, TTL, data);
                reply.answers = rows.into_iter().map(row).collect();
            }
        }
        reply.build_bytes_vec_compressed().ok().map(Bytes::from)
    }

    fn find(&self, cx: &mut Cx<'_>, from: SocketAddr, name: &str, kind: QTYPE) -> Known {
        let wanted = |wanted: TYPE| kind == QTYPE::ANY || kind == QTYPE::TYPE(wanted);
        if let Some(address) = reversed(name) {
            let owner = self.names.iter().find(|(_, a)| *a == address).map(|(name, _)| name.clone());
            let Some(owner) = owner.or_else(|| cx.names.reverse(address)) else { return Known::NoSuchName };
            let rows = if wanted(TYPE::PTR) {
                Name::new(&owner).map(|name| RData::PTR(PTR(name.into_owned()))).into_iter().collect()
            } else {
                Vec::new()
            };
            return Known::Rows(true, rows);
        }
        let mut addresses: Vec<IpAddr> =
            self.names.iter().filter(|(own, _)| own == name).map(|(_, address)| *address).collect();
        addresses.extend(cx.names.of_host(name));
        let ours = !addresses.is_empty();
        if !ours {
            match cx.foreign(from, name) {
                Foreign::Addresses(found) => addresses = found,
                Foreign::NoSuchName => return Known::NoSuchName,
                Foreign::Failed => return Known::Failed,
                Foreign::Wait | Foreign::Ask => return Known::Wait,
            }
        }
        let rows = addresses.into_iter().filter_map(|address| match address {
            IpAddr::V4(v4) => wanted(TYPE::A).then(|| RData::A(v4.into())),
            IpAddr::V6(v6) => wanted(TYPE::AAAA).then(|| RData::AAAA(v6.into())),
        });
        Known::Rows(ours, rows.collect())
    }
}

/// The address in `80.0.0.10.in-addr.arpa` (RFC 1035 3.5) or its like for IPv6 (RFC 3596 2.5).
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let mut octets: Vec<u8> = octets.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        octets.reverse();
        return <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let digits: Option<Vec<u32>> = digits
        .split('.')
        .map(|digit| digit.chars().next().filter(|_| digit.len() == 1).and_then(|c| c.to_digit(16)))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    let bits = digits.iter().rev().fold(0u128, |bits, digit| bits << 4 | u128::from(*digit));
    Some(Ipv6Addr::from(bits).into())
}

/// The name under which the name of an address is found.
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = (0..32).map(|i| format!("{:x}.", v6.to_bits() >> (4 * i) & 15));
            digits.collect::<String>() + "ip6.arpa"
        }
    }
}

/// A question, as a resolver asks it.
pub(super) fn query(id: u16, name: &str, kind: TYPE) -> Option<Bytes> {
    let name = Name::new(name).ok()?;
    let mut query = Packet::new_query(id);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    query.questions.push(simple_dns::Question::new(name, kind.into(), CLASS::IN.into(), false));
    query.build_bytes_vec().ok().map(Bytes::from)
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Addresses(Vec<IpAddr>),
    Name(String),
    /// There is no such name.
    NoName,
    /// The server cannot tell.
    Failed,
}

/// Reads the reply to our question; none if it is not that.
pub(super) fn reply(id: u16, message: &[u8]) -> Option<Said> {
    let reply = Packet::parse(message).ok()?;
    if reply.id() != id || !reply.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    Some(match reply.rcode() {
        RCODE::NoError => {
            let mut addresses = Vec::new();
            for row in &reply.answers {
                match &row.rdata {
                    RData::A(a) => addresses.push(Ipv4Addr::from(a.address).into()),
                    RData::AAAA(a) => addresses.push(Ipv6Addr::from(a.address).into()),
                    RData::PTR(PTR(name)) => return Some(Said::Name(name.to_string())),
                    _ => {}
                }
            }
            Said::Addresses(addresses)
        }
        RCODE::NameError => Said::NoName,
        _ => Said::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::{reverse_name, reversed};

    #[test]
    fn names_of_addresses_go_both_ways() {
        for text in ["10.0.0.80", "fd00::1:2", "255.255.255.255"] {
            let address = text.parse().ok();
            assert_eq!(address.and_then(|a| reversed(&reverse_name(a))), address, "{text}");
        }
        for wrong in ["1.2.3.in-addr.arpa", "256.0.0.1.in-addr.arpa", "0.ip6.arpa", "server"] {
            assert_eq!(reversed(wrong), None, "{wrong}");
        }
    }
}
