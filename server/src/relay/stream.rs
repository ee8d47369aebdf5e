//! One stream: a task that dials the target and moves octets both ways until one side ends.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::extract::ws::Message;
use bytes::{BufMut, Bytes, BytesMut};
use socketlab_policy::Transport;
use socketlab_wisp::{
    Reason, StreamKey,
    packet::{HEADER_LEN, data_header},
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::{
        TcpStream, UdpSocket,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{Connection, Outgoing};
use crate::dial::{self, DialError};

/// Octets read from a target at a time, and so in one message.
const READ: usize = 32 * 1024;

/// Octets in a datagram at most, and a little more, so that none is cut.
const DATAGRAM: usize = 64 * 1024;

/// How long a target may take for what the client sent before it closed.
const FLUSH: Duration = Duration::from_secs(30);

/// UDP has no end: a stream that moved nothing for so long is over. RFC 4787 REQ-5 asks NATs for 5 minutes.
const UDP_IDLE: Duration = Duration::from_secs(300);

/// What the client sends on a stream.
pub(super) struct Inbox {
    pub(super) data: mpsc::UnboundedReceiver<Bytes>,
    pub(super) close: oneshot::Receiver<Reason>,
}

/// Octets moved, for the log.
#[derive(Default)]
struct Moved {
    up: u64,
    down: u64,
}

/// Which side ended the stream.
enum End {
    Client(Reason),
    Target(io::Result<()>),
}

fn refused(connection: &Connection, transport: Transport, host: &str, port: u16, error: &DialError) {
    let peer = connection.peer;
    // The host is the client's own text: quoted, so that it cannot write into the log.
    tracing::warn!(%peer, %transport, ?host, port, reason = %error.reason(), %error, "refused");
}

fn ended(
    connection: &Connection,
    transport: Transport,
    host: &str,
    to: SocketAddr,
    moved: &Moved,
    start: Instant,
    why: &str,
) {
    let Moved { up, down } = moved;
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(peer = %connection.peer, %transport, ?host, %to, up, down, seconds, why, "closed");
}

/// Dials while the client may still change its mind. `None`: it has.
async fn dial<T>(
    inbox: &mut Inbox,
    dialling: impl Future<Output = Result<T, DialError>>,
) -> Option<(Result<T, DialError>, Option<Reason>)> {
    let mut dialling = pin!(dialling);
    let mut closed = None;
    loop {
        tokio::select! {
            result = &mut dialling => return Some((result, closed)),
            reason = &mut inbox.close, if closed.is_none() => {
                let reason = reason.unwrap_or(Reason::NETWORK_ERROR);
                if is_broken(reason) || inbox.data.is_empty() {
                    return None;
                }
                // It said all it had to say before we got through: that is still to be delivered.
                closed = Some(reason);
            }
        }
    }
}

/// The client did not finish but fail. Clients close with all kinds of reasons; wisp-js's default is "unspecified".
fn is_broken(reason: Reason) -> bool {
    matches!(reason, Reason::NETWORK_ERROR | Reason::CLIENT_ERROR)
}

/// A TCP stream from CONNECT to CLOSE.
pub(super) async fn tcp(
    connection: &Arc<Connection>,
    key: StreamKey,
    host: &str,
    port: u16,
    mut inbox: Inbox,
) {
    let start = Instant::now();
    let shared = &connection.shared;
    let dialling = dial::tcp(&shared.policy, host, port, shared.options.connect_timeout());
    let Some((dialled, closed)) = dial(&mut inbox, dialling).await else { return };
    let (mut target, address) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => {
            refused(connection, Transport::Tcp, host, port, &error);
            return connection.close(key, error.reason()).await;
        }
    };
    tracing::info!(peer = %connection.peer, transport = %Transport::Tcp, ?host, to = %address, "opened");
    connection.opened(key).await;

    let mut moved = Moved::default();
    let end = carry(connection, key, &mut target, &mut inbox, closed, &mut moved).await;
    let why = match end {
        End::Client(reason) if is_broken(reason) => {
            // The target is told by a reset, not by an end of file that it could take for good.
            drop(target.set_zero_linger());
            format!("broken off by the client: {reason}")
        }
        End::Client(_) => {
            // An error here means that the target has gone first.
            drop(target.shutdown().await);
            "closed by the client".to_owned()
        }
        End::Target(Ok(())) => {
            connection.close(key, Reason::VOLUNTARY).await;
            "closed by the target".to_owned()
        }
        End::Target(Err(error)) => {
            connection.close(key, Reason::NETWORK_ERROR).await;
            error.to_string()
        }
    };
    ended(connection, Transport::Tcp, host, address, &moved, start, &why);
}

async fn carry(
    connection: &Arc<Connection>,
    key: StreamKey,
    target: &mut TcpStream,
    inbox: &mut Inbox,
    closed: Option<Reason>,
    moved: &mut Moved,
) -> End {
    let (reading, writing) = target.split();
    let Inbox { data, close } = inbox;
    let mut up = pin!(send_up(connection, key, writing, data, &mut moved.up));
    let mut down = pin!(send_down(connection, key, reading, &mut moved.down));
    let mut up_done = None;
    let reason = match closed {
        Some(reason) => reason,
        None => loop {
            tokio::select! {
                biased;
                reason = &mut *close => break reason.unwrap_or(Reason::NETWORK_ERROR),
                // The target takes nothing more, but may have sent something before it stopped: `down` finds its end.
                result = &mut up, if up_done.is_none() => up_done = Some(result),
                result = &mut down => return End::Target(result),
            }
        },
    };
    if !is_broken(reason) && up_done.is_none() && timeout(FLUSH, up).await.is_err() {
        return End::Client(Reason::CLIENT_ERROR);
    }
    End::Client(reason)
}

/// From the client to the target, until the client has closed and everything is written.
async fn send_up(
    connection: &Connection,
    key: StreamKey,
    mut target: WriteHalf<'_>,
    data: &mut mpsc::UnboundedReceiver<Bytes>,
    moved: &mut u64,
) -> io::Result<()> {
    while let Some(bytes) = data.recv().await {
        target.write_all(&bytes).await?;
        *moved += bytes.len() as u64;
        connection.took(key, bytes.len()).await;
    }
    Ok(())
}

/// From the target to the client, until the target has finished.
async fn send_down(
    connection: &Connection,
    key: StreamKey,
    target: ReadHalf<'_>,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        // An idle stream holds neither a buffer nor a permit.
        target.readable().await?;
        let permit = reserve(connection, READ).await?;
        let mut message = BytesMut::with_capacity(HEADER_LEN + READ);
        message.put_slice(&data_header(key.id));
        match target.try_read_buf(&mut message) {
            Ok(0) => return Ok(()),
            Ok(octets) => {
                *moved += octets as u64;
                deliver(connection, message, octets, permit).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Permission to read so many octets, once the client has taken enough of what was sent before.
async fn reserve(connection: &Connection, octets: usize) -> io::Result<OwnedSemaphorePermit> {
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    let unsent: Arc<Semaphore> = Arc::clone(&connection.unsent);
    unsent.acquire_many_owned(octets).await.map_err(|_| io::ErrorKind::NotConnected.into())
}

async fn deliver(
    connection: &Connection,
    message: BytesMut,
    octets: usize,
    mut permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    // What was reserved and not read is free for the next stream.
    let used = permit.split(octets);
    drop(permit);
    connection.octets_down.fetch_add(octets as u64, Ordering::Relaxed);
    let outgoing = Outgoing::Message(Message::Binary(message.freeze()), used);
    connection.out.send(outgoing).await.map_err(|_| io::ErrorKind::NotConnected.into())
}

/// A UDP stream from CONNECT to CLOSE.
pub(super) async fn udp(
    connection: &Arc<Connection>,
    key: StreamKey,
    host: &str,
    port: u16,
    mut inbox: Inbox,
) {
    let start = Instant::now();
    let Some((dialled, closed)) = dial(&mut inbox, dial::udp(&connection.shared.policy, host, port)).await
    else {
        return;
    };
    let (target, address) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => {
            refused(connection, Transport::Udp, host, port, &error);
            return connection.close(key, error.reason()).await;
        }
    };
    tracing::info!(peer = %connection.peer, transport = %Transport::Udp, ?host, to = %address, "opened");
    let mut moved = Moved::default();
    let mut close = inbox.close;
    let why = loop {
        if closed.is_some() && inbox.data.is_empty() {
            break "closed by the client".to_owned();
        }
        tokio::select! {
            biased;
            // Closed: what was sent before goes out, which takes no time.
            datagram = inbox.data.recv() => match datagram {
                Some(datagram) => {
                    if let Err(error) = target.send(&datagram).await {
                        connection.close(key, udp_reason(&error)).await;
                        break error.to_string();
                    }
                    moved.up += datagram.len() as u64;
                    connection.took(key, datagram.len()).await;
                }
                None => break "closed by the client".to_owned(),
            },
            _ = &mut close, if closed.is_none() => break "closed by the client".to_owned(),
            // An ICMP error makes a socket ready for errors only.
            ready = target.ready(Interest::READABLE | Interest::ERROR) => {
                let received = match ready {
                    Ok(ready) if ready.is_error() => pending_error(&target),
                    Ok(_) => receive(connection, key, &target).await,
                    Err(error) => Err(error),
                };
                match received {
                    Ok(octets) => moved.down += octets as u64,
                    Err(error) => {
                        connection.close(key, udp_reason(&error)).await;
                        break error.to_string();
                    }
                }
            }
            () = tokio::time::sleep(UDP_IDLE) => {
                connection.close(key, Reason::VOLUNTARY).await;
                break format!("nothing moved for {UDP_IDLE:?}");
            }
        }
    };
    ended(connection, Transport::Udp, host, address, &moved, start, &why);
}

/// Passes on one datagram. 0 if there was none after all, or it was empty.
async fn receive(connection: &Connection, key: StreamKey, target: &UdpSocket) -> io::Result<usize> {
    let permit = reserve(connection, DATAGRAM).await?;
    let mut message = BytesMut::with_capacity(HEADER_LEN + DATAGRAM);
    message.put_slice(&data_header(key.id));
    match target.try_recv_buf(&mut message) {
        Ok(octets) => {
            // Most datagrams are small: do not keep 64 KiB for each while it waits.
            let message = BytesMut::from(&message[..]);
            deliver(connection, message, octets, permit).await?;
            Ok(octets)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

/// The error that made the socket ready, if it is still there.
fn pending_error(target: &UdpSocket) -> io::Result<usize> {
    match target.take_error()? {
        Some(error) => Err(error),
        None => {
            // Taken by a send: forget that there was one, or the loop would not rest.
            let nothing: io::Result<()> =
                target.try_io(Interest::ERROR, || Err(io::ErrorKind::WouldBlock.into()));
            drop(nothing);
            Ok(0)
        }
    }
}

/// The target's machine answers a datagram by "port unreachable": as near to refusing as UDP comes.
fn udp_reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::REFUSED,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::UNREACHABLE,
        _ => Reason::NETWORK_ERROR,
    }
}
