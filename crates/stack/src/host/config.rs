//! What a host is made from, and how its stack behaves where the RFCs leave a choice.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// Whose choices the stack follows where the RFCs leave one: timers, initial windows, reactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Linux 6: initial window 10 segments, RTO at least 200 ms, TIME-WAIT 60 s, delayed ACK 40 ms.
    #[default]
    Linux,
    /// The RFCs' own recommendations: initial window by RFC 5681, RTO at least 1 s, TIME-WAIT 4 min.
    Rfc,
}

/// What a host is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The host's name, for those who print it; the stack itself does not use it.
    pub name: String,
    /// Whose choices it follows.
    pub profile: Profile,
    /// Source of initial sequence numbers and ephemeral ports: the same seed gives the same numbers.
    pub seed: u64,
    /// Gateway mode: packets to any destination are taken in. A SYN becomes [`Intercept::Syn`], a datagram
    /// [`Intercept::Datagram`], an ICMP echo request [`Intercept::Echo`], unless it is for one of the host's own
    /// addresses.
    pub any_ip: bool,
    /// May programs bind ports below 1024 (`EACCES` otherwise) and open raw sockets (`EPERM`)?
    pub privileged_ports: bool,
    /// At its start the host says what a real one says when its cable is plugged in: gratuitous ARP, duplicate address
    /// detection, multicast listener reports, router solicitation. Otherwise it is silent until a program speaks.
    pub announce: bool,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            name: String::new(),
            profile: Profile::Linux,
            seed: 0,
            any_ip: false,
            privileged_ports: true,
            announce: false,
        }
    }
}

/// Names a SYN that a gateway holds; unique over the host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterceptId(pub u64);

/// Something that arrived at a gateway for an address that is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intercept {
    /// A connection attempt. It is held, not answered, until `Host::intercept_accept` or `Host::intercept_refuse`.
    Syn {
        /// Its name from now on.
        id: InterceptId,
        /// Who wants to connect.
        client: SocketAddr,
        /// To what.
        target: SocketAddr,
    },
    /// A UDP datagram.
    Datagram {
        /// Who sent it.
        client: SocketAddr,
        /// To what.
        target: SocketAddr,
        /// Its payload.
        data: Bytes,
    },
    /// An ICMP echo request, for `Host::answer_echo_from` or `Host::refuse_echo`.
    Echo(EchoRequest),
}

/// An ICMP echo request that came to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoRequest {
    /// Who asks.
    pub client: IpAddr,
    /// Whom.
    pub target: IpAddr,
    /// TOS, which the reply repeats.
    pub(crate) tos: u8,
    /// The ICMP message.
    pub(crate) message: Bytes,
    /// The (first) packet as it came, for an error to quote.
    pub(crate) packet: Bytes,
}

/// How a gateway turns a connection attempt down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With a RST: the program gets `ECONNREFUSED`.
    Reset,
    /// With an ICMP error about the SYN (RFC 792): 3/1 gives `EHOSTUNREACH`.
    Icmp {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// Not at all: the program waits until its own time-out.
    Silence,
}
