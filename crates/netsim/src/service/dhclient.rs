//! The DHCP client of a host (RFC 2131 4.4): discover, request, renew at half of the lease, and begin anew when the
//! lease runs out. It gives up when nobody answers; a host without an address is a lesson, too.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};
use socketlab_stack::{Call, Failure, Fd, Instant, IpCidr, MacAddr, Ret, SockAddr};

use super::dhcp::{self, CLIENT_PORT};
use super::reactor::{SO_BROADCAST, device_call};
use super::{Cx, Lease, Step, set_flag};

/// RFC 2131 4.1: a server's port.
const SERVER_PORT: u16 = 67;
/// RFC 2131 4.1: the first wait for an answer; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(4);
/// Messages before it gives up: 4, 8, 16, 32 s.
const TRIES: u32 = 4;
const AF_INET: i32 = 2;
const SOCK_DGRAM: i32 = 2;
const LONGEST: usize = 1472;
/// Subnet mask, router, DNS servers (RFC 2132), which clients ask for.
const WANTED: &[u8] = &[1, 3, 6];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Open,
    Opened,
    Broadcast,
    Device,
    Bind,
    Say,
    Hear,
    Configured,
    Resting,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    address: Ipv4Addr,
    server: Ipv4Addr,
    prefix_len: u8,
    router: Option<Ipv4Addr>,
    dns: Option<Ipv4Addr>,
    lease: Duration,
}

/// A client for one interface.
#[derive(Clone, Debug)]
pub(super) struct DhcpClient {
    port: usize,
    interface: String,
    mac: MacAddr,
    fd: Option<Fd>,
    doing: Doing,
    /// What it was offered; none: it still discovers.
    offer: Option<Offer>,
    /// What it has, and until when.
    bound: Option<(Offer, Instant)>,
    /// Ends the present wait.
    deadline: Instant,
    tries: u32,
    transaction: u32,
}

impl DhcpClient {
    pub(super) fn new(port: usize, interface: String, mac: MacAddr) -> DhcpClient {
        let [.., a, b, c, d] = mac.0;
        DhcpClient {
            port,
            interface,
            mac,
            fd: None,
            doing: Doing::Open,
            offer: None,
            bound: None,
            deadline: Instant::ZERO,
            tries: 0,
            transaction: u32::from_be_bytes([a, b, c, d]),
        }
    }

    /// Goes on with the answer to its last call.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>, answer: Option<Result<Ret, Failure>>) -> Step {
        let now = cx.now;
        let fd = self.fd.unwrap_or(Fd(-1));
        match (self.doing, answer) {
            (Doing::Open, _) => {
                self.doing = Doing::Opened;
                Step::Call(Call::Socket { family: AF_INET, kind: SOCK_DGRAM, protocol: 0 })
            }
            (Doing::Opened, Some(Ok(Ret::Fd(fd)))) => {
                self.fd = Some(fd);
                self.doing = Doing::Broadcast;
                Step::Call(set_flag(fd, SO_BROADCAST))
            }
            (Doing::Broadcast, Some(Ok(_))) => {
                self.doing = Doing::Device;
                Step::Call(device_call(fd, &self.interface))
            }
            (Doing::Device, Some(Ok(_))) => {
                self.doing = Doing::Bind;
                let addr = SockAddr::Ip((Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into());
                Step::Call(Call::Bind { fd, addr })
            }
            (Doing::Bind, Some(Ok(_))) => self.say(now),
            (Doing::Opened | Doing::Broadcast | Doing::Device | Doing::Bind, _) => Step::Over,
            (Doing::Say, _) => self.hear(now),
            (Doing::Hear, Some(Ok(Ret::Data(data, ..)))) => match self.understand(&data) {
                Some(step) => self.turn(now, step),
                None => self.hear(now),
            },
            (Doing::Hear, _) => self.nobody(now),
            (Doing::Configured, _) => {
                self.doing = Doing::Resting;
                let lease = self.bound.map_or(Duration::ZERO, |(offer, _)| offer.lease);
                // RFC 2131 4.4.5: T1 is half of the lease.
                Step::Sleep(lease / 2)
            }
            (Doing::Resting | Doing::Lost, _) => {
                self.transaction = self.transaction.wrapping_add(1);
                (self.tries, self.offer) = (0, self.bound.map(|(offer, _)| offer));
                self.say(now)
            }
        }
    }

