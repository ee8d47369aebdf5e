//! The snapshot of a host.

use super::Host;
use crate::call::{Fd, Pid};
use crate::event::SocketId;
use crate::snapshot::{ArpEntry, HostSnapshot, IfaceSnapshot, ProtocolKind, SocketSnapshot, TcpState};
use crate::socket::{Body, SOCK_STREAM, Socket, Tcp};
use crate::tcp::Tcb;
use crate::time::Instant;

/// So many octets of a receive queue are shown.
const HEAD: usize = 64;

impl Host {
    pub(super) fn picture(&self, now: Instant) -> HostSnapshot {
        let ifaces = self.ifaces.iter().map(|iface| IfaceSnapshot {
            name: iface.name.clone(),
            mac: iface.mac,
            addresses: iface.addresses.clone(),
            mtu: iface.mtu,
        });
        let neighbours = self.neighbours.iter(now).map(|((iface, address), mac, state)| ArpEntry {
            address,
            iface,
            mac,
            state,
        });
        let mut owners = std::collections::BTreeMap::<SocketId, Vec<(Pid, Fd)>>::new();
        for (pid, files) in &self.sockets.files {
            for (fd, socket) in files.iter() {
                owners.entry(socket).or_default().push((*pid, fd));
            }
        }
        HostSnapshot {
            ifaces: ifaces.collect(),
            routes: self.routes.iter().map(|route| (route.network, route.next_hop, route.iface)).collect(),
            neighbours: neighbours.collect(),
            groups: self.groups.iter().collect(),
            sockets: self
                .sockets
                .iter()
                .filter(|(_, socket)| !matches!(socket.body, Body::Epoll(_)))
                .map(|(id, socket)| picture_of(id, socket, owners.remove(&id).unwrap_or_default()))
                .collect(),
            nat: self.nat_table(),
            port_forwards: self.forward.nat.iter().flat_map(|nat| nat.config.forwards.clone()).collect(),
            firewall: self.firewall(),
        }
    }
}

fn picture_of(id: SocketId, socket: &Socket, owners: Vec<(Pid, Fd)>) -> SocketSnapshot {
    let mut picture = SocketSnapshot {
        id,
        protocol: ProtocolKind::Tcp,
        state: None,
        local: socket.local,
        peer: socket.peer,
        owners,
        recv_queue: 0,
        send_queue: 0,
        syn_queue: 0,
        recv_buffer: 0,
        send_buffer: 0,
        recv_head: Vec::new(),
        waits_at: None,
        tcb: None,
        timers: Vec::new(),
    };
    match &socket.body {
        Body::Tcp(tcp) => picture_tcp(&mut picture, tcp),
        Body::Udp(udp) | Body::Ping(udp) | Body::Raw(udp) => {
            picture.protocol = match socket.body {
                Body::Ping(_) => ProtocolKind::Ping,
                Body::Raw(_) => ProtocolKind::Raw,
                _ => ProtocolKind::Udp,
            };
            picture.recv_queue = udp.held;
            picture.recv_buffer = socket.options.udp_recv_buffer();
            picture.recv_head = udp
                .queue
                .front()
                .map(|first| first.data.iter().copied().take(HEAD).collect())
                .unwrap_or_default();
        }
        Body::Epoll(_) => {}
        Body::Unix(unix) => {
            let stream = socket.kind == SOCK_STREAM;
            picture.protocol = if stream { ProtocolKind::UnixStream } else { ProtocolKind::UnixDatagram };
            picture.recv_queue = unix.held;
            picture.recv_head = unix.waiting().take(HEAD).collect();
        }
    }
    picture
}

fn picture_tcp(picture: &mut SocketSnapshot, tcp: &Tcp) {
    picture.state = Some(tcp.state());
    picture.waits_at = tcp.waits_at;
    if let Some(listener) = &tcp.listener {
        picture.recv_queue = listener.accept_queue.len();
        picture.send_queue = listener.backlog;
        picture.syn_queue = listener.syn_queue.len();
    }
    if let Some(tcb) = &tcp.tcb {
        (picture.recv_queue, picture.send_queue) = tcb.queues();
        picture.recv_buffer = tcb.recv_buffer();
        picture.send_buffer = tcb.send_buffer();
        picture.recv_head = tcb.peek(HEAD).to_vec();
        picture.timers = tcb.timers();
        picture.tcb = (tcp.state() != TcpState::Closed).then(|| Tcb::snapshot(tcb));
    }
}
