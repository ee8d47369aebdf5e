//! The host as others see it: calls, frames and time in; answers, frames, deadlines and events out.

mod config;

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use bytes::Bytes;

pub use config::{HostConfig, Intercept, InterceptId, Profile, Refusal};

use crate::addr::{IpCidr, MacAddr};
use crate::call::{Call, CallId, Fd, Outcome, Pid, Ret};
use crate::errno::{Errno, Failure};
use crate::event::{HostEvent, IfaceId, SocketId};
use crate::snapshot::{HostSnapshot, IfaceSnapshot};
use crate::time::Instant;

/// One host: its interfaces, tables and sockets. No clock, no randomness but the seed.
#[derive(Clone, Debug)]
pub struct Host {
    config: HostConfig,
    ifaces: Vec<IfaceSnapshot>,
    routes: Vec<(IpCidr, Option<IpAddr>, IfaceId)>,
    transmit: VecDeque<(IfaceId, Bytes)>,
    completions: VecDeque<(CallId, Result<Ret, Failure>)>,
    events: VecDeque<HostEvent>,
    intercepts: VecDeque<Intercept>,
}

impl Host {
    /// A host with nothing but `lo`, which is `IfaceId(0)` with 127.0.0.1/8 and ::1/128.
    pub fn new(config: HostConfig) -> Host {
        Host {
            config,
            ifaces: Vec::new(),
            routes: Vec::new(),
            transmit: VecDeque::new(),
            completions: VecDeque::new(),
            events: VecDeque::new(),
            intercepts: VecDeque::new(),
        }
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &HostConfig {
        &self.config
    }

    /// Adds an Ethernet interface; its connected networks become routes. `mtu`: largest IP packet, in octets.
    pub fn add_interface(&mut self, name: &str, mac: MacAddr, addresses: &[IpCidr], mtu: usize) -> IfaceId {
        self.ifaces.push(IfaceSnapshot { name: name.to_owned(), mac, addresses: addresses.to_vec(), mtu });
        IfaceId(self.ifaces.len())
    }

    /// Adds a route. `next_hop`: none if the network is on the link itself.
    pub fn add_route(&mut self, network: IpCidr, next_hop: Option<IpAddr>, iface: IfaceId) {
        self.routes.push((network, next_hop, iface));
    }

    /// A frame arrived, from the destination MAC address on, without the frame check sequence.
    pub fn handle_frame(&mut self, _now: Instant, _iface: IfaceId, _frame: Bytes) {}

    /// The next frame to put on a link. Drain it after every call that could send.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<(IfaceId, Bytes)> {
        self.transmit.pop_front()
    }

    /// When [`Host::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Runs every timer that is due at `now`.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// A program makes a system call.
    pub fn call(&mut self, _now: Instant, _pid: Pid, _id: CallId, _call: Call) -> Outcome {
        Outcome::Done(Err(Errno::ENOSYS.into()))
    }

    /// The answer of a call that was [`Outcome::Blocked`].
    pub fn poll_completion(&mut self) -> Option<(CallId, Result<Ret, Failure>)> {
        self.completions.pop_front()
    }

    /// The caller of a blocked call was interrupted: forgets it; no completion will come.
    pub fn cancel(&mut self, _now: Instant, _id: CallId) {}

    /// A process ended: its blocked calls are forgotten and its descriptors closed, as the kernel does.
    pub fn kill(&mut self, _now: Instant, _pid: Pid) {}

    /// The next thing that happened inside.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// The socket behind a descriptor.
    pub fn socket_of(&self, _pid: Pid, _fd: Fd) -> Option<SocketId> {
        None
    }

    /// A picture of the host as it is now.
    pub fn snapshot(&self) -> HostSnapshot {
        HostSnapshot {
            ifaces: self.ifaces.clone(),
            routes: self.routes.clone(),
            neighbours: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// Gateway mode: the next connection attempt or datagram for an address that is not the host's own.
    pub fn poll_intercept(&mut self) -> Option<Intercept> {
        self.intercepts.pop_front()
    }

    /// Gateway mode: answers a held SYN with SYN,ACK. The descriptor is usable at once, as one from accept(2).
    /// None if the client has given up meanwhile.
    pub fn intercept_accept(&mut self, _now: Instant, _id: InterceptId, _pid: Pid) -> Option<Fd> {
        None
    }

    /// Gateway mode: turns a held SYN down.
    pub fn intercept_refuse(&mut self, _now: Instant, _id: InterceptId, _how: Refusal) {}

    /// Gateway mode: an ICMP error of this type and code about a datagram that `client` sent to `target`.
    pub fn refuse_datagram(
        &mut self,
        _now: Instant,
        _client: SocketAddr,
        _target: SocketAddr,
        _data: &[u8],
        _kind: u8,
        _code: u8,
    ) {
    }

    /// Gateway mode: a datagram to `client` that bears `target` as its source.
    pub fn send_datagram_from(
        &mut self,
        _now: Instant,
        _target: SocketAddr,
        _client: SocketAddr,
        _data: &[u8],
    ) {
    }
}
