//! Who may reach what through the relay: deny by default, with a reason that helps the student and the operator.
//!
//! Pure: names are resolved elsewhere and passed in. The order for each request, without exception:
//!
//! 1. [`Policy::check_request`]: is the host well-formed, may this name or address be asked for at all? Only then look
//!    the name up (once).
//! 2. [`Policy::choose`]: which of its addresses may be dialled? Dial only those, by address: a second look-up could
//!    give another answer.
//!
//! What a rule opens:
//! * a name rule (`example.org`, `*.example.org`, `*`) opens *public* addresses behind that name;
//! * an address rule (`10.1.2.3:80`, `10.1.0.0/16`) opens exactly these addresses, special ones too when the rule names
//!   nothing else; loopback needs a port list. Names that lead to such an address need a name rule besides.
//!
//! Left out: different rules for different clients, and rates; every client of a relay may do the same.

pub mod address;
pub mod host;
pub mod rule;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

pub use address::Class;
pub use host::{Host, HostError};
pub use rule::{Rule, RuleError};

/// TCP, UDP or an ICMP echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// An ICMP echo request. It has no port: 0 stands for it.
    Icmp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Icmp => "icmp",
        })
    }
}

/// Why a destination is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The host is not written as a name or an address is.
    Host(HostError),
    /// Nothing listens on port 0.
    PortZero,
    /// No rule names this host.
    NotListed,
    /// The name stands for this machine or its neighbourhood, whatever the resolver says.
    LocalName,
    /// The address is not a public one, and no rule names it.
    Special(Class),
    /// No rule could open this: a connection to it makes no sense.
    Never(Class),
    /// The name leads to a special address.
    LeadsTo(IpAddr, Class),
    /// An address of the relay's own machine.
    OwnAddress(IpAddr),
    /// The relay itself.
    OwnListener,
    /// A port that is misused so often that a rule has to name it.
    MisusedPort,
}

/// A refusal. `Display` is one sentence; [`Denial::hint`] says how the operator allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was asked for, as written by the client (shortened, control characters escaped).
    pub host: String,
    /// The port.
    pub port: u16,
    /// How.
    pub transport: Transport,
    /// Why not.
    pub why: Why,
}

impl Denial {
    /// The request itself makes no sense, so that no rule could allow it (Wisp's 0x41, where 0x48 is the policy).
    pub fn is_invalid(&self) -> bool {
        matches!(self.why, Why::Host(_) | Why::PortZero)
    }

    /// The rule that would allow it, as an operator writes it; `None` if none can.
    pub fn hint(&self) -> Option<String> {
        let Denial { host, port, transport, .. } = self;
        let place = |address: &dyn fmt::Display, v6: bool| {
            if *transport == Transport::Icmp {
                format!("{address}/icmp")
            } else if *port == 0 {
                // Asked for a name only.
                address.to_string()
            } else if v6 {
                format!("[{address}]:{port}/{transport}")
            } else {
                format!("{address}:{port}/{transport}")
            }
        };
        match &self.why {
            Why::Host(_) | Why::PortZero | Why::Never(_) | Why::OwnListener => None,
            Why::LeadsTo(address, class) if class.can_be_allowed() => Some(place(address, address.is_ipv6())),
            Why::LeadsTo(..) => None,
            Why::OwnAddress(address) => Some(place(address, address.is_ipv6())),
            _ => Some(place(host, host.contains(':'))),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denial { host, port, transport, why } = self;
        match why {
            Why::Host(error) => write!(f, "{host:?} is no host: {error}"),
            Why::PortZero => write!(f, "port 0 of {host} cannot be reached"),
            Why::NotListed if *transport == Transport::Icmp => {
                write!(f, "ping to {host}: no rule of this relay allows it")
            }
            Why::NotListed if *port == 0 => write!(f, "{host}: no rule of this relay allows it"),
            Why::NotListed => write!(f, "{transport} to {host} port {port}: no rule of this relay allows it"),
            Why::LocalName => write!(f, "{host} is a name for this machine or its neighbourhood"),
            Why::Special(class) => write!(f, "{host} is {class}"),
            Why::Never(class) => write!(f, "{host} is {class}, which no rule can allow"),
            Why::LeadsTo(address, class) => write!(f, "{host} leads to {address}, {class}"),
            Why::OwnAddress(address) => write!(f, "{host} is the relay's own machine ({address})"),
            Why::OwnListener => write!(f, "{host} port {port} is this relay itself"),
            Why::MisusedPort => write!(f, "{transport} port {port} is opened only by a rule that names it"),
        }
    }
}

impl std::error::Error for Denial {}

/// Ports that open relays are misused for: sending mail, and answers by UDP that are longer than the question.
fn is_misused(transport: Transport, port: u16) -> bool {
    match transport {
        Transport::Tcp => matches!(port, 25 | 465 | 587),
        Transport::Udp => matches!(port, 19 | 53 | 123 | 161 | 389 | 1900 | 11211),
        Transport::Icmp => false,
    }
}

/// The rules, and what the relay knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    own_addresses: Vec<IpAddr>,
    own_names: Vec<String>,
    listeners: Vec<SocketAddr>,
}

