//! UDP (RFC 768): datagrams in to the best socket, datagrams out.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use smoltcp::wire::{IpAddress, UdpPacket};

use crate::addr::endpoint;
use crate::errno::Failure;
use crate::event::{Demux, DropReason, HostEvent, SocketId};
use crate::host::{Host, Intercept};
use crate::icmp::Problem;
use crate::ip::{Arrived, Header, protocol};
use crate::socket::NEWS_IN;
use crate::socket::{Datagram, Meta};
use crate::time::Instant;

/// Octets of a UDP header.
pub(crate) const UDP_LEN: usize = 8;
/// Most octets in one datagram over IPv4: 65,535 less both headers.
pub(crate) const MAX_PAYLOAD: usize = 65_507;
/// Most octets in one datagram over IPv6, whose length field does not count its own header.
pub(crate) const MAX_PAYLOAD_V6: usize = 65_527;
/// What one datagram costs of `SO_RCVBUF` beside its octets: Linux's buffer head.
const OVERHEAD: usize = 768;

impl Host {
    pub(crate) fn receive_udp(&mut self, now: Instant, arrived: &Arrived) {
        let Ok(packet) = UdpPacket::new_checked(arrived.payload.as_ref()) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let (source, destination) = (arrived.source, arrived.destination);
        let ends = (IpAddress::from(source), IpAddress::from(destination));
        // RFC 8200 8.1: over IPv6 there is always a checksum.
        let unchecked = packet.checksum() == 0 && source.is_ipv4();
        if !unchecked && (packet.checksum() == 0 || !packet.verify_checksum(&ends.0, &ends.1)) {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let from = endpoint(source, packet.src_port(), arrived.iface);
        let to = endpoint(destination, packet.dst_port(), arrived.iface);
        let data = arrived.payload.slice(UDP_LEN..usize::from(packet.len()).max(UDP_LEN));
        if self.config.any_ip && !arrived.to_many && !self.is_own(destination) {
            self.intercepts.push_back(Intercept::Datagram { client: from, target: to, data });
            return;
        }
        let candidates = self.sockets.udp_ports.holders(to.port());
        let mut scored: Vec<(u32, SocketId)> = Vec::new();
        for id in &candidates {
            let Some(socket) = self.sockets.get(*id) else { continue };
            let in_group =
                !destination.is_multicast() || socket.options.ip.hears_group(arrived.iface, destination);
            if let Some(score) = socket.fit(from, to, arrived.iface).filter(|_| in_group) {
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
            return self.send_icmp_error(now, Problem::Port, arrived);
        }
        let meta = self.meta_of(arrived);
        for id in chosen {
            self.queue_datagram(id, from, data.clone(), meta);
        }
    }

    /// Puts a datagram into a socket's queue, if there is room.
    pub(crate) fn queue_datagram(&mut self, id: SocketId, from: SocketAddr, data: Bytes, meta: Meta) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let limit = socket.options.udp_recv_buffer();
        let Some(queue) = socket.datagrams_mut() else { return };
        let cost = data.len() + OVERHEAD;
        if queue.held + cost > limit && queue.held > 0 {
            return self.drop_packet(DropReason::ReceiveBufferFull);
        }
        queue.held += cost;
        queue.queue.push_back(Datagram { from, data, cost, meta });
        self.wake_for(id, NEWS_IN);
    }

    /// Gateway mode: sends a datagram with these ends, which need not be ours.
    pub(crate) fn send_udp_between(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
    ) -> Result<(), Failure> {
        let iface = crate::addr::zone(to);
        let header = Header { iface, ..Header::new(from.ip(), to.ip(), protocol::UDP) };
        self.send_packet(now, &header, UDP_LEN + data.len(), |out| emit(from, to, data, out))
    }
}

/// Writes a datagram with its checksum into `out`.
pub(crate) fn emit(from: SocketAddr, to: SocketAddr, data: &[u8], out: &mut [u8]) {
    let len = out.len();
    let mut packet = UdpPacket::new_unchecked(out);
    packet.set_src_port(from.port());
    packet.set_dst_port(to.port());
    packet.set_len(len as u16);
    packet.payload_mut().copy_from_slice(data);
    packet.fill_checksum(&IpAddress::from(from.ip()), &IpAddress::from(to.ip()));
}

/// The flow label of what goes between two ends (RFC 6437): the same for each datagram and segment.
pub(crate) fn flow_label(seed: u64, from: SocketAddr, to: SocketAddr) -> u32 {
    if matches!(to.ip(), IpAddr::V4(_)) {
        return 0;
    }
    let ([a, b, c], [d, e, f]) = (crate::rng::endpoint(from), crate::rng::endpoint(to));
    crate::rng::hash(seed, &[a, b, c, d, e, f]) as u32 & 0xf_ffff
}
