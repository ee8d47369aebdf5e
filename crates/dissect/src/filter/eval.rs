//! Asks a compiled expression about a frame's fields.

use core::cmp::Ordering;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use super::literal::Literal;
use super::parser::{Expr, Op, Operand, Range, RangeEnd};
use crate::tree::{Dissection, Field, Value};

/// A value of a field in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// There, without a value.
    There,
    Number(i128),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Octets(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Nanos(i128),
}

/// The values of each wanted name.
pub(super) type Values<'a> = Vec<Vec<Found<'a>>>;

pub(super) fn collect<'a>(
    wanted: &[&'static str],
    dissection: &'a Dissection,
    frame: &'a [u8],
) -> Values<'a> {
    let mut values: Values<'a> = vec![Vec::new(); wanted.len()];
    for layer in &dissection.layers {
        let octets = dissection.source(layer, frame);
        if let Some(slot) = wanted.iter().position(|w| *w == layer.protocol) {
            let own = octets.get(layer.start..layer.until).unwrap_or_default();
            values[slot].push(Found::Octets(Cow::Borrowed(own)));
        }
        fields(wanted, &layer.fields, octets, &mut values);
    }
    values
}

fn fields<'a>(wanted: &[&'static str], list: &'a [Field], octets: &'a [u8], values: &mut Values<'a>) {
    for f in list {
        if !f.name.is_empty()
            && let Some(slot) = wanted.iter().position(|w| *w == f.name)
        {
            values[slot].push(match &f.typed {
                Value::None => Found::There,
                Value::Uint(v) => Found::Number((*v).into()),
                Value::Int(v) => Found::Number((*v).into()),
                Value::Bool(v) => Found::Number((*v).into()),
                Value::Ipv4(v) => Found::Ipv4(*v),
                Value::Ipv6(v) => Found::Ipv6(*v),
                Value::Mac(v) => Found::Octets(Cow::Borrowed(v.as_slice())),
                Value::Bytes => Found::Octets(Cow::Borrowed(octets.get(f.start..f.end).unwrap_or_default())),
                Value::Text(v) => Found::Text(Cow::Borrowed(v.as_str())),
                Value::Nanos(v) => Found::Nanos((*v).into()),
            });
        }
        fields(wanted, &f.children, octets, values);
    }
}

pub(super) fn holds(expr: &Expr, values: &Values<'_>) -> bool {
    match expr {
        Expr::Or(a, b) => holds(a, values) || holds(b, values),
        Expr::Xor(a, b) => holds(a, values) != holds(b, values),
        Expr::And(a, b) => holds(a, values) && holds(b, values),
        Expr::Not(inner) => !holds(inner, values),
        Expr::Exists(operand) => !get(operand, values).is_empty(),
        Expr::NonZero(operand) => get(operand, values).iter().any(|v| !matches!(v, Found::Number(0))),
        Expr::Compare { left, op, right, all } => {
            let found = get(left, values);
            let fits = |v: &Found<'_>| against(v, *op, right);
            if *all { !found.is_empty() && found.iter().all(fits) } else { found.iter().any(fits) }
        }
        Expr::CompareFields { left, op, right, all } => {
            let (left, right) = (get(left, values), get(right, values));
            if left.is_empty() || right.is_empty() {
                return false;
            }
            let fits = |a: &Found<'_>| {
                let fits = |b: &Found<'_>| order(a, b).is_some_and(|o| accepts(*op, o));
                if *all { right.iter().all(fits) } else { right.iter().any(fits) }
            };
            if *all { left.iter().all(fits) } else { left.iter().any(fits) }
        }
        Expr::In(operand, set) => get(operand, values).iter().any(|v| {
            set.iter().any(|(low, high)| match low == high {
                true => against(v, Op::Eq, low),
                false => against(v, Op::Ge, low) && against(v, Op::Le, high),
            })
        }),
        Expr::Contains(operand, wanted) => {
            get(operand, values).iter().any(|v| octets(v).is_some_and(|o| contains(&o, wanted)))
        }
        Expr::Matches(operand, pattern) => get(operand, values).iter().any(|v| {
            octets(v)
                .is_some_and(|o| pattern.is_match(&o.iter().copied().map(char::from).collect::<String>()))
        }),
    }
}

