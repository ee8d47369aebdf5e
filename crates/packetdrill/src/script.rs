//! A script as it was written: options, then events in their order. Nothing is looked up or checked here beyond the
//! grammar.

use core::time::Duration;

use crate::packet::Packet;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// `--key=value` lines, with their line number.
    pub(crate) options: Vec<(usize, String, Option<String>)>,
    /// What happens, in order.
    pub(crate) events: Vec<Event>,
}

impl Script {
    /// `--ip_version=ipv6`
    pub(crate) fn v6(&self) -> bool {
        self.options.iter().any(|(_, key, value)| key == "ip_version" && value.as_deref() == Some("ipv6"))
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Line of the script, from 1.
    pub(crate) line: usize,
    pub(crate) when: When,
    pub(crate) action: Action,
}

/// When an event happens: counted from the script's start, or from the event before (`After`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `0.1`
    At(Duration),
    /// `+0.1`
    After(Duration),
    /// `*`
    Any,
    /// `0.1~0.2`
    Between(Duration, Duration),
    /// `+0.1~+0.2`
    AfterBetween(Duration, Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `<`: the far side sends.
    Inbound(Packet),
    /// `>`: the host must send.
    Outbound(Packet),
    Call(SystemCall),
    /// Between back-quotes.
    Shell(String),
    /// Between `%{` and `}%`.
    Code(String),
}

/// A system call, with what it must return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemCall {
    pub(crate) name: String,
    pub(crate) args: Vec<Expr>,
    /// `...0.2` after the time: the call blocks, and returns then.
    pub(crate) blocks_until: Option<Duration>,
    pub(crate) result: Expr,
    /// The symbol after a result of -1.
    pub(crate) errno: Option<String>,
}

/// An argument or a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    /// `...`: anything.
    Ellipsis,
    Int(i64),
    /// A constant's name.
    Word(String),
    Text(String),
    /// `A | B`
    Or(Vec<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{a, b}`
    Struct(Vec<Expr>),
    /// `name = value`, within a struct.
    Field(String, Box<Expr>),
    /// `htons(8080)`
    Apply(String, Vec<Expr>),
}

impl Expr {
    /// The value of `name = value` within a struct.
    pub(crate) fn field(&self, name: &str) -> Option<&Expr> {
        let Expr::Struct(fields) = self else { return None };
        fields.iter().find_map(|f| match f {
            Expr::Field(n, value) if n == name => Some(value.as_ref()),
            _ => None,
        })
    }
}
