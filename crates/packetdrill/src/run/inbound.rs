//! The far side's packets: from the script's terms to bytes.

use core::net::IpAddr;

use bytes::Bytes;

use super::{Run, TTL, index_of};
use crate::Trouble;
use crate::call::PORT;
use crate::connection::{Stream, octets};
use crate::packet::{Body, Icmp, Packet, Quoted, Segment, TcpOption};
use crate::wire::{self, Datagram, Load, QuotedHead, RawSegment};

impl Run<'_> {
    pub(super) fn inbound(&mut self, line: usize, packet: &Packet) -> Result<(), Trouble> {
        let ttl = packet.ttl.unwrap_or(TTL);
        let ecn = packet.ecn.unwrap_or(0);
        let (local, remote) = self.bench.ends();
        let datagram = |source: IpAddr, load| Datagram { source, destination: local, ttl, ecn, load };
        let datagram = match &packet.body {
            Body::Tcp(segment) => {
                let segment = self.raw_segment(line, segment, packet.ports)?;
                datagram(remote, Load::Tcp(segment))
            }
            Body::Udp(len) => {
                if let Some((source, destination)) = packet.ports {
                    self.udp = (destination, source);
                }
                let data = Bytes::from(octets(Stream::Received, 0, *len));
                datagram(remote, Load::Udp { source: self.udp.1, destination: self.udp.0, data })
            }
            Body::Icmp(icmp) => datagram(remote, self.raw_icmp(line, icmp)?),
        };
        self.bench.inject(&datagram);
        Ok(())
    }

    /// The segment as it goes over the cable.
    fn raw_segment(
        &mut self,
        line: usize,
        segment: &Segment,
        ports: Option<(u16, u16)>,
    ) -> Result<RawSegment, Trouble> {
        let Some(window) = segment.window else {
            return Err(Trouble::wrong(line, "a packet that comes in needs a win"));
        };
        let index = match ports {
            Some((source, destination)) => self.find_or_add(destination, source),
            None => match self.current {
                Some(index) => index,
                None => {
                    let remote = self.next_remote_port;
                    self.next_remote_port += 1;
                    self.find_or_add(PORT, remote)
                }
            },
        };
        self.current = Some(index);
        let connection = &mut self.connections[index];
        let (seq, syn) = (segment.seq.unwrap_or(0), segment.flags.syn);
        if syn {
            connection.handle_remote_syn(seq);
        }
        let options = segment.options.clone().unwrap_or_default().into_iter().map(|option| match option {
            TcpOption::Sack(blocks) => TcpOption::Sack(
                blocks
                    .iter()
                    .map(|(l, r)| {
                        (
                            connection.live_from_script_local(*l, syn),
                            connection.live_from_script_local(*r, syn),
                        )
                    })
                    .collect(),
            ),
            TcpOption::Timestamp { val, ecr } if segment.flags.ack => {
                TcpOption::Timestamp { val, ecr: connection.live_from_script_timestamp(ecr) }
            }
            other => other,
        });
        Ok(RawSegment {
            source: connection.remote_port,
            destination: connection.local_port,
            flags: segment.flags,
            seq: connection.live_from_script_remote(seq, syn),
            ack: if segment.flags.ack {
                connection.live_from_script_local(segment.ack, syn)
            } else {
                segment.ack
            },
            window,
            urgent: segment.urgent.unwrap_or(0),
            options: options.collect(),
            data: octets(Stream::Received, index_of(seq, syn), segment.len).into(),
        })
    }

    fn raw_icmp(&self, line: usize, icmp: &Icmp) -> Result<Load, Trouble> {
        let (local, remote) = self.bench.ends();
        let head = match icmp.quoted {
            Some(Quoted::Tcp { seq }) => {
                let Some(connection) = self.current.map(|i| &self.connections[i]) else {
                    return Err(Trouble::wrong(line, "no connection yet for this ICMP message"));
                };
                let seq = connection.live_from_script_local(seq, false);
                Some(QuotedHead::Tcp {
                    source: connection.local_port,
                    destination: connection.remote_port,
                    seq,
                })
            }
            Some(Quoted::Udp { len }) => {
                let len = u16::try_from(len).map_err(|_| Trouble::wrong(line, "the datagram is too long"))?;
                Some(QuotedHead::Udp { source: self.udp.0, destination: self.udp.1, len })
            }
            None => None,
        };
        Ok(Load::Icmp {
            kind: icmp.kind,
            code: icmp.code,
            id: icmp.id.unwrap_or(0),
            mtu: icmp.mtu.unwrap_or(0),
            data: head.map(|head| wire::quote(local, remote, head)).unwrap_or_default(),
        })
    }
}
