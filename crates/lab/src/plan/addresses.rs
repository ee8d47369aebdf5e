//! Who has which address: those that the file gives, and those that the lab gives out.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use socketlab_stack::{IpCidr, MacAddr};

use super::wiring::Nic;
use crate::file::HostEntry;
use crate::read::{At, Reader};

/// Prefix length of every IPv6 network that the lab makes (RFC 4291 2.5.4).
const V6_PREFIX: u8 = 64;

/// Gives every interface its addresses. `hidden`: networks behind a NAT.
pub(super) fn give(
    reader: &mut Reader<'_>,
    entries: &[HostEntry],
    nics: &mut [Vec<Nic>],
    hidden: &BTreeSet<usize>,
) {
    let mut owners: BTreeMap<IpAddr, String> = BTreeMap::new();
    for (entry, nics) in entries.iter().zip(nics.iter_mut()) {
        given_addresses(reader, entry, nics, &mut owners);
    }
    give_addresses(reader, entries, nics, &mut owners);
    give_ipv6(entries, nics, &mut owners, hidden);
}

/// Reads the addresses that the file gives a host, and gives each to one of its interfaces: the first IPv4 address to
/// the first interface and so on, IPv6 likewise; those left over to the last.
fn given_addresses(
    reader: &mut Reader<'_>,
    entry: &HostEntry,
    nics: &mut [Nic],
    owners: &mut BTreeMap<IpAddr, String>,
) {
    let mut next = [0, 0];
    for At { line, value } in &entry.addresses {
        let field = format!("{}.address", entry.path);
        let Some(cidr) = cidr(value) else {
            reader.complain(*line, &field, "lab-bad-address", &[("value", value)]);
            continue;
        };
        if let Some(owner) = owners.get(&cidr.address) {
            let address = cidr.address.to_string();
            reader.complain(
                *line,
                &field,
                "lab-duplicate-address",
                &[("address", &address), ("name", owner)],
            );
            continue;
        }
        owners.insert(cidr.address, entry.name.value.clone());
        let place = &mut next[usize::from(cidr.address.is_ipv6())];
        let last = nics.len().saturating_sub(1);
        if let Some(nic) = nics.get_mut((*place).min(last)) {
            nic.addresses.push(cidr);
        }
        *place += 1;
    }
}

/// `10.0.0.80/24`; without a prefix length that of the networks this product makes itself.
pub(super) fn cidr(text: &str) -> Option<IpCidr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.trim().parse().ok()?;
    let (usual, most) = if address.is_ipv4() { (24, 32) } else { (V6_PREFIX, 128) };
    let prefix_len = prefix.map_or(Some(usual), |prefix| prefix.trim().parse().ok())?;
    let unusable = address.is_unspecified() || address.is_multicast() || address.is_loopback();
    (prefix_len <= most && !unusable).then_some(IpCidr { address, prefix_len })
}

/// Gives every interface without an address one of its network: that of the first address given there, else
/// 10.0.N.0/24, where N is the network's number.
fn give_addresses(
    reader: &mut Reader<'_>,
    entries: &[HostEntry],
    nics: &mut [Vec<Nic>],
    owners: &mut BTreeMap<IpAddr, String>,
) {
    let mut networks: BTreeMap<usize, (Ipv4Addr, u8)> = BTreeMap::new();
    for nic in nics.iter().flatten() {
        let first = nic.addresses.iter().find_map(|cidr| match cidr.address {
            IpAddr::V4(v4) => Some((v4, cidr.prefix_len)),
            IpAddr::V6(_) => None,
        });
        if let Some(first) = first {
            networks.entry(nic.network).or_insert(first);
        }
    }
    for (entry, nics) in entries.iter().zip(nics.iter_mut()) {
        // The first interface of a host with DHCP waits for its address.
        let waits = usize::from(entry.dhcp.is_some());
        for nic in nics.iter_mut().skip(waits).filter(|nic| nic.addresses.is_empty()) {
            let own = Ipv4Addr::new(10, 0, u8::try_from(nic.network).unwrap_or(u8::MAX), 0);
            let (member, prefix_len) = *networks.entry(nic.network).or_insert((own, 24));
            let host_bits = 32 - u32::from(prefix_len.min(32));
            let base = u64::from(member.to_bits()) >> host_bits << host_bits;
            // The first and the last address of a network are not for hosts (RFC 1122 3.2.1.3).
            let free = (base + 1..base + (1_u64 << host_bits).saturating_sub(1))
                .filter_map(|bits| u32::try_from(bits).ok().map(Ipv4Addr::from_bits))
                .find(|v4| !owners.contains_key(&IpAddr::V4(*v4)));
            match free {
                Some(v4) => {
                    owners.insert(IpAddr::V4(v4), entry.name.value.clone());
                    nic.addresses.push(IpCidr { address: IpAddr::V4(v4), prefix_len });
                }
                None => {
                    let network = format!("{}/{prefix_len}", Ipv4Addr::from_bits(base as u32));
                    reader.complain(
                        entry.name.line,
                        &entry.path,
                        "lab-network-full",
                        &[("network", &network)],
                    );
                }
            }
        }
    }
}

