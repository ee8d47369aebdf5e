//! Gateway mode: connections and datagrams for addresses that are not the host's own, answered in their name.

use core::net::{IpAddr, SocketAddr};

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use super::{Host, InterceptId, Refusal};
use crate::call::{Fd, Pid};
use crate::icmp::Kind;
use crate::tcp::reset_for;
use crate::time::Instant;

impl Host {
    /// Gateway mode: answers a held SYN with SYN,ACK. The descriptor is usable at once, as one from accept(2).
    /// None if the client has given up meanwhile, or if the process has no free descriptor.
    pub fn intercept_accept(&mut self, now: Instant, id: InterceptId, pid: Pid) -> Option<Fd> {
        let held = self.held.remove(&id)?;
        let child = self.make_child(now, None, held.target, held.client, &held.syn);
        let fd = self.adopt(pid, child).map(|(fd, _)| fd);
        self.flush(now, child);
        self.settle(now);
        fd
    }

    /// Gateway mode: turns a held SYN down.
    pub fn intercept_refuse(&mut self, now: Instant, id: InterceptId, how: Refusal) {
        let Some(held) = self.held.remove(&id) else { return };
        match how {
            Refusal::Reset => {
                if let Some(reset) = reset_for(&held.syn) {
                    self.send_segment(now, held.target, held.client, (crate::ip::DEFAULT_TTL, 0), &reset);
                }
            }
            Refusal::Icmp { kind, code } => {
                if let IpAddr::V4(client) = held.client.ip() {
                    self.send_error_about(now, Kind(kind, code), None, client, &held.packet);
                }
            }
            Refusal::Silence => {}
        }
        self.settle(now);
    }

    /// Gateway mode: an ICMP error of this type and code about a datagram that `client` sent to `target`.
    pub fn refuse_datagram(
        &mut self,
        now: Instant,
        client: SocketAddr,
        target: SocketAddr,
        data: &[u8],
        kind: u8,
        code: u8,
    ) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (client.ip(), target.ip()) else { return };
        // The packet as it must have looked when it came, for the error to quote.
        let udp_len = 8 + data.len();
        let mut bytes = vec![0; 20 + udp_len];
        if let Some(udp) = bytes.get_mut(20..) {
            crate::udp::emit((from, client.port()), (to, target.port()), data, udp);
        }
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
        packet.set_version(4);
        packet.set_header_len(20);
        packet.set_total_len((20 + udp_len) as u16);
        packet.set_hop_limit(crate::ip::DEFAULT_TTL);
        packet.set_next_header(IpProtocol::Udp);
        packet.set_src_addr(from);
        packet.set_dst_addr(to);
        packet.fill_checksum();
        self.send_error_about(now, Kind(kind, code), None, from, &bytes.into());
        self.settle(now);
    }

    /// Gateway mode: a datagram to `client` that bears `target` as its source.
    pub fn send_datagram_from(&mut self, now: Instant, target: SocketAddr, client: SocketAddr, data: &[u8]) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (target.ip(), client.ip()) else { return };
        if data.len() <= crate::udp::MAX_PAYLOAD {
            // Without a way to the client the datagram is lost, as anywhere on its way.
            let _ = self.send_udp(now, (from, target.port()), (to, client.port()), data, None);
        }
        self.settle(now);
    }
}
