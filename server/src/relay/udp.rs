//! One UDP stream: a task with a socket that hears and reaches one target, until the client closes it or it is quiet.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use socketlab_policy::Transport;
use socketlab_wisp::{
    Ext, Packet, Reason, StreamKey,
    packet::{HEADER_LEN, data_header},
};
use tokio::{io::Interest, net::UdpSocket};

use super::{
    Connection, Rights,
    inbox::{Inbox, Item, Next},
    stream::{ECONNABORTED, What, began, deliver, dial, ended, refused, reserve},
};
use crate::{dial as dialling, ledger::CUT};

/// Octets in a datagram at most, and a little more, so that none is cut.
const DATAGRAM: usize = 64 * 1024;

/// UDP has no end: a stream that moved nothing for so long is over. RFC 4787 REQ-5 asks NATs for 5 minutes.
const UDP_IDLE: Duration = Duration::from_secs(300);

/// A UDP stream from CONNECT to CLOSE.
pub(super) async fn udp(
    connection: &Arc<Connection>,
    key: StreamKey,
    rights: Arc<Rights>,
    host: &str,
    port: u16,
    inbox: Arc<Inbox>,
) {
    let shared = &connection.shared;
    let attempt = dialling::udp(connection.names(), &rights.profile.policy, host, port);
    let Some(dialled) = dial(&inbox, attempt).await else { return };
    let (target, to) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => return refused(connection, key, Transport::Udp, host, port, &error).await,
    };
    drop(rights);
    began(connection, Transport::Udp, host, to);
    shared.metrics.stream("udp");
    if connection.window.get().is_some()
        && let (Ok(local), Ok(remote)) = (target.local_addr(), target.peer_addr())
    {
        let body = Ext::Opened { local, remote: Some(remote) };
        connection.send(&Packet::Ext { stream: key.id, body }).await;
    }
    let what = What::new(connection, Transport::Udp, "udp", (host, to), &inbox);
    let why = loop {
        tokio::select! {
            biased;
            // Closed: what was sent before goes out, which takes no time.
            next = inbox.next() => match next {
                Next::Item(Item::Data(datagram) | Item::To(_, datagram) | Item::Rest(datagram, _)) => {
                    if let Err(error) = target.send(&datagram).await {
                        udp_failed(connection, key, &error).await;
                        break error.to_string();
                    }
                    inbox.octets_up.fetch_add(datagram.len() as u64, Ordering::Relaxed);
                    connection.took(key, datagram.len()).await;
                    connection.pace(datagram.len()).await;
                }
                Next::Finished => {}
                Next::Closed if inbox.is_cut() => {
                    connection.fail(key, Reason::NETWORK_ERROR, ECONNABORTED, CUT).await;
                    break CUT.to_owned();
                }
                Next::Closed => break "closed by the client".to_owned(),
                // Datagrams are never written but here.
                Next::Failed(error) => break error.to_string(),
            },
            // An ICMP error makes a socket ready for errors only.
            ready = target.ready(Interest::READABLE | Interest::ERROR) => {
                let received = match ready {
                    Ok(ready) if ready.is_error() => pending_error(&target),
                    Ok(_) => receive(connection, key, &target, &inbox).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = received {
                    udp_failed(connection, key, &error).await;
                    break error.to_string();
                }
            }
            () = tokio::time::sleep(UDP_IDLE) => {
                connection.close(key, Reason::VOLUNTARY).await;
                break format!("nothing moved for {UDP_IDLE:?}");
            }
        }
    };
    ended(connection, &what, &inbox, &why);
}

/// Passes on one datagram, if there is one after all.
async fn receive(
    connection: &Connection,
    key: StreamKey,
    target: &UdpSocket,
    inbox: &Inbox,
) -> io::Result<()> {
    let permit = reserve(connection, DATAGRAM).await?;
    let mut message = BytesMut::with_capacity(HEADER_LEN + DATAGRAM);
    message.put_slice(&data_header(key.id));
    match target.try_recv_buf(&mut message) {
        Ok(octets) => {
            // Most datagrams are small: do not keep 64 KiB for each while it waits.
            let message = BytesMut::from(&message[..]);
            inbox.octets_down.fetch_add(octets as u64, Ordering::Relaxed);
            deliver(connection, message, octets, permit).await
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// The error that made the socket ready, if it is still there.
fn pending_error(target: &UdpSocket) -> io::Result<()> {
    match target.take_error()? {
        Some(error) => Err(error),
        None => {
            // Taken by a send: forget that there was one, or the loop would not rest.
            let nothing: io::Result<()> =
                target.try_io(Interest::ERROR, || Err(io::ErrorKind::WouldBlock.into()));
            drop(nothing);
            Ok(())
        }
    }
}

async fn udp_failed(connection: &Connection, key: StreamKey, error: &io::Error) {
    // The target's machine answers a datagram by "port unreachable": as near to refusing as UDP comes.
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::REFUSED,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::UNREACHABLE,
        _ => Reason::NETWORK_ERROR,
    };
    connection.fail(key, reason, dialling::errno(error), &error.to_string()).await;
}
