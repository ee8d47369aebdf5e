//! The host as others see it: calls, frames and time in; answers, frames, deadlines and events out. The rooms below
//! (`socket`, `tcp`, `udp`, `icmp`, `ip`, `neighbour`, `groups`) do the work on its tables.

mod calls;
mod config;
mod gateway;
mod picture;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

pub use config::{EchoRequest, HostConfig, Intercept, InterceptId, Profile, Refusal};

use crate::addr::{IpCidr, MacAddr};
use crate::call::{Call, CallId, Fd, Outcome, Pid, Ret};
use crate::errno::Failure;
use crate::event::{DropReason, HostEvent, IfaceId, SocketId};
use crate::forward::{Forward, Nat, Origin};
use crate::groups::Groups;
use crate::icmp::{Limits, Problem};
use crate::ip::{ETHERNET_LEN, Iface, NO_MAC, PathMtus, Reassembly, Route, Routes};
use crate::ndp::Autoconf;
use crate::neighbour::{Due, Neighbours};
use crate::snapshot::HostSnapshot;
use crate::socket::{HeldSyn, Pending, Sockets, Watched};
use crate::sysctl::Sysctl;
use crate::time::Instant;

/// Linux's `lo`.
const LOOPBACK_MTU: usize = 65_536;

/// Entries that an empty queue keeps room for. A choice: a busy host's round of events fits.
const QUEUE_ROOM: usize = 256;

/// Takes the first of a queue, and gives back the room of a burst when the last is gone.
fn take<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > QUEUE_ROOM {
        *queue = VecDeque::new();
    }
    first
}

/// Whose timer an entry of [`Host::timers`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Socket(SocketId),
    Call(CallId),
}

/// One host: its interfaces, tables and sockets. No clock, no randomness but the seed.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) config: HostConfig,
    pub(crate) sysctl: Arc<Sysctl>,
    pub(crate) ifaces: Vec<Iface>,
    pub(crate) routes: Routes,
    pub(crate) neighbours: Neighbours,
    pub(crate) reassembly: Reassembly,
    pub(crate) forward: Forward,
    pub(crate) path_mtus: PathMtus,
    pub(crate) icmp_limits: Limits,
    pub(crate) groups: Groups,
    pub(crate) autoconf: Autoconf,
    /// The last instant that anybody told us.
    pub(crate) clock: Instant,
    /// The neighbour that did not answer, while we tell ourselves so.
    pub(crate) silent_neighbour: Option<IpAddr>,
    /// Identification of the next IPv4 packet.
    pub(crate) ip_id: u16,
    /// Packets on their way through `lo`, and copies of our own broadcasts, with the interface they come in by.
    pub(crate) loopback: VecDeque<(IfaceId, Bytes)>,
    pub(crate) sockets: Sockets,
    /// Deadlines of connections and of blocked calls.
    pub(crate) timers: BTreeSet<(Instant, TimerKey)>,
    pub(crate) waiters: BTreeMap<CallId, Pending>,
    /// Sockets whose sleepers have to look again.
    pub(crate) changed: VecDeque<SocketId>,
    /// SYNs that a gateway holds.
    pub(crate) held: BTreeMap<InterceptId, HeldSyn>,
    pub(crate) next_intercept: u64,
    /// Frames out, with the number of the frame whose packet they pass on.
    pub(crate) transmit: VecDeque<(IfaceId, Bytes, Option<Origin>)>,
    pub(crate) completions: VecDeque<(CallId, Result<Ret, Failure>)>,
    pub(crate) events: VecDeque<HostEvent>,
    pub(crate) intercepts: VecDeque<Intercept>,
}

