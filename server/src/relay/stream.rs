//! One TCP stream: a task that dials the target and moves octets both ways until both sides have ended.
//!
//! Plain Wisp has no half-close: the target's end is the stream's. With our extension each side ends by itself.

use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    pin::pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use axum::extract::ws::Message;
use bytes::{BufMut, Bytes, BytesMut};
use socket2::SockRef;
use socketlab_policy::Transport;
use socketlab_wisp::{
    Ext, Packet, Reason, StreamKey,
    packet::{HEADER_LEN, data_header},
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, interval_at, timeout},
};

use super::{
    Connection, Patience, Rights,
    inbox::{Inbox, Item, Next},
    out::Gone,
};
use crate::{
    dial::{self, DialError},
    ledger::{CUT, Entry, Listed, Stream},
    tcp_info,
};

/// Octets read from a target at a time, and so in one message.
const READ: usize = 32 * 1024;

/// Pieces written to a target at a time.
const PIECES: usize = 16;

/// How long a target may take for what the client sent before it closed.
const FLUSH: Duration = Duration::from_secs(30);

pub(super) const ECONNABORTED: u16 = 103;

/// How a stream ended.
enum End {
    /// The client has closed it.
    Client(Reason),
    /// A teacher has.
    Teacher,
    /// Both sides have sent all they will.
    Both,
    /// The target has finished (without our extension that ends the stream), or failed.
    Target(io::Result<()>),
    /// Nothing moved for too long.
    Idle(Duration),
    /// The target's machine, or the way to it, is not there any more.
    Vanished(Duration),
}

/// A stream's target, for the log.
pub(super) struct What<'a> {
    transport: Transport,
    host: &'a str,
    to: SocketAddr,
    _listed: Listed,
}

impl<'a> What<'a> {
    pub(super) fn new(
        connection: &Connection,
        transport: Transport,
        kind: &'static str,
        (host, to): (&'a str, SocketAddr),
        inbox: &Arc<Inbox>,
    ) -> What<'a> {
        let who = connection.rights().map(|rights| rights.profile.name.clone()).unwrap_or_default();
        let entry = Entry {
            who,
            peer: connection.peer,
            session: connection.session,
            kind,
            host: host.to_owned(),
            to,
            stream: Arc::downgrade(inbox) as Weak<dyn Stream>,
        };
        What { transport, host, to, _listed: connection.shared.ledger.enter(entry) }
    }
}

pub(super) async fn refused(
    connection: &Connection,
    key: StreamKey,
    transport: Transport,
    host: &str,
    port: u16,
    error: &DialError,
) {
    let peer = connection.peer;
    // The host is the client's own text: quoted, so that it cannot write into the log.
    tracing::warn!(%peer, %transport, ?host, port, reason = %error.reason(), %error, "refused");
    connection.shared.metrics.refuse(error.label());
    connection.fail(key, error.reason(), error.errno(), &error.to_string()).await;
}

pub(super) fn ended(connection: &Connection, what: &What<'_>, inbox: &Inbox, why: &str) {
    let What { transport, host, to, .. } = what;
    let (up, down) = inbox.moved();
    let seconds = inbox.began().elapsed().as_secs_f64();
    tracing::info!(peer = %connection.peer, %transport, ?host, %to, up, down, seconds, why, "closed");
    connection.shared.metrics.streams_open.dec();
}

pub(super) fn began(connection: &Connection, transport: Transport, host: &str, to: SocketAddr) {
    tracing::info!(peer = %connection.peer, %transport, ?host, %to, "opened");
    connection.shared.metrics.streams_open.inc();
}

/// Dials while the client may still change its mind. `None`: it has.
pub(super) async fn dial<T>(
    inbox: &Inbox,
    dialling: impl Future<Output = Result<T, DialError>>,
) -> Option<Result<T, DialError>> {
    // Most of a stream's life is after this: its task need not keep room for it.
    let mut dialling = Box::pin(dialling);
    tokio::select! {
        result = &mut dialling => return Some(result),
        reason = inbox.closed() => {
            if is_broken(reason) || inbox.is_empty() {
                return None;
            }
        }
    }
    // It said all it had to say before we got through: that is still to be delivered.
    Some(dialling.await)
}

/// The client did not finish but fail. Clients close with all kinds of reasons; wisp-js's default is "unspecified".
fn is_broken(reason: Reason) -> bool {
    matches!(reason, Reason::NETWORK_ERROR | Reason::CLIENT_ERROR)
}

