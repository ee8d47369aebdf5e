//! From a request to a connected socket: policy, look-up, policy again, dial. The only place that opens sockets to
//! targets.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::accept::is_out_of_descriptors;
use socket2::{SockRef, TcpKeepalive};
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

/// Addresses that are remembered with their names. A choice: more names than a lesson has, 100 octets each.
const MOST_PINS: usize = 4096;

/// The addresses that a client was told behind names. A client that asks for a name first and then connects to its
/// address, as programs do, is judged by the name's rule; a second look-up could give another answer.
#[derive(Debug, Default)]
pub struct Pins(Mutex<Pinned>);

#[derive(Debug, Default)]
struct Pinned {
    names: HashMap<IpAddr, Vec<String>>,
    /// The oldest first, which are forgotten when there are too many.
    order: VecDeque<(IpAddr, String)>,
}

impl Pins {
    /// These were found behind the name, and told.
    pub fn remember(&self, host: &Host, addresses: &[IpAddr]) {
        let Host::Name(name) = host else { return };
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            let names = pinned.names.entry(*address).or_default();
            if names.contains(name) {
                continue;
            }
            names.push(name.clone());
            pinned.order.push_back((*address, name.clone()));
            if pinned.order.len() > MOST_PINS
                && let Some((address, name)) = pinned.order.pop_front()
                && let Some(names) = pinned.names.get_mut(&address)
            {
                names.retain(|other| *other != name);
                if names.is_empty() {
                    pinned.names.remove(&address);
                }
            }
        }
    }

    /// The names of an address that was told.
    fn names_of(&self, host: &str) -> (Option<IpAddr>, Vec<String>) {
        let address = host.parse().ok();
        let pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = address.and_then(|address| pinned.names.get(&address)).cloned();
        (address, names.unwrap_or_default())
    }

    /// Where a request for a literal address leads that no rule for addresses allows, but one for its name.
    fn judge(&self, policy: &Policy, transport: Transport, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let (address, names) = self.names_of(host);
        let address = address?;
        names.iter().find_map(|name| {
            let host = policy.check_request(transport, name, port).ok()?;
            policy.choose(transport, &host, port, &[address]).ok().filter(|good| !good.is_empty())
        })
    }

    /// May an address be pinged that no rule for addresses names, but one for its name?
    pub(crate) fn may_ping(&self, policy: &Policy, host: &str) -> Option<IpAddr> {
        let (address, names) = self.names_of(host);
        let address = address?;
        let may = |name: &String| {
            policy.check_ping(name).is_ok_and(|host| policy.visible(&host, &[address]).is_ok())
        };
        names.iter().any(may).then_some(address)
    }
}

/// How names become addresses for one client.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Who looks them up.
    pub resolver: &'a dyn Resolve,
    /// What the client was told.
    pub pins: &'a Pins,
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
    /// The system's resolver cannot tell.
    #[error("{0} could not be looked up: {1}")]
    LookupFailed(String, io::Error),
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
            // EIO.
            DialError::LookupFailed(..) => 5,
            DialError::LookupTimedOut(_) | DialError::TimedOut(..) => 110,
            DialError::Failed(_, error) => errno(error),
        }
    }

    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            DialError::Denied { denial } => crate::metrics::denial_label(denial),
            DialError::Unresolved(_) => "unresolved",
            DialError::LookupFailed(..) => "lookup_failed",
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
            DialError::Unresolved(_) | DialError::LookupFailed(..) | DialError::LookupTimedOut(_) => {
                Reason::UNREACHABLE
            }
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
            match timeout(LOOKUP_TIMEOUT, resolver.lookup(name)).await {
                Ok(Ok(found)) => found,
                // gai_strerror(3) of EAI_AGAIN: all that the standard library tells of getaddrinfo's error.
                Ok(Err(error)) if error.to_string().contains("Temporary failure") => {
                    return Err(DialError::LookupFailed(name.clone(), error));
                }
                Ok(Err(_)) => Vec::new(),
                Err(_) => return Err(DialError::LookupTimedOut(name.clone())),
            }
        }
    };
    match found.is_empty() {
        true => Err(DialError::Unresolved(host.to_string())),
        false => Ok(found),
    }
}

/// The addresses of a host that a client may know of, and may connect to from now on as if by name.
///
/// # Errors
/// If the policy refuses, or there are none.
pub async fn look_up(names: Names<'_>, policy: &Policy, host: &str) -> Result<Vec<IpAddr>, DialError> {
    let host = policy.check_name(host)?;
    let found = resolve(names.resolver, &host).await?;
    let addresses = policy.visible(&host, &found)?;
    names.pins.remember(&host, &addresses);
    Ok(addresses)
}

/// The addresses that may be dialled for this request; at least one.
async fn addresses(
    names: Names<'_>,
    policy: &Policy,
    transport: Transport,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, DialError> {
    let host = match policy.check_request(transport, host, port) {
        Ok(host) => host,
        Err(denial) => {
            return names.pins.judge(policy, transport, host, port).ok_or(DialError::Denied { denial });
        }
    };
    let found = resolve(names.resolver, &host).await?;
    Ok(policy.choose(transport, &host, port, &found)?)
}

/// A TCP connection to the first address that answers.
///
/// # Errors
/// If the policy refuses, or nobody answers.
pub async fn tcp(
    names: Names<'_>,
    policy: &Policy,
    host: &str,
    port: u16,
    wait: Duration,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let addresses = addresses(names, policy, Transport::Tcp, host, port).await?;
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

/// Has the system ask a quiet peer whether it is there, so that a connection to one that vanished ends with `ETIMEDOUT`
/// after about this time.
pub fn keep_alive(stream: &TcpStream, patience: Duration) {
    let least = Duration::from_secs(1);
    let probes = TcpKeepalive::new()
        .with_time((patience / 2).max(least))
        .with_interval((patience / 2 / PROBES).max(least))
        .with_retries(PROBES);
    // Without it the system's own patience holds.
    drop(SockRef::from(stream).set_tcp_keepalive(&probes));
}

/// Probes without an answer that end a connection. A choice: one may be lost.
const PROBES: u32 = 3;

/// A UDP socket that hears and reaches one address only.
///
/// # Errors
/// If the policy refuses, or there is no way.
pub async fn udp(
    names: Names<'_>,
    policy: &Policy,
    host: &str,
    port: u16,
) -> Result<(UdpSocket, SocketAddr), DialError> {
    let addresses = addresses(names, policy, Transport::Udp, host, port).await?;
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
