//! What an operator writes behind `--allow`:
//!
//! ```text
//! example.org            this name, every port (but those that are misused most)
//! *.example.org:443      every name below it, port 443
//! *                      every public name and address
//! 192.0.2.7:8000-8099    this address, these ports
//! 10.1.0.0/16            these addresses
//! [fd00::7]:80  fd00::/8  [fd00::/8]:80
//! ...:9007/udp           only UDP (or /tcp); both without
//! example.org/icmp       only ping; every rule that opens something of a host opens this, too
//! ```

use std::{fmt, net::IpAddr, ops::RangeInclusive};

use crate::{
    Transport,
    address::{self, Class},
    host::{Host, HostError},
    is_misused,
};

/// One `--allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    target: Target,
    ports: Option<RangeInclusive<u16>>,
    transport: Option<Transport>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Every public name and address.
    Any,
    Name(String),
    /// `*.example.org`, kept as `.example.org`.
    Below(String),
    Network {
        first: IpAddr,
        last: IpAddr,
        prefix: u8,
    },
}

/// Why a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The host part.
    #[error("{0:?} is neither a name, an address nor a network: {1}")]
    Host(String, HostError),
    /// The port part.
    #[error("{0:?} is no port or range of ports (1 to 65535): write 80 or 8000-8099")]
    Ports(String),
    /// The number of bits of a network.
    #[error("{0:?} is no network: write 10.1.0.0/16 or fd00::/8")]
    Prefix(String),
    /// Address bits behind the prefix.
    #[error("{0} has bits set behind its prefix: did you mean {1}?")]
    HostBits(String, String),
    /// A bracket without its partner.
    #[error("{0:?} has a bracket without its partner: write [fd00::7]:80")]
    Bracket(String),
    /// `*` in the middle.
    #[error("{0:?}: a star stands alone or before a dot at the beginning, as in *.example.org")]
    Star(String),
    /// Loopback without ports.
    #[error("{0} without a port would open every service of this machine: write {0}:9000 or {0}:9000-9010")]
    LoopbackPorts(String),
    /// ICMP has no ports.
    #[error("{0:?}: a ping has no port: write example.org/icmp")]
    EchoPorts(String),
    /// Nothing a relay could connect to.
    #[error("{0} is {1}: no rule can allow it")]
    Never(String, Class),
}

