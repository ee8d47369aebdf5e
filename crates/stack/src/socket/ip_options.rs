//! The options of ip(7) and ipv6(7), and `SO_BINDTODEVICE`: values, limits and errors as Linux has them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;

use super::{Body, Socket};
use crate::errno::{Cause, Errno, Failure};
use crate::event::{IfaceId, SocketId};
use crate::host::Host;
use crate::ip::Fragment;
use crate::time::Instant;

pub(super) const IPPROTO_IP: i32 = 0;
pub(super) const IPPROTO_IPV6: i32 = 41;
const SOL_SOCKET: i32 = 1;
const SOL_RAW: i32 = 255;
const SOL_ICMPV6: i32 = 58;
/// Linux `igmp_max_memberships`.
const MAX_MEMBERSHIPS: usize = 20;

/// What a received datagram's ancillary data shall tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tell {
    pub(crate) v4_address: bool,
    pub(crate) ttl: bool,
    pub(crate) tos: bool,
    pub(crate) v6_address: bool,
    pub(crate) hops: bool,
    pub(crate) class: bool,
}

/// Options of the levels `IPPROTO_IP` and `IPPROTO_IPV6`. Where both families have one, the IPv4 one comes first.
#[derive(Clone, Debug)]
pub(crate) struct IpOptions {
    pub(crate) v6only: bool,
    /// `IPV6_UNICAST_HOPS`, if it was set.
    pub(crate) hops: Option<u8>,
    pub(crate) class: u8,
    /// `IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`: Linux's numbers.
    discover: [i32; 2],
    dont_fragment_v6: bool,
    pub(crate) recverr: [bool; 2],
    pub(crate) tell: Tell,
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`.
    pub(crate) group_ttl: [u8; 2],
    pub(crate) group_loop: [bool; 2],
    pub(crate) group_iface: [Option<IfaceId>; 2],
    /// The address in `IP_MULTICAST_IF`.
    pub(crate) group_source: Option<Ipv4Addr>,
    /// `IP_MULTICAST_ALL`, `IPV6_MULTICAST_ALL`: also groups that only other sockets joined.
    group_all: [bool; 2],
    pub(crate) memberships: Vec<(IfaceId, IpAddr)>,
    /// `IP_HDRINCL`.
    pub(crate) header_included: bool,
    /// `ICMP_FILTER`, `ICMP6_FILTER`: a set bit keeps messages of that type away.
    pub(crate) icmp_filter: u32,
    pub(crate) icmpv6_filter: [u32; 8],
    /// `SO_BINDTODEVICE`.
    pub(crate) device: Option<IfaceId>,
}

impl Default for IpOptions {
    fn default() -> Self {
        IpOptions {
            v6only: false,
            hops: None,
            class: 0,
            discover: [1, 1],
            dont_fragment_v6: false,
            recverr: [false; 2],
            tell: Tell::default(),
            group_ttl: [1, 1],
            group_loop: [true; 2],
            group_iface: [None; 2],
            group_source: None,
            group_all: [true; 2],
            memberships: Vec::new(),
            header_included: false,
            icmp_filter: 0,
            icmpv6_filter: [0; 8],
            device: None,
        }
    }
}

impl IpOptions {
    /// What becomes of datagrams that are too long.
    pub(crate) fn fragment(&self, v6: bool) -> Fragment {
        match self.discover[usize::from(v6)] {
            _ if v6 && self.dont_fragment_v6 => Fragment::Do,
            0 => Fragment::Dont,
            1 => Fragment::Want,
            2 => Fragment::Do,
            3 => Fragment::Probe,
            _ => Fragment::Omit,
        }
    }

    /// Whether the socket wants what was sent to this group.
    pub(crate) fn hears_group(&self, iface: IfaceId, group: IpAddr) -> bool {
        self.group_all[usize::from(group.is_ipv6())] || self.memberships.contains(&(iface, group))
    }

    pub(crate) fn recverr(&self, v6: bool) -> bool {
        self.recverr[usize::from(v6)]
    }
}

/// An option's value.
pub(super) enum Value {
    Int(i32),
    Bytes(Bytes),
}

impl From<bool> for Value {
    fn from(on: bool) -> Value {
        Value::Int(i32::from(on))
    }
}

impl Host {
    /// getsockopt(2) for the levels that are handled here. None: it is another room's.
    pub(super) fn read_ip_option(
        &self,
        socket: &Socket,
        level: i32,
        name: i32,
    ) -> Option<Result<Value, Errno>> {
        let ip = &socket.options.ip;
        let index = |iface: Option<IfaceId>| iface.map_or(0, |iface| iface.0 as i32 + 1);
        let is_ip = matches!(level, IPPROTO_IP | IPPROTO_IPV6 | SOL_RAW | SOL_ICMPV6);
        if is_ip && matches!(socket.body, Body::Unix(_)) || level == IPPROTO_IPV6 && !socket.is_v6() {
            return Some(Err(Errno::EOPNOTSUPP));
        }
        Some(Ok(match (level, name) {
            (SOL_SOCKET, 25) => {
                let name = ip.device.and_then(|device| self.ifaces.get(device.0));
                let text = name.map(|link| [link.name.as_bytes(), &[0]].concat());
                Value::Bytes(text.unwrap_or_default().into())
            }
            (IPPROTO_IP, 1) => Value::Int(i32::from(socket.options.tos)),
            (IPPROTO_IP, 2) => Value::Int(i32::from(socket.options.ttl)),
            (IPPROTO_IP, 3) => ip.header_included.into(),
            (IPPROTO_IP, 8) => ip.tell.v4_address.into(),
            (IPPROTO_IP, 10) => Value::Int(ip.discover[0]),
            (IPPROTO_IP, 11) => ip.recverr[0].into(),
            (IPPROTO_IP, 12) => ip.tell.ttl.into(),
            (IPPROTO_IP, 13) => ip.tell.tos.into(),
            (IPPROTO_IP, 14) | (IPPROTO_IPV6, 24) => match socket.peer {
                Some(peer) => {
                    let mtu = self.path(peer.ip(), None, crate::addr::zone(peer)).map_or(0, |path| path.mtu);
                    Value::Int(i32::try_from(mtu).unwrap_or(i32::MAX))
                }
                None => return Some(Err(Errno::ENOTCONN)),
            },
            (IPPROTO_IP, 32) => {
                let address = ip.group_source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                Value::Bytes(Bytes::copy_from_slice(&address.octets()))
            }
            (IPPROTO_IP, 33) => Value::Int(i32::from(ip.group_ttl[0])),
            (IPPROTO_IP, 34) => ip.group_loop[0].into(),
            (IPPROTO_IP, 49) => ip.group_all[0].into(),
            (IPPROTO_IPV6, 16) => Value::Int(i32::from(ip.hops.unwrap_or(crate::ip::DEFAULT_TTL))),
            (IPPROTO_IPV6, 17) => Value::Int(index(ip.group_iface[1])),
            (IPPROTO_IPV6, 18) => Value::Int(i32::from(ip.group_ttl[1])),
            (IPPROTO_IPV6, 19) => ip.group_loop[1].into(),
            (IPPROTO_IPV6, 23) => Value::Int(ip.discover[1]),
            (IPPROTO_IPV6, 25) => ip.recverr[1].into(),
            (IPPROTO_IPV6, 26) => ip.v6only.into(),
            (IPPROTO_IPV6, 29) => ip.group_all[1].into(),
            (IPPROTO_IPV6, 49) => ip.tell.v6_address.into(),
            (IPPROTO_IPV6, 51) => ip.tell.hops.into(),
            (IPPROTO_IPV6, 62) => ip.dont_fragment_v6.into(),
            (IPPROTO_IPV6, 66) => ip.tell.class.into(),
            (IPPROTO_IPV6, 67) => Value::Int(i32::from(ip.class)),
            (SOL_RAW, 1) if matches!(socket.body, Body::Raw(_)) => {
                Value::Bytes(Bytes::copy_from_slice(&ip.icmp_filter.to_le_bytes()))
            }
            (SOL_ICMPV6, 1) if matches!(socket.body, Body::Raw(_)) => {
                Value::Bytes(ip.icmpv6_filter.iter().flat_map(|word| word.to_le_bytes()).collect())
            }
            _ => return None,
        }))
    }

    /// setsockopt(2) for the levels that are handled here. None: it is another room's.
    pub(super) fn write_ip_option(
        &mut self,
        now: Instant,
        id: SocketId,
        (level, name): (i32, i32),
        value: &Bytes,
    ) -> Option<Result<(), Failure>> {
        let socket = self.sockets.get(id)?;
        let is_ip = matches!(level, IPPROTO_IP | IPPROTO_IPV6 | SOL_RAW | SOL_ICMPV6);
        if is_ip && matches!(socket.body, Body::Unix(_)) {
            return Some(Err(Errno::EOPNOTSUPP.into()));
        }
        if level == IPPROTO_IPV6 && !socket.is_v6() {
            return Some(Err(Errno::ENOPROTOOPT.into()));
        }
        match (level, name) {
            (SOL_SOCKET, 25) => Some(self.bind_to_device(id, value).map_err(Failure::from)),
            (IPPROTO_IP, 35 | 36) => Some(self.change_membership_v4(now, id, name == 35, value)),
            (IPPROTO_IPV6, 20 | 21) => Some(self.change_membership_v6(now, id, name == 20, value)),
            (IPPROTO_IP, 32) => Some(self.set_group_iface_v4(id, value).map_err(Failure::from)),
            (IPPROTO_IP | IPPROTO_IPV6 | SOL_RAW | SOL_ICMPV6, _) => {
                let ifaces = self.ifaces.len();
                let socket = self.sockets.get_mut(id)?;
                write(socket, ifaces, (level, name), value).map(|result| result.map_err(Failure::from))
            }
            _ => None,
        }
    }

    fn bind_to_device(&mut self, id: SocketId, value: &Bytes) -> Result<(), Errno> {
        let name = value.split(|octet| *octet == 0).next().unwrap_or_default();
        let device = match name {
            b"" => None,
            name => Some(self.iface_named(name).ok_or(Errno::ENODEV)?),
        };
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        Arc::make_mut(&mut socket.options).ip.device = device;
        Ok(())
    }

    fn iface_named(&self, name: &[u8]) -> Option<IfaceId> {
        self.ifaces.iter().position(|link| link.name.as_bytes() == name).map(IfaceId)
    }

    /// An interface by Linux's number, which counts from 1. None for 0.
    pub(crate) fn iface_numbered(&self, number: u32) -> Result<Option<IfaceId>, Errno> {
        match (number as usize).checked_sub(1) {
            None => Ok(None),
            Some(index) if index < self.ifaces.len() => Ok(Some(IfaceId(index))),
            Some(_) => Err(Errno::ENODEV),
        }
    }

    fn iface_with(&self, ip: Ipv4Addr) -> Option<IfaceId> {
        self.ifaces.iter().position(|link| link.has(IpAddr::V4(ip))).map(IfaceId)
    }

    /// `struct in_addr`, `struct ip_mreq` or `struct ip_mreqn`: the address and the number of the interface.
    fn set_group_iface_v4(&mut self, id: SocketId, value: &Bytes) -> Result<(), Errno> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if socket.is_tcp() {
            return Err(Errno::EINVAL);
        }
        let (address, number) = match value.len() {
            12.. => (ipv4_at(value, 4)?, u32_at(value, 8)?),
            8.. => (ipv4_at(value, 4)?, 0),
            _ => (ipv4_at(value, 0)?, 0),
        };
        let (iface, source) = match (self.iface_numbered(number), address.is_unspecified()) {
            (Err(_), _) => return Err(Errno::EADDRNOTAVAIL),
            (Ok(None), true) => (None, None),
            (Ok(None), false) => (Some(self.iface_with(address).ok_or(Errno::EADDRNOTAVAIL)?), Some(address)),
            (Ok(Some(iface)), none) => (Some(iface), (!none).then_some(address)),
        };
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let ip = &mut Arc::make_mut(&mut socket.options).ip;
        (ip.group_iface[0], ip.group_source) = (iface, source);
        Ok(())
    }

    /// `IP_ADD_MEMBERSHIP`, `IP_DROP_MEMBERSHIP`: `struct ip_mreq` or `struct ip_mreqn`.
    fn change_membership_v4(
        &mut self,
        now: Instant,
        id: SocketId,
        join: bool,
        value: &Bytes,
    ) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if socket.is_tcp() {
            return Err(Errno::EPROTO.into());
        }
        let (group, address) = (ipv4_at(value, 0)?, ipv4_at(value, 4)?);
        let number = if value.len() >= 12 { u32_at(value, 8)? } else { 0 };
        if !group.is_multicast() {
            return Err(if join { Errno::EINVAL } else { Errno::EADDRNOTAVAIL }.into());
        }
        let named = self.iface_numbered(number)?;
        let iface = match (named, address.is_unspecified()) {
            (Some(iface), _) => Some(iface),
            (None, false) => self.iface_with(address),
            (None, true) => self.path(IpAddr::V4(group), None, None).ok().map(|path| path.iface),
        };
        self.change_membership(now, id, iface, IpAddr::V4(group), join)
    }

    /// `IPV6_JOIN_GROUP`, `IPV6_LEAVE_GROUP`: `struct ipv6_mreq`.
    fn change_membership_v6(
        &mut self,
        now: Instant,
        id: SocketId,
        join: bool,
        value: &Bytes,
    ) -> Result<(), Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if socket.is_tcp() {
            return Err(Errno::EPROTO.into());
        }
        let group = value.first_chunk::<16>().copied().map(Ipv6Addr::from).ok_or(Errno::EINVAL)?;
        let number = u32_at(value, 16)?;
        if !group.is_multicast() {
            return Err(Errno::EINVAL.into());
        }
        let group = IpAddr::V6(group);
        let iface = match self.iface_numbered(number)? {
            Some(iface) => Some(iface),
            None => self.path(group, None, None).ok().map(|path| path.iface),
        };
        self.change_membership(now, id, iface, group, join)
    }

    fn change_membership(
        &mut self,
        now: Instant,
        id: SocketId,
        iface: Option<IfaceId>,
        group: IpAddr,
        join: bool,
    ) -> Result<(), Failure> {
        let iface = iface.ok_or(Failure::Errno(Errno::ENODEV, Cause::NoRoute { to: group }))?;
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let list = &mut Arc::make_mut(&mut socket.options).ip.memberships;
        let at = list.iter().position(|entry| *entry == (iface, group));
        match (join, at) {
            (true, Some(_)) => return Err(Errno::EADDRINUSE.into()),
            (true, None) => {
                let of_family = list.iter().filter(|(_, g)| g.is_ipv4()).count();
                if group.is_ipv4() && of_family >= MAX_MEMBERSHIPS {
                    return Err(Errno::ENOBUFS.into());
                }
                list.push((iface, group));
                self.join_group(now, iface, group);
            }
            (false, None) => return Err(Errno::EADDRNOTAVAIL.into()),
            (false, Some(at)) => {
                list.remove(at);
                self.leave_group(now, iface, group);
            }
        }
        Ok(())
    }

    /// A socket is closed: it listens to no group any more.
    pub(crate) fn leave_groups(&mut self, now: Instant, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        for (iface, group) in core::mem::take(&mut Arc::make_mut(&mut socket.options).ip.memberships) {
            self.leave_group(now, iface, group);
        }
    }
}

/// The options that concern nothing but the socket.
fn write(
    socket: &mut Socket,
    ifaces: usize,
    (level, name): (i32, i32),
    value: &Bytes,
) -> Option<Result<(), Errno>> {
    let stream = socket.is_tcp();
    let raw = matches!(socket.body, Body::Raw(_));
    let named = socket.local.is_some();
    let options = Arc::make_mut(&mut socket.options);
    let ip = &mut options.ip;
    match (level, name) {
        (SOL_RAW, 1) if raw => {
            return Some(u32_at(value, 0).map(|filter| ip.icmp_filter = filter));
        }
        (SOL_ICMPV6, 1) if raw => {
            for (at, word) in ip.icmpv6_filter.iter_mut().enumerate() {
                *word = u32_at(value, 4 * at).unwrap_or(0);
            }
            return Some(Ok(()));
        }
        _ => {}
    }
    let int = match (value.first_chunk::<4>(), value.first()) {
        (Some(octets), _) => i32::from_le_bytes(*octets),
        // ip(7) options also come as one octet, those of ipv6(7) do not.
        (None, Some(octet)) if level == IPPROTO_IP => i32::from(*octet),
        _ => return Some(Err(Errno::EINVAL)),
    };
    let on = int != 0;
    let octet = u8::try_from(int).ok();
    match (level, name) {
        (IPPROTO_IP, 1) => {
            // Linux `__ip_sock_set_tos`: TCP keeps the ECN bits to itself.
            options.tos = if stream { (int as u8 & !3) | (options.tos & 3) } else { int as u8 };
        }
        (IPPROTO_IP, 2) => match (int, octet) {
            (-1, _) => options.ttl = crate::ip::DEFAULT_TTL,
            (1.., Some(ttl)) => options.ttl = ttl,
            _ => return Some(Err(Errno::EINVAL)),
        },
        (IPPROTO_IP, 3) if raw => ip.header_included = on,
        (IPPROTO_IP, 3) => return Some(Err(Errno::ENOPROTOOPT)),
        (IPPROTO_IP, 8) => ip.tell.v4_address = on,
        (IPPROTO_IP, 10) | (IPPROTO_IPV6, 23) => match int {
            0..=5 => ip.discover[usize::from(level == IPPROTO_IPV6)] = int,
            _ => return Some(Err(Errno::EINVAL)),
        },
        (IPPROTO_IP, 11) | (IPPROTO_IPV6, 25) => {
            ip.recverr[usize::from(level == IPPROTO_IPV6)] = on;
            if !on {
                socket.errors.clear();
            }
        }
        (IPPROTO_IP, 12) => ip.tell.ttl = on,
        (IPPROTO_IP, 13) => ip.tell.tos = on,
        (IPPROTO_IP, 33) if stream => return Some(Err(Errno::EINVAL)),
        (IPPROTO_IPV6, 17..=19) if stream => return Some(Err(Errno::ENOPROTOOPT)),
        (IPPROTO_IP, 33) | (IPPROTO_IPV6, 18) => match (int, octet) {
            (-1, _) => ip.group_ttl[usize::from(level == IPPROTO_IPV6)] = 1,
            (_, Some(ttl)) => ip.group_ttl[usize::from(level == IPPROTO_IPV6)] = ttl,
            _ => return Some(Err(Errno::EINVAL)),
        },
        (IPPROTO_IP, 34) => ip.group_loop[0] = on,
        (IPPROTO_IP, 49) => ip.group_all[0] = on,
        (IPPROTO_IPV6, 16) => match (int, octet) {
            (-1, _) => ip.hops = None,
            (_, Some(hops)) => ip.hops = Some(hops),
            _ => return Some(Err(Errno::EINVAL)),
        },
        (IPPROTO_IPV6, 17) => match usize::try_from(int) {
            Ok(0) => ip.group_iface[1] = None,
            Ok(number) if number <= ifaces => ip.group_iface[1] = Some(IfaceId(number - 1)),
            _ => return Some(Err(Errno::ENODEV)),
        },
        (IPPROTO_IPV6, 19) => ip.group_loop[1] = on,
        (IPPROTO_IPV6, 26) if named => return Some(Err(Errno::EINVAL)),
        (IPPROTO_IPV6, 26) => ip.v6only = on,
        (IPPROTO_IPV6, 29) => ip.group_all[1] = on,
        (IPPROTO_IPV6, 49) => ip.tell.v6_address = on,
        (IPPROTO_IPV6, 51) => ip.tell.hops = on,
        (IPPROTO_IPV6, 62) => ip.dont_fragment_v6 = on,
        (IPPROTO_IPV6, 66) => ip.tell.class = on,
        (IPPROTO_IPV6, 67) => match (int, octet) {
            (-1, _) => ip.class = 0,
            (_, Some(class)) => ip.class = class,
            _ => return Some(Err(Errno::EINVAL)),
        },
        _ => return None,
    }
    Some(Ok(()))
}

fn u32_at(value: &[u8], at: usize) -> Result<u32, Errno> {
    let octets = value.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
    Ok(u32::from_le_bytes(*octets))
}

fn ipv4_at(value: &[u8], at: usize) -> Result<Ipv4Addr, Errno> {
    let octets = value.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
    Ok(Ipv4Addr::from(*octets))
}
