//! Packet filter: rules in order, the first that fits decides; what no rule fits is accepted. Rules may ask whether a
//! packet belongs to a conversation that has gone both ways ("established"), as Linux's conntrack tells.

use core::time::Duration;
use std::collections::BTreeMap;

use super::packet::{self, ICMP, ICMPV6, TCP, Tuple};
use crate::addr::IpCidr;
use crate::time::Instant;

/// Which way a packet goes as a host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// Through this host.
    Forward,
}

/// Whether a packet belongs to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnState {
    /// No answer has been seen yet.
    New,
    /// Packets have gone both ways, or it is an error about such a conversation ("related").
    Established,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterAction {
    /// It goes on.
    Accept,
    /// It is gone; nobody is told.
    Drop,
    /// It is gone; its sender is told by ICMP "communication administratively prohibited" (RFC 1812 5.2.7.1).
    Reject,
}

/// One rule. What is not given fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterRule {
    /// Which way.
    pub direction: Direction,
    /// Protocol number.
    pub protocol: Option<u8>,
    /// Where from.
    pub from: Option<IpCidr>,
    /// Where to.
    pub to: Option<IpCidr>,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub ports: Option<(u16, u16)>,
    /// Of a conversation, or not.
    pub state: Option<ConnState>,
    /// What is done then.
    pub action: FilterAction,
}

impl FilterRule {
    fn fits(&self, direction: Direction, tuple: &Tuple, state: ConnState) -> bool {
        let among = |ports: Option<(u16, u16)>, port: u16| {
            ports.is_none_or(|(first, last)| (first..=last).contains(&port))
        };
        let has_ports = !matches!(tuple.protocol, ICMP | ICMPV6);
        // "icmp" means both families' protocol.
        let icmp = |p: u8| matches!(p, ICMP | ICMPV6);
        let protocol = |p: u8| p == tuple.protocol || icmp(p) && icmp(tuple.protocol);
        self.direction == direction
            && self.protocol.is_none_or(protocol)
            && self.from.is_none_or(|from| from.contains(tuple.source.ip()))
            && self.to.is_none_or(|to| to.contains(tuple.destination.ip()))
            && (self.source_ports.is_none() || has_ports && among(self.source_ports, tuple.source.port()))
            && (self.ports.is_none() || has_ports && among(self.ports, tuple.destination.port()))
            && self.state.is_none_or(|wanted| wanted == state)
    }
}

/// Linux `nf_conntrack_tcp_timeout_established`, `.._syn_sent`, `.._udp_timeout_stream`, `.._generic_timeout`.
const TCP_ESTABLISHED: Duration = Duration::from_secs(432_000);
const TCP_NEW: Duration = Duration::from_secs(120);
const STREAM: Duration = Duration::from_secs(120);
const OTHER: Duration = Duration::from_secs(30);
/// Conversations that are remembered. A choice; the one unused for longest makes room.
const MAX_FLOWS: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct Flow {
    expires: Instant,
    answered: bool,
}

/// The rules of a host, with how often each decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    rules: Vec<(FilterRule, u64)>,
    /// By the tuple of the first packet. Kept only if a rule asks.
    flows: BTreeMap<Tuple, Flow>,
    stateful: bool,
}

impl Filter {
    pub(crate) fn set(&mut self, rules: Vec<FilterRule>) {
        self.stateful = rules.iter().any(|rule| rule.state.is_some());
        self.rules = rules.into_iter().map(|rule| (rule, 0)).collect();
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Rules with the number of packets that each decided about.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&FilterRule, u64)> {
        self.rules.iter().map(|(rule, count)| (rule, *count))
    }

    /// What happens to a packet, and by which rule; none: no rule fits.
    pub(crate) fn decide(
        &mut self,
        now: Instant,
        direction: Direction,
        bytes: &[u8],
    ) -> (FilterAction, Option<usize>) {
        let Some(tuple) = packet::tuple(bytes) else { return (FilterAction::Accept, None) };
        let state = if self.stateful { self.state(now, &tuple, bytes) } else { ConnState::New };
        let found = self.rules.iter().position(|(rule, _)| rule.fits(direction, &tuple, state));
        let action = match found.and_then(|place| self.rules.get_mut(place)) {
            Some((rule, count)) => {
                *count += 1;
                rule.action
            }
            None => FilterAction::Accept,
        };
        if self.stateful && action == FilterAction::Accept {
            self.remember(now, tuple, bytes);
        }
        (action, found)
    }

    fn flow(&self, now: Instant, tuple: &Tuple) -> Option<&Flow> {
        self.flows.get(tuple).filter(|flow| flow.expires > now)
    }

    fn state(&self, now: Instant, tuple: &Tuple, bytes: &[u8]) -> ConnState {
        let about = packet::quote_at(bytes).and_then(|at| packet::tuple(bytes.get(at..)?));
        let established = match about {
            Some(about) => self.flow(now, &about).is_some() || self.flow(now, &about.reversed()).is_some(),
            None => {
                self.flow(now, &tuple.reversed()).is_some()
                    || self.flow(now, tuple).is_some_and(|flow| flow.answered)
            }
        };
        if established { ConnState::Established } else { ConnState::New }
    }

    fn remember(&mut self, now: Instant, tuple: Tuple, bytes: &[u8]) {
        if packet::quote_at(bytes).is_some() {
            return;
        }
        let (key, answers) = match self.flow(now, &tuple.reversed()) {
            Some(_) => (tuple.reversed(), true),
            None => (tuple, false),
        };
        let before = self.flow(now, &key).is_some_and(|flow| flow.answered);
        let answered = before || answers;
        let life = match (tuple.protocol, answered) {
            (TCP, true) => TCP_ESTABLISHED,
            (TCP, false) => TCP_NEW,
            (_, true) => STREAM,
            (_, false) => OTHER,
        };
        if self.flows.len() >= MAX_FLOWS && !self.flows.contains_key(&key) {
            self.flows.retain(|_, flow| flow.expires > now);
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.expires).map(|(key, _)| *key);
            if let Some(oldest) = oldest.filter(|_| self.flows.len() >= MAX_FLOWS) {
                self.flows.remove(&oldest);
            }
        }
        self.flows.insert(key, Flow { expires: now + life, answered });
    }
}
