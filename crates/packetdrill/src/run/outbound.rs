//! The host's packets: from bytes to the script's terms, and held against what is written.

use core::time::Duration;

use super::{LOOKAHEAD, LOOSE_ACK, PATIENCE, Run, follows, index_of, seconds, timestamp};
use crate::bench::Seen;
use crate::compare::compare;
use crate::connection::{Stream, octets};
use crate::packet::{Body, Flags, Icmp, Packet, Quoted, Segment, TcpOption};
use crate::wire::{self, Datagram, Load, QuotedHead, RawSegment};
use crate::{Comparison, Trouble};

impl Run<'_> {
    pub(super) fn outbound(
        &mut self,
        line: usize,
        expected: &Packet,
        from: Duration,
        to: Option<Duration>,
    ) -> Result<(), Trouble> {
        let to = to.map(|to| if self.may_be_late(expected) { to + LOOSE_ACK } else { to });
        let deadline = to.map_or(self.bench.now() + PATIENCE, |to| to + self.tolerance);
        let seen = loop {
            self.wait_for_packet(deadline)?;
            let Some(seen) = self.bench.seen.pop_front() else {
                let why = format!("expected > {expected}, but {}", self.nothing_came(deadline));
                return Err(Trouble::wrong(line, why));
            };
            if !self.is_eager_ack(&seen, expected) {
                break seen;
            }
        };
        let seen = self.with_what_follows(seen, expected);
        let actual =
            self.translate(&seen.datagram, Some(expected)).map_err(|why| Trouble::wrong(line, why))?;
        if let Some(difference) = compare(expected, &actual, self.how) {
            let at = seconds(seen.at);
            return Err(Trouble::wrong(
                line,
                format!("expected > {expected}, saw > {actual} at {at}: {difference}"),
            ));
        }
        self.check_timestamp(line, expected, &seen.datagram)?;
        self.remember_timestamp(expected, &seen.datagram);
        let early = to.is_some() && seen.at + self.tolerance < from;
        if early || to.is_some_and(|to| seen.at > to + self.tolerance) {
            let (at, wanted) = (seconds(seen.at), seconds(from));
            return Err(Trouble::wrong(line, format!("> {actual} came at {at}, not at {wanted}")));
        }
        Ok(())
    }

    fn wait_for_packet(&mut self, deadline: Duration) -> Result<(), Trouble> {
        while self.bench.seen.is_empty() {
            let more = self.bench.step(deadline);
            self.settle()?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// A plain ACK in a script for another kernel.
    pub(super) fn may_be_late(&self, expected: &Packet) -> bool {
        let plain = Flags { ack: true, ..Flags::default() };
        self.how == Comparison::Loose
            && matches!(&expected.body, Body::Tcp(s) if s.flags == plain && s.len == 0)
    }

    /// Linux acknowledges at once where other kernels delay: a plain ACK that a script for those does not mention.
    fn is_eager_ack(&mut self, seen: &Seen, expected: &Packet) -> bool {
        let Load::Tcp(live) = &seen.datagram.load else { return false };
        let plain = Flags { ack: true, ..Flags::default() };
        if self.how == Comparison::Exact || live.flags != plain || !live.data.is_empty() {
            return false;
        }
        let actual = self.translate(&seen.datagram, Some(expected));
        actual.is_ok_and(|actual| compare(expected, &actual, self.how).is_some())
    }

    /// Says that no packet came in time, and when the next one did.
    fn nothing_came(&mut self, deadline: Duration) -> String {
        while self.bench.seen.is_empty() && self.bench.step(deadline + LOOKAHEAD) {}
        match self.bench.seen.front().cloned() {
            Some(seen) => format!("nothing was sent until {}", self.show(&seen)),
            None => "nothing was sent".to_owned(),
        }
    }

    pub(super) fn show(&mut self, seen: &Seen) -> String {
        match self.translate(&seen.datagram, None) {
            Ok(packet) => format!("> {packet} at {}", seconds(seen.at)),
            Err(why) => why,
        }
    }

    /// A script may write several segments sent at once as one, as a kernel with segmentation offload shows them.
    fn with_what_follows(&mut self, mut seen: Seen, expected: &Packet) -> Seen {
        let Body::Tcp(Segment { len: wanted, .. }) = expected.body else { return seen };
        while let Load::Tcp(segment) = &mut seen.datagram.load
            && segment.data.len() < wanted
            && !segment.data.is_empty()
            && let Some(Seen { at, datagram: Datagram { load: Load::Tcp(next), .. } }) =
                self.bench.seen.front()
            && *at == seen.at
            && follows(segment, next)
        {
            segment.data = [segment.data.as_ref(), next.data.as_ref()].concat().into();
            segment.flags = next.flags;
            self.bench.seen.pop_front();
        }
        seen
    }

    /// The packet in the script's terms.
    fn translate(&mut self, datagram: &Datagram, expected: Option<&Packet>) -> Result<Packet, String> {
        if datagram.destination != self.bench.ends().1 {
            return Err(format!("a packet to {}", datagram.destination));
        }
        let packet = |ports, body| Packet { ports, ttl: Some(datagram.ttl), ecn: Some(datagram.ecn), body };
        match &datagram.load {
            Load::Tcp(segment) => {
                let (ports, segment) = self.script_segment(segment, expected)?;
                Ok(packet(ports, Body::Tcp(segment)))
            }
            Load::Udp { source, destination, data } => {
                self.udp = (*source, *destination);
                if data.as_ref() != octets(Stream::Sent, 0, data.len()) {
                    return Err("the octets of the datagram are not those that were written".to_owned());
                }
                let named = expected.is_some_and(|e| e.ports.is_some());
                Ok(packet(named.then_some((*source, *destination)), Body::Udp(data.len())))
            }
            Load::Icmp { kind, code, id, mtu, data } => {
                let quoted = match wire::parse_quote(data)
                    .filter(|_| matches!((self.bench.v6, *kind), (false, 3 | 11 | 12) | (true, 1..=4)))
                {
                    Some(QuotedHead::Udp { len, .. }) => Some(Quoted::Udp { len: usize::from(len) }),
                    Some(QuotedHead::Tcp { seq, .. }) => Some(Quoted::Tcp { seq }),
                    None => None,
                };
                Ok(packet(
                    None,
                    Body::Icmp(Icmp { kind: *kind, code: *code, mtu: Some(*mtu), id: Some(*id), quoted }),
                ))
            }
        }
    }

    fn script_segment(
        &mut self,
        live: &RawSegment,
        expected: Option<&Packet>,
    ) -> Result<(Option<(u16, u16)>, Segment), String> {
        let known = self.find(live.source, live.destination);
        let wanted = match expected {
            Some(Packet { body: Body::Tcp(segment), .. }) => Some(segment),
            _ => None,
        };
        // The host's own SYN begins a connection.
        let index = match known {
            Some(index) => index,
            None => self.find_or_add(live.source, live.destination),
        };
        if known.is_none() && live.flags.syn && !live.flags.ack {
            self.current = Some(index);
        }
        let connection = &mut self.connections[index];
        let syn = live.flags.syn;
        if let Some(wanted) = wanted.filter(|w| w.flags.syn && syn) {
            connection.handle_local_syn(wanted.seq.unwrap_or(0), live.seq, live.flags.ack);
        }
        // RFC 9293 3.10.7.1: a RST that answers a segment without ACK has sequence number 0, whatever the connection's.
        let bare_reset = live.flags.rst && live.flags.ack && live.seq == 0;
        let seq = if bare_reset { 0 } else { connection.script_from_live_local(live.seq, syn) };
        if !live.data.is_empty()
            && !bare_reset
            && seq != 0
            && live.data.as_ref() != octets(Stream::Sent, index_of(seq, syn), live.data.len())
        {
            return Err(format!("the {} octets at {seq} are not those that were written", live.data.len()));
        }
        let options = live.options.iter().map(|option| match option {
            TcpOption::Sack(blocks) => TcpOption::Sack(
                blocks
                    .iter()
                    .map(|(l, r)| {
                        (
                            connection.script_from_live_remote(*l, syn),
                            connection.script_from_live_remote(*r, syn),
                        )
                    })
                    .collect(),
            ),
            TcpOption::Timestamp { val, ecr } => {
                let first = wanted.and_then(Segment::timestamp).map_or(*val, |(val, _)| val);
                TcpOption::Timestamp {
                    val: connection.script_from_live_timestamp(*val).unwrap_or(first),
                    ecr: *ecr,
                }
            }
            other => other.clone(),
        });
        let segment = Segment {
            flags: live.flags,
            seq: Some(seq),
            len: live.data.len(),
            ack: if live.flags.ack { connection.script_from_live_remote(live.ack, syn) } else { live.ack },
            window: Some(live.window),
            urgent: live.flags.urg.then_some(live.urgent),
            options: Some(options.collect()),
        };
        let named = expected.is_none_or(|e| e.ports.is_some()) || self.current != Some(index);
        Ok((named.then_some((live.source, live.destination)), segment))
    }

    /// `--tcp_ts_tick_usecs`: timestamps must grow with time.
    fn check_timestamp(&self, line: usize, expected: &Packet, live: &Datagram) -> Result<(), Trouble> {
        let (Some(tick), Body::Tcp(wanted), Load::Tcp(segment)) =
            (self.timestamp_tick, &expected.body, &live.load)
        else {
            return Ok(());
        };
        let Some(connection) = self.find(segment.source, segment.destination).map(|i| &self.connections[i])
        else {
            return Ok(());
        };
        let (Some((wanted, _)), Some(val)) = (wanted.timestamp(), timestamp(segment)) else { return Ok(()) };
        let Some(found) = connection.script_from_live_timestamp(val) else { return Ok(()) };
        let off = wanted.wrapping_sub(found).min(found.wrapping_sub(wanted));
        if tick.saturating_mul(off) <= self.tolerance.max(tick) {
            return Ok(());
        }
        Err(Trouble::wrong(line, format!("the timestamp's value is {found}, not {wanted}")))
    }

    fn remember_timestamp(&mut self, expected: &Packet, live: &Datagram) {
        let (Body::Tcp(wanted), Load::Tcp(segment)) = (&expected.body, &live.load) else { return };
        if let (Some((script, _)), Some(val)) = (wanted.timestamp(), timestamp(segment))
            && let Some(index) = self.find(segment.source, segment.destination)
        {
            self.connections[index].handle_local_timestamp(script, val);
        }
    }
}
