//! UDP (RFC 768): datagrams in to the best socket, datagrams out.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use smoltcp::wire::{IpAddress, IpProtocol, UdpPacket};

use crate::errno::{Cause, Errno, Failure};
use crate::event::{Demux, DropReason, HostEvent, SocketId};
use crate::host::{Host, Intercept};
use crate::icmp;
use crate::ip::{Arrived, Header};
use crate::socket::{Body, Datagram};
use crate::time::Instant;

/// Octets of a UDP header.
const UDP_LEN: usize = 8;
/// Most octets in one datagram: 65,535 less both headers.
pub(crate) const MAX_PAYLOAD: usize = 65_507;
/// What one datagram costs of `SO_RCVBUF` beside its octets: Linux's buffer head.
const OVERHEAD: usize = 768;

impl Host {
    pub(crate) fn receive_udp(&mut self, now: Instant, arrived: &Arrived) {
        let Ok(packet) = UdpPacket::new_checked(arrived.payload.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let (source, destination) = (arrived.source, arrived.destination);
        let ends = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
        if packet.checksum() != 0 && !packet.verify_checksum(&ends.0, &ends.1) {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let from = SocketAddr::from((source, packet.src_port()));
        let to = SocketAddr::from((destination, packet.dst_port()));
        let data = arrived.payload.slice(UDP_LEN..usize::from(packet.len()).max(UDP_LEN));
        if self.config.any_ip && !arrived.to_many && !self.is_own(destination) {
            self.intercepts.push_back(Intercept::Datagram { client: from, target: to, data });
            return;
        }
        let candidates = self.sockets.udp_ports.holders(to.port());
        let mut scored: Vec<(u32, SocketId)> = Vec::new();
        for id in &candidates {
            if let Some(score) = self.udp_score(*id, from, to, arrived.to_many) {
                scored.push((score, *id));
            }
        }
        // The most specific socket gets it; each of them, if it was sent to many. Of equals, the newest (Linux).
        let best = scored.iter().max().map(|(_, id)| *id);
        let chosen: Vec<SocketId> = match best {
            Some(_) if arrived.to_many => scored.iter().map(|(_, id)| *id).collect(),
            Some(id) => vec![id],
            None => Vec::new(),
        };
        // Nobody here listens to our own broadcast: nothing happened.
        if chosen.is_empty() && arrived.to_many && self.is_own(source) {
            return;
        }
        let passed_over = candidates.into_iter().filter(|id| !chosen.contains(id)).collect();
        self.events.push_back(HostEvent::Demux(Demux { protocol: 17, from, to, chosen: best, passed_over }));
        if chosen.is_empty() {
            self.drop_packet(DropReason::NoListener);
            return self.send_icmp_error(now, icmp::PORT_UNREACHABLE, arrived);
        }
        for id in chosen {
            self.queue_datagram(id, from, data.clone());
        }
    }

    /// How well a socket fits; more is more specific (Linux `compute_score`).
    fn udp_score(&self, id: SocketId, from: SocketAddr, to: SocketAddr, to_many: bool) -> Option<u32> {
        let socket = self.sockets.get(id)?;
        let local = socket.local?;
        let mut score = 1;
        if !local.ip().is_unspecified() {
            if local.ip() != to.ip() && !to_many {
                return None;
            }
            // Linux: a socket bound to an address hears no broadcasts.
            if local.ip() != to.ip() {
                return None;
            }
            score += 2;
        }
        if let Some(peer) = socket.peer {
            if peer != from {
                return None;
            }
            score += 4;
        }
        Some(score)
    }

    fn queue_datagram(&mut self, id: SocketId, from: SocketAddr, data: Bytes) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let limit = socket.options.udp_recv_buffer();
        let Body::Udp(udp) = &mut socket.body else { return };
        let cost = data.len() + OVERHEAD;
        if udp.held + cost > limit && udp.held > 0 {
            return self.drop_packet(DropReason::ReceiveBufferFull);
        }
        udp.held += cost;
        udp.queue.push_back(Datagram { from, data, cost });
        self.wake(id);
    }

    /// Sends a datagram with these ends, which need not be ours.
    pub(crate) fn send_udp(
        &mut self,
        now: Instant,
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        data: &[u8],
        ttl_tos: Option<(u8, u8)>,
    ) -> Result<(), Failure> {
        let mut header = Header::new(from.0, to.0, IpProtocol::Udp);
        if let Some((ttl, tos)) = ttl_tos {
            header = Header { ttl, tos, ..header };
        }
        self.send_packet(now, &header, UDP_LEN + data.len(), |out| emit(from, to, data, out))
    }

    /// An ICMP error is about a datagram of ours: a connected socket hears of it.
    pub(crate) fn udp_unreachable(&mut self, local: SocketAddr, peer: SocketAddr, error: (Errno, Cause)) {
        for id in self.sockets.udp_ports.holders(local.port()) {
            let Some(socket) = self.sockets.get_mut(id) else { continue };
            let ours = socket.local.is_some_and(|l| l.ip() == local.ip() || l.ip().is_unspecified());
            if ours && socket.peer == Some(peer) {
                socket.error = Some(error);
                self.wake(id);
                return;
            }
        }
    }

    /// Whether `to` is a broadcast address of a link.
    pub(crate) fn is_broadcast(&self, to: IpAddr) -> bool {
        match to {
            IpAddr::V4(ip) => ip.is_broadcast() || self.ifaces.iter().any(|iface| iface.is_broadcast(ip)),
            IpAddr::V6(_) => false,
        }
    }
}

/// Writes a datagram with its checksum into `out`.
pub(crate) fn emit(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8], out: &mut [u8]) {
    let len = out.len();
    let mut packet = UdpPacket::new_unchecked(out);
    packet.set_src_port(from.1);
    packet.set_dst_port(to.1);
    packet.set_len(len as u16);
    packet.payload_mut().copy_from_slice(data);
    packet.fill_checksum(&IpAddress::Ipv4(from.0), &IpAddress::Ipv4(to.0));
}
