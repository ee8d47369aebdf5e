//! Names and addresses: the lab's own hosts (`/etc/hosts`), and names of the real world. Those are looked up there, by
//! the gateway; one whose addresses cannot be told, or mean something else in the lab, gets a stand-in address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeMap;

use socketlab_stack::Instant;

use crate::builder::GatewayName;
use crate::record::NodeId;

/// First of the stand-in addresses: the block for tests of RFC 2544, which no real host may have (RFC 6890).
const STAND_INS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// 198.18.0.0/15.
const STAND_IN_COUNT: u32 = 1 << 17;

/// How long the real world's answer is believed. A choice: as long as the lab's own DNS servers' answers.
const KEPT: Duration = Duration::from_secs(60);
/// How long it is believed that there is none. A choice: as short as RFC 2308 7.1 allows and a resolver's patience.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// Addresses of one name that are told: as many as a datagram of DNS has room for.
const MOST_ADDRESSES: usize = 16;

const AF_UNSPEC: i32 = 0;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

/// Who has which address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    hosts: Vec<(NodeId, String, Vec<IpAddr>)>,
    /// Addresses that were lent, and to whom.
    lent: BTreeMap<NodeId, IpAddr>,
    /// The DNS server that each node asks; a node without one has all hosts in its hosts file.
    resolvers: BTreeMap<NodeId, IpAddr>,
    /// The gateway that is asked for foreign names, and what it calls them itself.
    gateway: Option<(NodeId, Vec<GatewayName>)>,
    by_name: BTreeMap<String, Ipv4Addr>,
    by_address: BTreeMap<Ipv4Addr, String>,
    /// Hosts of other members of a shared LAN, in lower case.
    shared: BTreeMap<String, Vec<IpAddr>>,
    /// What the real world says of names.
    real: BTreeMap<String, Real>,
    /// Real addresses that were told, and the name.
    pinned: BTreeMap<IpAddr, String>,
}

/// What the real world says of a name, and until when that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Real {
    Asked,
    Addresses(Vec<IpAddr>, Instant),
    NoSuchName(Instant),
    Failed(Instant),
}

/// The answer to a DNS server's question for a name that is none of the lab's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Failed,
    /// The real world is asked.
    Wait,
    /// The real world is to be asked now.
    Ask,
}

/// The answer to a question for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// These addresses, each with its family.
    Addresses(Vec<(i32, IpAddr)>),
    /// `gateway` gave the name an address just now.
    New { gateway: NodeId, address: IpAddr },
    /// This DNS server has to be asked, for this name.
    Ask(IpAddr),
    /// There is none: the error's name in `socket`.
    Error(&'static str),
}

impl Names {
    pub(crate) fn new(
        hosts: Vec<(NodeId, String, Vec<IpAddr>)>,
        gateway: Option<(NodeId, Vec<GatewayName>)>,
        resolvers: Vec<(NodeId, IpAddr)>,
    ) -> Self {
        Names {
            hosts,
            lent: BTreeMap::new(),
            resolvers: resolvers.into_iter().collect(),
            gateway,
            by_name: BTreeMap::new(),
            by_address: BTreeMap::new(),
            shared: BTreeMap::new(),
            real: BTreeMap::new(),
            pinned: BTreeMap::new(),
        }
    }

    /// A node was lent an address and told of a DNS server, or has neither any more.
    pub(crate) fn lent(&mut self, node: NodeId, address: Option<IpAddr>, server: Option<IpAddr>) {
        match address {
            Some(address) => _ = self.lent.insert(node, address),
            None => _ = self.lent.remove(&node),
        }
        if let Some(server) = server {
            self.resolvers.insert(node, server);
        }
    }

    /// The hosts of the shared LAN are these now.
    pub(crate) fn share(&mut self, names: Vec<(String, Vec<IpAddr>)>) {
        self.shared = names.into_iter().map(|(name, addresses)| (name.to_lowercase(), addresses)).collect();
    }

