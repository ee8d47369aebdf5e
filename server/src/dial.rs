//! From a request to a connected socket: policy, look-up, policy again, dial. The only place that opens sockets to
//! targets.

use std::{io, net::SocketAddr, time::Duration};

use socketlab_policy::{Denial, Host, Policy, Transport};
use socketlab_wisp::Reason;
use tokio::{
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

/// How long a name may take to resolve. Smokescreen's figure.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection. `Display` is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The policy does not allow it.
    #[error("{denial}{}", hint(denial))]
    Denied {
        /// What and why.
        #[from]
        denial: Denial,
    },
    /// The name has no address.
    #[error("no address is known for {0}")]
    Unresolved(String),
    /// The name server is silent.
    #[error("the name server did not answer for {0} within {LOOKUP_TIMEOUT:?}")]
    LookupTimedOut(String),
    /// The target is silent.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(SocketAddr, Duration),
    /// The system's own answer.
    #[error("{0}: {1}")]
    Failed(SocketAddr, io::Error),
}

fn hint(denial: &Denial) -> String {
    denial.hint().map_or(String::new(), |rule| format!(" (to allow it: --allow {rule})"))
}

impl DialError {
    /// What a Wisp CLOSE says.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            DialError::Denied { denial } if denial.is_invalid() => Reason::INVALID,
            DialError::Denied { .. } => Reason::BLOCKED,
            DialError::Unresolved(_) | DialError::LookupTimedOut(_) => Reason::UNREACHABLE,
            DialError::TimedOut(..) => Reason::TIMED_OUT,
            DialError::Failed(_, error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Reason::REFUSED,
                io::ErrorKind::TimedOut => Reason::TIMED_OUT,
                _ => Reason::UNREACHABLE,
            },
        }
    }
}

/// The addresses that may be dialled for this request; at least one.
async fn addresses(
    policy: &Policy,
    transport: Transport,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, DialError> {
    let host = policy.check_request(transport, host, port)?;
    let found = match &host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            // No final dot: /etc/hosts would not know the name. What a search list adds is checked like the rest.
            let found = timeout(LOOKUP_TIMEOUT, lookup_host((name.as_str(), port))).await;
            let found = found.map_err(|_| DialError::LookupTimedOut(name.clone()))?;
            match found {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            }
        }
    };
    if found.is_empty() {
        return Err(DialError::Unresolved(host.to_string()));
    }
    Ok(policy.choose(transport, &host, port, &found)?)
}

/// A TCP connection to the first address that answers.
///
/// # Errors
/// If the policy refuses, or nobody answers.
pub async fn tcp(
    policy: &Policy,
    host: &str,
    port: u16,
    wait: Duration,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let addresses = addresses(policy, Transport::Tcp, host, port).await?;
    // Together they get as long as one would.
    let each = wait / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = None;
    for address in addresses {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| DialError::Failed(address, error))?;
                return Ok((stream, address));
            }
            Ok(Err(error)) => last = Some(DialError::Failed(address, error)),
            Err(_) => last = Some(DialError::TimedOut(address, each)),
        }
    }
    Err(last.unwrap_or_else(|| DialError::Unresolved(host.to_owned())))
}

/// A UDP socket that hears and reaches one address only.
///
/// # Errors
/// If the policy refuses, or there is no way.
pub async fn udp(policy: &Policy, host: &str, port: u16) -> Result<(UdpSocket, SocketAddr), DialError> {
    let addresses = addresses(policy, Transport::Udp, host, port).await?;
    let mut last = None;
    for address in addresses {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Ok(socket)
        };
        match connected.await {
            Ok(socket) => return Ok((socket, address)),
            Err(error) => last = Some(DialError::Failed(address, error)),
        }
    }
    Err(last.unwrap_or_else(|| DialError::Unresolved(host.to_owned())))
}