impl Rule {
    /// Reads what an operator wrote.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        let text = text.trim();
        let (place, transport) = match text.rsplit_once('/') {
            Some((place, "tcp")) => (place, Some(Transport::Tcp)),
            Some((place, "udp")) => (place, Some(Transport::Udp)),
            Some((place, "icmp")) => (place, Some(Transport::Icmp)),
            _ => (text, None),
        };
        let (host, ports) = split_ports(place)?;
        if ports.is_some() && transport == Some(Transport::Icmp) {
            return Err(RuleError::EchoPorts(text.to_owned()));
        }
        let ports = ports.map(parse_ports).transpose()?;
        let target = parse_target(host)?;
        let rule = Rule { target, ports, transport };
        rule.check(host)?;
        Ok(rule)
    }

    /// One address and port.
    pub fn address(address: IpAddr, port: u16, transport: Transport) -> Rule {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let target = Target::Network { first: address, last: address, prefix };
        Rule { target, ports: Some(port..=port), transport: Some(transport) }
    }

    fn check(&self, host: &str) -> Result<(), RuleError> {
        let loopback = match &self.target {
            Target::Name(name) => name == "localhost",
            Target::Network { first, last, .. } => {
                let class = Class::of(*first);
                if class == Class::of(*last) && !class.can_be_allowed() {
                    return Err(RuleError::Never(host.to_owned(), class));
                }
                class == Class::Loopback
            }
            Target::Any | Target::Below(_) => false,
        };
        if loopback && self.ports.is_none() && self.transport != Some(Transport::Icmp) {
            return Err(RuleError::LoopbackPorts(host.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn covers_port(&self, transport: Transport, port: u16) -> bool {
        let named = match &self.ports {
            Some(ports) => ports.contains(&port),
            None => !is_misused(transport, port),
        };
        named && self.transport.is_none_or(|only| only == transport)
    }

    /// The rule is for this very address, whatever the port.
    pub(crate) fn is_for(&self, address: IpAddr) -> bool {
        matches!(self.target, Target::Network { first, last, .. } if first == address && last == address)
    }

    /// The rule is for this very name, whatever the port.
    pub(crate) fn names_exactly(&self, name: &str) -> bool {
        match &self.target {
            Target::Name(rule) => rule == name,
            // `*.local` names no single host but says clearly that such names are meant.
            Target::Below(suffix) => crate::host::is_local_name(&suffix[1..]) && name.ends_with(suffix),
            Target::Any | Target::Network { .. } => false,
        }
    }

    /// The name may be looked up for this port.
    pub(crate) fn covers_name(&self, name: &str, transport: Transport, port: u16) -> bool {
        let covered = match &self.target {
            Target::Any => true,
            Target::Name(rule) => rule == name,
            Target::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
            Target::Network { .. } => false,
        };
        covered && self.covers_port(transport, port)
    }

    /// The name is covered for one port or another.
    pub(crate) fn covers_some_of_name(&self, name: &str) -> bool {
        self.ways().any(|(transport, port)| self.covers_name(name, transport, port))
    }

    /// Transports and ports that stand for all that the rule opens.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (Transport, u16)> + use<> {
        // A rule without ports opens this one for sure; with ports, its ends.
        let ports = self.ports.as_ref().map_or([80, 80], |ports| [*ports.start(), *ports.end()]);
        let transports = match self.transport {
            Some(transport) => [transport, transport],
            None => [Transport::Tcp, Transport::Udp],
        };
        let ports = if self.transport == Some(Transport::Icmp) { [0, 0] } else { ports };
        transports.into_iter().flat_map(move |transport| ports.into_iter().map(move |port| (transport, port)))
    }

    /// Any public address may be dialled on this port.
    pub(crate) fn covers_literal(&self, transport: Transport, port: u16) -> bool {
        self.target == Target::Any && self.covers_port(transport, port)
    }

    /// The rule is about this address. A network that also holds addresses of another class says nothing about special
    /// ones: 0.0.0.0/0 does not open loopback.
    pub(crate) fn names_address(
        &self,
        address: IpAddr,
        class: Class,
        transport: Transport,
        port: u16,
    ) -> bool {
        let Target::Network { first, last, .. } = self.target else { return false };
        let inside = first.is_ipv4() == address.is_ipv4() && (first..=last).contains(&address);
        let meant = class == Class::Public || (Class::of(first) == class && Class::of(last) == class);
        inside && meant && self.covers_port(transport, port)
    }
}

/// `host` and the text of its ports. A bare IPv6 address has colons of its own.
fn split_ports(place: &str) -> Result<(&str, Option<&str>), RuleError> {
    if let Some(rest) = place.strip_prefix('[') {
        let bracket = || RuleError::Bracket(place.to_owned());
        let (host, ports) = rest.split_once(']').ok_or_else(bracket)?;
        return match ports.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if ports.is_empty() => Ok((host, None)),
            None => Err(bracket()),
        };
    }
    match place.split_once(':') {
        Some((host, ports)) if !ports.contains(':') => Ok((host, Some(ports))),
        _ => Ok((place, None)),
    }
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, RuleError> {
    let number = |digits: &str| {
        let digits = digits.bytes().all(|c| c.is_ascii_digit()).then_some(digits)?;
        digits.parse::<u16>().ok().filter(|port| *port > 0)
    };
    let range = match text.split_once('-') {
        Some((low, high)) => number(low).zip(number(high)),
        None => number(text).map(|port| (port, port)),
    };
    match range {
        Some((low, high)) if low <= high => Ok(low..=high),
        _ => Err(RuleError::Ports(text.to_owned())),
    }
}

fn parse_target(host: &str) -> Result<Target, RuleError> {
    if host == "*" {
        return Ok(Target::Any);
    }
    let bad = |error| RuleError::Host(host.to_owned(), error);
    if let Some(suffix) = host.strip_prefix("*.") {
        return match Host::parse(suffix).map_err(bad)? {
            Host::Name(name) => Ok(Target::Below(format!(".{name}"))),
            Host::Address(_) => Err(RuleError::Star(host.to_owned())),
        };
    }
    if host.contains('*') {
        return Err(RuleError::Star(host.to_owned()));
    }
    if let Some((address, prefix)) = host.split_once('/') {
        return parse_network(host, address, prefix);
    }
    match Host::parse(host).map_err(bad)? {
        Host::Name(name) => Ok(Target::Name(name)),
        Host::Address(address) => {
            let address = address::canonical(address);
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            Ok(Target::Network { first: address, last: address, prefix })
        }
    }
}

fn parse_network(whole: &str, address: &str, prefix: &str) -> Result<Target, RuleError> {
    let bad = || RuleError::Prefix(whole.to_owned());
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let prefix: u8 = prefix.parse().map_err(|_| bad())?;
    let (first, last): (IpAddr, IpAddr) = match address {
        IpAddr::V4(address) if prefix <= 32 => {
            let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let first = address.to_bits() & !host_bits;
            (IpAddr::V4(first.into()), IpAddr::V4((first | host_bits).into()))
        }
        IpAddr::V6(address) if prefix <= 128 => {
            let host_bits = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let first = address.to_bits() & !host_bits;
            (IpAddr::V6(first.into()), IpAddr::V6((first | host_bits).into()))
        }
        _ => return Err(bad()),
    };
    if first != address {
        return Err(RuleError::HostBits(whole.to_owned(), format!("{first}/{prefix}")));
    }
    Ok(Target::Network { first, last, prefix })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Any => f.write_str("*")?,
            Target::Name(name) => f.write_str(name)?,
            Target::Below(suffix) => write!(f, "*{suffix}")?,
            Target::Network { first, prefix, .. } => {
                let whole = if first.is_ipv4() { 32 } else { 128 };
                let network = if *prefix == whole { first.to_string() } else { format!("{first}/{prefix}") };
                if first.is_ipv6() && self.ports.is_some() {
                    write!(f, "[{network}]")?;
                } else {
                    f.write_str(&network)?;
                }
            }
        }
        if let Some(ports) = &self.ports {
            match (ports.start(), ports.end()) {
                (low, high) if low == high => write!(f, ":{low}")?,
                (low, high) => write!(f, ":{low}-{high}")?,
            }
        }
        match self.transport {
            Some(transport) => write!(f, "/{transport}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        Rule::parse(text)
    }
}
