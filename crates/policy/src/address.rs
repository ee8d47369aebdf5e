//! What kind of address it is. Public is what is left over: in IPv6 only 2000::/3 can be public at all.
//!
//! Source: IANA's IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Kinds of addresses, as far as they matter to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Anybody's, reachable from everywhere.
    Public,
    /// This machine.
    Loopback,
    /// A site's own: RFC 1918, RFC 4193, and the old site-local.
    Private,
    /// Between a provider and its customers: RFC 6598.
    Shared,
    /// The same link only; clouds keep their metadata servers here.
    LinkLocal,
    /// A cloud's metadata server at an address that looks public.
    Metadata,
    /// For protocols, not for hosts: 192.0.0.0/24, 2001::/23 and others.
    Protocol,
    /// For examples in texts.
    Documentation,
    /// For measurements between devices: RFC 2544.
    Benchmark,
    /// Leads to an IPv4 address: NAT64, 6to4, Teredo, the obsolete compatible form.
    Translated,
    /// "This network": 0.0.0.0/8 and `::`. Linux connects to itself.
    Unspecified,
    /// A group of hosts.
    Multicast,
    /// All hosts of a link.
    Broadcast,
    /// Not given out.
    Reserved,
}

impl Class {
    /// Of one address. Give it [`canonical`] addresses: a mapped one is merely reserved here.
    pub fn of(address: IpAddr) -> Class {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// A rule that names such an address opens it; otherwise nothing does.
    pub fn can_be_allowed(self) -> bool {
        !matches!(self, Class::Unspecified | Class::Multicast | Class::Broadcast | Class::Reserved)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Public => "a public address",
            Class::Loopback => "an address of the relay's own machine",
            Class::Private => "a private address",
            Class::Shared => "an address of the provider's own network",
            Class::LinkLocal => "a link-local address",
            Class::Metadata => "a cloud's metadata server",
            Class::Protocol => "an address for protocols, not for hosts",
            Class::Documentation => "an address for documentation",
            Class::Benchmark => "an address for measurements",
            Class::Translated => "an IPv6 address that leads to an IPv4 address",
            Class::Unspecified => "the unspecified address",
            Class::Multicast => "a multicast address",
            Class::Broadcast => "the broadcast address",
            Class::Reserved => "a reserved address",
        })
    }
}

fn of_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [255, 255, 255, 255] => Class::Broadcast,
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Class::Private,
        [100, 64..=127, ..] => Class::Shared,
        [169, 254, ..] => Class::LinkLocal,
        // Azure's wire server, which every Azure machine reaches.
        [168, 63, 129, 16] => Class::Metadata,
        // 192.88.99.0/24 is the withdrawn 6to4 relay anycast (RFC 7526).
        [192, 0, 0, _] | [192, 88, 99, _] => Class::Protocol,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [198, 18..=19, ..] => Class::Benchmark,
        [224..=239, ..] => Class::Multicast,
        [240..=255, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    if address.is_unspecified() {
        return Class::Unspecified;
    }
    if address.is_loopback() {
        return Class::Loopback;
    }
    if embedded(IpAddr::V6(address)).is_some() {
        return Class::Translated;
    }
    match address.segments() {
        // The metadata server of AWS has an address of its own in fd00::/8: private like the rest.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2001, 0x0002, 0, ..] => Class::Benchmark,
        // 2001::/23 (RFC 2928), the local NAT64 prefix (RFC 8215), discard-only (RFC 6666), SRv6 (RFC 9602).
        [0x2001, 0..=0x01ff, ..] | [0x0064, 0xff9b, 1, ..] | [0x0100, 0, 0, ..] | [0x5f00, ..] => {
            Class::Protocol
        }
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

/// `::ffff:a.b.c.d` is a.b.c.d in another spelling: the operating system sends IPv4.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The IPv4 address that an IPv6 address leads to, through a translator or tunnel.
pub fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match address.segments() {
        // `::` and `::1` are no compatible addresses.
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        // Compatible (RFC 4291 2.5.5.1), mapped, translated (SIIT, RFC 2765).
        [0, 0, 0, 0, 0, 0, high, low] => join(high, low),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => join(high, low),
        // NAT64 (RFC 6052; RFC 8215's local prefix in its /96 use).
        [0x0064, 0xff9b, 0 | 1, _, _, _, high, low] => join(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => join(high, low),
        // Teredo (RFC 4380): the client's address, each bit turned over.
        [0x2001, 0, _, _, _, _, high, low] => join(!high, !low),
        _ => None,
    }
}
