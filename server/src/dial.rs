//! From a request to a connected socket: policy, look-up, policy again, dial. The only place that opens sockets to
//! targets.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use crate::accept::is_out_of_descriptors;
use socketlab_policy::{Denial, Host, Policy, Transport};
use socketlab_wisp::Reason;
use tokio::{
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

/// How long a name may take to resolve. Smokescreen's figure.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Who turns names into addresses. Tests have one of their own.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a name, in the order to try them.
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// The system's resolver: /etc/hosts, then its name servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        // No final dot: /etc/hosts would not know the name. What a search list adds is checked like the rest.
        Box::pin(async move {
            let found = lookup_host((name, 0)).await?;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            Ok(addresses)
        })
    }
}

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
    /// Linux's number for it; what a program would have got from connect(2).
    pub fn errno(&self) -> u16 {
        match self {
            DialError::Denied { denial } if denial.is_invalid() => 22,
            DialError::Denied { .. } => 13,
            DialError::Unresolved(_) => 2,
            DialError::LookupTimedOut(_) | DialError::TimedOut(..) => 110,
            DialError::Failed(_, error) => errno(error),
        }
    }

    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            DialError::Denied { denial } => crate::metrics::denial_label(denial),
            DialError::Unresolved(_) => "unresolved",
            DialError::LookupTimedOut(_) => "lookup_timed_out",
            DialError::TimedOut(..) => "connect_timed_out",
            DialError::Failed(_, error) if is_out_of_descriptors(error) => "descriptors",
            DialError::Failed(_, error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "connect_refused",
                io::ErrorKind::TimedOut => "connect_timed_out",
                _ => "connect_unreachable",
            },
        }
    }

    /// What a Wisp CLOSE says.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            DialError::Failed(_, error) if is_out_of_descriptors(error) => Reason::THROTTLED,
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

/// The system's number of an error.
pub(crate) fn errno(error: &io::Error) -> u16 {
    let by_kind = match error.kind() {
        io::ErrorKind::TimedOut => 110,
        io::ErrorKind::UnexpectedEof => 104,
        // EIO.
        _ => 5,
    };
    error.raw_os_error().and_then(|number| u16::try_from(number).ok()).unwrap_or(by_kind)
}

/// All addresses of a host; a name is looked up once.
pub(crate) async fn resolve(resolver: &dyn Resolve, host: &Host) -> Result<Vec<IpAddr>, DialError> {
    let found = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            let found = timeout(LOOKUP_TIMEOUT, resolver.lookup(name)).await;
            found.map_err(|_| DialError::LookupTimedOut(name.clone()))?.unwrap_or_default()
        }
    };
    match found.is_empty() {
        true => Err(DialError::Unresolved(host.to_string())),
        false => Ok(found),
    }
}

/// The addresses that may be dialled for this request; at least one.
async fn addresses(
    resolver: &dyn Resolve,
    policy: &Policy,
    transport: Transport,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, DialError> {
    let host = policy.check_request(transport, host, port)?;
    let found = resolve(resolver, &host).await?;
    Ok(policy.choose(transport, &host, port, &found)?)
}

/// [`tcp_with`] the system's resolver.
///
/// # Errors
/// If the policy refuses, or nobody answers.
pub async fn tcp(
    policy: &Policy,
    host: &str,
    port: u16,
    wait: Duration,
) -> Result<(TcpStream, SocketAddr), DialError> {
    tcp_with(&SystemResolver, policy, host, port, wait).await
}

/// [`udp_with`] the system's resolver.
///
/// # Errors
/// If the policy refuses, or there is no way.
pub async fn udp(policy: &Policy, host: &str, port: u16) -> Result<(UdpSocket, SocketAddr), DialError> {
    udp_with(&SystemResolver, policy, host, port).await
}

/// A TCP connection to the first address that answers.
///
/// # Errors
/// If the policy refuses, or nobody answers.
pub async fn tcp_with(
    resolver: &dyn Resolve,
    policy: &Policy,
    host: &str,
    port: u16,
    wait: Duration,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let addresses = addresses(resolver, policy, Transport::Tcp, host, port).await?;
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
pub async fn udp_with(
    resolver: &dyn Resolve,
    policy: &Policy,
    host: &str,
    port: u16,
) -> Result<(UdpSocket, SocketAddr), DialError> {
    let addresses = addresses(resolver, policy, Transport::Udp, host, port).await?;
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