    /// The addresses of a host of the lab.
    pub(crate) fn of_host(&self, name: &str) -> Vec<IpAddr> {
        let found = self.hosts.iter().find(|(_, host, _)| host.eq_ignore_ascii_case(name));
        found.map_or_else(Vec::new, |(node, _, addresses)| {
            let lent = self.lent.get(node).filter(|address| !addresses.contains(address));
            lent.into_iter().chain(addresses).copied().collect()
        })
    }

    /// getaddrinfo(3) for one name, asked on `node`; `family` 0 is any.
    pub(crate) fn resolve(&mut self, node: NodeId, name: &str, family: i32) -> Found {
        if !matches!(family, AF_UNSPEC | AF_INET | AF_INET6) {
            return Found::Error("EAI_FAMILY");
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            return of_family(&[address], family, "EAI_ADDRFAMILY");
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
        if name == "localhost" {
            let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return of_family(&own, family, "EAI_NODATA");
        }
        let server = self.resolvers.get(&node).copied();
        // With a DNS server the hosts file has the host's own name alone, as on a machine that was just installed.
        let own = self.hosts.iter().any(|(n, host, _)| *n == node && host.eq_ignore_ascii_case(&name));
        if let Some(server) = server.filter(|_| !own) {
            return if is_host_name(&name) { Found::Ask(server) } else { Found::Error("EAI_NONAME") };
        }
        let addresses = self.of_host(&name);
        if !addresses.is_empty() {
            return of_family(&addresses, family, "EAI_NODATA");
        }
        if let Some(addresses) = self.shared.get(&name) {
            return of_family(addresses, family, "EAI_NODATA");
        }
        if let Some(server) = self.gateways_resolver(node).filter(|_| !self.stands_in(&name)) {
            return if is_host_name(&name) { Found::Ask(server) } else { Found::Error("EAI_NONAME") };
        }
        if family == AF_INET6
            && !self.by_name.contains_key(&name)
            && self.gateway.is_some()
            && is_host_name(&name)
        {
            return Found::Error("EAI_NODATA");
        }
        match self.foreign(&name) {
            Found::Addresses(found) => {
                let addresses: Vec<IpAddr> = found.into_iter().map(|(_, address)| address).collect();
                of_family(&addresses, family, "EAI_NODATA")
            }
            found => found,
        }
    }

    /// The gateway that is asked for foreign names.
    pub(crate) fn gateway(&self) -> Option<NodeId> {
        self.gateway.as_ref().map(|(gateway, _)| *gateway)
    }

    /// The gateway's own DNS server, for nodes that were told of no other.
    fn gateways_resolver(&self, node: NodeId) -> Option<IpAddr> {
        let gateway = self.gateway().filter(|gateway| *gateway != node)?;
        let (_, _, addresses) = self.hosts.iter().find(|(node, ..)| *node == gateway)?;
        addresses.iter().copied().find(IpAddr::is_ipv4)
    }

    /// The name has, or is to have, a stand-in address.
    pub(crate) fn stands_in(&self, name: &str) -> bool {
        let own = self.gateway.iter().flat_map(|(_, names)| names);
        self.by_name.contains_key(name) || own.into_iter().any(|own| own.name.eq_ignore_ascii_case(name))
    }

    /// What a DNS server is to say of a foreign name that has no stand-in. After [`Foreign::Ask`] the name counts as asked for.
    pub(crate) fn ask_foreign(&mut self, now: Instant, name: &str) -> Foreign {
        if self.gateway.is_none() || !is_host_name(name) {
            return Foreign::NoSuchName;
        }
        match self.real.get(name) {
            Some(Real::Asked) => return Foreign::Wait,
            Some(Real::Addresses(addresses, until)) if *until > now => {
                return Foreign::Addresses(addresses.clone());
            }
            Some(Real::NoSuchName(until)) if *until > now => return Foreign::NoSuchName,
            Some(Real::Failed(until)) if *until > now => return Foreign::Failed,
            _ => {}
        }
        self.real.insert(name.to_owned(), Real::Asked);
        Foreign::Ask
    }

    /// The real world has these addresses for a name. Which of them are good for the lab, the caller knows.
    pub(crate) fn found(&mut self, now: Instant, name: &str, mut addresses: Vec<IpAddr>) {
        addresses.truncate(MOST_ADDRESSES);
        for address in &addresses {
            self.pinned.insert(*address, name.to_owned());
        }
        self.real.insert(name.to_owned(), Real::Addresses(addresses, now + KEPT));
    }

    /// The real world has no addresses for a name, or (`failed`) cannot tell just now.
    pub(crate) fn not_found(&mut self, now: Instant, name: &str, failed: bool) {
        let real = if failed { Real::Failed(now + FAILURE_KEPT) } else { Real::NoSuchName(now + KEPT) };
        self.real.insert(name.to_owned(), real);
    }

    /// An address of the block that stand-ins are from.
    pub(crate) fn is_stand_in(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.to_bits() & !(STAND_IN_COUNT - 1) == STAND_INS.to_bits())
    }

