//! Raw sockets (raw(7)) and Linux's ping sockets (`SOCK_DGRAM` with `IPPROTO_ICMP`, icmp(7)): what reaches them, and
//! what they send.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use smoltcp::wire::Ipv4Packet;

use super::control::Wishes;
use super::{Meta, Socket};
use crate::addr::{endpoint, zone};
use crate::call::Ret;
use crate::errno::{Errno, Failure};
use crate::event::{Demux, DropReason, HostEvent, SocketId};
use crate::host::Host;
use crate::icmp::{ICMP_LEN, Kind, checksum_v6};
use crate::ip::{Arrived, protocol};
use crate::time::Instant;

const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

impl Host {
    /// Gives a packet to every raw socket that wants it. True if there is one.
    pub(crate) fn receive_raw(&mut self, protocol: u8, arrived: &Arrived) -> bool {
        if self.sockets.raw.is_empty() {
            return false;
        }
        let chosen: Vec<SocketId> = self
            .sockets
            .raw
            .iter()
            .copied()
            .filter(|id| self.sockets.get(*id).is_some_and(|socket| wants(socket, protocol, arrived)))
            .collect();
        if chosen.is_empty() {
            return false;
        }
        if let (protocol::ICMPV6, IpAddr::V6(from), IpAddr::V6(to)) =
            (protocol, arrived.source, arrived.destination)
            && checksum_v6(from, to, &arrived.payload) != 0
        {
            return true;
        }
        // raw(7): an IPv4 packet comes with its header, an IPv6 one without.
        let data = if arrived.source.is_ipv4() { with_header(arrived) } else { arrived.payload.clone() };
        let from = endpoint(arrived.source, 0, arrived.iface);
        for id in chosen {
            let socket = self.sockets.get(id);
            if socket.is_some_and(|socket| !is_filtered(socket, protocol, arrived.payload.first().copied())) {
                self.queue_datagram(id, from, data.clone(), self.meta_of(arrived));
            }
        }
        true
    }

    /// An echo reply: for the ping socket whose number it bears (Linux `ping_lookup`).
    pub(crate) fn receive_ping(&mut self, arrived: &Arrived) {
        let Some([_, _, _, _, high, low, ..]) = arrived.payload.first_chunk::<ICMP_LEN>() else {
            return self.drop_packet(DropReason::Malformed);
        };
        let ident = u16::from_be_bytes([*high, *low]);
        let to = endpoint(arrived.destination, ident, arrived.iface);
        let from = endpoint(arrived.source, 0, arrived.iface);
        let holders = self.sockets.ping_ports.holders(ident);
        let fits = |id: &SocketId| {
            self.sockets.get(*id).is_some_and(|socket| {
                socket.is_v6() == to.is_ipv6()
                    && Host::is_about(socket.local, to)
                    && socket.options.ip.device.is_none_or(|device| device == arrived.iface)
            })
        };
        let Some(id) = holders.iter().copied().find(fits) else { return };
        let passed_over = holders.into_iter().filter(|other| *other != id).collect();
        let protocol = if to.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        self.events.push_back(HostEvent::Demux(Demux { protocol, from, to, chosen: Some(id), passed_over }));
        self.queue_datagram(id, from, arrived.payload.clone(), self.meta_of(arrived));
    }

    /// What ancillary data may tell of a packet.
    pub(crate) fn meta_of(&self, arrived: &Arrived) -> Meta {
        let own = if self.is_own(arrived.destination) {
            Some(arrived.destination)
        } else {
            self.path(arrived.source, None, Some(arrived.iface)).ok().map(|path| path.source)
        };
        Meta {
            to: arrived.destination,
            own: own.unwrap_or(arrived.destination),
            iface: arrived.iface,
            ttl: arrived.ttl,
            tos: arrived.tos,
        }
    }