impl Host {
    /// A host with nothing but `lo`, which is `IfaceId(0)` with 127.0.0.1/8 and ::1/128.
    pub fn new(config: HostConfig) -> Host {
        let addresses = vec![
            IpCidr { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix_len: 8 },
            IpCidr { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_len: 128 },
        ];
        let lo = Iface::new("lo", NO_MAC, addresses, LOOPBACK_MTU);
        let seed = config.seed;
        let sysctl = Arc::new(Sysctl::of(config.profile));
        Host {
            config,
            sysctl,
            ifaces: vec![lo],
            routes: Routes::default(),
            neighbours: Neighbours::new(seed),
            reassembly: Reassembly::default(),
            forward: Forward::default(),
            path_mtus: PathMtus::default(),
            icmp_limits: Limits::default(),
            groups: Groups::default(),
            autoconf: Autoconf::default(),
            clock: Instant::ZERO,
            silent_neighbour: None,
            ip_id: 1,
            loopback: VecDeque::new(),
            sockets: Sockets::default(),
            timers: BTreeSet::new(),
            waiters: BTreeMap::new(),
            changed: VecDeque::new(),
            held: BTreeMap::new(),
            next_intercept: 0,
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

    /// The settings of TCP, as sysctl(8) shows them.
    pub fn sysctl(&self) -> &Sysctl {
        &self.sysctl
    }

    /// `sysctl -w NAME=VALUE`, for connections that begin from now on. False: there is no such setting, or no such value.
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> bool {
        Arc::make_mut(&mut self.sysctl).set(name, value)
    }

    /// Adds an Ethernet interface; its connected networks become routes. `mtu`: largest IP packet, in octets. It gets
    /// the link-local address that belongs to its MAC address, unless the list has one; with an MTU that is too small
    /// for IPv6 it gets no IPv6 address at all, as in Linux.
    pub fn add_interface(&mut self, name: &str, mac: MacAddr, addresses: &[IpCidr], mtu: usize) -> IfaceId {
        let iface = IfaceId(self.ifaces.len());
        let local = IpCidr { address: IpAddr::V6(mac.link_local()), prefix_len: 64 };
        let has_local = addresses.iter().any(|own| own.address.is_ipv6() && local.contains(own.address));
        let own = addresses.iter().copied().chain((!has_local).then_some(local));
        let own: Vec<IpCidr> =
            own.filter(|own| own.address.is_ipv4() || mtu >= crate::ip::LEAST_MTU_V6).collect();
        for &network in &own {
            self.routes.add(Route { network, next_hop: None, iface, valid_until: None });
        }
        let mut link = Iface::new(name, mac, own, mtu);
        self.bring_up(iface, &mut link);
        self.ifaces.push(link);
        iface
    }

    /// An interface gets other IPv4 addresses and another default router, as a DHCP client sets them.
    pub fn configure_v4(
        &mut self,
        now: Instant,
        iface: IfaceId,
        addresses: &[IpCidr],
        router: Option<Ipv4Addr>,
    ) {
        self.clock = now;
        let Some(own) = self.ifaces.get_mut(iface.0) else { return };
        own.addresses.retain(|cidr| cidr.address.is_ipv6());
        own.addresses.extend(addresses.iter().filter(|cidr| cidr.address.is_ipv4()));
        self.routes.forget_v4(iface);
        for &network in addresses.iter().filter(|cidr| cidr.address.is_ipv4()) {
            self.routes.add(Route { network, next_hop: None, iface, valid_until: None });
        }
        if let Some(router) = router {
            let network = IpCidr { address: Ipv4Addr::UNSPECIFIED.into(), prefix_len: 0 };
            self.routes.add(Route { network, next_hop: Some(router.into()), iface, valid_until: None });
        }
        self.settle(now);
    }

    /// An interface's largest IP packet, in octets, changes.
    pub fn set_mtu(&mut self, iface: IfaceId, mtu: usize) {
        if let Some(iface) = self.ifaces.get_mut(iface.0) {
            iface.mtu = mtu;
        }
    }

    /// Adds a route. `next_hop`: none if the network is on the link itself.
    pub fn add_route(&mut self, network: IpCidr, next_hop: Option<IpAddr>, iface: IfaceId) {
        self.routes.add(Route { network, next_hop, iface, valid_until: None });
    }

    /// A frame arrived, from the destination MAC address on, without the frame check sequence.
    pub fn handle_frame(&mut self, now: Instant, iface: IfaceId, frame: Bytes) {
        self.clock = now;
        self.receive_frame(now, iface, &frame);
        self.settle(now);
    }

    /// The next frame to put on a link. Drain it after every call that could send.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<(IfaceId, Bytes)> {
        take(&mut self.transmit).map(|(iface, frame, _)| (iface, frame))
    }

    /// As [`Host::poll_transmit`], with what the frame comes from.
    pub fn poll_transmit_tagged(&mut self, _now: Instant) -> Option<(IfaceId, Bytes, Option<Origin>)> {
        take(&mut self.transmit)
    }

    /// When [`Host::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = self.timers.first().map(|(at, _)| *at);
        let others = [
            self.neighbours.deadline(),
            self.reassembly.deadline(),
            self.groups.deadline(),
            self.autoconf.deadline(),
            self.forward.nat.as_ref().and_then(Nat::deadline),
        ];
        others.into_iter().flatten().chain(timers).min()
    }

