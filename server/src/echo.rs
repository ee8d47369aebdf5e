//! One ICMP echo to a real host, under the policy, by a socket that needs no privilege where
//! `net.ipv4.ping_group_range` has our group (icmp(7)).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use socketlab_policy::Policy;
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};

use crate::dial::{self, DialError, Names};

/// How long an echo may take. What ping(8) waits for the last one: 10 s is its limit, 2 s is enough for the planet.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// RFC 792 and RFC 4443: echo request and reply.
const ECHO_V4: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

/// Why no echo came back. `Display` is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The host may not be pinged, or is not known.
    #[error(transparent)]
    Host(#[from] DialError),
    /// The system lets us send none.
    #[error(
        "this machine lets the relay send no ICMP echo; its operator can with \
         `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`"
    )]
    NotLet,
    /// No answer.
    #[error("{0} did not answer a ping within {ECHO_TIMEOUT:?}")]
    Silent(IpAddr),
    /// The system's own answer.
    #[error("ping to {0}: {1}")]
    Failed(IpAddr, io::Error),
}

impl EchoError {
    /// Linux's number for it.
    pub fn errno(&self) -> u16 {
        match self {
            EchoError::Host(error) => error.errno(),
            EchoError::NotLet => 1,
            EchoError::Silent(_) => 110,
            EchoError::Failed(_, error) => dial::errno(error),
        }
    }
}

/// Sends one echo request to the first address of a host that may be reached. Who answered, and after how long.
///
/// # Errors
/// If the policy refuses, the system does, or nobody answers.
pub async fn ping(names: Names<'_>, policy: &Policy, host: &str) -> Result<(IpAddr, Duration), EchoError> {
    let address = match policy.check_ping(host) {
        Ok(host) => {
            let found = dial::resolve(names.resolver, &host).await?;
            let addresses = policy.visible(&host, &found).map_err(DialError::from)?;
            addresses.first().copied().ok_or_else(|| DialError::Unresolved(host.to_string()))?
        }
        Err(denial) => names.pins.may_ping(policy, host).ok_or(DialError::from(denial))?,
    };
    let started = Instant::now();
    match timeout(ECHO_TIMEOUT, echo(address)).await {
        Ok(Ok(())) => Ok((address, started.elapsed())),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Err(EchoError::NotLet),
        Ok(Err(error)) => Err(EchoError::Failed(address, error)),
        Err(_) => Err(EchoError::Silent(address)),
    }
}

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
