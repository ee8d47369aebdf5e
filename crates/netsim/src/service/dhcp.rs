//! A DHCP server (RFC 2131): lends addresses of a pool, the same one to the same client while it can. Replies go to
//! all (255.255.255.255), since clients here have no address to be reached at. Left out: relay agents.

use core::net::Ipv4Addr;
use core::net::SocketAddr;
use std::collections::BTreeMap;

use bytes::Bytes;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use socketlab_stack::{Instant, MacAddr};

use super::reactor::Out;
use super::{Cx, DhcpPool};

/// RFC 2131 4.1: a client's port.
pub(super) const CLIENT_PORT: u16 = 68;
/// RFC 2132 3.8: domain name servers.
pub(super) const OPTION_DNS: u8 = 6;
/// How long an offer is kept for the one it was made to. A choice.
const OFFERED: core::time::Duration = core::time::Duration::from_secs(60);
/// RFC 2131 2: the shortest message every server must take; BOOTP's length, which old clients expect.
const SHORTEST: usize = 300;

/// A server's memory.
#[derive(Clone, Debug)]
pub(super) struct DhcpServer {
    pool: DhcpPool,
    own: Ipv4Addr,
    /// Who has, or was offered, which address, and until when.
    lent: BTreeMap<MacAddr, (Ipv4Addr, Instant)>,
}

impl DhcpServer {
    pub(super) fn new(pool: DhcpPool, own: Ipv4Addr) -> DhcpServer {
        DhcpServer { pool, own, lent: BTreeMap::new() }
    }

    pub(super) fn answer(&mut self, cx: &Cx<'_>, message: &Bytes) -> Option<Out> {
        let packet = DhcpPacket::new_checked(message.as_ref()).ok()?;
        let asked = DhcpRepr::parse(&packet).ok()?;
        let client = MacAddr(asked.client_hardware_address.0);
        match asked.message_type {
            DhcpMessageType::Discover => {
                let address = self.choose(cx.now, client, asked.requested_ip)?;
                self.lent.insert(client, (address, cx.now + OFFERED));
                Some(self.reply(&asked, DhcpMessageType::Offer, address))
            }
            DhcpMessageType::Request => {
                // It took another server's offer.
                if asked.server_identifier.is_some_and(|server| server != self.own) {
                    self.lent.remove(&client);
                    return None;
                }
                let wanted = asked.requested_ip.or(Some(asked.client_ip).filter(|ip| !ip.is_unspecified()));
                let ours = self.lent.get(&client).map(|(address, _)| *address);
                match wanted {
                    Some(wanted) if ours == Some(wanted) => {
                        self.lent.insert(client, (wanted, cx.now + self.pool.lease));
                        Some(self.reply(&asked, DhcpMessageType::Ack, wanted))
                    }
                    _ => Some(self.reply(&asked, DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED)),
                }
            }
            DhcpMessageType::Release | DhcpMessageType::Decline => {
                self.lent.remove(&client);
                None
            }
            _ => None,
        }
    }

    /// The address that a client had, else the one it asks for, else the first free one.
    fn choose(&self, now: Instant, client: MacAddr, wanted: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        if let Some((address, _)) = self.lent.get(&client) {
            return Some(*address);
        }
        let pool = self.pool.first.to_bits()..=self.pool.last.to_bits();
        let free = |address: &Ipv4Addr| {
            *address != self.own && !self.lent.values().any(|(a, until)| a == address && *until > now)
        };
        let wanted = wanted.filter(|address| pool.contains(&address.to_bits()) && free(address));
        wanted.or_else(|| pool.map(Ipv4Addr::from_bits).find(free))
    }

    fn reply(&self, asked: &DhcpRepr<'_>, kind: DhcpMessageType, address: Ipv4Addr) -> Out {
        let dns = self.pool.dns.map(|dns| dns.octets());
        let options: Vec<DhcpOption<'_>> =
            dns.iter().map(|octets| DhcpOption { kind: OPTION_DNS, data: octets }).collect();
        let refused = kind == DhcpMessageType::Nak;
        let lease = u32::try_from(self.pool.lease.as_secs()).unwrap_or(u32::MAX);
        let given = |value| if refused { None } else { value };
        let repr = DhcpRepr {
            message_type: kind,
            your_ip: address,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: given(self.pool.router),
            subnet_mask: given(Some(mask(self.pool.prefix_len))),
            server_identifier: Some(self.own),
            lease_duration: if refused { None } else { Some(lease) },
            additional_options: if refused { &[] } else { &options },
            ..blank(asked.transaction_id, asked.client_hardware_address)
        };
        Out::To(SocketAddr::from((Ipv4Addr::BROADCAST, CLIENT_PORT)), emit(&repr))
    }
}

/// A message with nothing in it.
pub(super) const fn blank<'a>(transaction_id: u32, client: EthernetAddress) -> DhcpRepr<'a> {
    DhcpRepr {
        message_type: DhcpMessageType::Discover,
        transaction_id,
        secs: 0,
        client_hardware_address: client,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: true,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

pub(super) fn emit(repr: &DhcpRepr<'_>) -> Bytes {
    let mut bytes = vec![0; repr.buffer_len().max(SHORTEST)];
    // The buffer is as long as it asked for.
    let written = repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes));
    debug_assert!(written.is_ok());
    bytes.into()
}

const fn mask(prefix_len: u8) -> Ipv4Addr {
    let bits = match 32u32.checked_sub(prefix_len as u32) {
        Some(0) | None => u32::MAX,
        Some(32) => 0,
        Some(host) => u32::MAX << host,
    };
    Ipv4Addr::from_bits(bits)
}
