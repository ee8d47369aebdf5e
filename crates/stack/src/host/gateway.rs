//! Gateway mode: connections and datagrams for addresses that are not the host's own, answered in their name.

use core::net::SocketAddr;

use super::{EchoRequest, Host, InterceptId, Refusal};
use crate::call::{Fd, Pid};
use crate::icmp::Kind;
use crate::ip::{Header, protocol};
use crate::socket::{AF_INET, AF_INET6, Body, SOCK_STREAM, Socket};
use crate::tcp::reset_for;
use crate::time::Instant;
use crate::udp::UDP_LEN;

impl Host {
    /// Gateway mode: answers a held SYN with SYN,ACK. The descriptor is usable at once, as one from accept(2).
    /// None if the client has given up meanwhile, or if the process has no free descriptor.
    pub fn intercept_accept(&mut self, now: Instant, id: InterceptId, pid: Pid) -> Option<Fd> {
        self.clock = now;
        let held = self.held.remove(&id)?;
        let child = self.make_child(now, None, held.target, held.client, &held.syn);
        let fd = self.adopt(pid, child).map(|(fd, _)| fd);
        self.flush(now, child);
        self.settle(now);
        fd
    }

    /// Gateway mode: turns a held SYN down.
    pub fn intercept_refuse(&mut self, now: Instant, id: InterceptId, how: Refusal) {
        self.clock = now;
        let Some(held) = self.held.remove(&id) else { return };
        match how {
            Refusal::Reset => {
                if let Some(reset) = reset_for(&held.syn) {
                    self.send_segment(now, held.target, held.client, (crate::ip::DEFAULT_TTL, 0), &reset);
                }
            }
            Refusal::Icmp { kind, code } => {
                self.tell_error(now, Kind(kind, code), held.client.ip(), &held.packet);
            }
            Refusal::Silence => {}
        }
        self.settle(now);
    }

    /// Gateway mode: a TCP socket bound to an address that is not the gateway's own, as Linux' `IP_TRANSPARENT` allows:
    /// `Call::Connect` on it opens a connection in the name of `source`. None if the process has no free descriptor.
    pub fn foreign_socket(&mut self, now: Instant, source: SocketAddr, pid: Pid) -> Option<Fd> {
        self.clock = now;
        let family = if source.is_ipv4() { AF_INET } else { AF_INET6 };
        let socket = self.sockets.insert(Socket::new(family, SOCK_STREAM, 6, Body::Tcp(Box::default())));
        self.set_local(socket, source);
        self.open_fd(pid, socket)
    }

    /// Whether an address lies in a network of one of the host's own interfaces.
    pub fn is_on_link(&self, ip: core::net::IpAddr) -> bool {
        self.ifaces.iter().flat_map(|iface| &iface.addresses).any(|cidr| cidr.contains(ip))
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
        // The packet as it must have looked when it came, for the error to quote.
        let header = Header::new(client.ip(), target.ip(), protocol::UDP);
        let packet = header.packet(UDP_LEN + data.len(), |out| crate::udp::emit(client, target, data, out));
        self.tell_error(now, Kind(kind, code), client.ip(), &packet.into());
        self.settle(now);
    }

    /// Gateway mode: the reply to an echo request, in the name of whom it was for (RFC 792, RFC 4443 4.2).
    pub fn answer_echo_from(&mut self, now: Instant, request: &EchoRequest) {
        let EchoRequest { client, target, tos, message, .. } = request;
        let protocol = if target.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        let header = Header { tos: *tos, ..Header::new(*target, *client, protocol) };
        // Without a way back there is no reply; nobody here waits for one.
        let _ = self.send_icmp(
            now,
            &header,
            crate::icmp::echo_reply(target.is_ipv4()),
            message.get(4..).unwrap_or_default(),
        );
        self.settle(now);
    }

    /// Gateway mode: an ICMP error of this type and code (in the numbers of RFC 792) about an echo request.
    pub fn refuse_echo(&mut self, now: Instant, request: &EchoRequest, kind: u8, code: u8) {
        self.tell_error(now, Kind(kind, code), request.client, &request.packet);
        self.settle(now);
    }

    /// Gateway mode: a datagram to `client` that bears `target` as its source.
    pub fn send_datagram_from(&mut self, now: Instant, target: SocketAddr, client: SocketAddr, data: &[u8]) {
        if data.len() <= crate::udp::MAX_PAYLOAD {
            // Without a way to the client the datagram is lost, as anywhere on its way.
            let _ = self.send_udp_between(now, target, client, data);
        }
        self.settle(now);
    }
}
