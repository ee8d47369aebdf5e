//! Real ports for programs that listen: lent for as long as the page has them open, from the range in the settings.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use crate::{options::Ports, settings::Profile};

/// Connections that may wait to be accepted. A choice; the relay accepts at once.
const BACKLOG: u32 = 64;

/// Why there is no port. `Display` is a sentence for the student.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error(
        "this relay lends no ports; its operator can with --publish 20000-20099 (and --publish-address to let \
         other machines reach them)"
    )]
    Off,
    #[error(
        "port {0} is not one of those that this relay lends ({1}-{2}); ask for one of them, or for 0: any"
    )]
    OutOfRange(u16, u16, u16),
    #[error("a page may have {0} ports at a time, and has")]
    Quota(u16),
    #[error("port {0} is taken")]
    Taken(u16),
    #[error("all ports that this relay lends ({0}-{1}) are taken")]
    AllTaken(u16, u16),
    #[error("port {0} cannot be opened: {1}")]
    Failed(u16, io::Error),
}

impl PortError {
    /// Linux's number.
    pub(crate) fn errno(&self) -> u16 {
        match self {
            PortError::Off | PortError::OutOfRange(..) => 1,
            PortError::Quota(_) => 11,
            PortError::Taken(_) | PortError::AllTaken(..) => 98,
            PortError::Failed(_, error) => {
                error.raw_os_error().and_then(|n| u16::try_from(n).ok()).unwrap_or(5)
            }
        }
    }

    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            PortError::Off => "ports_off",
            PortError::OutOfRange(..) => "port_out_of_range",
            PortError::Quota(_) => "port_quota",
            PortError::Taken(_) | PortError::AllTaken(..) => "port_taken",
            PortError::Failed(..) => "port_failed",
        }
    }
}

/// A listener on the port that is wished for, or on any of the range. `have`: how many the client has already.
pub(crate) fn tcp(profile: &Arc<Profile>, wish: u16, have: usize) -> Result<TcpListener, PortError> {
    open(profile, wish, have, |address| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of the last one who had this port may still be in TIME-WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    })
}

/// The same for UDP.
pub(crate) fn udp(profile: &Arc<Profile>, wish: u16, have: usize) -> Result<UdpSocket, PortError> {
    open(profile, wish, have, |address| {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    })
}

fn open<T>(
    profile: &Profile,
    wish: u16,
    have: usize,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, PortError> {
    let Some(Ports { low, high }) = profile.ports else { return Err(PortError::Off) };
    if have >= usize::from(profile.port_quota) {
        return Err(PortError::Quota(profile.port_quota));
    }
    let address: IpAddr = profile.port_address;
    let any = low == 0;
    if wish != 0 && !any && !(low..=high).contains(&wish) {
        return Err(PortError::OutOfRange(wish, low, high));
    }
    let one = |port: u16| match bind(SocketAddr::new(address, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(PortError::Taken(port)),
        bound => bound.map_err(|error| PortError::Failed(port, error)),
    };
    if any {
        // "Any free port" cannot promise a certain one.
        return one(0);
    }
    if wish != 0 {
        return one(wish);
    }
    for port in low..=high {
        match one(port) {
            Err(PortError::Taken(_)) => {}
            done => return done,
        }
    }
    Err(PortError::AllTaken(low, high))
}
