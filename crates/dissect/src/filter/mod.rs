//! Display filters as Wireshark 4.0 reads them: `tcp.flags.syn == 1 && ip.addr == 10.0.0.2`, `http.host contains "lab"`,
//! `tcp.port in {80, 8000..8010}`, `ip.src == 10.0.0.0/24`, `eth.dst[0:3] == 02:00:00`, `len(http.host) > 3`.
//!
//! An expression is compiled once and asked for each frame. `!=` holds if no value of the field is equal and there is
//! one; `==` and the others if any value fits.

mod eval;
mod lexer;
mod literal;
mod parser;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::fields::{PROTOCOLS, all};
use crate::header::Mode;
use parser::Expr;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Nothing: every frame fits.
    root: Option<Expr>,
    /// Fields and protocols that it asks for; [`parser::Operand::Field`] is an index of it.
    wanted: Vec<&'static str>,
}

/// Why an expression cannot be understood, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// First character that is wrong, counted from 0.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// What is wrong.
    pub problem: FilterProblem,
}

/// What is wrong with an expression. Each has a sentence in the page's texts, see [`FilterProblem::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterProblem {
    /// No field or protocol has this name; the nearest one that exists.
    UnknownField {
        /// As written.
        name: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// No function has this name.
    UnknownFunction(String),
    /// Something else should stand here.
    Unexpected(String),
    /// The expression ends too early.
    UnexpectedEnd,
    /// A text has no closing quote.
    OpenText,
    /// The value does not fit the field.
    BadValue {
        /// As written.
        value: String,
        /// The field it is compared with.
        field: String,
    },
    /// Texts must stand in double quotes.
    MissingQuotes(String),
    /// The field has no value to compare, it is only there or not.
    NoValue(String),
    /// The operator does not work with this field.
    BadOperator {
        /// As written.
        operator: String,
        /// The field.
        field: String,
    },
    /// Two sides that cannot be compared.
    DifferentKinds,
    /// The regular expression is malformed.
    BadPattern(String),
}

impl FilterProblem {
    /// Key of the sentence in the page's texts, with its parameters. See [`filter_keys`].
    pub fn key(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match self {
            FilterProblem::UnknownField { name, nearest: Some(nearest) } => (
                "filter-unknown-field-near",
                vec![("name", name.clone()), ("nearest", (*nearest).to_string())],
            ),
            FilterProblem::UnknownField { name, nearest: None } => {
                ("filter-unknown-field", vec![("name", name.clone())])
            }
            FilterProblem::UnknownFunction(name) => ("filter-unknown-function", vec![("name", name.clone())]),
            FilterProblem::Unexpected(found) => ("filter-unexpected", vec![("found", found.clone())]),
            FilterProblem::UnexpectedEnd => ("filter-unexpected-end", vec![]),
            FilterProblem::OpenText => ("filter-open-text", vec![]),
            FilterProblem::BadValue { value, field } => {
                ("filter-bad-value", vec![("value", value.clone()), ("field", field.clone())])
            }
            FilterProblem::MissingQuotes(value) => ("filter-missing-quotes", vec![("value", value.clone())]),
            FilterProblem::NoValue(field) => ("filter-no-value", vec![("field", field.clone())]),
            FilterProblem::BadOperator { operator, field } => {
                ("filter-bad-operator", vec![("operator", operator.clone()), ("field", field.clone())])
            }
            FilterProblem::DifferentKinds => ("filter-different-kinds", vec![]),
            FilterProblem::BadPattern(why) => ("filter-bad-pattern", vec![("why", why.clone())]),
        }
    }
}

/// All keys of [`FilterProblem::key`], with their parameters.
pub fn filter_keys() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("filter-unknown-field-near", &["name", "nearest"]),
        ("filter-unknown-field", &["name"]),
        ("filter-unknown-function", &["name"]),
        ("filter-unexpected", &["found"]),
        ("filter-unexpected-end", &[]),
        ("filter-open-text", &[]),
        ("filter-bad-value", &["value", "field"]),
        ("filter-missing-quotes", &["value"]),
        ("filter-no-value", &["field"]),
        ("filter-bad-operator", &["operator", "field"]),
        ("filter-different-kinds", &[]),
        ("filter-bad-pattern", &["why"]),
    ]
}

impl core::fmt::Display for FilterError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "column {}: ", self.start + 1)?;
        match &self.problem {
            FilterProblem::UnknownField { name, nearest: Some(nearest) } => {
                write!(f, "there is no field \"{name}\"; did you mean \"{nearest}\"?")
            }
            FilterProblem::UnknownField { name, nearest: None } => write!(f, "there is no field \"{name}\""),
            FilterProblem::UnknownFunction(name) => {
                write!(f, "there is no function \"{name}\"; there are len, lower, upper, count and string")
            }
            FilterProblem::Unexpected(found) => write!(f, "\"{found}\" was not expected here"),
            FilterProblem::UnexpectedEnd => write!(f, "the expression ends too early"),
            FilterProblem::OpenText => write!(f, "the text has no closing quote"),
            FilterProblem::BadValue { value, field } => {
                write!(f, "\"{value}\" is no value that \"{field}\" can have")
            }
            FilterProblem::MissingQuotes(value) => write!(f, "texts stand in quotes: \"{value}\""),
            FilterProblem::NoValue(field) => write!(f, "\"{field}\" has no value, it is only there or not"),
            FilterProblem::BadOperator { operator, field } => {
                write!(f, "\"{operator}\" does not work with \"{field}\"")
            }
            FilterProblem::DifferentKinds => write!(f, "these two cannot be compared"),
            FilterProblem::BadPattern(why) => write!(f, "the pattern is malformed: {why}"),
        }
    }
}

impl core::error::Error for FilterError {}

impl Filter {
    /// Compiles an expression; an empty one fits every frame.
    ///
    /// # Errors
    /// What cannot be understood, and where.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let tokens = lexer::tokens(expression)?;
        if tokens.is_empty() {
            return Ok(Filter { root: None, wanted: Vec::new() });
        }
        let (root, wanted) = parser::parse(&tokens, expression.chars().count())?;
        Ok(Filter { root: Some(root), wanted })
    }

    /// Whether it fits a frame, with what the capture says about it.
    pub fn matches(&self, frame: &[u8], context: &Context) -> bool {
        let Some(root) = &self.root else { return true };
        let dissection = crate::walk(frame, context, Mode::FILTER);
        eval::holds(root, &eval::collect(&self.wanted, &dissection, frame))
    }

    /// Whether it fits every frame because it says nothing.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

/// The field or protocol with this name, as it is written here.
fn lookup(name: &str) -> Option<&'static str> {
    // Wireshark 2.6 renamed it; many texts still say bootp.
    let renamed = name.strip_prefix("bootp").map(|rest| format!("dhcp{rest}"));
    let name = renamed.as_deref().unwrap_or(name);
    let mut names = PROTOCOLS.iter().map(|(name, _)| *name).chain(all().map(|d| d.name));
    names.find(|known| *known == name && !known.is_empty())
}

/// The name that takes the fewest changes, if they are few.
fn nearest(name: &str) -> Option<&'static str> {
    let names = PROTOCOLS.iter().map(|(name, _)| *name).chain(all().map(|d| d.name));
    let most = (name.chars().count() / 3).clamp(1, 4);
    names
        .filter(|known| !known.is_empty())
        .map(|known| (distance(name, known), known))
        .filter(|(changes, _)| *changes <= most)
        .min_by_key(|(changes, known)| (*changes, known.len()))
        .map(|(_, known)| known)
}

/// How many letters to add, remove, change or swap (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
