//! Values as they are written in an expression, read in the light of the field they are compared with.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::fields::Kind;

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Number(i128),
    /// Address and prefix length.
    Ipv4(Ipv4Addr, u8),
    /// Address and prefix length.
    Ipv6(Ipv6Addr, u8),
    Bytes(Vec<u8>),
    Text(String),
    /// Nanoseconds.
    Nanos(i128),
}

/// What a side of a comparison holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Bool,
    Ipv4,
    Ipv6,
    Mac,
    Text,
    Bytes,
    Seconds,
    Millis,
    /// A protocol: its octets.
    Protocol,
    /// There or not there.
    None,
}

impl Type {
    pub(super) fn of(kind: Kind) -> Type {
        match kind {
            Kind::None => Type::None,
            Kind::Dec | Kind::Signed | Kind::Hex2 | Kind::Hex4 | Kind::Hex6 | Kind::Hex8 | Kind::Frame => {
                Type::Number
            }
            Kind::Bool => Type::Bool,
            Kind::Ipv4 => Type::Ipv4,
            Kind::Ipv6 => Type::Ipv6,
            Kind::Mac => Type::Mac,
            Kind::Text => Type::Text,
            Kind::Bytes => Type::Bytes,
            Kind::Time => Type::Seconds,
            Kind::Millis => Type::Millis,
        }
    }

    /// Octets one after the other: `contains` and slices work.
    pub(super) fn has_octets(self) -> bool {
        matches!(self, Type::Bytes | Type::Text | Type::Protocol | Type::Mac | Type::Ipv4 | Type::Ipv6)
    }
}

/// Reads a word; `None` if it is no value of this type.
pub(super) fn word(word: &str, kind: Type) -> Option<Literal> {
    match kind {
        Type::Number => number(word).map(Literal::Number),
        Type::Bool => match word.to_ascii_lowercase().as_str() {
            "true" => Some(Literal::Number(1)),
            "false" => Some(Literal::Number(0)),
            _ => number(word).map(|v| Literal::Number(i128::from(v != 0))),
        },
        Type::Ipv4 => {
            let (address, bits) = prefix(word, 32)?;
            Some(Literal::Ipv4(address.parse().ok()?, bits))
        }
        Type::Ipv6 => {
            let (address, bits) = prefix(word, 128)?;
            Some(Literal::Ipv6(address.parse().ok()?, bits))
        }
        Type::Mac | Type::Bytes | Type::Protocol => bytes(word).map(Literal::Bytes),
        Type::Text => None,
        Type::Seconds => decimal(word, 9).map(Literal::Nanos),
        Type::Millis => decimal(word, 6).map(Literal::Nanos),
        Type::None => None,
    }
}

/// Reads a text in quotes.
pub(super) fn text(value: &[u8], kind: Type) -> Option<Literal> {
    match kind {
        Type::Text => Some(Literal::Text(String::from_utf8_lossy(value).into_owned())),
        Type::Bytes | Type::Protocol => Some(Literal::Bytes(value.to_vec())),
        Type::Bool => match value.to_ascii_lowercase().as_slice() {
            b"set" | b"true" => Some(Literal::Number(1)),
            b"not set" | b"false" => Some(Literal::Number(0)),
            _ => None,
        },
        Type::Ipv4 | Type::Ipv6 | Type::Mac => word(core::str::from_utf8(value).ok()?, kind),
        _ => None,
    }
}

/// Decimal, `0x` hexadecimal, `0b` binary or, with a leading zero, octal.
pub(super) fn number(word: &str) -> Option<i128> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word),
    };
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if let Some(binary) = lower.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()?
    } else if lower.len() > 1 && lower.starts_with('0') {
        i128::from_str_radix(&lower, 8).ok()?
    } else if lower.bytes().all(|b| b.is_ascii_digit()) {
        lower.parse().ok()?
    } else {
        return None;
    };
    Some(sign * value)
}

fn prefix(word: &str, most: u8) -> Option<(&str, u8)> {
    let Some((address, bits)) = word.split_once('/') else { return Some((word, most)) };
    let bits: u8 = bits.parse().ok()?;
    (bits <= most).then_some((address, bits))
}

/// `02:00:0a`, `02-00-0a`, `02.00.0a` or `02000a`.
pub(super) fn bytes(word: &str) -> Option<Vec<u8>> {
    let pairs: Vec<&str> = match word.contains([':', '-', '.']) {
        true => word.split([':', '-', '.']).collect(),
        false if word.is_ascii() && word.len().is_multiple_of(2) => {
            (0..word.len() / 2).map(|i| &word[2 * i..2 * i + 2]).collect()
        }
        false => return None,
    };
    pairs
        .iter()
        .map(|pair| match pair.len() {
            1 | 2 => u8::from_str_radix(pair, 16).ok(),
            _ => None,
        })
        .collect()
}

/// A number with decimals, as a whole number of its last one.
fn decimal(word: &str, decimals: usize) -> Option<i128> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word),
    };
    let (whole, part) = word.split_once('.').unwrap_or((word, ""));
    if whole.is_empty() && part.is_empty() || part.len() > decimals {
        return None;
    }
    let digits = |s: &str| if s.bytes().all(|b| b.is_ascii_digit()) { Some(s.to_string()) } else { None };
    let joined = format!("{}{}{}", digits(whole)?, digits(part)?, "0".repeat(decimals - part.len()));
    joined.parse::<i128>().ok().map(|v| sign * v)
}