/// A TCP stream from CONNECT to CLOSE.
pub(super) async fn tcp(
    connection: &Arc<Connection>,
    key: StreamKey,
    rights: Arc<Rights>,
    host: &str,
    port: u16,
    inbox: Arc<Inbox>,
) {
    let shared = &connection.shared;
    let (policy, wait) = (&rights.profile.policy, rights.connect_timeout);
    let dialling = dial::tcp(connection.names(), policy, host, port, wait);
    let Some(dialled) = dial(&inbox, dialling).await else { return };
    let (target, to) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => return refused(connection, key, Transport::Tcp, host, port, &error).await,
    };
    let target = Arc::new(target);
    inbox.set_socket(Arc::downgrade(&target));
    began(connection, Transport::Tcp, host, to);
    shared.metrics.stream("tcp");
    if connection.window.get().is_some()
        && let (Ok(local), Ok(remote)) = (target.local_addr(), target.peer_addr())
    {
        let body = Ext::Opened { local, remote: Some(remote) };
        connection.send(&Packet::Ext { stream: key.id, body }).await;
    }
    connection.opened(key).await;
    let patience = rights.patience;
    drop(rights);
    let what = What::new(connection, Transport::Tcp, "tcp", (host, to), &inbox);
    to_the_end(connection, key, &target, &inbox, patience, &what).await;
}

/// A TCP stream that came to a port of the client's.
pub(super) async fn accepted(
    connection: &Arc<Connection>,
    key: StreamKey,
    rights: &Rights,
    socket: Arc<TcpStream>,
    remote: SocketAddr,
    inbox: &Arc<Inbox>,
) {
    connection.shared.metrics.streams_open.inc();
    let what = What::new(connection, Transport::Tcp, "tcp-accepted", ("", remote), inbox);
    to_the_end(connection, key, &socket, inbox, rights.patience, &what).await;
}

async fn to_the_end(
    connection: &Arc<Connection>,
    key: StreamKey,
    target: &TcpStream,
    inbox: &Inbox,
    patience: Patience,
    what: &What<'_>,
) {
    if let Some(timeout) = patience.target {
        dial::keep_alive(target, timeout);
    }
    let end = match carry(connection, key, target, inbox, patience).await {
        End::Client(_) if inbox.is_cut() => End::Teacher,
        end => end,
    };
    let why = match end {
        End::Teacher => {
            drop(target.set_zero_linger());
            connection.fail(key, Reason::NETWORK_ERROR, ECONNABORTED, CUT).await;
            CUT.to_owned()
        }
        End::Client(reason) if is_broken(reason) => {
            // The target is told by a reset, not by an end of file that it could take for good.
            drop(target.set_zero_linger());
            format!("broken off by the client: {reason}")
        }
        End::Client(_) => {
            // An error here means that the target has gone first.
            drop(finish(target));
            "closed by the client".to_owned()
        }
        End::Both => {
            connection.close(key, Reason::VOLUNTARY).await;
            "closed by both".to_owned()
        }
        End::Target(Ok(())) => {
            connection.close(key, Reason::VOLUNTARY).await;
            "closed by the target".to_owned()
        }
        End::Target(Err(error)) => {
            let reason = match error.kind() {
                // Its keep-alive probes were not answered.
                io::ErrorKind::TimedOut => Reason::TRANSFER_TIMED_OUT,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::UNREACHABLE,
                _ => Reason::NETWORK_ERROR,
            };
            connection.fail(key, reason, dial::errno(&error), &error.to_string()).await;
            error.to_string()
        }
        End::Vanished(patience) => {
            drop(target.set_zero_linger());
            let why = format!("{} has acknowledged nothing for {patience:?}: it is gone", what.to);
            connection.shared.metrics.refuse("target_vanished");
            connection.fail(key, Reason::TRANSFER_TIMED_OUT, 110, &why).await;
            why
        }
        End::Idle(idle) => {
            drop(target.set_zero_linger());
            let why = format!("nothing moved for {idle:?}");
            connection.shared.metrics.refuse("stream_idle");
            connection.fail(key, Reason::TRANSFER_TIMED_OUT, 110, &why).await;
            why
        }
    };
    ended(connection, what, inbox, &why);
}

/// Sends our FIN.
fn finish(target: &TcpStream) -> io::Result<()> {
    SockRef::from(target).shutdown(Shutdown::Write)
}

/// How often in its shortest time-out a stream is looked at.
const LOOKS: u32 = 4;

async fn carry(
    connection: &Arc<Connection>,
    key: StreamKey,
    target: &TcpStream,
    inbox: &Inbox,
    patience: Patience,
) -> End {
    let is_ours = connection.window.get().is_some();
    let mut up = pin!(send_up(connection, key, target, inbox));
    let mut down = pin!(send_down(connection, key, target, inbox));
    let (mut up_end, mut down_done) = (None, false);
    let shortest = patience.idle.into_iter().chain(patience.target).min();
    let every = shortest.map_or(Duration::from_secs(86_400), |shortest| shortest / LOOKS);
    let mut look = interval_at(Instant::now() + every, every);
    let (mut moved, mut moved_at) = (inbox.moved(), Instant::now());
    let reason = loop {
        tokio::select! {
            biased;
            reason = inbox.closed() => break reason,
            result = &mut up, if up_end.is_none() => {
                if down_done {
                    return result.map_or_else(|error| End::Target(Err(error)), |()| End::Both);
                }
                // Failed: the target may have sent something before it stopped, so `down` finds its end.
                up_end = Some(result);
            }
            result = &mut down, if !down_done => match (result, up_end.take()) {
                (Ok(()), Some(Err(error))) if is_ours => return End::Target(Err(error)),
                (Ok(()), Some(Ok(()))) if is_ours => {
                    connection.send(&Packet::Ext { stream: key.id, body: Ext::Finish }).await;
                    return End::Both;
                }
                (Ok(()), None) if is_ours => {
                    down_done = true;
                    connection.send(&Packet::Ext { stream: key.id, body: Ext::Finish }).await;
                }
                (result, _) => return End::Target(result),
            },
            _ = look.tick() => {
                if moved != inbox.moved() {
                    (moved, moved_at) = (inbox.moved(), Instant::now());
                }
                if let Some(idle) = patience.idle.filter(|idle| moved_at.elapsed() >= *idle) {
                    return End::Idle(idle);
                }
                if let Some(patience) = patience.target.filter(|patience| tcp_info::is_gone(target, *patience)) {
                    return End::Vanished(patience);
                }
            }
        }
    };
    if !is_broken(reason) && up_end.is_none() && timeout(FLUSH, up).await.is_err() {
        return End::Client(Reason::CLIENT_ERROR);
    }
    End::Client(reason)
}

