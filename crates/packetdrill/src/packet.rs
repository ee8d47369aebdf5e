//! A packet in the terms of a script: sequence numbers count from the initial ones, timestamps are the script's.
//! Prints as a script would write it.

use core::fmt;

/// A packet, from the script or seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// `PORT > PORT`: source and destination; none in a script means the current connection.
    pub(crate) ports: Option<(u16, u16)>,
    /// Time to live, where the script gives it.
    pub(crate) ttl: Option<u8>,
    /// The ECN field (RFC 3168 5), where the script gives it.
    pub(crate) ecn: Option<u8>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Tcp(Segment),
    /// A datagram with so many octets.
    Udp(usize),
    Icmp(Icmp),
}

/// The control bits (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) fin: bool,
    pub(crate) syn: bool,
    pub(crate) rst: bool,
    pub(crate) psh: bool,
    pub(crate) ack: bool,
    pub(crate) urg: bool,
    pub(crate) ece: bool,
    pub(crate) cwr: bool,
}

/// A TCP segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) flags: Flags,
    /// None for `...(0)`: any.
    pub(crate) seq: Option<u32>,
    /// Octets of payload.
    pub(crate) len: usize,
    /// Meaningful with the ACK flag; without it, the field as it stands.
    pub(crate) ack: u32,
    /// As in the header, not scaled. None in a script: any.
    pub(crate) window: Option<u16>,
    /// The urgent pointer, where the script gives it.
    pub(crate) urgent: Option<u16>,
    /// None for `<...>`: any.
    pub(crate) options: Option<Vec<TcpOption>>,
}

/// One TCP option, in the order of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpOption {
    Eol,
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    Sack(Vec<(u32, u32)>),
    Timestamp { val: u32, ecr: u32 },
    Unknown(u8),
}

/// An ICMP message (RFC 792).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Icmp {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// MTU of the next hop, for "fragmentation needed".
    pub(crate) mtu: Option<u16>,
    /// Identifier of an echo message.
    pub(crate) id: Option<u16>,
    /// What it is about.
    pub(crate) quoted: Option<Quoted>,
}

/// The head of the packet that an ICMP error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Quoted {
    Tcp { seq: u32 },
    Udp { len: usize },
}

impl Segment {
    /// The timestamp option, if it has one.
    pub(crate) fn timestamp(&self) -> Option<(u32, u32)> {
        self.options.as_deref().unwrap_or_default().iter().find_map(|o| match o {
            TcpOption::Timestamp { val, ecr } => Some((*val, *ecr)),
            _ => None,
        })
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.syn, "S"),
            (self.fin, "F"),
            (self.rst, "R"),
            (self.psh, "P"),
            (self.urg, "U"),
            (self.ece, "E"),
            (self.cwr, "W"),
            (self.ack, "."),
        ];
        if !named.iter().any(|(set, _)| *set) {
            return f.write_str("-");
        }
        named.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TcpOption::Eol => f.write_str("eol"),
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Mss(mss) => write!(f, "mss {mss}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            TcpOption::Timestamp { val, ecr } => write!(f, "TS val {val} ecr {ecr}"),
            TcpOption::Unknown(kind) => write!(f, "kind-{kind}"),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |f: &mut fmt::Formatter<'_>| match self.ports {
            Some((source, destination)) => write!(f, "{source}>{destination} "),
            None => Ok(()),
        };
        match &self.body {
            Body::Tcp(segment) => {
                ports(f)?;
                write!(f, "{segment}")
            }
            Body::Udp(len) => {
                f.write_str("udp ")?;
                ports(f)?;
                write!(f, "({len})")
            }
            Body::Icmp(icmp) => {
                write!(f, "icmp type {} code {}", icmp.kind, icmp.code)?;
                if let Some(mtu) = icmp.mtu {
                    write!(f, " mtu {mtu}")?;
                }
                match icmp.quoted {
                    Some(Quoted::Tcp { seq }) => write!(f, " [tcp seq {seq}]"),
                    Some(Quoted::Udp { len }) => write!(f, " [udp ({len})]"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => {
                let end = seq.wrapping_add(u32::try_from(self.len).unwrap_or(u32::MAX));
                write!(f, "{} {seq}:{end}({})", self.flags, self.len)?;
            }
            None => write!(f, "{} ...({})", self.flags, self.len)?,
        }
        if self.flags.ack {
            write!(f, " ack {}", self.ack)?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if let Some(urgent) = self.urgent.filter(|_| self.flags.urg) {
            write!(f, " urg {urgent}")?;
        }
        match self.options.as_deref() {
            None => f.write_str(" <...>"),
            Some([]) => Ok(()),
            Some(options) => {
                f.write_str(" <")?;
                for (i, option) in options.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{option}")?;
                }
                f.write_str(">")
            }
        }
    }
}
