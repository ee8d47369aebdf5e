//! A gateway: the node whose far side is the real world. Here is what it asks of the shell and what the shell tells
//! it; who opens the real connection (a relay, or the machine's own sockets) is the shell's business.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::record::GatewayFact;

/// One conversation with the real world: a TCP connection, the datagrams between one client and one target, or one
/// question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u32);

/// A port of the real world that leads into the lab: its place among the lab's published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u32);

impl FlowId {
    /// The `n`th flow that began on the real side. The shell numbers these, the world all others.
    pub const fn from_outside(n: u32) -> FlowId {
        FlowId(0x8000_0000 | n)
    }
}

/// From a gateway to the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayRequest {
    /// Open a TCP connection to `host` (a name or a numeric address). Answer: `Opened` or `Failed`.
    OpenTcp {
        /// The new flow.
        flow: FlowId,
        /// Name or numeric address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Open a UDP association with `host`. Answer: `Opened` or `Failed`.
    OpenUdp {
        /// The new flow.
        flow: FlowId,
        /// Name or numeric address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Send `host` an ICMP echo request. Answer: `Echoed` or `Failed`, which ends the flow.
    Ping {
        /// The new flow.
        flow: FlowId,
        /// Name or numeric address.
        host: String,
    },
    /// Look up the addresses of a name. Answer: `Addresses` or `Failed`, which ends the flow.
    LookUp {
        /// The new flow.
        flow: FlowId,
        /// The name.
        host: String,
    },
    /// Open a port in the real world. Answer: `Listening` or `NotListening`. It stays until the world is gone.
    Listen {
        /// The port.
        port: PortId,
        /// UDP instead of TCP.
        udp: bool,
        /// The number that is wished for; 0: any.
        number: u16,
    },
    /// Octets for the real side: for TCP never more than `Writable` allowed in all; for UDP one datagram.
    Data {
        /// The flow.
        flow: FlowId,
        /// The octets.
        bytes: Bytes,
    },
    /// The client sent its FIN: no more `Data` follows, but the other direction stays open.
    Finish {
        /// The flow.
        flow: FlowId,
    },
    /// The flow is over; nothing more is said about it in either direction.
    Close {
        /// The flow.
        flow: FlowId,
        /// The client broke it off (RST).
        reset: bool,
    },
    /// The client's host has taken so many octets of the TCP data handed in: the real side may send as many more.
    Consumed {
        /// The flow.
        flow: FlowId,
        /// Octets.
        octets: u64,
    },
}

/// From the shell to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// The real side is open. No TCP octet is sent before a first `Writable`.
    Opened {
        /// The flow.
        flow: FlowId,
    },
    /// The port is open.
    Listening {
        /// The port.
        port: PortId,
        /// Where the real world finds it.
        address: SocketAddr,
    },
    /// The port could not be opened, or is gone. Its connections are closed one by one.
    NotListening {
        /// The port.
        port: PortId,
        /// Why.
        fact: GatewayFact,
    },
    /// The echo came back. The flow is forgotten.
    Echoed {
        /// The flow.
        flow: FlowId,
    },
    /// The addresses of a name; at least one. The flow is forgotten. From here on `OpenTcp` and the like may name them.
    Addresses {
        /// The flow.
        flow: FlowId,
        /// In the order to try them.
        addresses: Vec<IpAddr>,
    },
    /// Somebody connected to a port, or sent it a first datagram.
    Accepted {
        /// The port.
        port: PortId,
        /// The new flow, which the shell has numbered ([`FlowId::from_outside`]).
        flow: FlowId,
        /// The real peer.
        remote: SocketAddr,
    },
    /// It could not be opened. The flow is forgotten.
    Failed {
        /// The flow.
        flow: FlowId,
        /// Why.
        fact: GatewayFact,
    },
    /// Octets from the real side; for UDP one datagram.
    Data {
        /// The flow.
        flow: FlowId,
        /// The octets.
        bytes: Bytes,
    },
    /// The real side has sent all it will (its FIN).
    Finished {
        /// The flow.
        flow: FlowId,
    },
    /// The real side is gone, in both directions. What came before still reaches the client, unless it is a reset; no
    /// `Close` answers this.
    Closed {
        /// The flow.
        flow: FlowId,
        /// By a reset.
        reset: bool,
    },
    /// So many more octets may be sent (TCP; credits add up).
    Writable {
        /// The flow.
        flow: FlowId,
        /// Octets.
        octets: u64,
    },
}
