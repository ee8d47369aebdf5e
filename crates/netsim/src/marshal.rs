//! Python's `marshal` format, version 0 (`Python/marshal.c`), as far as the messages use it: `None`, booleans,
//! integers, `bytes`, `str`, tuples and lists. Floats, dictionaries, sets and code are refused.

use crate::abi::AbiError;

/// A value of Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    /// Integers beyond 64 bits saturate on the way in.
    Int(i64),
    Bytes(Vec<u8>),
    /// Lone surrogates become U+FFFD on the way in.
    Str(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
}

impl Value {
    /// Its type's name in Python.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Bytes(_) => "bytes",
            Value::Str(_) => "str",
            Value::Tuple(_) => "tuple",
            Value::List(_) => "list",
        }
    }
}

/// Values inside values inside values: an address in a list in the arguments is 3 deep.
const MAX_DEPTH: usize = 8;

/// Reads values from bytes that anyone may have written.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at }
    }

    /// Octets from the start of the message.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn error<T>(&self, what: impl Into<String>) -> Result<T, AbiError> {
        Err(AbiError { at: self.at, what: what.into() })
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], AbiError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(slice) => {
                self.at += n;
                Ok(slice)
            }
            None => self.error(format!("ends {n} octets too early")),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, AbiError> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, AbiError> {
        let mut octets = [0; 4];
        octets.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(octets))
    }

    /// How many elements a tuple has whose beginning is here. Each takes at least an octet.
    pub(crate) fn tuple(&mut self) -> Result<usize, AbiError> {
        match self.u8()? {
            b'(' => self.count(),
            other => {
                self.at -= 1;
                self.error(format!("expected a tuple, found type {:?}", char::from(other)))
            }
        }
    }

    fn count(&mut self) -> Result<usize, AbiError> {
        let n = self.u32()? as usize;
        if n > self.bytes.len() - self.at {
            return self.error(format!("{n} elements cannot be in what is left"));
        }
        Ok(n)
    }

    pub(crate) fn value(&mut self) -> Result<Value, AbiError> {
        self.nested(MAX_DEPTH)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, AbiError> {
        if depth == 0 {
            return self.error("nested too deep");
        }
        Ok(match self.u8()? {
            b'N' => Value::None,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            b'i' => Value::Int(i64::from(self.u32()? as i32)),
            b'l' => Value::Int(self.long()?),
            b's' => {
                let n = self.u32()? as usize;
                Value::Bytes(self.take(n)?.to_vec())
            }
            b'u' => {
                let n = self.u32()? as usize;
                Value::Str(String::from_utf8_lossy(self.take(n)?).into_owned())
            }
            b'(' => Value::Tuple(self.elements(depth)?),
            b'[' => Value::List(self.elements(depth)?),
            other => {
                self.at -= 1;
                return self.error(format!("type {:?} is not used here", char::from(other)));
            }
        })
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, AbiError> {
        let n = self.count()?;
        (0..n).map(|_| self.nested(depth - 1)).collect()
    }

    /// Digits of 15 bits, lowest first; the sign is that of their number.
    fn long(&mut self) -> Result<i64, AbiError> {
        let n = self.u32()? as i32;
        let mut magnitude: u128 = 0;
        for i in 0..n.unsigned_abs() {
            let mut octets = [0; 2];
            octets.copy_from_slice(self.take(2)?);
            let digit = u16::from_le_bytes(octets);
            if digit > 0x7fff {
                return self.error("a digit of a long has more than 15 bits");
            }
            match i {
                0..=5 => magnitude |= u128::from(digit) << (15 * i),
                _ if digit != 0 => magnitude = u128::MAX >> 1,
                _ => {}
            }
        }
        let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
        let signed = if n < 0 { -magnitude } else { magnitude };
        Ok(signed.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// Writes a value.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(true) => out.push(b'T'),
        Value::Bool(false) => out.push(b'F'),
        Value::Int(n) => write_int(out, *n),
        Value::Bytes(bytes) => write_sized(out, b's', bytes),
        Value::Str(text) => write_sized(out, b'u', text.as_bytes()),
        Value::Tuple(items) => write_items(out, b'(', items),
        Value::List(items) => write_items(out, b'[', items),
    }
}

fn write_sized(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn write_items(out: &mut Vec<u8>, kind: u8, items: &[Value]) {
    out.push(kind);
    out.extend_from_slice(&(items.len() as u32).to_le_bytes());
    items.iter().for_each(|item| write(out, item));
}

fn write_int(out: &mut Vec<u8>, n: i64) {
    if let Ok(small) = i32::try_from(n) {
        out.push(b'i');
        out.extend_from_slice(&small.to_le_bytes());
        return;
    }
    let mut digits = Vec::new();
    let mut rest = n.unsigned_abs();
    while rest > 0 {
        digits.push((rest & 0x7fff) as u16);
        rest >>= 15;
    }
    let count = digits.len() as i32;
    out.push(b'l');
    out.extend_from_slice(&(if n < 0 { -count } else { count }).to_le_bytes());
    digits.iter().for_each(|digit| out.extend_from_slice(&digit.to_le_bytes()));
}