/// The values of an operand.
fn get<'v>(operand: &Operand, values: &'v Values<'_>) -> Cow<'v, [Found<'v>]> {
    let map = |inner: &Operand, f: &dyn Fn(&Found<'_>) -> Option<Found<'static>>| {
        Cow::Owned(get(inner, values).iter().filter_map(f).collect())
    };
    match operand {
        Operand::Field(slot) => values.get(*slot).map_or(Cow::Borrowed(&[]), |v| Cow::Borrowed(v.as_slice())),
        Operand::Slice(inner, ranges) => map(inner, &|v| slice(v, ranges)),
        Operand::Len(inner) => map(inner, &|v| Some(Found::Number(octets(v)?.len() as i128))),
        Operand::Count(inner) => {
            let count = get(inner, values).len();
            // No field, no count: the comparison does not hold.
            Cow::Owned(if count == 0 { Vec::new() } else { vec![Found::Number(count as i128)] })
        }
        Operand::Lower(inner) => map(inner, &|v| Some(Found::Text(text(v)?.to_ascii_lowercase().into()))),
        Operand::Upper(inner) => map(inner, &|v| Some(Found::Text(text(v)?.to_ascii_uppercase().into()))),
        Operand::String(inner) => map(inner, &|v| Some(Found::Text(shown(v).into()))),
        Operand::Bits(inner, mask) => map(inner, &|v| match v {
            Found::Number(v) => Some(Found::Number(v & i128::from(*mask))),
            _ => None,
        }),
    }
}

fn text<'v>(v: &'v Found<'_>) -> Option<&'v str> {
    match v {
        Found::Text(v) => Some(v),
        _ => None,
    }
}

/// A value as `string()` writes it.
fn shown(v: &Found<'_>) -> String {
    match v {
        Found::There => String::new(),
        Found::Number(v) => v.to_string(),
        Found::Ipv4(v) => v.to_string(),
        Found::Ipv6(v) => v.to_string(),
        Found::Octets(v) => v.iter().map(|o| format!("{o:02x}")).collect::<Vec<_>>().join(":"),
        Found::Text(v) => v.to_string(),
        Found::Nanos(v) => crate::tree::seconds(u64::try_from(*v).unwrap_or(0)),
    }
}

/// The octets that a value is made of.
fn octets<'v>(v: &'v Found<'_>) -> Option<Cow<'v, [u8]>> {
    Some(match v {
        Found::Octets(v) => Cow::Borrowed(v),
        Found::Text(v) => Cow::Borrowed(v.as_bytes()),
        Found::Ipv4(v) => Cow::Owned(v.octets().to_vec()),
        Found::Ipv6(v) => Cow::Owned(v.octets().to_vec()),
        _ => return None,
    })
}

/// Parts of a value; nothing if one of them lies outside.
fn slice(v: &Found<'_>, ranges: &[Range]) -> Option<Found<'static>> {
    let octets = octets(v)?;
    let len = i64::try_from(octets.len()).ok()?;
    let mut out = Vec::new();
    for range in ranges {
        let start = if range.start < 0 { len + range.start } else { range.start };
        let end = match range.end {
            RangeEnd::Len(count) => start + count,
            RangeEnd::At(last) if last < 0 => len + last + 1,
            RangeEnd::At(last) => last + 1,
            RangeEnd::Open => len,
        };
        let part = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        out.extend_from_slice(octets.get(part)?);
    }
    Some(match v {
        Found::Text(_) => Found::Text(String::from_utf8_lossy(&out).into_owned().into()),
        _ => Found::Octets(out.into()),
    })
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || octets.windows(wanted.len()).any(|w| w == wanted)
}

fn accepts(op: Op, order: Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Gt => order.is_gt(),
        Op::Lt => order.is_lt(),
        Op::Ge => order.is_ge(),
        Op::Le => order.is_le(),
    }
}

/// Two values of fields.
fn order(a: &Found<'_>, b: &Found<'_>) -> Option<Ordering> {
    match (a, b) {
        (Found::Number(a), Found::Number(b)) | (Found::Nanos(a), Found::Nanos(b)) => Some(a.cmp(b)),
        (Found::Ipv4(a), Found::Ipv4(b)) => Some(a.cmp(b)),
        (Found::Ipv6(a), Found::Ipv6(b)) => Some(a.cmp(b)),
        (Found::Text(a), Found::Text(b)) => Some(a.cmp(b)),
        _ => Some(octets(a)?.cmp(&octets(b)?)),
    }
}

/// A value of a field and one that was written.
fn against(v: &Found<'_>, op: Op, literal: &Literal) -> bool {
    let order = match (v, literal) {
        (Found::Number(a), Literal::Number(b)) | (Found::Nanos(a), Literal::Nanos(b)) => a.cmp(b),
        (Found::Ipv4(a), Literal::Ipv4(b, bits)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
            (a.to_bits() & mask).cmp(&(b.to_bits() & mask))
        }
        (Found::Ipv6(a), Literal::Ipv6(b, bits)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
            (a.to_bits() & mask).cmp(&(b.to_bits() & mask))
        }
        (Found::Text(a), Literal::Text(b)) => a.as_ref().cmp(b.as_str()),
        (Found::Octets(a), Literal::Bytes(b)) => a.as_ref().cmp(b.as_slice()),
        _ => return false,
    };
    accepts(op, order)
}
