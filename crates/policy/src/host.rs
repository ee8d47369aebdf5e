//! Reading the host of a request, strictly: an address as RFC 5952 and RFC 6943 3.1.1's "strict" form write it, or a
//! DNS name of LDH labels (RFC 1123 2.1). Everything that some other parser might read as an address (`127.1`,
//! `0x7f000001`, `0177.0.0.1`) is an error, so that it never reaches the resolver.

use std::{fmt, net::IpAddr};

/// Where a request wants to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address literal.
    Address(IpAddr),
    /// A name in lower case, without a final dot.
    Name(String),
}

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// More than 253 characters.
    #[error("it is longer than 253 characters")]
    TooLong,
    /// Not a letter, digit, hyphen or dot. International names have to come in their `xn--` form.
    #[error("character {at} is neither letter, digit, hyphen nor dot")]
    Character {
        /// Which, counted in octets from zero.
        at: usize,
    },
    /// Has a colon but is no IPv6 address.
    #[error("it is neither an IPv6 address nor a name")]
    NotIpv6,
    /// A label is empty, too long, or begins or ends with a hyphen.
    #[error("a part of the name is empty, longer than 63 characters, or has a hyphen at its end")]
    Label,
    /// Ends in a number, so that it looks like an IPv4 address, but is not four decimal numbers.
    #[error("it ends in a number but is not an IPv4 address of four decimal numbers")]
    NotIpv4,
}

impl Host {
    /// Reads a host as it stands in a Wisp CONNECT or before the port of a URL: no brackets, no user, no blanks.
    pub fn parse(text: &str) -> Result<Host, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Host::Address(address));
        }
        if let Some(at) =
            text.bytes().position(|c| !(c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b':')))
        {
            return Err(HostError::Character { at });
        }
        if text.contains(':') {
            return Err(HostError::NotIpv6);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > 253 {
            return Err(HostError::TooLong);
        }
        let label_ok =
            |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        if !name.split('.').all(label_ok) {
            return Err(HostError::Label);
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        if is_number(last) {
            return Err(HostError::NotIpv4);
        }
        Ok(Host::Name(name.to_ascii_lowercase()))
    }
}

/// What inet_aton reads as a number: decimal, octal, or hexadecimal with `0x` (the URL standard's "ends in a number").
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|c| c.is_ascii_hexdigit()),
        None => label.bytes().all(|c| c.is_ascii_digit()),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

/// Names that mean this machine or a closed network, by RFC 6761, 6762, 8375, 9476 and the custom of clouds. `name` is in
/// lower case without a final dot. A name without a dot is one: the resolver would add the machine's own search list.
pub fn is_local_name(name: &str) -> bool {
    const CLOSED: [&str; 13] = [
        "localhost",
        "localdomain",
        "local",
        "internal",
        "intranet",
        "private",
        "corp",
        "home",
        "lan",
        "svc",
        "alt",
        "onion",
        "arpa",
    ];
    match name.rsplit_once('.') {
        None => true,
        Some((_, top)) => CLOSED.contains(&top),
    }
}