    /// The address that stands for a name of the real world.
    pub(crate) fn foreign(&mut self, name: &str) -> Found {
        let Some((gateway, _)) = self.gateway else { return Found::Error("EAI_NONAME") };
        if !is_host_name(name) {
            return Found::Error("EAI_NONAME");
        }
        if let Some(known) = self.by_name.get(name) {
            return Found::Addresses(vec![(AF_INET, IpAddr::V4(*known))]);
        }
        let number = self.by_name.len() as u32 + 1;
        if number >= STAND_IN_COUNT {
            return Found::Error("EAI_MEMORY");
        }
        let address = Ipv4Addr::from_bits(STAND_INS.to_bits() + number);
        self.by_address.insert(address, name.to_owned());
        self.by_name.insert(name.to_owned(), address);
        Found::New { gateway, address: IpAddr::V4(address) }
    }

    /// The DNS server that has to be asked for the name of an address; none: [`Names::reverse`] knows.
    pub(crate) fn reverse_at(&self, node: NodeId, address: IpAddr) -> Option<IpAddr> {
        let own = self.hosts.iter().any(|(n, _, addresses)| *n == node && addresses.contains(&address));
        self.resolvers.get(&node).copied().filter(|_| !own && !address.is_loopback())
    }

    /// The name of an address, as /etc/hosts or the gateway has it.
    pub(crate) fn reverse(&self, address: IpAddr) -> Option<String> {
        if address.is_loopback() {
            return Some("localhost".to_owned());
        }
        let host = self.hosts.iter().find(|(node, _, addresses)| {
            addresses.contains(&address) || self.lent.get(node) == Some(&address)
        });
        match (host, address) {
            (Some((_, name, _)), _) => Some(name.clone()),
            (None, address) => {
                let shared = self.shared.iter().find(|(_, addresses)| addresses.contains(&address));
                shared.map(|(name, _)| name.clone()).or_else(|| match address {
                    IpAddr::V4(v4) => self.by_address.get(&v4).or_else(|| self.pinned.get(&address)).cloned(),
                    IpAddr::V6(_) => self.pinned.get(&address).cloned(),
                })
            }
        }
    }

    /// What the real side is asked for when a program wants to reach `address`, and what the program calls it.
    /// None: a stand-in that was never given out.
    pub(crate) fn real_target(&self, address: IpAddr) -> Option<(String, String)> {
        let literal = || {
            let name = self.pinned.get(&address).cloned();
            Some((address.to_string(), name.unwrap_or_else(|| address.to_string())))
        };
        let IpAddr::V4(v4) = address else { return literal() };
        if !Names::is_stand_in(address) {
            return literal();
        }
        let name = self.by_address.get(&v4)?;
        let own = self.gateway.iter().flat_map(|(_, names)| names);
        let target =
            own.clone().find(|own| own.name.eq_ignore_ascii_case(name)).map(|own| own.target.clone());
        Some((target.unwrap_or_else(|| name.clone()), name.clone()))
    }
}

fn of_family(addresses: &[IpAddr], family: i32, none: &'static str) -> Found {
    let with_family = addresses.iter().map(|a| (if a.is_ipv4() { AF_INET } else { AF_INET6 }, *a));
    let found: Vec<_> = with_family.filter(|(f, _)| family == AF_UNSPEC || family == *f).collect();
    if found.is_empty() { Found::Error(none) } else { Found::Addresses(found) }
}

/// RFC 1123 2.1, and the underscore that real names have.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
