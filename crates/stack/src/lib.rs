//! One host's network stack, sans-IO: a pure, `Clone`-able state machine from system calls and frames to frames
//! and wake-ups. Header bytes go through `smoltcp::wire`; everything above them is our own, so that each field of a
//! TCB and the cause of each error can be shown.
//!
//! ```text
//! Call ▸ socket ▸ tcp | udp | icmp ▸ ip ▸ neighbour ▸ ethernet ▸ frame
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | `host` | the public face: system calls, timers, gateway mode, snapshots |
//! | `socket` | descriptors, names, options, queues, readiness, calls that sleep; segments to sockets |
//! | `tcp` | one connection: segment in, segment out, loss recovery, congestion, timers |
//! | `udp`, `icmp` | datagrams; echo, errors out, errors in to the socket they are about |
//! | `ip` | IPv4 and IPv6: interfaces, routes, packets in and out, fragments, path MTU, `lo` |
//! | `neighbour` | the neighbour table of both families, and packets that wait for an answer |
//! | `arp`, `ndp` | who has this address? for IPv4 and for IPv6; router advertisements |
//! | `forward` | routers: packets for others, address translation; the packet filter |
//! | `groups` | multicast groups, IGMP and MLD |
//!
//! Left out on purpose: a clock, random numbers, threads. Time and bytes come in; frames, deadlines and events are
//! polled out. Same input, same output, byte for byte.

mod addr;
mod arp;
mod call;
mod errno;
mod event;
mod forward;
mod groups;
mod host;
mod icmp;
mod ip;
mod ndp;
mod neighbour;
mod rng;
mod snapshot;
mod socket;
mod spare;
mod sysctl;
mod tcp;
mod time;
mod udp;

pub use addr::{IpCidr, MacAddr, SockAddr};
pub use call::{Call, CallId, Fd, Outcome, Pid, Ret};
pub use errno::{Cause, Errno, Failure};
pub use event::{Demux, DropReason, HostEvent, IfaceId, SocketId, TimerKind};
pub use forward::{
    ConnState, Direction, FilterAction, FilterRule, NatConfig, NatEntry, NatKind, Origin, PortForward,
    RuleSnapshot, Tuple,
};
pub use host::{EchoRequest, Host, HostConfig, Intercept, InterceptId, Profile, Refusal};
pub use snapshot::{
    ArpEntry, HostSnapshot, IfaceSnapshot, NeighbourState, ProtocolKind, RecoveryPhase, SocketSnapshot,
    TcbSnapshot, TcpState, TimerSnapshot,
};
pub use socket::Control;
pub use sysctl::{CongestionControl, Sysctl};
pub use time::Instant;
