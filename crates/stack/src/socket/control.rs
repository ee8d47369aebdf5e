//! Ancillary data (cmsg(3)): what recvmsg(2) tells of a datagram beside its octets, and what sendmsg(2) may say of one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::Socket;
use crate::errno::Errno;
use crate::event::IfaceId;
use crate::host::Host;
use crate::socket::Meta;

const IPPROTO_IP: i32 = 0;
const IPPROTO_IPV6: i32 = 41;
/// `struct cmsghdr` on a machine of 64 bits.
const HEADER: usize = 16;
pub(crate) const MSG_CTRUNC: i32 = 0x8;

/// One piece of ancillary data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// `cmsg_level`: `SOL_SOCKET`, `IPPROTO_IP`, `IPPROTO_IPV6`.
    pub level: i32,
    /// `cmsg_type`.
    pub kind: i32,
    /// The data as it lies in memory, little-endian.
    pub data: Bytes,
}

/// What sendmsg(2) says of one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) source: Option<IpAddr>,
    pub(crate) iface: Option<IfaceId>,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: Option<u8>,
}

/// Cuts ancillary data to `room` octets of buffer, as Linux `put_cmsg` does. Also says what `msg_flags` says.
pub(crate) fn fit(all: Vec<Control>, room: usize) -> (Vec<Control>, i32) {
    let (mut left, mut flags, mut kept) = (room, 0, Vec::new());
    for mut control in all {
        if left < HEADER {
            flags |= MSG_CTRUNC;
            break;
        }
        let len = control.data.len().min(left - HEADER);
        if len < control.data.len() {
            flags |= MSG_CTRUNC;
            control.data = control.data.slice(..len);
        }
        left = left.saturating_sub(HEADER + len.next_multiple_of(8));
        kept.push(control);
    }
    (kept, flags)
}

/// What the socket wants to be told of a datagram, in Linux's order.
pub(crate) fn of_datagram(socket: &Socket, meta: &Meta) -> Vec<Control> {
    let tell = socket.options.ip.tell;
    let mut all = Vec::new();
    let mut push = |level, kind, data: &[u8]| {
        all.push(Control { level, kind, data: Bytes::copy_from_slice(data) });
    };
    let index = u32::try_from(meta.iface.0 + 1).unwrap_or(0).to_le_bytes();
    let int = |octet: u8| u32::from(octet).to_le_bytes();
    let to = match meta.to {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    if socket.is_v6() && tell.v6_address {
        push(IPPROTO_IPV6, 50, &[&to.octets()[..], &index].concat());
    }
    match meta.to {
        IpAddr::V4(to) => {
            if tell.v4_address {
                let own = match meta.own {
                    IpAddr::V4(own) => own,
                    IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
                };
                push(IPPROTO_IP, 8, &[index, own.octets(), to.octets()].concat());
            }
            if tell.ttl {
                push(IPPROTO_IP, 2, &int(meta.ttl));
            }
            if tell.tos {
                push(IPPROTO_IP, 1, &[meta.tos]);
            }
        }
        IpAddr::V6(_) => {
            if tell.hops {
                push(IPPROTO_IPV6, 52, &int(meta.ttl));
            }
            if tell.class {
                push(IPPROTO_IPV6, 67, &int(meta.tos));
            }
        }
    }
    all
}

impl Host {
    /// Reads what sendmsg(2) was given (Linux `ip_cmsg_send`, `ip6_datagram_send_ctl`).
    pub(crate) fn wishes(&self, control: &[Control]) -> Result<Wishes, Errno> {
        let mut wishes = Wishes::default();
        for Control { level, kind, data } in control {
            let number = |at: usize| {
                let octets = data.get(at..).and_then(|rest| rest.first_chunk::<4>());
                octets.map(|octets| u32::from_le_bytes(*octets)).ok_or(Errno::EINVAL)
            };
            let octet = |least: u32| {
                let value = if data.len() == 1 { u32::from(data[0]) } else { number(0)? };
                u8::try_from(value).ok().filter(|_| value >= least).ok_or(Errno::EINVAL)
            };
            // Linux `ip6_datagram_send_ctl`: an int of exactly its size, -1 for the socket's own value.
            let octet6 = || match number(0)? {
                _ if data.len() != 4 => Err(Errno::EINVAL),
                u32::MAX => Ok(None),
                value => u8::try_from(value).map(Some).map_err(|_| Errno::EINVAL),
            };
            match (*level, *kind) {
                (IPPROTO_IP, 8) => {
                    wishes.iface = self.iface_numbered(number(0)?)?;
                    let own = data.get(4..8).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
                    wishes.source =
                        Some(Ipv4Addr::from(*own).into()).filter(|ip: &IpAddr| !ip.is_unspecified());
                }
                (IPPROTO_IP, 2) => wishes.ttl = Some(octet(1)?),
                (IPPROTO_IP, 1) => wishes.tos = Some(octet(0)?),
                (IPPROTO_IPV6, 50) => {
                    let own = data.first_chunk::<16>().ok_or(Errno::EINVAL)?;
                    wishes.source =
                        Some(Ipv6Addr::from(*own).into()).filter(|ip: &IpAddr| !ip.is_unspecified());
                    wishes.iface = self.iface_numbered(number(16)?)?;
                }
                (IPPROTO_IPV6, 52) => wishes.ttl = octet6()?,
                (IPPROTO_IPV6, 67) => wishes.tos = octet6()?,
                (1, _) => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        if wishes.source.is_some_and(|source| !self.is_own(source)) {
            return Err(Errno::EINVAL);
        }
        Ok(wishes)
    }
}