    /// Runs every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = now;
        while let Some(&(at, key)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match key {
                TimerKey::Socket(id) => {
                    if let Some(socket) = self.sockets.get_mut(id) {
                        socket.deadline = None;
                        if let Some(tcb) = socket.tcb_mut() {
                            tcb.on_timers(now);
                        }
                    }
                    self.flush(now, id);
                }
                TimerKey::Call(id) => self.call_timed_out(now, id),
            }
            self.settle(now);
        }
        let Due { ask, failed } = self.neighbours.on_timer(now);
        for question in ask {
            self.ask_for(question);
        }
        for (next_hop, frame) in failed {
            let packet = Bytes::from(frame).slice(ETHERNET_LEN..);
            self.no_neighbour(now, next_hop, &packet);
        }
        if let Some(nat) = &mut self.forward.nat {
            nat.on_timer(now);
        }
        for lost in self.reassembly.on_timer(now) {
            self.drop_packet(DropReason::ReassemblyTimedOut);
            // RFC 792, RFC 8200 4.5: only if the first fragment came.
            if let Some(first) = lost {
                self.send_icmp_error(now, Problem::Reassembly, &first);
            }
        }
        self.run_groups(now);
        self.run_autoconf(now);
        self.settle(now);
    }

    /// A program makes a system call.
    pub fn call(&mut self, now: Instant, pid: Pid, id: CallId, call: Call) -> Outcome {
        self.clock = now;
        self.forward.call = Some(id);
        let outcome = self.begin(now, pid, id, call);
        self.settle(now);
        self.forward.call = None;
        // On `lo` the answer of a call that had to wait may be here already.
        match self.completions.iter().position(|(done, _)| *done == id) {
            Some(at) if outcome == Outcome::Blocked => {
                self.completions.remove(at).map_or(outcome, |(_, result)| Outcome::Done(result))
            }
            _ => outcome,
        }
    }

    /// The answer of a call that was [`Outcome::Blocked`].
    pub fn poll_completion(&mut self) -> Option<(CallId, Result<Ret, Failure>)> {
        self.completions.pop_front()
    }

    /// Whether a blocked call ends at some time even if nothing happens: its caller, or an option of its socket
    /// (`SO_RCVTIMEO`, `SO_SNDTIMEO`, `SO_LINGER`), bounds it.
    pub fn ends_by_itself(&self, id: CallId) -> bool {
        self.waiters.get(&id).is_some_and(|pending| pending.deadline.is_some())
    }

    /// The caller of a blocked call was interrupted: forgets it; no completion will come. If the call had done a part
    /// of its work (octets taken by send, octets read with `MSG_WAITALL`), that part is its answer, not `EINTR`.
    pub fn cancel(&mut self, now: Instant, id: CallId) -> Option<Ret> {
        self.clock = now;
        let part = self.waiters.remove(&id).and_then(|pending| {
            self.forget(now, id, &pending);
            pending.part()
        });
        self.settle(now);
        part
    }

    /// A process ended: its blocked calls are forgotten and its descriptors closed, as the kernel does.
    pub fn kill(&mut self, now: Instant, pid: Pid) {
        self.clock = now;
        let blocked: Vec<CallId> =
            self.waiters.iter().filter(|(_, pending)| pending.pid == pid).map(|(id, _)| *id).collect();
        for id in blocked {
            if let Some(pending) = self.waiters.remove(&id) {
                self.forget(now, id, &pending);
            }
        }
        self.forget_watched(Watched::Standard(pid));
        if let Some(files) = self.sockets.files.remove(&pid) {
            for (_, socket) in files.iter() {
                self.unhold(now, socket);
                self.settle(now);
            }
        }
        self.settle(now);
    }

    /// A process made a copy of itself: the copy has the same descriptors, on the same sockets (fork(2)).
    pub fn fork(&mut self, parent: Pid, child: Pid) {
        let Some(mut files) = self.sockets.files.get(&parent).cloned() else { return };
        // The set with the parent's standard streams is shared, but they are not the child's.
        files.watchers.clear();
        for (_, id) in files.iter() {
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.refs += 1;
            }
        }
        self.sockets.files.insert(child, files);
    }

    /// The next thing that happened inside.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        take(&mut self.events)
    }

    /// The socket behind a descriptor.
    pub fn socket_of(&self, pid: Pid, fd: Fd) -> Option<SocketId> {
        self.sockets.files.get(&pid)?.get(fd)
    }

    /// A picture of the host as it was when anything was last done to it.
    pub fn snapshot(&self) -> HostSnapshot {
        self.picture(self.clock)
    }

    /// A picture of the host as it is at `now`: neighbours get stale while nothing happens.
    pub fn snapshot_at(&self, now: Instant) -> HostSnapshot {
        self.picture(now)
    }

    /// Gateway mode: the next connection attempt or datagram for an address that is not the host's own.
    pub fn poll_intercept(&mut self) -> Option<Intercept> {
        self.intercepts.pop_front()
    }

    pub(crate) fn drop_packet(&mut self, reason: DropReason) {
        self.events.push_back(HostEvent::Dropped { reason });
    }

    /// Lets everything that happens at this instant happen: packets through `lo`, and sleepers that can go on.
    pub(crate) fn settle(&mut self, now: Instant) {
        loop {
            if let Some((iface, packet)) = self.loopback.pop_front() {
                if iface == IfaceId(0) {
                    self.events.push_back(HostEvent::Loopback { packet: packet.clone() });
                }
                self.receive_packet(now, iface, packet);
            } else if let Some(socket) = self.changed.pop_front() {
                self.retry_waiters(now, socket);
            } else {
                break;
            }
        }
    }
}
