//! What goes back to a program: the answer of a call, as Python's `socket` gives it.

use core::net::SocketAddr;

use socketlab_stack::{Control, Failure, Fd, Instant, Ret, SockAddr};

use crate::marshal::{self, Value};

/// Calls with the same answer from the stack may want it written in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    RecvFrom,
    IntOption,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) error: Option<&'static str>,
    pub(crate) value: Value,
}

impl Reply {
    pub(crate) const fn ok(value: Value) -> Self {
        Reply { error: None, value }
    }

    pub(crate) const fn error(name: &'static str) -> Self {
        Reply { error: Some(name), value: Value::None }
    }

    /// The answer of the stack.
    pub(crate) fn of(result: &Result<Ret, Failure>, shape: Shape) -> Self {
        match result {
            Ok(ret) => Reply::ok(value_of(ret, shape)),
            Err(Failure::Errno(errno, _)) => Reply::error(errno.name()),
            Err(Failure::TimedOut) => Reply::error("timeout"),
        }
    }

    /// The bytes for thread `tid`, and the signals it is to hear of.
    pub(crate) fn encode(self, tid: u32, now: Instant, signals: &[i32]) -> Vec<u8> {
        let error = self.error.map_or(Value::None, |name| Value::Str(name.to_owned()));
        let now = Value::Int(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        let mut out = tid.to_le_bytes().to_vec();
        let mut items = vec![error, self.value, now];
        if !signals.is_empty() {
            items.push(Value::List(signals.iter().map(|n| Value::Int(i64::from(*n))).collect()));
        }
        marshal::write(&mut out, &Value::Tuple(items));
        out
    }
}

fn value_of(ret: &Ret, shape: Shape) -> Value {
    let fd = |fd: &Fd| Value::Int(i64::from(fd.0));
    match ret {
        Ret::Unit => Value::None,
        Ret::Fd(a) => fd(a),
        Ret::Pair(a, b) => Value::Tuple(vec![fd(a), fd(b)]),
        Ret::Accepted(a, peer) => Value::Tuple(vec![fd(a), value_of_address(peer)]),
        Ret::Len(n) => Value::Int(*n as i64),
        Ret::Data(data, from, flags) if shape == Shape::RecvFrom => Value::Tuple(vec![
            Value::Bytes(data.to_vec()),
            from.as_ref().map_or(Value::None, value_of_address),
            Value::Int(i64::from(*flags)),
        ]),
        Ret::Data(data, ..) => Value::Bytes(data.to_vec()),
        Ret::Message { data, from, flags, control } => Value::Tuple(vec![
            Value::Bytes(data.to_vec()),
            Value::List(control.iter().map(value_of_control).collect()),
            Value::Int(i64::from(*flags)),
            from.as_ref().map_or(Value::None, value_of_address),
        ]),
        Ret::Addr(addr) => value_of_address(addr),
        Ret::Opt(bytes) if shape == Shape::IntOption => {
            let mut octets = [0; 4];
            octets.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Value::Int(i64::from(i32::from_le_bytes(octets)))
        }
        Ret::Opt(bytes) => Value::Bytes(bytes.to_vec()),
        Ret::Ready(ready) => Value::List(
            ready
                .iter()
                .map(|(a, events)| Value::Tuple(vec![fd(a), Value::Int(i64::from(*events))]))
                .collect(),
        ),
        Ret::Info(a, b, c) => Value::Tuple([*a, *b, *c].map(|n| Value::Int(i64::from(n))).to_vec()),
    }
}

fn value_of_control(control: &Control) -> Value {
    let number = |n: i32| Value::Int(i64::from(n));
    // Descriptors, see the stack's `socket/rights.rs`.
    if (control.level, control.kind) == (1, 1) {
        let int = |octets: &[u8]| octets.first_chunk::<4>().map_or(0, |octets| i32::from_le_bytes(*octets));
        let entry = |entry: &[u8]| Value::Tuple(entry.chunks_exact(4).map(|n| number(int(n))).collect());
        let entries = control.data.chunks_exact(12).map(entry).collect();
        return Value::Tuple(vec![number(1), number(1), Value::List(entries)]);
    }
    Value::Tuple(vec![number(control.level), number(control.kind), Value::Bytes(control.data.to_vec())])
}

/// A path as text, if it is some. An abstract name is octets to Python.
pub(super) fn value_of_path(path: &[u8]) -> Value {
    match core::str::from_utf8(path) {
        Ok(text) if !text.starts_with('\0') => Value::Str(text.to_owned()),
        _ => Value::Bytes(path.to_vec()),
    }
}

/// An address as Python's `socket` writes it.
pub(crate) fn value_of_address(addr: &SockAddr) -> Value {
    match addr {
        SockAddr::Ip(SocketAddr::V4(a)) => {
            Value::Tuple(vec![Value::Str(a.ip().to_string()), Value::Int(i64::from(a.port()))])
        }
        SockAddr::Ip(SocketAddr::V6(a)) => Value::Tuple(vec![
            Value::Str(a.ip().to_string()),
            Value::Int(i64::from(a.port())),
            Value::Int(i64::from(a.flowinfo())),
            Value::Int(i64::from(a.scope_id())),
        ]),
        SockAddr::Unix(path) => value_of_path(path),
    }
}