impl Policy {
    /// Allows nothing but what `rules` name.
    pub fn new(rules: Vec<Rule>) -> Policy {
        Policy { rules, ..Policy::default() }
    }

    /// Adds a rule.
    pub fn allow(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// The rules, in the order they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Addresses of the relay's machine: refused on every port that no rule with the very address opens.
    pub fn set_own_addresses(&mut self, addresses: Vec<IpAddr>) {
        self.own_addresses = addresses.into_iter().map(address::canonical).collect();
    }

    /// Names of the relay's machine: refused unless a rule has the very name.
    pub fn set_own_names(&mut self, names: impl IntoIterator<Item = String>) {
        self.own_names =
            names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
    }

    /// A socket the relay itself listens on: never dialled, whatever the rules say, or it would talk to itself in rings.
    pub fn add_listener(&mut self, listener: SocketAddr) {
        self.listeners.push(listener);
    }

    /// May this be asked for at all? Call before anything is looked up; look up only what this returns.
    pub fn check_request(&self, transport: Transport, host: &str, port: u16) -> Result<Host, Denial> {
        let denied = |why| Denial { host: host.chars().take(253).collect(), port, transport, why };
        let parsed = Host::parse(host).map_err(|error| denied(Why::Host(error)))?;
        if port == 0 {
            return Err(denied(Why::PortZero));
        }
        match &parsed {
            Host::Address(address) => {
                self.check_address(&parsed, transport, *address, port).map_err(denied)?
            }
            Host::Name(name) => {
                let exact = self.rules.iter().any(|rule| rule.names_exactly(name));
                let listed = self.rules.iter().any(|rule| rule.covers_name(name, transport, port));
                if !exact && (host::is_local_name(name) || self.own_names.iter().any(|own| own == name)) {
                    return Err(denied(Why::LocalName));
                }
                if !listed {
                    return Err(denied(self.misused_or_not_listed(transport, port)));
                }
            }
        }
        Ok(parsed)
    }

    /// Which of the addresses that `host` was resolved to may be dialled, in their order. Refuses when none may.
    pub fn choose(
        &self,
        transport: Transport,
        host: &Host,
        port: u16,
        addresses: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, Denial> {
        let mut first = None;
        let mut good = Vec::new();
        for address in addresses {
            match self.check_address(host, transport, *address, port) {
                Ok(()) => good.push(SocketAddr::new(*address, port)),
                Err(why) => first = first.or(Some(why)),
            }
        }
        match first {
            Some(why) if good.is_empty() => Err(Denial { host: host.to_string(), port, transport, why }),
            _ => Ok(good),
        }
    }

    /// May a client send this host an ICMP echo? If it may ask for its addresses: a rule with `/icmp` opens nothing else,
    /// and any other that lets it reach the host lets it ping it, too. Dial only what [`Policy::visible`] leaves.
    pub fn check_ping(&self, host: &str) -> Result<Host, Denial> {
        self.check_name(host).map_err(|denial| Denial { transport: Transport::Icmp, ..denial })
    }

    /// May a client ask for this host's addresses? If some rule lets it reach the host, on whatever
    /// port. Look up only what this returns, and show only what [`Policy::visible`] leaves.
    pub fn check_name(&self, host: &str) -> Result<Host, Denial> {
        // No port is meant: any that a rule names will do.
        let denied =
            |why| Denial { host: host.chars().take(253).collect(), port: 0, transport: Transport::Tcp, why };
        let parsed = Host::parse(host).map_err(|error| denied(Why::Host(error)))?;
        match &parsed {
            Host::Address(address) => {
                self.visible(&parsed, &[*address]).map_err(|denial| denied(denial.why))?;
            }
            Host::Name(name) => {
                let exact = self.rules.iter().any(|rule| rule.names_exactly(name));
                if !exact && (host::is_local_name(name) || self.own_names.iter().any(|own| own == name)) {
                    return Err(denied(Why::LocalName));
                }
                if !self.rules.iter().any(|rule| rule.covers_some_of_name(name)) {
                    return Err(denied(Why::NotListed));
                }
            }
        }
        Ok(parsed)
    }

    /// Those of a host's addresses that a client may know of: those that it may reach on some port.
    pub fn visible(&self, host: &Host, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Denial> {
        let mut first = None;
        let mut good = Vec::new();
        for &address in addresses {
            let mut ways = self.rules.iter().flat_map(Rule::ways);
            let found =
                ways.any(|(transport, port)| match self.check_address(host, transport, address, port) {
                    Ok(()) => true,
                    Err(why) => {
                        first.get_or_insert(why);
                        false
                    }
                });
            if found {
                good.push(address);
            }
        }
        match good.is_empty() {
            true => Err(Denial {
                host: host.to_string(),
                port: 0,
                transport: Transport::Tcp,
                why: first.unwrap_or(Why::NotListed),
            }),
            false => Ok(good),
        }
    }

    fn check_address(
        &self,
        host: &Host,
        transport: Transport,
        address: IpAddr,
        port: u16,
    ) -> Result<(), Why> {
        // The mapped form is another spelling of the same destination.
        let address = address::canonical(address);
        if self.listeners.iter().any(|listener| self.is_same_socket(*listener, address, port)) {
            return Err(Why::OwnListener);
        }
        // 64:ff9b::7f00:1 is judged as what it is and as what it leads to.
        let inner = address::embedded(address);
        for address in [Some(address), inner].into_iter().flatten() {
            let class = Class::of(address);
            if !class.can_be_allowed() {
                return Err(self.special(host, address, class, Why::Never));
            }
            let named = self.rules.iter().any(|rule| rule.names_address(address, class, transport, port));
            let local = class == Class::Loopback
                && matches!(host, Host::Name(name)
                    if name == "localhost" && self.rules.iter().any(|r| r.covers_name(name, transport, port)));
            // A network rule does not mean the machine that the relay happens to run on.
            let own = class != Class::Loopback && self.own_addresses.contains(&address);
            if own && !self.rules.iter().any(|rule| rule.is_for(address) && rule.covers_port(transport, port))
            {
                return Err(Why::OwnAddress(address));
            }
            if named || local {
                continue;
            }
            if class != Class::Public {
                return Err(self.special(host, address, class, Why::Special));
            }
            let listed = match host {
                Host::Name(name) => self.rules.iter().any(|rule| rule.covers_name(name, transport, port)),
                Host::Address(_) => self.rules.iter().any(|rule| rule.covers_literal(transport, port)),
            };
            if !listed {
                return Err(self.misused_or_not_listed(transport, port));
            }
        }
        Ok(())
    }

    fn special(&self, host: &Host, address: IpAddr, class: Class, literal: fn(Class) -> Why) -> Why {
        match host {
            Host::Name(_) => Why::LeadsTo(address, class),
            Host::Address(_) => literal(class),
        }
    }

    fn misused_or_not_listed(&self, transport: Transport, port: u16) -> Why {
        if is_misused(transport, port) && !self.rules.is_empty() { Why::MisusedPort } else { Why::NotListed }
    }

    fn is_same_socket(&self, listener: SocketAddr, address: IpAddr, port: u16) -> bool {
        let here =
            || address.is_loopback() || address.is_unspecified() || self.own_addresses.contains(&address);
        listener.port() == port
            && (address::canonical(listener.ip()) == address || (listener.ip().is_unspecified() && here()))
    }
}

#[cfg(test)]
mod tests;
