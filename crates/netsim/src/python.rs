//! Values as Python prints them, for the trace.

use core::fmt::Write;

use crate::marshal::Value;

/// Octets of a `bytes` that are printed before it is cut.
const SHOWN: usize = 32;

/// `repr(value)`, with long bytes and texts cut: `b'0123...'...`.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Bytes(bytes) => repr_bytes(bytes),
        Value::Str(text) => repr_str(text),
        Value::Tuple(items) if items.len() == 1 => format!("({},)", join(items)),
        Value::Tuple(items) => format!("({})", join(items)),
        Value::List(items) => format!("[{}]", join(items)),
    }
}

fn join(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

/// `b'21,5 \xc2\xb0C'`.
pub(crate) fn repr_bytes(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let quote = if shown.contains(&b'\'') && !shown.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::from("b");
    out.push(quote);
    for &octet in shown {
        match octet {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\'' if quote == '\'' => out.push_str("\\'"),
            0x20..=0x7e => out.push(char::from(octet)),
            _ => _ = write!(out, "\\x{octet:02x}"),
        }
    }
    out.push(quote);
    if shown.len() < bytes.len() {
        out.push_str("...");
    }
    out
}

/// `'relay'`.
pub(crate) fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::new();
    out.push(quote);
    for (i, c) in text.chars().enumerate() {
        if i == 80 {
            out.push(quote);
            out.push_str("...");
            return out;
        }
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\'' if quote == '\'' => out.push_str("\\'"),
            c if c.is_control() => _ = write!(out, "\\x{:02x}", c as u32),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Nanoseconds as seconds, the way a program wrote them: `0.5`, `2.0`, `None` for ever.
pub(crate) fn seconds(nanos: u128) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let digits = format!("{rest:09}");
    let digits = digits.trim_end_matches('0');
    format!("{whole}.{}", if digits.is_empty() { "0" } else { digits })
}

/// The name that `socket` gives a number, or the number.
pub(crate) fn constant(names: &[(i32, &str)], number: i32) -> String {
    match names.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => (*name).to_owned(),
        None => number.to_string(),
    }
}
