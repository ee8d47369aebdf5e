//! A network of the lab that goes on in a shared LAN: there the room gives out the addresses, so that no two labs use
//! the same ones. Who refers to a host by its name notices nothing; addresses in the file mean the host they belong to.

use core::net::IpAddr;
use std::collections::BTreeMap;

use socketlab_stack::{IpCidr, MacAddr};

use super::wiring::{Nic, Wiring};
use crate::file::{File, Kind};
use crate::read::{At, Reader};

/// The addresses of one host in a shared LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomAddress {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its IP addresses.
    pub addresses: Vec<IpCidr>,
}

/// Hosts that a member of a room may have (docs/lan.md): the last octet of 10.77.k.n.
const MOST_HOSTS: usize = 254;

/// Complains about what cannot be shared.
pub(super) fn check(reader: &mut Reader<'_>, file: &File, nics: &[Vec<Nic>], wiring: &Wiring) {
    let Some(network) = wiring.lan_network() else { return };
    let here = |entry: usize| nics.get(entry).into_iter().flatten().any(|nic| nic.network == network);
    for (number, entry) in file.nodes.iter().enumerate() {
        if let Some(line) = entry.dhcp.filter(|_| here(number)) {
            reader.complain(line, &format!("{}.address", entry.path), "lab-lan-dhcp", &[]);
        }
    }
    for service in file.services.iter().filter(|service| service.kind == Kind::Dhcp) {
        let host = file.nodes.iter().position(|entry| entry.name.value == service.host.value);
        if host.is_some_and(here) {
            reader.complain(service.line, &service.path, "lab-lan-dhcp", &[]);
        }
    }
    let hosts = nics.iter().flatten().filter(|nic| nic.network == network).count();
    if hosts > MOST_HOSTS {
        let line = file.lans.first().map_or(0, |lan| lan.name.line);
        let (hosts, most) = (hosts.to_string(), MOST_HOSTS.to_string());
        reader.complain(line, "lan[0]", "lab-lan-full", &[("hosts", &hosts), ("most", &most)]);
    }
}

/// Gives the interfaces in the shared network the room's addresses. Returns what became of the old ones.
pub(super) fn move_in(
    nics: &mut [Vec<Nic>],
    wiring: &Wiring,
    room: &[RoomAddress],
) -> BTreeMap<IpAddr, IpAddr> {
    let mut aliases = BTreeMap::new();
    let network = wiring.lan_network();
    let shared = nics.iter_mut().flatten().filter(|nic| Some(nic.network) == network);
    for (nic, given) in shared.zip(room) {
        for old in &nic.addresses {
            let same = given.addresses.iter().find(|new| new.address.is_ipv4() == old.address.is_ipv4());
            aliases.extend(same.map(|new| (old.address, new.address)));
        }
        nic.addresses.clone_from(&given.addresses);
        nic.mac = Some(given.mac);
    }
    aliases
}

/// The file with the new addresses in the place of the old ones.
pub(super) fn rewrite(file: &File, aliases: &BTreeMap<IpAddr, IpAddr>) -> File {
    let mut file = file.clone();
    let new = |text: &mut String| {
        if let Some(address) = text.parse().ok().and_then(|old: IpAddr| aliases.get(&old)) {
            *text = address.to_string();
        }
    };
    let some = |text: &mut Option<At<String>>| text.iter_mut().for_each(|text| new(&mut text.value));
    for node in &mut file.nodes {
        some(&mut node.default_route);
        some(&mut node.dns);
        node.routes.iter_mut().for_each(|route| new(&mut route.via.value));
        for rule in &mut node.firewall {
            some(&mut rule.from);
            some(&mut rule.to);
        }
    }
    for service in &mut file.services {
        service.names.iter_mut().for_each(|(_, at)| new(&mut at.value));
    }
    file
}