    /// DISCOVER, or REQUEST for what was offered.
    fn say(&mut self, now: Instant) -> Step {
        self.doing = Doing::Say;
        self.deadline = now + FIRST_WAIT * (1 << self.tries.min(4));
        let renews = self.bound.is_some();
        let repr = DhcpRepr {
            message_type: if self.offer.is_some() {
                DhcpMessageType::Request
            } else {
                DhcpMessageType::Discover
            },
            client_ip: self.bound.map_or(Ipv4Addr::UNSPECIFIED, |(offer, _)| offer.address),
            requested_ip: self.offer.filter(|_| !renews).map(|offer| offer.address),
            server_identifier: self.offer.filter(|_| !renews).map(|offer| offer.server),
            client_identifier: Some(EthernetAddress(self.mac.0)),
            parameter_request_list: Some(WANTED),
            ..dhcp::blank(self.transaction, EthernetAddress(self.mac.0))
        };
        // RFC 2131 4.4.5: who renews asks its server, the others everybody.
        let to = match self.bound {
            Some((offer, _)) => offer.server,
            None => Ipv4Addr::BROADCAST,
        };
        let addr = SockAddr::Ip(SocketAddr::from((to, SERVER_PORT)));
        let fd = self.fd.unwrap_or(Fd(-1));
        Step::Call(Call::SendTo { fd, data: dhcp::emit(&repr), flags: 0, addr, timeout: None })
    }

    fn hear(&mut self, now: Instant) -> Step {
        self.doing = Doing::Hear;
        let left = self.deadline.saturating_since(now);
        if left.is_zero() {
            return self.nobody(now);
        }
        let fd = self.fd.unwrap_or(Fd(-1));
        Step::Call(Call::Recv { fd, len: LONGEST, flags: 0, timeout: Some(left) })
    }

    /// Nobody answered.
    fn nobody(&mut self, now: Instant) -> Step {
        self.tries += 1;
        if let Some((offer, until)) = self.bound {
            if until > now && self.tries < TRIES {
                return self.say(now);
            }
            if until > now {
                self.doing = Doing::Resting;
                return Step::Sleep(until.saturating_since(now));
            }
            return self.lose(offer);
        }
        if self.tries < TRIES {
            return self.say(now);
        }
        Step::Over
    }

    /// The lease has run out.
    fn lose(&mut self, offer: Offer) -> Step {
        (self.bound, self.offer) = (None, None);
        self.doing = Doing::Lost;
        Step::Configure(Lease {
            port: self.port,
            address: None,
            router: None,
            dns: None,
            server: offer.server,
            time: Duration::ZERO,
        })
    }

    /// An answer to us.
    fn understand(&self, data: &Bytes) -> Option<(DhcpMessageType, Offer)> {
        let packet = DhcpPacket::new_checked(data.as_ref()).ok()?;
        let repr = DhcpRepr::parse(&packet).ok()?;
        if repr.transaction_id != self.transaction || repr.client_hardware_address.0 != self.mac.0 {
            return None;
        }
        let mask = repr.subnet_mask.map_or(u32::MAX << 8, Ipv4Addr::to_bits);
        let offer = Offer {
            address: repr.your_ip,
            server: repr.server_identifier.unwrap_or(Ipv4Addr::UNSPECIFIED),
            prefix_len: mask.leading_ones() as u8,
            router: repr.router,
            dns: repr.dns_servers.as_ref().and_then(|servers| servers.first()).copied(),
            lease: Duration::from_secs(u64::from(repr.lease_duration.unwrap_or(3600))),
        };
        Some((repr.message_type, offer))
    }

    fn turn(&mut self, now: Instant, (kind, offer): (DhcpMessageType, Offer)) -> Step {
        match (kind, self.offer) {
            (DhcpMessageType::Offer, None) => {
                (self.offer, self.tries) = (Some(offer), 0);
                self.say(now)
            }
            (DhcpMessageType::Ack, Some(_)) => {
                self.bound = Some((offer, now + offer.lease));
                self.doing = Doing::Configured;
                let address = IpCidr { address: offer.address.into(), prefix_len: offer.prefix_len };
                Step::Configure(Lease {
                    port: self.port,
                    address: Some(address),
                    router: offer.router,
                    dns: offer.dns,
                    server: offer.server,
                    time: offer.lease,
                })
            }
            (DhcpMessageType::Nak, Some(_)) => {
                self.transaction = self.transaction.wrapping_add(1);
                match self.bound {
                    Some((offer, _)) => self.lose(offer),
                    None => {
                        (self.offer, self.tries) = (None, 0);
                        self.say(now)
                    }
                }
            }
            _ => self.hear(now),
        }
    }
}