    pub(super) fn send_raw(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &Bytes,
        to: SocketAddr,
        wishes: &Wishes,
    ) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let kind = u8::try_from(socket.protocol).unwrap_or(protocol::RAW);
        // Linux `rawv6_sendmsg`: the port is the protocol, or nothing.
        if socket.is_v6() && to.port() != 0 && to.port() != u16::from(kind) {
            return Err(Errno::EINVAL.into());
        }
        let header_included = socket.options.ip.header_included && to.is_ipv4();
        let header = self.datagram_header(id, to, kind, wishes)?;
        self.take_error(id)?;
        if header_included {
            let sent = self.send_written(now, &header, data);
            if sent == Err(Errno::EMSGSIZE.into()) {
                let mtu = self.path(to.ip(), None, header.iface).map_or(0, |path| path.link_mtu);
                self.local_error(id, to, mtu);
            }
            return sent.map(|()| Ret::Len(data.len()));
        }
        let ends = (header.source, header.destination);
        self.send_datagram_packet(now, id, to, &header, data.len(), |out| {
            out.copy_from_slice(data);
            // RFC 3542 3.1: the kernel reckons the checksum of ICMPv6.
            if let (protocol::ICMPV6, IpAddr::V6(from), IpAddr::V6(to)) = (kind, ends.0, ends.1)
                && out.len() >= 4
            {
                out[2..4].fill(0);
                let sum = checksum_v6(from, to, out).to_be_bytes();
                out[2..4].copy_from_slice(&sum);
            }
        })?;
        Ok(Ret::Len(data.len()))
    }

    /// Linux `ping_v4_sendmsg`, `ping_v6_sendmsg`: only echo requests; the kernel fills in number and checksum.
    pub(super) fn send_ping(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &Bytes,
        to: SocketAddr,
        wishes: &Wishes,
    ) -> Result<Ret, Failure> {
        let (request, protocol) =
            if to.is_ipv4() { (ECHO_REQUEST, protocol::ICMP) } else { (ECHO_REQUEST_V6, protocol::ICMPV6) };
        let wanted = data.first_chunk::<ICMP_LEN>().filter(|head| (head[0], head[1]) == (request, 0));
        if wanted.is_none() {
            return Err(Errno::EINVAL.into());
        }
        let header = self.datagram_header(id, to, protocol, wishes)?;
        self.take_error(id)?;
        let ident = self.name_for_sending(id)?;
        let mut body = data.get(4..).unwrap_or_default().to_vec();
        body[..2].copy_from_slice(&ident.to_be_bytes());
        let ends = (header.source, header.destination);
        self.send_datagram_packet(now, id, to, &header, data.len(), |out| {
            crate::icmp::emit(ends, Kind(request, 0), &body, out);
        })?;
        Ok(Ret::Len(data.len()))
    }
}

/// Linux `raw_v4_match`, `raw_v6_match`.
fn wants(socket: &Socket, protocol: u8, arrived: &Arrived) -> bool {
    let local = socket.bound_ip();
    let ip = &socket.options.ip;
    socket.protocol == i32::from(protocol)
        && protocol != protocol::RAW
        && socket.is_v6() == arrived.source.is_ipv6()
        && local.is_none_or(|local| local == arrived.destination)
        && socket.local.and_then(zone).is_none_or(|zone| zone == arrived.iface)
        && socket.peer.is_none_or(|peer| peer.ip() == arrived.source)
        && ip.device.is_none_or(|device| device == arrived.iface)
        && (!arrived.destination.is_multicast() || ip.hears_group(arrived.iface, arrived.destination))
}

/// `ICMP_FILTER` and `ICMP6_FILTER`.
fn is_filtered(socket: &Socket, protocol: u8, kind: Option<u8>) -> bool {
    let kind = u32::from(kind.unwrap_or(0));
    let bit = |word: u32| word >> (kind & 31) & 1 != 0;
    match protocol {
        protocol::ICMP => kind < 32 && bit(socket.options.ip.icmp_filter),
        protocol::ICMPV6 => socket.options.ip.icmpv6_filter.get(kind as usize >> 5).copied().is_some_and(bit),
        _ => false,
    }
}

/// The IPv4 packet with its header; one that came in fragments looks as if it had come whole.
fn with_header(arrived: &Arrived) -> Bytes {
    let head = Ipv4Packet::new_unchecked(arrived.packet.as_ref());
    let header_len = usize::from(head.header_len());
    if header_len + arrived.payload.len() == arrived.packet.len() {
        return arrived.packet.clone();
    }
    let mut whole = arrived.packet.get(..header_len).unwrap_or_default().to_vec();
    whole.extend_from_slice(&arrived.payload);
    let total = u16::try_from(whole.len()).unwrap_or(u16::MAX);
    let mut packet = Ipv4Packet::new_unchecked(&mut whole);
    packet.set_total_len(total);
    packet.clear_flags();
    packet.set_frag_offset(0);
    packet.fill_checksum();
    whole.into()
}