/// Gives every interface without an IPv6 address one of its network: that of the first such address given there, else
/// fd00:0:0:N::/64. The rest of it shows the host's part of the IPv4 address in decimal digits: 10.0.0.80 is fd00::80.
/// Networks behind a NAT get none: nothing outside could find its way back to them.
fn give_ipv6(
    entries: &[HostEntry],
    nics: &mut [Vec<Nic>],
    owners: &mut BTreeMap<IpAddr, String>,
    hidden: &BTreeSet<usize>,
) {
    let mut networks: BTreeMap<usize, u128> = BTreeMap::new();
    for nic in nics.iter().flatten() {
        let given = nic.addresses.iter().find_map(|cidr| match cidr.address {
            IpAddr::V6(v6) if cidr.prefix_len == V6_PREFIX && !v6.is_unicast_link_local() => Some(v6),
            _ => None,
        });
        if let Some(v6) = given {
            networks.entry(nic.network).or_insert(v6.to_bits() >> 64);
        }
    }
    for (entry, nics) in entries.iter().zip(nics) {
        let bare = |nic: &&mut Nic| {
            !hidden.contains(&nic.network) && !nic.addresses.iter().any(|cidr| cidr.address.is_ipv6())
        };
        for nic in nics.iter_mut().filter(bare) {
            let own = (0xfd00_u128 << 48) | nic.network as u128;
            let prefix = *networks.entry(nic.network).or_insert(own) << 64;
            let readable = nic.addresses.first().map_or(0, |cidr| readable_part(*cidr));
            // 64 bits are never all taken.
            let parts = core::iter::once(readable).filter(|part| *part != 0).chain(1..);
            let free = parts.map(|part| IpAddr::V6(Ipv6Addr::from_bits(prefix | u128::from(part))));
            if let Some(address) = free.into_iter().find(|address| !owners.contains_key(address)) {
                owners.insert(address, entry.name.value.clone());
                nic.addresses.push(IpCidr { address, prefix_len: V6_PREFIX });
            }
        }
    }
}

/// The octets of an IPv4 address that its network leaves to the host, each as a group of decimal digits.
fn readable_part(cidr: IpCidr) -> u64 {
    let IpAddr::V4(v4) = cidr.address else { return 0 };
    let network_octets = usize::from(cidr.prefix_len / 8);
    v4.octets().iter().skip(network_octets).fold(0, |part, octet| {
        let (hundreds, tens, ones) = (octet / 100, octet / 10 % 10, octet % 10);
        part << 16 | u64::from(hundreds) << 8 | u64::from(tens) << 4 | u64::from(ones)
    })
}

/// Gives out MAC addresses.
#[derive(Debug, Default)]
pub(super) struct Macs {
    given: BTreeSet<MacAddr>,
}

impl Macs {
    /// A locally administered address that shows whose it is: the network's number, then the last octet of the IPv4
    /// address in decimal digits, so that 10.0.0.80 is 02:00:00:00:00:80.
    pub(super) fn next(&mut self, network: usize, address: Option<IpAddr>) -> MacAddr {
        let last = match address {
            Some(IpAddr::V4(v4)) => v4.octets()[3],
            _ => 0,
        };
        let readable = MacAddr([2, 0, 0, network as u8, last / 100, ((last / 10 % 10) << 4) | (last % 10)]);
        let mut mac = readable;
        let mut number: u16 = 0;
        while last == 0 && number == 0 || !self.given.insert(mac) {
            number += 1;
            let [high, low] = number.to_be_bytes();
            mac = MacAddr([2, 0, 1, network as u8, high, low]);
        }
        mac
    }
}
