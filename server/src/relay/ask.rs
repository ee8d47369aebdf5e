//! Questions of our extension: a name's addresses, a socket's TCP_INFO, an ICMP echo. Each under the same policy as
//! connections, and each answered, if only by the reason why not.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use socketlab_policy::Host;
use socketlab_wisp::{Answer, Ext, Packet, Question, StreamId};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};

use super::Connection;
use crate::{
    dial::{self, DialError},
    tcp_info,
};

/// How long an echo may take. What ping(8) waits for the last one: 10 s is its limit, 2 s is enough for the planet.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// RFC 792 and RFC 4443: echo request and reply.
const ECHO_V4: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

/// Why there is no answer.
struct Failure {
    errno: u16,
    text: String,
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Failure {
        Failure { errno: error.errno(), text: error.to_string() }
    }
}

impl Connection {
    pub(super) fn ask(self: &Arc<Self>, question: StreamId, what: Question) {
        let connection = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            let kind = what.kind();
            let answer = tokio::select! {
                answer = connection.answer(what) => answer,
                () = connection.lost.cancelled() => return,
                () = connection.shared.stop.cancelled() => return,
            };
            let answer = answer.unwrap_or_else(|Failure { errno, text }| {
                tracing::info!(peer = %connection.peer, question = kind, errno, text, "asked in vain");
                Answer::Failed { question: kind, errno: errno.max(1), text }
            });
            connection.lock().book.answered();
            connection.send(&Packet::Ext { stream: question, body: Ext::Answer(answer) }).await;
        });
    }

    pub(super) async fn too_many(&self, question: StreamId, what: &Question) {
        self.shared.metrics.refuse("questions");
        let text = "a page may have 32 questions open at a time, and has".to_owned();
        let answer = Answer::Failed { question: what.kind(), errno: 11, text };
        self.send(&Packet::Ext { stream: question, body: Ext::Answer(answer) }).await;
    }

    async fn answer(&self, what: Question) -> Result<Answer, Failure> {
        match what {
            Question::Lookup { host } => {
                let (_, addresses) = self.known(&host).await?;
                tracing::info!(peer = %self.peer, host, ?addresses, "looked up");
                Ok(Answer::Lookup { addresses })
            }
            Question::Socket { stream } => {
                let socket = self.lock().handles.get(&stream).and_then(|handle| handle.inbox.socket());
                let Some(socket) = socket else {
                    // ENOTCONN.
                    return Err(Failure {
                        errno: 107,
                        text: format!("stream {stream} has no connected socket"),
                    });
                };
                let info = tcp_info::of(&socket);
                let info =
                    info.map_err(|error| Failure { errno: dial::errno(&error), text: error.to_string() })?;
                Ok(Answer::Socket(Box::new(info)))
            }
            Question::Ping { host } => {
                let (_, addresses) = self.known(&host).await?;
                let Some(&address) = addresses.first() else {
                    return Err(DialError::Unresolved(host).into());
                };
                let started = Instant::now();
                let echoed = timeout(ECHO_TIMEOUT, echo(address)).await;
                let rtt_us = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
                match echoed {
                    Ok(Ok(())) => {
                        tracing::info!(peer = %self.peer, host, %address, rtt_us, "pinged");
                        Ok(Answer::Ping { from: address, rtt_us })
                    }
                    Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Err(Failure {
                        errno: 1,
                        text: "the relay's machine lets it send no ICMP echo; its operator can with \
                               `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`"
                            .to_owned(),
                    }),
                    Ok(Err(error)) => Err(Failure { errno: dial::errno(&error), text: error.to_string() }),
                    Err(_) => Err(Failure {
                        errno: 110,
                        text: format!("{address} did not answer within {ECHO_TIMEOUT:?}"),
                    }),
                }
            }
        }
    }

    /// The addresses of a host that a page may know of.
    async fn known(&self, host: &str) -> Result<(Host, Vec<IpAddr>), Failure> {
        let rights = self.rights().ok_or(Failure { errno: 1, text: "not let in yet".to_owned() })?;
        let policy = &rights.profile.policy;
        let host = policy.check_name(host).map_err(DialError::from)?;
        let found = dial::resolve(&*self.shared.resolver, &host).await?;
        let addresses = policy.visible(&host, &found).map_err(DialError::from)?;
        Ok((host, addresses))
    }
}

/// One echo, by a socket that needs no privilege where `net.ipv4.ping_group_range` has our group.
async fn echo(to: IpAddr) -> io::Result<()> {
    let (domain, protocol, (request, reply)) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, ECHO_V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, ECHO_V6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.connect(&SocketAddr::new(to, 0).into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    // Type, code, checksum and identifier (the kernel's), sequence number, and a few octets to see again.
    let message = [&[request, 0, 0, 0, 0, 0, 0, 1][..], b"socketlab"].concat();
    socket.send(&message).await?;
    let mut buffer = [0; 256];
    loop {
        let octets = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..octets).unwrap_or_default();
        if answer.first() == Some(&reply) && answer.ends_with(b"socketlab") {
            return Ok(());
        }
    }
}
