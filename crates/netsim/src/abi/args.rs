//! The arguments of a call, one after the other, each checked for its type.

use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use bytes::Bytes;
use socketlab_stack::{Control, Fd, SockAddr};

use super::{AbiError, Args};
use crate::marshal::Value;
use crate::python;

impl Args<'_> {
    pub(super) fn take(&mut self) -> Result<Value, AbiError> {
        let at = self.values.last().map_or(5, |(at, _)| *at);
        match self.values.get_mut(self.next) {
            Some((_, value)) => {
                self.next += 1;
                Ok(core::mem::replace(value, Value::None))
            }
            None => Err(AbiError { at, what: format!("{}: argument {} is missing", self.op, self.next + 1) }),
        }
    }

    /// The argument just taken is not what it should be.
    pub(super) fn wrong<T>(&self, expected: &str, found: &str) -> Result<T, AbiError> {
        let at = self.next.checked_sub(1).and_then(|i| self.values.get(i)).map_or(5, |(at, _)| *at);
        let what = format!("{}: argument {} must be {expected}, not {found}", self.op, self.next);
        Err(AbiError { at, what })
    }

    pub(super) fn int(&mut self) -> Result<i64, AbiError> {
        match self.take()? {
            Value::Int(n) => Ok(n),
            Value::Bool(b) => Ok(i64::from(b)),
            other => self.wrong("int", other.type_name()),
        }
    }

    pub(super) fn i32(&mut self) -> Result<i32, AbiError> {
        let n = self.int()?;
        i32::try_from(n).or_else(|_| self.wrong("an int of 32 bits", &n.to_string()))
    }

    /// Events of epoll(7), which take all 32 bits.
    pub(super) fn events(&mut self) -> Result<u32, AbiError> {
        let n = self.int()?;
        u32::try_from(n).or_else(|_| self.wrong("events", &n.to_string()))
    }

    /// A user's number; -1 is none.
    pub(super) fn user(&mut self) -> Result<Option<u32>, AbiError> {
        match self.int()? {
            -1 => Ok(None),
            n => u32::try_from(n).map(Some).or_else(|_| self.wrong("a user's number", &n.to_string())),
        }
    }

    pub(super) fn usize(&mut self) -> Result<usize, AbiError> {
        let n = self.int()?;
        usize::try_from(n).or_else(|_| self.wrong("a size", &n.to_string()))
    }

    pub(super) fn tid(&mut self) -> Result<u32, AbiError> {
        let n = self.int()?;
        u32::try_from(n).or_else(|_| self.wrong("a thread's number", &n.to_string()))
    }

    pub(super) fn fd(&mut self) -> Result<Fd, AbiError> {
        // Descriptors that cannot be are the kernel's business: EBADF.
        Ok(Fd(self.int().map(|n| i32::try_from(n).unwrap_or(-1))?))
    }

    pub(super) fn str(&mut self) -> Result<String, AbiError> {
        match self.take()? {
            Value::Str(text) => Ok(text),
            other => self.wrong("str", other.type_name()),
        }
    }

    /// A path: text, or octets that are none.
    pub(super) fn path(&mut self) -> Result<Vec<u8>, AbiError> {
        match self.take()? {
            Value::Str(path) => Ok(path.into_bytes()),
            Value::Bytes(path) => Ok(path),
            other => self.wrong("str or bytes", other.type_name()),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, AbiError> {
        match self.take()? {
            Value::Bytes(bytes) => Ok(bytes.into()),
            other => self.wrong("bytes", other.type_name()),
        }
    }

    pub(super) fn option(&mut self) -> Result<Bytes, AbiError> {
        match self.take()? {
            Value::Bytes(bytes) => Ok(bytes.into()),
            // C's int: what setsockopt(2) is given for a number.
            Value::Int(n) => Ok(Bytes::copy_from_slice(&(n as i32).to_le_bytes())),
            Value::Bool(b) => Ok(Bytes::copy_from_slice(&i32::from(b).to_le_bytes())),
            other => self.wrong("int or bytes", other.type_name()),
        }
    }

    pub(super) fn duration(&mut self) -> Result<Duration, AbiError> {
        let n = self.int()?;
        u64::try_from(n).map(Duration::from_nanos).or_else(|_| self.wrong("not negative", &n.to_string()))
    }

    pub(super) fn timeout(&mut self) -> Result<Option<Duration>, AbiError> {
        if let Some((_, Value::None)) = self.values.get(self.next) {
            self.next += 1;
            return Ok(None);
        }
        self.duration().map(Some)
    }

    pub(super) fn address(&mut self) -> Result<SockAddr, AbiError> {
        let value = self.take()?;
        let found = python::repr(&value);
        let parsed = match value {
            Value::Str(path) => Some(SockAddr::Unix(path.into_bytes())),
            Value::Bytes(path) => Some(SockAddr::Unix(path)),
            Value::Tuple(items) => ip_address(&items).map(SockAddr::Ip),
            _ => None,
        };
        match parsed {
            Some(addr) => Ok(addr),
            None => self.wrong("an address", &found),
        }
    }

    pub(super) fn optional_address(&mut self) -> Result<Option<SockAddr>, AbiError> {
        if let Some((_, Value::None)) = self.values.get(self.next) {
            self.next += 1;
            return Ok(None);
        }
        self.address().map(Some)
    }

    pub(super) fn control(&mut self) -> Result<Vec<Control>, AbiError> {
        let value = self.take()?;
        let found = python::repr(&value);
        let Value::List(items) = value else {
            return self.wrong("a list", value.type_name());
        };
        let number = |n: &i64| i32::try_from(*n).ok();
        let all: Option<Vec<_>> = items
            .iter()
            .map(|item| match item {
                Value::Tuple(parts) => match parts.as_slice() {
                    [Value::Int(level), Value::Int(kind), data] => {
                        let data = control_data(data)?;
                        Some(Control { level: number(level)?, kind: number(kind)?, data })
                    }
                    _ => None,
                },
                _ => None,
            })
            .collect();
        match all {
            Some(all) => Ok(all),
            None => self.wrong("a list of (level, type, bytes)", &found),
        }
    }

    pub(super) fn poll_list(&mut self) -> Result<Vec<(Fd, u16)>, AbiError> {
        let value = self.take()?;
        let found = python::repr(&value);
        let Value::List(items) = value else {
            return self.wrong("a list", value.type_name());
        };
        let pairs: Option<Vec<_>> = items
            .iter()
            .map(|item| match item {
                Value::Tuple(pair) => match pair.as_slice() {
                    [Value::Int(fd), Value::Int(events)] => {
                        Some((Fd(i32::try_from(*fd).unwrap_or(-1)), u16::try_from(*events).ok()?))
                    }
                    _ => None,
                },
                _ => None,
            })
            .collect();
        match pairs {
            Some(pairs) => Ok(pairs),
            None => self.wrong("a list of (fd, events)", &found),
        }
    }
}

/// What a piece of ancillary data holds: octets, or descriptors, each with a word that goes along.
fn control_data(value: &Value) -> Option<Bytes> {
    match value {
        Value::Bytes(data) => Some(Bytes::copy_from_slice(data)),
        Value::List(descriptors) => {
            let mut data = Vec::new();
            for descriptor in descriptors {
                let Value::Tuple(numbers) = descriptor else { return None };
                let &[Value::Int(fd), Value::Int(word)] = numbers.as_slice() else { return None };
                for number in [fd, word] {
                    data.extend(i32::try_from(number).ok()?.to_le_bytes());
                }
            }
            Some(data.into())
        }
        _ => None,
    }
}

/// `(host, port)`, `(host, port, flowinfo)` or `(host, port, flowinfo, scope)`, with a numeric host.
fn ip_address(items: &[Value]) -> Option<SocketAddr> {
    let (Value::Str(host), Value::Int(port)) = (items.first()?, items.get(1)?) else { return None };
    let port = u16::try_from(*port).ok()?;
    let extra = |i: usize| match items.get(i) {
        None => Some(0),
        Some(Value::Int(n)) => u32::try_from(*n).ok(),
        Some(_) => None,
    };
    match host.parse().ok()? {
        IpAddr::V4(ip) if items.len() == 2 => Some(SocketAddr::V4(SocketAddrV4::new(ip, port))),
        IpAddr::V6(ip) if items.len() <= 4 => {
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, extra(2)?, extra(3)?)))
        }
        _ => None,
    }
}
