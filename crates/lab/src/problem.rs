//! What is wrong with a lab file, with its place and the fix.

use core::fmt;

/// One thing that is wrong with a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of `lab.toml`, from 1; 0 if it is about no line.
    pub line: u32,
    /// The field, such as `link[0].between`.
    pub field: String,
    /// Message key for the page: `lab-unknown-field`, ...
    pub key: &'static str,
    /// The message's parameters by name.
    pub args: Vec<(String, String)>,
    /// The same in English, with the fix, for the command line.
    pub text: String,
}

impl fmt::Display for Problem {
    /// `lab.toml:12: link[0].between: there is no host or switch "sever"; did you mean "server"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lab.toml:")?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.text)
    }
}