/// From the client to the target, until the client has finished or closed and everything is written.
async fn send_up(
    connection: &Connection,
    key: StreamKey,
    target: &TcpStream,
    inbox: &Inbox,
) -> io::Result<()> {
    loop {
        let mut pieces = Vec::new();
        // The first message may have begun to go out.
        let first = match inbox.next().await {
            Next::Item(Item::Data(bytes)) => {
                let whole = bytes.len();
                pieces.push(bytes);
                whole
            }
            Next::Item(Item::Rest(bytes, whole)) => {
                pieces.push(bytes);
                whole
            }
            Next::Item(Item::To(..)) => continue,
            Next::Finished => return finish(target),
            Next::Closed => return Ok(()),
            Next::Failed(error) => return Err(error),
        };
        inbox.take_data(PIECES, &mut pieces);
        write_all(target, &pieces).await?;
        for octets in std::iter::once(first).chain(pieces.iter().skip(1).map(Bytes::len)) {
            inbox.octets_up.fetch_add(octets as u64, Ordering::Relaxed);
            connection.took(key, octets).await;
            connection.pace(octets).await;
        }
    }
}

async fn write_all(target: &TcpStream, pieces: &[Bytes]) -> io::Result<()> {
    // The piece that is next, and how much of it has gone out.
    let (mut first, mut gone) = (0, 0);
    while let Some(piece) = pieces.get(first) {
        if gone >= piece.len() {
            (first, gone) = (first + 1, 0);
            continue;
        }
        let rest = pieces.iter().skip(first + 1).map(|piece| IoSlice::new(piece));
        let head = IoSlice::new(piece.get(gone..).unwrap_or_default());
        let slices: Vec<IoSlice<'_>> = std::iter::once(head).chain(rest).collect();
        match target.try_write_vectored(&slices) {
            Ok(mut written) => {
                while let Some(piece) = pieces.get(first)
                    && written >= piece.len() - gone
                {
                    written -= piece.len() - gone;
                    (first, gone) = (first + 1, 0);
                }
                gone += written;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(slices);
                target.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// From the target to the client, until the target has finished.
async fn send_down(
    connection: &Connection,
    key: StreamKey,
    target: &TcpStream,
    inbox: &Inbox,
) -> io::Result<()> {
    loop {
        // An idle stream holds neither a buffer nor a permit.
        target.readable().await?;
        let most = usize::try_from(inbox.room().await).unwrap_or(READ).min(READ);
        let permit = reserve(connection, most).await?;
        let mut message = BytesMut::with_capacity(HEADER_LEN + most).limit(HEADER_LEN + most);
        message.put_slice(&data_header(key.id));
        match target.try_read_buf(&mut message) {
            Ok(0) => return Ok(()),
            Ok(octets) => {
                let message = message.into_inner();
                // Many small answers must not each hold a big buffer while they wait.
                let message = if octets < most / 2 { BytesMut::from(&message[..]) } else { message };
                inbox.used(octets);
                deliver(connection, message, octets, permit).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Permission to read so many octets, once the client has taken enough of what was sent before.
pub(super) async fn reserve(connection: &Connection, octets: usize) -> io::Result<OwnedSemaphorePermit> {
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    let unsent: Arc<Semaphore> = Arc::clone(&connection.unsent);
    unsent.acquire_many_owned(octets).await.map_err(|_| io::ErrorKind::NotConnected.into())
}

pub(super) async fn deliver(
    connection: &Connection,
    message: BytesMut,
    octets: usize,
    mut permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    // What was reserved and not read is free for the next stream.
    let used = permit.split(octets);
    drop(permit);
    connection.octets_down.fetch_add(octets as u64, Ordering::Relaxed);
    connection.shared.metrics.octets_down.inc_by(octets as u64);
    let message = Message::Binary(message.freeze());
    connection.out.send(message, used).await.map_err(|Gone| io::ErrorKind::NotConnected)?;
    connection.pace(octets).await;
    Ok(())
}
