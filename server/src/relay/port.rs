//! A real port of a program that listens: each connection to it becomes a new stream of the client's; datagrams carry
//! the address of who sent them.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::ws::Message;
use bytes::{BufMut, BytesMut};
use socketlab_policy::{Host, Transport};
use socketlab_wisp::{
    Ext, Packet, Reason, StreamKey,
    ext::{ADDRESS_LEN, put_address},
    packet::{HEADER_LEN, data_header},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    sync::OwnedSemaphorePermit,
    time::sleep,
};

use super::{
    Connection, Rights,
    inbox::{Inbox, Item, Next},
    out::Gone,
    stream,
};
use crate::{accept::is_out_of_descriptors, ports};

/// Octets in a datagram at most, and a little more, so that none is cut.
const DATAGRAM: usize = 64 * 1024;

/// Peers of a UDP port that may be answered without a rule: those that wrote last.
const PEERS: usize = 1024;

/// A TCP listener from LISTEN to CLOSE.
pub(super) async fn tcp(
    connection: &Arc<Connection>,
    key: StreamKey,
    rights: Arc<Rights>,
    wish: u16,
    have: usize,
    inbox: Arc<Inbox>,
) {
    let listener = match ports::tcp(&rights.profile, wish, have) {
        Ok(listener) => listener,
        Err(error) => return refuse(connection, key, wish, &error).await,
    };
    let Ok(local) = listener.local_addr() else {
        return connection.close(key, Reason::NETWORK_ERROR).await;
    };
    tracing::info!(peer = %connection.peer, %local, "port opened");
    connection.shared.metrics.ports_open.inc();
    connection.send(&Packet::Ext { stream: key.id, body: Ext::Opened { local, remote: None } }).await;
    let mut count = 0u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = inbox.closed() => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                count += 1;
                take_in(connection, key, stream, remote, local).await;
            }
            Err(error) if is_out_of_descriptors(&error) => {
                connection.shared.metrics.refuse("descriptors");
                connection
                    .error(key.id, 24, "the relay has no descriptor left for a connection to this port")
                    .await;
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => {
                tracing::debug!(%local, %error, "accept");
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
    connection.shared.metrics.ports_open.dec();
    tracing::info!(peer = %connection.peer, %local, connections = count, "port closed");
}

async fn refuse(connection: &Connection, key: StreamKey, wish: u16, error: &ports::PortError) {
    tracing::warn!(peer = %connection.peer, port = wish, %error, "port refused");
    connection.shared.metrics.refuse(error.label());
    let reason = if error.errno() == 1 { Reason::BLOCKED } else { Reason::THROTTLED };
    connection.fail(key, reason, error.errno(), &error.to_string()).await;
}

/// Somebody connected: a new stream, or a reset when there may be no more.
async fn take_in(
    connection: &Arc<Connection>,
    port: StreamKey,
    socket: TcpStream,
    remote: SocketAddr,
    local: SocketAddr,
) {
    let Some(rights) = connection.rights() else { return };
    let permit = match connection.meters.open(rights.limits) {
        Ok(permit) => permit,
        Err(over) => {
            tracing::warn!(peer = %connection.peer, %remote, %local, why = %over, "connection turned away");
            connection.shared.metrics.refuse(over.label());
            // Dropped with a reset, so that the peer sees a refusal and not an empty answer.
            drop(socket.set_zero_linger());
            return connection
                .error(port.id, 11, &format!("a connection from {remote} was turned away: {over}"))
                .await;
        }
    };
    let accepted = connection.lock().book.accept(port);
    let Ok(key) = accepted else {
        drop(socket.set_zero_linger());
        return;
    };
    drop(socket.set_nodelay(true));
    let inbox = connection.add(key, false);
    let socket = Arc::new(socket);
    inbox.set_socket(Arc::downgrade(&socket));
    tracing::info!(peer = %connection.peer, %remote, %local, "accepted");
    connection.shared.metrics.stream("tcp_accepted");
    connection
        .send(&Packet::Ext { stream: key.id, body: Ext::Accept { listener: port.id, remote, local } })
        .await;
    let connection = Arc::clone(connection);
    connection.shared.tasks.clone().spawn(async move {
        stream::accepted(&connection, key, &rights, socket, remote, &inbox).await;
        drop(permit);
    });
}

/// A UDP socket from LISTEN to CLOSE.
pub(super) async fn udp(
    connection: &Arc<Connection>,
    key: StreamKey,
    rights: Arc<Rights>,
    wish: u16,
    have: usize,
    inbox: Arc<Inbox>,
) {
    let socket = match ports::udp(&rights.profile, wish, have) {
        Ok(socket) => socket,
        Err(error) => return refuse(connection, key, wish, &error).await,
    };
    let Ok(local) = socket.local_addr() else {
        return connection.close(key, Reason::NETWORK_ERROR).await;
    };
    tracing::info!(peer = %connection.peer, %local, "UDP port opened");
    connection.shared.metrics.ports_open.inc();
    connection.send(&Packet::Ext { stream: key.id, body: Ext::Opened { local, remote: None } }).await;
    let mut peers: VecDeque<SocketAddr> = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            next = inbox.next() => match next {
                Next::Item(Item::To(to, bytes)) => {
                    connection.took(key, bytes.len()).await;
                    if !may_send(connection, &rights, &peers, to) {
                        let text = format!("no datagram goes to {to}: it has not written to this port, and no rule allows it");
                        connection.shared.metrics.refuse("datagram_target");
                        connection.error(key.id, 13, &text).await;
                        continue;
                    }
                    // Lost, as datagrams may be; an ICMP error for an earlier one comes out here as well.
                    drop(socket.send_to(&bytes, to).await);
                    connection.pace(bytes.len()).await;
                }
                Next::Item(Item::Data(_) | Item::Rest(..)) => {}
                Next::Finished | Next::Closed | Next::Failed(_) => break,
            },
            ready = socket.readable() => {
                if ready.is_err() || receive(connection, key, &socket, &mut peers).await.is_err() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
    connection.shared.metrics.ports_open.dec();
    tracing::info!(peer = %connection.peer, %local, "UDP port closed");
}

/// Whoever wrote may be answered; others by a rule for their address.
fn may_send(connection: &Connection, rights: &Rights, peers: &VecDeque<SocketAddr>, to: SocketAddr) -> bool {
    if peers.contains(&to) {
        return true;
    }
    let policy = &connection
        .rights()
        .map_or_else(|| Arc::clone(&rights.profile.policy), |now| Arc::clone(&now.profile.policy));
    policy
        .choose(Transport::Udp, &Host::Address(to.ip()), to.port(), &[to.ip()])
        .is_ok_and(|good| !good.is_empty())
}

async fn receive(
    connection: &Connection,
    key: StreamKey,
    socket: &UdpSocket,
    peers: &mut VecDeque<SocketAddr>,
) -> io::Result<()> {
    let permit = stream::reserve(connection, DATAGRAM).await?;
    let mut datagram = BytesMut::with_capacity(DATAGRAM);
    let (octets, from) = match socket.try_recv_buf_from(&mut datagram) {
        Ok(received) => received,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    if !peers.contains(&from) {
        peers.truncate(PEERS - 1);
        peers.push_front(from);
    }
    let mut message = BytesMut::with_capacity(HEADER_LEN + ADDRESS_LEN + octets);
    message.put_slice(&data_header(key.id));
    put_address(&mut message, from);
    message.put_slice(&datagram);
    deliver(connection, message, octets, permit).await
}

async fn deliver(
    connection: &Connection,
    message: BytesMut,
    octets: usize,
    mut permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    let used = permit.split(octets);
    drop(permit);
    connection.shared.metrics.octets_down.inc_by(octets as u64);
    let message = Message::Binary(message.freeze());
    connection.out.send(message, used).await.map_err(|Gone| io::ErrorKind::NotConnected)?;
    connection.pace(octets).await;
    Ok(())
}
