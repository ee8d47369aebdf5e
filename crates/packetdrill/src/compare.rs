//! Is the packet that came out of the host the one the script expects?

use crate::Comparison;
use crate::packet::{Body, Flags, Packet, Segment, TcpOption};

/// What differs, if anything. `actual` is in the script's terms.
pub(crate) fn compare(expected: &Packet, actual: &Packet, how: Comparison) -> Option<String> {
    if let (Some(expected), Some(actual)) = (expected.ttl, actual.ttl)
        && expected != actual
    {
        return Some(format!("TTL is {actual}, not {expected}"));
    }
    if let (Some(expected), Some(actual)) = (expected.ecn, actual.ecn)
        && expected != actual
    {
        return Some(format!("the ECN field is {actual}, not {expected}"));
    }
    if expected.ports.is_some() && expected.ports != actual.ports {
        return Some("the ports differ".to_owned());
    }
    match (&expected.body, &actual.body) {
        (Body::Tcp(expected), Body::Tcp(actual)) => segment(expected, actual, how),
        (Body::Udp(expected), Body::Udp(actual)) => {
            (expected != actual).then(|| format!("{actual} octets, not {expected}"))
        }
        (Body::Icmp(expected), Body::Icmp(actual)) => {
            let same = (expected.kind, expected.code) == (actual.kind, actual.code)
                && (expected.mtu.is_none() || expected.mtu == actual.mtu)
                && (expected.id.is_none() || expected.id == actual.id)
                && (expected.quoted.is_none() || expected.quoted == actual.quoted);
            (!same).then(|| "the ICMP messages differ".to_owned())
        }
        _ => Some("the protocols differ".to_owned()),
    }
}

fn segment(expected: &Segment, actual: &Segment, how: Comparison) -> Option<String> {
    let loose = how == Comparison::Loose;
    let counted = |flags: Flags| if loose { Flags { psh: false, ..flags } } else { flags };
    if counted(expected.flags) != counted(actual.flags) {
        return Some(format!("flags are {}, not {}", actual.flags, expected.flags));
    }
    if let (Some(expected), Some(actual)) = (expected.seq, actual.seq)
        && expected != actual
    {
        return Some(format!("seq is {actual}, not {expected}"));
    }
    if expected.len != actual.len {
        return Some(format!("length is {}, not {}", actual.len, expected.len));
    }
    if expected.flags.ack && expected.ack != actual.ack {
        return Some(format!("ack is {}, not {}", actual.ack, expected.ack));
    }
    if expected.urgent.is_some() && expected.urgent != actual.urgent {
        return Some("the urgent pointers differ".to_owned());
    }
    if let (Some(expected), Some(actual)) = (expected.window, actual.window)
        && expected != actual
        && !loose
    {
        return Some(format!("win is {actual}, not {expected}"));
    }
    let (Some(expected), Some(actual)) = (&expected.options, &actual.options) else { return None };
    if loose {
        return (sack(expected) != sack(actual)).then(|| "SACK blocks differ".to_owned());
    }
    options(expected, actual)
}

fn sack(options: &[TcpOption]) -> Option<&Vec<(u32, u32)>> {
    options.iter().find_map(|o| match o {
        TcpOption::Sack(blocks) => Some(blocks),
        _ => None,
    })
}

/// Options must be the same in the same order. Of a timestamp only the echo is compared here: its value is a matter of
/// the clock.
fn options(expected: &[TcpOption], actual: &[TcpOption]) -> Option<String> {
    let same = expected.len() == actual.len()
        && expected.iter().zip(actual).all(|pair| match pair {
            (TcpOption::Timestamp { ecr: expected, .. }, TcpOption::Timestamp { ecr: actual, .. }) => {
                expected == actual
            }
            (expected, actual) => expected == actual,
        });
    (!same).then(|| "the TCP options differ".to_owned())
}
