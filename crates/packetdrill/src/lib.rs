//! TCP scripts in the language of packetdrill, run in virtual time against one [`socketlab_stack::Host`].
//!
//! A script says which system calls a program makes, which packets the far side sends, and which packets the host
//! must send in answer, each with its time. The interpreter plays the program and the far side; the host, with one
//! NIC behind a fictitious gateway, is the device under test. No packet leaves the process and no time passes.
//!
//! ```text
//! text ─parse▸ script ─run▸ Bench (Host, clock) ─packets seen▸ compare ▸ Verdict
//! ```
//!
//! Differences from the original tool, on purpose:
//! * Time is exact, so the tolerance is a flat 4 ms unless the script sets another.
//! * A packet the script does not mention fails it, also at its end.
//! * Payload is checked: every octet has a value that follows from its sequence number, both ways.
//! * `PORT > PORT` before the flags names a connection, so that a script can drive several.
//! * What the interpreter does not understand makes the script "not interpretable", never passed.

mod bench;
mod call;
mod code;
mod compare;
mod connection;
mod constants;
mod epoll;
mod packet;
mod parse;
mod run;
mod script;
mod shell;
mod tcp_info;
mod wire;

use core::fmt;

pub use run::{run_script, run_script_in, run_script_with};

/// How closely packets are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// Every field the script gives, every TCP option in its order, times to 4 ms.
    #[default]
    Exact,
    /// For suites written for another kernel than Linux: neither PSH, nor windows, nor options other than SACK
    /// blocks, nor buffer sizes; times to 12 ms; ACKs of their own may come early (Linux acknowledges the first
    /// segments at once) or be delayed as Linux does.
    Loose,
}

/// What became of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host did what the script says.
    Passed,
    /// It did not, or the script is not well-formed.
    Failed {
        /// Line of the script, from 1.
        line: usize,
        /// What was expected and what was seen.
        why: String,
    },
    /// The script asks for something that this interpreter or this stack does not have.
    NotInterpretable {
        /// Line of the script, from 1.
        line: usize,
        /// What it asks for.
        why: String,
    },
}

/// A script's name with its verdict; prints as one line of a test report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The script's name, such as its path.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
}

impl Outcome {
    /// Did the host do what the script says?
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// Did it not? A script that is not interpretable has neither passed nor failed.
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.verdict {
            Verdict::Passed => write!(f, "ok {name}"),
            Verdict::Failed { line, why } => write!(f, "not ok {name}: line {line}: {why}"),
            Verdict::NotInterpretable { line, why } => {
                write!(f, "skip {name}: line {line}: not interpretable: {why}")
            }
        }
    }
}

/// Why a script ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The host, or the script itself, is wrong.
    Wrong { line: usize, why: String },
    /// The interpreter or the stack lacks something.
    Lacking { line: usize, why: String },
}

impl Trouble {
    pub(crate) fn wrong(line: usize, why: impl Into<String>) -> Trouble {
        Trouble::Wrong { line, why: why.into() }
    }

    pub(crate) fn lacking(line: usize, why: impl Into<String>) -> Trouble {
        Trouble::Lacking { line, why: why.into() }
    }
}
